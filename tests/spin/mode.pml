/* SPDX-License-Identifier: MIT */
/*
 * The mode of a live queue changes: nvme_queue_set_mode(), nvme_queue_arm(), nvme_source_handled()
 * (engine/source.c), nvme_irq_handle() and nvme_vector_handle() (engine/interrupt.c), under
 * storage_wait() (runtime/storage.c).
 *
 * One hart with a thread and a handler, one source, a device that posts ENTRIES completions when it
 * likes. The thread and done() change the mode as they like; in hybrid mode the thread spins or
 * sleeps as it likes. A thread that sleeps for good, or
 * looks for good at an entry that its handler is to take, is an invalid end state.
 *
 *   -DLINE                a line: INTMS and INTMC in front of a latch of rising edges
 *   -DVECTOR              a message for each entry; one that is masked is held, and sent when the
 *                         mask is opened, or dropped when the ring is found empty
 *   -DVECTOR_DROPS        one that is masked is lost. Hybrid mode alone is right even then
 *   -DHYBRID_ONLY         the mode stays hybrid
 *
 *   -DBUG_LOOK_THEN_OPEN  arm looks at the ring, then opens: wrong for a source that drops
 *   -DBUG_SLEEP_CLOSED    arm does not open
 *   -DBUG_IRQ_ON          interrupts are on between arm and wfi: the handler may close the source
 *   -DBUG_MODE_ONLY       interrupt mode is set, but the source stays closed
 *   -DBUG_EXIT_AS_ENTERED the handler leaves the source as it was, whatever done() has set
 *   -DBUG_FLAG_ONLY       the set of a closed source is emptied, and the mask is not opened
 */
#ifndef ENTRIES
#define ENTRIES 4
#endif
#ifndef CHANGES
#define CHANGES 3 /* of the mode, by the thread and by done() */
#endif
#define PASSES_MAX 2

mtype = { POLL, INTERRUPT, HYBRID };

/* The device and the interrupt controller. */
byte posted;  /* completion entries written */
byte taken;   /* entries consumed: callbacks have run */
byte rung;    /* the head doorbell */
bool masked;  /* INTMS bit 0, or the vector's mask bit */
bool high;    /* the line */
bool held;    /* the vector's pending bit */
bool pending; /* at the hart, cleared by the claim */

/* The engine's. */
mtype mode = HYBRID;
byte changes;

#define ready (posted != taken)

inline follow_line()
{
    if
    :: !high && posted != rung && !masked -> high = true; pending = true
    :: high && (posted == rung || masked) -> high = false
    :: else
    fi
}

inline raise()
{
#ifdef LINE
    follow_line()
#elif defined(VECTOR)
    pending = pending || !masked;
    held = masked
#else
    pending = pending || !masked
#endif
}

/* nvme_source_write_mask() */
inline write_mask(s, on)
{
    d_step {
        masked = on;
#ifdef LINE
        follow_line()
#else
        pending = pending || (held && !masked);
        held = held && masked
#endif
    }
}

active proctype device()
{
    do
    :: d_step { posted < ENTRIES -> posted++; raise() }
    :: posted == ENTRIES -> break
    od
}

/* ---- The source ------------------------------------------------------------------------ */

#define SOURCES 1
#include "closed.pml"

inline begin_polling()
{
    close_source(0, CLOSED_POLLED)
}

inline end_polling()
{
#ifdef BUG_FLAG_ONLY
    closed[0] = closed[0] & ~CLOSED_POLLED
#else
    open_source(0, CLOSED_POLLED)
#endif
}

/* nvme_queue_set_mode() */
inline set_mode()
{
    changes++;
    if
    :: mode = POLL; begin_polling()
    :: mode = INTERRUPT;
#ifndef BUG_MODE_ONLY
        end_polling()
#endif
    :: mode = HYBRID; end_polling()
    fi
}

/* nvme_queue_reap(); a done() may change the mode. */
inline reap()
{
    do
    :: atomic { ready -> taken++ };
        if
#ifndef HYBRID_ONLY
        :: changes < CHANGES -> set_mode()
#endif
        :: true
        fi
    :: atomic { !ready -> break }
    od;
    if
    :: rung != taken ->
#ifdef LINE
        d_step { rung = taken; follow_line() }
#else
        rung = taken;
        if
        :: atomic { posted == rung -> held = false }
        :: true
        fi
#endif
    :: else
    fi
}

/* ---- The handler ----------------------------------------------------------------------- */

/* nvme_irq_enter() and nvme_irq_exit(), on the slow path of the handler. */
inline mask_and_open()
{
#ifdef BUG_EXIT_AS_ENTERED
    was_closed = closed[0];
#endif
    close_source(0, CLOSED_ENTERED);
    reap(); /* search_queues() */
#ifdef BUG_EXIT_AS_ENTERED
    closed[0] = was_closed;
    if
    :: was_closed == 0 -> write_mask(0, false)
    :: was_closed != 0
    fi
#else
    open_source(0, CLOSED_ENTERED)
#endif
}

inline handle()
{
    pending = false; /* claim */
#ifdef LINE
    found = false;
    passes = 0;
    do
    :: ready && passes < PASSES_MAX -> found = true; passes++; reap()
    :: else -> break
    od;
    if
    :: !found || passes == PASSES_MAX -> mask_and_open()
    :: else
    fi;
    found = false;
    passes = 0;
#else
    reap();
#endif
}

inline take_interrupts()
{
    do
    :: pending -> handle()
    :: !pending -> break
    od
}

/* ---- The thread ------------------------------------------------------------------------ */

/* nvme_queue_arm() in hybrid mode: `asleep` is its answer. */
inline arm()
{
    if
    :: true -> begin_polling() /* awake */
    :: true -> /* asleep: an entry that is ready has its interrupt */
#ifdef BUG_LOOK_THEN_OPEN
        asleep = !ready;
        end_polling()
#else
#ifndef BUG_SLEEP_CLOSED
        end_polling();
#endif
        asleep = !ready
#endif
    fi
}

/* storage_wait() in a loop. Its interrupts are off but for take_interrupts(). */
active proctype thread()
{
    bool asleep;
    bool found;
    byte was_closed;
    byte passes;

    do
    :: taken == ENTRIES -> break
    :: taken != ENTRIES ->
        if
#ifndef HYBRID_ONLY
        :: changes < CHANGES -> set_mode()
#endif
        :: mode == POLL && ready -> reap()
        :: mode == POLL && pending
        /* The entry may be there or not: what lets the thread go on is the handler. */
        :: mode == INTERRUPT -> pending
        :: mode == HYBRID ->
            arm();
#ifdef BUG_IRQ_ON
            take_interrupts();
#endif
            if
            :: asleep -> pending /* wfi */
            :: !asleep && ready -> reap()
            :: !asleep && pending
            :: !asleep && !ready && !pending /* it spins on */
            fi;
            asleep = false
        fi;
        take_interrupts()
    od
}
