// SPDX-License-Identifier: MIT
/*
 * What a loop over the engine keeps: its requests, where it reads and writes, how it posts and
 * waits. The operations on it are in flow.h.
 */
#ifndef HARTQ_BENCH_LOOP_H
#define HARTQ_BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "nvme.h"
#include "pattern.h"

struct worker;

/* A request of either loop, with a buffer of its own. */
struct request {
    struct worker *worker;
    struct request *next; /* of the finished, or of the free ones */
    uint64_t start_ticks; /* when its group was posted; open loop: when it was meant to be */
    uint8_t *buffer;
    bool write;
};

/* Written by its hart. */
struct loop {
    struct request *volatile finished; /* by the callbacks; in interrupt mode in the trap */
    struct request *free;
    uint32_t in_flight;
    uint32_t in_flight_least; /* of the window: the fewest that a wait began with, closed loop */
    uint32_t commands;        /* that a request is at once: parts of a split one, at most */
    uint32_t complete_min;
    uint32_t complete_max;
    uint64_t idle_polls;
    uint64_t stamp_ticks; /* of the reap just done, for the next group; 0: stale */
    struct pattern pattern;
    struct request requests[JOB_IODEPTH_MAX];
    struct nvme_io ios[JOB_IODEPTH_MAX]; /* a group on its way into the queue */
};

#endif
