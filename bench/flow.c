// SPDX-License-Identifier: MIT
/*
 * See flow.h: functions that are rare, or called through a pointer.
 */
#include "flow.h"

#include "irq.h"
#include "timer.h"

void flow_done(void *arg, struct nvme_result result)
{
    struct request *request = arg;
    struct worker *worker = request->worker;

    request->next = worker->loop.finished;
    worker->loop.finished = request;
    if (result.error != NVME_OK) {
        worker_fail(worker, result.error, result.status);
    }
}

void flow_put_back(struct worker *worker, uint32_t posted, uint32_t count)
{
    for (uint32_t i = posted; i < count; i++) {
        struct request *request = worker->loop.ios[i].callback.arg;

        request->next = worker->loop.free;
        worker->loop.free = request;
    }
}

void flow_post_failed(struct worker *worker, enum nvme_error error)
{
    if (error != NVME_ERR_BUSY || worker->loop.in_flight == 0) {
        worker_fail(worker, error, 0);
        worker->window.stop = true;
    }
}

/* Reaps until there is enough; reads the clock now and then. */
static void wait_polling(struct worker *worker)
{
    uint32_t polls = 0;

    while (!flow_is_enough(worker)) {
        worker->loop.idle_polls +=
            nvme_queue_reap(worker->queue->engine, worker->loop.complete_max) == 0;
        if (++polls == WORKER_IDLE_POLLS) {
            polls = 0;
            nvme_queue_watchdog(worker->queue->engine, time_now_ns());
        }
    }
}

/* Sleeps until there is enough; the trap reaps. Interrupts are off from look to sleep. */
static void wait_sleeping(struct worker *worker)
{
    uint64_t irq = irq_save();

    while (!flow_is_enough(worker)) {
        storage_wait(worker->queue, NVME_WAIT_BLOCKED);
    }
    irq_restore(irq);
}

/* The bench is its own device: completions come at once, and no watchdog is needed. */
static void wait_answering(struct worker *worker)
{
    while (!flow_is_enough(worker)) {
        loopback_complete(&worker->loopback);
        worker->loop.idle_polls +=
            nvme_queue_reap(worker->queue->engine, worker->loop.complete_max) == 0;
    }
}

flow_wait_function *flow_wait_of(const struct worker *worker)
{
    if (worker->run->point->completion == JOB_LOOPBACK) {
        return wait_answering;
    }
    return job_queue_mode(worker->run->point) == NVME_MODE_POLL ? wait_polling : wait_sleeping;
}

void flow_wait(struct worker *worker)
{
    flow_wait_of(worker)(worker);
}
