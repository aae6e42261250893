// SPDX-License-Identifier: MIT
/*
 * Between wired.c (sources, harts, handlers) and the kinds of controllers (registers). A kind's
 * functions take no lock: all but interrupt() are called under the lock of wired.c, or before any
 * hart can be interrupted.
 */
#ifndef HARTQ_WIRED_INTERNAL_H
#define HARTQ_WIRED_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "harts.h"
#include "machine.h"

/* Both specifications end at source 1023. */
#define WIRED_SOURCE_LIMIT 1024

/* The handler of a source. Threads write it while the source is routed nowhere. */
struct wired_handler {
    void (*function)(void *arg);
    void *arg;
};

/*
 * The table of a controller's handlers; each hart has its controller's as interrupt_table. Every
 * source has a handler, also source 0, which means that nothing was pending.
 */
struct wired_table {
    struct wired_handler handlers[WIRED_SOURCE_LIMIT];
    uint32_t edges[WIRED_SOURCE_LIMIT / 32]; /* bit set: the source latches edges */
};

/* A controller. */
struct wired_controller {
    const struct wired_kind *kind;
    uintptr_t base;
    unsigned source_count; /* highest */
    struct wired_table *table;
    uint32_t contexts[HART_LIMIT]; /* by hart index; MACHINE_NONE: not reached */
};

/* A kind of controller. */
struct wired_kind {
    /* The bytes of registers up to the end of a context. */
    uint64_t (*extent)(uint32_t context);
    /* Turns every source off. NULL, or an error phrase. */
    const char *(*init)(const struct wired_controller *controller);
    /*
     * Enables every interrupt of a context, on its hart. Returns the interrupt_controller of
     * interrupt().
     */
    volatile uint32_t *(*open)(const struct wired_controller *controller, uint32_t context);
    /* The trap of external interrupts. */
    void (*interrupt)(void);
    /*
     * Sets the trigger of a source, enum machine_trigger. It is off, or has this trigger already.
     */
    void (*configure)(const struct wired_controller *controller, unsigned source, uint32_t trigger);
    /* Turns a source on, for this context alone. It is off. */
    void (*connect)(const struct wired_controller *controller, unsigned source, uint32_t context);
    /* Turns a source off. */
    void (*disconnect)(const struct wired_controller *controller, unsigned source);
    uintptr_t pending; /* offset of the registers with a pending bit per source */
};

extern const struct wired_kind plic_kind;
extern const struct wired_kind aplic_kind;

/* A 32-bit register of a controller. */
static inline volatile uint32_t *wired_register(const struct wired_controller *controller,
                                                uintptr_t offset)
{
    return (volatile uint32_t *)(controller->base + offset);
}

#endif
