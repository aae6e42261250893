// SPDX-License-Identifier: MIT
/* Interrupt mode: sleep that ends by the interrupt alone, the storm bound, spurious interrupts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "irq.h"
#include "machine.h"
#include "selftest.h"
#include "start.h"
#include "timer.h"

enum { READS = 500, OVERSLEEP_READS = 1000, DEPTH = 16, QUIET_TICKS = 10, FEW_WAKES = 2 };
#define RESCUE_NS (NS_PER_S / 4) /* between two looks for a lost wake-up */

/* Written in ticks of hart 0. */
static struct {
    uint32_t count;
    uint64_t interrupts; /* at the last tick */
    bool ready;          /* at the last tick */
} rescue;

/*
 * An entry that is ready at two ticks with no interrupt between has lost its own. Only QEMU's IMSIC
 * loses messages (imsic.h): the watchdog finds them. Else reaped here, or nothing would move again.
 */
static void look_for_lost(void *arg)
{
    struct storage_queue *queue = arg;
    bool ready = !nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED);
    struct nvme_counters counters;

    nvme_queue_count(queue->engine, &counters);
    if (ready && rescue.ready && counters.interrupts == rescue.interrupts) {
        rescue.count++;
        nvme_queue_reap(queue->engine, DEPTH);
    }
    if (queue->vector != 0) {
        nvme_queue_watchdog(queue->engine, time_now_ns());
    }
    rescue.ready = ready;
    rescue.interrupts = counters.interrupts;
}

/* One read at a time with no watchdog: only the interrupt ends the sleep. */
static void test_wake(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    uint64_t start_ns, idle_ns, longest_ns = 0;
    struct nvme_counters counters;
    uint8_t *buffer;

    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages(PAGE_BYTES);
    memset(&rescue, 0, sizeof(rescue));
    timer_start(RESCUE_NS, look_for_lost, queue);
    idle_ns = hart_idle_ns(0);
    start_ns = time_now_ns();
    for (uint32_t i = 0; i < READS; i++) {
        uint64_t before_ns = time_now_ns();

        transfer(queue, NVME_CMD_READ, i, 1, buffer);
        longest_ns =
            time_now_ns() - before_ns > longest_ns ? time_now_ns() - before_ns : longest_ns;
    }
    start_ns = time_now_ns() - start_ns;
    idle_ns = hart_idle_ns(0) - idle_ns;
    nvme_queue_count(queue->engine, &counters);
    printf("note wake: %d reads, %" PRIu64 " us, idle %" PRIu64 " us, longest %" PRIu64
           " us, %" PRIu64 " interrupts, %" PRIu64 " empty\n",
           READS, start_ns / 1000, idle_ns / 1000, longest_ns / 1000, counters.interrupts,
           counters.spurious);
    check(rescue.count == 0 || queue->vector != 0, "%" PRIu32 " sleeps ended by the timer only",
          rescue.count);
    /* That it sleeps at all is for interrupt.quiet: on a busy host the device may be first. */
    check(idle_ns < start_ns, "idle %" PRIu64 " ns of %" PRIu64, idle_ns, start_ns);
    check(counters.completions == READS, "%" PRIu64 " completions", counters.completions);
    check(counters.interrupts != 0 && counters.interrupts - counters.spurious <= READS,
          "%" PRIu64 " interrupts, %" PRIu64 " empty", counters.interrupts, counters.spurious);
    close_storage();
}

/* ---- A request that has ended before the sleep -------------------------------------------- */

struct stamped {
    volatile uint32_t ends;
    uint64_t idle_ns; /* of this hart when it ended */
};

static void stamp_done(void *arg, struct nvme_result result)
{
    struct stamped *stamped = arg;

    check(result.error == NVME_OK, "read: %s", nvme_error_text(result.error));
    stamped->idle_ns = hart_idle_ns(0);
    stamped->ends++;
}

/*
 * The interrupt may come between the last look at what is waited for and the sleep; then there must
 * be no sleep. Idle time is booked when a sleep ends, so any that is booked after the callback is
 * time slept for nothing.
 */
static void test_oversleep(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    uint32_t overslept = 0;
    uint8_t *buffer;

    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages(PAGE_BYTES);
    for (uint32_t i = 0; i < OVERSLEEP_READS; i++) {
        struct stamped stamped = {0};

        check(nvme_read(queue->engine, queue->ns, i % 1000, 1, buffer,
                        (struct nvme_callback){stamp_done, &stamped}) == NVME_OK,
              "post");
        nvme_queue_submit(queue->engine);
        wait_count(queue, &stamped.ends, 1);
        overslept += hart_idle_ns(0) != stamped.idle_ns;
    }
    check(overslept == 0, "slept on after the end of %" PRIu32 " reads of %d", overslept,
          OVERSLEEP_READS);
    close_storage();
}

/* ---- Nothing to do ------------------------------------------------------------------------ */

static volatile uint64_t tick_ns[2]; /* the last tick's time, and the longest gap */
static volatile uint32_t ticks;

static void tick(void *arg)
{
    uint64_t now_ns = time_now_ns();
    struct storage_queue *queue = arg;

    nvme_queue_watchdog(queue->engine, now_ns);
    if (tick_ns[0] != 0 && now_ns - tick_ns[0] > tick_ns[1]) {
        tick_ns[1] = now_ns - tick_ns[0];
    }
    tick_ns[0] = now_ns;
    ticks++;
}

/* A sleeping hart with nothing to wait for is woken by the watchdog's tick and by nothing else. */
static void test_quiet(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct nvme_counters before, after;
    uint32_t wakes = 0;
    uint64_t idle_ns;

    if (!open_storage(&config)) {
        return;
    }
    tick_ns[0] = tick_ns[1] = 0;
    ticks = 0;
    timer_start(NVME_WATCHDOG_PERIOD_NS, tick, queue);
    nvme_queue_count(queue->engine, &before);
    idle_ns = hart_idle_ns(0);
    irq_disable();
    while (ticks < QUIET_TICKS) {
        storage_wait(queue, NVME_WAIT_IDLE);
        wakes++;
    }
    irq_enable();
    idle_ns = hart_idle_ns(0) - idle_ns;
    nvme_queue_count(queue->engine, &after);
    printf("note quiet: idle %" PRIu64 " us, %" PRIu32
           " wakes in %d ticks, longest gap of ticks %" PRIu64 " us\n",
           idle_ns / 1000, wakes, QUIET_TICKS, tick_ns[1] / 1000);
    check(idle_ns != 0 && wakes <= QUIET_TICKS + FEW_WAKES, "%" PRIu32 " wakes in %d ticks", wakes,
          QUIET_TICKS);
    check(after.interrupts - before.interrupts <= 1, "%" PRIu64 " interrupts of a quiet device",
          after.interrupts - before.interrupts);
    close_storage();
}

/* ---- Storm -------------------------------------------------------------------------------- */

static void interrupt_for_nothing(uint32_t count)
{
    struct nvme_controller *controller = selftest.storage.controllers[0].engine;
    const struct storage_queue *queue = &selftest.storage.queues[0];

    for (uint32_t i = 0; i < count; i++) {
        uint64_t saved = irq_save();
        uint32_t found = queue->vector != 0 ? nvme_vector_handle(queue->engine)
                                            : nvme_irq_handle(&controller, 1);

        check(found == 0, "a completion out of nothing");
        irq_restore(saved);
    }
}

/*
 * Empty interrupts up to the bound are no storm, and a completion begins the count anew. At the
 * bound the line or the vector is masked for a while, it is said, and the queue goes on by polling.
 */
static void test_storm(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct nvme_counters before, after;
    uint8_t *buffer;

    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages(PAGE_BYTES);
    for (uint32_t i = 0; i < 3; i++) {
        /* An interrupt of the line may still come for what was done before: leave room for some. */
        interrupt_for_nothing(NVME_STORM_INTERRUPTS - 8);
        check(nvme_queue_mode(queue->engine) == NVME_MODE_INTERRUPT, "masked too early");
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
    }
    /* The first behind a completion may have been for it. */
    interrupt_for_nothing(NVME_STORM_INTERRUPTS + 1);
    check(nvme_queue_mode(queue->engine) == NVME_MODE_POLL, "not masked at the bound");
    check(event_seen(NVME_EVENT_INTERRUPT_STORM), "not said");
    nvme_queue_count(queue->engine, &before);
    for (uint32_t i = 0; i < 100; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
    }
    nvme_queue_count(queue->engine, &after);
    check(after.interrupts == before.interrupts || event_seen(NVME_EVENT_STORM_OVER),
          "%" PRIu64 " interrupts of a masked line", after.interrupts - before.interrupts);
    check(after.completions - before.completions == 100, "not all reads ended");
    close_storage();
}

/* The owner reaps with interrupts off, so they find nothing: no storm, the queue progresses. */
static void test_forestalled(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    const struct machine_interrupt *irq;
    struct nvme_counters counters;
    uint8_t *buffer;

    if (!open_storage(&config)) {
        return;
    }
    irq = &queue->controller->function->irq;
    buffer = take_pages(PAGE_BYTES);
    for (uint32_t i = 0; i < 4 * NVME_STORM_INTERRUPTS; i++) {
        struct request request = {0};
        struct patience patience = {0};
        uint64_t saved = irq_save();

        check(nvme_read(queue->engine, queue->ns, i, 1, buffer, request_callback(&request)) ==
                  NVME_OK,
              "post");
        nvme_queue_submit(queue->engine);
        while (request.ends == 0) {
            nvme_queue_reap(queue->engine, 1);
            if (patience_spend(&patience) > WAIT_LIMIT_NS) {
                give_up("a read does not end");
            }
        }
        irq_restore(saved);
    }
    nvme_queue_count(queue->engine, &counters);
    printf("note forestalled: %" PRIu64 " interrupts, %" PRIu64 " empty\n", counters.interrupts,
           counters.spurious);
    /* An APLIC forgets an interrupt whose line has fallen. */
    check(counters.spurious >= 2 * NVME_STORM_INTERRUPTS ||
              (queue->vector == 0 && machine_get()->wired[irq->wired].kind == MACHINE_APLIC),
          "only %" PRIu64 " interrupts found nothing", counters.spurious);
    check(!event_seen(NVME_EVENT_INTERRUPT_STORM), "taken for a storm");
    check(nvme_queue_closed(queue->engine) == 0, "closed: %s",
          nvme_closed_text(nvme_queue_closed(queue->engine)));
    close_storage();
}

/* ---- The order of traps ------------------------------------------------------------------- */

enum { ORDER_QUEUES = 4 };

static struct request ordered[ORDER_QUEUES];

/* In the IPI: how many requests have ended by then. */
static struct {
    volatile uint32_t calls;
    uint32_t ended;
} ipi;

static void count_ended(void *arg)
{
    const uint32_t *count = arg;

    for (uint32_t i = 0; ipi.calls == 0 && i < *count; i++) {
        ipi.ended += ordered[i].ends;
    }
    ipi.calls++;
}

static bool is_pending(const struct storage_queue *queue)
{
    return !nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED) &&
           (pci_config_read16(queue->controller->function, PCI_STATUS) & PCI_STATUS_INTERRUPT) != 0;
}

/* The lines of all controllers are up, and an IPI is pending too: it is handled last. */
static void test_order(void)
{
    struct storage_config config = {.depth_entries = DEPTH, .harts = ORDER_QUEUES, .spread = true};
    const struct storage *storage = &selftest.storage;
    struct patience patience = {0};
    uint32_t count;
    uint8_t *buffer;

    if (!open_storage(&config)) {
        return;
    }
    count = storage->queue_count < ORDER_QUEUES ? storage->queue_count : ORDER_QUEUES;
    buffer = take_pages(PAGE_BYTES);
    memset(ordered, 0, sizeof(ordered));
    memset((void *)&ipi, 0, sizeof(ipi));
    irq_disable();
    for (uint32_t i = 0; i < count; i++) {
        const struct storage_queue *queue = &storage->queues[i];

        check(nvme_read(queue->engine, queue->ns, i, 1, buffer, request_callback(&ordered[i])) ==
                  NVME_OK,
              "queue %" PRIu32 ": post", i);
        nvme_queue_submit(queue->engine);
        while (!is_pending(queue) &&
               check(patience_spend(&patience) < WAIT_LIMIT_NS, "no interrupt is pending")) {
        }
    }
    hart_attach_ipi(count_ended, &count);
    hart_send_ipi(0);
    irq_enable();
    patience = (struct patience){0};
    while (ipi.calls == 0 && check(patience_spend(&patience) < WAIT_LIMIT_NS, "no IPI came")) {
    }
    check(ipi.ended == count, "%" PRIu32 " of %" PRIu32 " requests had ended before the IPI",
          ipi.ended, count);
    close_storage();
}

const struct test interrupt_tests[] = {
    {"interrupt.wake", test_wake, MODE_IRQ, 0},
    {"interrupt.oversleep", test_oversleep, MODE_IRQ, 0},
    {"interrupt.quiet", test_quiet, MODE_SLEEP, 0},
    {"interrupt.storm", test_storm, MODE_IRQ, 0},
    {"interrupt.forestalled", test_forestalled, MODE_IRQ, 0},
    {"interrupt.order", test_order, MODE_IRQ, WANTS_LINE},
    {NULL, NULL, 0, 0},
};
