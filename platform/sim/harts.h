// SPDX-License-Identifier: MIT
/*
 * As platform/riscv64/harts.h, for the simulated machine: harts are coroutines, of which the one
 * that is earliest in virtual time runs. A hart gives way wherever it touches what others may see:
 * device registers, memory that the device writes, interrupts. Code that waits for a word in memory
 * calls hart_relax().
 */
#ifndef HARTQ_HARTS_H
#define HARTQ_HARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "csr.h"
#include "irq.h"

enum { HART_LIMIT = 64 };

/* Virtual time is counted in 2^-10 ns. */
#define HART_STEPS_SHIFT 10
#define HART_NEVER UINT64_MAX

/* One hart. */
struct hart {
    uint64_t now_steps;    /* how far it is */
    uint64_t instructions; /* charged so far */
    uint32_t index;        /* programs may play another hart */
    bool interrupts_on;
    bool in_trap;
    bool asleep;
    bool running;     /* it has been started */
    bool spun;        /* since it slept */
    uint64_t pending; /* CSR_SIE_ bits */
    uint64_t enabled; /* likewise */

    /* What the charges depend on. */
    const volatile void *looked; /* the entry that was looked at last */
    uint64_t looked_value;       /* and what was there */
    uint32_t looks;              /* how often since it changed */
    uint32_t posts;              /* commands written since the last doorbell */
    uint32_t entries;            /* consumed since the last doorbell */

    uint64_t idle_ticks; /* spent in hart_wait */
    void (*ipi_handler)(void *arg);
    void *ipi_arg;
    void (*timer_handler)(void *arg);
    void *timer_arg;
    uint64_t timer_period_ticks;
    uint64_t timer_deadline_ticks; /* of the period; 0: none */
    uint64_t timer_wake_ticks;     /* one-shot; 0: none */
    uint64_t timer_set_ticks;      /* the next interrupt; 0: none */
    uint64_t work_seen;            /* last call of harts_run this hart has finished */
    void *stack;                   /* while another hart runs */
};

/* The machine's harts, and who runs. */
struct harts {
    struct hart all[HART_LIMIT];
    struct hart *self;
    uint64_t others_steps; /* the earliest of the other harts that are awake; HART_NEVER: none */
    uint64_t instruction_steps; /* what an instruction takes */
    uint32_t count;
};

extern struct harts the_harts;

/* The calling hart, its index, how many there are, the id of each. */
static inline struct hart *hart_self(void)
{
    return the_harts.self;
}
static inline unsigned hart_index(void)
{
    return the_harts.self->index;
}
unsigned hart_count(void);
uint64_t hart_id(unsigned index);

/* Waits for an interrupt with interrupts off, and books the time as idle. */
void hart_wait(void);

/* Time hart `index` has spent in hart_wait(). */
uint64_t hart_idle_ns(unsigned index);

/* A turn of a loop that waits for memory: the other harts go on. */
void hart_relax(void);

/* Runs function(arg, index) on harts 0 to count - 1 at once; true when all have returned. */
bool harts_run(unsigned count, void (*function)(void *arg, unsigned index), void *arg);

/* Handler of inter-processor interrupts for the calling hart; NULL: none. */
void hart_attach_ipi(void (*handler)(void *arg), void *arg);

/* Interrupts hart `index`. */
void hart_send_ipi(unsigned index);

/* The same, whatever hart_set_ipi_sender() named. */
void hart_send_ipi_now(unsigned index);

/* Another way to send. */
void hart_set_ipi_sender(void (*send)(unsigned index));

/* ---- for the other files of this board ---------------------------------------------------- */

/* Hart 0 runs from now on, on the program's own stack. False: an error was printed. */
bool harts_init(unsigned count);

/* The calling hart has done so many instructions. */
static inline void hart_charge(uint32_t instructions)
{
    struct hart *self = the_harts.self;

    self->instructions += instructions;
    self->now_steps += instructions * the_harts.instruction_steps;
}

/* The calling hart was held up for so long. */
static inline void hart_delay(uint64_t ns)
{
    the_harts.self->now_steps += ns << HART_STEPS_SHIFT;
}

/* Whatever is due by the calling hart's time happens: events, earlier harts, its interrupts. */
void hart_sync(void);

/* The same without a look at the hart's interrupts, and at those alone. */
void hart_give_way(void);
void hart_take_traps(void);

/* The time up to which nothing happens but what the calling hart does; HART_NEVER: no end. */
uint64_t hart_horizon(void);

/*
 * Interrupts are pending for a hart from now on, or no more. From events and from the hart itself.
 */
void hart_raise(struct hart *hart, uint64_t pending);
void hart_lower(struct hart *hart, uint64_t pending);

/* timer.c: the hart's timer interrupt. */
void timer_interrupt(void);

/* interrupts.c: the hart's external interrupt. */
void external_interrupt(void);

#endif
