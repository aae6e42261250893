// SPDX-License-Identifier: MIT
/*
 * See callback.h.
 */
#include "callback.h"

#include "flow.h"
#include "irq.h"

static void post_next(void *arg, struct nvme_result result);

/* Posts a request for the next place. False: it could not; the error is kept, and the loop ends. */
static bool post_request(struct request *request)
{
    struct worker *worker = request->worker;
    struct nvme_queue *queue = worker->queue->engine;
    struct pattern *pattern = &worker->loop.pattern;
    struct nvme_callback callback = {post_next, request};
    uint32_t blocks = (uint32_t)pattern->blocks;
    uint64_t lba = pattern_next_lba(pattern);
    enum nvme_error error =
        pattern->writes
            ? nvme_write(queue, worker->queue->ns, lba, blocks, request->buffer, callback)
            : nvme_read(queue, worker->queue->ns, lba, blocks, request->buffer, callback);

    if (error != NVME_OK) {
        worker_fail(worker, error, 0);
        worker->window.stop = true;
    }
    return error == NVME_OK;
}

/* done(): in interrupt mode in the trap. A request that has ended has a free slot, for the next. */
static void post_next(void *arg, struct nvme_result result)
{
    struct request *request = arg;
    struct worker *worker = request->worker;

    worker->loop.ended++;
    worker->loop.finished = request; /* ends the wait */
    if (result.error != NVME_OK) {
        worker_fail(worker, result.error, result.status);
    }
    if (worker->window.stop || !post_request(request)) {
        worker->loop.in_flight--;
    }
}

/* The first of all requests. Interrupts are off: post_next() takes the pattern too. */
static void post_all(struct worker *worker)
{
    uint64_t irq = irq_save();

    for (struct request *request = worker->loop.free; request != NULL; request = request->next) {
        if (!post_request(request)) {
            break;
        }
        worker->loop.in_flight++;
    }
    nvme_queue_submit(worker->queue->engine);
    irq_restore(irq);
}

/* Waits for what ends, and counts it. What ends meanwhile is counted the next time. */
static void wait_and_count(struct worker *worker, flow_wait_function *wait)
{
    uint32_t count;

    wait(worker);
    worker->loop.finished = NULL;
    count = __atomic_exchange_n(&worker->loop.ended, 0, __ATOMIC_RELAXED);
    worker->loop.stamp_ticks = csr_time();
    worker_reaped(worker, worker->loop.stamp_ticks, count);
}

void callback_run(struct worker *worker)
{
    flow_wait_function *wait = flow_wait_of(worker);

    worker->loop.complete_min = 1;
    post_all(worker);
    while (!worker->window.stop || worker->loop.in_flight != 0) {
        wait_and_count(worker, wait);
    }
}
