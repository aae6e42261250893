// SPDX-License-Identifier: MIT
/*
 * What a driver owes a machine whose DMA is not coherent: data that the device wrote are
 * invalidated before their completion is given back, and an entry before it is looked at; an empty
 * ring is cleaned before it is handed over. Other cleaning is checked where the device reads:
 * model_prp.c.
 */
#include <string.h>

#include "model_internal.h"

void model_note_written(struct model *model, const uint8_t *host, uint32_t bytes)
{
    if (model->written.host == NULL) {
        model->written = (struct model_written){.host = host, .bytes = bytes};
    } else {
        model->written.last = host;
        model->written.last_bytes = bytes;
    }
}

void model_memory_invalidated(struct model *model, const void *pointer, size_t size)
{
    const uint8_t *from = pointer;

    if (size == sizeof(struct nvme_completion)) {
        return; /* an entry of a ring */
    }
    for (uint32_t id = 0; id < MODEL_QUEUES; id++) {
        struct model_cq *cq = &model->cqs[id];

        for (uint32_t i = cq->head; cq->exists && i != cq->tail; i = (i + 1) % cq->entries) {
            struct model_written *written = &cq->written[i];

            if (written->host >= from && written->host + written->bytes <= from + size) {
                written->host = NULL;
            }
            if (written->last >= from && written->last + written->last_bytes <= from + size) {
                written->last = NULL;
            }
        }
    }
}

void model_check_given_back(const struct model_cq *cq, uint32_t head)
{
    for (uint32_t i = cq->head; i != head; i = (i + 1) % cq->entries) {
        if (cq->written[i].host != NULL || cq->written[i].last != NULL) {
            world_find("data that the device wrote are not invalidated");
        }
    }
}

void model_check_invalidated(const struct model_cq *cq, uint32_t entry)
{
    const struct nvme_completion *ring = world_host(cq->address);
    uintptr_t start = (uintptr_t)&ring[entry];

    if (start < world.invalidated_start ||
        start + sizeof(struct nvme_completion) > world.invalidated_end) {
        world_find("a completion entry is looked at without being invalidated");
    }
}

void model_check_emptied(const struct nvme_completion *ring, uint32_t entries)
{
    if (!world.coherent && !world_was_ever_cleaned(ring, entries * sizeof(*ring))) {
        world_find("a completion ring is handed over without being cleaned");
    }
}

void model_memory_cleaned(struct model *model, const void *pointer, size_t size)
{
    for (uint32_t id = 0; id < MODEL_QUEUES; id++) {
        struct model_sq *sq = &model->sqs[id];
        uintptr_t start = sq->exists ? (uintptr_t)world_host(sq->address) : 0;
        uintptr_t at = (uintptr_t)pointer;
        uint32_t entry = (uint32_t)((at - start) / sizeof(struct nvme_command));

        if (sq->exists && at >= start && entry < sq->entries &&
            size >= sizeof(struct nvme_command)) {
            memcpy(&sq->shadow[entry], pointer, sizeof(struct nvme_command));
            sq->clean_epoch[entry] = world.doorbell_barriers;
        }
    }
}
