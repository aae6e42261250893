// SPDX-License-Identifier: MIT
/*
 * The raw ring: what the device does when the software costs next to nothing.
 *
 * Every entry of the submission ring holds a command that the engine has built once; the loop only
 * moves tail and head. No command ids, no PRPs, no callbacks, no latencies; depth, batch, doorbells
 * and the order of post and reap are those of workload.c.
 */
#ifndef HARTQ_BENCH_RAW_H
#define HARTQ_BENCH_RAW_H

#include "worker.h"

/* On each hart of a point with completion=raw. */
void raw_run(struct worker *worker);

#endif
