// SPDX-License-Identifier: MIT
/*
 * Lines that go to another hart than the owners of the queues on them: the IRQ hart elsewhere, IPIs
 * without a cause, controllers that are opened and closed again.
 */
#include <inttypes.h>
#include <stdio.h>

#include "crew.h"
#include "harts.h"
#include "selftest.h"
#include "timer.h"

enum {
    DEPTH = 16,
    DEPTH_ENTRIES = DEPTH * WORKLOAD_SPAN_MAX + 1,
    TURNS = 10,
    ROUND_REQUESTS = 60,
    ALONE_TOLD = 200,       /* interrupts of the one owner that are waited for */
    ALONE_READS_MAX = 2000, /* until then: a busy host lets the watchdog be first at some */
};
#define IPI_PAUSE_NS UINT64_C(20000)

static bool was_told(const struct workload *workload)
{
    struct nvme_counters counters;

    nvme_queue_count(workload->queue->engine, &counters);
    return counters.interrupts != 0;
}

static struct crew load(void)
{
    return (struct crew){.depth = DEPTH,
                         .runtime_ns = selftest.runtime_ns,
                         .enough = selftest.mode == NVME_MODE_INTERRUPT ? was_told : NULL};
}

/* ---- The IRQ hart elsewhere */
/* ----------------------------------------------------------------------- */

static void check_lines(uint32_t irq_hart)
{
    for (uint32_t i = 0; i < selftest.storage.line_count; i++) {
        check(selftest.storage.lines[i].hart == irq_hart, "line %" PRIu32 " goes to hart %" PRIu32,
              i, selftest.storage.lines[i].hart);
    }
}

/* In interrupt mode nothing but interrupts moves a workload: each owner has had its share. */
static void check_shares(void)
{
    for (uint32_t i = 0; i < selftest.storage.queue_count; i++) {
        struct nvme_counters counters;

        nvme_queue_count(selftest.storage.queues[i].engine, &counters);
        check(counters.interrupts != 0 || selftest.mode != NVME_MODE_INTERRUPT,
              "queue %" PRIu32 " was never told", i);
    }
}

static void forget_ipis(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    hart_attach_ipi(NULL, NULL);
}

/* All lines go to hart `irq_hart`; where it owns no queue it only sleeps and answers. */
static void run_irq_hart(uint32_t owners, uint32_t irq_hart)
{
    struct storage_config config = {
        .harts = owners, .depth_entries = DEPTH_ENTRIES, .line_hart = irq_hart + 1};
    struct crew crew = load();

    if (!open_storage(&config)) {
        return;
    }
    /* Nothing of a former life answers for the hart that has the line. */
    check(harts_run(test_harts(), forget_ipis, NULL), "harts did not run");
    storage_hart_start(&selftest.storage.queues[0]);
    crew.helper_has_lines = irq_hart >= selftest.storage.queue_count;
    check_lines(irq_hart);
    crew_run(&crew);
    check_shares();
    close_storage();
}

static void test_irq_hart(void)
{
    uint32_t count = test_harts();

    run_irq_hart(count, 0);
    run_irq_hart(count, count - 1);
    run_irq_hart(count - 1, count - 1);
}

/* ---- Owners without requests -------------------------------------------------------------- */

static void read_until_told(struct storage_queue *queue, uint8_t *buffer)
{
    struct nvme_counters counters = {0};

    for (uint32_t i = 0; i < ALONE_READS_MAX && counters.interrupts < ALONE_TOLD; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
        nvme_queue_count(queue->engine, &counters);
    }
}

/* Only the last owner works, one request at a time; the others take IPIs and nothing else. */
static void work_alone(void *arg, unsigned index)
{
    struct storage_queue *queue = &selftest.storage.queues[index];

    if (index != 0) {
        storage_hart_start(queue);
    }
    if (index + 1 == selftest.storage.queue_count) {
        read_until_told(queue, arg);
    }
    if (index != 0) {
        storage_hart_stop(queue);
    }
}

/* A cycle asks owners with requests. The rare cycle that found nothing asks the others. */
static void test_alone(void)
{
    struct storage_config config = {
        .harts = test_harts(), .depth_entries = DEPTH_ENTRIES, .controllers_max = 1};
    struct nvme_counters idle, busy;

    if (!open_storage(&config)) {
        return;
    }
    check(harts_run(config.harts, work_alone, take_pages(PAGE_BYTES)), "harts did not run");
    nvme_queue_count(selftest.storage.queues[0].engine, &idle);
    nvme_queue_count(selftest.storage.queues[config.harts - 1].engine, &busy);
    printf("note alone: %" PRIu64 " interrupts, %" PRIu64 " of an owner without requests\n",
           busy.interrupts, idle.interrupts);
    check(busy.interrupts >= ALONE_TOLD, "%" PRIu64 " interrupts", busy.interrupts);
    check(idle.interrupts < busy.interrupts / 2, "%" PRIu64 " interrupts of an idle owner",
          idle.interrupts);
    close_storage();
}

/* ---- IPIs without a cause ---------------------------------------------------------------- */

static uint64_t ipis;

static void ipi_all(void)
{
    /* At least once: a busy host may let this hart run only when the others have ended. */
    do {
        uint64_t start_ns = time_now_ns();

        for (uint32_t i = 0; i <= selftest.storage.queue_count; i++) {
            hart_send_ipi(i);
            ipis++;
        }
        while (time_now_ns() - start_ns < IPI_PAUSE_NS) {
        }
    } while (crew_busy());
}

/* One hart IPIs all the others in a loop, itself too; once as a bystander, once as the IRQ hart. */
static void test_ipis(void)
{
    uint32_t owners = test_harts() - 1;

    for (uint32_t turn = 0; turn < 2; turn++) {
        struct storage_config config = {.harts = owners,
                                        .depth_entries = DEPTH_ENTRIES,
                                        .controllers_max = 1,
                                        .line_hart = turn * (owners + 1)};
        struct crew crew = load();

        ipis = 0;
        crew.helper = ipi_all;
        crew.helper_has_lines = turn != 0;
        if (!open_storage(&config)) {
            return;
        }
        crew_run(&crew);
        check(ipis > owners, "%" PRIu64 " ipis", ipis);
        check_shares();
        close_storage();
    }
}

/* ---- Opened and closed -------------------------------------------------------------------- */

/* One controller for all, again and again, closed as soon as the last owner has ended. */
static void test_reopen(void)
{
    struct storage_config config = {
        .harts = test_harts(), .depth_entries = DEPTH_ENTRIES, .controllers_max = 1};

    for (uint32_t turn = 0; turn < TURNS; turn++) {
        if (!open_storage(&config)) {
            return;
        }
        crew_run(&(struct crew){.depth = DEPTH, .requests = ROUND_REQUESTS});
        close_storage();
    }
}

const struct test shared_tests[] = {
    {"shared.irq_hart", test_irq_hart, MODE_SLEEP, WANTS_LINE | WANTS_HARTS},
    {"shared.alone", test_alone, MODE_IRQ, WANTS_LINE | WANTS_HARTS},
    {"shared.ipis", test_ipis, MODE_SLEEP, WANTS_HARTS},
    {"shared.reopen", test_reopen, MODE_SLEEP, WANTS_HARTS},
    {NULL, NULL, 0, 0},
};
