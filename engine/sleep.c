// SPDX-License-Identifier: MIT
/*
 * Arming: whether the owner of a queue may sleep, and the open source that wakes it.
 *
 * When hybrid mode spins is hybrid.c's. Modelled in tests/spin/sleepers.pml and wait.pml.
 */
#include "nvme_internal.h"

/*
 * The mask of a shared line is one for all: the IRQ hart may keep it closed while nobody sleeps.
 * Both change the set of sleepers, the IRQ hart by nothing: who comes second sees what the other
 * has stored before.
 */
static bool arm_shared(struct nvme_queue *queue)
{
    struct nvme_cycle *cycle = &queue->controller->cycle;

    nvme_source_wake(queue);
    if (nvme_queue_ready(queue) || nvme_hybrid_spin(queue)) {
        return false;
    }
    queue->wait.slept = true;
    /* Without requests nobody wakes it, and it keeps nobody from polling. */
    if (nvme_hybrid_outstanding(queue)) {
        queue->wait.listed = true;
        __atomic_fetch_or(&cycle->sleepers, nvme_queue_bit(queue), __ATOMIC_ACQ_REL);
        if ((NVME_PEEK(&queue->source->closed) & NVME_CLOSED_POLLED) != 0) {
            nvme_shared_turn(queue);
        }
    }
    return !nvme_queue_ready(queue);
}

/* Hybrid mode: an entry that is ready, or soon will be, is polled for; else the source opens. */
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

bool nvme_queue_arm(struct nvme_queue *queue)
{
    enum nvme_mode mode = nvme_queue_mode_load(queue);

    if (mode == NVME_MODE_POLL || !nvme_controller_live(queue->controller)) {
        return false;
    }
    /* In interrupt mode the source is open all the time: no register to write. wait.pml, SPIN. */
    if (mode == NVME_MODE_INTERRUPT) {
        return !nvme_queue_ready(queue);
    }
    return nvme_queue_shares(queue) ? arm_shared(queue) : arm_hybrid(queue);
}
