// SPDX-License-Identifier: MIT
/*
 * Calls that the engine must refuse, each with its error and without a trace.
 */
#include "sim.h"

static void never(void *arg, struct nvme_result result)
{
    (void)result;
    sim_fail(arg, "a request ended that was refused");
}

void sim_misuse(struct sim_queue *queue)
{
    struct sim *sim = queue->controller->sim;
    const struct nvme_namespace *ns = &queue->controller->ns;
    uint8_t *buffer = sim->requests[0].memory;
    struct nvme_callback callback = {never, sim};
    const struct {
        uint64_t lba;
        uint32_t blocks;
        uint8_t *buffer;
        enum nvme_error error;
    } calls[] = {
        {ns->block_count, 1, buffer, NVME_ERR_RANGE},
        {ns->block_count - 1, 2, buffer, NVME_ERR_RANGE},
        {UINT64_MAX, 1, buffer, NVME_ERR_RANGE},
        {0, 0, buffer, NVME_ERR_LENGTH},
        /* With bounce memory a buffer may be anywhere. */
        {0, 1, queue->controller->config.bounce_bytes != 0 ? NULL : buffer + 2, NVME_ERR_ALIGNMENT},
        {0, 1, NULL, NVME_ERR_ALIGNMENT},
    };
    uint32_t index = random_below(&sim->random, sizeof(calls) / sizeof(calls[0]));
    uint32_t before = nvme_queue_outstanding(queue->engine);
    bool handler = sim->in_handler;
    enum nvme_error error;

    world.hart = queue->owner;
    sim->in_handler = true; /* nothing else ends or begins meanwhile */
    error = nvme_read(queue->engine, ns, calls[index].lba, calls[index].blocks, calls[index].buffer,
                      callback);
    sim->in_handler = handler;
    /* A full queue says so first. A lying device may have a namespace too small to go wrong in. */
    if (error != NVME_ERR_BUSY && !queue->controller->may_fail) {
        sim->misuses++;
        if (error != calls[index].error) {
            sim_fail(sim, "misuse %u is answered with %s", index, nvme_error_text(error));
        }
    }
    if (nvme_queue_outstanding(queue->engine) != before) {
        sim_fail(sim, "misuse %u leaves something in the queue", index);
    }
}
