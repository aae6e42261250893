// SPDX-License-Identifier: MIT
/* Several queues at once, one per hart or all on one, each on its own region of the backing. */
#include <inttypes.h>
#include <stdio.h>

#include "crew.h"
#include "harts.h"
#include "irq.h"
#include "selftest.h"
#include "timer.h"
#include "wired.h"

/* Requests in flight, and entries enough for all their parts where MDTS splits them. */
enum { DEPTH = 32, DEPTH_ENTRIES = DEPTH * WORKLOAD_SPAN_MAX + 1, REQUESTS = 600 };

static void test_shadow(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH_ENTRIES};

    if (!open_storage(&config)) {
        return;
    }
    crew_run(&(struct crew){.depth = DEPTH, .requests = REQUESTS});
    close_storage();
}

/* ---- Buffers on stacks -------------------------------------------------------------------- */

enum { STACK_BYTES = 3 * PAGE_BYTES, STACK_ARENA_BYTES = STACK_BYTES + 3 * PAGE_BYTES };

/* Written from the stack, read into `pages` and into the stack again, at another place. */
static void stack_trip(struct storage_queue *queue, uint64_t lba, uint32_t offset, uint8_t *pages)
{
    uint8_t arena[STACK_ARENA_BYTES] __attribute__((aligned(8)));
    struct guarded buffer = guarded_make(arena, offset, STACK_BYTES);
    uint32_t blocks = STACK_BYTES >> queue->ns->block_shift;
    uint32_t key = (uint32_t)lba;

    pattern_fill(buffer.data, STACK_BYTES, key);
    pattern_fill(pages, STACK_BYTES, ~key);
    transfer(queue, NVME_CMD_WRITE, lba, blocks, buffer.data);
    transfer(queue, NVME_CMD_READ, lba, blocks, pages);
    check(pattern_check(pages, STACK_BYTES, key) == STACK_BYTES,
          "stack + %" PRIu32 ": another was written from byte %zu on", offset,
          pattern_check(pages, STACK_BYTES, key));
    buffer = guarded_make(arena, (offset + 516) % PAGE_BYTES, STACK_BYTES);
    transfer(queue, NVME_CMD_READ, lba, blocks, buffer.data);
    check(pattern_check(buffer.data, STACK_BYTES, key) == STACK_BYTES && guarded_intact(&buffer),
          "stack + %" PRIu32 ": another was read from byte %zu on", offset,
          pattern_check(buffer.data, STACK_BYTES, key));
}

static void use_stack(void *arg, unsigned index)
{
    static const uint32_t offsets[] = {0, 4, 2044, 4092};
    struct storage_queue *queue = &selftest.storage.queues[index];
    uint8_t *pages = (uint8_t *)arg + (size_t)index * STACK_BYTES;

    if (index != 0) {
        storage_hart_start(queue);
    }
    for (uint32_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        stack_trip(queue, 100 * (uint64_t)index + 24 * (uint64_t)i, offsets[i], pages);
    }
    if (index != 0) {
        storage_hart_stop(queue);
    }
}

/* Each hart has its stack for a buffer, which begins at any place of a page and crosses others. */
static void test_stacks(void)
{
    struct storage_config config = {.harts = test_harts()};

    if (!open_storage(&config)) {
        return;
    }
    check(harts_run(selftest.storage.queue_count, use_stack,
                    take_pages((size_t)selftest.storage.queue_count * STACK_BYTES)),
          "harts did not run");
    close_storage();
}

/* Fewer queues granted than wanted: fewer harts do the work, and it is said. */
static void test_granted(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = 5};

    if (!open_storage(&config)) {
        return;
    }
    if (selftest.storage.queue_count == config.harts) {
        skip("all queues were granted");
    } else {
        check(event_seen(NVME_EVENT_QUEUES_REDUCED), "no event");
        check(selftest.storage.queue_count != 0, "no queue at all");
        crew_run(&(struct crew){.depth = 4, .requests = 100});
    }
    close_storage();
}

/* ---- Several controllers, one hart -------------------------------------------------------- */

/*
 * With several lines on one hart its controller serves the lowest source first: under load the
 * others wait, pending, for longer than a period. They are not missed, so the watchdog looks later.
 */
static void watch_all(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        const struct storage_queue *queue = &selftest.storage.queues[i];

        struct machine_interrupt irq = queue->controller->function->irq;

        if (!wired_usable(irq) || !wired_pending(irq)) {
            nvme_queue_watchdog(queue->engine, time_now_ns());
        }
    }
}

static bool any_in_flight(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        sum += crew_member(i)->in_flight;
    }
    return sum != 0;
}

static uint64_t sum_ended(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        sum += crew_member(i)->ended;
    }
    return sum;
}

/* True if every queue may sleep. In hybrid mode one that may not is reaped by its owner. */
static bool arm_all(void)
{
    bool asleep = true;

    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        struct nvme_queue *queue = selftest.storage.queues[i].engine;

        if (!nvme_queue_arm(queue, NVME_WAIT_BLOCKED)) {
            asleep = false;
            if (selftest.mode == NVME_MODE_HYBRID) {
                nvme_queue_reap(queue, DEPTH_ENTRIES);
            }
        }
    }
    return asleep;
}

/* As storage_wait() with interrupts off, for every queue of the storage at once. */
static void wait_all(void)
{
    if (!test_interrupts()) {
        for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
            storage_wait(&selftest.storage.queues[i], NVME_WAIT_BLOCKED);
        }
        return;
    }
    if (arm_all()) {
        hart_wait();
    }
    irq_enable();
    irq_disable();
}

/* Runs workloads on every queue of the storage from hart 0. */
static void run_spread(uint32_t depth, uint64_t requests, uint64_t runtime_ns)
{
    uint32_t count = selftest.storage.queue_count;
    struct patience patience = {0};
    uint64_t seen = 0;

    for (uint32_t i = 0; i < count; i++) {
        workload_init(crew_member(i), &selftest.storage.queues[i], i, depth);
        crew_member(i)->to_post = requests;
        crew_member(i)->end_ns = runtime_ns != 0 ? time_now_ns() + runtime_ns : 0;
    }
    if (test_interrupts()) {
        timer_start(NVME_WATCHDOG_PERIOD_NS, watch_all, NULL);
    }
    for (uint32_t i = 0; i < count; i++) {
        workload_start(crew_member(i));
    }
    irq_disable();
    while (any_in_flight()) {
        wait_all();
        if (sum_ended() != seen) {
            seen = sum_ended();
            patience = (struct patience){0};
        } else if (patience_spend(&patience) > WAIT_LIMIT_NS) {
            give_up("workloads stand still");
        }
    }
    irq_enable();
    for (uint32_t i = 0; i < count; i++) {
        workload_check(crew_member(i));
    }
}

/* Every controller of the machine, driven by one hart, several queues on each. */
static void test_one_hart(void)
{
    struct storage_config config = {
        .harts = STORAGE_CONTROLLERS_MAX, .depth_entries = DEPTH_ENTRIES, .spread = true};

    if (!open_storage(&config)) {
        return;
    }
    run_spread(DEPTH, REQUESTS, 0);
    close_storage();
}

/* Two controllers on one interrupt line, under load: nothing is lost on either. */
static void test_shared_line(void)
{
    struct storage_config config = {.harts = 2, .depth_entries = DEPTH_ENTRIES, .spread = true};
    struct nvme_counters one, two;

    if (!open_storage(&config)) {
        return;
    }
    if (!check(selftest.storage.controller_count == 2 && selftest.storage.line_count == 1,
               "%" PRIu32 " controllers on %zu lines", selftest.storage.controller_count,
               selftest.storage.line_count)) {
        close_storage();
        return;
    }
    run_spread(DEPTH, UINT64_MAX, selftest.runtime_ns);
    nvme_queue_count(selftest.storage.queues[0].engine, &one);
    nvme_queue_count(selftest.storage.queues[1].engine, &two);
    printf("note shared line: %" PRIu64 " + %" PRIu64 " requests, %" PRIu64 " interrupts, %" PRIu64
           " empty, late %" PRIu64 ", missed %" PRIu64 "\n",
           one.completions, two.completions, one.interrupts, one.spurious, one.late + two.late,
           one.missed + two.missed);
    close_storage();
}

/* The rings have wrapped, if their size was asked for. */
static bool has_wrapped(const struct workload *workload)
{
    return workload->ended > selftest.entries;
}

/*
 * Queue depth 32, each completion posted again by itself, for as long as `runtime` says, and until
 * each queue's rings of `entries` have wrapped.
 */
static void test_soak(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH_ENTRIES};
    struct nvme_counters sum;

    if (selftest.entries != 0) {
        config.depth_entries = (uint32_t)selftest.entries;
    }
    if (!open_storage(&config)) {
        return;
    }
    crew_run(
        &(struct crew){.depth = DEPTH, .runtime_ns = selftest.runtime_ns, .enough = has_wrapped});
    storage_count(&selftest.storage, &sum);
    printf("note soak: %" PRIu64 " requests, %" PRIu64 " doorbells, %" PRIu64
           " interrupts, %" PRIu64 " empty, late %" PRIu64 ", missed %" PRIu64 "\n",
           sum.completions, sum.sq_doorbells, sum.interrupts, sum.spurious, sum.late, sum.missed);
    close_storage();
}

const struct test hart_tests[] = {
    {"harts.shadow", test_shadow, MODE_ALL, 0},
    {"harts.stacks", test_stacks, MODE_ALL, 0},
    {"harts.one-hart", test_one_hart, MODE_ALL, 0},
    {"granted", test_granted, MODE_ALL, WANTS_NAMED},
    {"shared-line", test_shared_line, MODE_SLEEP, WANTS_NAMED | WANTS_LINE},
    {"soak", test_soak, MODE_ALL, WANTS_NAMED},
    {NULL, NULL, 0, 0},
};
