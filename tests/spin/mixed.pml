/* SPDX-License-Identifier: MIT */
/*
 * A line with two controllers: A in shared delivery (the IRQ hart's queue and another owner's), B
 * with queues of the IRQ hart's alone, handled by looking again. nvme_irq_handle()
 * (engine/interrupt.c) with nvme_shared_begin() and nvme_irq_take_ipi() (engine/shared.c).
 *
 * In one interrupt the IRQ hart masks A and begins its cycle, then handles B until a pass finds
 * nothing, and only then opens A, if its cycle is over. So there is a moment at which A is masked
 * and B has nothing: the line is low, and whatever comes later makes an edge. A cycle that ends
 * later opens A from the IPI. When nothing moves any more, every completion must have been taken.
 *
 *   -DTWO_SHARED     B is in shared delivery too, with another cycle
 *
 *   -DBUG_OPEN_FIRST A is opened before B is handled
 *   -DBUG_B_FIRST    B is handled, then A masked
 *   -DBUG_B_ONCE     B is reaped once
 *   -DBUG_GIVE_UP    B stays busy for all passes and is left without an edge
 *   -DBUG_END_OPENS  the end of an interrupt that went on too long opens A in the midst of
 *                    its cycle
 */
#ifndef A_ENTRIES
#define A_ENTRIES 1 /* on each queue of A */
#endif
#ifndef B_ENTRIES
#define B_ENTRIES 3
#endif
#ifndef STRAYS
#define STRAYS 1
#endif
#define PASSES_MAX 2
#define A 0
#define B 1
#define IRQ_HART_BIT 1
#define OWNER_BIT 2

/*
 * The devices. A queue of the IRQ hart's and one of the owner's on each; B has the latter if
 * shared.
 */
byte posted[4]; /* queue 2 * controller: the IRQ hart's, queue 2 * controller + 1: the owner's */
byte taken[4];
byte rung[4];
bool masked[2];

bool high;    /* the line they share */
bool pending; /* a rising edge, cleared by the claim */

/* The engine's. */
byte waiting[2];
bool ipi_taken_irq_hart;
bool ipi_taken_owner;

#define holds(c) (posted[2 * (c)] != rung[2 * (c)] || posted[2 * (c) + 1] != rung[2 * (c) + 1])
#define asserts(c) (holds(c) && !masked[c])
#define line_is_high (asserts(A) || asserts(B))
#define ready(q) (posted[q] != taken[q])
#define entries(q) ((q) < 2 -> A_ENTRIES : B_ENTRIES)
#ifdef TWO_SHARED
#define QUEUES 4
#else
#define QUEUES 3
#endif

inline follow_line()
{
    if
    :: !high && line_is_high -> high = true; pending = true
    :: high && !line_is_high -> high = false
    :: else
    fi
}

inline write_mask(c, on)
{
    d_step { masked[c] = on; follow_line() }
}

#define SOURCES 2
#include "closed.pml"

#define in_cycle(c) ((closed[c] & CLOSED_CYCLE) != 0)

/* nvme_queue_reap() */
inline reap(q)
{
    do
    :: atomic { ready(q) -> taken[q]++ }
    :: atomic { !ready(q) -> break }
    od;
    if
    :: rung[q] != taken[q] -> d_step { rung[q] = taken[q]; follow_line() }
    :: else
    fi
}

active [QUEUES] proctype device()
{
    byte q = _pid;

    do
    :: posted[q] < entries(q) -> d_step { posted[q]++; follow_line() }
    :: posted[q] == entries(q) -> break
    od
}

active proctype owner()
{
    bool last;

end:
    do
    :: atomic { ipi_taken_owner -> ipi_taken_owner = false };
        if
        :: waiting[A] & OWNER_BIT ->
            reap(2 * A + 1);
            d_step { waiting[A] = waiting[A] & ~OWNER_BIT; last = last || waiting[A] == 0 }
        :: else
        fi;
#ifdef TWO_SHARED
        if
        :: waiting[B] & OWNER_BIT ->
            reap(2 * B + 1);
            d_step { waiting[B] = waiting[B] & ~OWNER_BIT; last = last || waiting[B] == 0 }
        :: else
        fi;
#endif
        if
        :: last -> ipi_taken_irq_hart = true; last = false
        :: else
        fi
    od
}

/* nvme_shared_begin(): true if a cycle is under way or begins. Its queue here is reaped. */
inline begin_cycle(c)
{
    if
    :: in_cycle(c)
    :: !in_cycle(c) ->
        close_source(c, CLOSED_CYCLE);
        waiting[c] = IRQ_HART_BIT | OWNER_BIT;
        ipi_taken_owner = true;
        reap(2 * c);
        d_step { waiting[c] = waiting[c] & ~IRQ_HART_BIT }
    fi
}

inline end_cycle(c)
{
    if
    :: in_cycle(c) && waiting[c] == 0 -> open_source(c, CLOSED_CYCLE)
    :: else
    fi
}

/* Look again; a line that stays busy is masked and opened once, what is in a cycle left masked. */
inline handle_b()
{
    passes = 0;
    do
    :: ready(2 * B) && passes < PASSES_MAX -> passes++; reap(2 * B)
    :: else -> break
#ifdef BUG_B_ONCE
    :: passes != 0 -> break
#endif
    od;
    if
#ifndef BUG_GIVE_UP
    :: passes == PASSES_MAX -> close_source(B, CLOSED_ENTERED); open_source(B, CLOSED_ENTERED)
#endif
    :: else
    fi;
#ifdef BUG_END_OPENS
    if
    :: passes == PASSES_MAX -> write_mask(A, false)
    :: else
    fi;
#endif
    passes = 0
}

active proctype irq_hart()
{
    byte passes;

end:
    do
    :: atomic { pending -> pending = false }; /* claim */
#ifdef TWO_SHARED
        begin_cycle(A);
        begin_cycle(B);
        end_cycle(A);
        end_cycle(B)
#elif defined(BUG_B_FIRST)
        handle_b();
        begin_cycle(A);
        end_cycle(A)
#else
        begin_cycle(A);
#ifdef BUG_OPEN_FIRST
        end_cycle(A);
#endif
        handle_b();
        end_cycle(A)
#endif
    :: atomic { ipi_taken_irq_hart -> ipi_taken_irq_hart = false };
        end_cycle(A)
#ifdef TWO_SHARED
        ;
        end_cycle(B)
#endif
    od
}

#if STRAYS != 0
active proctype strays()
{
    byte claims;

    do
    :: claims < STRAYS -> claims++; pending = true
    :: claims == STRAYS -> break
    od;
    ipi_taken_owner = true;
    ipi_taken_irq_hart = true
}
#endif

active proctype judge()
{
    timeout ->
        assert(taken[0] == A_ENTRIES && taken[1] == A_ENTRIES && taken[2] == B_ENTRIES);
#ifdef TWO_SHARED
        assert(taken[3] == B_ENTRIES);
#endif
        assert(!masked[A] && !masked[B] && closed[A] == 0 && closed[B] == 0)
}
