// SPDX-License-Identifier: MIT
/*
 * See verify.h.
 */
#include "verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flow.h"
#include "heap.h"

#define BUSY UINT32_C(0x80000000) /* set in the count of a block while its position is in flight */

/* How often each block has been written, from job->offset on. A part of it is each hart's own. */
static uint32_t *counts;

bool verify_take_memory(void)
{
    counts = heap_take(VERIFY_BLOCKS_MAX * sizeof(*counts), _Alignof(uint64_t));
    if (counts == NULL) {
        printf("error: verify takes %zu bytes, %zu are left; hint: run.py --memory\n",
               VERIFY_BLOCKS_MAX * sizeof(*counts), heap_left());
    }
    return counts != NULL;
}

bool verify_fits(const struct job *job, const struct job_point *point, uint64_t blocks,
                 uint32_t block_bytes)
{
    uint64_t positions = blocks / (point->bs / block_bytes) / point->numjobs;

    if (blocks > VERIFY_BLOCKS_MAX) {
        printf("error: verify: size=%" PRIu64 ": %" PRIu64 " blocks, at most %" PRIu32
               "; hint: size=%" PRIu64 "m\n",
               job->size, blocks, (uint32_t)VERIFY_BLOCKS_MAX,
               (uint64_t)VERIFY_BLOCKS_MAX * block_bytes >> 20);
        return false;
    }
    if (positions < point->iodepth) {
        printf("error: verify: iodepth=%" PRIu32 ": each hart has %" PRIu64 " places of bs=%" PRIu32
               " to itself, at least iodepth are needed; hint: a larger "
               "size, or less iodepth\n",
               point->iodepth, positions, point->bs);
        return false;
    }
    return true;
}

static uint32_t *count_of(const struct worker *worker, uint64_t lba)
{
    return &counts[lba - (worker->run->job->offset >> worker->queue->ns->block_shift)];
}

/* Never 0. The seed tells the runs of different boots apart. */
static uint64_t generation_of(const struct worker *worker, uint32_t count)
{
    return (worker->run->job->randseed & INT32_MAX) << 32 | count;
}

/* The next place that is not in flight, from the pattern's on. There is one: verify_fits(). */
static uint64_t pick_position(struct worker *worker)
{
    struct pattern *pattern = &worker->loop.pattern;
    uint64_t lba = pattern_next_lba(pattern);

    for (uint64_t i = 0; i < pattern->positions && (*count_of(worker, lba) & BUSY) != 0; i++) {
        lba += pattern->blocks;
        if (lba >= pattern->first_block + pattern->positions * pattern->blocks) {
            lba = pattern->first_block;
        }
    }
    return lba;
}

static void stamp_blocks(struct worker *worker, uint64_t lba, uint8_t *buffer)
{
    uint32_t block_bytes = worker->queue->ns->block_bytes;

    for (uint64_t i = 0; i < worker->loop.pattern.blocks; i++) {
        uint32_t count = ++*count_of(worker, lba + i) & ~BUSY;

        stamp_write(buffer + i * block_bytes, block_bytes, lba + i, generation_of(worker, count));
    }
}

/* A backing that moves nothing must not be taken for one that gives back what the buffer had. */
static void wipe_stamps(const struct worker *worker, uint8_t *buffer)
{
    for (uint64_t i = 0; i < worker->loop.pattern.blocks; i++) {
        memset(buffer + i * worker->queue->ns->block_bytes, 0, sizeof(struct stamp));
    }
}

/* A free request becomes the one command of a group. False: completions have to come first. */
static bool post_request(struct worker *worker, uint64_t lba, bool write)
{
    struct request *request = worker->loop.free;

    worker->loop.free = request->next;
    worker->verify.lbas[request - worker->loop.requests] = lba;
    request->start_ticks = worker->loop.stamp_ticks;
    request->write = write;
    if (write) {
        stamp_blocks(worker, lba, request->buffer);
    } else {
        wipe_stamps(worker, request->buffer);
    }
    *count_of(worker, lba) |= BUSY;
    worker->loop.ios[0] = (struct nvme_io){
        .lba = lba,
        .buffer = request->buffer,
        .block_count = (uint32_t)worker->loop.pattern.blocks,
        .opcode = write ? NVME_CMD_WRITE : NVME_CMD_READ,
        .callback = {flow_done, request},
    };
    if (flow_send(worker, 1) == 1) {
        return true;
    }
    *count_of(worker, lba) &= ~BUSY;
    for (uint64_t i = 0; write && i < worker->loop.pattern.blocks; i++) {
        --*count_of(worker, lba + i);
    }
    return false;
}

static void check_block(struct worker *worker, uint64_t lba, const uint8_t *block)
{
    struct verify *verify = &worker->verify;
    struct verify_failure failure = {.lba = lba};
    uint32_t count = *count_of(worker, lba) & ~BUSY;

    /* What a job that writes has not written is no business of its. */
    if (count == 0 && (worker->loop.pattern.mixed || worker->loop.pattern.writes)) {
        return;
    }
    failure.generation = count == 0 ? 0 : generation_of(worker, count);
    failure.verdict = stamp_check(block, worker->queue->ns->block_bytes, lba, failure.generation,
                                  &failure.found, &failure.crc);
    verify->blocks++;
    if (failure.verdict == STAMP_GOOD) {
        return;
    }
    verify->missing += failure.verdict == STAMP_MISSING;
    if (verify->failed < VERIFY_FAILURES_KEPT) {
        verify->failures[verify->failed] = failure;
    }
    verify->failed++;
}

/* What has ended; returns how many. A request that failed has nothing to be checked. */
static uint32_t take_finished(struct worker *worker)
{
    uint64_t errors = worker->errors;
    uint32_t count = flow_take(worker);
    struct request *request = worker->loop.free;

    for (uint32_t i = 0; i < count; i++, request = request->next) {
        uint64_t lba = worker->verify.lbas[request - worker->loop.requests];
        uint32_t block_bytes = worker->queue->ns->block_bytes;

        *count_of(worker, lba) &= ~BUSY;
        for (uint64_t j = 0; !request->write && errors == 0 && j < worker->loop.pattern.blocks;
             j++) {
            check_block(worker, lba + j, request->buffer + j * block_bytes);
        }
    }
    return count;
}

void verify_run(struct worker *worker)
{
    while (!worker->window.stop) {
        bool all = true;

        while (all && worker->loop.free != NULL) {
            bool write = pattern_next_is_write(&worker->loop.pattern);

            all = post_request(worker, pick_position(worker), write);
        }
        if (worker->loop.in_flight != 0) {
            uint32_t count;

            flow_wait(worker);
            count = take_finished(worker);
            worker_reaped(worker, worker->loop.stamp_ticks, count);
        }
    }
    worker->loop.complete_min = 1;
    while (worker->loop.in_flight != 0) {
        flow_wait(worker);
        take_finished(worker);
    }
}

/* True if this run has written the place, or a part of it with another block size. */
static bool was_written(const struct worker *worker, uint64_t lba)
{
    uint32_t seen = 0;

    for (uint64_t i = 0; i < worker->loop.pattern.blocks; i++) {
        seen |= *count_of(worker, lba + i) & ~BUSY;
    }
    return seen != 0;
}

void verify_read_back(struct worker *worker)
{
    const struct pattern *pattern = &worker->loop.pattern;
    uint64_t position = 0;

    if (!pattern->mixed && !pattern->writes) {
        return;
    }
    worker->loop.complete_min = 1;
    while (worker->errors == 0 && (position < pattern->positions || worker->loop.in_flight != 0)) {
        while (worker->loop.free != NULL && position < pattern->positions && worker->errors == 0) {
            uint64_t lba = pattern->first_block + position * pattern->blocks;

            if (was_written(worker, lba) && !post_request(worker, lba, false)) {
                break;
            }
            position++;
        }
        if (worker->loop.in_flight != 0) {
            flow_wait(worker);
            take_finished(worker);
        }
    }
}

static void print_failure(const struct verify_failure *failure)
{
    const struct stamp *found = &failure->found;

    printf("error: verify: lba %" PRIu64 ": ", failure->lba);
    switch (failure->verdict) {
    case STAMP_DAMAGED:
        printf("checksum %08" PRIx32 " expected, %08" PRIx32 " found\n", found->crc, failure->crc);
        break;
    case STAMP_MISPLACED:
        printf("holds the block of lba %" PRIu64 "\n", found->lba);
        break;
    case STAMP_STALE:
        printf("generation %" PRIu64 " expected, %" PRIu64 " found\n", failure->generation,
               found->generation);
        break;
    default:
        printf("no stamp\n");
    }
}

void verify_print(const struct worker *worker)
{
    const struct verify *verify = &worker->verify;

    for (uint64_t i = 0; i < verify->failed && i < VERIFY_FAILURES_KEPT; i++) {
        print_failure(&verify->failures[i]);
    }
    if (verify->failed != 0) {
        printf("error: verify: hart %" PRIu32 ": %" PRIu64 " of %" PRIu64 " blocks failed%s\n",
               worker->index, verify->failed, verify->blocks,
               verify->missing != verify->blocks
                   ? ""
                   : "; hint: nothing was ever stamped: the null backing keeps no data (run.py "
                     "--backing ram:64m), an image is written first (rw=write verify=crc32c)");
    }
}
