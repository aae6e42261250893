/* SPDX-License-Identifier: MIT */
/*
 * What keeps an interrupt source closed: enum nvme_closed (engine/nvme.h), and the one function
 * that changes the set, nvme_source_change() (engine/nvme_source_internal.h). Included by the
 * models, which define SOURCES and write_mask(source, on). Only the hart of a source changes its
 * set.
 */
#define CLOSED_POLLED 2   /* the mode is to poll, or hybrid mode's owner is awake */
#define CLOSED_STORM 4    /* too many empty interrupts */
#define CLOSED_CYCLE 16   /* not every owner has answered */
#define CLOSED_ENTERED 32 /* the handler, or a bottom half */
#define CLOSED_WATCHDOG 64   /* the watchdog reaps a queue */

byte closed[SOURCES]; /* the device's mask follows it: it is open when the set is empty */

/* nvme_source_close() */
inline close_source(s, reason)
{
    if
    :: atomic { closed[s] == 0 -> closed[s] = reason };
        write_mask(s, true)
    :: atomic { closed[s] != 0 -> closed[s] = closed[s] | reason }
    fi
}

/* nvme_source_open() */
inline open_source(s, reason)
{
    if
    :: atomic { closed[s] != 0 && (closed[s] & ~reason) == 0 -> closed[s] = 0 };
        write_mask(s, false)
    :: atomic { closed[s] == 0 || (closed[s] & ~reason) != 0 -> closed[s] = closed[s] & ~reason }
    fi
}
