// SPDX-License-Identifier: MIT
/*
 * Readers beside a writer: iodepth small requests and writer_iodepth sequential writes of 128 KiB
 * in one queue, or the writes on the last hart if there are several.
 *
 * It shows what a mode does to a request that cannot wait, while others keep the device busy. The
 * reader has the latencies of reads, the writer those of writes.
 */
#ifndef HARTQ_BENCH_BESIDE_H
#define HARTQ_BENCH_BESIDE_H

struct worker;

/* Runs until the worker stops. */
void beside_run(struct worker *worker);

#endif
