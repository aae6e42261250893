/* SPDX-License-Identifier: MIT */
/*
 * One controller, one INTx line, several owners of queues: shared delivery. The line goes to one
 * hart, home. It masks the controller, starts a round and kicks the other owners; each drains its
 * own queue and counts itself off; home opens the line again when nobody is left.
 *
 * The line is the worst one: a rising edge is latched, nothing else is looked at. Claims without a
 * cause (a foreign device on the line) and kicks without a cause come at any time, owners also
 * drain when they like, and one that has closed its queue answers all the same. When nothing moves
 * any more, all completions must have been taken and the line must be open.
 *
 *   -DBUG_OWNER_OPENS    the last owner writes INTMC itself: a claim may come just before it
 *   -DBUG_OPEN_AT_ONCE   home writes INTMC as soon as it has kicked
 *   -DBUG_NO_ROUND       no round number: an owner counts itself off at every kick
 *   -DBUG_ROUND_FIRST    the round number is stored before the count of the owners
 *   -DBUG_RESTART        a claim starts a round although one is under way
 *   -DBUG_CLEAR_LATE     an owner takes its kick back after its work instead of before
 */
#ifndef HARTS
#define HARTS 3
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#define HOME 0
#ifndef STRAYS
#define STRAYS 2 /* claims, and kicks, without a cause */
#endif
#ifndef POLLS
#define POLLS 1 /* drains of an owner's own accord */
#endif

/* The device, and its line at the interrupt controller. */
byte posted[HARTS]; /* completion entries written */
byte rung[HARTS];   /* the head doorbell: entries given back */
byte taken[HARTS];  /* entries that the owner has consumed */
bool masked;        /* INTMS bit 0 */
bool high;
bool pending; /* latched edge, cleared by the claim */

/* The engine's: what harts share. */
byte waiting; /* owners that have not answered this round; atomic */
byte round;   /* of the last round; stored by home, read by all */
bool kicked[HARTS];

#if HARTS == 2
#define holds_entries (posted[0] != rung[0] || posted[1] != rung[1])
#define all_posted (posted[0] + posted[1] == 2 * ENTRIES)
#define all_taken (taken[0] + taken[1] == 2 * ENTRIES)
#else
#define holds_entries (posted[0] != rung[0] || posted[1] != rung[1] || posted[2] != rung[2])
#define all_posted (posted[0] + posted[1] + posted[2] == 3 * ENTRIES)
#define all_taken (taken[0] + taken[1] + taken[2] == 3 * ENTRIES)
#endif

inline follow_line()
{
    if
    :: !high && holds_entries && !masked -> high = true; pending = true
    :: high && (!holds_entries || masked) -> high = false
    :: else
    fi
}

inline write_intms()
{
    d_step { masked = true; follow_line() }
}

inline write_intmc()
{
    d_step { masked = false; follow_line() }
}

/* nvme_queue_service() */
inline drain(h)
{
    do
    :: atomic { taken[h] != posted[h] -> taken[h]++ }
    :: atomic { taken[h] == posted[h] -> break }
    od;
    if
    :: rung[h] != taken[h] -> d_step { rung[h] = taken[h]; follow_line() }
    :: else
    fi
}

active proctype device()
{
    do
    :: d_step { posted[0] < ENTRIES -> posted[0]++; follow_line() }
    :: d_step { posted[1] < ENTRIES -> posted[1]++; follow_line() }
#if HARTS > 2
    :: d_step { posted[2] < ENTRIES -> posted[2]++; follow_line() }
#endif
    :: all_posted -> break
    od
}

/* An owner counts itself off. Who is the last tells home. */
inline count_off(left)
{
    d_step { waiting--; left = waiting };
    if
#ifdef BUG_OWNER_OPENS
    :: left == 0 -> write_intmc()
#else
    :: left == 0 -> kicked[HOME] = true
#endif
    :: left != 0
    fi;
    left = 0
}

active proctype home()
{
    bool in_round;
    byte h;
    byte left;

end:
    do
    :: atomic { pending -> pending = false }; /* claim */
        if
#ifndef BUG_RESTART
#ifdef BUG_OWNER_OPENS
        :: waiting != 0
        :: waiting == 0 ->
#else
        :: in_round /* the end of the round opens the line, which makes a fresh edge */
        :: !in_round ->
#endif
#else
        :: true ->
#endif
            in_round = true;
            write_intms();
#ifdef BUG_ROUND_FIRST
            round++;
            waiting = HARTS;
#else
            waiting = HARTS;
            round++;
#endif
            h = 1;
            do
            :: h < HARTS -> kicked[h] = true; h++
            :: h == HARTS -> h = 0; break
            od;
#ifdef BUG_OPEN_AT_ONCE
            write_intmc();
#endif
            drain(HOME);
            count_off(left)
        fi
    :: atomic { kicked[HOME] -> kicked[HOME] = false };
        if
#ifndef BUG_OWNER_OPENS
        :: in_round && waiting == 0 -> in_round = false; write_intmc()
#endif
        :: else
        fi
    od
}

active [HARTS - 1] proctype owner()
{
    byte h = _pid - 1; /* behind the device and home: 1 .. HARTS - 1 */
    byte answered;
    byte polls;
    byte now;
    byte left;
    bool closed;

end:
    do
#ifdef BUG_CLEAR_LATE
    :: kicked[h];
#else
    :: atomic { kicked[h] -> kicked[h] = false };
#endif
        now = round;
        if
#ifdef BUG_NO_ROUND
        :: true ->
#else
        :: now == answered /* a kick of another's, or the same one again */
        :: now != answered ->
#endif
            answered = now;
            if
            :: closed
            :: !closed -> drain(h)
            fi;
            count_off(left)
        fi;
        now = 0;
#ifdef BUG_CLEAR_LATE
        kicked[h] = false
#endif
    :: polls < POLLS && !closed -> polls++; drain(h)
    :: rung[h] == ENTRIES && !closed -> closed = true
    od
}

active proctype strays()
{
    byte claims;
    byte kicks;

    do
    :: claims < STRAYS -> claims++; pending = true
    :: kicks < STRAYS -> kicks++;
        if
        :: kicked[HOME] = true
        :: kicked[1] = true
        fi
    :: claims == STRAYS && kicks == STRAYS -> break
    od
}

active proctype judge()
{
    timeout ->
        assert(all_taken);
        assert(waiting == 0);
        assert(!masked)
}
