// SPDX-License-Identifier: MIT
/*
 * Threads route sources under a lock. The interrupt paths of the kinds read a table without a lock.
 */
#include "wired.h"

#include <stddef.h>

#include "csr.h"
#include "fence.h"
#include "heap.h"
#include "irq.h"
#include "trap.h"
#include "wired_internal.h"

static struct {
    struct wired_controller controllers[MACHINE_WIRED_LIMIT];
    unsigned count; /* 0: not set up */
    bool routing;
    uint64_t unexpected;
    uint64_t empty;
} wired;

/* The handler of a source that has none. */
static void count_unexpected(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&wired.unexpected, 1, __ATOMIC_RELAXED);
}

/* Source 0: nothing was pending. */
static void count_empty(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&wired.empty, 1, __ATOMIC_RELAXED);
}

/*
 * ---- Start-up ---------------------------------------------------------------------------------
 */

/* Stores the context of each hart that controller `number` reaches. False: one lies outside. */
static bool find_contexts(const struct machine *machine, unsigned number)
{
    struct wired_controller *controller = &wired.controllers[number];

    for (unsigned index = 0; index < HART_LIMIT; index++) {
        controller->contexts[index] = MACHINE_NONE;
    }
    for (uint32_t i = 0; i < machine->hart_count; i++) {
        const struct machine_hart *hart = &machine->harts[i];
        unsigned index = 0;

        while (index < hart_count() && hart_id(index) != hart->id) {
            index++;
        }
        if (index == hart_count() || hart->wired != number) {
            continue;
        }
        if (controller->kind->extent(hart->context) > machine->wired[number].registers.size) {
            return false;
        }
        controller->contexts[index] = hart->context;
    }
    return true;
}

static const char *init_controller(const struct machine *machine, unsigned number)
{
    const struct machine_wired *found = &machine->wired[number];
    struct wired_controller *controller = &wired.controllers[number];

    if (found->source_count == 0 || found->source_count >= WIRED_SOURCE_LIMIT) {
        return "interrupts: a controller's riscv,ndev or riscv,num-sources is 0 or above 1023";
    }
    *controller = (struct wired_controller){
        .kind = found->kind == MACHINE_PLIC ? &plic_kind : &aplic_kind,
        .base = (uintptr_t)found->registers.base,
        .source_count = found->source_count,
        .table = heap_take(sizeof(struct wired_table), 16),
    };
    if (!find_contexts(machine, number)) {
        return "interrupts: a hart's context lies outside its controller's registers";
    }
    if (controller->table == NULL) {
        return "interrupts: no memory for the table of handlers";
    }
    for (unsigned source = 0; source < WIRED_SOURCE_LIMIT; source++) {
        controller->table->handlers[source].function = source == 0 ? count_empty : count_unexpected;
    }
    return controller->kind->init(controller);
}

/* On each hart, for the controller that reaches it. */
static void open_hart(void *arg, unsigned index)
{
    struct hart *hart = hart_self();

    (void)arg;
    for (unsigned i = 0; i < wired.count; i++) {
        const struct wired_controller *controller = &wired.controllers[i];
        uint32_t context = controller->contexts[index];

        if (context != MACHINE_NONE) {
            hart->interrupt_controller =
                (void *)(uintptr_t)controller->kind->open(controller, context);
            hart->interrupt_table = controller->table;
            trap_attach_external(index, controller->kind->interrupt);
            csr_set(sie, CSR_SIE_EXTERNAL);
        }
    }
}

const char *wired_init(const struct machine *machine)
{
    for (unsigned i = 0; i < machine->wired_count; i++) {
        const char *error = init_controller(machine, i);

        if (error != NULL) {
            return error;
        }
    }
    wired.count = machine->wired_count;
    return harts_run(hart_count(), open_hart, NULL) ? NULL : "interrupts: a hart did not start";
}

/*
 * ---- Routing ----------------------------------------------------------------------------------
 */

bool wired_usable(struct machine_interrupt irq)
{
    return irq.wired < wired.count && irq.source != 0 &&
           irq.source <= wired.controllers[irq.wired].source_count;
}

bool wired_reaches(struct machine_interrupt irq, unsigned hart_index)
{
    return wired_usable(irq) && hart_index < hart_count() &&
           wired.controllers[irq.wired].contexts[hart_index] != MACHINE_NONE;
}

bool wired_serves(unsigned hart_index)
{
    for (unsigned i = 0; i < wired.count; i++) {
        if (wired_reaches((struct machine_interrupt){.wired = i, .source = 1}, hart_index)) {
            return true;
        }
    }
    return false;
}

static const struct wired_controller *controller_of(struct machine_interrupt irq)
{
    if (!wired_usable(irq)) {
        panic("interrupts: no such source (0, too high, or of a controller that is not driven)");
    }
    return &wired.controllers[irq.wired];
}

static uint64_t lock_routes(void)
{
    uint64_t saved = irq_save();

    while (__atomic_test_and_set(&wired.routing, __ATOMIC_ACQUIRE)) {
        /* Bounded: the owner of the lock runs the few lines below with interrupts off. */
    }
    /* The lock orders only memory: the fences keep register accesses inside it. */
    fence(rw, io);
    return saved;
}

static void unlock_routes(uint64_t saved)
{
    fence(io, rw);
    __atomic_clear(&wired.routing, __ATOMIC_RELEASE);
    irq_restore(saved);
}

void wired_attach(struct machine_interrupt irq, void (*handler)(void *arg), void *arg)
{
    const struct wired_controller *controller = controller_of(irq);
    struct wired_handler *place = &controller->table->handlers[irq.source];
    uint64_t saved = lock_routes();

    controller->kind->configure(controller, irq.source, irq.trigger);
    place->arg = arg;
    place->function = handler;
    fence(rw, orw); /* the table before the enable */
    unlock_routes(saved);
}

void wired_route(struct machine_interrupt irq, unsigned hart_index)
{
    const struct wired_controller *controller = controller_of(irq);
    uint64_t saved;

    if (!wired_reaches(irq, hart_index)) {
        panic("interrupts: the source's controller does not reach that hart");
    }
    saved = lock_routes();
    controller->kind->disconnect(controller, irq.source);
    controller->kind->connect(controller, irq.source, controller->contexts[hart_index]);
    unlock_routes(saved);
}

void wired_disable(struct machine_interrupt irq)
{
    const struct wired_controller *controller = controller_of(irq);
    uint64_t saved = lock_routes();

    controller->kind->disconnect(controller, irq.source);
    unlock_routes(saved);
}

void wired_detach(struct machine_interrupt irq)
{
    wired_disable(irq);
    controller_of(irq)->table->handlers[irq.source] =
        (struct wired_handler){count_unexpected, NULL};
}

bool wired_pending(struct machine_interrupt irq)
{
    const struct wired_controller *controller = controller_of(irq);
    uintptr_t offset = controller->kind->pending + irq.source / 32 * 4;

    return (*wired_register(controller, offset) >> irq.source % 32 & 1) != 0;
}

uint64_t wired_unexpected_count(void)
{
    return __atomic_load_n(&wired.unexpected, __ATOMIC_RELAXED);
}

uint64_t wired_empty_count(void)
{
    return __atomic_load_n(&wired.empty, __ATOMIC_RELAXED);
}
