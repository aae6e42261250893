// SPDX-License-Identifier: MIT
/*
 * The closed loop over the engine on one hart, which keeps iodepth requests in flight, and the
 * start and end of all loops over the engine.
 */
#ifndef HARTQ_BENCH_WORKLOAD_H
#define HARTQ_BENCH_WORKLOAD_H

#include "worker.h"

/* Runs the closed loop, the open loop or that of verify=, on each hart of a point. */
void workload_run(struct worker *worker);

/* Posts all free requests, with the time of the last reap as their start. */
void workload_post(struct worker *worker);

/* Runs as many requests as the ring has entries, so that each entry has a command. */
void workload_fill_ring(struct worker *worker);

#endif
