// SPDX-License-Identifier: MIT
/*
 * Harts as coroutines, their order in virtual time, and the interrupts of the one that runs.
 * The earliest of the harts that are awake runs; events that are due before its time happen on its
 * stack. Between two points at which harts give way a hart's instructions cost time but nobody can
 * see where it is.
 */
#include "harts.h"

#include <stdio.h>

#include "board.h"
#include "cost.h"
#include "event.h"
#include "heap.h"
#include "profile.h"
#include "switch.h"
#include "trap.h"

enum { STACK_BYTES = 256 * 1024 };

struct harts the_harts;

/* The current call of harts_run. */
static struct {
    void (*function)(void *arg, unsigned index);
    void *arg;
    uint64_t round;
    unsigned count;
    unsigned running;
} run;

static void (*ipi_sender)(unsigned index);

static void hart_main(void);

/* The stacks are taken now: a program may release what it has taken later. */
bool harts_init(unsigned count)
{
    uint8_t *stacks = heap_take((size_t)count * STACK_BYTES, 16);

    if (stacks == NULL) {
        printf("harts: no memory for %u stacks\n", count);
        return false;
    }
    the_harts.count = count;
    the_harts.self = &the_harts.all[0];
    the_harts.others_steps = HART_NEVER;
    the_harts.instruction_steps = (the_profile.instruction_ps << HART_STEPS_SHIFT) / 1000;
    for (unsigned i = 0; i < count; i++) {
        the_harts.all[i] = (struct hart){
            .index = i,
            .asleep = i != 0,
            .running = i == 0,
            .enabled = CSR_SIE_SOFTWARE | CSR_SIE_EXTERNAL,
            .stack =
                i == 0 ? NULL : context_prepare(stacks + (size_t)(i + 1) * STACK_BYTES, hart_main),
        };
    }
    return true;
}

/* ---- who runs ----------------------------------------------------------------------------- */

static uint64_t event_steps(void)
{
    return event_next_ns == UINT64_MAX ? HART_NEVER : event_next_ns << HART_STEPS_SHIFT;
}

uint64_t hart_horizon(void)
{
    uint64_t steps = event_steps();

    return steps < the_harts.others_steps ? steps : the_harts.others_steps;
}

/*
 * The earliest hart that is awake; NULL: all sleep. *next_steps is the time of the next after it.
 */
static struct hart *find_first(uint64_t *next_steps)
{
    struct hart *first = NULL;

    *next_steps = HART_NEVER;
    for (unsigned i = 0; i < the_harts.count; i++) {
        struct hart *hart = &the_harts.all[i];

        if (hart->asleep) {
            continue;
        }
        if (first == NULL || hart->now_steps < first->now_steps) {
            *next_steps = first != NULL ? first->now_steps : *next_steps;
            first = hart;
        } else if (hart->now_steps < *next_steps) {
            *next_steps = hart->now_steps;
        }
    }
    return first;
}

static void go_on_with(struct hart *hart)
{
    struct hart *self = the_harts.self;

    if (hart != self) {
        the_harts.self = hart;
        context_switch(&self->stack, hart->stack);
    }
}

/* Until the calling hart is awake and the earliest, and nothing is due before its time. */
void hart_give_way(void)
{
    struct hart *self = the_harts.self;

    for (;;) {
        uint64_t next_steps;
        struct hart *first = find_first(&next_steps);

        if (event_steps() <= (first != NULL ? first->now_steps : HART_NEVER - 1)) {
            event_run();
            continue;
        }
        if (first == NULL) {
            printf("error: every hart sleeps, and nothing will wake one\n");
            machine_exit(1);
        }
        the_harts.others_steps = next_steps;
        if (first == self) {
            return;
        }
        go_on_with(first);
    }
}

void hart_sync(void)
{
    struct hart *self = the_harts.self;

    if (self->now_steps >= hart_horizon()) {
        hart_give_way();
        hart_take_traps();
    }
}

void hart_raise(struct hart *hart, uint64_t pending)
{
    uint64_t now_steps = world.now_ns << HART_STEPS_SHIFT;

    hart->pending |= pending;
    if (hart->asleep && hart->running && (hart->pending & hart->enabled) != 0) {
        hart->asleep = false;
        if (hart->now_steps < now_steps) {
            hart->now_steps = now_steps;
        }
        if (hart != the_harts.self && hart->now_steps < the_harts.others_steps) {
            the_harts.others_steps = hart->now_steps;
        }
    }
}

void hart_lower(struct hart *hart, uint64_t pending)
{
    hart->pending &= ~pending;
}

unsigned hart_count(void)
{
    return the_harts.count;
}

uint64_t hart_id(unsigned index)
{
    return index;
}

uint64_t hart_idle_ns(unsigned index)
{
    return the_harts.all[index].idle_ticks;
}

void hart_relax(void)
{
    hart_charge(COST_LOOK);
    hart_sync();
}

void hart_wait(void)
{
    struct hart *self = the_harts.self;
    uint64_t before = csr_time();

    hart_sync();
    if ((self->pending & self->enabled) == 0) {
        self->asleep = true;
        self->spun = false;
        hart_give_way();
        hart_delay(the_profile.wake_ns);
    }
    self->idle_ticks += csr_time() - before;
}

/* ---- work for all harts ------------------------------------------------------------------- */

/* A secondary's life, as in platform/riscv64/harts.c. A call it is no part of is only noted. */
static void hart_main(void)
{
    struct hart *self = the_harts.self;

    for (;;) {
        if (self->work_seen == run.round) {
            hart_wait();
            irq_enable();
            irq_disable();
            continue;
        }
        self->work_seen = run.round;
        if (self->index >= run.count) {
            continue;
        }
        irq_enable();
        run.function(run.arg, self->index);
        irq_disable();
        if (--run.running == 0) {
            hart_send_ipi(0);
        }
    }
}

static void start_hart(struct hart *hart)
{
    hart->work_seen = run.round;
    hart->now_steps = the_harts.self->now_steps;
    hart->running = true;
}

bool harts_run(unsigned count, void (*function)(void *arg, unsigned index), void *arg)
{
    if (count == 0 || count > the_harts.count) {
        return false;
    }
    for (unsigned i = 1; i < count; i++) {
        if (!the_harts.all[i].running) {
            start_hart(&the_harts.all[i]);
        }
    }
    run.function = function;
    run.arg = arg;
    run.count = count;
    run.running = count;
    run.round++;
    for (unsigned i = 1; i < count; i++) {
        hart_send_ipi(i);
    }
    function(arg, 0);
    run.running--;
    irq_disable();
    while (run.running != 0) {
        hart_wait();
        irq_enable();
        irq_disable();
    }
    irq_enable();
    return true;
}

void hart_attach_ipi(void (*handler)(void *arg), void *arg)
{
    the_harts.self->ipi_handler = handler;
    the_harts.self->ipi_arg = arg;
}

static void ipi_due(void *arg, uint64_t value)
{
    (void)value;
    hart_raise(arg, CSR_SIE_SOFTWARE);
}

void hart_send_ipi_now(unsigned index)
{
    struct hart *self = the_harts.self;

    hart_charge(the_profile.messages ? COST_REGISTER : COST_SBI + COST_SBI_HART * the_harts.count);
    hart_sync();
    event_add((self->now_steps >> HART_STEPS_SHIFT) + the_profile.ipi_ns, ipi_due,
              &the_harts.all[index], 0);
}

void hart_set_ipi_sender(void (*send)(unsigned index))
{
    ipi_sender = send;
}

void hart_send_ipi(unsigned index)
{
    (ipi_sender != NULL ? ipi_sender : hart_send_ipi_now)(index);
}
