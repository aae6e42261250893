/* SPDX-License-Identifier: MIT */
/*
 * Abort: nvme_abort_try(), nvme_abort_step() (engine/abort.c), nvme_admin_begin() (engine/admin.c).
 *
 * Two owners post one command after the other into a slot each. A command may be late: its owner
 * asks. Either owner takes the steps on the admin queue; a third hart administers. The device ends
 * commands at any time; it does what an Abort asks for, refuses, or lies. A command that stays late
 * ends with the controller. One hart at a time uses the admin queue, one Abort at a time
 * is under way, a refusal meets the command that was asked for, a slot is used again only when the
 * device does not own it, and every command ends once.
 *
 *   -DBUG_TWO          an Abort is posted while another is under way
 *   -DBUG_NO_WAIT      administration does not wait for a step
 *   -DBUG_ANY_PHASE    a refusal counts for the command that is asked for by now
 *   -DBUG_FREE_EARLY   the slot is free when the Abort has succeeded
 */
#ifndef POSTS
#define POSTS 2
#endif

mtype = { NONE, ASKED, POSTED, REFUSED };

/* The device. */
bool rdy = true;
bool owned[2];
byte owned_id[2];
byte aborts; /* under way */
byte abort_of, abort_id;

/* Entries: of the queues, and of the admin queue. */
bool entry[2];
bool answer, answer_failed;

/* The engine. */
bool live = true;
bool outstanding[2];
byte id[2], ended[2];
mtype phase[2] = NONE;
byte asked_id[2];
bool asked[2];
bool posted;
bool stepping, administered;
byte users; /* of the admin queue */

inline end_command(slot)
{
    owned[slot] = false;
    entry[slot] = true
}

active proctype device()
{
end:
    do
    :: atomic { rdy && owned[0] && !entry[0] -> end_command(0) }
    :: atomic { rdy && owned[1] && !entry[1] -> end_command(1) }
    :: atomic { rdy && aborts > 0 && !answer ->
            aborts--;
            answer = true;
            if
            :: owned[abort_of] && owned_id[abort_of] == abort_id ->
                if
                :: answer_failed = true
                :: answer_failed = false
                :: end_command(abort_of); answer_failed = false
                :: end_command(abort_of); answer_failed = true
                fi
            :: else -> answer_failed = true
            fi }
    :: atomic { !live && rdy -> rdy = false; owned[0] = false; owned[1] = false; aborts = 0 }
    od
}

inline take_answer()
{
    atomic {
        if
        :: answer ->
            answer = false;
            posted = false;
            if
#ifdef BUG_ANY_PHASE
            :: answer_failed ->
#else
            :: answer_failed && phase[abort_of] == POSTED ->
#endif
                phase[abort_of] = REFUSED;
                assert(asked_id[abort_of] == abort_id)
#ifdef BUG_FREE_EARLY
            :: !answer_failed && phase[abort_of] == POSTED && outstanding[abort_of] ->
                outstanding[abort_of] = false;
                ended[abort_of]++
#endif
            :: else
            fi
        :: else
        fi
    }
}

inline post_next(slot)
{
    atomic {
        if
#ifdef BUG_TWO
        :: live && asked[slot] ->
#else
        :: live && asked[slot] && !posted ->
#endif
            asked[slot] = false;
            if
            :: phase[slot] == ASKED ->
                phase[slot] = POSTED;
                posted = true;
                assert(aborts == 0);
                aborts++;
                abort_of = slot;
                abort_id = asked_id[slot]
            :: else
            fi
        :: else
        fi
    }
}

inline use_admin_queue()
{
    users++;
    assert(users == 1);
    take_answer()
}

proctype owner(byte q)
{
    do
    :: atomic { live && !outstanding[q] && id[q] < POSTS ->
            assert(!owned[q]);
            id[q]++;
            outstanding[q] = true;
            owned[q] = true;
            owned_id[q] = id[q] }
    :: atomic { entry[q] ->
            entry[q] = false;
            assert(outstanding[q]);
            outstanding[q] = false;
            ended[q]++ }
    /* The watchdog finds the command late. */
    :: atomic { live && outstanding[q] && !entry[q] ->
            if
            :: phase[q] == NONE || asked_id[q] != id[q] ->
                asked_id[q] = id[q];
                phase[q] = ASKED;
                asked[q] = true
            :: else -> live = false
            fi }
    :: atomic { live && !stepping && !administered && (asked[0] || asked[1] || posted) ->
            stepping = true };
        use_admin_queue();
        post_next(q);
        post_next(1 - q);
        users--;
        stepping = false
    :: atomic { !live && !rdy && !entry[q] && outstanding[q] ->
            outstanding[q] = false;
            ended[q]++ }
    :: atomic { !outstanding[q] && (id[q] == POSTS || !live) -> break }
    od;
    assert(ended[q] == id[q])
}

active proctype administrator()
{
    administered = true;
#ifndef BUG_NO_WAIT
    !stepping;
#endif
    use_admin_queue();
    users--;
    administered = false
}

init
{
    atomic { run owner(0); run owner(1) }
}
