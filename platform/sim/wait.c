// SPDX-License-Identifier: MIT
/*
 * What the port cannot see: hybrid mode begins a new wait, or has timed one. No call of the port
 * tells it from a look, so this one function is counted where it is called (--wrap of the linker).
 */
#include "cost.h"
#include "harts.h"
#include "nvme_internal.h"

bool __real_nvme_hybrid_spin(struct nvme_queue *queue);
bool __wrap_nvme_hybrid_spin(struct nvme_queue *queue);

bool __wrap_nvme_hybrid_spin(struct nvme_queue *queue)
{
    bool spins;
    uint64_t from_ns = queue->wait.from_ns;

    if (nvme_queue_consumed(queue) != queue->wait.consumed) {
        hart_charge(COST_WAIT);
    }
    spins = __real_nvme_hybrid_spin(queue);
    if (queue->wait.from_ns != from_ns) {
        hart_charge(COST_TIMED);
    }
    return spins;
}
