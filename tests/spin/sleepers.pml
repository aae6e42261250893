/* SPDX-License-Identifier: MIT */
/*
 * Hybrid mode in shared delivery: one mask for all owners, so the line may stay masked only while
 * nobody sleeps. nvme_queue_arm() (engine/sleep.c), nvme_shared_begin() and nvme_irq_take_ipi()
 * (engine/shared.c); cycles themselves are in shared.pml.
 *
 * Each hart has a thread that polls or sleeps, as it likes, until it has taken ENTRIES completions,
 * and a handler that runs where interrupts are on. Nobody has a watchdog. A hart that sleeps for
 * good is an invalid end state. The line is an edge latch.
 *
 *   -DWAKE_IN_HANDLER      a hart that takes an IPI or a claim leaves the sleepers there and then
 *
 *   -DBUG_CLOSE_AFTER_LOOK the IRQ hart looks for sleepers, then closes the line
 *   -DBUG_FLAG_FIRST       an owner looks at the reason, then joins the sleepers
 *   -DBUG_NO_IPI           an owner that joins does not IPI the IRQ hart
 *   -DBUG_NO_LOOK          the IRQ hart stays masked after a cycle without looking for sleepers
 *   -DBUG_OPEN_IN_CYCLE    an IPI opens the line in the midst of a cycle
 */
#ifndef HARTS
#define HARTS 3
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef IRQ_HART_ENTRIES
#define IRQ_HART_ENTRIES ENTRIES /* 0: the IRQ hart owns no queue */
#endif
#ifndef STRAYS
#define STRAYS 1 /* claims, and IPIs, without a cause */
#endif
#define IRQ_HART 0
#define EVERYBODY ((1 << HARTS) - 1)
#define bit(h) (1 << (h))

/* The device, and its line at the interrupt controller. */
byte posted[HARTS]; /* completion entries written */
byte taken[HARTS];  /* entries consumed and given back */
bool masked;        /* INTMS bit 0 */
bool high;
bool pending; /* latched edge, cleared by the claim */

/* The engine's: what harts share. */
byte waiting;  /* owners that have not answered this cycle; atomic */
byte sleepers; /* owners that sleep or are about to; atomic */
bool ipi_taken[HARTS];

#if HARTS == 2
#define holds_entries (posted[0] != taken[0] || posted[1] != taken[1])
#else
#define holds_entries (posted[0] != taken[0] || posted[1] != taken[1] || posted[2] != taken[2])
#endif
#define ready(h) (posted[h] != taken[h])
#define entries(h) ((h) == IRQ_HART -> IRQ_HART_ENTRIES : ENTRIES)
#define finished(h) (taken[h] == entries(h))
#define interrupted(h) (ipi_taken[h] || (h == IRQ_HART && pending))

inline follow_line()
{
    if
    :: !high && holds_entries && !masked -> high = true; pending = true
    :: high && (!holds_entries || masked) -> high = false
    :: else
    fi
}

/* INTMS, INTMC */
inline write_mask(s, on)
{
    d_step { masked = on; follow_line() }
}

#define SOURCES 1
#define LINE 0
#include "closed.pml"

#define in_cycle ((closed[LINE] & CLOSED_CYCLE) != 0)
#define polled ((closed[LINE] & CLOSED_POLLED) != 0) /* all are awake: stored by the IRQ hart, read by all */

inline reap(h)
{
    d_step { taken[h] = posted[h]; follow_line() }
}

inline join_sleepers(h)
{
    d_step { sleepers = sleepers | bit(h) }
}

inline leave_sleepers(h)
{
    d_step { sleepers = sleepers & ~bit(h) }
}

active [HARTS] proctype device()
{
    byte h = _pid;

    do
    :: d_step { posted[h] < entries(h) -> posted[h]++; follow_line() }
    :: posted[h] == entries(h) -> break
    od
}

/*
 * ---- The IRQ hart: the line --------------------------------------------------------------------
 */

/* If anybody sleeps, the line is opened; amid a cycle its end does. */
inline open_for_sleepers()
{
    if
    :: sleepers != 0 -> open_source(LINE, CLOSED_POLLED)
    :: else
    fi
}

inline end_cycle()
{
#ifdef BUG_NO_LOOK
    close_source(LINE, CLOSED_POLLED);
#elif defined(BUG_CLOSE_AFTER_LOOK)
    if
    :: sleepers != 0 -> open_source(LINE, CLOSED_POLLED)
    :: sleepers == 0 -> close_source(LINE, CLOSED_POLLED)
    fi;
#else
    close_source(LINE, CLOSED_POLLED);
    /* A full fence: the owner sees the reason, or the IRQ hart sees the sleeper. */
    open_for_sleepers();
#endif
    open_source(LINE, CLOSED_CYCLE)
}

/* finish_cycle() */
inline finish_cycle()
{
    if
    :: in_cycle && waiting == 0 -> end_cycle()
    :: else
    fi;
#ifdef BUG_OPEN_IN_CYCLE
    if
    :: sleepers != 0 -> write_mask(LINE, false)
    :: else
    fi;
#endif
    open_for_sleepers()
}

/* nvme_shared_begin() */
inline claim()
{
    pending = false;
#ifdef WAKE_IN_HANDLER
    leave_sleepers(IRQ_HART);
#endif
    if
    :: in_cycle
    :: !in_cycle ->
        close_source(LINE, CLOSED_CYCLE);
        waiting = EVERYBODY;
        ipi_taken[1] = true;
#if HARTS > 2
        ipi_taken[2] = true;
#endif
        reap(IRQ_HART);
        d_step { waiting = waiting & ~bit(IRQ_HART) };
        if
        :: waiting == 0 -> end_cycle()
        :: else
        fi
    fi
}

/* nvme_irq_take_ipi() */
inline irq_hart_ipi_taken()
{
    ipi_taken[IRQ_HART] = false;
#ifdef WAKE_IN_HANDLER
    leave_sleepers(IRQ_HART);
#endif
    finish_cycle()
}

/* ---- An owner -------------------------------------------------------------------------- */

/* nvme_queue_take_ipi() */
inline owner_ipi_taken(h)
{
    ipi_taken[h] = false;
#ifdef WAKE_IN_HANDLER
    leave_sleepers(h);
#endif
    if
    :: waiting & bit(h) ->
        reap(h);
        d_step { waiting = waiting & ~bit(h); last = waiting == 0 };
        if
        :: last -> ipi_taken[IRQ_HART] = true
        :: else
        fi;
        last = false
    :: else
    fi
}

/* Interrupts are on: what is pending is taken here. */
inline take_interrupts(h)
{
    do
    :: h == IRQ_HART && pending -> claim()
    :: h == IRQ_HART && ipi_taken[IRQ_HART] -> irq_hart_ipi_taken()
    :: h != IRQ_HART && ipi_taken[h] -> owner_ipi_taken(h)
    :: !interrupted(h) -> break
    od
}

/* nvme_queue_arm(): joins the sleepers, sees to it that the line is open, looks, sleeps. */
inline arm_and_sleep(h)
{
#ifdef BUG_FLAG_FIRST
    seen = polled;
    join_sleepers(h);
#else
    join_sleepers(h);
    /* A full fence: as in end_cycle(). */
    seen = polled;
#endif
    if
    :: h == IRQ_HART && seen -> finish_cycle()
#ifndef BUG_NO_IPI
    :: h != IRQ_HART && seen -> ipi_taken[IRQ_HART] = true
#endif
    :: else
    fi;
    seen = false;
    if
    :: ready(h) -> leave_sleepers(h); reap(h)
    :: !ready(h) -> interrupted(h) /* wfi */
    fi
}

/* storage_wait() in a loop; it ends when its hart has taken everything, its handler does not. */
active [HARTS] proctype hart()
{
    byte h = _pid - HARTS;
    bool seen;
    bool last;

    do
    :: finished(h) -> break
    :: !finished(h) ->
        if
        :: arm_and_sleep(h)
        :: ready(h) -> reap(h) /* a poll that found something; one that did not is no step */
        :: interrupted(h)
        fi;
        take_interrupts(h);
        leave_sleepers(h)
    od;
end:
    do
    :: interrupted(h) -> take_interrupts(h)
    od
}

#if STRAYS != 0
active proctype strays()
{
    byte claims;
    byte ipis;

    do
    :: claims < STRAYS -> claims++; pending = true
    :: ipis < STRAYS -> ipis++;
        if
        :: ipi_taken[IRQ_HART] = true
        :: ipi_taken[1] = true
        fi
    :: claims == STRAYS && ipis == STRAYS -> break
    od
}
#endif
