// SPDX-License-Identifier: MIT
/*
 * See bursts.h.
 */
#include "bursts.h"

#include "flow.h"
#include "workload.h"

static uint64_t earlier_of(uint64_t left_ticks, uint64_t right_ticks)
{
    return left_ticks < right_ticks ? left_ticks : right_ticks;
}

/* Waits without requests. The edges of the window are taken meanwhile. */
static void pause_until(struct worker *worker, uint64_t until_ticks)
{
    uint64_t now_ticks = csr_time();

    while (!worker->window.stop && now_ticks < until_ticks) {
        open_loop_wait(worker, earlier_of(until_ticks, window_wake_ticks(worker, now_ticks)));
        now_ticks = csr_time();
        if (now_ticks >= worker->window.event_ticks) {
            window_step(worker, now_ticks, 0);
        }
    }
}

/* The closed loop until end_ticks; then nothing is in flight. */
static void run_burst(struct worker *worker, uint64_t begin_ticks, uint64_t end_ticks)
{
    flow_wait_function *wait = flow_wait_of(worker);
    struct timeline *timeline = &worker->bursts.timeline;
    uint64_t total = 0;

    timeline_start(timeline, begin_ticks, end_ticks - begin_ticks);
    worker->window.reap_ticks = begin_ticks; /* the pause was no stall */
    worker->loop.stamp_ticks = begin_ticks;
    while (!worker->window.stop && worker->loop.stamp_ticks < end_ticks) {
        uint32_t count;

        workload_post(worker);
        wait(worker);
        count = flow_collect(worker);
        if (worker->loop.stamp_ticks >= timeline->next_ticks) {
            timeline_pass(timeline, worker->loop.stamp_ticks, total);
        }
        total += count;
    }
    timeline_end(timeline, total);
    while (worker->loop.in_flight != 0) {
        wait(worker);
        flow_collect(worker);
    }
}

void bursts_run(struct worker *worker)
{
    const struct job *job = worker->run->job;
    struct bursts *bursts = &worker->bursts;

    while (!worker->window.stop) {
        uint64_t begin_ticks;
        bool measured;

        pause_until(worker, csr_time() + worker_ticks_from_ns(job->thinktime_ns));
        begin_ticks = csr_time();
        measured = worker->window.phase == WINDOW_MEASURE;
        if (!worker->window.stop) {
            run_burst(worker, begin_ticks,
                      begin_ticks + worker_ticks_from_ns(job->thinktime_iotime_ns));
        }
        if (!measured || worker->window.stop) {
            continue;
        }
        bursts->count++;
        for (uint32_t i = 0; i < TIMELINE_INTERVALS; i++) {
            bursts->ios[i] += bursts->timeline.ios[i];
        }
    }
}
