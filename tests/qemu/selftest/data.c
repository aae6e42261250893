// SPDX-License-Identifier: MIT
/*
 * Reads and writes of every shape: what is written comes back, and nothing beside it is touched.
 * Neither end of a transfer is believed: a guard page stands on both sides of every buffer, and the
 * blocks beside every write are read again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nvme_segments.h"
#include "selftest.h"

enum { ARENA_BYTES = 12 << 20, DEPTH = 32 };

/* The two arenas, and the queue they are used on. */
static struct {
    struct storage_queue *queue;
    uint8_t *out, *in;
    uint32_t block_bytes;
    uint32_t max_blocks; /* of one command */
    uint64_t block_count;
    uint64_t random;
} data;

static bool begin(uint32_t max_transfer_bytes)
{
    struct storage_config config = {.depth_entries = DEPTH,
                                    .max_transfer_bytes = max_transfer_bytes};

    if (!open_storage(&config)) {
        return false;
    }
    data.queue = &selftest.storage.queues[0];
    data.block_bytes = data.queue->ns->block_bytes;
    data.max_blocks = data.queue->ns->max_blocks;
    data.block_count = data.queue->ns->block_count;
    data.out = take_pages(ARENA_BYTES);
    data.in = take_pages(ARENA_BYTES);
    data.random = selftest.seed;
    return true;
}

/* Writes a pattern from a guarded buffer, reads it into another, compares everything. */
static bool round_trip(uint64_t lba, uint32_t blocks, uint32_t offset)
{
    size_t bytes = (size_t)blocks * data.block_bytes;
    struct guarded out = guarded_make(data.out, offset, bytes);
    struct guarded in = guarded_make(data.in, (offset + 8) % PAGE_BYTES, bytes);
    uint32_t key = (uint32_t)random_next(&data.random);
    bool ok;

    pattern_fill(out.data, bytes, key);
    ok = transfer(data.queue, NVME_CMD_WRITE, lba, blocks, out.data) &&
         transfer(data.queue, NVME_CMD_READ, lba, blocks, in.data);
    ok = ok && check(pattern_check(in.data, bytes, key) == bytes,
                     "lba %" PRIu64 " blocks %" PRIu32 " offset %" PRIu32
                     ": read back differs at byte %zu",
                     lba, blocks, offset, pattern_check(in.data, bytes, key));
    ok = ok &&
         check(pattern_check(out.data, bytes, key) == bytes && guarded_intact(&out),
               "blocks %" PRIu32 " offset %" PRIu32 ": a write changed memory", blocks, offset);
    return ok && check(guarded_intact(&in),
                       "blocks %" PRIu32 " offset %" PRIu32 ": a read left its buffer", blocks,
                       (offset + 8) % PAGE_BYTES);
}

static const uint32_t offsets[] = {0,    4,    8,    252,  256,  508,  512,  516,
                                   2044, 2048, 2052, 3584, 3588, 3840, 4088, 4092};

/* Bytes, rounded up to blocks: around one, two and three pages, and where a list gets long. */
static const uint32_t sizes[] = {1,    512,   1024,  3584,  4096,  4608,   7680,
                                 8192, 12288, 12800, 32768, 66048, 131072, 262144};

static uint32_t blocks_of(uint32_t bytes)
{
    return (bytes + data.block_bytes - 1) / data.block_bytes;
}

/* Every size at every offset, somewhere in the namespace. */
static void test_offsets(void)
{
    if (!begin(0)) {
        return;
    }
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            uint32_t blocks = blocks_of(sizes[j]);
            uint64_t lba = random_next(&data.random) % (data.block_count - blocks + 1);

            /* The long ones at a quarter of the offsets: lists do not depend on the low bits. */
            if (sizes[j] > 16384 && i % 4 != 3) {
                continue;
            }
            if (!round_trip(lba, blocks, offsets[i])) {
                break;
            }
        }
    }
    close_storage();
}

/* The same blocks, a command each that needs no split. */
static bool transfer_pieces(uint8_t opcode, uint64_t lba, uint32_t blocks, uint8_t *buffer)
{
    for (uint32_t done = 0; done < blocks;) {
        uint32_t count = blocks - done < data.max_blocks ? blocks - done : data.max_blocks;

        if (!transfer(data.queue, opcode, lba + done, count,
                      buffer + (size_t)done * data.block_bytes)) {
            return false;
        }
        done += count;
    }
    return true;
}

/* One side is split, the other is not: a split that errs in the same way twice is seen. */
static void split_trip(uint64_t lba, uint32_t blocks, uint32_t offset)
{
    size_t bytes = (size_t)blocks * data.block_bytes;
    struct guarded out = guarded_make(data.out, offset, bytes);
    struct guarded in = guarded_make(data.in, offset, bytes);
    uint32_t key = (uint32_t)random_next(&data.random);

    pattern_fill(out.data, bytes, key);
    transfer(data.queue, NVME_CMD_WRITE, lba, blocks, out.data);
    transfer_pieces(NVME_CMD_READ, lba, blocks, in.data);
    check(pattern_check(in.data, bytes, key) == bytes && guarded_intact(&in),
          "a split write of %" PRIu32 " blocks", blocks);
    pattern_fill(out.data, bytes, key + 1);
    transfer_pieces(NVME_CMD_WRITE, lba, blocks, out.data);
    transfer(data.queue, NVME_CMD_READ, lba, blocks, in.data);
    check(pattern_check(in.data, bytes, key + 1) == bytes && guarded_intact(&in),
          "a split read of %" PRIu32 " blocks", blocks);
}

/* Around the largest command and above it, more parts than the window holds included. */
static void test_split(void)
{
    uint32_t limit;

    if (!begin(0)) {
        return;
    }
    limit = data.max_blocks;
    const uint32_t counts[] = {limit - 1, limit,         limit + 1,
                               2 * limit, 2 * limit + 3, 9 * limit + 1};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t bytes = (uint64_t)counts[i] * data.block_bytes;
        uint64_t last = data.block_count - counts[i];

        if (counts[i] != 0 && bytes <= ARENA_BYTES - 4 * PAGE_BYTES) {
            split_trip(random_next(&data.random) % (last + 1), counts[i],
                       offsets[(3 * i + 1) % (sizeof(offsets) / sizeof(offsets[0]))]);
        }
    }
    close_storage();
}

/*
 * One long command, or as many as MDTS asks for: counted. Without MDTS its PRP lists are chained,
 * at 2 MiB and more. QEMU 7.2 fails what has more than 1024 pages (the host's IOV_MAX); 10.0.13
 * refuses an MDTS that allows that.
 */
static void test_chained(void)
{
    struct nvme_controller_info info;
    struct nvme_counters before, after;
    uint32_t bytes = 3 << 20;
    uint32_t wanted = 4 << 20;
    uint64_t parts;

    if (!begin(wanted)) {
        return;
    }
    nvme_controller_describe(selftest.storage.controllers[0].engine, &info);
    if (info.mdts_bytes != 0 && info.mdts_bytes < wanted) {
        wanted = info.mdts_bytes;
    }
    check(info.max_transfer_bytes == wanted, "one command takes %" PRIu32 " bytes, not %" PRIu32,
          info.max_transfer_bytes, wanted);
    parts = (bytes + wanted - 1) / wanted;
    nvme_queue_count(data.queue->engine, &before);
    round_trip(1, bytes / data.block_bytes, 4092);
    nvme_queue_count(data.queue->engine, &after);
    check(after.posts - before.posts == 2 * parts,
          "%" PRIu64 " commands for a write and a read of %" PRIu32 " bytes, not %" PRIu64,
          after.posts - before.posts, bytes, 2 * parts);
    close_storage();
}

/* The first and the last block, alone and in company. */
static void test_ends(void)
{
    if (!begin(0)) {
        return;
    }
    for (uint32_t blocks = 1; blocks <= 33; blocks += 8) {
        round_trip(0, blocks, 508);
        round_trip(data.block_count - blocks, blocks, 508);
    }
    close_storage();
}

/* A write between two others changes neither. */
static void test_neighbours(void)
{
    static const uint32_t counts[] = {1, 2, 7, 8, 9, 64};

    if (!begin(0)) {
        return;
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint32_t blocks = counts[i];
        size_t bytes = (size_t)blocks * data.block_bytes;
        struct guarded wide = guarded_make(data.out, 4, bytes + 2 * data.block_bytes);
        uint64_t lba = 1000 + 100 * i;

        pattern_fill(wide.data, wide.bytes, 1);
        transfer(data.queue, NVME_CMD_WRITE, lba, blocks + 2, wide.data);
        round_trip(lba + 1, blocks, 2044);
        wide = guarded_make(data.out, 4, bytes + 2 * data.block_bytes);
        transfer(data.queue, NVME_CMD_READ, lba, blocks + 2, wide.data);
        pattern_fill(wide.data + data.block_bytes, bytes, 1 + data.block_bytes / 4);
        check(pattern_check(wide.data, wide.bytes, 1) == wide.bytes,
              "writing %" PRIu32 " blocks changed the next at byte %zu", blocks,
              pattern_check(wide.data, wide.bytes, 1));
    }
    close_storage();
}

/* One buffer for every read, at an odd place: each read must replace all of its data. */
static void test_one_buffer(void)
{
    struct guarded one;

    if (!begin(0)) {
        return;
    }
    one = guarded_make(data.out, 3844, data.block_bytes);
    for (uint32_t lba = 0; lba < 100; lba++) {
        pattern_fill(one.data, one.bytes, lba * 77);
        transfer(data.queue, NVME_CMD_WRITE, 2000 + lba, 1, one.data);
    }
    for (uint32_t lba = 0; lba < 100; lba++) {
        transfer(data.queue, NVME_CMD_READ, 2000 + lba, 1, one.data);
        check(pattern_check(one.data, one.bytes, lba * 77) == one.bytes, "block %" PRIu32, lba);
    }
    check(guarded_intact(&one), "the guard is broken");
    close_storage();
}

/* ---- Segments ----------------------------------------------------------------------------- */

enum { SEGMENTS = 8, SCATTERED_BYTES = 16384, LISTS = 60, LIST_TRANSFER_BYTES = 131072 };

/* Segments in the second arena with holes between them; with SGLs of bytes at any place. */
static void scatter(struct nvme_segment *segments, bool bytewise)
{
    uint32_t left = SCATTERED_BYTES;
    size_t at = PAGE_BYTES;

    for (uint32_t i = 0; i < SEGMENTS; i++) {
        uint32_t bytes = left / (SEGMENTS - i);

        if (bytewise && i + 1 < SEGMENTS) {
            at += random_next(&data.random) % 1000;
            bytes = (uint32_t)(random_next(&data.random) % bytes) + 1;
        }
        segments[i] = (struct nvme_segment){data.in + at, bytes};
        left -= bytes;
        at += bytes + PAGE_BYTES;
        at -= bytewise ? 0 : at % PAGE_BYTES;
    }
}

static bool run_segments(uint8_t opcode, uint64_t lba, const struct nvme_segment *segments)
{
    struct request request = {0};
    struct nvme_callback callback = request_callback(&request);

    request.result.error =
        opcode == NVME_CMD_READ
            ? nvme_readv(data.queue->engine, data.queue->ns, lba, segments, SEGMENTS, callback)
            : nvme_writev(data.queue->engine, data.queue->ns, lba, segments, SEGMENTS, callback);
    if (request.result.error == NVME_OK) {
        nvme_queue_submit(data.queue->engine);
        wait_count(data.queue, &request.ends, 1);
    }
    return check(request.result.error == NVME_OK && request.result.bytes_done == SCATTERED_BYTES,
                 "segments: %s, status %x", nvme_error_text(request.result.error),
                 request.result.status);
}

/* What was written from one buffer is read into segments, and the other way round. */
static void segments_trip(uint64_t lba, bool bytewise)
{
    uint32_t blocks = SCATTERED_BYTES / data.block_bytes;
    uint32_t key = (uint32_t)random_next(&data.random);
    struct nvme_segment segments[SEGMENTS];
    size_t at = 0;

    scatter(segments, bytewise);
    pattern_fill(data.out, SCATTERED_BYTES, key);
    transfer(data.queue, NVME_CMD_WRITE, lba, blocks, data.out);
    run_segments(NVME_CMD_READ, lba, segments);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        check(memcmp(segments[i].pointer, data.out + at, segments[i].bytes) == 0,
              "segment %" PRIu32 " of %" PRIu32 " bytes differs", i, segments[i].bytes);
        at += segments[i].bytes;
    }
    run_segments(NVME_CMD_WRITE, lba + blocks, segments);
    memset(data.out, 0, SCATTERED_BYTES);
    transfer(data.queue, NVME_CMD_READ, lba + blocks, blocks, data.out);
    check(pattern_check(data.out, SCATTERED_BYTES, key) == SCATTERED_BYTES,
          "segments that were written differ");
}

/* By PRPs, and by SGLs if the device has them: segments of whole blocks, one a page, are both. */
static void test_segments(void)
{
    struct nvme_controller_info info;

    if (!begin(0)) {
        return;
    }
    nvme_controller_describe(selftest.storage.controllers[0].engine, &info);
    for (uint32_t i = 0; i < LISTS; i++) {
        /* A small command has a small list: not enough for so many pieces. */
        if (info.sgl_alignment == 1 && info.max_transfer_bytes >= LIST_TRANSFER_BYTES) {
            segments_trip(3000 + i, i % 2 != 0);
        }
    }
    printf("note segments: SGLs of %" PRIu32 " bytes\n", info.sgl_alignment);
    close_storage();
}

const struct test data_tests[] = {
    {"data.offsets", test_offsets, MODE_BOTH, 0},
    {"data.split", test_split, MODE_BOTH, 0},
    {"data.chained", test_chained, MODE_BOTH, 0},
    {"data.ends", test_ends, MODE_BOTH, 0},
    {"data.neighbours", test_neighbours, MODE_BOTH, 0},
    {"data.one-buffer", test_one_buffer, MODE_BOTH, 0},
    {"data.segments", test_segments, MODE_BOTH, 0},
    {NULL, NULL, 0, 0},
};
