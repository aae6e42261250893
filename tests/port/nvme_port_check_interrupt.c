// SPDX-License-Identifier: MIT
#include "nvme.h"
#include "nvme_hal.h"
#include "nvme_port_check.h"

static void end_request(void *ended, struct nvme_result result)
{
    (void)result; /* whatever became of it, it had an interrupt */
    *(volatile bool *)ended = true;
}

/* The watchdog finds the entry of a lost interrupt, and ends the request at its deadline. */
static void await_end(struct nvme_queue *queue, const volatile bool *ended)
{
    while (!*ended) {
        uint64_t next_ns = hal_now_ns() + NVME_WATCHDOG_PERIOD_NS;
        unsigned long irq;

        while (!*ended && hal_now_ns() < next_ns) {
            hal_relax();
        }
        irq = hal_irq_save();
        nvme_queue_watchdog(queue, hal_now_ns());
        hal_irq_restore(irq);
    }
}

bool nvme_port_check_interrupt(const struct nvme_port_check *check, struct nvme_queue *queue,
                               const struct nvme_namespace *ns)
{
    enum nvme_port_verdict verdict = hal_irq_is_off() ? NVME_PORT_UNKNOWN : NVME_PORT_BAD;
    volatile bool ended = false;
    struct nvme_counters before;
    struct nvme_counters after;

    nvme_queue_count(queue, &before);
    if (nvme_flush(queue, ns, (struct nvme_callback){end_request, (void *)&ended}) == NVME_OK) {
        nvme_queue_submit(queue);
        await_end(queue, &ended);
    }
    nvme_queue_count(queue, &after);
    if (after.interrupts != before.interrupts) {
        verdict = NVME_PORT_GOOD;
    }
    check->report(check->arg, "interrupt", "comes", verdict);
    return verdict != NVME_PORT_BAD;
}
