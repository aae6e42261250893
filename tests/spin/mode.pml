/* SPDX-License-Identifier: MIT */
/*
 * The mode of a live queue changes: nvme_queue_set_mode(), nvme_queue_arm(), nvme_source_served()
 * (engine/source.c), nvme_irq_service() and nvme_vector_service() (engine/interrupt.c), under
 * storage_wait() (kernel/storage.c).
 *
 * One hart with a thread and a handler, one source, a device that posts ENTRIES completions when it
 * likes. The thread and done() change the mode as they like; in hybrid mode the thread spins or
 * sleeps and the handler shuts the source or not, as they like. A thread that sleeps for good, or
 * looks for good at an entry that its handler is to take, is an invalid end state.
 *
 *   -DLINE                a line: INTMS and INTMC in front of a latch of rising edges
 *   -DVECTOR              a message for each entry; one that is masked is held, and sent when the
 *                         mask is opened, or dropped when the ring is found empty
 *   -DVECTOR_DROPS        one that is masked is lost. Hybrid mode alone is right even then
 *   -DHYBRID_ONLY         the mode stays hybrid
 *
 *   -DBUG_LOOK_THEN_OPEN  arm looks at the ring, then opens: wrong for a source that drops
 *   -DBUG_SLEEP_SHUT      arm does not open
 *   -DBUG_IRQ_ON          interrupts are on between arm and wfi: the handler may shut the source
 *   -DBUG_MODE_ONLY       interrupt mode is set, but the source stays shut
 *   -DBUG_EXIT_AS_ENTERED the handler leaves the source as it was, whatever done() has set
 *   -DBUG_FLAG_ONLY       the flag of a shut source is cleared, and the mask is not opened
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
bool shut;
bool in_mask; /* a bracket or an admin command holds the source closed: source->closed */
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
inline write_mask(on)
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

inline shut_source()
{
    if
    :: !shut -> shut = true; write_mask(true)
    :: shut
    fi
}

inline open_source()
{
    if
    :: shut ->
        shut = false;
        if
#ifndef BUG_FLAG_ONLY
        :: !in_mask -> write_mask(false)
#endif
        :: else
        fi
    :: !shut
    fi
}

/* nvme_queue_set_mode() */
inline set_mode()
{
    changes++;
    if
    :: mode = POLL; shut_source()
    :: mode = INTERRUPT;
#ifndef BUG_MODE_ONLY
        open_source()
#endif
    :: mode = HYBRID; open_source()
    fi
}

/* nvme_queue_service(); a done() may change the mode. */
inline drain()
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

/* nvme_irq_enter() and nvme_irq_exit(), as the end of an odd claim. */
inline mask_and_open()
{
#ifdef BUG_EXIT_AS_ENTERED
    was_shut = shut;
#endif
    in_mask = true;
    write_mask(true);
    drain(); /* search() */
    in_mask = false;
    if
#ifdef BUG_EXIT_AS_ENTERED
    :: !was_shut -> write_mask(false)
    :: was_shut
#else
    :: !shut -> write_mask(false)
    :: shut
#endif
    fi
}

inline handle()
{
    pending = false; /* claim */
#ifdef LINE
    found = false;
    passes = 0;
    do
    :: ready && passes < PASSES_MAX -> found = true; passes++; drain()
    :: else -> break
    od;
    if
    :: !found || passes == PASSES_MAX -> mask_and_open()
    :: else
    fi;
    found = false;
    passes = 0;
#else
    drain();
#endif
    if
    :: mode == HYBRID -> shut_source() /* nvme_source_served(): completions come soon */
    :: true
    fi
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
    :: ready -> shut_source()
    :: true -> shut_source() /* worth spinning */
    :: !ready ->
#ifdef BUG_LOOK_THEN_OPEN
        asleep = !ready;
        open_source()
#else
#ifndef BUG_SLEEP_SHUT
        open_source();
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
    bool was_shut;
    byte passes;

    do
    :: taken == ENTRIES -> break
    :: taken != ENTRIES ->
        if
#ifndef HYBRID_ONLY
        :: changes < CHANGES -> set_mode()
#endif
        :: mode == POLL && ready -> drain()
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
            :: !asleep && ready -> drain()
            :: !asleep && pending
            :: !asleep && !ready && !pending /* it spins on */
            fi;
            asleep = false
        fi;
        take_interrupts()
    od
}
