// SPDX-License-Identifier: MIT
/*
 * The load step: the closed loop at full depth for thinktime_iotime, again and again, after a pause
 * of thinktime without requests.
 *
 * It shows how soon a mode is back at its rate. Completions are counted by the time since the burst
 * began, over all bursts that lie in the window.
 */
#ifndef HARTQ_BENCH_BURSTS_H
#define HARTQ_BENCH_BURSTS_H

#include <stdint.h>

#include "timeline.h"

struct worker;

/* Written by its hart. */
struct bursts {
    struct timeline timeline;         /* of the burst under way */
    uint64_t count;                   /* whole bursts */
    uint64_t ios[TIMELINE_INTERVALS]; /* of these */
};

/* Runs until the worker stops. */
void bursts_run(struct worker *worker);

#endif
