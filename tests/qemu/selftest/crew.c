// SPDX-License-Identifier: MIT
/* See crew.h. */
#include "crew.h"

#include <stdatomic.h>

#include "harts.h"
#include "irq.h"
#include "selftest.h"
#include "timer.h"

static struct workload workloads[STORAGE_HARTS_MAX];
static atomic_uint at_work;

bool crew_busy(void)
{
    return atomic_load(&at_work) != 0;
}

struct workload *crew_member(uint32_t index)
{
    return &workloads[index];
}

/* The queue is empty, its owner's part in cycles and modes is not over. */
static void linger(struct workload *workload)
{
    irq_disable();
    while (crew_busy()) {
        storage_wait(workload->queue, NVME_WAIT_BLOCKED);
        workload_turn(workload);
    }
    irq_enable();
}

static void run_member(void *arg, unsigned index)
{
    const struct crew *crew = arg;
    struct workload *workload = &workloads[index];

    if (index == selftest.storage.queue_count) {
        if (crew->helper_has_lines) {
            storage_line_start(&selftest.storage);
        }
        if (crew->helper != NULL) {
            crew->helper();
        }
        return;
    }
    if (index != 0) {
        storage_hart_start(workload->queue);
    }
    workload_start(workload);
    workload_wait(workload);
    atomic_fetch_sub(&at_work, 1);
    if (crew->linger) {
        linger(workload);
    }
    if (index != 0) {
        storage_hart_stop(workload->queue);
    }
}

void crew_run(const struct crew *crew)
{
    uint32_t count = selftest.storage.queue_count;
    uint32_t harts_wanted = count + (crew->helper != NULL || crew->helper_has_lines ? 1 : 0);
    struct crew copy = *crew;

    for (uint32_t i = 0; i < count; i++) {
        workload_init(&workloads[i], &selftest.storage.queues[i], i, crew->depth);
        workloads[i].to_post = crew->requests != 0 ? crew->requests : UINT64_MAX;
        workloads[i].done = crew->done;
        workloads[i].turn = crew->turn;
        if (crew->shadows != NULL) {
            workloads[i].shadow = &crew->shadows[i];
        }
        workloads[i].enough = crew->enough;
        workloads[i].end_ns = crew->runtime_ns != 0 ? time_now_ns() + crew->runtime_ns : 0;
    }
    atomic_store(&at_work, count);
    check(harts_run(harts_wanted, run_member, &copy), "harts did not run");
    for (uint32_t i = 0; i < count; i++) {
        workload_check(&workloads[i]);
    }
}
