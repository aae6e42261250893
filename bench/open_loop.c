// SPDX-License-Identifier: MIT
/*
 * See open_loop.h.
 */
#include "open_loop.h"

#include "flow.h"
#include "irq.h"
#include "timer.h"

/* Posts the next group of due requests. A request that was not posted stays due. */
static bool post_due_group(struct worker *worker, uint64_t now_ticks)
{
    const struct job_point *point = worker->run->point;
    struct pacing before = worker->open_loop.pacing;
    uint32_t count = 0;
    uint32_t posted;

    while (worker->loop.free != NULL && count < point->batch &&
           worker->open_loop.pacing.next_ticks <= now_ticks) {
        flow_fill(worker, count++, worker->open_loop.pacing.next_ticks);
        pacing_advance(&worker->open_loop.pacing);
    }
    posted = flow_send(worker, count);
    if (posted != count) {
        worker->open_loop.pacing = before;
        for (uint32_t i = 0; i < posted; i++) {
            pacing_advance(&worker->open_loop.pacing);
        }
    }
    if (worker->open_loop.starved) {
        worker->open_loop.late_starts += posted;
    }
    return posted == count;
}

typedef void wait_until_function(struct worker *worker, uint64_t until_ticks);

/* Reaps the queue, at least once, until there is enough or the next request is due. */
static void poll_until(struct worker *worker, uint64_t until_ticks)
{
    uint32_t polls = 0;

    do {
        worker->loop.idle_polls +=
            nvme_queue_reap(worker->queue->engine, worker->loop.complete_max) == 0;
        if (++polls % WORKER_IDLE_POLLS == 0) {
            nvme_queue_watchdog(worker->queue->engine, time_now_ns());
        }
    } while (!flow_is_enough(worker) &&
             (polls % WORKER_OPEN_POLLS != 0 || csr_time() < until_ticks));
}

/*
 * Sleeps until there is enough or the next request is due. Requests come by themselves, so in
 * hybrid mode the hart spins only if all of them are in flight.
 */
static void sleep_until(struct worker *worker, uint64_t until_ticks)
{
    uint64_t irq = irq_save();
    enum nvme_wait_kind kind = worker->open_loop.starved ? NVME_WAIT_BLOCKED : NVME_WAIT_IDLE;

    timer_wake_at(until_ticks);
    while (!flow_is_enough(worker) && csr_time() < until_ticks) {
        storage_wait(worker->queue, kind);
    }
    irq_restore(irq);
}

static wait_until_function *wait_until_of(const struct worker *worker)
{
    return job_queue_mode(worker->run->point) == NVME_MODE_POLL ? poll_until : sleep_until;
}

void open_loop_wait(struct worker *worker, uint64_t until_ticks)
{
    wait_until_of(worker)(worker, until_ticks);
}

/* Posts all due requests for which there is room. False: completions must come first. */
static bool post_due(struct worker *worker, uint64_t now_ticks)
{
    bool all = true;

    if (worker->loop.in_flight == 0) {
        worker->window.reap_ticks = now_ticks; /* the idle time before is no stall */
    }
    while (all && worker->loop.free != NULL && worker->open_loop.pacing.next_ticks <= now_ticks) {
        all = post_due_group(worker, now_ticks);
    }
    worker->open_loop.starved = !all || worker->loop.free == NULL;
    return !worker->open_loop.starved;
}

void open_loop_run(struct worker *worker)
{
    wait_until_function *wait_until = wait_until_of(worker);
    uint64_t now_ticks = csr_time();

    pacing_start(&worker->open_loop.pacing, now_ticks, worker->index, worker->run->harts);
    while (!worker->window.stop) {
        bool can_post = post_due(worker, now_ticks);
        uint64_t until_ticks = window_wake_ticks(worker, now_ticks);
        uint32_t count;

        if (can_post && worker->open_loop.pacing.next_ticks < until_ticks) {
            until_ticks = worker->open_loop.pacing.next_ticks;
        }
        wait_until(worker, until_ticks);
        count = flow_take(worker);
        now_ticks = worker->loop.stamp_ticks;
        if (count != 0) {
            worker_reaped(worker, now_ticks, count);
        } else if (now_ticks >= worker->window.event_ticks) {
            window_step(worker, now_ticks, 0);
        }
    }
}
