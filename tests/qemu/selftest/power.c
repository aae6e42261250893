// SPDX-License-Identifier: MIT
/*
 * Writes, forced writes (FUA) and flushes for tests/qemu/power_cut.py, which cuts the power.
 *
 * All queues write at once. Each block names its write; a clock that all harts share stamps every
 * post and every acknowledgement. The stamps are printed at the end. The host has QEMU's log of
 * what reached the medium, and compares.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "imsic.h"
#include "irq.h"
#include "selftest.h"

enum {
    SLOTS_MAX = 16,       /* requests in flight of each owner; each writes to blocks of its own */
    RANGE_BYTES = 131072, /* of a slot */
    REQUESTS = 320,       /* of all owners */
    STAMP_WORDS = 4,
};

#define STAMP_MAGIC UINT64_C(0x7077722d63757421)

/* What was asked for, and when. Its index in `records` is in each block that it writes. */
struct record {
    char kind; /* 'w', 'u' (FUA) or 'f' */
    uint32_t blocks;
    uint64_t lba;
    uint64_t posted, acked; /* by the clock; acked 0: never */
};

struct owner;

struct slot {
    struct owner *owner;
    uint64_t first; /* LBA */
    uint8_t *buffer;
    struct record *record; /* in flight */
};

struct owner {
    _Alignas(64) struct storage_queue *queue;
    uint64_t random;
    char kind; /* of the requests to post; 0: any */
    uint32_t to_post;
    uint32_t requests;
    volatile uint32_t ends;
    struct slot slots[SLOTS_MAX];
};

static struct owner owners[STORAGE_HARTS_MAX];
static struct record records[REQUESTS + STORAGE_HARTS_MAX];
static atomic_uint record_count;
static atomic_uint_fast64_t clock_now;
static uint32_t depth;
static uint32_t fua_bytes_max;

static uint64_t stamp(void)
{
    return atomic_fetch_add(&clock_now, 1) + 1;
}

static void fill(const struct slot *slot, uint32_t block_bytes)
{
    const struct record *record = slot->record;

    for (uint32_t block = 0; block < record->blocks; block++) {
        uint64_t lba = record->lba + block;
        uint64_t words[STAMP_WORDS] = {STAMP_MAGIC ^ selftest.seed, (uint64_t)(record - records),
                                       lba, ~lba};
        uint8_t *at = slot->buffer + (size_t)block * block_bytes;

        for (uint32_t done = 0; done < block_bytes; done += sizeof(words)) {
            memcpy(at + done, words, sizeof(words));
        }
    }
}

static void choose(struct slot *slot)
{
    struct owner *owner = slot->owner;
    uint32_t block_bytes = owner->queue->ns->block_bytes;
    uint64_t dice = random_next(&owner->random);
    struct record *record = &records[atomic_fetch_add(&record_count, 1)];
    uint32_t most = RANGE_BYTES / block_bytes;
    uint32_t fua_most = fua_bytes_max / block_bytes;

    *record = (struct record){.kind = dice % 12 == 0 ? 'f' : dice % 12 < 3 ? 'u' : 'w'};
    if (owner->kind != 0) {
        record->kind = owner->kind;
    }
    slot->record = record;
    if (record->kind == 'f') {
        return;
    }
    if (record->kind == 'u' && fua_most < most) {
        most = fua_most; /* pass-through is never split */
    }
    record->blocks = 1 + (uint32_t)(dice >> 8) % (dice >> 60 == 0 ? most : 4 < most ? 4 : most);
    record->lba = slot->first + (dice >> 40) % (RANGE_BYTES / block_bytes - record->blocks + 1);
    fill(slot, block_bytes);
}

static void done(void *arg, struct nvme_result result);

static enum nvme_error post(struct slot *slot)
{
    const struct storage_queue *queue = slot->owner->queue;
    const struct record *record = slot->record;
    struct nvme_callback callback = {done, slot};
    struct nvme_command command = {
        .cdw0 = NVME_CMD_WRITE,
        .nsid = queue->ns->nsid,
        .cdw10 = (uint32_t)record->lba,
        .cdw11 = (uint32_t)(record->lba >> 32),
        .cdw12 = (record->blocks - 1) | (uint32_t)NVME_IO_FUA,
    };

    if (record->kind == 'f') {
        return nvme_flush(queue->engine, queue->ns, callback);
    }
    if (record->kind == 'u') {
        return nvme_passthrough(queue->engine, &command, slot->buffer,
                                record->blocks << queue->ns->block_shift, callback);
    }
    return nvme_write(queue->engine, queue->ns, record->lba, record->blocks, slot->buffer,
                      callback);
}

static void post_next(struct slot *slot)
{
    enum nvme_error error;

    if (slot->owner->to_post == 0) {
        return;
    }
    slot->owner->to_post--;
    choose(slot);
    slot->record->posted = stamp();
    error = post(slot);
    if (!check(error == NVME_OK, "post: %s", nvme_error_text(error))) {
        slot->owner->ends++;
    }
}

static void done(void *arg, struct nvme_result result)
{
    struct slot *slot = arg;

    slot->record->acked = stamp();
    check(result.error == NVME_OK, "%c: %s, status %x", slot->record->kind,
          nvme_error_text(result.error), result.status);
    slot->owner->ends++;
    post_next(slot);
}

/* So many more, of this kind. */
static void run_requests(struct owner *owner, uint32_t count, char kind)
{
    uint64_t saved = irq_save();

    owner->kind = kind;
    owner->to_post = count;
    owner->requests += count;
    for (uint32_t i = 0; i < depth; i++) {
        post_next(&owner->slots[i]);
    }
    nvme_queue_submit(owner->queue->engine);
    irq_restore(saved);
    wait_count(owner->queue, &owner->ends, owner->requests);
}

static void run_owner(void *arg, unsigned index)
{
    struct owner *owner = &owners[index];

    (void)arg;
    if (index != 0) {
        storage_hart_start(owner->queue);
    }
    run_requests(owner, REQUESTS / selftest.storage.queue_count, 0);
    if (index != 0) {
        storage_hart_stop(owner->queue);
    }
}

static void prepare(struct owner *owner, uint32_t index)
{
    struct storage_queue *queue = &selftest.storage.queues[index];
    uint32_t range = RANGE_BYTES >> queue->ns->block_shift;

    *owner = (struct owner){.queue = queue, .random = selftest.seed + index};
    for (uint32_t i = 0; i < depth; i++) {
        owner->slots[i] = (struct slot){
            .owner = owner,
            .first = (uint64_t)(index * SLOTS_MAX + i) * range,
            .buffer = take_pages(RANGE_BYTES),
        };
    }
}

static void print_records(void)
{
    for (uint32_t i = 0; i < record_count; i++) {
        const struct record *record = &records[i];

        printf("power %c %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", record->kind,
               record->lba, record->blocks, record->posted, record->acked);
    }
}

static void test_power(void)
{
    uint64_t random = selftest.seed;
    uint64_t dice = random_next(&random);
    struct storage_config config = {
        .harts = test_harts(),
        .clocked = (dice & 1) != 0,
        .shadow_doorbells = (dice & 2) != 0 && imsic_present(), /* QEMU loses interrupts of lines */
        .cq_surplus = (dice & 4) != 0 ? 32 : 0,
    };
    struct nvme_controller_info info;

    depth = 1 + (uint32_t)(dice >> 8) % SLOTS_MAX;
    config.depth_entries = depth * NVME_SPLIT_WINDOW + 1;
    if (!open_storage(&config)) {
        return;
    }
    nvme_controller_describe(selftest.storage.controllers[0].engine, &info);
    fua_bytes_max = info.max_transfer_bytes;
    record_count = 0;
    clock_now = 0;
    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        prepare(&owners[i], i);
    }
    check(harts_run(selftest.storage.queue_count, run_owner, NULL), "harts did not run");
    /* However fast the host is, a write shows that all before it was promised. */
    run_requests(&owners[0], 1, 'f');
    run_requests(&owners[0], 1, 'w');
    close_storage();
    print_records();
}

const struct test power_tests[] = {
    {"power", test_power, MODE_ALL, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
