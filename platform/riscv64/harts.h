// SPDX-License-Identifier: MIT
/*
 * Harts: their index and number, running a function on all of them, waiting, IPIs.
 * tp points at the calling hart's struct from the first C instruction on. Index 0 is the hart that
 * booted, the others follow in device-tree order; hart ids may have gaps, indices have none.
 * SBI HSM starts a hart once (SBI 2.0 chapter 9); then inter-processor interrupts wake it.
 */
#ifndef HARTQ_HARTS_H
#define HARTQ_HARTS_H

#include <stddef.h>
#include <stdint.h>

#include "csr.h"
#include "hart_layout.h"
#include "irq.h"

/* One hart. Its own hart writes every field, except those marked otherwise. */
struct hart {
    uint64_t thread_locals[HART_TLS_BYTES / 8]; /* the C library's, addressed from tp */
    uint32_t index;
    uint32_t faults; /* fatal traps so far */
    uint64_t trap_stack_top;
    uint64_t *trap_canary;  /* lowest word of the trap stack; holds the address of this struct */
    void (*external)(void); /* written by trap_attach_external on any hart */
    uint64_t stack_top;     /* written by hart 0 before the start */
    uint64_t id;            /* written by hart 0 before the start */
    uint64_t idle_ticks;    /* spent in hart_wait */
    void (*ipi_handler)(void *arg);
    void *ipi_arg;
    void (*timer_handler)(void *arg);
    void *timer_arg;
    uint64_t timer_period_ticks;
    uint64_t timer_deadline_ticks; /* of the period; 0: none */
    uint64_t timer_wake_ticks;     /* one-shot; 0: none */
    uint64_t timer_set_ticks;      /* deadline last set in the firmware; 0: none */
    uint64_t work_seen;            /* last run of harts_run this hart has finished */
    void *interrupt_controller;    /* data of the driver of `external`, for this hart */
    void *interrupt_table;         /* of the same driver */
    uint64_t reserved[6];
};

_Static_assert(sizeof(struct hart) == HART_SIZE, "boot.S and trap_entry.S depend on the size");

extern struct hart harts[HART_LIMIT];

/* The calling hart. No instruction: it is the thread pointer. */
static inline struct hart *hart_self(void)
{
    struct hart *self;
    __asm__("mv %0, tp" : "=r"(self));
    return self;
}

/* Index of the calling hart, 0 to hart_count() - 1. One load. */
static inline unsigned hart_index(void)
{
    unsigned index;
    __asm__("lw %0, %1(tp)" : "=r"(index) : "i"(HART_INDEX));
    return index;
}

/* How many harts the machine has (at most HART_LIMIT), started or not. */
unsigned hart_count(void);

/* The id SBI and the device tree use for hart `index`. */
uint64_t hart_id(unsigned index);

/*
 * Waits for an interrupt with interrupts off, and adds the time to the idle time. The caller first
 * turns interrupts off and then looks for work. wfi returns when an interrupt is pending, which is
 * taken after irq_enable(). It may return early without a reason: look again.
 */
static inline void hart_wait(void)
{
    struct hart *self = hart_self();
    uint64_t before = csr_time();

    __asm__ volatile("wfi" ::: "memory");
    self->idle_ticks += csr_time() - before;
}

/* A turn of a loop that waits for memory which another hart writes. Nothing on this platform. */
static inline void hart_relax(void)
{
}

/* Time hart `index` has spent in hart_wait() since the start. Context: any hart. */
uint64_t hart_idle_ns(unsigned index);

/* Stops the calling hart for good. */
__attribute__((noreturn)) void hart_park(void);

/*
 * Goes on in function(), which does not return, on stacks from the heap. Hart 0 at start-up, with
 * interrupts off: with translation no stack may be in the image.
 */
__attribute__((noreturn)) void hart_change_stacks(void (*function)(void));

/*
 * Runs function(arg, index) on harts 0 to count - 1 at once, interrupts on, each on its own stack,
 * and returns true when all have returned. Hart 0 only, not nested. The first call that needs a
 * hart starts it. False, with the reason printed: count is 0 or above hart_count(), or a hart did
 * not start.
 */
bool harts_run(unsigned count, void (*function)(void *arg, unsigned index), void *arg);

/*
 * Attaches the calling hart's handler of inter-processor interrupts; NULL: none. It runs in the
 * trap. It may run without a send, because the platform wakes harts the same way. Two sends may
 * become one call, so the handler finds its work in memory.
 */
void hart_attach_ipi(void (*handler)(void *arg), void *arg);

/*
 * Interrupts hart `index`. Earlier stores are visible to its handler. Cost: an SBI call, or the
 * function given to hart_set_ipi_sender().
 */
void hart_send_ipi(unsigned index);

/*
 * Another way to send, for a board that has one: it runs on any hart, traps too. Its interrupt
 * calls hart_take_ipi(). Before the first run in which it may be used.
 */
void hart_set_ipi_sender(void (*send)(unsigned index));

/* Handles an inter-processor interrupt after it was claimed or cleared. */
void hart_take_ipi(void);

/* How many secondaries arrived at the boot hart's entry (see boot.S). For diagnosis. */
unsigned harts_late_arrivals(void);

/*
 * Sets the harts at start-up: the booting hart's id and the tree's list, which must contain it.
 * NULL, or an error phrase.
 */
const char *harts_init(uint64_t boot_id, const uint64_t *ids, unsigned count);

#endif
