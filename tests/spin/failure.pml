/* SPDX-License-Identifier: MIT */
/*
 * A deadline against a completion: nvme_queue_watchdog() (engine/recovery.c),
 * nvme_controller_disable() and nvme_controller_disable_step() (engine/disable.c), end_failed()
 * (engine/queue.c).
 *
 * Each owner has one request on its own queue of the same controller. The device answers it at any
 * time or never; any owner may find its deadline passed at any time. Every request ends exactly
 * once, none while the device may still touch its buffer, and one that was answered ends well. An
 * owner that never gets to an end is an invalid end state.
 *
 *   -DBUG_END_EARLY       requests end as soon as CC.EN = 0 is written
 *   -DBUG_NO_LAST_REAP    a failed controller's queue is not looked at again
 *   -DBUG_END_OTHERS      the owner that sees RDY = 0 ends the requests of all
 */
#ifndef OWNERS
#define OWNERS 3
#endif

mtype = { LIVE, DISABLING, FAILED };

/* The device. */
bool en = true;       /* CC.EN */
bool rdy = true;      /* CSTS.RDY: it may touch memory */
bool answered[OWNERS]; /* the entry is in the completion ring */

/* The controller; both change by compare-and-exchange. */
mtype state = LIVE;
bool failure; /* a cause is known */

byte ended[OWNERS]; /* times that done() ran */

/* The device answers, and stops some time after CC.EN = 0. */
active proctype device()
{
    byte i;

end:
    do
    :: atomic { rdy && i < OWNERS && !answered[i] -> answered[i] = true; i++ }
    :: atomic { rdy && i < OWNERS -> i++ } /* it never answers this one */
    :: atomic { rdy && !en -> rdy = false }
    od
}

/* done() of a request: as the device has it, or with an error. */
inline end_request(i, well)
{
    d_step {
        assert(well || !rdy);            /* else the device still owns the buffer */
        assert(well || !answered[i]);    /* an answer is not thrown away */
        ended[i]++;
        assert(ended[i] == 1)
    }
}

/* What is in the ring, then what never came. */
inline end_failed(i)
{
#ifdef BUG_NO_LAST_REAP
    if
    :: ended[i] == 0 -> end_request(i, false)
    :: else
    fi
#else
    if
    :: ended[i] == 0 && answered[i] -> end_request(i, true)
    :: ended[i] == 0 && !answered[i] -> end_request(i, false)
    :: ended[i] != 0
    fi
#endif
}

/* nvme_controller_disable(): the first to know a cause writes CC.EN = 0, then tells the others. */
inline disable()
{
    if
    :: atomic { !failure -> failure = true };
        en = false;
        atomic { state == LIVE -> state = DISABLING }
    :: else
    fi
}

active [OWNERS] proctype owner()
{
    byte me = _pid - 1;
    byte other;

    do
    :: ended[me] != 0 -> break
    /* The reap, of an interrupt or of a poll, on a controller that is live. */
    :: ended[me] == 0 && state == LIVE && answered[me] -> end_request(me, true)
    /* The watchdog: the deadline has passed. It looks at the ring once more. */
    :: ended[me] == 0 && state == LIVE ->
        if
        :: answered[me] -> end_request(me, true)
        :: !answered[me] -> disable()
        fi
    /* nvme_controller_disable_step() */
    :: state == DISABLING ->
#ifdef BUG_END_EARLY
        end_failed(me)
#else
        if
        :: !rdy ->
            if
            :: atomic { state == DISABLING -> state = FAILED }
#ifdef BUG_END_OTHERS
                other = 0;
                do
                :: other < OWNERS -> end_failed(other); other++
                :: other == OWNERS -> break
                od
#endif
            :: state != DISABLING
            fi
        :: rdy
        fi
#endif
    :: state == FAILED -> end_failed(me)
    od;
    other = 0
}
