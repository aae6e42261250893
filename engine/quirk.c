// SPDX-License-Identifier: MIT
/*
 * Work-arounds for known deviations of devices, by PCI id. No other file of the engine writes what
 * the specification forbids, or depends on the product.
 *
 * QEMU (seen on 7.2): entries that are left unconsumed at CC.EN = 0 or at a machine reset leave its
 * count of busy queues too high. The line then never falls, and each INTMC raises an interrupt.
 * Writing an unchanged admin head decrements the count; another device may report an error. Remove
 * this when no QEMU in use counts so.
 */
#include "nvme_internal.h"

/* The line may fall some time after the register write that empties its queue. */
#define FALL_GRACE_NS UINT64_C(1000000)

enum { QUIRK_LINE_COUNT = 1 }; /* redundant head doorbells lower a line that is stuck */

/* A device with deviations. */
struct quirk {
    uint16_t vendor;
    uint16_t device;
    uint32_t flags;
};

static const struct quirk quirks[] = {
    {0x1b36, 0x0010, QUIRK_LINE_COUNT}, /* QEMU */
    {0x8086, 0x5845, QUIRK_LINE_COUNT}, /* QEMU with use-intel-id=on */
};

static bool has_quirk(const struct nvme_config *config, uint32_t flag)
{
    for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++) {
        if (quirks[i].vendor == config->pci_vendor && quirks[i].device == config->pci_device) {
            return (quirks[i].flags & flag) != 0;
        }
    }
    return false;
}

/* True if the line is low within the grace time. The last look comes after that time. */
static bool line_falls(const struct nvme_config *config)
{
    const volatile uint8_t *csts = (const volatile uint8_t *)config->registers + NVME_REG_CSTS;
    uint64_t start = hal_now_ns();
    bool expired = false;

    for (;;) {
        hal_arm_before_look(csts);
        if (!config->intx_level(config->hook_arg)) {
            return true;
        }
        if (expired) {
            return false;
        }
        expired = hal_now_ns() - start > FALL_GRACE_NS;
        hal_relax();
    }
}

void nvme_quirk_check_line(struct nvme_controller *controller)
{
    const struct nvme_config *config = &controller->config;
    struct nvme_event event = {.kind = NVME_EVENT_LINE_REPAIRED};
    unsigned long irq;
    bool high;

    if (config->intx_level == NULL || config->msix) {
        return;
    }
    irq = hal_irq_save();
    /* By hand: after a reset other reasons may close the line, and it is not live yet. */
    nvme_register_write(config, NVME_REG_INTMC, 1);
    high = !line_falls(config);
    /* A bounded number of tries: they would make a count that is too low worse. */
    while (high && has_quirk(config, QUIRK_LINE_COUNT) && event.value <= config->queue_count) {
        nvme_queue_ring_head_again(&controller->admin);
        event.value++;
        high = !line_falls(config);
    }
    nvme_register_write(config, NVME_REG_INTMS, 1);
    if (high) {
        NVME_POKE(&controller->line.closed, controller->line.closed | NVME_CLOSED_STUCK);
        NVME_POKE(&controller->line.mode, NVME_MODE_POLL);
    }
    hal_irq_restore(irq);
    controller->info.line_repairs = (uint32_t)event.value;
    /* Once for all: queues that a reset has found open went on polling. */
    controller->info.line_stuck = (controller->line.closed & NVME_CLOSED_STUCK) != 0;
    if (high) {
        event.kind = NVME_EVENT_LINE_STUCK;
    }
    if (high || event.value != 0) {
        nvme_event_emit(config, &event);
    }
}
