/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous events against the end of the controller: request_done(), log_done(), take_step()
 * and nvme_events_arm() (engine/event.c), nvme_setup_enable() and nvme_setup_take()
 * (engine/setup.c).
 *
 * One hart administers. It polls, takes entries in its handler too, and sets a stopped controller
 * up again. Another hart disables the controller at any time. The device tells an event of a type
 * only after the log page of the last one was read. It never owns two requests, no entry of an
 * earlier life counts, and at the end a request is outstanding and every event was told and
 * reported.
 *
 *   -DBUG_LOG_UNREAD      an event is reported without a read of its log page
 *   -DBUG_STALE           entries of the life before the reset are taken
 *   -DBUG_LIVE_FIRST      the controller is live, in the old state, before the request is armed
 *   -DBUG_NOT_ARMED       bring-up after a reset arms nothing
 */
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef RESETS
#define RESETS 2
#endif

mtype = { OFF, ARMED, ENDED, READING, READ };

/* The device. */
bool en = true;
bool rdy = true;
bool request; /* it owns a request for an event, */
bool log;     /* and a read of the log page */
bool masked;  /* an event was told, its log page was not read */
byte happened, waiting;

/* Entries of the admin completion queue. */
bool request_entry, log_entry;

/* The controller. */
bool live = true;
mtype state = OFF;
bool setting_up; /* the reset goes on in a later call */
byte resets;
byte told, reported; /* in this life */

active proctype device()
{
end:
    do
    :: atomic { en && happened < EVENTS -> happened++; waiting++ }
    :: atomic { en && request && waiting > 0 && !masked ->
                waiting--; told++; masked = true; request = false; request_entry = true }
    :: atomic { en && log -> log = false; masked = false; log_entry = true }
    :: atomic { !en && rdy -> rdy = false; request = false; log = false }
    od
}

inline take_entries()
{
    if
    :: request_entry -> request_entry = false; state = ENDED
    :: else
    fi;
    if
    :: log_entry -> log_entry = false; state = READ
    :: else
    fi
}

/* A doorbell that a device without EN does not see. */
inline arm()
{
    assert(!request);
    request = en;
    state = ARMED
}

inline set_up()
{
    d_step {
#ifdef BUG_LIVE_FIRST
        live = true;
#else
        state = OFF;
#endif
#ifndef BUG_STALE
        request_entry = false;
        log_entry = false;
#endif
        en = true; rdy = true;
        masked = false; waiting = 0; told = 0; reported = 0
    }
}

active proctype host()
{
    atomic { arm() };
end:
    do
    :: atomic { request_entry || log_entry -> take_entries() } /* the handler */
    :: atomic { live && (request_entry || log_entry || state == ENDED || state == READ) ->
            take_entries();
            if
#ifdef BUG_LOG_UNREAD
            :: state == ENDED -> reported++; arm()
#else
            :: state == ENDED -> assert(!log); log = en; state = READING
#endif
            :: state == READ -> reported++; arm()
            :: else
            fi }
    :: atomic { !live && !rdy && !setting_up -> set_up(); setting_up = true }
    :: atomic { setting_up ->
            setting_up = false;
#ifndef BUG_NOT_ARMED
            arm();
#endif
            live = true }
    od
}

/* Another hart finds the controller dead. */
active proctype other()
{
end:
    do
    :: atomic { live && resets < RESETS -> resets++; live = false };
       en = false
    od
}

active proctype monitor()
{
end:
    timeout -> assert(live && state == ARMED && request && waiting == 0 && reported == told)
}
