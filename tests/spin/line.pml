/* SPDX-License-Identifier: MIT */
/*
 * One interrupt line with two controllers on it: nvme_irq_handle() (engine/interrupt.c) between
 * the claim and the complete of an interrupt controller.
 *
 * Each device posts ENTRIES completions whenever it likes. The hart takes all of them and ends; a
 * hart that waits for a claim which never comes is an invalid end state: a lost interrupt.
 *
 *   -DLINE_LEVEL         a line that is high at complete is pending again (the PLIC specification)
 *   -DLINE_EDGE          a rising line is latched, nothing else is looked at (QEMU 7.2)
 *   -DLINE_EDGE_CLEARS   the same, and a falling line takes the latch back
 *
 *   -DMASK               mask, reap once, open: nvme_irq_enter() and nvme_irq_exit(), mask_line
 *   -DSTORM              empty interrupts may close a controller's source, as they like;
 *                        its owner polls meanwhile, and the watchdog opens it again at any time.
 *                        In the end both sources must be open. Another device interrupts once
 *   -DPOSTED             register writes arrive later: of one device in order, of two in no order;
 *                        with MASK a read of each pushes them before the first one opens
 *
 *   -DBUG_REAP_ONCE      reap and complete: enough for a level, not for an edge
 *   -DBUG_ONE_BY_ONE     each controller until it has nothing left (with MASK: masked, reaped and
 *                        opened) before the next
 *   -DBUG_GIVE_UP        leaves a line that stays busy without an edge
 *   -DBUG_NO_READ        with POSTED and MASK: opens before all masks have arrived
 *   -DBUG_PARDON_FLAG    with STORM: the watchdog ends the storm and does not open the source
 *   -DBUG_NO_PARDON      with STORM: the watchdog never ends it
 */
#define CONTROLLERS 2
#ifndef ENTRIES
#define ENTRIES 3
#endif

byte posted[CONTROLLERS]; /* completion entries written by the device */
byte rung[CONTROLLERS];   /* the head doorbell: entries given back */
byte taken[CONTROLLERS];  /* entries that the hart has consumed */
byte given[CONTROLLERS];  /* entries that its last doorbell said */
bool masked[CONTROLLERS]; /* INTMS bit 0: the device's side of the set of reasons */

#define PASSES_MAX 2
#define SOURCES CONTROLLERS

bool high;       /* the line: any controller that holds entries and is not masked */
bool pending;    /* of the interrupt controller's source */
bool in_service; /* claimed and not completed */

#define asserts(c) (posted[c] != rung[c] && !masked[c])

/* The line follows the controllers; the source sees it as its kind does. */
inline follow_line()
{
    if
    :: !high && (asserts(0) || asserts(1)) ->
        high = true;
        pending = true
    :: high && !(asserts(0) || asserts(1)) ->
        high = false;
#ifndef LINE_EDGE
        pending = false
#endif
    :: else
    fi
}

/*
 * Writes to one device's registers: a mask, an opening, or the head doorbell, which gives back all
 * that was taken then. On their way there is a mask, a doorbell and an opening at most, or the
 * doorbells of a busy line.
 */
#define WRITE_MASK 200
#define WRITE_OPEN 201

inline arrive(c, value)
{
    if
    :: value == WRITE_MASK -> masked[c] = true
    :: value == WRITE_OPEN -> masked[c] = false
    :: else -> rung[c] = value
    fi;
    follow_line()
}

#ifdef POSTED
#define WRITES 4
chan way0 = [WRITES] of { byte };
chan way1 = [WRITES] of { byte };

/* A hart waits where too many are on their way. */
inline write(c, value)
{
    if
    :: c == 0 -> way0 ! value
    :: c == 1 -> way1 ! value
    fi
}

/* hal_arm_before_look(): comes back when all is there. */
inline read_back()
{
    empty(way0) && empty(way1)
}
#else
inline write(c, value)
{
    d_step { arrive(c, value) }
}

inline read_back()
{
    skip
}
#endif

/* nvme_source_write_mask() */
inline write_mask(c, on)
{
    write(c, (on -> WRITE_MASK : WRITE_OPEN))
}

#include "closed.pml"

#define in_storm(c) ((closed[c] & CLOSED_STORM) != 0)
#define both_open (closed[0] == 0 && closed[1] == 0)

/* nvme_irq_enter() */
inline enter(c)
{
    close_source(c, CLOSED_ENTERED)
}

/*
 * nvme_irq_exit(). Whether empty interrupts are a storm is nvme_source_empty()'s to say.
 */
inline leave(c)
{
#ifdef STORM
    if
    :: !found && !in_storm(c) -> close_source(c, CLOSED_STORM)
    :: true
    fi;
#endif
    open_source(c, CLOSED_ENTERED)
}

/* nvme_queue_reap(): entries until one is old, then one head doorbell if there were any. */
inline reap(c)
{
    do
    :: atomic { posted[c] != taken[c] -> taken[c]++; found = true }
    :: atomic { posted[c] == taken[c] -> break }
    od;
    if
    :: given[c] != taken[c] ->
        given[c] = taken[c];
        write(c, given[c])
    :: else
    fi
}

/* A command has ended: data and entry are written, the interrupt is raised. */
active [CONTROLLERS] proctype device()
{
    byte c = _pid;

    do
    :: posted[c] < ENTRIES -> d_step { posted[c]++; follow_line() }
    :: posted[c] == ENTRIES -> break
    od
}

#ifdef POSTED
active proctype bus()
{
    byte value;

end:
    do
    :: d_step { nempty(way0) -> way0 ? value; arrive(0, value) }
    :: d_step { nempty(way1) -> way1 ? value; arrive(1, value) }
    od
}
#endif

/* One look at a controller's queues: what is there is reaped. */
inline look(c)
{
    if
    :: posted[c] != taken[c] -> again = true; reap(c)
    :: else
    fi
}

/* Until nothing is left on these controllers, or too often. */
inline handle(first, last)
{
    passes = PASSES_MAX;
    do
    :: again = false;
        look(first);
        if
        :: last != first -> look(last)
        :: else
        fi;
        passes--;
        if
        :: again && passes != 0
        :: else -> break
        fi
    od;
#ifndef BUG_GIVE_UP
    if
    :: again -> enter(first); enter(last); leave(first); leave(last) /* end_masked() */
#ifdef STORM
    :: !found -> enter(first); enter(last); reap(first); reap(last); leave(first); leave(last)
#endif
    :: else
    fi
#endif
}

#ifdef STORM
/* nvme_source_end_storm(): time has passed */
inline end_storm(c)
{
#ifdef BUG_STORM_FLAG
    closed[c] = closed[c] & ~CLOSED_STORM
#else
    open_source(c, CLOSED_STORM)
#endif
}

active proctype other_device()
{
    pending = true
}
#endif

active proctype hart()
{
    bool again;
    bool found;
    byte passes;

    do
    :: taken[0] == ENTRIES && taken[1] == ENTRIES && !pending && both_open -> break
#ifdef STORM
    /* The queues poll, and sleep again once the storm is over. */
    :: in_storm(0) && posted[0] != taken[0] -> reap(0); found = false
    :: in_storm(1) && posted[1] != taken[1] -> reap(1); found = false
#ifndef BUG_STORM_STAYS
    :: in_storm(0) -> end_storm(0)
    :: in_storm(1) -> end_storm(1)
#endif
#endif
    :: d_step { pending && !in_service -> pending = false; in_service = true } /* claim */
#ifdef MASK
#ifdef BUG_ONE_BY_ONE
        enter(0); reap(0); leave(0);
        enter(1); reap(1); leave(1);
#else
        enter(0); enter(1);
        reap(0); reap(1);
#ifndef BUG_NO_READ
        read_back();
#endif
        leave(0); leave(1);
#endif
#elif defined(BUG_REAP_ONCE)
        reap(0); reap(1);
#elif defined(BUG_ONE_BY_ONE)
        handle(0, 0);
        handle(1, 1);
#else
        handle(0, 1);
#endif
        again = false;
        found = false;
        d_step { /* complete */
            in_service = false;
#ifdef LINE_LEVEL
            pending = high
#endif
        }
    od
}
