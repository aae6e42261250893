// SPDX-License-Identifier: MIT
/*
 * The platform-level interrupt controller, PLIC 1.0.0: priorities at 0, pending bits at 0x1000,
 * enable bits at 0x2000, contexts at 0x200000. One claim per trap.
 * Enables never change between claim and complete: QEMU drops the completion of a source that is
 * not enabled (hw/intc/sifive_plic.c, seen in 7.2), and the specification leaves it open.
 */
#include <stddef.h>

#include "fence.h"
#include "wired_internal.h"

enum {
    PLIC_PENDING = 0x1000,
    PLIC_ENABLE = 0x2000,
    PLIC_ENABLE_STRIDE = 0x80,
    PLIC_CONTEXT = 0x200000,
    PLIC_CONTEXT_STRIDE = 0x1000,
    PLIC_CLAIM = 4,
};

static volatile uint32_t *enable_word(const struct wired_controller *controller, uint32_t context,
                                      unsigned word)
{
    return wired_register(controller, PLIC_ENABLE + (uintptr_t)context * PLIC_ENABLE_STRIDE +
                                          (uintptr_t)word * 4);
}

static volatile uint32_t *priority_register(const struct wired_controller *controller,
                                            unsigned source)
{
    return wired_register(controller, 4 * (uintptr_t)source);
}

static uint64_t plic_extent(uint32_t context)
{
    return PLIC_CONTEXT + ((uint64_t)context + 1) * PLIC_CONTEXT_STRIDE;
}

static const char *plic_init(const struct wired_controller *controller)
{
    for (unsigned source = 1; source <= controller->source_count; source++) {
        *priority_register(controller, source) = 0;
    }
    return NULL;
}

/* The context has every source off and lets every priority through. */
static volatile uint32_t *plic_open(const struct wired_controller *controller, uint32_t context)
{
    volatile uint32_t *claim = wired_register(
        controller, PLIC_CONTEXT + (uintptr_t)context * PLIC_CONTEXT_STRIDE + PLIC_CLAIM);

    for (unsigned word = 0; word <= controller->source_count / 32; word++) {
        *enable_word(controller, context, word) = 0;
    }
    *(claim - 1) = 0; /* the threshold */
    return claim;
}

/*
 * Called by trap_entry.S. The fences keep the handler's accesses between claim and complete.
 * Nothing else orders the PLIC, the device and memory, which another hart may see at its next
 * claim. The complete of source 0 names no source and is ignored.
 */
static void plic_interrupt(void)
{
    const struct hart *self = hart_self();
    volatile int32_t *claim = self->interrupt_controller; /* signed: an index without extension */
    uint64_t source = (uint64_t)(int64_t)*claim;

    fence(i, iorw);
    if (source < WIRED_SOURCE_LIMIT) {
        const struct wired_table *table = self->interrupt_table;

        table->handlers[source].function(table->handlers[source].arg);
    }
    fence(iorw, o);
    *claim = (int32_t)source;
}

/* The machine configures the gateways. */
static void plic_configure(const struct wired_controller *controller, unsigned source,
                           uint32_t trigger)
{
    (void)controller;
    (void)source;
    (void)trigger;
}

static void plic_disconnect(const struct wired_controller *controller, unsigned source)
{
    for (unsigned index = 0; index < hart_count(); index++) {
        if (controller->contexts[index] != MACHINE_NONE) {
            *enable_word(controller, controller->contexts[index], source / 32) &=
                ~(1U << source % 32);
        }
    }
    *priority_register(controller, source) = 0;
}

static void plic_connect(const struct wired_controller *controller, unsigned source,
                         uint32_t context)
{
    *priority_register(controller, source) = 1;
    *enable_word(controller, context, source / 32) |= 1U << source % 32;
}

const struct wired_kind plic_kind = {
    .extent = plic_extent,
    .init = plic_init,
    .open = plic_open,
    .interrupt = plic_interrupt,
    .configure = plic_configure,
    .connect = plic_connect,
    .disconnect = plic_disconnect,
    .pending = PLIC_PENDING,
};
