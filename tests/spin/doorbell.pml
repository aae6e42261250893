/* SPDX-License-Identifier: MIT */
/*
 * A clocked submission doorbell: may_wait() and nvme_queue_reap() in engine/queue.c,
 * nvme_queue_arm() in engine/sleep.c.
 *
 * The thread posts COMMANDS commands, each with nvme_queue_submit(), and then waits for all. A
 * doorbell waits if the last one is not known to be fetched and a command is in flight. The device
 * fetches what a doorbell has announced, in its own time. An entry tells how much it had fetched.
 * A command that nobody rings for is an invalid end state.
 *
 *   -DARMS   the thread sleeps by nvme_queue_arm(); else it only waits for the callbacks
 *   -DLIES   the device always tells that it has fetched nothing
 *
 *   -DBUG_ARM_SILENT    nvme_queue_arm() does not ring
 *   -DBUG_REAP_SILENT   the reap does not ring
 *   -DBUG_HEAD_ALONE    a doorbell waits also if nothing is in flight
 */
#ifndef COMMANDS
#define COMMANDS 4
#endif

byte posted;  /* commands in the submission ring */
byte rung;    /* of these: announced by a doorbell */
byte fetched; /* by the device */
byte entries; /* completion entries written by the device, each with an interrupt */
byte told;    /* SQHD of the last of them */
byte reaped;  /* entries consumed, callbacks run */
byte head;    /* SQHD of the last entry that was consumed */
bool pending; /* the interrupt */
bool irq_on = true;
bool in_handler; /* the thread stands still */

#define thread_runs (!in_handler)

#ifdef BUG_HEAD_ALONE
#define MAY_WAIT (head != rung)
#else
#define MAY_WAIT (head != rung && rung != reaped)
#endif

active proctype device()
{
end:
    do
    :: atomic { fetched < rung -> fetched++ }
    :: d_step { entries < fetched -> entries++;
#ifndef LIES
        told = fetched;
#endif
        pending = true }
    od
}

/* nvme_queue_reap() in the trap. What it consumes is one step: the thread stands still. */
active proctype handler()
{
end:
    do
    :: atomic { irq_on && pending -> in_handler = true; pending = false };
        d_step { reaped = entries; head = told };
#ifndef BUG_REAP_SILENT
        rung = posted;
#endif
        in_handler = false
    od
}

active proctype thread()
{
    bool ready;

    do
    :: atomic { thread_runs && posted < COMMANDS -> irq_on = false };
        posted++;
        if
        :: MAY_WAIT -> skip
        :: else -> rung = posted
        fi;
        irq_on = true
    :: atomic { thread_runs && posted == COMMANDS -> break }
    od;
#ifdef ARMS
    do
    :: atomic { thread_runs && reaped == COMMANDS -> break }
    :: atomic { thread_runs && reaped != COMMANDS -> irq_on = false };
        if
        :: reaped == COMMANDS -> irq_on = true; break
        :: else
        fi;
#ifndef BUG_ARM_SILENT
        rung = posted;
#endif
        ready = (reaped < entries);
        /* Whoever sleeps has rung for all. */
        assert(ready || rung == posted);
        if
        :: !ready -> pending /* wfi */
        :: ready
        fi;
        irq_on = true;
        atomic { thread_runs && !pending -> skip } /* what is pending is taken here */
    od
#else
    reaped == COMMANDS
#endif
}
