// SPDX-License-Identifier: MIT
/*
 * What the port cannot see: a submit that leaves its doorbell to a reap, a reap that leaves its own
 * to a later one, and hybrid mode's waits, which begin or read the clock. No call of the port tells
 * of them, so these three functions are counted where they are called (--wrap of the linker).
 */
#include "cost.h"
#include "harts.h"
#include "nvme_internal.h"
#include "profile.h"

void __real_nvme_queue_submit(struct nvme_queue *queue);
void __wrap_nvme_queue_submit(struct nvme_queue *queue);

void __wrap_nvme_queue_submit(struct nvme_queue *queue)
{
    hart_charge(queue->clocked ? COST_CLOCKED : COST_SUBMIT);
    __real_nvme_queue_submit(queue);
    hart_self()->looks = 0; /* a clocked submit looks too, and waits for nothing */
}

uint32_t __real_nvme_queue_reap(struct nvme_queue *queue, uint32_t budget);
uint32_t __wrap_nvme_queue_reap(struct nvme_queue *queue, uint32_t budget);

uint32_t __wrap_nvme_queue_reap(struct nvme_queue *queue, uint32_t budget)
{
    uint64_t before = nvme_queue_consumed(queue);
    uint32_t found = __real_nvme_queue_reap(queue, budget);

    if (nvme_queue_consumed(queue) != before) {
        hart_charge(COST_REAPED + (uint32_t)the_profile.program_reap);
    }
    return found;
}

bool __real_nvme_hybrid_spin(struct nvme_queue *queue);
bool __wrap_nvme_hybrid_spin(struct nvme_queue *queue);

bool __wrap_nvme_hybrid_spin(struct nvme_queue *queue)
{
    bool spins;
    uint64_t until_ns = queue->wait.until_ns;

    if (nvme_queue_consumed(queue) != queue->wait.consumed) {
        hart_charge(COST_WAIT);
    }
    spins = __real_nvme_hybrid_spin(queue);
    if (queue->wait.until_ns != until_ns && queue->wait.until_ns != 0) {
        hart_charge(COST_TIMED);
    }
    return spins;
}
