// SPDX-License-Identifier: MIT
/*
 * Completions over time: how many of a window fell into each of its equal intervals.
 *
 * A reap costs nothing: the hart counts its completions and looks at the clock anyway. Only the
 * first reap behind the end of an interval comes here. A time without completions, such as
 * that of a lost interrupt, leaves intervals with 0. Pure: no clock.
 */
#ifndef HARTQ_BENCH_TIMELINE_H
#define HARTQ_BENCH_TIMELINE_H

#include <stdint.h>

enum { TIMELINE_INTERVALS = 50 };

/* Of one hart's window. */
struct timeline {
    uint64_t next_ticks; /* end of the interval under way; UINT64_MAX: it is the last */
    uint64_t step_ticks; /* length of an interval */
    uint64_t counted;    /* completions that are in ios */
    uint32_t current;
    uint64_t ios[TIMELINE_INTERVALS];
};

/* Length of the intervals of a window, in ticks: 1 or more. */
uint64_t timeline_step(uint64_t runtime_ticks);

/* Begins with the first interval at begin_ticks, which is the same for all harts of a window. */
void timeline_start(struct timeline *timeline, uint64_t begin_ticks, uint64_t runtime_ticks);

/*
 * It is now_ticks, next_ticks or later. `total` completions came before this reap since the start:
 * those that are new belong to the interval that was under way.
 */
void timeline_pass(struct timeline *timeline, uint64_t now_ticks, uint64_t total);

/* The window is over after `total` completions; what came behind its end is the last interval's. */
void timeline_end(struct timeline *timeline, uint64_t total);

/*
 * How many intervals the window has begun, which may have ended early; 0 before timeline_start().
 * Every completion is in one of them, whenever the window's edges were taken.
 */
uint32_t timeline_intervals(const struct timeline *timeline);

#endif
