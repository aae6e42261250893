// SPDX-License-Identifier: MIT
/*
 * The raw ring: measures the device with almost no software.
 *
 * The engine builds the command of every submission entry once; then the loop only moves tail and
 * head. It has no command ids, PRPs, callbacks or latencies. Depth, batch, doorbells and the order
 * of post and reap are those of workload.c.
 */
#ifndef HARTQ_BENCH_RAW_H
#define HARTQ_BENCH_RAW_H

#include "worker.h"

/* Runs on each hart of a point with completion=raw. */
void raw_run(struct worker *worker);

#endif
