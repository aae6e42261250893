// SPDX-License-Identifier: MIT
/*
 * The state of a loop over the engine: its requests, their places, its way to post and to wait.
 * flow.h has the operations.
 */
#ifndef HARTQ_BENCH_LOOP_H
#define HARTQ_BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "nvme.h"
#include "pattern.h"

struct worker;

/* A request of either loop, with its buffer. */
struct request {
    struct worker *worker;
    struct request *next; /* in the finished or the free list */
    uint64_t start_ticks; /* when its group was posted; open loop: its due time */
    uint8_t *buffer;
    bool write;
    bool is_writer; /* of writer_iodepth */
};

/* Its hart writes it. */
struct loop {
    struct request *volatile finished; /* the callbacks add; in interrupt mode in the trap */
    uint32_t ended; /* post=callback: requests, not counted yet; written as `finished` is */
    struct request *free;
    uint32_t in_flight;
    uint32_t in_flight_least; /* closed loop: the fewest at the start of a wait of the window */
    uint32_t commands;        /* of one request at once, at most: parts of a split */
    uint32_t complete_min;
    uint32_t complete_max;
    uint64_t idle_polls;
    uint64_t stamp_ticks; /* time of the last reap, for the next group; 0: stale */
    struct pattern pattern;
    struct pattern writer_pattern; /* of writer_iodepth */
    struct request requests[JOB_IODEPTH_MAX];
    struct nvme_io ios[JOB_IODEPTH_MAX]; /* the group being posted */
};

#endif
