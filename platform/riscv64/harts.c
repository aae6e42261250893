// SPDX-License-Identifier: MIT
/*
 * The table of harts, their start through SBI HSM and the runs of harts_run().
 * A run: hart 0 publishes the work and a new run word and sends IPIs; each hart sees the word, runs
 * and counts itself out; the last one wakes hart 0. The word holds the number of harts too, so that
 * a hart that is late and no part of a run never reads more.
 */
#include "harts.h"

#include <inttypes.h>
#include <stdio.h>

#include "board.h"
#include "heap.h"
#include "sbi.h"
#include "timer.h"
#include "trap.h"

_Static_assert(offsetof(struct hart, index) == HART_INDEX, "hart_layout.h");
_Static_assert(offsetof(struct hart, trap_stack_top) == HART_TRAP_STACK_TOP, "hart_layout.h");
_Static_assert(offsetof(struct hart, trap_canary) == HART_TRAP_CANARY, "hart_layout.h");
_Static_assert(offsetof(struct hart, external) == HART_EXTERNAL, "hart_layout.h");
_Static_assert(offsetof(struct hart, stack_top) == HART_STACK_TOP, "hart_layout.h");
_Static_assert(offsetof(struct hart, id) == HART_ID, "hart_layout.h");
_Static_assert(sizeof(harts) == 1UL << HART_ARRAY_SHIFT, "hart_layout.h");

/*
 * The time that a hart may take to start, and the period of hart 0's looks. Hart 0 sleeps in
 * between: an emulator that runs the harts in turn (-icount) would starve the starting hart.
 */
#define HART_START_TIMEOUT_NS 10000000000ULL
#define HART_LOOK_NS 100000ULL

_Alignas(64) struct hart harts[HART_LIMIT];

static unsigned count_of_harts = 1;
static unsigned started = 1; /* harts 0 to started - 1 run */

#define RUN_COUNT_BITS 8

/* The current run. Written by hart 0 while no hart is in one. */
static struct {
    void (*function)(void *arg, unsigned index);
    void *arg;
    uint64_t word;    /* number of the run << RUN_COUNT_BITS | number of harts; 0: none yet */
    uint32_t running; /* harts still in it */
    uint32_t asked;   /* secondaries whose start the firmware has confirmed */
    uint32_t alive;   /* those that have gone on after that */
} run;

/* Called from assembly and from trap_entry.S only. */
_Noreturn void hart_main(void);
void hart_ipi_interrupt(void);
_Noreturn void boot_enter_stack(void (*function)(void));
extern const char boot_secondary_entry[];
extern uint32_t boot_arrivals; /* boot.S */

const char *harts_init(uint64_t boot_id, const uint64_t *ids, unsigned count)
{
    unsigned next = 1;
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        if (ids[i] == boot_id) {
            found++;
        } else if (next < HART_LIMIT) {
            harts[next].id = ids[i];
            harts[next].index = next;
            next++;
        }
    }
    if (found != 1) {
        return "the hart that booted is not in the tree, or more than once";
    }
    harts[0].id = boot_id;
    count_of_harts = next;
    for (unsigned index = 0; index < HART_LIMIT; index++) {
        trap_attach_external(index, NULL);
    }
    csr_set(sie, CSR_SIE_SOFTWARE);
    return NULL;
}

unsigned hart_count(void)
{
    return count_of_harts;
}

uint64_t hart_id(unsigned index)
{
    return index < count_of_harts ? harts[index].id : UINT64_MAX;
}

uint64_t hart_idle_ns(unsigned index)
{
    if (index >= count_of_harts) {
        return 0;
    }
    return time_ns_from_ticks(__atomic_load_n(&harts[index].idle_ticks, __ATOMIC_RELAXED));
}

unsigned harts_late_arrivals(void)
{
    return __atomic_load_n(&boot_arrivals, __ATOMIC_RELAXED) - 1;
}

void hart_park(void)
{
    irq_disable();
    for (;;) {
        __asm__ volatile("wfi");
    }
}

/*
 * OpenSBI (seen in 1.1) answers "invalid parameter" for a hart that is still inside the firmware:
 * ask again until the deadline.
 */
static struct sbi_result request_start(const struct hart *hart, uint64_t deadline_ns)
{
    struct sbi_result result;

    for (;;) {
        result = sbi_hart_start(hart->id, (uint64_t)(uintptr_t)boot_secondary_entry,
                                (uint64_t)(uintptr_t)hart);
        if (result.error != SBI_ERROR_INVALID_PARAMETER || time_now_ns() >= deadline_ns) {
            return result;
        }
        timer_pause(HART_LOOK_NS);
    }
}

/* False: the reason was printed. */
static bool take_stacks(struct hart *hart)
{
    uint8_t *stack = heap_take(HART_STACK_BYTES + HART_TRAP_STACK_BYTES, 16);

    if (stack == NULL) {
        printf("harts: no memory for the stack of hart %u\n", hart->index);
        return false;
    }
    hart->stack_top = (uint64_t)(uintptr_t)(stack + HART_STACK_BYTES);
    hart->trap_stack_top = hart->stack_top + HART_TRAP_STACK_BYTES;
    return true;
}

void hart_change_stacks(void (*function)(void))
{
    if (!take_stacks(hart_self())) {
        machine_exit(1);
    }
    boot_enter_stack(function);
}

/* False: the reason was printed. */
static bool start_hart(struct hart *hart)
{
    uint64_t deadline_ns = time_now_ns() + HART_START_TIMEOUT_NS;
    unsigned alive = __atomic_load_n(&run.alive, __ATOMIC_SEQ_CST);
    struct sbi_result result;

    if (hart->stack_top == 0 && !take_stacks(hart)) {
        return false;
    }
    hart->work_seen = __atomic_load_n(&run.word, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    result = request_start(hart, deadline_ns);
    if (result.error != 0) {
        printf("harts: hart %u (id %" PRIu64 ") does not start: %s\n", hart->index, hart->id,
               sbi_error_text(result.error));
        return false;
    }
    /* Pairs with the load in hart_main. */
    __atomic_store_n(&run.asked, hart->index, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&run.alive, __ATOMIC_SEQ_CST) == alive) {
        if (time_now_ns() > deadline_ns) {
            printf("harts: hart %u (id %" PRIu64 ") was started and said nothing for %llu ns\n",
                   hart->index, hart->id, HART_START_TIMEOUT_NS);
            return false;
        }
        timer_pause(HART_LOOK_NS);
    }
    return true;
}

bool harts_run(unsigned count, void (*function)(void *arg, unsigned index), void *arg)
{
    uint64_t number;

    if (count == 0 || count > count_of_harts) {
        printf("harts: %u harts are to run, there are %u\n", count, count_of_harts);
        return false;
    }
    for (; started < count; started++) {
        if (!start_hart(&harts[started])) {
            return false;
        }
    }
    run.function = function;
    run.arg = arg;
    __atomic_store_n(&run.running, count, __ATOMIC_SEQ_CST);
    number = (__atomic_load_n(&run.word, __ATOMIC_SEQ_CST) >> RUN_COUNT_BITS) + 1;
    /* Pairs with the load in hart_main. */
    __atomic_store_n(&run.word, number << RUN_COUNT_BITS | count, __ATOMIC_SEQ_CST);
    for (unsigned index = 1; index < count; index++) {
        hart_send_ipi(index);
    }
    function(arg, 0);
    __atomic_fetch_sub(&run.running, 1, __ATOMIC_SEQ_CST);

    irq_disable();
    while (__atomic_load_n(&run.running, __ATOMIC_SEQ_CST) != 0) {
        /* Bounded by the functions of the other harts. */
        hart_wait();
        irq_enable();
        irq_disable();
    }
    irq_enable();
    return true;
}

/*
 * A secondary's life. It sleeps with interrupts off between the look and wfi, so that the IPI of a
 * new run is not lost; a run it is no part of is only noted.
 */
void hart_main(void)
{
    struct hart *self = hart_self();

    csr_set(sie, CSR_SIE_SOFTWARE);
    /*
     * OpenSBI (seen in 1.9, two sockets with IMSICs) may raise a software interrupt of M-mode again
     * after the start and handle it for ever. Such a hart never leaves this loop.
     */
    while (__atomic_load_n(&run.asked, __ATOMIC_SEQ_CST) < self->index) {
        /* Bounded by the firmware's answer to hart 0. */
    }
    __atomic_fetch_add(&run.alive, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint64_t word = __atomic_load_n(&run.word, __ATOMIC_SEQ_CST);

        if (word == self->work_seen) {
            hart_wait();
            irq_enable();
            irq_disable();
            continue;
        }
        self->work_seen = word;
        if (self->index >= (word & ((1U << RUN_COUNT_BITS) - 1))) {
            continue;
        }
        irq_enable();
        run.function(run.arg, self->index);
        irq_disable();
        if (__atomic_fetch_sub(&run.running, 1, __ATOMIC_SEQ_CST) == 1) {
            hart_send_ipi(0);
        }
    }
}

void hart_attach_ipi(void (*handler)(void *arg), void *arg)
{
    struct hart *self = hart_self();
    uint64_t saved = irq_save();

    self->ipi_handler = handler;
    self->ipi_arg = arg;
    irq_restore(saved);
}

static void send_by_firmware(unsigned index)
{
    struct sbi_result result = sbi_send_ipi(hart_id(index));

    if (result.error != 0) {
        panic("the firmware refused an inter-processor interrupt");
    }
}

static void (*ipi_sender)(unsigned index) = send_by_firmware;

void hart_set_ipi_sender(void (*send)(unsigned index))
{
    ipi_sender = send;
}

void hart_send_ipi(unsigned index)
{
    /*
     * The sender's earlier accesses, of devices too, come before the interrupt, which may itself be
     * a store to a device. Pairs with the fence in hart_take_ipi.
     */
    __asm__ volatile("fence iorw, iorw" ::: "memory");
    ipi_sender(index);
}

/*
 * Called by trap_entry.S. Clears the pending bit first: a later send makes a new interrupt. An IPI
 * may ask whether an interrupt was lost, so what is pending is handled before.
 */
void hart_ipi_interrupt(void)
{
    csr_clear(sip, CSR_SIE_SOFTWARE);
    if (csr_external_pending()) {
        trap_handle_external();
    }
    hart_take_ipi();
}

void hart_take_ipi(void)
{
    struct hart *self = hart_self();

    /*
     * The handler looks for its work after the pending bit was cleared, which is an output (o). A
     * sender that is too late for the look finds the bit clear and sets it again.
     */
    __asm__ volatile("fence iorw, iorw" ::: "memory");
    if (self->ipi_handler != NULL) {
        self->ipi_handler(self->ipi_arg);
    }
}
