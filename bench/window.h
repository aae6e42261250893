// SPDX-License-Identifier: MIT
/*
 * The phases of a hart: its ramp, its window, and the counters of the window.
 *
 * Every hart starts after one barrier and works through the ramp. Then hart 0 prints the marker
 * `#begin` and sets the start of the window to a little later, when the printing is over. Each hart
 * measures from there for the runtime, and hart 0 prints `#end`. The harts then wait for requests
 * that are still in flight, unmeasured.
 */
#ifndef HARTQ_BENCH_WINDOW_H
#define HARTQ_BENCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "nvme.h"
#include "timeline.h"

struct worker;

/* The phase of a hart. */
enum window_phase {
    WINDOW_RAMP,
    WINDOW_ANNOUNCED, /* hart 0: the start is set, not reached */
    WINDOW_MEASURE,
    WINDOW_OVER,
};

/* Counters at one edge of the window. */
struct window_edge {
    uint64_t ticks;
    uint64_t idle_ns;
    uint64_t idle_polls;
    uint64_t late_starts;
    struct nvme_counters counters;
};

/* Written by its hart. */
struct window {
    enum window_phase phase;
    bool stop;
    uint64_t event_ticks; /* look at the phase from here on */
    uint64_t end_ticks;   /* of the window */
    uint64_t reap_ticks;  /* of the last reap */
    uint64_t stall_ticks; /* a longer gap between two reaps is a stall */
    uint64_t stalls;
    int64_t ios_left;        /* of number_ios */
    int64_t ios_begin;       /* ios_left at the start of the window */
    struct latency *latency; /* [2]: reads, writes: the ramp's, then the window's */
    struct window_edge begin, end;
    struct timeline timeline;
    struct latency ramp[2];
    struct latency measured[2];
};

/* Waits for the other harts, and starts the ramp. */
void window_start(struct worker *worker);

/*
 * Moves from ramp to window, from interval to interval and from window to stop, in a reap that
 * found `count`. Not inline, because it is rare.
 */
void window_step(struct worker *worker, uint64_t now_ticks, uint32_t count);

/* When an idle hart has to look at the window again, after now_ticks. */
uint64_t window_wake_ticks(const struct worker *worker, uint64_t now_ticks);

/* Sets the edges that were not reached, because an error ended the loop early. */
void window_finish(struct worker *worker);

#endif
