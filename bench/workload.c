// SPDX-License-Identifier: MIT
/*
 * See workload.h. As fio does it: all that is free is posted in groups of at most
 * iodepth_batch_submit, one doorbell each; then completions are waited for, at least
 * iodepth_batch_complete_min of them.
 *
 * Callbacks only note which request has ended. The clock is read once per reap: what ended has
 * that latency, and what is posted next begins then, its wait for the groups before it included.
 * Under QEMU reading the clock, or turning interrupts off and on, takes as long as some 300 plain
 * instructions (7.2: 0.2 us): neither is done where it can be left.
 */
#include "workload.h"

#include "beside.h"
#include "callback.h"
#include "flow.h"
#include "harts.h"
#include "irq.h"
#include "open_loop.h"

/*
 * Posts all that is free one by one, each with its doorbell and without an array. What a request
 * needs is at hand in locals: at this batch the device waits for each instruction.
 */
static void post_singles(struct worker *worker)
{
    struct nvme_queue *queue = worker->queue->engine;
    const struct nvme_namespace *ns = worker->queue->ns;
    struct pattern pattern = worker->loop.pattern;
    uint64_t stamp_ticks = worker->loop.stamp_ticks;
    struct request *request = worker->loop.free;
    enum nvme_error error = NVME_OK;
    uint32_t posted = 0;

    while (request != NULL) {
        struct nvme_callback callback = {flow_done, request};
        struct request *next = request->next;
        uint32_t blocks = (uint32_t)pattern.blocks;
        uint64_t lba;

        request->start_ticks = stamp_ticks;
        request->write = pattern_next_is_write(&pattern);
        lba = pattern_next_lba(&pattern);
        error = request->write ? nvme_write(queue, ns, lba, blocks, request->buffer, callback)
                               : nvme_read(queue, ns, lba, blocks, request->buffer, callback);
        if (error != NVME_OK) {
            break;
        }
        nvme_queue_submit(queue);
        posted++;
        request = next;
    }
    worker->loop.pattern = pattern;
    worker->loop.free = request;
    worker->loop.in_flight += posted;
    if (error != NVME_OK) {
        flow_post_failed(worker, error);
    }
}

/* Posts the next group and rings. False: not all of it went. */
static bool post_group(struct worker *worker)
{
    const struct job_point *point = worker->run->point;
    uint32_t count = 0;

    for (; worker->loop.free != NULL && count < point->batch; count++) {
        flow_fill(worker, count, worker->loop.stamp_ticks);
    }
    return flow_send(worker, count) == count;
}

void workload_post(struct worker *worker)
{
    if (worker->loop.stamp_ticks == 0) {
        worker->loop.stamp_ticks = csr_time();
    }
    if (worker->run->point->batch == 1) {
        post_singles(worker);
    } else {
        while (worker->loop.free != NULL && post_group(worker)) {
            /* Bounded: every group takes requests from the free ones. */
        }
    }
    if (worker->loop.in_flight < worker->loop.in_flight_least) {
        worker->loop.in_flight_least = worker->loop.in_flight;
    }
}

static void wait_all(struct worker *worker)
{
    worker->loop.complete_min = 1;
    while (worker->loop.in_flight != 0) {
        flow_wait(worker);
        flow_collect(worker);
    }
}

static void run_closed(struct worker *worker)
{
    flow_wait_function *wait = flow_wait_of(worker);

    while (!worker->window.stop) {
        workload_post(worker);
        if (worker->loop.in_flight != 0) {
            wait(worker);
            flow_collect(worker);
        }
    }
}

static void start_loopback(struct worker *worker)
{
    enum nvme_error error = loopback_start(&worker->loopback, worker->queue->engine);

    if (error != NVME_OK) {
        worker_fail(worker, error, 0);
        worker->window.stop = true;
    }
}

/*
 * In hybrid mode the loop runs with interrupts off and takes them in storage_wait(): an owner that
 * is awake has none, and turning them off and on for each post would cost more than the post.
 */
void workload_run(struct worker *worker)
{
    bool interrupts_off = job_queue_mode(worker->run->point) == NVME_MODE_HYBRID;

    storage_hart_start(worker->queue);
    if (worker->run->point->completion == JOB_LOOPBACK) {
        start_loopback(worker);
    }
    window_start(worker);
    if (interrupts_off) {
        irq_disable();
    }
    if (job_verifies(worker->run->job)) {
        verify_run(worker);
        window_finish(worker);
        verify_read_back(worker);
    } else if (worker->run->point->writers != 0) {
        beside_run(worker);
    } else if (worker->run->point->callback) {
        callback_run(worker);
    } else if (worker->run->point->bursts) {
        bursts_run(worker);
    } else if (worker->run->point->rate_iops == 0) {
        run_closed(worker);
    } else {
        open_loop_run(worker);
    }
    wait_all(worker);
    irq_enable();
    window_finish(worker);
    storage_hart_stop(worker->queue);
}

void workload_fill_ring(struct worker *worker)
{
    uint32_t complete_min = worker->loop.complete_min;

    /* A ring has one entry more than requests: one of them goes twice. */
    workload_post(worker);
    wait_all(worker);
    worker->loop.free->next = NULL;
    workload_post(worker);
    wait_all(worker);
    worker->loop.complete_min = complete_min;
}
