// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer: every request ends once, on its owner's hart, with a reason; nothing
 * hangs, and the device can be opened again. QEMU finishes what it has begun when it is disabled,
 * so requests of a slow backing end well at that moment; those it never heard of time out.
 */
#include <inttypes.h>
#include <stdio.h>

#include "harts.h"
#include "irq.h"
#include "selftest.h"
#include "timer.h"

enum { REQUESTS = 24, HARTS_MAX = 16 };
#define DEADLINE_NS NS_PER_S
#define LATEST_NS (8 * NS_PER_S) /* of patience: the deadline, its scan, the reset */

/* One hart's requests. `stray` counts callbacks on another hart. */
static struct batch {
    struct request requests[REQUESTS];
    uint8_t *buffer;
    volatile uint32_t ended;
    uint32_t stray;
    uint32_t timeouts;
    uint64_t end_ns; /* all have ended */
} batches[HARTS_MAX];

/* Before the first post of any hart, which may end the requests of all on its controller. */
static uint64_t begin_ns;

struct member {
    struct batch *batch;
    uint32_t index;
};

static struct member members[HARTS_MAX][REQUESTS];

static void member_done(void *arg, struct nvme_result result)
{
    struct member *member = arg;
    struct batch *batch = member->batch;

    batch->requests[member->index].ends++;
    batch->requests[member->index].result = result;
    batch->stray += batch != &batches[hart_index()];
    batch->ended++;
}

static void wait_ends(struct storage_queue *queue, const struct batch *batch)
{
    struct patience patience = {0};
    uint64_t saved = irq_save(); /* from the look to the sleep no interrupt may come */

    while (batch->ended < REQUESTS) {
        storage_wait(queue, NVME_WAIT_BLOCKED);
        if (patience_spend(&patience) > LATEST_NS) {
            give_up("requests outlive their deadline");
        }
    }
    irq_restore(saved);
}

/* Posts everything behind one doorbell and waits until all have ended. */
static void run_batch(void *arg, unsigned index)
{
    struct storage_queue *queue = &selftest.storage.queues[index];
    struct batch *batch = &batches[index];

    (void)arg;
    if (index != 0) {
        storage_hart_start(queue);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        members[index][i] = (struct member){batch, i};
        check(nvme_read(queue->engine, queue->ns, i, 1, batch->buffer + (size_t)i * PAGE_BYTES,
                        (struct nvme_callback){member_done, &members[index][i]}) == NVME_OK,
              "hart %u post %" PRIu32, index, i);
    }
    nvme_queue_submit(queue->engine);
    wait_ends(queue, batch);
    batch->end_ns = time_now_ns();
    if (index != 0) {
        storage_hart_stop(queue);
    }
}

static void check_batch(struct batch *batch)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        enum nvme_error error = batch->requests[i].result.error;

        check(batch->requests[i].ends == 1 && (error == NVME_OK || error == NVME_ERR_TIMEOUT),
              "request %" PRIu32 " ended %" PRIu32 " times: %s", i, batch->requests[i].ends,
              nvme_error_text(error));
        batch->timeouts += error == NVME_ERR_TIMEOUT;
    }
    check(batch->stray == 0, "%" PRIu32 " callbacks on another hart", batch->stray);
    check(batch->end_ns - begin_ns >= DEADLINE_NS, "ended after %" PRIu64 " ms",
          (batch->end_ns - begin_ns) / NS_PER_MS);
}

/* Until the controllers have stopped: the requests may end before that. */
static void wait_disabled(void)
{
    struct patience patience = {0};

    irq_disable();
    while (!event_seen(NVME_EVENT_DISABLED) && patience_spend(&patience) < WAIT_LIMIT_NS) {
        storage_wait(&selftest.storage.queues[0], NVME_WAIT_BLOCKED);
    }
    irq_enable();
    check(event_seen(NVME_EVENT_COMMAND_TIMEOUT), "the time-out is not said");
    check(event_seen(NVME_EVENT_DISABLED), "the disabling is not said");
}

static bool begin(uint32_t harts_wanted)
{
    struct storage_config config = {
        .harts = harts_wanted, .depth_entries = REQUESTS + 1, .timeout_ns = DEADLINE_NS};

    if (!open_storage(&config)) {
        return false;
    }
    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        batches[i] = (struct batch){.buffer = take_pages((size_t)REQUESTS * PAGE_BYTES)};
    }
    begin_ns = time_now_ns();
    return true;
}

/* What must hold of every device afterwards: a flush on a newly opened controller. */
static void end(void)
{
    struct storage_config config = {.harts = selftest.storage.queue_count, .depth_entries = 8};
    struct nvme_io flush = {.opcode = NVME_CMD_FLUSH};
    struct request request;

    wait_disabled();
    close_broken_storage();
    if (open_storage(&config)) {
        request = run_io(&selftest.storage.queues[0], flush);
        check(request.result.error == NVME_OK, "a flush afterwards: %s",
              nvme_error_text(request.result.error));
        close_storage();
    }
}

static void stop_controllers(void)
{
    for (uint32_t i = 0; i < selftest.storage.controller_count; i++) {
        uint64_t base = selftest.storage.controllers[i].function->bars[0].base;

        *(volatile uint32_t *)(uintptr_t)(base + NVME_REG_CC) = 0;
    }
}

/* Controllers that are switched off behind the engine's back: doorbells fall into the void. */
static void test_dead(void)
{
    uint32_t count;

    if (!begin(test_harts())) {
        return;
    }
    stop_controllers();
    count = selftest.storage.queue_count;
    check(harts_run(count, run_batch, NULL), "harts did not run");
    for (uint32_t i = 0; i < count; i++) {
        check_batch(&batches[i]);
        check(batches[i].timeouts == REQUESTS, "%" PRIu32 " time-outs", batches[i].timeouts);
    }
    end();
}

/* A backing far slower than the deadline. Wants a throttled backing. */
static void test_slow(void)
{
    if (!begin(1)) {
        return;
    }
    run_batch(NULL, 0);
    check_batch(&batches[0]);
    printf("note slow: %" PRIu32 " of %d timed out, after %" PRIu64 " ms\n", batches[0].timeouts,
           REQUESTS, (batches[0].end_ns - begin_ns) / NS_PER_MS);
    end();
}

const struct test timeout_tests[] = {
    {"dead", test_dead, MODE_ALL, WANTS_NAMED},
    {"slow", test_slow, MODE_BOTH, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
