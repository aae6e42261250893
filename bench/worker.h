// SPDX-License-Identifier: MIT
/*
 * One hart's share of a point. Each header below defines one of its parts. workload.c drives the
 * engine, raw.c the bare rings. Both call worker_reaped() after each reap, and run until stop.
 */
#ifndef HARTQ_BENCH_WORKER_H
#define HARTQ_BENCH_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "bursts.h"
#include "job.h"
#include "loop.h"
#include "loopback.h"
#include "open_loop.h"
#include "raw.h"
#include "storage.h"
#include "verify.h"
#include "window.h"

enum {
    WORKER_IDLE_POLLS = 256, /* empty polls between two looks at the clock */
    WORKER_OPEN_POLLS = 4,   /* the same in the open loop, which has due times */
};

/* Shared by all harts of a point. */
struct run {
    const struct job *job;
    const struct job_point *point;
    uint32_t point_number;
    uint32_t repetition;
    uint64_t ramp_ticks;
    uint64_t runtime_ticks;
    bool quiet;           /* it prints nothing */
    uint64_t begin_ticks; /* of the window; UINT64_MAX until hart 0 stores it (release) */
    uint32_t ready;       /* harts that have reached the barrier */
    uint32_t harts;
};

/* Its hart writes it while it works, hart 0 before and after. */
struct worker {
    _Alignas(64) struct run *run;
    struct storage_queue *queue;
    uint32_t index;
    enum nvme_error error; /* the first */
    uint16_t status;       /* of the first, if it came from the device */
    uint64_t errors;

    struct loop loop;
    struct open_loop open_loop; /* with rate_iops */
    struct window window;
    struct verify verify;
    struct bursts bursts;     /* with thinktime */
    struct loopback loopback; /* of completion=loopback */
    struct raw raw;           /* of completion=raw */
};

/* Ticks of the machine's clock; whole microseconds only. */
uint64_t worker_ticks_from_ns(uint64_t ns);

/* The most commands of one request in the queue at once: more than one if it is split. */
uint32_t worker_commands(const struct job_point *point, const struct nvme_namespace *ns);

/* Prepares a hart's share, on hart 0 before the start. `memory` has job_hart_bytes(). */
void worker_prepare(struct worker *worker, struct run *run, struct storage_queue *queue,
                    uint32_t index, uint8_t *memory);

/* Counts a request's failure and keeps the first. */
void worker_fail(struct worker *worker, enum nvme_error error, uint16_t status);

/* Called after every reap that found something, with the number found. */
static inline void worker_reaped(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    worker->window.ios_left -= count;
    if (now_ticks - worker->window.reap_ticks > worker->window.stall_ticks) {
        worker->window.stalls++;
    }
    worker->window.reap_ticks = now_ticks;
    if (now_ticks >= worker->window.event_ticks || worker->window.ios_left <= 0) {
        window_step(worker, now_ticks, count);
    }
}

#endif
