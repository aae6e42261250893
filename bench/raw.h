// SPDX-License-Identifier: MIT
/*
 * The raw ring: measures the device with almost no software.
 *
 * The engine builds the command of every submission entry once; then the loop only moves tail and
 * head. It has no command ids, PRPs, callbacks or latencies. Depth, batch, the doorbell's rule and
 * the order of post and reap are those of workload.c and of the engine.
 *
 * A hart that looks all the time may slow the device down, above all that of an emulator. So a hart
 * can wait in three ways. main.c measures the fastest: no mode has another.
 */
#ifndef HARTQ_BENCH_RAW_H
#define HARTQ_BENCH_RAW_H

#include <stdint.h>

#include "nvme_bench.h"

struct worker;

/* How a hart waits for completions. */
enum raw_wait {
    RAW_SPIN,  /* it looks at the ring all the time */
    RAW_PACED, /* it looks about every microsecond */
    RAW_SLEEP, /* it sleeps until an interrupt */
    RAW_WAITS,
};

/* A hart's rings. Written by that hart only, with RAW_SLEEP also in the trap. */
struct raw {
    struct nvme_ring ring;
    uint32_t in_flight;
    uint32_t unrung; /* of them: posted since the last doorbell */
    uint32_t owed;   /* completions consumed since the last head doorbell */
    uint32_t late;   /* so many may be */
    struct nvme_counters counters;
    uint64_t clocked; /* completions at the last look at the clock */
};

/* Runs on each hart of a point with completion=raw. */
void raw_run(struct worker *worker);

/* The word of a record for it. */
const char *raw_wait_word(enum raw_wait wait);

#endif
