// SPDX-License-Identifier: MIT
/*
 * The loop that keeps a queue full: every hart takes every n-th chunk of the job.
 *
 * A job that only moves data (copy) posts the next command of a chunk in the callback. A job that
 * computes passes chunks to the thread through the ready list, because a trap must be short. The
 * thread rings the doorbell once for its posts. Harts share only the flag that a command failed.
 */
#include "irq.h"
#include "nvme_tool.h"
#include "timer.h"

/* The most commands per doorbell: the device works while the thread computes the next chunks. */
enum { STEPS_PER_RING = 8 };

static void put_ready(struct worker *worker, struct chunk *chunk)
{
    chunk->next = NULL;
    *worker->ready_end = chunk;
    worker->ready_end = &chunk->next;
}

static struct chunk *take_ready(struct worker *worker)
{
    struct chunk *chunk = worker->ready;

    if (chunk != NULL) {
        worker->ready = chunk->next;
        if (worker->ready == NULL) {
            worker->ready_end = &worker->ready;
        }
    }
    return chunk;
}

bool failure_precedes(const struct failure *failure, const struct failure *other)
{
    bool is_cause = failure->error != NVME_ERR_STATE;
    bool other_is_cause = other->error != NVME_ERR_STATE;

    if (failure->error == NVME_OK || other->error == NVME_OK) {
        return other->error == NVME_OK && failure->error != NVME_OK;
    }
    return is_cause != other_is_cause ? is_cause : failure->lba < other->lba;
}

/* Ends the chunk with an error; no hart begins another. Interrupts off. */
static void fail(const struct chunk *chunk, enum nvme_error error, uint16_t status)
{
    struct worker *worker = chunk->worker;
    struct job *job = worker->job;
    struct failure failure = {
        .error = error,
        .status = status,
        .stage = chunk->stage,
        .lba = chunk->first + (chunk->stage == CHUNK_WRITING ? job->to : job->from),
        .blocks = chunk->blocks,
    };

    worker->active--;
    __atomic_store_n(&job->stop, true, __ATOMIC_RELAXED);
    if (failure_precedes(&failure, &worker->failure)) {
        worker->failure = failure;
    }
}

static void done(void *arg, struct nvme_result result);

/* Reads without the engine's range check, by pass-through: the device checks the range. */
static enum nvme_error read_unchecked(struct chunk *chunk, struct nvme_callback callback)
{
    const struct job *job = chunk->worker->job;
    struct storage_queue *queue = chunk->worker->queue;
    uint64_t lba = job->from + chunk->first;
    struct nvme_command command = {
        .cdw0 = NVME_CMD_READ,
        .nsid = queue->ns->nsid,
        .cdw10 = (uint32_t)lba,
        .cdw11 = (uint32_t)(lba >> 32),
        .cdw12 = chunk->blocks - 1,
    };

    return nvme_passthrough(queue->engine, &command, chunk->buffer,
                            chunk->blocks * job->block_bytes, callback);
}

/* Posts the command of the chunk's stage. */
static enum nvme_error put_command(struct chunk *chunk)
{
    const struct job *job = chunk->worker->job;
    struct storage_queue *queue = chunk->worker->queue;
    struct nvme_callback callback = {done, chunk};

    if (chunk->stage == CHUNK_FLUSHING) {
        return nvme_flush(queue->engine, queue->ns, callback);
    }
    if (chunk->stage == CHUNK_WRITING) {
        return nvme_write(queue->engine, queue->ns, job->to + chunk->first, chunk->blocks,
                          chunk->buffer, callback);
    }
    if (job->options->unchecked) {
        return read_unchecked(chunk, callback);
    }
    return nvme_read(queue->engine, queue->ns, job->from + chunk->first, chunk->blocks,
                     chunk->buffer, callback);
}

/* Posts. If the queue is full, the thread tries again; another error ends the chunk. */
static void post(struct chunk *chunk)
{
    uint64_t irq = irq_save();
    enum nvme_error error = put_command(chunk);

    chunk->again = error == NVME_ERR_BUSY;
    if (chunk->again) {
        chunk->worker->stalled = true;
        put_ready(chunk->worker, chunk);
    } else if (error != NVME_OK) {
        fail(chunk, error, 0);
    }
    irq_restore(irq);
}

/* Gives the chunk the next run of blocks of this hart's share; false: none is left. */
static bool begin(struct chunk *chunk)
{
    struct worker *worker = chunk->worker;
    const struct job *job = worker->job;
    uint64_t first = worker->next_chunk * job->chunk_blocks;

    if (first >= job->count || __atomic_load_n(&job->stop, __ATOMIC_RELAXED)) {
        return false;
    }
    worker->next_chunk += job->worker_count;
    chunk->first = first;
    chunk->blocks = job->chunk_blocks;
    if (chunk->blocks > job->count - first) {
        chunk->blocks = (uint32_t)(job->count - first);
    }
    return true;
}

/* Moves a chunk on, after a command that succeeded or before its first one. */
static void advance(struct chunk *chunk)
{
    struct worker *worker = chunk->worker;
    const struct job_kind *kind = worker->job->kind;

    if (chunk->stage == CHUNK_READING && kind->digest != NULL) {
        kind->digest(worker, chunk);
    }
    if (chunk->stage == CHUNK_READING && kind->writes) {
        chunk->stage = CHUNK_WRITING;
        post(chunk);
        return;
    }
    if (!begin(chunk)) {
        uint64_t irq = irq_save();

        worker->active--;
        irq_restore(irq);
        return;
    }
    chunk->stage = kind->flushes ? CHUNK_FLUSHING : kind->reads ? CHUNK_READING : CHUNK_WRITING;
    if (kind->prepare != NULL) {
        kind->prepare(worker, chunk);
    }
    post(chunk);
}

static bool advances_in_callbacks(const struct job_kind *kind)
{
    return kind->prepare == NULL && kind->digest == NULL;
}

/* The callback: in the trap, or in the thread of a polled queue. */
static void done(void *arg, struct nvme_result result)
{
    struct chunk *chunk = arg;
    struct worker *worker = chunk->worker;

    worker->completions++;
    worker->stalled = false;
    if (result.error != NVME_OK) {
        fail(chunk, result.error, result.status);
    } else if (advances_in_callbacks(worker->job->kind)) {
        advance(chunk);
    } else {
        put_ready(worker, chunk);
    }
}

/* Moves one ready chunk on. False: there is nothing to do before a completion. */
static bool step(struct worker *worker)
{
    bool in_callbacks = advances_in_callbacks(worker->job->kind);
    uint64_t irq = irq_save();
    struct chunk *chunk = worker->stalled ? NULL : take_ready(worker);

    /* Callbacks may advance chunks too: then interrupts stay off. Computation runs with them on. */
    if (!in_callbacks) {
        irq_restore(irq);
    }
    if (chunk != NULL && chunk->again) {
        post(chunk);
    } else if (chunk != NULL) {
        advance(chunk);
    }
    if (in_callbacks) {
        irq_restore(irq);
    }
    return chunk != NULL;
}

/*
 * Sleeps or polls. Interrupts are off from the last look at the list to the wait. The interrupt of
 * a completion in between stays pending and ends the wait.
 */
static void wait(struct worker *worker)
{
    irq_disable();
    if (worker->active != 0 && (worker->ready == NULL || worker->stalled)) {
        storage_wait(worker->queue, NVME_WAIT_BLOCKED);
    }
    irq_enable();
}

void worker_run(struct worker *worker)
{
    uint64_t seen = 0;
    uint64_t seen_ns = time_now_ns();

    storage_hart_start(worker->queue);
    for (uint32_t i = 0; i < worker->job->depth; i++) {
        worker->active++;
        put_ready(worker, &worker->chunks[i]);
    }
    while (worker->active != 0 && !worker->abandoned) {
        uint64_t now_ns;

        for (uint32_t i = 0; i < STEPS_PER_RING && step(worker); i++) {
        }
        nvme_queue_submit(worker->queue->engine);
        wait(worker);
        now_ns = time_now_ns();
        if (seen != worker->completions) {
            seen = worker->completions;
            seen_ns = now_ns;
        }
        worker->abandoned = now_ns - seen_ns > worker->job->give_up_ns;
    }
    storage_hart_stop(worker->queue);
}
