// SPDX-License-Identifier: MIT
/*
 * The steps of both loops over the engine: post a group of requests, collect what the callbacks
 * have ended. Inline, because the loops are measured with them.
 */
#ifndef HARTQ_BENCH_FLOW_H
#define HARTQ_BENCH_FLOW_H

#include "worker.h"

/* The callback of every request: puts it on the finished list. `arg` is the request. */
void flow_done(void *arg, struct nvme_result result);

/* Frees the requests of a group that were not posted. */
void flow_put_back(struct worker *worker, uint32_t posted, uint32_t count);

/* Handles a post that failed. A full queue is no error: its slots become free again. */
void flow_post_failed(struct worker *worker, enum nvme_error error);

/* Makes the next free request command number `index` of the group. */
static inline void flow_fill(struct worker *worker, uint32_t index, uint64_t start_ticks)
{
    struct nvme_io *io = &worker->loop.ios[index];
    struct request *request = worker->loop.free;

    worker->loop.free = request->next;
    request->start_ticks = start_ticks;
    request->write = pattern_next_is_write(&worker->loop.pattern);
    io->lba = pattern_next_lba(&worker->loop.pattern);
    io->buffer = request->buffer;
    io->block_count = (uint32_t)worker->loop.pattern.blocks;
    io->opcode = request->write ? NVME_CMD_WRITE : NVME_CMD_READ;
    io->callback = (struct nvme_callback){flow_done, request};
}

/*
 * Posts the group and rings; returns how many were posted. If not all, the parts of split requests
 * fill the queue, and completions must come first.
 */
static inline uint32_t flow_send(struct worker *worker, uint32_t count)
{
    uint32_t posted;
    enum nvme_error error =
        nvme_post_many(worker->queue->engine, worker->queue->ns, worker->loop.ios, count, &posted);

    nvme_queue_submit(worker->queue->engine);
    worker->loop.in_flight += posted;
    if (error != NVME_OK) {
        flow_put_back(worker, posted, count);
        flow_post_failed(worker, error);
    }
    return posted;
}

/* Takes the finished list: records latencies and frees the requests. */
static inline uint32_t flow_take(struct worker *worker)
{
    /* One instruction, which no trap of this hart can interrupt. */
    struct request *first = __atomic_exchange_n(&worker->loop.finished, NULL, __ATOMIC_RELAXED);
    struct request *last = NULL;
    struct latency *latency = worker->window.latency;
    uint64_t now_ticks = csr_time();
    uint32_t count = 0;

    for (struct request *request = first; request != NULL; request = request->next) {
        latency_add(&latency[request->write], now_ticks - request->start_ticks);
        last = request;
        count++;
    }
    if (last != NULL) {
        last->next = worker->loop.free;
        worker->loop.free = first;
    }
    worker->loop.in_flight -= count;
    worker->loop.stamp_ticks = now_ticks;
    return count;
}

/* Once per reap: takes what has ended and counts it; returns how many. */
__attribute__((always_inline)) static inline uint32_t flow_collect(struct worker *worker)
{
    uint32_t count = flow_take(worker);

    worker_reaped(worker, worker->loop.stamp_ticks, count);
    return count;
}

/* True if there is enough to collect. Parts of split requests count, so it may be early. */
static inline bool flow_is_enough(const struct worker *worker)
{
    if (worker->loop.finished == NULL) {
        return false;
    }
    return worker->loop.complete_min <= 1 ||
           nvme_queue_outstanding(worker->queue->engine) +
                   worker->loop.complete_min * worker->loop.commands <=
               worker->loop.in_flight * worker->loop.commands ||
           nvme_queue_outstanding(worker->queue->engine) == 0;
}

/* Waits for complete_min completions. */
typedef void flow_wait_function(struct worker *worker);

/* The point's wait: it polls, sleeps in the engine's modes, or acts as the device of loopback. */
flow_wait_function *flow_wait_of(const struct worker *worker);

/* Waits as the point does. */
void flow_wait(struct worker *worker);

#endif
