// SPDX-License-Identifier: MIT
/*
 * The active list: the queues that an interrupt reaps. A queue joins it before its first doorbell.
 */
#include "nvme_internal.h"

void nvme_queue_check_context(const struct nvme_queue *queue)
{
    nvme_check_hart(queue->owner);
    if (queue->ien && !hal_irq_is_off()) {
        hal_panic("a queue is reaped with interrupts on (R3)");
    }
}

void nvme_queue_leave(struct nvme_queue *queue)
{
    struct nvme_queue **link = &queue->source->active;
    bool present = !queue->away;

    if (queue->ien) {
        nvme_source_set_late(queue, false);
    }
    queue->activity = NVME_ACTIVITY_TAKEN;
    queue->slow = false;
    queue->away = true;
    if (present && nvme_queue_shares(queue)) {
        __atomic_fetch_and(&queue->controller->cycle.active, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
    } else if (present && nvme_queue_listed(queue)) {
        while (*link != queue) {
            link = &(*link)->next_active;
        }
        *link = queue->next_active;
    }
}

NVME_COLD bool nvme_queue_activate(struct nvme_queue *queue)
{
    if (queue->state != NVME_QUEUE_OPEN || queue->absent) {
        return false;
    }
    if (queue->id != 0) { /* the admin queue has no source of its own */
        nvme_queue_check_context(queue);
    }
    if (nvme_queue_shares(queue)) {
        NVME_POKE(&queue->yet_to_come, false);
        /* Before the doorbell, whose barrier keeps it so; pairs with nvme_shared_begin(). */
        __atomic_fetch_or(&queue->controller->cycle.active, nvme_queue_bit(queue),
                          __ATOMIC_RELAXED);
    } else if (nvme_queue_listed(queue)) {
        queue->next_active = queue->source->active;
        queue->source->active = queue;
        nvme_source_set_late(queue, (queue->source->closed & NVME_CLOSED_POLLED) != 0);
    }
    nvme_queue_set_active(queue);
    queue->away = false;
    return true;
}
