/* SPDX-License-Identifier: MIT */
/*
 * A reset: nvme_controller_disable() and nvme_controller_disable_step() (engine/disable.c),
 * nvme_reset_step() and nvme_reset_watch() (engine/reset.c), after one deadline or several.
 *
 * Each owner posts REQUESTS requests on its own queue, one after the other, whatever the controller
 * does. The device answers at any time or never, stops some time after CC.EN = 0, may never be
 * ready again, and may be removed. Every request ends exactly once, none while the device may touch
 * its buffer, one that was answered ends well. No owner rings for a queue that the device does not
 * have, or whose rings are those of an earlier life. An owner that never gets to an end is an
 * invalid end state.
 *
 *   -DBUG_END_EARLY     an owner takes its requests back before RDY = 0
 *   -DBUG_NO_LAST_REAP  it does not look at its ring once more
 *   -DBUG_NO_WAIT       the controller is enabled before every owner has released
 *   -DBUG_RESUME_EARLY  an owner rings while the pairs are created
 *   -DBUG_NO_FLAG       two harts make the same step
 *   -DBUG_OLD_LOOK      a hart without a queue looks at RDY without the flag
 */
#ifndef OWNERS
#define OWNERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef RESETS
#define RESETS 1
#endif

mtype = { LIVE, DISABLING, RELEASING, ENABLING, CONFIGURING, FAILED };

/* The device. */
bool en = true;        /* CC.EN */
bool rdy = true;       /* CSTS.RDY */
bool gone;             /* registers read as all ones */
bool exists[OWNERS] = true;  /* the pair */
byte made[OWNERS];     /* in this life of the controller */
bool owned[OWNERS];    /* it has the command and may touch its buffer */
bool answered[OWNERS]; /* the entry is in the ring */

/* The controller. */
mtype state = LIVE;
bool failure;
bool recovers;
bool stepping;
byte life;
byte resets_left = RESETS;
byte next; /* pair to be created */

/* The queues. */
byte seen[OWNERS];   /* life of the rings */
bool absent[OWNERS];
bool posted[OWNERS]; /* in the ring, not ended */
bool rung[OWNERS];
byte count[OWNERS];  /* requests posted so far */

active proctype device()
{
end:
    do
    /* Also after EN = 0: what it has begun, until it stops. */
    :: atomic { rdy && owned[0] -> answered[0] = true; owned[0] = false }
    :: atomic { rdy && owned[1] -> answered[1] = true; owned[1] = false }
    :: atomic { rdy && !en -> rdy = false; owned[0] = false; owned[1] = false }
    :: atomic { !rdy && en && !gone -> rdy = true }
#ifdef REMOVAL
    :: atomic { !gone -> gone = true; rdy = false; owned[0] = false; owned[1] = false }
#endif
    od
}

/* CC.EN = 0, by the winner, or by the hart that makes a reset. */
inline begin(may)
{
    d_step {
        recovers = may && resets_left > 0;
        if
        :: resets_left > 0 -> resets_left--
        :: else
        fi
    }
    d_step { en = false; exists[0] = false; exists[1] = false }
}

inline disable()
{
    if
    :: atomic { !failure -> failure = true };
        begin(!gone);
        life++;
        state = DISABLING
    :: else
    fi
}

inline ring(i)
{
    d_step {
        if
        :: gone || !en /* another hart has just written CC.EN = 0: the doorbell does nothing */
        :: else ->
            assert(exists[i]);
            assert(seen[i] == made[i]);
            owned[i] = true
        fi;
        rung[i] = true
    }
}

inline end_request(i, well)
{
    d_step {
        assert(posted[i]);
        assert(well || !owned[i]);
        assert(well || !answered[i]);
        posted[i] = false;
        rung[i] = false;
        if
        :: well -> answered[i] = false
        :: else
        fi
    }
}

/* What is in the ring, then what never came; the rings are new. done() posts once more. */
inline release(i)
{
#ifndef BUG_NO_LAST_REAP
    if
    :: posted[i] && answered[i] -> end_request(i, true); post_next(i)
    :: else
    fi;
#endif
    absent[i] = true;
    aside = posted[i];
#ifdef BUG_NO_LAST_REAP
    assert(!answered[i]);
#endif
    d_step { seen[i] = life }
    if
    :: aside -> end_request(i, false); post_next(i)
    :: else
    fi
}

inline post_next(i)
{
    if
    :: count[i] < REQUESTS -> count[i]++; posted[i] = true
    :: else
    fi
}

inline again()
{
    begin(!gone);
    state = DISABLING
}

#ifdef BUG_NO_WAIT
#define ALL_RELEASED true
#else
#define ALL_RELEASED (seen[0] == life && seen[1] == life)
#endif

/* nvme_controller_disable_step(): RDY, and what follows from it. Other harts may come between. */
inline look()
{
    if
    :: state == DISABLING && !rdy ->
        if
        :: recovers && !gone -> state = RELEASING
        :: else -> state = FAILED
        fi
    :: else
    fi
}

/* nvme_reset_step(): one hart at a time. */
inline step()
{
    if
    :: state == RELEASING && ALL_RELEASED -> assert(!rdy); en = true; next = 0; state = ENABLING
    :: state == ENABLING && gone -> again()
    :: state == ENABLING && rdy && !gone -> state = CONFIGURING
    :: state == ENABLING && !gone -> again() /* RDY is too late, or CFS */
    :: state == CONFIGURING && gone -> again()
    :: state == CONFIGURING && !gone && next < OWNERS ->
        assert(!exists[next]);
        made[next] = life;
        exists[next] = true;
        next++
    :: state == CONFIGURING && !gone && next == OWNERS -> state = LIVE; failure = false
    :: else
    fi
}

active [OWNERS] proctype owner()
{
    byte me = _pid - 1;
    bool aside;

    post_next(me);
end:
    do
    /* Submit. */
    :: posted[me] && !rung[me] && !absent[me] && state == LIVE && !failure -> ring(me)
    /* The reap, of an interrupt or of a poll. */
    :: posted[me] && answered[me] && state == LIVE && !absent[me] ->
        end_request(me, true); post_next(me)
    /* A deadline has passed: the ring is looked at once more. */
    :: rung[me] && state == LIVE && !absent[me] ->
        if
        :: answered[me] -> end_request(me, true); post_next(me)
        :: !answered[me] -> disable()
        fi
    :: atomic { !stepping && state == DISABLING && !rdy -> stepping = true };
        look();
        stepping = false
#ifdef BUG_END_EARLY
    :: (state == DISABLING || state == RELEASING) && seen[me] != life -> release(me)
#else
    :: state == RELEASING && seen[me] != life -> release(me)
#endif
#ifdef BUG_NO_FLAG
    :: state == RELEASING || state == ENABLING || state == CONFIGURING -> step()
#else
    :: atomic { !stepping &&
                (state == RELEASING || state == ENABLING || state == CONFIGURING) ->
        stepping = true };
        step();
        stepping = false
#endif
    :: absent[me] && state == LIVE -> absent[me] = false
#ifdef BUG_RESUME_EARLY
    :: absent[me] && state == CONFIGURING ->
        absent[me] = false;
        if
        :: posted[me] && !rung[me] -> ring(me)
        :: else
        fi
#endif
    :: state == FAILED ->
        if
        :: posted[me] && answered[me] -> end_request(me, true)
        :: posted[me] && !answered[me] -> end_request(me, false)
        :: else
        fi;
        break
    od
}

#ifdef TOOL
/* nvme_controller_settle() on a hart without a queue. */
active proctype tool()
{
end:
    if
#ifdef BUG_OLD_LOOK
    :: state == DISABLING -> look()
#else
    :: atomic { !stepping && state == DISABLING -> stepping = true };
        look();
        stepping = false
#endif
    fi
}
#endif

/* At the end nothing is left: each request has ended. */
active proctype judge()
{
    timeout -> assert(!posted[0] && !posted[1])
}
