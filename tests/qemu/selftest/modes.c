// SPDX-License-Identifier: MIT
/*
 * Modes that change under load, in all directions: no request is lost, none ends twice, no
 * interrupt is missed. Whoever may change a mode does: each owner its own queue's, the IRQ hart
 * those of its line.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "crew.h"
#include "harts.h"
#include "selftest.h"
#include "timer.h"

enum {
    DEPTH = 8, /* few enough that owners sleep now and then */
    DEPTH_ENTRIES = DEPTH * WORKLOAD_SPAN_MAX + 1,
    TURNS_PER_CHANGE = 5,
    MODES = 3,
    READS = 40,
    TOLD_MIN = READS / 2,   /* interrupts that are waited for */
    READS_MAX = 10 * READS, /* until then: a busy host lets the watchdog be first at some */
    TURNS = 6,
    CHANGES_MIN = 3,
    CHANGES_PER_HOLD = 17, /* no multiple of 2 or 3: every mode is held now and then */
};
#define HOLD_NS                                                                                    \
    (30 * NS_PER_MS) /* long enough for the watchdog to find what an interrupt did not tell */

static atomic_uint changes, turns;
static atomic_uint_fast64_t hold_until_ns;

/* The next mode for one of the queues, if it is this hart's to decide. */
static void change(void)
{
    unsigned number = atomic_fetch_add(&turns, 1);
    uint32_t index = number / TURNS_PER_CHANGE % selftest.storage.queue_count;
    struct storage_queue *queue = &selftest.storage.queues[index];
    const struct storage_controller *controller = queue->controller;
    uint32_t decides = controller->shared ? controller->irq_hart : queue->hart;
    /* Hybrid mode, the last one, is interrupt mode on a shared line. */
    uint32_t modes = controller->shared ? MODES - 1 : MODES;
    enum nvme_mode next = (nvme_queue_mode(queue->engine) + 1) % modes;
    enum nvme_error error;

    if (number % TURNS_PER_CHANGE != 0 || decides != hart_index() ||
        time_now_ns() < atomic_load(&hold_until_ns)) {
        return;
    }
    error = nvme_queue_set_mode(queue->engine, next);
    check(error == NVME_OK, "mode %d of queue %" PRIu32 ": %s", (int)next, index,
          nvme_error_text(error));
    check(nvme_queue_mode(queue->engine) == next, "queue %" PRIu32 " is in another mode", index);
    if (atomic_fetch_add(&changes, 1) % CHANGES_PER_HOLD == CHANGES_PER_HOLD - 1) {
        atomic_store(&hold_until_ns, time_now_ns() + HOLD_NS);
    }
}

static void change_hook(struct workload *workload)
{
    (void)workload;
    change();
}

static bool has_changed(const struct workload *workload)
{
    (void)workload;
    return atomic_load(&changes) >= CHANGES_MIN;
}

static void run(struct crew crew)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH_ENTRIES};
    struct nvme_counters sum;

    selftest.mode = NVME_MODE_INTERRUPT;
    if (!open_storage(&config)) {
        return;
    }
    atomic_store(&changes, 0);
    atomic_store(&turns, 0);
    atomic_store(&hold_until_ns, 0);
    crew.depth = DEPTH;
    crew.runtime_ns = selftest.runtime_ns;
    crew.enough = has_changed;
    crew_run(&crew);
    storage_count(&selftest.storage, &sum);
    printf("note modes: %s, %" PRIu64 " requests, %u changes, %" PRIu64 " interrupts, late %" PRIu64
           ", missed %" PRIu64 "\n",
           selftest.storage.delivery, sum.completions, atomic_load(&changes), sum.interrupts,
           sum.late, sum.missed);
    check(atomic_load(&changes) >= CHANGES_MIN, "%u changes", atomic_load(&changes));
    close_storage();
}

static void test_thread(void)
{
    run((struct crew){.turn = change_hook, .linger = true});
}

static void test_done(void)
{
    run((struct crew){.done = change_hook});
}

/* ---- What a mode does --------------------------------------------------------------------- */

/* On a shared line its owner answers IPIs from now on. */
static void come_by(void *arg, unsigned index)
{
    (void)arg;
    if (index != 0) {
        storage_hart_start(&selftest.storage.queues[index]);
        storage_hart_stop(&selftest.storage.queues[index]);
    }
}

/* Interrupts of some reads, one at a time, until `enough` have come. */
static uint64_t count_reads(struct storage_queue *queue, uint8_t *buffer, uint32_t reads,
                            uint64_t enough)
{
    struct nvme_counters before, after;

    nvme_queue_count(queue->engine, &before);
    after = before;
    for (uint32_t i = 0; i < reads && after.interrupts - before.interrupts < enough; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
        nvme_queue_count(queue->engine, &after);
    }
    return after.interrupts - before.interrupts;
}

/*
 * A polled source is silent, from an opened one comes what is due. On a line of one owner, on a
 * vector, and on a line of several, with one at work.
 */
static void run_counted(uint32_t owners)
{
    struct storage_config config = {
        .harts = owners, .depth_entries = DEPTH_ENTRIES, .controllers_max = 1};
    struct storage_queue *queue = &selftest.storage.queues[0];
    uint8_t *buffer;

    selftest.mode = NVME_MODE_INTERRUPT;
    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages(PAGE_BYTES);
    check(harts_run(owners, come_by, NULL), "harts did not run");
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        enum nvme_mode before = turn % 2 == 0 ? NVME_MODE_POLL : NVME_MODE_HYBRID;
        uint64_t told;

        check(nvme_queue_set_mode(queue->engine, before) == NVME_OK, "mode %d", (int)before);
        told = count_reads(queue, buffer, READS, UINT64_MAX);
        /* One may be pending from before. */
        check(before != NVME_MODE_POLL || told <= 1, "polled, and %" PRIu64 " interrupts", told);
        check(nvme_queue_set_mode(queue->engine, NVME_MODE_INTERRUPT) == NVME_OK, "irq");
        told = count_reads(queue, buffer, READS_MAX, TOLD_MIN);
        check(told >= TOLD_MIN, "%" PRIu64 " interrupts for %d reads after mode %d", told,
              READS_MAX, (int)before);
    }
    close_storage();
}

static void test_counted(void)
{
    run_counted(1);
    if (test_harts() > 1) {
        run_counted(2);
    }
}

/* ---- A hart that starts while its source is polled ---------------------------------------- */

static uint8_t *late_buffer;

static void set_mode(struct storage_queue *queue, enum nvme_mode mode)
{
    const struct storage_controller *controller = queue->controller;
    uint32_t decides = controller->shared ? controller->irq_hart : queue->hart;

    if (decides == hart_index()) {
        check(nvme_queue_set_mode(queue->engine, mode) == NVME_OK, "mode %d", (int)mode);
    }
}

static void poll_last(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    set_mode(&selftest.storage.queues[1], NVME_MODE_POLL);
}

static void start_last(void *arg, unsigned index)
{
    (void)arg;
    if (index == 1) {
        storage_hart_start(&selftest.storage.queues[1]);
        check(hart_self()->ipi_handler != NULL, "a hart with an interrupt queue takes no IPIs");
    }
}

/* Without its part in the cycles of the line, and without a tick, it would sleep for ever. */
static void read_last(void *arg, unsigned index)
{
    struct storage_queue *queue = &selftest.storage.queues[1];

    (void)arg;
    set_mode(queue, NVME_MODE_INTERRUPT);
    if (index == 1 && hart_self()->ipi_handler != NULL) {
        uint64_t told = count_reads(queue, late_buffer, READS_MAX, TOLD_MIN);

        check(told >= TOLD_MIN, "%" PRIu64 " interrupts for %d reads", told, READS_MAX);
        storage_hart_stop(queue);
    }
}

static void test_started_late(void)
{
    struct storage_config config = {
        .harts = 2, .depth_entries = DEPTH_ENTRIES, .controllers_max = 1};

    selftest.mode = NVME_MODE_INTERRUPT;
    if (!open_storage(&config)) {
        return;
    }
    late_buffer = take_pages(PAGE_BYTES);
    check(harts_run(2, poll_last, NULL), "harts did not run");
    check(harts_run(2, start_last, NULL), "harts did not run");
    check(harts_run(2, read_last, NULL), "harts did not run");
    close_storage();
}

const struct test mode_tests[] = {
    {"modes.thread", test_thread, MODE_NONE, 0},
    {"modes.counted", test_counted, MODE_NONE, 0},
    {"modes.done", test_done, MODE_NONE, 0},
    {"modes.started-late", test_started_late, MODE_NONE, WANTS_HARTS},
    {NULL, NULL, 0, 0},
};
