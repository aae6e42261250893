// SPDX-License-Identifier: MIT
/*
 * The preparation and the end of a job: opening, ranges, buffers with guards, error messages.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "heap.h"
#include "nvme_tool.h"
#include "timer.h"

enum {
    PAGE_BYTES = 4096,
    GUARD_BYTES = 64, /* after each buffer, at least; a write of the device there is an error */
    GUARD_BYTE = 0xa5,
};

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* ---- Opening -------------------------------------------------------------------------- */

/* Checks that need no device. */
static bool check_options(const struct options *options)
{
    if (options->offset % 4 != 0) {
        printf("error: offset=%" PRIu64 ": not a multiple of 4; hint: offset=%" PRIu64 "\n",
               options->offset, options->offset & ~UINT64_C(3));
        return false;
    }
    return true;
}

static bool set_sizes(struct job *job)
{
    const struct options *options = job->options;
    struct nvme_controller_info info;

    nvme_controller_describe(job->storage.controllers[0].engine, &info);
    job->block_bytes = job->storage.controllers[0].ns.block_bytes;
    if (options->bs % job->block_bytes != 0) {
        printf("error: bs=%" PRIu64 ": not a multiple of the namespace's blocks of %" PRIu32
               " bytes\n",
               options->bs, job->block_bytes);
        return false;
    }
    job->chunk_blocks = (uint32_t)(options->bs / job->block_bytes);
    job->depth = (uint32_t)options->iodepth;
    if (job->depth > info.depth_entries - 1) {
        printf("note: iodepth=%" PRIu32 " reduced to %" PRIu32
               ": the device's queues have at most %" PRIu32 " entries\n",
               job->depth, info.depth_entries - 1, info.depth_entries_limit);
        job->depth = info.depth_entries - 1;
    }
    /* A command's deadline, the time to stop the controller, and the watchdog's periods. */
    job->give_up_ns = options->timeout + info.ready_timeout_ms * NS_PER_MS + 2 * NS_PER_S;
    return true;
}

struct storage_config storage_wanted(const struct options *options)
{
    return (struct storage_config){
        .harts = (uint32_t)options->harts,
        .depth_entries = (uint32_t)options->iodepth + 1,
        .mode = (enum nvme_mode)options->completion, /* the words are in its order */
        .max_transfer_bytes = (uint32_t)options->max_transfer,
        .timeout_ns = options->timeout,
        .events = true,
        .nsid = (uint32_t)options->nsid,
        .controller = options->controller,
        .serial = options->serial,
    };
}

bool job_open(struct job *job, const struct options *options)
{
    struct storage_config config = storage_wanted(options);

    job->options = options;
    if (!check_options(options) || !storage_open(&job->storage, &config)) {
        return false;
    }
    if (!set_sizes(job)) {
        (void)storage_close(&job->storage);
        return false;
    }
    job->worker_count = job->storage.queue_count;
    storage_print_banner(&job->storage);
    return true;
}

bool job_check_range(const struct job *job, const char *name, uint64_t lba, uint64_t *count)
{
    uint64_t size = job->storage.controllers[0].ns.block_count;

    if (lba >= size) {
        printf("error: %s=%" PRIu64 ": LBA out of range, the namespace has %" PRIu64
               " blocks; hint: %s=%" PRIu64 " is the last\n",
               name, lba, size, name, size - 1);
        return false;
    }
    if (*count == 0) {
        *count = size - lba;
    }
    if (*count > size - lba) {
        printf("error: %s=%" PRIu64 " count=%" PRIu64
               ": LBA out of range, the namespace has %" PRIu64 " blocks; hint: count=%" PRIu64
               " at most\n",
               name, lba, *count, size, size - lba);
        return false;
    }
    return true;
}

/* ---- Buffers -------------------------------------------------------------------------- */

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* Allocates all buffers in one block. Each page-aligned stride has offset, buffer and guard. */
static bool take_buffers(struct job *job)
{
    const struct options *options = job->options;
    size_t chunks = (size_t)job->worker_count * job->depth;
    struct chunk *chunk;

    job->stride_bytes = round_up(options->bs + GUARD_BYTES, PAGE_BYTES);
    job->memory_bytes = options->offset + chunks * job->stride_bytes;
    chunk = heap_take(chunks * sizeof(*chunk), sizeof(void *));
    job->memory = heap_take(job->memory_bytes, PAGE_BYTES);
    if (chunk == NULL || job->memory == NULL) {
        printf("error: out of memory: %zu bytes of buffers for harts=%" PRIu32 ", iodepth=%" PRIu32
               ", bs=%" PRIu64 ", %zu left; hint: a smaller bs or iodepth, or run.py --memory\n",
               job->memory_bytes, job->worker_count, job->depth, options->bs, heap_left());
        return false;
    }
    memset(job->memory, GUARD_BYTE, job->memory_bytes);
    for (size_t i = 0; i < chunks; i++) {
        struct worker *worker = &job->workers[i / job->depth];

        if (i % job->depth == 0) {
            worker->chunks = &chunk[i];
        }
        chunk[i].worker = worker;
        chunk[i].buffer = job->memory + options->offset + i * job->stride_bytes;
    }
    return true;
}

/* True if only the buffers were written, else prints where. */
static bool check_guards(const struct job *job)
{
    for (size_t i = 0; i < job->memory_bytes; i++) {
        if (i >= job->options->offset &&
            (i - job->options->offset) % job->stride_bytes < job->options->bs) {
            /* The rest of this buffer is data. */
            i += job->options->bs - 1;
        } else if (job->memory[i] != GUARD_BYTE) {
            printf("error: memory outside the buffers was written: %p\n",
                   (const void *)&job->memory[i]);
            return false;
        }
    }
    return true;
}

/* ---- Running -------------------------------------------------------------------------- */

static void run_on_hart(void *arg, unsigned index)
{
    struct job *job = arg;

    worker_run(&job->workers[index]);
}

static void failure_print(const struct job *job, const struct failure *failure)
{
    const char *verb = failure->stage == CHUNK_WRITING ? "write" : "read";

    if (failure->stage == CHUNK_FLUSHING) {
        printf("error: flush: ");
    } else if (failure->blocks == 1) {
        printf("error: %s of LBA %" PRIu64 ": ", verb, failure->lba);
    } else {
        printf("error: %s of LBA %" PRIu64 " to %" PRIu64 ": ", verb, failure->lba,
               failure->lba + failure->blocks - 1);
    }
    if (failure->error != NVME_ERR_DEVICE) {
        printf("%s (%d)%s\n", nvme_error_text(failure->error), (int)failure->error,
               failure->error == NVME_ERR_STATE ? "; the notes above name the cause" : "");
        return;
    }
    printf("status 0x%x %s", failure->status, nvme_status_text(failure->status));
    if (failure->blocks > 1 && job->options->bs > job->block_bytes) {
        printf("; hint: bs=%" PRIu32 " names the block", job->block_bytes);
    }
    printf("\n");
}

/* Prints the first failure of all harts. False: there was one. */
static bool check_workers(const struct job *job)
{
    static const struct failure none;
    const struct failure *first = &none;
    bool abandoned = false;

    for (uint32_t i = 0; i < job->worker_count; i++) {
        const struct worker *worker = &job->workers[i];

        if (failure_precedes(&worker->failure, first)) {
            first = &worker->failure;
        }
        if (worker->abandoned) {
            printf("error: hart %" PRIu32 ": %" PRIu32
                   " requests never ended: the controller cannot be stopped\n",
                   i, worker->active);
            abandoned = true;
        }
    }
    if (first->error != NVME_OK) {
        failure_print(job, first);
    }
    return first->error == NVME_OK && !abandoned;
}

/* Prints counters that are not 0 although they should be. */
static void print_counters(const struct job *job)
{
    struct nvme_counters sum;

    storage_count(&job->storage, &sum);
    storage_print_missed(&job->storage);
    if (sum.missed + sum.stale + sum.malformed != 0) {
        printf("note: missed interrupts %" PRIu64 ", stale completions %" PRIu64
               ", malformed completions %" PRIu64 "\n",
               sum.missed, sum.stale, sum.malformed);
    }
}

static void print_summary(const struct job *job)
{
    uint64_t bytes = job->count * job->block_bytes;
    uint64_t ms = job->elapsed_ns / NS_PER_MS + 1;

    if (job->kind->flushes) {
        printf("flushed in %" PRIu64 " ms\n", ms);
        return;
    }
    printf("%s %" PRIu64 " blocks, %" PRIu64 " bytes in %" PRIu64 " ms, %" PRIu64 " MiB/s\n",
           job->kind->verb, job->count, bytes, ms, (bytes >> 10) * 1000 / ms >> 10);
}

bool job_run(struct job *job)
{
    uint64_t begin_ns;
    bool good;

    for (uint32_t i = 0; i < job->worker_count; i++) {
        struct worker *worker = &job->workers[i];

        worker->job = job;
        worker->queue = &job->storage.queues[i];
        worker->ready_end = &worker->ready;
        worker->next_chunk = i;
    }
    if (!take_buffers(job)) {
        return false;
    }
    begin_ns = time_now_ns();
    if (!harts_run(job->worker_count, run_on_hart, job)) {
        printf("error: harts: not all %" PRIu32 " started\n", job->worker_count);
        return false;
    }
    job->elapsed_ns = time_now_ns() - begin_ns;
    storage_print_events(&job->storage);
    good = check_workers(job);
    good = check_guards(job) && good;
    print_counters(job);
    if (good && job->kind->check != NULL) {
        good = job->kind->check();
    }
    if (good) {
        print_summary(job);
    }
    return good;
}
