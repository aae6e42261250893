// SPDX-License-Identifier: MIT
/*
 * Command-id slots with a generation: which requests the device owns.
 *
 * A command id is a slot number below a generation that changes at each release, so a late or
 * repeated completion finds nobody. A queue of depth D has slots 0 .. D - 2, so the id 0xffff
 * never occurs. acquire, release and find are inlines in nvme_internal.h.
 */
#include "nvme_internal.h"

static uint32_t slot_mask(uint32_t depth_entries)
{
    uint32_t mask = 1;

    while (mask < depth_entries - 1) {
        mask = mask * 2 + 1;
    }
    return mask;
}

void nvme_request_init(struct nvme_queue *queue, uint32_t depth_entries)
{
    queue->slot_mask = slot_mask(depth_entries);
    queue->slot_count = depth_entries - 1;
    queue->free_count = queue->slot_count;
    queue->free_split_count = queue->slot_count;
    for (uint32_t i = 0; i < queue->slot_count; i++) {
        struct nvme_request *request = &queue->requests[i];
        uint32_t generation = request->cid & 0xffff & ~queue->slot_mask;

        /* Lowest slot on top of the stack. */
        queue->free_slots[i] = (uint16_t)(queue->slot_count - 1 - i);
        queue->free_splits[i] = (uint16_t)i;
        request->cid = generation | i | NVME_CID_IDLE;
    }
}

void nvme_request_end_all(struct nvme_queue *queue, enum nvme_error error)
{
    struct nvme_result result = {.error = error};

    for (uint32_t i = 0; i < queue->slot_count; i++) {
        struct nvme_request *request = &queue->requests[i];

        if ((request->cid & NVME_CID_IDLE) == 0) {
            nvme_request_release(queue, request);
            request->done(request->arg, result);
        }
    }
}

bool nvme_request_expired(const struct nvme_queue *queue, uint32_t limit_ms, uint32_t *cid)
{
    for (uint32_t i = 0; i < queue->slot_count; i++) {
        const struct nvme_request *request = &queue->requests[i];

        if ((request->cid & NVME_CID_IDLE) == 0 &&
            queue->clock_ms - request->clock_ms >= limit_ms) {
            *cid = request->cid;
            return true;
        }
    }
    return false;
}
