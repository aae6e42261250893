// SPDX-License-Identifier: MIT
/*
 * See open_loop.h.
 */
#include "open_loop.h"

#include "flow.h"
#include "irq.h"
#include "timer.h"

/* Posts the next group of what is due. A start whose request did not go is still to come. */
static bool post_due_group(struct worker *worker, uint64_t now_ticks)
{
    const struct job_point *point = worker->run->point;
    struct pacing before = worker->pacing;
    uint32_t count = 0;
    uint32_t posted;

    while (worker->free != NULL && count < point->batch && worker->pacing.next_ticks <= now_ticks) {
        flow_fill(worker, count++, worker->pacing.next_ticks);
        pacing_advance(&worker->pacing);
    }
    posted = flow_send(worker, count);
    if (posted != count) {
        worker->pacing = before;
        for (uint32_t i = 0; i < posted; i++) {
            pacing_advance(&worker->pacing);
        }
    }
    if (worker->starved) {
        worker->late_starts += posted;
    }
    return posted == count;
}

typedef void wait_until_function(struct worker *worker, uint64_t until_ticks);

/* Reaps the queue, once at least, until there is enough or it is time. */
static void poll_until(struct worker *worker, uint64_t until_ticks)
{
    uint32_t polls = 0;

    do {
        worker->idle_polls += nvme_queue_reap(worker->queue->engine, worker->complete_max) == 0;
        if (++polls % WORKER_IDLE_POLLS == 0) {
            nvme_queue_watchdog(worker->queue->engine, time_now_ns());
        }
    } while (!flow_is_enough(worker) &&
             (polls % WORKER_OPEN_POLLS != 0 || csr_time() < until_ticks));
}

/* Sleeps, or spins as the engine finds worth, until there is enough or it is time. */
static void sleep_until(struct worker *worker, uint64_t until_ticks)
{
    uint64_t irq = irq_save();

    timer_wake_at(until_ticks);
    while (!flow_is_enough(worker) && csr_time() < until_ticks) {
        storage_wait(worker->queue);
    }
    irq_restore(irq);
}

/* Posts all that is due, as far as requests are free. False: completions have to come first. */
static bool post_due(struct worker *worker, uint64_t now_ticks)
{
    bool all = true;

    if (worker->in_flight == 0) {
        worker->reap_ticks = now_ticks; /* a silence before was no stall */
    }
    while (all && worker->free != NULL && worker->pacing.next_ticks <= now_ticks) {
        all = post_due_group(worker, now_ticks);
    }
    worker->starved = !all || worker->free == NULL;
    return !worker->starved;
}

void open_loop_run(struct worker *worker)
{
    wait_until_function *wait_until =
        nvme_queue_mode(worker->queue->engine) == NVME_MODE_POLL ? poll_until : sleep_until;
    const uint64_t look_ticks = worker_ticks_from_ns(WORKER_LOOK_NS);
    uint64_t now_ticks = csr_time();

    pacing_start(&worker->pacing, now_ticks, worker->index, worker->run->harts);
    while (!worker->stop) {
        bool can_post = post_due(worker, now_ticks);
        /* The ends of the timeline's intervals wake nobody. */
        uint64_t until_ticks =
            worker->phase == WORKER_MEASURE ? worker->end_ticks : worker->event_ticks;
        uint32_t count;

        if (until_ticks <= now_ticks) {
            until_ticks = now_ticks + look_ticks; /* hart 0 has not fixed the begin yet */
        }
        if (can_post && worker->pacing.next_ticks < until_ticks) {
            until_ticks = worker->pacing.next_ticks;
        }
        wait_until(worker, until_ticks);
        count = flow_take(worker);
        now_ticks = worker->stamp_ticks;
        if (count != 0) {
            worker_reaped(worker, now_ticks, count);
        } else if (now_ticks >= worker->event_ticks) {
            worker_step(worker, now_ticks, 0);
        }
    }
}
