// SPDX-License-Identifier: MIT
/*
 * The loops over the engine on one hart: the closed one keeps iodepth requests in flight, the open
 * one posts them when they are meant to start.
 *
 * As fio does it: all that is free is posted in groups of at most iodepth_batch_submit, one
 * doorbell each; then completions are waited for, at least iodepth_batch_complete_min of them.
 * Callbacks only note which request has ended. The clock is read once per drain: what ended has
 * that latency, and what is posted next begins then, its wait for the groups before it included.
 * Under QEMU reading the clock, or turning interrupts off and on, takes as long as some 300 plain
 * instructions (7.2: 0.2 us): neither is done where it can be left.
 *
 * The open loop: at most iodepth in flight, and a latency counts from the intended start, also if
 * that start found no free request. Nothing is hidden by what the loop has to wait for itself.
 */
#include "harts.h"
#include "irq.h"
#include "timer.h"
#include "worker.h"

static void done(void *arg, struct nvme_result result)
{
    struct request *request = arg;
    struct worker *worker = request->worker;

    request->next = worker->finished;
    worker->finished = request;
    if (result.error != NVME_OK) {
        worker_fail(worker, result.error, result.status);
    }
}

/* The requests of a group that were not posted are free again. */
static void put_back(struct worker *worker, uint32_t posted, uint32_t count)
{
    for (uint32_t i = posted; i < count; i++) {
        struct request *request = worker->ios[i].callback.arg;

        request->next = worker->free;
        worker->free = request;
    }
}

/* A post that failed. Nothing is lost if the queue's places come free again. */
static void post_failed(struct worker *worker, enum nvme_error error)
{
    if (error != NVME_ERR_BUSY || worker->in_flight == 0) {
        worker_fail(worker, error, 0);
        worker->stop = true;
    }
}

/*
 * Posts all that is free one by one, each with its doorbell and without an array. What a request
 * needs is at hand in locals: at this batch the device waits for each instruction.
 */
static void post_singles(struct worker *worker)
{
    struct nvme_queue *queue = worker->queue->engine;
    const struct nvme_namespace *ns = worker->queue->ns;
    struct pattern pattern = worker->pattern;
    uint64_t stamp_ticks = worker->stamp_ticks;
    struct request *request = worker->free;
    enum nvme_error error = NVME_OK;
    uint32_t posted = 0;

    while (request != NULL) {
        struct nvme_callback callback = {done, request};
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
        nvme_submit(queue);
        posted++;
        request = next;
    }
    worker->pattern = pattern;
    worker->free = request;
    worker->in_flight += posted;
    if (error != NVME_OK) {
        post_failed(worker, error);
    }
}

/* The next free request becomes the group's command number `index`. */
static inline void fill(struct worker *worker, uint32_t index, uint64_t start_ticks)
{
    struct nvme_io *io = &worker->ios[index];
    struct request *request = worker->free;

    worker->free = request->next;
    request->start_ticks = start_ticks;
    request->write = pattern_next_is_write(&worker->pattern);
    io->lba = pattern_next_lba(&worker->pattern);
    io->buffer = request->buffer;
    io->block_count = (uint32_t)worker->pattern.blocks;
    io->opcode = request->write ? NVME_CMD_WRITE : NVME_CMD_READ;
    io->callback = (struct nvme_callback){done, request};
}

/*
 * Posts the group and rings; returns how many went. Not all of it: the parts of split requests have
 * taken the queue's places, and completions have to come first.
 */
static inline uint32_t send(struct worker *worker, uint32_t count)
{
    uint32_t posted;
    enum nvme_error error =
        nvme_post_many(worker->queue->engine, worker->queue->ns, worker->ios, count, &posted);

    nvme_submit(worker->queue->engine);
    worker->in_flight += posted;
    if (error != NVME_OK) {
        put_back(worker, posted, count);
        post_failed(worker, error);
    }
    return posted;
}

/* Posts the next group and rings. False: not all of it went. */
static bool post_group(struct worker *worker)
{
    const struct job_point *point = worker->run->point;
    uint32_t count = 0;

    for (; worker->free != NULL && count < point->batch; count++) {
        fill(worker, count, worker->stamp_ticks);
    }
    return send(worker, count) == count;
}

/* The same of what is due. A start whose request did not go is still to come. */
static bool post_due_group(struct worker *worker, uint64_t now_ticks)
{
    const struct job_point *point = worker->run->point;
    struct pacing before = worker->pacing;
    uint32_t count = 0;
    uint32_t posted;

    while (worker->free != NULL && count < point->batch && worker->pacing.next_ticks <= now_ticks) {
        fill(worker, count++, worker->pacing.next_ticks);
        pacing_advance(&worker->pacing);
    }
    posted = send(worker, count);
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

/* Takes what the callbacks have noted, and a stamp: latencies, and the requests are free again. */
static inline uint32_t take_finished(struct worker *worker)
{
    /* One instruction, which a trap of this hart cannot split. */
    struct request *first = __atomic_exchange_n(&worker->finished, NULL, __ATOMIC_RELAXED);
    struct request *last = NULL;
    struct latency *latency = worker->latency;
    uint64_t now_ticks = csr_time();
    uint32_t count = 0;

    for (struct request *request = first; request != NULL; request = request->next) {
        latency_add(&latency[request->write], now_ticks - request->start_ticks);
        last = request;
        count++;
    }
    if (last != NULL) {
        last->next = worker->free;
        worker->free = first;
    }
    worker->in_flight -= count;
    worker->stamp_ticks = now_ticks;
    return count;
}

static void collect(struct worker *worker)
{
    uint32_t count = take_finished(worker);

    worker_drained(worker, worker->stamp_ticks, count);
}

/* True if there is enough to collect. A split request frees several slots: then a little early. */
static inline bool is_enough(const struct worker *worker)
{
    if (worker->finished == NULL) {
        return false;
    }
    return worker->complete_min <= 1 ||
           nvme_queue_outstanding(worker->queue->engine) + worker->complete_min <=
               worker->in_flight ||
           nvme_queue_outstanding(worker->queue->engine) == 0;
}

typedef void wait_function(struct worker *worker);

/* Services the queue until there is enough; looks at the clock now and then. */
static void poll(struct worker *worker)
{
    uint32_t polls = 0;

    while (!is_enough(worker)) {
        worker->idle_polls += nvme_queue_service(worker->queue->engine, worker->complete_max) == 0;
        if (++polls == WORKER_IDLE_POLLS) {
            polls = 0;
            nvme_queue_watch(worker->queue->engine, time_now_ns());
        }
    }
}

/* Sleeps until there is enough; the drains run in the trap. Off between the look and the sleep. */
static void sleep(struct worker *worker)
{
    uint64_t irq = irq_save();

    while (!is_enough(worker)) {
        storage_wait(worker->queue);
    }
    irq_restore(irq);
}

static wait_function *wait_of(const struct worker *worker)
{
    return nvme_queue_mode(worker->queue->engine) == NVME_MODE_POLL ? poll : sleep;
}

/* All that is free, under one stamp. */
static void post_all(struct worker *worker)
{
    if (worker->stamp_ticks == 0) {
        worker->stamp_ticks = csr_time();
    }
    if (worker->run->point->batch == 1) {
        post_singles(worker);
        return;
    }
    while (worker->free != NULL && post_group(worker)) {
        /* Bounded: every group takes requests from the free ones. */
    }
}

static void wait_all(struct worker *worker)
{
    worker->complete_min = 1;
    while (worker->in_flight != 0) {
        wait_of(worker)(worker);
        collect(worker);
    }
}

static void run_closed(struct worker *worker)
{
    wait_function *wait = wait_of(worker);

    while (!worker->stop) {
        post_all(worker);
        if (worker->in_flight != 0) {
            wait(worker);
            collect(worker);
        }
    }
}

/* ---- The open loop -------------------------------------------------------------------- */

typedef void wait_until_function(struct worker *worker, uint64_t until_ticks);

/* Services the queue, once at least, until there is enough or it is time. */
static void poll_until(struct worker *worker, uint64_t until_ticks)
{
    uint32_t polls = 0;

    do {
        worker->idle_polls += nvme_queue_service(worker->queue->engine, worker->complete_max) == 0;
        if (++polls % WORKER_IDLE_POLLS == 0) {
            nvme_queue_watch(worker->queue->engine, time_now_ns());
        }
    } while (!is_enough(worker) && (polls % WORKER_OPEN_POLLS != 0 || csr_time() < until_ticks));
}

/* Sleeps, or spins as the engine finds worth, until there is enough or it is time. */
static void sleep_until(struct worker *worker, uint64_t until_ticks)
{
    uint64_t irq = irq_save();

    timer_wake_at(until_ticks);
    while (!is_enough(worker) && csr_time() < until_ticks) {
        storage_wait(worker->queue);
    }
    irq_restore(irq);
}

/* Posts all that is due, as far as requests are free. False: completions have to come first. */
static bool post_due(struct worker *worker, uint64_t now_ticks)
{
    bool all = true;

    if (worker->in_flight == 0) {
        worker->drain_ticks = now_ticks; /* a silence before was no stall */
    }
    while (all && worker->free != NULL && worker->pacing.next_ticks <= now_ticks) {
        all = post_due_group(worker, now_ticks);
    }
    worker->starved = !all || worker->free == NULL;
    return !worker->starved;
}

static void run_open(struct worker *worker)
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
        count = take_finished(worker);
        now_ticks = worker->stamp_ticks;
        if (count != 0) {
            worker_drained(worker, now_ticks, count);
        } else if (now_ticks >= worker->event_ticks) {
            worker_step(worker, now_ticks, 0);
        }
    }
}

/*
 * In hybrid mode the loop runs with interrupts off and takes them in storage_wait(): an owner that
 * is awake has none, and turning them off and on for each post would cost more than the post.
 */
void workload_run(struct worker *worker)
{
    bool closed_door = nvme_queue_mode(worker->queue->engine) == NVME_MODE_HYBRID;

    storage_hart_start(worker->queue);
    worker_start(worker);
    if (closed_door) {
        irq_disable();
    }
    if (worker->run->point->rate_iops == 0) {
        run_closed(worker);
    } else {
        run_open(worker);
    }
    wait_all(worker);
    irq_enable();
    worker_finish(worker);
    storage_hart_stop(worker->queue);
}

void workload_fill_ring(struct worker *worker)
{
    uint32_t complete_min = worker->complete_min;

    /* A ring has one entry more than requests: one of them goes twice. */
    post_all(worker);
    wait_all(worker);
    worker->free->next = NULL;
    post_all(worker);
    wait_all(worker);
    worker->complete_min = complete_min;
}
