// SPDX-License-Identifier: MIT
/*
 * A handler as drivers often have it - claim, reap, head doorbell, complete - against the engine's
 * own, under the same load. On a PLIC that latches edges the naive one loses an interrupt whenever
 * a completion comes between its last look and its doorbell; the engine's loses none.
 */
#include <inttypes.h>
#include <stdio.h>

#include "irq.h"
#include "selftest.h"
#include "timer.h"
#include "wired.h"
#include "workload.h"

enum { DEPTH = 32, DEPTH_ENTRIES = DEPTH * WORKLOAD_SPAN_MAX + 1, ATTEMPTS_MAX = 40 };

static struct workload workload;

/* Written in traps of hart 0. */
static struct {
    uint64_t interrupts;
    uint64_t lost;   /* entries that stood ready for a whole period with no interrupt in it */
    uint64_t before; /* interrupts at the last tick that found an entry ready */
    bool ready;
} naive;

static void naive_handler(void *arg)
{
    struct storage_queue *queue = arg;

    naive.interrupts++;
    nvme_queue_reap(queue->engine, DEPTH_ENTRIES);
}

/*
 * Stands in for the watchdog, which would hide the loss: an entry that is ready at two ticks with
 * no interrupt between them has lost its interrupt. Served here, or nothing would move again.
 */
static void naive_tick(void *arg)
{
    struct storage_queue *queue = arg;
    bool ready = !nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED);

    if (ready && naive.ready && naive.interrupts == naive.before) {
        naive.lost++;
        nvme_queue_reap(queue->engine, DEPTH_ENTRIES);
        ready = false;
    }
    naive.ready = ready;
    naive.before = naive.interrupts;
}

/* The load, for one runtime, on a queue whose handler is attached. */
static void run(struct storage_queue *queue)
{
    workload.end_ns = time_now_ns() + selftest.runtime_ns;
    workload_start(&workload);
    workload_wait(&workload);
    check(workload.in_flight == 0 && queue->engine != NULL, "requests are left");
}

static void attach_naive(struct storage_queue *queue)
{
    struct machine_interrupt irq = queue->controller->function->irq;
    uint64_t saved = irq_save();

    wired_detach(irq);
    wired_attach(irq, naive_handler, queue);
    wired_route(irq, 0);
    timer_start(NVME_WATCHDOG_PERIOD_NS, naive_tick, queue);
    irq_restore(saved);
}

static void test_naive(void)
{
    struct storage_config config = {.depth_entries = DEPTH_ENTRIES};
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct nvme_counters counters;
    uint64_t served;
    uint32_t attempts = 0;

    if (!open_storage(&config)) {
        return;
    }
    workload_init(&workload, queue, 0, DEPTH);
    run(queue);
    nvme_queue_count(queue->engine, &counters);
    printf("note ours: %" PRIu64 " requests, %" PRIu64 " interrupts, missed %" PRIu64 "\n",
           workload.ended, counters.interrupts, counters.missed);
    check(counters.missed == 0, "the engine's handler missed %" PRIu64, counters.missed);
    served = workload.ended;
    attach_naive(queue);
    while (naive.lost == 0 && attempts < ATTEMPTS_MAX) {
        attempts++;
        run(queue);
    }
    printf("note naive: %" PRIu64 " requests, %" PRIu64 " interrupts, lost %" PRIu64 " in %" PRIu32
           " attempts\n",
           workload.ended - served, naive.interrupts, naive.lost, attempts);
    check(naive.lost != 0, "the naive handler lost nothing in %" PRIu32 " attempts", attempts);
    workload_check(&workload);
    close_storage();
}

const struct test naive_tests[] = {
    {"naive", test_naive, MODE_IRQ, WANTS_NAMED | WANTS_PLIC},
    {NULL, NULL, 0, 0},
};
