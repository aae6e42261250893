// SPDX-License-Identifier: MIT
/*
 * The open loop over the engine on one hart: requests are posted when they are meant to start, at
 * most iodepth of them in flight.
 *
 * A latency counts from the intended start, also if that start found no free request. Nothing is
 * hidden by what the loop has to wait for itself.
 */
#ifndef HARTQ_BENCH_OPEN_LOOP_H
#define HARTQ_BENCH_OPEN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "pacing.h"

struct worker;

/* Written by its hart. */
struct open_loop {
    struct pacing pacing;
    uint64_t late_starts; /* intended starts that found no free request */
    bool starved;         /* at the last look nothing was free, or the queue was full */
};

/* Until the worker stops. */
void open_loop_run(struct worker *worker);

#endif
