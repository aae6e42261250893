// SPDX-License-Identifier: MIT
/*
 * Requests that are posted again: after an error that may pass, or a reset.
 *
 * A slot does not keep its command, and the ring overwrites it. So a queue of a controller with
 * retries copies each command before its doorbell, in the slow paths that shadow doorbells have
 * too; other queues pay nothing. A request that waits keeps its slot and its PRP list, and gets a
 * new command id. NVMe Base 2.0: Completion Queue Entry Status Field, Host Behavior Support.
 */
#include "nvme_internal.h"

#define DELAY_UNIT_MS 100 /* of CRDT1 to CRDT3 */

void nvme_retry_keep(struct nvme_queue *queue)
{
    while (queue->kept != NULL && queue->kept_tail != queue->sq_tail) {
        const struct nvme_command *command = &queue->sq[queue->kept_tail];
        size_t slot = NVME_GET(NVME_CDW0_CID, command->cdw0) & queue->slot_mask;

        queue->kept[slot] = *command;
        queue->kept_tail++;
        if (queue->kept_tail == queue->depth_entries) {
            queue->kept_tail = 0;
        }
    }
}

/* Reads and flushes may always be repeated, writes if the caller says so, others never. */
static bool may_repeat(const struct nvme_queue *queue, const struct nvme_request *request)
{
    const struct nvme_config *config = &queue->controller->config;
    uint64_t opcode;

    if (queue->kept == NULL || (request->flags & NVME_POST_NO_RETRY) != 0 ||
        request->tries >= config->retries_max) {
        return false;
    }
    opcode = NVME_GET(NVME_CDW0_OPCODE, queue->kept[request - queue->requests].cdw0);
    return opcode == NVME_CMD_READ || opcode == NVME_CMD_FLUSH ||
           (opcode == NVME_CMD_WRITE &&
            (config->retry_writes || (request->flags & NVME_POST_RETRY) != 0));
}

bool nvme_retry_later(struct nvme_queue *queue, struct nvme_request *request, uint64_t delay_ms)
{
    if (queue->state != NVME_QUEUE_OPEN || !may_repeat(queue, request)) {
        return false;
    }
    request->cid += queue->cid_step;
    request->aside = NVME_ASIDE_WAITS;
    request->tries++;
    request->retry_at_ms = queue->clock_ms + delay_ms;
    queue->waiting++;
    return true;
}

bool nvme_retry_status(struct nvme_queue *queue, struct nvme_request *request, uint16_t status)
{
    const struct nvme_controller *controller = queue->controller;
    uint64_t number = NVME_GET(NVME_STATUS_CRD, status);
    uint64_t delay_ms =
        number != 0 ? DELAY_UNIT_MS * (uint64_t)controller->retry_delays[number - 1] : 0;

    /* A device may name up to two hours: it gets as long as a command may take. */
    delay_ms = delay_ms < controller->timeout_ms ? delay_ms : controller->timeout_ms;
    return (status & NVME_STATUS_DNR) == 0 && nvme_retry_later(queue, request, delay_ms);
}

/* Puts the command into the ring again, with the next id of its slot. */
static void post_again(struct nvme_queue *queue, struct nvme_request *request)
{
    struct nvme_command *kept = &queue->kept[request - queue->requests];
    struct nvme_command *entry = &queue->sq[queue->sq_tail];

    request->aside = NVME_ASIDE_NONE;
    request->cid = (uint16_t)request->cid;
    request->clock_ms = queue->clock_ms;
    kept->cdw0 = (kept->cdw0 & (uint32_t)~NVME_CDW0_CID) | (uint32_t)request->cid << 16;
    *entry = *kept;
    hal_dma_clean(queue->controller->config.dma_context, entry, sizeof(*entry));
    nvme_queue_advance(queue, queue->depth_entries);
    queue->waiting--;
    queue->counters.retries++;
}

bool nvme_retry_due(struct nvme_queue *queue)
{
    size_t tail = queue->sq_tail;

    if (queue->waiting == 0) {
        return false;
    }
    nvme_retry_keep(queue);
    for (uint32_t i = 0; i < queue->slot_count && queue->waiting != 0; i++) {
        struct nvme_request *request = &queue->requests[i];

        if (request->aside == NVME_ASIDE_WAITS && request->retry_at_ms <= queue->clock_ms) {
            post_again(queue, request);
        }
    }
    queue->kept_tail = queue->sq_tail;
    return queue->sq_tail != tail;
}
