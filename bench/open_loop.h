// SPDX-License-Identifier: MIT
/*
 * The open loop over the engine on one hart: it posts requests at their due times, with at most
 * iodepth in flight.
 *
 * A latency counts from the due time, even if no request was free then. So a delay of the loop
 * itself is part of the latency.
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
    uint64_t late_starts; /* due times at which no request was free */
    bool starved;         /* no request was free, or the queue was full */
};

/* Waits until there is enough to collect, or until_ticks: polls or sleeps, by the queue's mode. */
void open_loop_wait(struct worker *worker, uint64_t until_ticks);

/* Runs until the worker stops. */
void open_loop_run(struct worker *worker);

#endif
