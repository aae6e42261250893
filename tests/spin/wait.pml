/* SPDX-License-Identifier: MIT */
/*
 * Waiting without losing the wake-up: storage_wait() (runtime/storage.c) around nvme_queue_arm()
 * (engine/sleep.c), and the thread that calls it in a loop.
 *
 * The device posts ENTRIES completions one after the other, each with an interrupt; the thread
 * waits until all of them have run their callbacks. wfi ends when an interrupt is pending, whether
 * or not interrupts are on. A thread that sleeps for good is an invalid end state.
 *
 *   -DBUG_OPEN_BEFORE_WFI   interrupts are turned on between the look and wfi
 *   -DBUG_OPEN_AT_LOOK      interrupts are on while the thread looks at what it waits for
 */
#ifndef ENTRIES
#define ENTRIES 3
#endif

byte posted;     /* completion entries written by the device */
byte taken;      /* entries consumed by the handler */
byte ended;      /* callbacks that have run: what the thread waits for */
bool pending;    /* at the hart; an edge: set when an entry is posted, cleared by the claim */
bool irq_on;     /* sstatus.SIE */
bool in_handler; /* the thread stands still */

/* The thread's instructions run one by one, and none while the handler has the hart. */
#define thread_runs (!in_handler)

active proctype device()
{
    do
    :: posted < ENTRIES -> d_step { posted++; pending = true }
    :: posted == ENTRIES -> break
    od
}

/* The trap. It reaps whatever is there, as line.pml shows for the line itself. */
active proctype handler()
{
end:
    do
    :: atomic { irq_on && pending -> in_handler = true; pending = false };
        do
        :: taken < posted -> taken++; ended++
        :: taken == posted -> break
        od;
        in_handler = false
    od
}

active proctype thread()
{
    bool ready;

    do
    :: atomic { thread_runs && ended == ENTRIES -> break }
    :: atomic { thread_runs && ended != ENTRIES };
#ifdef BUG_OPEN_AT_LOOK
        /* The caller's look was above, with interrupts on; off only now. */
        atomic { thread_runs -> irq_on = false };
#endif
        /* nvme_queue_arm(): the entry at the head. */
        atomic { thread_runs -> ready = (taken < posted) };
#ifdef BUG_OPEN_BEFORE_WFI
        atomic { thread_runs -> irq_on = true };
#endif
        if
        :: atomic { thread_runs && !ready -> skip };
            atomic { thread_runs && pending -> skip } /* wfi */
        :: atomic { thread_runs && ready -> skip }
        fi;
        atomic { thread_runs -> irq_on = true }; /* what is pending is taken here */
        /* The one instruction between irq_enable() and irq_disable() does not end before. */
        atomic { thread_runs && !pending -> skip };
#ifndef BUG_OPEN_AT_LOOK
        atomic { thread_runs -> irq_on = false }
#endif
    od
}
