// SPDX-License-Identifier: MIT
/*
 * The closed loop over the engine on one hart, which keeps iodepth requests in flight, and the
 * frame around all loops over the engine.
 */
#ifndef HARTQ_BENCH_WORKLOAD_H
#define HARTQ_BENCH_WORKLOAD_H

#include "worker.h"

/* The closed loop, the open one or that of verify=, on each hart of a point. */
void workload_run(struct worker *worker);

/* Runs as many requests through the engine as the ring has entries: each holds a command then. */
void workload_fill_ring(struct worker *worker);

#endif
