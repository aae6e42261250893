// SPDX-License-Identifier: MIT
/*
 * What the port cannot see: hybrid mode's owner begins a new wait. No call of the port tells a new
 * wait from a look, so this one function is counted where it is called (--wrap of the linker).
 */
#include "cost.h"
#include "harts.h"
#include "nvme_internal.h"

bool __real_nvme_hybrid_spin(struct nvme_queue *queue);
bool __wrap_nvme_hybrid_spin(struct nvme_queue *queue);

bool __wrap_nvme_hybrid_spin(struct nvme_queue *queue)
{
    if (nvme_queue_consumed(queue) != queue->wait.consumed ||
        nvme_queue_posted(queue) != queue->wait.posted) {
        hart_charge(COST_WAIT);
    }
    return __real_nvme_hybrid_spin(queue);
}
