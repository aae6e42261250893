// SPDX-License-Identifier: MIT
/*
 * See window.h: the common start, the window's edges.
 */
#include "window.h"

#include <inttypes.h>
#include <stdio.h>

#include "csr.h"
#include "harts.h"
#include "irq.h"
#include "worker.h"

/* From the marker to the window: the marker's printing is over. */
#define MARGIN_NS UINT64_C(500000)

/* How often an idle hart checks if the start of the window is set. */
#define LOOK_NS UINT64_C(100000)

void window_start(struct worker *worker)
{
    struct run *run = worker->run;

    __atomic_fetch_add(&run->ready, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&run->ready, __ATOMIC_ACQUIRE) != run->harts) {
        hart_relax(); /* bounded: every hart of the point comes here */
    }
    worker->window.reap_ticks = csr_time();
    /* The others look at every reap whether hart 0 has fixed the begin. */
    worker->window.event_ticks =
        worker->index == 0 ? worker->window.reap_ticks + run->ramp_ticks : 0;
}

static void take_edge(const struct worker *worker, struct window_edge *edge)
{
    uint64_t saved = irq_save();

    if (worker->run->point->completion == JOB_RAW) {
        edge->counters = worker->raw.counters;
    } else {
        nvme_queue_count(worker->queue->engine, &edge->counters);
    }
    edge->idle_polls = worker->loop.idle_polls;
    edge->late_starts = worker->open_loop.late_starts;
    edge->idle_ns = hart_idle_ns(worker->index);
    edge->ticks = csr_time();
    irq_restore(saved);
}

/* Hart 0 at the end of its ramp. */
static void announce_window(struct worker *worker)
{
    struct run *run = worker->run;
    uint64_t begin_ticks;

    if (!run->quiet) {
        printf("#begin %" PRIu32 " %" PRIu32 "\n", run->point_number, run->repetition);
    }
    begin_ticks = csr_time() + worker_ticks_from_ns(MARGIN_NS);
    __atomic_store_n(&run->begin_ticks, begin_ticks, __ATOMIC_RELEASE);
    worker->window.event_ticks = begin_ticks;
    worker->window.phase = WINDOW_ANNOUNCED;
}

/* Completions of the window so far. */
static uint64_t window_ios(const struct worker *worker)
{
    return (uint64_t)(worker->window.ios_begin - worker->window.ios_left);
}

/* The next event is the end of an interval or of the window. `count` are of the reap at hand. */
static void next_interval(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    struct timeline *timeline = &worker->window.timeline;

    timeline_pass(timeline, now_ticks, window_ios(worker) - count);
    worker->window.event_ticks = timeline->next_ticks < worker->window.end_ticks
                                     ? timeline->next_ticks
                                     : worker->window.end_ticks;
}

static void begin_window(struct worker *worker, uint64_t now_ticks)
{
    worker->window.phase = WINDOW_MEASURE;
    worker->window.end_ticks = now_ticks + worker->run->runtime_ticks;
    if (worker->run->job->number_ios != 0) {
        worker->window.ios_left = (int64_t)worker->run->job->number_ios;
    }
    worker->window.ios_begin = worker->window.ios_left;
    timeline_start(&worker->window.timeline, worker->run->begin_ticks, worker->run->runtime_ticks);
    worker->window.latency = worker->window.measured;
    worker->window.stalls = 0;
    worker->loop.in_flight_least = UINT32_MAX;
    next_interval(worker, now_ticks, 0);
    take_edge(worker, &worker->window.begin);
}

static void end_window(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    take_edge(worker, &worker->window.end);
    timeline_pass(&worker->window.timeline, now_ticks, window_ios(worker) - count);
    timeline_end(&worker->window.timeline, window_ios(worker));
    worker->window.phase = WINDOW_OVER;
    worker->window.latency = worker->window.ramp;
    worker->window.stop = true;
    if (worker->index == 0 && !worker->run->quiet) {
        printf("#end %" PRIu32 " %" PRIu32 "\n", worker->run->point_number,
               worker->run->repetition);
    }
}

void window_step(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    if (worker->window.phase == WINDOW_MEASURE && now_ticks < worker->window.end_ticks &&
        worker->window.ios_left > 0) {
        next_interval(worker, now_ticks, count);
        return;
    }
    worker->loop.stamp_ticks = 0; /* printing takes time */
    if (worker->window.phase == WINDOW_MEASURE) {
        end_window(worker, now_ticks, count);
    } else if (worker->window.phase == WINDOW_RAMP && worker->index == 0) {
        announce_window(worker);
    } else if (worker->window.phase != WINDOW_OVER) {
        uint64_t begin_ticks = __atomic_load_n(&worker->run->begin_ticks, __ATOMIC_ACQUIRE);

        if (now_ticks >= begin_ticks) {
            begin_window(worker, now_ticks);
        } else if (begin_ticks != UINT64_MAX) {
            worker->window.event_ticks = begin_ticks;
        }
    }
}

uint64_t window_wake_ticks(const struct worker *worker, uint64_t now_ticks)
{
    /* The end of a timeline interval need not wake the hart. */
    uint64_t wake_ticks = worker->window.phase == WINDOW_MEASURE ? worker->window.end_ticks
                                                                 : worker->window.event_ticks;

    if (wake_ticks > now_ticks) {
        return wake_ticks;
    }
    return now_ticks + worker_ticks_from_ns(LOOK_NS); /* hart 0 has not set the start yet */
}

void window_finish(struct worker *worker)
{
    if (worker->window.phase == WINDOW_OVER) {
        return;
    }
    if (worker->index == 0 && worker->window.phase == WINDOW_RAMP) {
        /* The others wait for it. */
        __atomic_store_n(&worker->run->begin_ticks, csr_time(), __ATOMIC_RELEASE);
    }
    take_edge(worker, &worker->window.end);
    if (worker->window.phase == WINDOW_MEASURE) {
        timeline_end(&worker->window.timeline, window_ios(worker));
    } else {
        worker->window.begin = worker->window.end;
    }
    worker->window.phase = WINDOW_OVER;
}
