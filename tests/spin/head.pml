/* SPDX-License-Identifier: MIT */
/*
 * A late completion doorbell: nvme_queue_reap() in engine/queue.c, for a poll queue whose
 * completion ring is larger than its submission ring.
 *
 * The thread posts and rings at any time. A reap consumes any number of entries, and callbacks post
 * meanwhile. The device fetches and writes entries in its own time. It has no place for an entry
 * if all but one hold entries that were not given back: then the ring was too small.
 *
 *   -DDEPTH=, -DSURPLUS=   entries of the submission ring, and by how many the other is larger
 *
 *   -DBUG_SUBMIT_FIRST   the reap writes the submission doorbell first
 *   -DBUG_FORGETS        the entries of a reap that does not ring are not counted
 *   -DBUG_IN_CALLBACK    a submit in a callback rings
 */
#ifndef DEPTH
#define DEPTH 3
#endif
#ifndef SURPLUS
#define SURPLUS 2
#endif
#ifndef COMMANDS
#define COMMANDS 10
#endif
#define LATE (SURPLUS / 2)

byte posted;
byte rung;    /* of these: announced */
byte entries; /* written by the device */
byte reaped;  /* consumed */
byte given;   /* of these: given back by the completion doorbell */

active proctype device()
{
end:
    do
    :: atomic { entries < rung ->
        assert(entries - given < DEPTH + SURPLUS - 1);
        entries++ }
    od
}

active proctype thread()
{
    byte left = LATE;
    byte consumed;

    do
    :: atomic { posted < COMMANDS && posted - reaped < DEPTH - 1 -> posted++ }
    :: rung != posted -> rung = posted
    :: reaped < entries ->
        /* The reap. */
        consumed = 0;
        do
        :: atomic { reaped < entries -> reaped++; consumed++ }
        :: atomic { consumed != 0 && posted < COMMANDS && posted - reaped < DEPTH - 1 -> posted++ }
#ifdef BUG_IN_CALLBACK
            rung = posted
#endif
        :: consumed != 0 -> break
        od;
#ifdef BUG_SUBMIT_FIRST
        rung = posted;
#endif
        if
        :: consumed > left -> given = reaped; left = LATE
        :: else ->
#ifndef BUG_FORGETS
            left = left - consumed
#endif
        fi;
        rung = posted
    :: reaped == COMMANDS -> break
    od
}
