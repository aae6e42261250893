// SPDX-License-Identifier: MIT
/*
 * Completions over time: how many came in each of a window's equal intervals.
 *
 * It adds no cost to a reap: the hart counts completions and reads the clock anyway. Only the first
 * reap after the end of an interval calls it. A time without completions, such as that of a lost
 * interrupt, leaves intervals with 0. Pure: no clock.
 */
#ifndef HARTQ_BENCH_TIMELINE_H
#define HARTQ_BENCH_TIMELINE_H

#include <stdint.h>

enum { TIMELINE_INTERVALS = 50 };

/* Of one hart's window. */
struct timeline {
    uint64_t next_ticks; /* end of the present interval; UINT64_MAX: it is the last */
    uint64_t step_ticks; /* length of an interval */
    uint64_t counted;    /* completions counted in ios */
    uint32_t current;
    uint64_t ios[TIMELINE_INTERVALS];
};

/* Length of the intervals of a window, in ticks: 1 or more. */
uint64_t timeline_step(uint64_t runtime_ticks);

/* Starts the first interval at begin_ticks, which is the same for all harts of a window. */
void timeline_start(struct timeline *timeline, uint64_t begin_ticks, uint64_t runtime_ticks);

/*
 * Ends the present interval: now_ticks is next_ticks or later. `total` completions came before this
 * reap since the start; the new ones belong to that interval.
 */
void timeline_pass(struct timeline *timeline, uint64_t now_ticks, uint64_t total);

/* Ends the window after `total` completions; late ones count for the last interval. */
void timeline_end(struct timeline *timeline, uint64_t total);

/*
 * The number of intervals that have begun, fewer if the window ended early; 0 before
 * timeline_start(). They contain every completion of the window.
 */
uint32_t timeline_intervals(const struct timeline *timeline);

#endif
