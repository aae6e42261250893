// SPDX-License-Identifier: MIT
/* What every test needs: storage in the test's mode, requests that are waited for, patterns. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "heap.h"
#include "irq.h"
#include "selftest.h"
#include "start.h"
#include "timer.h"

enum { LOST_MESSAGES_MAX = 3 }; /* of one storage */
#define GUARD_KEY UINT32_C(0x5eed6a4d)
#define LOOK_GAP_NS                                                                                \
    (UINT64_C(2) * NVME_WATCHDOG_PERIOD_NS) /* of patience between two looks, at most */

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- Storage ------------------------------------------------------------------------------ */

bool open_storage(const struct storage_config *wanted)
{
    struct storage_config config = *wanted;

    config.mode = selftest.mode;
    config.harts = config.harts != 0 ? config.harts : 1;
    config.depth_entries = config.depth_entries != 0 ? config.depth_entries : 64;
    selftest.heap_mark = heap_mark();
    if (!check(storage_open(&selftest.storage, &config), "storage_open failed")) {
        return false;
    }
    storage_hart_start(&selftest.storage.queues[0]);
    return true;
}

/* A message that QEMU has lost is no fault of ours: the watchdog has found it. Such are few. */
static void check_missed(const struct nvme_counters *sum)
{
    if (sum->missed == 0) {
        return;
    }
    if (sum->missed <= LOST_MESSAGES_MAX && strcmp(selftest.storage.delivery, "msix") == 0) {
        printf("note msix: %" PRIu64 " messages lost of %" PRIu64 ", found by the watchdog\n",
               sum->missed, sum->interrupts);
        return;
    }
    check(false,
          "%" PRIu64 " interrupts missed of %" PRIu64 ", %" PRIu64 " late, %" PRIu64 " empty",
          sum->missed, sum->interrupts, sum->late, sum->spurious);
}

static void close_counted(bool broken)
{
    struct nvme_counters sum;
    bool closed;

    storage_hart_stop(&selftest.storage.queues[0]);
    storage_count(&selftest.storage, &sum);
    check_missed(&sum);
    check(sum.stale == 0 && sum.malformed == 0, "%" PRIu64 " stale, %" PRIu64 " malformed",
          sum.stale, sum.malformed);
    closed = storage_close(&selftest.storage);
    check(closed || broken, "storage_close failed");
    check(heap_mark() == selftest.heap_mark, "%zu bytes of heap leaked",
          heap_mark() - selftest.heap_mark);
}

void close_storage(void)
{
    close_counted(false);
}

void close_broken_storage(void)
{
    close_counted(true);
}

bool event_seen(enum nvme_event_kind kind)
{
    for (uint32_t i = 0; i < selftest.storage.controller_count; i++) {
        const struct storage_controller *controller = &selftest.storage.controllers[i];

        for (uint32_t j = 0; j < controller->event_count && j < STORAGE_EVENTS_MAX; j++) {
            if (controller->events[j].kind == kind) {
                return true;
            }
        }
    }
    return false;
}

void *take_pages(size_t size_bytes)
{
    void *pages = heap_take(size_bytes, PAGE_BYTES);

    if (pages == NULL) {
        give_up("out of memory: give the machine more");
    }
    return pages;
}

void *kept_memory(void)
{
    size_t used = heap_mark();
    uint8_t *base = (uint8_t *)heap_take(0, 1) - used;

    return base + ((used + heap_left()) / 2 & ~(size_t)(PAGE_BYTES - 1));
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void request_done(void *arg, struct nvme_result result)
{
    struct request *request = arg;

    request->result = result;
    request->ends++;
}

struct nvme_callback request_callback(struct request *request)
{
    return (struct nvme_callback){request_done, request};
}

uint64_t patience_spend(struct patience *patience)
{
    uint64_t now_ns = time_now_ns();
    uint64_t gap_ns = patience->look_ns != 0 ? now_ns - patience->look_ns : 0;

    patience->spent_ns += gap_ns < LOOK_GAP_NS ? gap_ns : LOOK_GAP_NS;
    patience->look_ns = now_ns;
    return patience->spent_ns;
}

void wait_count(struct storage_queue *queue, const volatile uint32_t *count, uint32_t target)
{
    struct patience patience = {0};
    uint32_t seen = *count;
    uint64_t saved = irq_save(); /* from the look to the sleep no interrupt may come */

    while (*count < target) {
        storage_wait(queue, NVME_WAIT_BLOCKED);
        if (*count != seen) {
            seen = *count;
            patience = (struct patience){0};
        } else if (patience_spend(&patience) > WAIT_LIMIT_NS) {
            give_up("a request did not end");
        }
    }
    irq_restore(saved);
}

struct request run_io(struct storage_queue *queue, struct nvme_io io)
{
    struct request request = {0};
    uint32_t posted;

    io.callback = request_callback(&request);
    request.result.error = nvme_post_many(queue->engine, queue->ns, &io, 1, &posted);
    if (request.result.error == NVME_OK) {
        nvme_queue_submit(queue->engine);
        wait_count(queue, &request.ends, 1);
    }
    return request;
}

bool transfer(struct storage_queue *queue, uint8_t opcode, uint64_t lba, uint32_t blocks,
              void *buffer)
{
    struct nvme_io io = {.opcode = opcode, .lba = lba, .block_count = blocks, .buffer = buffer};
    struct request request = run_io(queue, io);
    uint32_t bytes = blocks << queue->ns->block_shift;

    return check(request.ends == 1 && request.result.error == NVME_OK &&
                     request.result.bytes_done == bytes,
                 "opcode %u lba %" PRIu64 " blocks %" PRIu32 ": %s, status %x, %" PRIu32
                 " bytes, ended %" PRIu32 " times",
                 opcode, lba, blocks, nvme_error_text(request.result.error), request.result.status,
                 request.result.bytes_done, request.ends);
}

/* ---- Patterns ----------------------------------------------------------------------------- */

static uint32_t pattern_word(uint32_t key, size_t index)
{
    return (key + (uint32_t)index) * UINT32_C(2654435761);
}

void pattern_fill(void *buffer, size_t size_bytes, uint32_t key)
{
    uint32_t *words = buffer;

    for (size_t i = 0; i < size_bytes / sizeof(*words); i++) {
        words[i] = pattern_word(key, i);
    }
}

size_t pattern_check(const void *buffer, size_t size_bytes, uint32_t key)
{
    const uint32_t *words = buffer;

    for (size_t i = 0; i < size_bytes / sizeof(*words); i++) {
        if (words[i] != pattern_word(key, i)) {
            return i * sizeof(*words);
        }
    }
    return size_bytes;
}

struct guarded guarded_make(void *arena, uint32_t offset, size_t bytes)
{
    struct guarded guarded = {(uint8_t *)arena + PAGE_BYTES + offset, bytes};

    pattern_fill(guarded.data - PAGE_BYTES, bytes + (size_t)2 * PAGE_BYTES, GUARD_KEY);
    return guarded;
}

bool guarded_intact(const struct guarded *guarded)
{
    const uint8_t *end = guarded->data + guarded->bytes;
    size_t skipped = (PAGE_BYTES + guarded->bytes) / sizeof(uint32_t);

    return pattern_check(guarded->data - PAGE_BYTES, PAGE_BYTES, GUARD_KEY) == PAGE_BYTES &&
           pattern_check(end, PAGE_BYTES, GUARD_KEY + (uint32_t)skipped) == PAGE_BYTES;
}
