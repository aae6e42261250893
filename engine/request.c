// SPDX-License-Identifier: MIT
/*
 * Command-id slots with a generation: which requests the device owns.
 *
 * A command id has a slot number in its lower bits and a generation above, which changes at each
 * release. So a late or repeated completion matches no request. A queue of depth D has slots
 * 0 .. D - 2, so the id 0xffff never occurs. Slots that are never issued fill the table up to a
 * power of two, so any id that a device invents lies inside. nvme_internal.h has the inlines.
 */
#include "nvme_internal.h"

uint32_t nvme_request_slot_mask(uint32_t depth_entries)
{
    uint32_t mask = 1;

    while (mask < depth_entries - 1) {
        mask = mask * 2 + 1;
    }
    return mask;
}

void nvme_request_init(struct nvme_queue *queue, uint32_t depth_entries)
{
    uint32_t mask = nvme_request_slot_mask(depth_entries);

    queue->slot_mask = mask;
    queue->cid_step = NVME_CID_IDLE + mask + 1;
    queue->slot_count = depth_entries - 1;
    queue->free = NULL;
    queue->free_split = NULL;
    queue->waiting = 0;
    queue->timeout_min_ms = UINT64_MAX;
    NVME_POKE(&queue->abort, 0);
    for (uint32_t i = 0; i <= mask; i++) {
        uint64_t generation = queue->requests[i].cid & 0xffff & ~(uint64_t)mask;

        queue->requests[i].cid = generation | i | NVME_CID_IDLE;
        queue->requests[i].aside = NVME_ASIDE_NONE;
    }
    /* Backwards, so that the lowest slots are used first. */
    for (uint32_t i = queue->slot_count; i > 0; i--) {
        queue->requests[i - 1].next_free = queue->free;
        queue->free = &queue->requests[i - 1];
        queue->splits[i - 1].next_free = queue->free_split;
        queue->free_split = &queue->splits[i - 1];
    }
}

/* True while the device owns the slot's command. */
static bool is_owned(const struct nvme_request *request)
{
    return (request->cid & NVME_CID_IDLE) == 0;
}

/* True until the request has ended. */
static bool is_outstanding(const struct nvme_request *request)
{
    return is_owned(request) || request->aside != NVME_ASIDE_NONE;
}

/* Ends a request that is the device's no more, set aside or not. */
static void end_with(struct nvme_queue *queue, struct nvme_request *request,
                     struct nvme_result result)
{
    queue->waiting -= request->aside == NVME_ASIDE_WAITS;
    request->aside = NVME_ASIDE_NONE;
    request->cid = (uint16_t)request->cid;
    nvme_request_end(queue, request, result);
}

bool nvme_request_any(const struct nvme_queue *queue)
{
    for (uint32_t i = 0; i < queue->slot_count; i++) {
        if (is_outstanding(&queue->requests[i])) {
            return true;
        }
    }
    return false;
}

uint32_t nvme_queue_outstanding(const struct nvme_queue *queue)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < queue->slot_count; i++) {
        count += is_outstanding(&queue->requests[i]);
    }
    return count;
}

void nvme_request_end_all(struct nvme_queue *queue, enum nvme_error error)
{
    struct nvme_result result = {.error = error};

    for (uint32_t i = 0; i < queue->slot_count; i++) {
        struct nvme_request *request = &queue->requests[i];

        if (is_outstanding(request)) {
            end_with(queue, request, result);
        }
    }
}

void nvme_request_set_aside(struct nvme_queue *queue)
{
    NVME_POKE(&queue->abort, 0);
    for (uint32_t i = 0; i < queue->slot_count; i++) {
        struct nvme_request *request = &queue->requests[i];

        if (is_owned(request) && !nvme_retry_later(queue, request, 0)) {
            request->cid += queue->cid_step;
            request->aside = NVME_ASIDE_ENDS;
        }
    }
}

void nvme_request_end_aside(struct nvme_queue *queue, enum nvme_error error)
{
    struct nvme_result result = {.error = error};

    for (uint32_t i = 0; i < queue->slot_count; i++) {
        struct nvme_request *request = &queue->requests[i];

        /* Not what a callback has posted meanwhile. */
        if (request->aside == NVME_ASIDE_ENDS) {
            end_with(queue, request, result);
        }
    }
}

bool nvme_request_expired(const struct nvme_queue *queue, uint64_t margin_ms, uint32_t *cid)
{
    for (uint32_t i = 0; i < queue->slot_count; i++) {
        const struct nvme_request *request = &queue->requests[i];

        if (is_owned(request) && queue->clock_ms - request->clock_ms >=
                                     nvme_request_timeout_ms(queue, request) + margin_ms) {
            *cid = (uint32_t)request->cid;
            return true;
        }
    }
    return false;
}

/* Ends a request with the status field of its entry, or tries again. Type and code 0: success. */
static void end_with_status(struct nvme_queue *queue, struct nvme_request *request, uint16_t status,
                            uint32_t dw0)
{
    struct nvme_result result = {.dw0 = dw0};

    if ((status & (NVME_STATUS_TYPE | NVME_STATUS_CODE)) == 0) {
        result.bytes_done = request->size_bytes;
    } else if (nvme_retry_status(queue, request, status)) {
        return;
    } else if ((status & (NVME_STATUS_TYPE | NVME_STATUS_CODE)) == NVME_STATUS_ABORTED) {
        result.error = NVME_ERR_TIMEOUT;
    } else {
        result.error = NVME_ERR_DEVICE;
        result.status = status;
    }
    nvme_request_end(queue, request, result);
}

NVME_COLD void nvme_request_end_odd(struct nvme_queue *queue, uint64_t dwords, uint64_t dw0_dw1)
{
    struct nvme_request *request =
        nvme_request_find(queue->requests, queue->slot_mask, (uint16_t)(dwords >> 32));

    if (request == NULL) {
        queue->counters.stale++;
        queue->unmatched++;
        return;
    }
    nvme_request_take_data(queue, request);
    end_with_status(queue, request, (uint16_t)NVME_GET(NVME_CQE_STATUS, dwords >> 32),
                    (uint32_t)dw0_dw1);
}
