// SPDX-License-Identifier: MIT
/*
 * Arming: nvme_queue_arm decides if the owner may sleep, and opens the source that wakes it.
 *
 * hybrid.c decides when hybrid mode spins. tests/spin/sleepers.pml and wait.pml are the models.
 */
#include "nvme_internal.h"

/*
 * A shared line has one mask: the IRQ hart may keep it closed while no owner sleeps. Owner and IRQ
 * hart both use an atomic change of the set of sleepers, the IRQ hart one that changes nothing. The
 * second of them sees what the first has stored before.
 */
static bool arm_shared(struct nvme_queue *queue)
{
    struct nvme_cycle *cycle = &queue->controller->cycle;

    nvme_source_wake(queue);
    if (nvme_queue_ready(queue) || nvme_hybrid_spin(queue)) {
        return false;
    }
    queue->wait.slept = true;
    /* Without requests it needs no interrupt, and the line may stay closed. */
    if (nvme_hybrid_outstanding(queue)) {
        queue->wait.listed = true;
        __atomic_fetch_or(&cycle->sleepers, nvme_queue_bit(queue), __ATOMIC_ACQ_REL);
        if ((NVME_PEEK(&queue->source->closed) & NVME_CLOSED_POLLED) != 0) {
            nvme_shared_turn(queue);
        }
    }
    return !nvme_queue_ready(queue);
}

/* Hybrid mode: closes the source to poll for an entry that is ready or due soon, else opens it. */
static bool arm_hybrid(struct nvme_queue *queue)
{
    if (nvme_queue_ready(queue) || nvme_hybrid_spin(queue)) {
        if ((queue->source->closed & NVME_CLOSED_POLLED) == 0) {
            nvme_source_close(queue->source, NVME_CLOSED_POLLED);
        }
        return false;
    }
    queue->wait.slept = true;
    nvme_source_open(queue->source, NVME_CLOSED_POLLED);
    return !nvme_queue_ready(queue);
}

/* True if commands of an active queue wait for a doorbell. */
static bool has_unrung(const struct nvme_queue *queue)
{
    return nvme_queue_is_active(queue) && queue->sq_tail != queue->sq_tail_rung;
}

/* A clocked doorbell does not wait for an owner that sleeps. */
static NVME_COLD bool ring_and_arm(struct nvme_queue *queue)
{
    nvme_queue_ring(queue);
    return nvme_queue_arm(queue);
}

bool nvme_queue_arm(struct nvme_queue *queue)
{
    enum nvme_mode mode = nvme_queue_mode_load(queue);

    if (mode == NVME_MODE_POLL || !nvme_controller_live(queue->controller)) {
        return false;
    }
    if (queue->clocked && has_unrung(queue)) {
        return ring_and_arm(queue);
    }
    /* In interrupt mode the source is open all the time: no register write. wait.pml, SPIN. */
    if (mode == NVME_MODE_INTERRUPT) {
        return !nvme_queue_ready(queue);
    }
    return nvme_queue_shares(queue) ? arm_shared(queue) : arm_hybrid(queue);
}
