// SPDX-License-Identifier: MIT
/*
 * A queue whose rings the program has taken. See storage_enter_raw().
 */
#include "nvme_bench.h"
#include "storage_internal.h"
#include "wired.h"

/* The queue is idle and its hart is here with interrupts off: the old handler does not run. */
static void attach_raw(struct storage_queue *queue, void (*handler)(void *arg), void *arg)
{
    const struct msix *msix = &queue->controller->msix;
    uint16_t vector = queue->vector;

    if (vector == 0) {
        wired_attach(queue->controller->function->irq, handler, arg);
        return;
    }
    msix_mask(msix, vector, true);
    storage_disconnect_vector(queue);
    /* The identity that was just given back is free, so it cannot fail. */
    (void)storage_aim_vector(queue, vector, handler, arg);
    msix_mask(msix, vector, false);
}

enum nvme_error storage_enter_raw(struct storage_queue *queue, struct nvme_ring *ring,
                                  void (*handler)(void *arg), void *arg)
{
    enum nvme_error error = nvme_queue_enter_raw(queue->engine, ring);

    if (error == NVME_OK && nvme_queue_mode(queue->engine) != NVME_MODE_POLL) {
        attach_raw(queue, handler, arg);
    }
    return error;
}
