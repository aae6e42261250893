/* SPDX-License-Identifier: MIT */
/*
 * The device of shared.pml, which includes this: three rings, one line, an edge latch behind it,
 * and nvme_queue_reap(), which empties a ring. HARTS, LAST, ENTRIES, IRQ_HART_ENTRIES and what the
 * engine shares are defined there.
 */

/* The device, and its line at the interrupt controller. */
byte sent[3];   /* commands rung for */
byte posted[3]; /* completion entries written */
byte rung[3];   /* the head doorbell: entries given back */
byte taken[3];  /* entries that the owner has consumed */
bool masked;    /* INTMS bit 0 */
bool high;
bool pending; /* latched edge, cleared by the claim */

/* An entry without a command, on the queue of the last owner. */
mtype = { NO_UNMATCHED, UNMATCHED_POSTED, UNMATCHED_TAKEN, UNMATCHED_RUNG };
mtype unmatched = NO_UNMATCHED;

#define sum(of) (of[0] + of[1] + of[2])
#define holds_entries                                                                             \
    (posted[0] != rung[0] || posted[1] != rung[1] || posted[2] != rung[2] || holds_unmatched)
#define all_posted (sum(posted) == IRQ_HART_ENTRIES + (HARTS - 1) * ENTRIES)
#define all_taken (sum(taken) == IRQ_HART_ENTRIES + (HARTS - 1) * ENTRIES)
#define holds_unmatched (unmatched == UNMATCHED_POSTED || unmatched == UNMATCHED_TAKEN)
#define outstanding(h) (sent[h] != taken[h])
#define entry_ready(h) (posted[h] != taken[h])

inline follow_line()
{
    if
    :: !high && holds_entries && !masked -> high = true; pending = true
    :: high && (!holds_entries || masked) -> high = false
    :: else
    fi
}

/* INTMS, INTMC */
inline write_mask(s, on)
{
    d_step { masked = on; follow_line() }
}

/* nvme_queue_reap(); `some` is set if it consumed anything. */
inline reap(h, some)
{
    do
    :: atomic { entry_ready(h) -> taken[h]++; some = true }
    :: atomic {
        h == LAST && unmatched == UNMATCHED_POSTED -> unmatched = UNMATCHED_TAKEN; some = true
       }
    :: atomic { !entry_ready(h) && (h != LAST || unmatched != UNMATCHED_POSTED) -> break }
    od;
    if
    :: rung[h] != taken[h] || (h == LAST && unmatched == UNMATCHED_TAKEN) ->
        d_step {
            rung[h] = taken[h];
            unmatched = (h == LAST && unmatched == UNMATCHED_TAKEN -> UNMATCHED_RUNG : unmatched);
            follow_line()
        }
    :: else
    fi
}

active proctype device()
{
    do
    :: d_step { posted[0] < sent[0] -> posted[0]++; follow_line() }
    :: d_step { posted[1] < sent[1] -> posted[1]++; follow_line() }
    :: d_step { posted[2] < sent[2] -> posted[2]++; follow_line() }
#ifdef UNMATCHED
    :: d_step {
        unmatched == NO_UNMATCHED && !(LAST == 1 && stopped) -> unmatched = UNMATCHED_POSTED;
        follow_line()
       }
    :: all_posted && (unmatched != NO_UNMATCHED || (LAST == 1 && stopped)) -> break
#else
    :: all_posted -> break
#endif
    od
}
