// SPDX-License-Identifier: MIT
// PLIC 1.0.0: priorities at 0, pending bits at 0x1000, enable bits at 0x2000, contexts at 0x200000.
// Routing is a thread's business and locked; the interrupt path reads two tables and takes no lock.
// Enables never change between claim and complete: QEMU drops the completion of a source that is
// not enabled (hw/intc/sifive_plic.c, seen in 7.2), and the specification leaves it open.
#include "plic.h"

#include <stdatomic.h>
#include <stddef.h>

#include "csr.h"
#include "harts.h"
#include "irq.h"
#include "trap.h"

enum {
    PLIC_PENDING = 0x1000,
    PLIC_ENABLE = 0x2000,
    PLIC_ENABLE_STRIDE = 0x80,
    PLIC_CONTEXT = 0x200000,
    PLIC_CONTEXT_STRIDE = 0x1000,
    PLIC_CLAIM = 4,
};

// What a source calls. Written in threads while the source is routed nowhere.
struct plic_handler {
    void (*function)(void *arg);
    void *arg;
};

static struct {
    struct plic_handler handlers[PLIC_SOURCE_LIMIT];
    uintptr_t base;
    unsigned source_count;                // highest source
    volatile uint32_t *claim[HART_LIMIT]; // by hart index; NULL: the hart has no context
    volatile uint32_t *enable[HART_LIMIT];
    atomic_flag routing;
    atomic_ulong unexpected;
    atomic_ulong empty;
} plic;

static volatile uint32_t *plic_register(uintptr_t offset)
{
    return (volatile uint32_t *)(plic.base + offset);
}

// The handler of a source that has none.
static void count_unexpected(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&plic.unexpected, 1, memory_order_relaxed);
}

// Source 0: nothing was pending. The complete that follows names no source and is ignored.
static void count_empty(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&plic.empty, 1, memory_order_relaxed);
}

// From trap.S. The fences keep the handler's accesses between claim and complete: the PLIC, the
// device and memory, which the next claim may see from another hart, are ordered by nothing else.
static void plic_interrupt(void)
{
    volatile uint32_t *claim = hart_self()->interrupt_controller;
    int source = (int)*claim; // signed: an index that needs no extension

    __asm__ volatile("fence i, iorw" ::: "memory");
    if ((unsigned)source < PLIC_SOURCE_LIMIT) {
        plic.handlers[source].function(plic.handlers[source].arg);
    }
    __asm__ volatile("fence iorw, o" ::: "memory");
    *claim = (uint32_t)source;
}

// On each hart: its context has every source off and lets every priority through.
static void open_context(void *arg, unsigned index)
{
    (void)arg;
    if (plic.claim[index] == NULL) {
        return;
    }
    for (unsigned word = 0; word <= plic.source_count / 32; word++) {
        plic.enable[index][word] = 0;
    }
    *(plic.claim[index] - 1) = 0; // the threshold, in front of claim
    hart_self()->interrupt_controller = (void *)(uintptr_t)plic.claim[index];
    csr_set(sie, CSR_SIE_EXTERNAL);
}

// Notes where the registers of each hart's S-mode context are. False: one lies outside.
static bool find_contexts(const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->hart_count; i++) {
        uint64_t context = machine->harts[i].plic_context;
        unsigned index = 0;

        while (index < hart_count() && hart_id(index) != machine->harts[i].id) {
            index++;
        }
        if (index == hart_count() || context == MACHINE_NO_CONTEXT) {
            continue;
        }
        if (PLIC_CONTEXT + (context + 1) * PLIC_CONTEXT_STRIDE > machine->plic.size) {
            return false;
        }
        plic.enable[index] = plic_register(PLIC_ENABLE + context * PLIC_ENABLE_STRIDE);
        plic.claim[index] =
            plic_register(PLIC_CONTEXT + context * PLIC_CONTEXT_STRIDE + PLIC_CLAIM);
    }
    return true;
}

const char *plic_init(const struct machine *machine)
{
    if (machine->plic_sources == 0 || machine->plic_sources >= PLIC_SOURCE_LIMIT) {
        return "plic: riscv,ndev is 0 or above 1023";
    }
    plic.base = (uintptr_t)machine->plic.base;
    plic.source_count = machine->plic_sources;
    if (!find_contexts(machine)) {
        return "plic: a context lies outside of its registers";
    }
    if (plic.claim[0] == NULL) {
        return "plic: the hart that booted has no S-mode context";
    }
    for (unsigned source = 0; source < PLIC_SOURCE_LIMIT; source++) {
        plic.handlers[source].function = source == 0 ? count_empty : count_unexpected;
    }
    for (unsigned source = 1; source <= plic.source_count; source++) {
        *plic_register(4 * (uintptr_t)source) = 0;
    }
    trap_attach_external(plic_interrupt);
    return harts_run(hart_count(), open_context, NULL) == 0 ? NULL : "plic: a hart did not start";
}

bool plic_present(void)
{
    return plic.source_count != 0;
}

unsigned plic_source_count(void)
{
    return plic.source_count;
}

static void check_source(unsigned source)
{
    if (source == 0 || source > plic.source_count) {
        panic("plic: no such source (0, above riscv,ndev, or no PLIC in this machine)");
    }
}

void plic_attach(unsigned source, void (*handler)(void *arg), void *arg)
{
    check_source(source);
    plic.handlers[source].arg = arg;
    plic.handlers[source].function = handler;
    __asm__ volatile("fence rw, orw" ::: "memory"); // before the enable that lets it run
}

// Takes the source from every hart, then gives it to hart `target`; NULL: to none.
static void route(unsigned source, const unsigned *target)
{
    uint32_t bit = 1U << source % 32;
    uint64_t saved = irq_save();

    while (atomic_flag_test_and_set_explicit(&plic.routing, memory_order_acquire)) {
        // Bounded: the holder runs the few lines below with interrupts off.
    }
    // The lock orders memory alone; the registers come behind it, and before its release.
    __asm__ volatile("fence rw, io" ::: "memory");
    for (unsigned index = 0; index < hart_count(); index++) {
        if (plic.enable[index] != NULL) {
            plic.enable[index][source / 32] &= ~bit;
        }
    }
    *plic_register(4 * (uintptr_t)source) = target != NULL ? 1 : 0;
    if (target != NULL) {
        plic.enable[*target][source / 32] |= bit;
    }
    __asm__ volatile("fence io, rw" ::: "memory");
    atomic_flag_clear_explicit(&plic.routing, memory_order_release);
    irq_restore(saved);
}

void plic_route(unsigned source, unsigned hart_index)
{
    check_source(source);
    if (hart_index >= hart_count() || plic.claim[hart_index] == NULL) {
        panic("plic: no such hart, or it has no S-mode context");
    }
    route(source, &hart_index);
}

void plic_disable(unsigned source)
{
    check_source(source);
    route(source, NULL);
}

void plic_detach(unsigned source)
{
    plic_disable(source);
    plic.handlers[source] = (struct plic_handler){count_unexpected, NULL};
}

bool plic_pending(unsigned source)
{
    check_source(source);
    return (*plic_register(PLIC_PENDING + (uintptr_t)source / 32 * 4) >> source % 32 & 1) != 0;
}

uint64_t plic_unexpected_count(void)
{
    return atomic_load_explicit(&plic.unexpected, memory_order_relaxed);
}

uint64_t plic_empty_count(void)
{
    return atomic_load_explicit(&plic.empty, memory_order_relaxed);
}
