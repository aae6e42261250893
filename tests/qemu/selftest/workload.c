// SPDX-License-Identifier: MIT
/* See workload.h. */
#include "workload.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "harts.h"
#include "irq.h"
#include "selftest.h"
#include "timer.h"

enum { BEYOND_MAX = 100000 }; /* posts after the end: by then it will never be enough */

static void post_next(struct workload_slot *slot);

/* Place and generation tell a wrong block and an old one. */
uint32_t workload_key(uint64_t region, uint32_t block, uint32_t generation)
{
    return (uint32_t)(region + block) * 4099 + generation * 1000003;
}

static uint32_t block_key(const struct workload *workload, uint32_t block)
{
    return workload_key(workload->region, block, workload->shadow->generation[block]);
}

static void check_blocks(struct workload_slot *slot)
{
    struct workload *workload = slot->workload;
    uint32_t bytes = workload->queue->ns->block_bytes;

    for (uint32_t i = 0; i < slot->count; i++) {
        uint32_t block = slot->first + i;

        if (workload->shadow->generation[block] != 0 &&
            pattern_check(slot->buffer + (size_t)i * bytes, bytes, block_key(workload, block)) !=
                bytes) {
            workload->wrong++;
        }
    }
}

static void slot_done(void *arg, struct nvme_result result)
{
    struct workload_slot *slot = arg;
    struct workload *workload = slot->workload;

    slot->ends++;
    workload->ended++;
    workload->in_flight--;
    workload->stray += workload->queue->hart != hart_index();
    if (result.error != NVME_OK) {
        workload->errors++;
    } else if (slot->opcode == NVME_CMD_READ) {
        check_blocks(slot);
    }
    for (uint32_t i = 0; i < slot->count; i++) {
        workload->shadow->busy[slot->first + i] = 0;
    }
    if (workload->done != NULL) {
        workload->done(workload);
    }
    post_next(slot);
}

/* Takes free blocks for a slot. There are many more blocks than slots: a few tries are enough. */
static bool choose_blocks(struct workload_slot *slot)
{
    struct workload *workload = slot->workload;

    for (uint32_t tries = 0; tries < 100; tries++) {
        uint64_t random = random_next(&workload->random);
        uint32_t count = 1 + (uint32_t)(random % WORKLOAD_SPAN_MAX);
        uint32_t first = (uint32_t)(random >> 32) % (WORKLOAD_BLOCKS - count + 1);
        bool taken = false;

        for (uint32_t i = 0; i < count; i++) {
            taken |= workload->shadow->busy[first + i] != 0;
        }
        if (!taken) {
            memset(&workload->shadow->busy[first], slot->opcode, count);
            slot->first = first;
            slot->count = count;
            return true;
        }
    }
    return false;
}

/* One request in 16 is a flush, the rest are reads and writes in equal parts. */
static void choose(struct workload_slot *slot)
{
    struct workload *workload = slot->workload;
    uint32_t bytes = workload->queue->ns->block_bytes;
    uint64_t dice = random_next(&workload->random) % 16;

    slot->count = 0;
    slot->opcode = dice % 2 != 0 ? NVME_CMD_WRITE : NVME_CMD_READ;
    if (dice == 0 || !choose_blocks(slot)) {
        slot->opcode = NVME_CMD_FLUSH;
        return;
    }
    /* For a boot after a reset of the machine: a block is busy before its generation changes. */
    atomic_signal_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < slot->count && slot->opcode == NVME_CMD_WRITE; i++) {
        uint32_t block = slot->first + i;

        workload->shadow->generation[block]++;
        pattern_fill(slot->buffer + (size_t)i * bytes, bytes, block_key(workload, block));
    }
}

/*
 * True once a workload that is out of time has had its part: a host with fewer cores than the guest
 * has harts may let one of them run only after the end.
 */
static bool has_taken_part(struct workload *workload)
{
    return workload->posted != 0 && (workload->enough == NULL || workload->enough(workload) ||
                                     ++workload->beyond > BEYOND_MAX);
}

static bool is_over(struct workload *workload)
{
    return workload->to_post == 0 ||
           (workload->end_ns != 0 && time_now_ns() >= workload->end_ns && has_taken_part(workload));
}

static void post_next(struct workload_slot *slot)
{
    struct workload *workload = slot->workload;
    struct nvme_io io;
    uint32_t posted;

    if (is_over(workload)) {
        return;
    }
    workload->to_post--;
    choose(slot);
    io = (struct nvme_io){.lba = workload->region + slot->first,
                          .buffer = slot->buffer,
                          .block_count = slot->count,
                          .opcode = slot->opcode,
                          .callback = {slot_done, slot}};
    if (nvme_post_many(workload->queue->engine, workload->queue->ns, &io, 1, &posted) != NVME_OK) {
        workload->errors++;
        return;
    }
    workload->posted++;
    workload->in_flight++;
    nvme_queue_submit(workload->queue->engine);
}

void workload_init(struct workload *workload, struct storage_queue *queue, uint32_t index,
                   uint32_t depth)
{
    size_t stride = (size_t)(WORKLOAD_SPAN_MAX + 1) * queue->ns->block_bytes;
    uint8_t *memory;

    if (stride < 2 * PAGE_BYTES) {
        stride = (size_t)2 * PAGE_BYTES;
    }
    memory = take_pages(stride * depth);
    memset(workload, 0, sizeof(*workload));
    workload->queue = queue;
    workload->shadow = &workload->own_shadow;
    workload->region = (uint64_t)index * WORKLOAD_BLOCKS;
    workload->random = selftest.seed * 1000 + index;
    workload->to_post = UINT64_MAX;
    workload->depth = depth;
    for (uint32_t i = 0; i < depth; i++) {
        uint32_t offset = 4 * (uint32_t)(random_next(&workload->random) % 128);

        workload->slots[i].workload = workload;
        workload->slots[i].buffer = memory + i * stride + offset;
    }
}

void workload_start(struct workload *workload)
{
    uint64_t saved = irq_save();

    for (uint32_t i = 0; i < workload->depth; i++) {
        post_next(&workload->slots[i]);
    }
    irq_restore(saved);
}

void workload_turn(struct workload *workload)
{
    if (workload->turn != NULL) {
        irq_enable();
        workload->turn(workload);
        irq_disable();
    }
}

void workload_wait(struct workload *workload)
{
    struct patience patience = {0};
    uint64_t seen = 0;
    uint64_t saved = irq_save(); /* from the look to the sleep no interrupt may come */

    while (workload->in_flight != 0) {
        storage_wait(workload->queue, NVME_WAIT_BLOCKED);
        workload_turn(workload);
        if (workload->ended != seen) {
            seen = workload->ended;
            patience = (struct patience){0};
        } else if (patience_spend(&patience) > WAIT_LIMIT_NS) {
            give_up("a workload stands still");
        }
    }
    irq_restore(saved);
}

void workload_check(const struct workload *workload)
{
    uint64_t ends = 0;

    for (uint32_t i = 0; i < workload->depth; i++) {
        ends += workload->slots[i].ends;
    }
    check(workload->wrong == 0, "region %" PRIu64 ": %" PRIu64 " wrong blocks", workload->region,
          workload->wrong);
    check(workload->errors == 0, "region %" PRIu64 ": %" PRIu64 " errors", workload->region,
          workload->errors);
    check(workload->in_flight == 0 && workload->ended == workload->posted &&
              ends == workload->ended,
          "region %" PRIu64 ": %" PRIu64 " posted, %" PRIu64 " ended, %" PRIu32 " in flight",
          workload->region, workload->posted, workload->ended, workload->in_flight);
    check(workload->stray == 0, "region %" PRIu64 ": %" PRIu64 " callbacks on another hart",
          workload->region, workload->stray);
    check(workload->ended != 0, "region %" PRIu64 ": nothing was done", workload->region);
}
