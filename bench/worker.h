// SPDX-License-Identifier: MIT
/*
 * One hart's share of a point: its state, its clock and its window. workload.c drives the engine,
 * raw.c the bare rings; both call worker_reaped() after each reap, and go on until stop.
 *
 * A window: every hart starts behind one barrier and works through the ramp; hart 0 then prints the
 * marker `#begin` and fixes the begin of the window a little later, so that the printing is over;
 * each hart measures from there for the runtime, and hart 0 prints `#end`. Requests that are still
 * in flight are then waited for, unmeasured.
 */
#ifndef HARTQ_BENCH_WORKER_H
#define HARTQ_BENCH_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "csr.h"
#include "histogram.h"
#include "job.h"
#include "loopback.h"
#include "pacing.h"
#include "pattern.h"
#include "storage.h"
#include "timeline.h"
#include "verify.h"

enum {
    WORKER_IDLE_POLLS = 256, /* empty polls between two looks at the clock */
    WORKER_OPEN_POLLS = 4,   /* the same of the open loop, which has starts to keep */
};

/* How often a hart without starts to keep looks whether the window has been fixed. */
#define WORKER_LOOK_NS UINT64_C(100000)

struct worker;

/* A request of either loop, with a buffer of its own. */
struct request {
    struct worker *worker;
    struct request *next; /* of the finished, or of the free ones */
    uint64_t start_ticks; /* when its group was posted; open loop: when it was meant to be */
    uint8_t *buffer;
    bool write;
};

/* What all harts of a point share. */
struct run {
    const struct job *job;
    const struct job_point *point;
    uint32_t point_number;
    uint32_t repetition;
    uint64_t ramp_ticks;
    uint64_t runtime_ticks;
    uint64_t begin_ticks; /* of the window; UINT64_MAX until hart 0 stores it (release) */
    uint32_t ready;       /* harts behind the barrier */
    uint32_t harts;
};

/* Where a hart is. */
enum worker_phase {
    WORKER_RAMP,
    WORKER_ANNOUNCED, /* hart 0: the begin is fixed, not reached */
    WORKER_MEASURE,
    WORKER_OVER,
};

/* Counters at one edge of the window. */
struct edge {
    uint64_t ticks;
    uint64_t idle_ns;
    uint64_t idle_polls;
    uint64_t late_starts;
    struct nvme_counters counters;
};

/* Written by its hart while it works, by hart 0 before and after. */
struct worker {
    _Alignas(64) struct run *run;
    struct storage_queue *queue;
    uint32_t index;
    enum worker_phase phase;
    bool stop;

    /* The loop. */
    struct request *volatile finished; /* by the callbacks; in interrupt mode in the trap */
    struct request *free;
    uint32_t in_flight;
    uint32_t in_flight_least; /* of the window: the fewest that a wait began with, closed loop */
    uint32_t commands;        /* that a request is at once: parts of a split one, at most */
    uint32_t complete_min;
    uint32_t complete_max;
    struct request requests[JOB_IODEPTH_MAX];
    struct nvme_io ios[JOB_IODEPTH_MAX]; /* a group on its way into the queue */

    struct pattern pattern;
    struct loopback loopback; /* of completion=loopback */

    /* The open loop. */
    struct pacing pacing;
    uint64_t late_starts; /* intended starts that found no free request */
    bool starved;         /* at the last look nothing was free, or the queue was full */

    /* The clock. */
    uint64_t stamp_ticks; /* of the reap just done, for the next group; 0: stale */
    uint64_t event_ticks; /* look at the phase from here on */
    uint64_t end_ticks;   /* of the window */
    uint64_t reap_ticks;  /* of the last reap */
    uint64_t stall_ticks; /* a gap between two reaps that is called a stall */
    int64_t ios_left;     /* of number_ios */
    int64_t ios_begin;    /* the same at the begin of the window */
    uint64_t idle_polls;
    struct nvme_counters own; /* of the raw ring, which counts for itself */

    /* Results. */
    struct latency *latency; /* [2]: reads, writes: the ramp's, then the window's */
    struct latency ramp[2];
    struct latency window[2];
    struct edge begin, end;
    struct timeline timeline;
    struct verify verify;
    uint64_t stalls;
    uint64_t errors;
    enum nvme_error error; /* the first */
    uint16_t status;       /* of the first, if the device said it */
};

/* Ticks of the machine's clock; whole microseconds only. */
uint64_t worker_ticks_from_ns(uint64_t ns);

/* Commands that a request of the point is in the queue at once: more than one if it is split. */
uint32_t worker_commands(const struct job_point *point, const struct nvme_namespace *ns);

/* Prepares a hart's share on hart 0: nothing is running. `memory` has iodepth buffers. */
void worker_prepare(struct worker *worker, struct run *run, struct storage_queue *queue,
                    uint32_t index, uint8_t *memory);

/* Waits for the other harts, and starts the ramp. */
void worker_start(struct worker *worker);

/*
 * Moves from ramp to window, from interval to interval and from window to stop, in a reap that
 * found `count`. Out of line: rare.
 */
void worker_step(struct worker *worker, uint64_t now_ticks, uint32_t count);

/* After the loop, which may have ended early for an error: the edges that were not reached. */
void worker_finish(struct worker *worker);

/* Takes note of a request's failure. */
void worker_fail(struct worker *worker, enum nvme_error error, uint16_t status);

/* To be called after every reap that found something, with the number found. */
static inline void worker_reaped(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    worker->ios_left -= count;
    if (now_ticks - worker->reap_ticks > worker->stall_ticks) {
        worker->stalls++;
    }
    worker->reap_ticks = now_ticks;
    if (now_ticks >= worker->event_ticks || worker->ios_left <= 0) {
        worker_step(worker, now_ticks, count);
    }
}

#endif
