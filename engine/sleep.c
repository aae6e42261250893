// SPDX-License-Identifier: MIT
/*
 * Arming: nvme_queue_arm decides if the owner may sleep, and opens the source that wakes it.
 *
 * hybrid.c decides when hybrid mode spins. tests/spin/wait.pml and mode.pml are the models.
 */
#include "nvme_internal.h"

/*
 * Hybrid mode. Awake, the source is closed. Asleep it is open, and an entry that is ready has its
 * interrupt, as in interrupt mode.
 */
static bool arm_hybrid(struct nvme_queue *queue, enum nvme_wait_kind kind)
{
    struct nvme_wait *wait = &queue->wait;
    bool sleeps;

    if (kind == NVME_WAIT_IDLE) {
        wait->from_ns = 0; /* a pause teaches nothing */
        nvme_source_unpoll(queue->source);
        return !nvme_queue_ready(queue);
    }
    if ((nvme_hybrid_awake(wait) && nvme_queue_ready(queue)) || nvme_hybrid_spin(queue)) {
        if ((queue->source->closed & NVME_CLOSED_POLLED) == 0) {
            nvme_source_poll(queue->source);
        }
        return false;
    }
    nvme_source_unpoll(queue->source);
    sleeps = !nvme_queue_ready(queue);
    queue->counters.waits_slept += sleeps && !wait->slept;
    wait->slept = wait->slept || sleeps;
    return sleeps;
}

/* True if commands of an active queue wait for a doorbell. */
static bool has_unrung(const struct nvme_queue *queue)
{
    return nvme_queue_is_active(queue) && queue->sq_tail != queue->sq_tail_rung;
}

/* A clocked doorbell does not wait for an owner that sleeps. */
static NVME_COLD bool ring_and_arm(struct nvme_queue *queue, enum nvme_wait_kind kind)
{
    nvme_queue_ring(queue);
    return nvme_queue_arm(queue, kind);
}

bool nvme_queue_arm(struct nvme_queue *queue, enum nvme_wait_kind kind)
{
    enum nvme_mode mode = nvme_queue_mode_load(queue);

    if (mode == NVME_MODE_POLL || !nvme_controller_live(queue->controller)) {
        return false;
    }
    if (queue->clocked && has_unrung(queue)) {
        return ring_and_arm(queue, kind);
    }
    /* In interrupt mode the source is open all the time: no register write. wait.pml, SPIN. */
    if (mode == NVME_MODE_INTERRUPT) {
        return !nvme_queue_ready(queue);
    }
    return arm_hybrid(queue, kind);
}
