/* SPDX-License-Identifier: MIT */
/*
 * One controller, one INTx line, several owners of queues: shared delivery, nvme_shared_begin(),
 * nvme_shared_answer() and nvme_irq_take_ipi() (engine/shared.c), and the watchdog's part in it.
 *
 * The line goes to one hart, the IRQ hart. It masks the controller, stores the set of owners that
 * it waits for and interrupts them; each reaps its own queue and takes itself out of the set; the
 * IRQ hart opens the line again when the set is empty. Queues are active while they have requests
 * outstanding, and only those are asked, unless the cycle before found nothing at all.
 *
 * The line is the worst one: a rising edge is latched, nothing else is looked at. Claims without a
 * cause (another device on the line) and IPIs without a cause come at any time, owners post,
 * reap and leave when they like, and the IRQ hart closes a queue that has done its work. When
 * nothing moves any more, all completions must have been taken and the line must be open. Without
 * strays and polls, no cycle may find nothing: each would be an interrupt for nothing.
 *
 *   -DIRQ_HART_WITHOUT_QUEUE  it owns no queue
 *   -DUNMATCHED           an entry that nobody asked for comes once, on the last owner's queue
 *   -DLOST                the IRQ hart loses one interrupt; a watchdog that finds its entry must
 *                         be enough
 *   -DDEAF                owner 1 never answers; the watchdogs of the others must be enough
 *
 *   -DBUG_OWNER_OPENS     the last owner writes INTMC itself: a claim may come just before it
 *   -DBUG_OPEN_AT_ONCE    the IRQ hart writes INTMC as soon as it has interrupted
 *   -DBUG_IPI_FIRST       the IRQ hart IPIs, then stores the set
 *   -DBUG_CLEAR_LATE      an owner takes its IPI back after its work instead of before
 *   -DBUG_COUNT           a number of owners and a cycle number instead of the set
 *   -DBUG_CLOSE_SILENT    a close takes the last bit of the set, and the IRQ hart does not
 *                         end the cycle
 *   -DBUG_NO_REOPEN       the watchdog reaps, but makes the IRQ hart give no fresh edge
 *   -DBUG_ACTIVE_LATE     a queue becomes active after its doorbell: an empty cycle
 *   -DBUG_ANSWER_FIRST    an owner answers, then reaps: an empty cycle
 *   -DBUG_LEAVE_LATE      an owner leaves on what it saw before its handler posted: an empty cycle
 *   -DBUG_ACTIVE_ONLY     the rest is not asked after an empty cycle either: a storm
 */
#ifndef HARTS
#define HARTS 3
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#define IRQ_HART 0
#ifndef STRAYS
#define STRAYS 2 /* claims, and IPIs, without a cause */
#endif
#ifndef POLLS
#define POLLS 1 /* reaps of an owner's own accord */
#endif
#ifdef IRQ_HART_WITHOUT_QUEUE
#define IRQ_HART_ENTRIES 0
#define QUEUES (EVERYBODY - 1)
#else
#define IRQ_HART_ENTRIES ENTRIES
#define QUEUES EVERYBODY
#endif
#define EVERYBODY ((1 << HARTS) - 1)
#define LAST (HARTS - 1)
#define bit(h) (1 << (h))

/* The engine's: what harts share. */
byte active_set;   /* owners with requests outstanding; atomic */
byte waiting;      /* owners that have not answered this cycle; atomic */
bool found = true; /* an answer of this cycle brought something */
bool reopen;       /* a watchdog has found what no interrupt told of */
bool ipi_taken[3];
bool stopped; /* owner 1 has done its work and detached its IPIs */
bool queue_closed;

#ifdef BUG_COUNT
byte cycle;
#endif

/* Of the search. */
bool lost;         /* the claim is lost already */
bool due[3];       /* time has come for this owner's watchdog */
byte empty_cycles; /* cycles in a row that found nothing */

#include "shared_device.pml"

#define SOURCES 1
#define LINE 0
#include "closed.pml"

#define in_cycle ((closed[LINE] & CLOSED_CYCLE) != 0)

/* ---- An owner ------------------------------------------------------------------------- */

/* It is out of the set. Whoever empties the set tells the IRQ hart. */
inline answer(h, left)
{
#ifdef BUG_COUNT
    d_step { waiting--; left = waiting };
#else
    d_step { waiting = waiting & ~bit(h); left = waiting };
#endif
    if
#ifdef BUG_OWNER_OPENS
    :: left == 0 -> open_source(LINE, CLOSED_CYCLE)
#else
    :: left == 0 -> ipi_taken[IRQ_HART] = true
#endif
    :: left != 0
    fi;
    left = 0
}

/* Its share of a cycle. */
inline reap_and_answer(h, some, left)
{
#ifdef BUG_ANSWER_FIRST
    answer(h, left);
    reap(h, some);
#else
    reap(h, some);
    if
    :: some -> found = true
    :: else
    fi;
    answer(h, left);
#endif
    some = false
}

/* The doorbell of one more command. */
inline post(h)
{
#ifdef BUG_ACTIVE_LATE
    sent[h]++;
    d_step { active_set = active_set | bit(h) }
#else
    if
    :: active_set & bit(h)
    :: else -> d_step { active_set = active_set | bit(h) }
    fi;
    sent[h]++
#endif
}

/* The watchdog of an owner that has nothing outstanding, with interrupts off. */
inline leave(h)
{
    d_step { active_set = active_set & ~bit(h) }
}

/* nvme_queue_watchdog() finds an entry that no interrupt has told of. */
inline watchdog(h, some)
{
    due[h] = false;
    reap(h, some);
    some = false;
#ifndef BUG_NO_REOPEN
    reopen = true;
    ipi_taken[IRQ_HART] = true
#endif
}

active [HARTS - 1] proctype owner()
{
    byte h = _pid; /* behind the device: 1 .. HARTS - 1 */
    byte polls;
    byte left;
    bool some;
#ifdef BUG_COUNT
    byte answered;
    byte now;
#endif

end:
    do
#ifdef BUG_CLEAR_LATE
    :: ipi_taken[h];
#elif defined(DEAF)
    :: atomic { ipi_taken[h] && h != 1 -> ipi_taken[h] = false };
#else
    :: atomic { ipi_taken[h] -> ipi_taken[h] = false };
#endif
#ifdef BUG_COUNT
        now = cycle;
        if
        :: now == answered
        :: now != answered -> answered = now; reap_and_answer(h, some, left)
        fi;
        now = 0;
#else
        if
        :: waiting & bit(h) -> reap_and_answer(h, some, left)
        :: else
        fi;
#endif
#ifdef BUG_CLEAR_LATE
        ipi_taken[h] = false
#endif
    :: polls < POLLS -> polls++; reap(h, some); some = false
    :: due[h] -> watchdog(h, some)
    :: sent[h] < ENTRIES -> post(h)
#ifdef BUG_LEAVE_LATE
    :: (active_set & bit(h)) && !outstanding(h) && sent[h] < ENTRIES -> sent[h]++; leave(h)
#endif
    :: d_step { (active_set & bit(h)) && !outstanding(h) -> leave(h) }
#if !defined(DEAF) && !defined(BUG_COUNT)
    :: h == 1 && rung[h] == ENTRIES -> stopped = true; break
#endif
    od
}

/*
 * ---- The IRQ hart -----------------------------------------------------------------------------
 */

/* A cycle that all have answered. A miss must lead to the one that asks everybody. */
inline judge_cycle()
{
#if STRAYS == 0 && POLLS == 0
    empty_cycles = (found -> 0 : empty_cycles + 1);
#ifdef UNMATCHED
    assert(empty_cycles <= 1)
#else
    assert(empty_cycles == 0 || lost)
#endif
#else
    skip
#endif
}

inline end_cycle()
{
    open_source(LINE, CLOSED_CYCLE)
}

inline ipi(members)
{
    h = 1;
    do
    :: h < HARTS && (members & bit(h)) -> ipi_taken[h] = true; h++
    :: h < HARTS && !(members & bit(h)) -> h++
    :: h == HARTS -> h = 0; break
    od
}

inline store(members)
{
#ifdef BUG_COUNT
    waiting = (members & 1) + (members / 2 & 1) + (members / 4 & 1);
    cycle++
#else
    waiting = members
#endif
}

/* nvme_shared_begin(): in the handler, when no cycle is under way. */
inline begin_cycle()
{
    close_source(LINE, CLOSED_CYCLE);
#ifdef BUG_ACTIVE_ONLY
    members = active_set;
#else
    members = (found -> active_set : open);
#endif
    found = false;
#ifdef BUG_IPI_FIRST
    ipi(members);
    store(members);
#else
    store(members);
    ipi(members);
#endif
#ifdef BUG_OPEN_AT_ONCE
    write_mask(LINE, false);
#endif
    if
    :: members == 0 -> judge_cycle(); end_cycle()
    :: members & bit(IRQ_HART) -> reap_and_answer(IRQ_HART, some, left)
    :: else
    fi;
    members = 0
}

/* nvme_queue_close(), when the owner's hart takes no IPIs any more. */
inline close_queue(h)
{
    reap(h, some);
    some = false;
    empty_cycles = 0; /* what it may just have reaped */
    queue_closed = true;
    open = open & ~bit(h);
    d_step { active_set = active_set & ~bit(h) };
#ifndef BUG_COUNT
    d_step { waiting = waiting & ~bit(h) };
    if
#ifndef BUG_CLOSE_SILENT
    :: in_cycle && waiting == 0 -> end_cycle()
#endif
    :: else
    fi
#endif
}

active proctype irq_hart()
{
    byte open = QUEUES;
    byte members;
    byte left;
    byte h;
    bool some;

end:
    do
#ifdef LOST
    :: atomic { pending && !lost -> pending = false; lost = true }
#endif
    :: atomic { pending -> pending = false }; /* claim */
        if
#ifdef BUG_OWNER_OPENS
        :: waiting != 0
        :: waiting == 0 -> begin_cycle()
#else
        :: in_cycle /* the end of the cycle opens the line, which makes a fresh edge */
        :: !in_cycle -> begin_cycle()
#endif
        fi
    :: atomic { ipi_taken[IRQ_HART] -> ipi_taken[IRQ_HART] = false }; /* nvme_irq_take_ipi() */
        if
#ifndef BUG_OWNER_OPENS
        :: in_cycle && waiting == 0 -> judge_cycle(); end_cycle();
            reopen = false /* the end has made the edge */
        :: in_cycle && waiting != 0 -> reopen = false /* the end will make it */
#endif
        :: !in_cycle && reopen -> reopen = false;
            close_source(LINE, CLOSED_WATCHDOG);
            open_source(LINE, CLOSED_WATCHDOG) /* nvme_source_pulse() */
        :: else
        fi
    :: due[IRQ_HART] -> watchdog(IRQ_HART, some)
    :: sent[IRQ_HART] < IRQ_HART_ENTRIES -> post(IRQ_HART)
    :: d_step { (active_set & bit(IRQ_HART)) && !outstanding(IRQ_HART) -> leave(IRQ_HART) }
    :: stopped && !queue_closed -> close_queue(1)
    od
}

/* ---- What comes without a cause, and the judgement ------------------------------------ */

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
        :: ipi_taken[LAST] = true
        fi
    :: claims == STRAYS && ipis == STRAYS -> break
    od
}
#endif

/* Time passes when nothing moves: a watchdog that finds something. With LOST one must be enough. */
active proctype judge()
{
#ifdef LOST
    timeout ->
        if
        :: entry_ready(0) -> due[0] = true
        :: entry_ready(1) -> due[1] = true
        :: entry_ready(2) -> due[2] = true
        :: else
        fi;
#elif defined(DEAF)
    do
    :: timeout ->
        if
        :: entry_ready(0) -> due[0] = true
        :: entry_ready(2) -> due[2] = true
        :: else -> break
        fi
    od;
    assert(taken[0] == IRQ_HART_ENTRIES && taken[2] == ENTRIES);
#endif
    timeout ->
#ifndef DEAF
        assert(all_taken);
        assert(!holds_unmatched);
        assert(waiting == 0);
        assert(!masked && closed[LINE] == 0)
#else
        skip
#endif
}
