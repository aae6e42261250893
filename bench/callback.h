// SPDX-License-Identifier: MIT
/*
 * The closed loop of post=callback: done() posts the next request itself, so that it rides on the
 * doorbell of the reap. The other loops post when the reap is over.
 *
 * It reads no clock for each request, so it counts requests and has no latencies.
 */
#ifndef HARTQ_BENCH_CALLBACK_H
#define HARTQ_BENCH_CALLBACK_H

struct worker;

/* Runs on each hart of a point with post=callback. */
void callback_run(struct worker *worker);

#endif
