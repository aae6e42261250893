// SPDX-License-Identifier: MIT
/*
 * Fault class 24: a device with a volatile cache loses its power.
 *
 * A block that no request holds is left with its newest data, or with those that a flush has made
 * durable in the device. If an acknowledged flush was posted after the block's last write had
 * ended, these must be the same.
 */
#include <string.h>

#include "kept.h"
#include "sim.h"

bool sim_prepare_cache(struct sim_controller *controller)
{
    struct model_namespace *ns = &controller->model->namespaces[0];

    if (controller->sim->block_count > SIM_BLOCKS) {
        return false;
    }
    ns->durable = kept_take(sizeof(uint64_t), ns->backing_bytes);
    memcpy(ns->durable, ns->backing, ns->backing_bytes);
    return true;
}

void sim_note_post(struct sim_request *request)
{
    request->posted_at = ++request->queue->controller->clock;
}

/* A write that failed may be in the cache: a later flush covers it too. */
void sim_note_end(const struct sim_request *request, bool good)
{
    struct sim_controller *controller = request->queue->controller;

    if (controller->model->namespaces[0].durable == NULL) {
        return;
    }
    controller->clock++;
    if (request->opcode == NVME_CMD_FLUSH && good && request->posted_at > controller->promised_at) {
        controller->promised_at = request->posted_at;
    }
    for (uint32_t i = 0; i < request->blocks && request->opcode == NVME_CMD_WRITE; i++) {
        controller->acked_at[request->lba + i] = controller->clock;
    }
}

/* The block after the cut. */
static void lose(struct sim_controller *controller, uint32_t block)
{
    struct model_namespace *ns = &controller->model->namespaces[0];
    size_t bytes = (size_t)1 << controller->sim->block_shift;
    size_t at = block * bytes;

    if (random_chance(&controller->sim->random, 500)) {
        memcpy(ns->backing + at, ns->durable + at, bytes);
    }
    if (controller->acked_at[block] < controller->promised_at &&
        memcmp(ns->backing + at, controller->shadow + at, bytes) != 0) {
        sim_fail(controller->sim, "block %u: a power cut takes what a flush has kept", block);
    }
    memcpy(controller->shadow + at, ns->backing + at, bytes);
    controller->acked_at[block] = 0;
}

bool sim_cut_power(struct sim_controller *controller)
{
    struct model_namespace *ns = &controller->model->namespaces[0];

    if (ns->durable == NULL) {
        return false;
    }
    for (uint32_t block = 0; block < controller->sim->block_count; block++) {
        if (controller->busy[block] == 0) {
            lose(controller, block);
        }
    }
    memcpy(ns->durable, ns->backing, ns->backing_bytes);
    model_remove(controller->model);
    return true;
}
