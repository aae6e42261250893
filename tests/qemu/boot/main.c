// SPDX-License-Identifier: MIT
/*
 * The platform checks itself: machine, PCI, harts, IPIs, timer, wfi, PLIC, heap - no NVMe. Prints
 * what it found and one `ok` or `FAIL` line per check; exit status 0 or 1. Words of the command
 * line: trap=NAME provokes a fault (faults.c), exit=N ends with status N.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "harts.h"
#include "heap.h"
#include "irq.h"
#include "paging.h"
#include "pci.h"
#include "start.h"
#include "timer.h"
#include "timers.h"
#include "translation.h"
#include "wired.h"

#define FUNCTION_LIMIT 32
#define WAIT_LIMIT_NS 2000000000ULL
#define TICK_NS 1000000ULL
#define TURNS 200

static unsigned failures;

static void check(bool passed, const char *what)
{
    printf("%s %s\n", passed ? "ok" : "FAIL", what);
    failures += passed ? 0 : 1;
}

static void print_machine(const struct machine *m)
{
    printf("harts %u, timebase %" PRIu64 " Hz, boot hart id %" PRIu64 "\n", hart_count(),
           m->timebase_hz, hart_id(0));
    for (uint32_t i = 0; i < m->memory_count; i++) {
        printf("memory %" PRIx64 " + %" PRIx64 "\n", m->memory[i].base, m->memory[i].size);
    }
    for (uint32_t i = 0; i < m->reserved_count; i++) {
        printf("reserved %" PRIx64 " + %" PRIx64 "\n", m->reserved[i].base, m->reserved[i].size);
    }
    printf("heap %zu bytes left\n", heap_left());
    printf("uart %" PRIx64 " shift %" PRIu32 ", test device %" PRIx64 "\n", m->uart.base,
           m->uart_shift, m->test.base);
    for (uint32_t i = 0; i < m->wired_count; i++) {
        const struct machine_wired *wired = &m->wired[i];

        printf("%s %" PRIu32 ": %" PRIx64 " + %" PRIx64 ", sources %" PRIu32 "\n",
               wired->kind == MACHINE_PLIC ? "plic" : "aplic", i, wired->registers.base,
               wired->registers.size, wired->source_count);
    }
    printf("imsic identities %" PRIu32 "\n", m->imsic_identities);
    for (uint32_t i = 0; i < m->hart_count; i++) {
        printf("  hart id %" PRIu64 ": controller %" PRId32 ", context %" PRId32
               ", imsic file %" PRIx64 ", ipi register %" PRIx64 "\n",
               m->harts[i].id, (int32_t)m->harts[i].wired, (int32_t)m->harts[i].context,
               m->harts[i].imsic_file, m->harts[i].ipi_register);
    }
    for (uint32_t i = 0; i < m->pci_count; i++) {
        const struct machine_pci *host = &m->pci[i];

        printf("pci ecam %" PRIx64 " + %" PRIx64 ", buses %" PRIu32 " to %" PRIu32
               ", window32 %" PRIx64 " + %" PRIx64 ", window64 %" PRIx64 " + %" PRIx64 ", %" PRIu32
               " interrupt-map entries\n",
               host->ecam.base, host->ecam.size, host->bus_first, host->bus_last,
               host->window32.cpu, host->window32.size, host->window64.cpu, host->window64.size,
               host->route_count);
    }
}

/* True if two BARs of the list overlap. */
static bool bars_overlap(const struct pci_function *functions, unsigned count)
{
    const unsigned bars = count * PCI_BAR_COUNT;

    for (unsigned i = 0; i < bars; i++) {
        const struct pci_bar *a = &functions[i / PCI_BAR_COUNT].bars[i % PCI_BAR_COUNT];

        for (unsigned j = 0; j < i; j++) {
            const struct pci_bar *b = &functions[j / PCI_BAR_COUNT].bars[j % PCI_BAR_COUNT];

            if (a->base != 0 && b->base != 0 && a->base < b->base + b->size &&
                b->base < a->base + a->size) {
                return true;
            }
        }
    }
    return false;
}

static void print_function(const struct pci_function *f)
{
    printf("pci %02x:%02x.%u %04x:%04x class %06" PRIx32 " type %u irq source %" PRIu32
           " msix at %02x\n",
           f->bus, f->device, f->function, f->vendor, f->device_id, f->class_code, f->header_type,
           f->irq.source, pci_find_capability(f, 0x11));
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        if (f->bars[bar].size != 0) {
            printf("  bar %u: %" PRIx64 " + %" PRIx64 "%s\n", bar, f->bars[bar].base,
                   f->bars[bar].size, (f->bars[bar].flags & NVME_PCI_BAR_64) != 0 ? " 64-bit" : "");
        }
    }
}

/* Through BAR 0 of an NVMe controller the version register answers, which proves the whole way. */
static void check_pci(void)
{
    static struct pci_function functions[FUNCTION_LIMIT];
    unsigned count = pci_scan(machine_get(), functions, FUNCTION_LIMIT);
    unsigned kept = count < FUNCTION_LIMIT ? count : FUNCTION_LIMIT;

    for (unsigned i = 0; i < kept; i++) {
        const struct pci_function *f = &functions[i];

        print_function(f);
        if (f->class_code == PCI_CLASS_NVME) {
            uint32_t version;

            pci_enable(f);
            version = *(volatile uint32_t *)(uintptr_t)(f->bars[0].base + 8);
            printf("  memory-mapped version register %08" PRIx32 "\n", version);
            check(version >> 16 >= 1 && version >> 16 <= 2, "pci: registers answer through BAR 0");
            check(f->irq.source != 0, "pci: the pin has an interrupt source");
        }
    }
    check(count <= FUNCTION_LIMIT, "pci: all functions fit in the array");
    check(!bars_overlap(functions, kept), "pci: no BARs overlap");
}

static atomic_uint visits[HART_LIMIT];
static atomic_uint ipis[HART_LIMIT];

static void visit(void *arg, unsigned index)
{
    const char *text = arg;

    atomic_fetch_add(&visits[index], 1);
    if (text != NULL) {
        printf("hart %u (id %" PRIu64
               ") says %s, a line long enough to be torn if lines could be\n",
               index, hart_id(index), text);
    }
    if (index != hart_index() || !irq_enabled() || csr_read(satp) != paging_satp) {
        atomic_fetch_add(&visits[index], 1000000);
    }
}

static void check_harts(void)
{
    unsigned wrong = 0;

    check(harts_run(hart_count(), visit, (void *)"hello"), "harts: all run");
    for (unsigned turn = 1; turn < TURNS; turn++) {
        harts_run(hart_count(), visit, NULL);
    }
    for (unsigned i = 0; i < hart_count(); i++) {
        wrong += visits[i] != TURNS ? 1 : 0;
    }
    check(wrong == 0, "harts: each ran every turn, knows its index, interrupts on, satp set");
    check(!harts_run(hart_count() + 1, visit, NULL), "harts: too many are refused");
    check(harts_run(1, visit, NULL), "harts: one alone runs");
}

static void ipi_taken(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* What the IPI is about is in memory: the platform wakes harts by the same interrupt. */
static atomic_uint mail[HART_LIMIT];

static void read_mail(void *arg)
{
    unsigned index = hart_index();

    (void)arg;
    if (atomic_exchange(&mail[index], 0) != 0) {
        atomic_fetch_add(&ipis[index], 1);
    }
}

static void attach_mail(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    hart_attach_ipi(read_mail, NULL);
}

static void tick(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Each hart mails and IPIs its successor and sleeps until its own mail; the timer bounds it. */
static void ring(void *arg, unsigned index)
{
    unsigned next = (index + 1) % hart_count();
    atomic_uint expired = 0;

    (void)arg;
    timer_start(WAIT_LIMIT_NS, tick, &expired);
    atomic_store(&mail[next], 1);
    hart_send_ipi(next);
    irq_disable();
    while (atomic_load(&ipis[index]) == 0 && atomic_load(&expired) == 0) {
        hart_wait();
        irq_enable();
        irq_disable();
    }
    irq_enable();
    timer_stop();
}

static void check_ipis(void)
{
    unsigned missing = 0;

    harts_run(hart_count(), attach_mail, NULL);
    harts_run(hart_count(), ring, NULL);
    for (unsigned i = 0; i < hart_count(); i++) {
        missing += atomic_load(&ipis[i]) != 1 ? 1 : 0;
    }
    check(missing == 0, "ipi: every hart was ipi_taken once by its neighbour and woke from wfi");
}

/* A pending interrupt ends wfi although interrupts are off, and is taken only after irq_enable. */
static void check_wait(void)
{
    bool early;

    hart_attach_ipi(ipi_taken, &ipis[0]);
    irq_disable();
    atomic_store(&ipis[0], 0);
    hart_send_ipi(0);
    hart_wait();
    early = atomic_load(&ipis[0]) != 0;
    irq_enable();
    check(!early && atomic_load(&ipis[0]) == 1, "wfi: wakes with interrupts off, taken afterwards");
}

/* The console's own interrupt (16550: transmitter empty, IER bit 1) can be made here. */
enum { UART_IER = 1, UART_IER_TRANSMIT = 2 };

static atomic_uint uart_hart; /* index + 1 of the hart that took it */

static volatile uint8_t *uart_ier(void)
{
    const struct machine *m = machine_get();

    return (volatile uint8_t *)(uintptr_t)(m->uart.base + ((uint64_t)UART_IER << m->uart_shift));
}

static void uart_interrupt(void *arg)
{
    (void)arg;
    *uart_ier() = 0;
    atomic_store(&uart_hart, hart_index() + 1);
}

/* Hart 0 makes the interrupt; each hart in turn is the one it is routed to. */
static void check_wires(void)
{
    struct machine_interrupt irq = machine_get()->uart_interrupt;
    unsigned wrong = 0;

    if (!wired_usable(irq)) {
        return;
    }
    wired_attach(irq, uart_interrupt, NULL);
    for (unsigned i = 0; i < 4 * hart_count(); i++) {
        unsigned target = i % hart_count();
        uint64_t deadline_ns = time_now_ns() + WAIT_LIMIT_NS;

        if (!wired_reaches(irq, target)) {
            continue;
        }
        atomic_store(&uart_hart, 0);
        wired_route(irq, target);
        *uart_ier() = UART_IER_TRANSMIT;
        while (atomic_load(&uart_hart) == 0 && time_now_ns() < deadline_ns) {
            timer_pause(TICK_NS);
        }
        wrong += atomic_load(&uart_hart) == target + 1 ? 0 : 1;
    }
    check(wrong == 0, "wires: a source reaches the hart it is routed to");
    atomic_store(&uart_hart, 0);
    wired_disable(irq);
    *uart_ier() = UART_IER_TRANSMIT;
    timer_pause(TICK_NS);
    check(atomic_load(&uart_hart) == 0, "wires: a disabled source reaches nobody");
    *uart_ier() = 0;
    wired_detach(irq);
}

static void check_heap(void)
{
    size_t mark = heap_mark();
    size_t left = heap_left();
    uint8_t *first = heap_take(100, 8);
    uint8_t *page = heap_take(8192, 4096);

    check(first != NULL && page != NULL && (uintptr_t)page % 4096 == 0 && page >= first + 100,
          "heap: aligned and apart");
    if (page == NULL) {
        return;
    }
    memset(page, 0xa5, 8192);
    heap_release(mark);
    check(heap_left() == left && heap_take(100, 8) == first, "heap: released to the mark");
    page = heap_take(8192, 4096);
    check(page != NULL && page[0] == 0 && page[8191] == 0, "heap: zeroed again");
    check(heap_take(SIZE_MAX, 8) == NULL && heap_take(left, 4096) == NULL, "heap: NULL when full");
    heap_release(mark);
}

static void check_print(void)
{
    char text[100];

    snprintf(text, sizeof(text), "%llu %" PRIu64 " %lx %zu", 18446744073709551615ULL, UINT64_MAX,
             0x123456789abcdef0UL, (size_t)1 << 40);
    check(strcmp(text,
                 "18446744073709551615 18446744073709551615 123456789abcdef0 1099511627776") == 0,
          "print: 64-bit numbers");
}

int main(int argc, char **argv)
{
    printf("boot check: %d words:", argc);
    for (int i = 0; i < argc; i++) {
        printf(" %s", argv[i]);
    }
    printf("\n");
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "trap=", 5) == 0) {
            fault_provoke(argv[i] + 5);
            check(false, "trap: the provoked fault came back, or its name is unknown");
        } else if (strncmp(argv[i], "exit=", 5) == 0) {
            return (int)strtol(argv[i] + 5, NULL, 10);
        }
    }
    print_machine(machine_get());
    check_print();
    check_heap();
    translation_check(check);
    check_pci();
    check_harts();
    check_ipis();
    timers_check(check);
    check_wait();
    check_wires();
    check(wired_unexpected_count() == 0, "wires: no unexpected interrupt");
    printf("late arrivals at the boot entry: %u\n", harts_late_arrivals());
    printf("%u failed\n", failures);
    return failures == 0 ? 0 : 1;
}
