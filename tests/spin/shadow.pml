/* SPDX-License-Identifier: MIT */
/*
 * A shadow doorbell: nvme_shadow_ring_sq() and nvme_shadow_ring_again() in engine/shadow.c.
 *
 * The hart posts COMMANDS commands into a ring of DEPTH entries, one by one, as there is room. Each
 * time it stores the tail in memory and looks at the event index. It writes the register only if
 * the tail passes that. The device takes what the memory says. When it finds nothing new it stores
 * its event index, looks once more, and sleeps until its register is written. Each side has a store
 * buffer, which only a fence waits for. A command that nobody fetches is an invalid end state. A
 * completion head is the same with the roles of its values.
 *
 *   -DDEAF       the device looks only when its register is written, and stores no event index
 *   -DWATCHDOG   the register is written again when nothing moves
 *
 *   -DBUG_NO_FENCE       the hart looks before its store is there
 *   -DBUG_DEVICE_FENCE   the device does
 *   -DBUG_DEVICE_LOOK    the device does not look once more
 *   -DBUG_ONE_LATE       the register is written one command later
 *   -DBUG_BEHIND         an event index at the old tail does not count, one at the new tail does
 *   -DBUG_NO_WRAP        the comparison does not know that the ring wraps
 *   -DBUG_BY_VALUE       the watchdog goes by the register's value, which a lap later is the same
 */
#ifndef DEPTH
#define DEPTH 3
#endif
#ifndef COMMANDS
#define COMMANDS 7
#endif

byte shadow; /* in memory */
byte event;  /* in memory */
byte hart_store; /* on its way to memory, */
bool hart_stores; /* if there is one */
byte device_store;
bool device_stores;
byte posted;
byte fetched;
byte tail;    /* as the hart stored it last */
byte written; /* to the register last */
bool behind;  /* the tail was stored, and the register not written for it */
bool rung;    /* the register was written, the device has not noticed */

#define AHEAD(from, to) ((to + DEPTH - from) % DEPTH)

#ifdef BUG_ONE_LATE
#define PASSES(from, to) (AHEAD(from, event) + 1 < AHEAD(from, to))
#elif defined(BUG_BEHIND)
#define PASSES(from, to) (AHEAD(from, event) != 0 && AHEAD(from, event) <= AHEAD(from, to))
#elif defined(BUG_NO_WRAP)
#define PASSES(from, to) (from <= event && event < to)
#else
#define PASSES(from, to) (AHEAD(from, event) < AHEAD(from, to))
#endif

/* The stores reach memory in their own time. */
active proctype memory()
{
end:
    do
    :: d_step { hart_stores -> shadow = hart_store; hart_stores = false }
    :: d_step { device_stores -> event = device_store; device_stores = false }
    od
}

active proctype hart()
{
    byte before;

    do
    :: posted < COMMANDS ->
        /* A slot is free again after its command was fetched, and some were ended. */
        posted - fetched < DEPTH - 1;
        before = tail;
        posted++;
        tail = posted % DEPTH;
        behind = true;
        !hart_stores; /* one at a time */
        atomic { hart_store = tail; hart_stores = true }
#ifndef BUG_NO_FENCE
        !hart_stores;
#endif
        if
        :: PASSES(before, tail) ->
            !hart_stores; /* the fence before the register */
            written = tail;
            behind = false;
            rung = true
        :: else
        fi
    :: posted == COMMANDS -> break
    od;
    fetched == COMMANDS
}

/* What the device takes its tail from. */
#ifdef DEAF
#define TOLD written
#else
#define TOLD shadow
#endif

active proctype device()
{
    byte seen;

    do
    :: atomic { seen != TOLD -> fetched = fetched + AHEAD(seen, TOLD); seen = TOLD }
    :: seen == TOLD ->
#ifndef DEAF
        !device_stores;
        atomic { device_store = seen; device_stores = true }
#ifndef BUG_DEVICE_FENCE
        !device_stores;
#endif
#endif
        if
#ifndef BUG_DEVICE_LOOK
        :: seen != TOLD -> skip
        :: seen == TOLD ->
#else
        :: true ->
#endif
end:
            atomic { rung -> rung = false }
        fi
    od
}

#ifdef BUG_BY_VALUE
#define BEHIND (written != tail)
#else
#define BEHIND behind
#endif

#ifdef WATCHDOG
active proctype watchdog()
{
end:
    do
    :: timeout && fetched < posted && BEHIND -> written = tail; behind = false; rung = true
    od
}
#endif
