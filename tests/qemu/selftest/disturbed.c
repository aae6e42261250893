// SPDX-License-Identifier: MIT
/*
 * All queues at work, while something outside disturbs the machine at moments of its own: it stops
 * it, throttles the medium, lets commands fail, resets the machine (tests/qemu/disturbed.py). With
 * resets and retries nothing may be lost. After a reset of the machine the next boot finds what was
 * acknowledged. A health warning ends the test.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "crew.h"
#include "harts.h"
#include "selftest.h"

enum { DEPTH = 16, TRIES = 255 };
#define KEPT_MAGIC UINT64_C(0x6469737475726264)

/* In kept_memory(). */
struct kept {
    uint64_t magic; /* ^ seed: another boot of this test has left it */
    struct workload_shadow shadows[STORAGE_HARTS_MAX];
};

static atomic_bool over;

/* The owners' part: hart 0 looks if the end has come, and makes room for further events. */
static void look_around(struct workload *workload)
{
    if (workload->queue->hart != 0) {
        return;
    }
    storage_print_events(&selftest.storage);
    if (event_seen(NVME_EVENT_HEALTH)) {
        atomic_store(&over, true);
    }
}

static void end_if_over(struct workload *workload)
{
    if (atomic_load(&over)) {
        workload->to_post = 0;
    }
}

static bool holds(const uint8_t *buffer, uint64_t region, uint32_t block, uint32_t generation)
{
    uint32_t bytes = selftest.storage.queues[0].ns->block_bytes;

    return generation == 0 ||
           pattern_check(buffer, bytes, workload_key(region, block, generation)) == bytes;
}

/*
 * A block holds what was acknowledged last. Where a write to it was under way, it may hold that
 * instead. Returns the generation; 0 is any data.
 */
static uint32_t check_block(const struct workload_shadow *shadow, uint64_t region, uint32_t block,
                            uint8_t *buffer)
{
    uint32_t generation = shadow->generation[block];

    if (generation == 0 ||
        !transfer(&selftest.storage.queues[0], NVME_CMD_READ, region + block, 1, buffer)) {
        return generation;
    }
    if (shadow->busy[block] == NVME_CMD_WRITE && !holds(buffer, region, block, generation)) {
        generation--;
    }
    check(holds(buffer, region, block, generation),
          "block %" PRIu64 ": generation %" PRIu32 " is lost", region + block, generation);
    return generation;
}

/* What the boot before has left, or nothing. */
static void take_over(struct kept *kept)
{
    uint8_t *buffer = take_pages(PAGE_BYTES);
    uint32_t written = 0;
    uint32_t under_way = 0;

    if (kept->magic != (KEPT_MAGIC ^ selftest.seed)) {
        memset(kept, 0, sizeof(*kept));
        kept->magic = KEPT_MAGIC ^ selftest.seed;
        return;
    }
    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        struct workload_shadow *shadow = &kept->shadows[i];

        for (uint32_t block = 0; block < WORKLOAD_BLOCKS; block++) {
            shadow->generation[block] =
                check_block(shadow, (uint64_t)i * WORKLOAD_BLOCKS, block, buffer);
            written += shadow->generation[block] != 0;
            under_way += shadow->busy[block] != 0;
            shadow->busy[block] = 0;
        }
    }
    printf("note after a reset: %" PRIu32 " blocks, %" PRIu32 " in requests\n", written, under_way);
}

static void print_sum(void)
{
    struct nvme_counters sum;

    storage_count(&selftest.storage, &sum);
    printf("note disturbed: %" PRIu64 " posts, %" PRIu64 " retries, %" PRIu64 " late\n", sum.posts,
           sum.retries, sum.late);
}

static void test_disturbed(void)
{
    struct kept *kept = kept_memory();
    struct storage_config config = {
        .harts = test_harts(),
        .depth_entries = DEPTH * NVME_SPLIT_WINDOW + 1,
        .timeout_ns = NS_PER_S,
        .resets_max = TRIES,
        .events = true,
    };

    if (!open_storage(&config)) {
        return;
    }
    take_over(kept);
    atomic_store(&over, false);
    printf("note ready\n");
    crew_run(&(struct crew){.depth = DEPTH,
                            .done = end_if_over,
                            .turn = look_around,
                            .shadows = kept->shadows,
                            .linger = true});
    kept->magic = 0;
    print_sum();
    close_storage();
}

const struct test disturbed_tests[] = {
    {"disturbed", test_disturbed, MODE_ALL, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
