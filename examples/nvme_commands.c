// SPDX-License-Identifier: MIT
/*
 * The commands that move data: read, crc, copy, fill, check, flush.
 */
#include <inttypes.h>
#include <stdio.h>

#include "nvme_tool.h"

static struct job job;

/* Closes the storage and returns the exit status. */
static int finish(bool good)
{
    return storage_close(&job.storage) && good ? 0 : 1;
}

/* The byte offset of a block in the namespace. */
static uint64_t position_of(uint64_t lba)
{
    return lba * job.block_bytes;
}

static size_t size_of(const struct chunk *chunk)
{
    return (size_t)chunk->blocks * job.block_bytes;
}

/* ---- crc ------------------------------------------------------------------------------ */

static void digest_crc(struct worker *worker, const struct chunk *chunk)
{
    uint64_t behind = (job.count - chunk->first - chunk->blocks) * job.block_bytes;

    worker->crc ^= crc_shift(crc_of(chunk->buffer, size_of(chunk)), behind);
}

static void print_crc(void)
{
    uint32_t crc = 0;

    for (uint32_t i = 0; i < job.worker_count; i++) {
        crc ^= job.workers[i].crc;
    }
    printf("crc32 %08" PRIx32 "\n", crc);
}

static const struct job_kind crc_kind = {.verb = "digested", .reads = true, .digest = digest_crc};

/* Runs a job that reads from lba, and prints the CRC of the data. */
static int run_reading(const struct options *options, const struct job_kind *kind)
{
    bool good;

    crc_init();
    if (!job_open(&job, options)) {
        return 1;
    }
    job.kind = kind;
    job.from = options->lba;
    job.count = options->count;
    if (options->unchecked) {
        job.count += job.count == 0;
    }
    good = options->unchecked || job_check_range(&job, "lba", job.from, &job.count);
    good = good && job_run(&job);
    if (good) {
        print_crc();
    }
    return finish(good);
}

int run_crc(const struct options *options)
{
    return run_reading(options, &crc_kind);
}

/* ---- read ----------------------------------------------------------------------------- */

static void digest_read(struct worker *worker, const struct chunk *chunk)
{
    if (job.options->hex) {
        hex_print(chunk->buffer, size_of(chunk), position_of(job.from + chunk->first));
    }
    digest_crc(worker, chunk);
}

static const struct job_kind read_kind = {.verb = "read", .reads = true, .digest = digest_read};

int run_read(const struct options *options)
{
    return run_reading(options, &read_kind);
}

/* ---- copy ----------------------------------------------------------------------------- */

static const struct job_kind copy_kind = {.verb = "copied", .reads = true, .writes = true};

/* Chunks are copied in any order, so source and target must not overlap. */
bool copy_check_apart(uint64_t from, uint64_t to, uint64_t count)
{
    uint64_t distance = from < to ? to - from : from - to;

    if (distance < count) {
        printf("error: from=%" PRIu64 " to=%" PRIu64 " count=%" PRIu64
               ": source and target overlap; hint: count=%" PRIu64 " at most, copy in steps\n",
               from, to, count, distance);
        return false;
    }
    return true;
}

/* The default of count: the distance of source and target, or less at the namespace's end. */
static uint64_t copy_count(uint64_t from, uint64_t to)
{
    uint64_t size = job.storage.controllers[0].ns.block_count;
    uint64_t later = from < to ? to : from;
    uint64_t distance = from < to ? to - from : from - to;

    return later < size && size - later < distance ? size - later : distance;
}

int run_copy(const struct options *options)
{
    bool good;

    if (options->by == BY_DEVICE) {
        return run_device_copy(options);
    }
    if (options->from == options->to) {
        printf("error: from=%" PRIu64 " to=%" PRIu64 ": source and target are the same; hint: "
               "name both, such as from=0 to=1024 count=1024\n",
               options->from, options->to);
        return 1;
    }
    if (!job_open(&job, options)) {
        return 1;
    }
    job.kind = &copy_kind;
    job.from = options->from;
    job.to = options->to;
    job.count = options->count != 0 ? options->count : copy_count(job.from, job.to);
    good = job_check_range(&job, "from", job.from, &job.count) &&
           job_check_range(&job, "to", job.to, &job.count) &&
           copy_check_apart(job.from, job.to, job.count) && job_run(&job);
    return finish(good);
}

/* ---- fill, check ---------------------------------------------------------------------- */

static void prepare_fill(struct worker *worker, const struct chunk *chunk)
{
    (void)worker;
    pattern_fill(chunk->buffer, size_of(chunk), job.options->seed,
                 position_of(job.to + chunk->first));
}

static const struct job_kind fill_kind = {
    .verb = "filled",
    .writes = true,
    .prepare = prepare_fill,
};

int run_fill(const struct options *options)
{
    bool good;

    if (!job_open(&job, options)) {
        return 1;
    }
    job.kind = &fill_kind;
    job.to = options->lba;
    job.count = options->count;
    good = job_check_range(&job, "lba", job.to, &job.count) && job_run(&job);
    return finish(good);
}

/* Compares block by block, counts the wrong ones and keeps the lowest. */
static void digest_check(struct worker *worker, const struct chunk *chunk)
{
    struct mismatch *mismatch = &worker->mismatch;

    for (uint32_t i = 0; i < chunk->blocks; i++) {
        uint64_t lba = job.from + chunk->first + i;
        const uint8_t *block = chunk->buffer + (size_t)i * job.block_bytes;
        uint8_t expected;
        size_t byte =
            pattern_compare(block, job.block_bytes, job.options->seed, position_of(lba), &expected);

        if (byte == job.block_bytes) {
            continue;
        }
        if (mismatch->blocks == 0 || lba < mismatch->lba) {
            mismatch->lba = lba;
            mismatch->byte = (uint32_t)byte;
            mismatch->found = block[byte];
            mismatch->expected = expected;
        }
        mismatch->blocks++;
    }
}

/* True if no hart found a wrong block, else prints the first. */
static bool check_mismatches(void)
{
    struct mismatch sum = {0};

    for (uint32_t i = 0; i < job.worker_count; i++) {
        const struct mismatch *mismatch = &job.workers[i].mismatch;
        uint64_t blocks = sum.blocks + mismatch->blocks;

        if (mismatch->blocks != 0 && (sum.blocks == 0 || mismatch->lba < sum.lba)) {
            sum = *mismatch;
        }
        sum.blocks = blocks;
    }
    if (sum.blocks != 0) {
        printf("error: LBA %" PRIu64 " byte %" PRIu32 " is 0x%02x, 0x%02x was expected; %" PRIu64
               " of %" PRIu64 " blocks are wrong\n",
               sum.lba, sum.byte, sum.found, sum.expected, sum.blocks, job.count);
    }
    return sum.blocks == 0;
}

static const struct job_kind check_kind = {
    .verb = "checked",
    .reads = true,
    .digest = digest_check,
    .check = check_mismatches,
};

int run_check(const struct options *options)
{
    bool good;

    if (!job_open(&job, options)) {
        return 1;
    }
    job.kind = &check_kind;
    job.from = options->lba;
    job.count = options->count;
    good = job_check_range(&job, "lba", job.from, &job.count) && job_run(&job);
    return finish(good);
}

/* ---- flush ---------------------------------------------------------------------------- */

/* A flush has no data: the worker's one chunk is the command. */
static const struct job_kind flush_kind = {.verb = "flushed", .flushes = true};

int run_flush(const struct options *options)
{
    if (!job_open(&job, options)) {
        return 1;
    }
    job.kind = &flush_kind;
    job.count = 1;
    return finish(job_run(&job));
}
