/* SPDX-License-Identifier: MIT */
/*
 * A late completion doorbell and an interrupt source that opens and closes: nvme_source_poll(),
 * nvme_source_unpoll() (engine/source.c), nvme_source_set_late() (engine/nvme_source_internal.h),
 * nvme_queue_arm() (engine/sleep.c), nvme_queue_give_back() and nvme_queue_reap() (engine/queue.c),
 * nvme_queue_leave() and nvme_queue_activate() (engine/active.c).
 *
 * One hart with a thread and a handler, and one queue in hybrid or interrupt mode. The thread
 * posts, spins with its source closed and owes entries, or opens the source and sleeps. An idle
 * queue leaves the active list, and joins it at its next post. For the device an entry that is not
 * given back is one that nobody has seen: it holds a line high, and no message follows. A thread
 * that sleeps for good is an invalid end state; a source that interrupts again and again for
 * nothing breaks an assertion.
 *
 *   -DLINE     a line, with a latch of rising edges
 *   -DVECTOR   a message when the ring is no longer empty, and at a head doorbell that leaves an
 *              entry; one that is masked is held
 *
 *   -DBUG_OWES_OPEN    the source opens, and entries are owed
 *   -DBUG_OWES_AWAY    the queue leaves the active list, and entries are owed
 *   -DBUG_STAYS_LATE   the source opens, and doorbells may still be late
 *   -DBUG_JOINS_LATE   a queue that joins the list may be late, also if its source is open
 *   -DBUG_OPEN_FIRST   the source opens, then entries are given back: costs an interrupt for
 *                      nothing, but loses none
 */
#ifndef COMMANDS
#define COMMANDS 7
#endif
#define DEPTH 3
#define SURPLUS 4
#define EMPTY_MAX 2 /* interrupts for nothing in a row */

/* The device and the interrupt controller. */
byte entries;         /* written by the device */
byte given;           /* of these: given back by the completion doorbell */
bool masked = true;   /* INTMS bit 0, or the vector's mask bit */
bool high;            /* the line */
bool held;            /* the vector's pending bit */
bool pending;         /* at the hart, cleared by the claim */

/* The engine's. */
byte posted;
byte reaped;
byte late; /* head_late, and what is left of it */
byte left;
bool listed;

#define ready (reaped != entries)

/* `message` tells if a vector has a reason to send one now. */
inline raise(message)
{
#ifdef LINE
    if
    :: !high && entries != given && !masked -> high = true; pending = true
    :: high && (entries == given || masked) -> high = false
    :: else
    fi
#else
    held = held || (message && masked);
    pending = pending || (message && !masked)
#endif
}

/* nvme_source_write_mask() */
inline write_mask(s, on)
{
    d_step {
        masked = on;
#ifdef VECTOR
        pending = pending || (held && !masked);
        held = held && masked;
#endif
        raise(false)
    }
}

#define SOURCES 1
#include "closed.pml"

active proctype device()
{
end:
    do
    :: d_step { entries < posted ->
        assert(entries - given < DEPTH + SURPLUS - 1);
        entries++;
        raise(entries - given == 1) }
    od
}

/* ring_cq() */
inline ring_head()
{
    d_step { given = reaped; raise(entries != given) }
}

/* nvme_source_set_late(); `owes` is a seeded bug. */
inline set_late(on, owes)
{
    if
    :: left != late && !(owes) -> ring_head()
    :: else
    fi;
    late = (on -> SURPLUS / 2 : 0);
    left = late
}

#ifdef BUG_OWES_OPEN
#define OWES_OPEN true
#else
#define OWES_OPEN false
#endif
#ifdef BUG_OWES_AWAY
#define OWES_AWAY true
#else
#define OWES_AWAY false
#endif
#ifdef BUG_JOINS_LATE
#define JOINS_LATE true
#else
#define JOINS_LATE ((closed[0] & CLOSED_POLLED) != 0)
#endif

/* nvme_source_poll(): the queues of the active list may be late. */
inline poll_source()
{
    close_source(0, CLOSED_POLLED);
    if
    :: listed -> set_late(true, false)
    :: else
    fi
}

inline unpoll_source()
{
#ifdef BUG_OPEN_FIRST
    open_source(0, CLOSED_POLLED);
#endif
#ifndef BUG_STAYS_LATE
    if
    :: listed -> set_late(false, OWES_OPEN)
    :: else
    fi;
#endif
    open_source(0, CLOSED_POLLED)
}

/* nvme_queue_reap() */
inline reap()
{
    consumed = 0;
    do
    :: atomic { ready -> reaped++; consumed++ }
    :: atomic { !ready -> break }
    od;
    if
    :: consumed > left -> ring_head(); left = late
    :: else -> left = left - consumed
    fi;
    empties = (consumed != 0 -> 0 : empties);
    consumed = 0
}

/* nvme_irq_handle(), nvme_vector_handle() */
inline handle()
{
    pending = false; /* claim */
    empties++;
#ifdef LINE
    do
    :: ready -> reap()
    :: !ready -> break
    od;
    if
    :: empties != 0 ->
        close_source(0, CLOSED_ENTERED);
        reap();
        open_source(0, CLOSED_ENTERED)
    :: else
    fi;
#else
    reap();
#endif
    assert(empties <= EMPTY_MAX)
}

active proctype thread()
{
    byte consumed;
    byte empties;
    bool hybrid = true; /* or interrupt mode */

    closed[0] = CLOSED_POLLED;
    do
    :: reaped == COMMANDS -> break
    :: pending -> handle()
    :: posted < COMMANDS && posted - reaped < DEPTH - 1 ->
        if
        :: !listed -> listed = true; set_late(JOINS_LATE, false)
        :: listed
        fi;
        posted++
    :: posted == reaped && listed -> /* the watchdog finds it idle */
        set_late(false, OWES_AWAY);
        listed = false
    :: unpoll_source(); hybrid = !hybrid /* nvme_queue_set_mode() */
    :: posted != reaped -> /* nvme_queue_arm(), interrupts off */
        if
        :: hybrid -> poll_source(); reap()
        :: hybrid ->
            unpoll_source();
            if
            :: !ready -> pending /* wfi */
            :: ready
            fi
        :: !hybrid -> pending /* of an entry that is ready, or wfi */
        fi
    od
}
