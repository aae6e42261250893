// SPDX-License-Identifier: MIT
/*
 * Service of an INTx line: mask, drain everything on it, open it again.
 *
 * The line is a level, but an interrupt controller may latch only its edges (QEMU's PLIC) or send a
 * high level again (the PLIC specification). Masking the source while it is drained is right for
 * both: INTMC raises the line anew if anything is left. engine/DESIGN.md, Interrupts; that nothing
 * is lost on any of them is shown by tests/spin/line.pml.
 */
#include "nvme_internal.h"

void nvme_irq_enter(struct nvme_controller *controller)
{
    nvme_interrupt_mask(controller);
    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        if (controller->queues[i].interrupts) {
            controller->queues[i].counters.interrupts++;
        }
    }
}

/* A claim that found nothing on the line: normal now and then, a storm when it goes on. */
static void count_empty(struct nvme_controller *controller)
{
    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        if (controller->queues[i].interrupts) {
            controller->queues[i].counters.spurious++;
        }
    }
    if (++controller->empty_claims >= NVME_STORM_CLAIMS && !controller->masked) {
        controller->masked = true;
        nvme_event_emit(&controller->config, &(struct nvme_event){
                                                 .kind = NVME_EVENT_INTERRUPT_STORM,
                                                 .value = controller->empty_claims,
                                             });
    }
}

void nvme_irq_exit(struct nvme_controller *controller, uint32_t found)
{
    if (found != 0) {
        controller->empty_claims = 0;
    } else {
        count_empty(controller);
    }
    nvme_interrupt_unmask(controller);
}

/* A look costs less than the service of an empty queue. */
static inline uint32_t drain_queue(struct nvme_queue *queue)
{
    return nvme_queue_ready(queue) ? nvme_queue_service(queue, queue->depth_entries) : 0;
}

/* Every completion queue of the controller that holds its line up, admin too. */
static uint32_t drain(struct nvme_controller *controller)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        struct nvme_queue *queue = &controller->queues[i];

        if (queue->interrupts) {
            found += drain_queue(queue);
        }
    }
    return found + drain_queue(&controller->admin);
}

uint32_t nvme_irq_service(struct nvme_controller *const *controllers, uint32_t count)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        nvme_irq_enter(controllers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        found += drain(controllers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        nvme_irq_exit(controllers[i], found);
    }
    return found;
}
