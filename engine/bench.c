// SPDX-License-Identifier: MIT
/*
 * For measuring only: a queue's rings for the caller, or its doorbells. See nvme_bench.h.
 */
#include "nvme_bench.h"
#include "nvme_internal.h"

/* Not in a reset either: its end would use rings that are the caller's. */
static bool is_idle(const struct nvme_queue *queue)
{
    return queue->state == NVME_QUEUE_OPEN && !queue->absent &&
           nvme_controller_live(queue->controller) && nvme_queue_outstanding(queue) == 0;
}

/* True if the queue interrupts its owner's hart only, whenever an entry comes. */
static bool interrupts_owner(const struct nvme_queue *queue)
{
    return nvme_queue_mode_load(queue) == NVME_MODE_INTERRUPT && !nvme_queue_shares(queue);
}

/* The caller's rings would not outlive a reset. */
static void forbid_resets(struct nvme_controller *controller)
{
    controller->config.resets_max = 0;
    NVME_POKE(&controller->resets_left, 0);
}

static void describe_ring(const struct nvme_queue *queue, struct nvme_ring *ring)
{
    *ring = (struct nvme_ring){
        .sq = queue->sq,
        .cq = queue->cq,
        .sq_doorbell = queue->sq_doorbell,
        .cq_doorbell = queue->cq_doorbell,
        .depth_entries = queue->depth_entries,
        .cq_depth_entries = queue->cq_depth_entries,
        .sq_tail = (uint32_t)queue->sq_tail,
        .cq_head = nvme_queue_head(queue),
        .phase = (queue->expected & NVME_CQE_IN_HIGH(NVME_CQE_PHASE)) != 0,
        .queue_id = queue->id,
    };
}

enum nvme_error nvme_queue_enter_raw(struct nvme_queue *queue, struct nvme_ring *ring)
{
    if (!is_idle(queue) || (queue->ien && !interrupts_owner(queue)) ||
        queue->shadow_sq.place != NULL) {
        return NVME_ERR_STATE;
    }
    forbid_resets(queue->controller);
    nvme_queue_enter_state(queue, NVME_QUEUE_RAW);
    describe_ring(queue, ring);
    return NVME_OK;
}

enum nvme_error nvme_queue_enter_loopback(struct nvme_queue *queue, volatile uint32_t doorbells[2],
                                          struct nvme_ring *ring)
{
    /* Nothing else reads the rings of an idle poll queue. */
    if (!is_idle(queue) || queue->ien) {
        return NVME_ERR_STATE;
    }
    forbid_resets(queue->controller);
    doorbells[0] = queue->sq_tail_rung;
    doorbells[1] = nvme_queue_head(queue);
    /* Joins the active list again as a queue without shadow doorbells. */
    queue->shadow_sq.place = NULL;
    queue->shadow_cq.place = NULL;
    nvme_queue_leave(queue);
    /* The next open sets the device's doorbells again: nvme_queue_reset(). */
    queue->sq_doorbell = (volatile uint8_t *)&doorbells[0];
    queue->cq_doorbell = (volatile uint8_t *)&doorbells[1];
    describe_ring(queue, ring);
    return NVME_OK;
}
