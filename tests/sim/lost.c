// SPDX-License-Identifier: MIT
/*
 * Fault class 6: interrupts that are dropped, and how long the entries wait of which they told.
 */
#include "sim.h"

#define MS UINT64_C(1000000)

enum { DUE_MS = 300 }; /* a queue that lives so long has recovered what was lost */

/* Entries that the device has written and the queue has not consumed. */
static uint64_t entries_ready(const struct sim_queue *queue)
{
    const struct model_cq *cq = &queue->controller->model->cqs[queue->index + 1];
    struct nvme_counters counters;

    nvme_queue_count(queue->engine, &counters);
    return cq->exists && cq->posted > counters.completions ? cq->posted - counters.completions : 0;
}

static void begin_wait(struct sim_queue *queue)
{
    struct sim *sim = queue->controller->sim;
    struct nvme_counters counters;
    uint64_t ready = queue->open ? entries_ready(queue) : 0;

    if (ready != 0 && queue->awaited == 0) {
        nvme_queue_count(queue->engine, &counters);
        queue->awaited = counters.completions + ready;
        queue->lost_ns = sim->watched_ns;
        queue->lost_start = queue->controller->model->starts;
        sim->dropped++;
    }
}

static bool shares_source(const struct sim_controller *controller,
                          const struct sim_controller *other, uint32_t index, uint32_t vector)
{
    if (controller->config.msix) {
        return other == controller && index == vector;
    }
    return !other->config.msix && other->line == controller->line;
}

bool sim_lose_interrupt(struct sim_controller *controller)
{
    struct sim *sim = controller->sim;
    uint32_t vector = random_below(&sim->random, SIM_QUEUES);
    bool *pending = controller->config.msix ? &controller->model->vectors[vector + 1].arrived
                                            : &sim->lines[controller->line].pending;

    if (!*pending) {
        return false;
    }
    *pending = false;
    for (uint32_t i = 0; i < sim->controller_count * SIM_QUEUES; i++) {
        struct sim_controller *other = &sim->controllers[i / SIM_QUEUES];

        if (shares_source(controller, other, i % SIM_QUEUES, vector)) {
            begin_wait(&other->queues[i % SIM_QUEUES]);
        }
    }
    return true;
}

void sim_note_recovery(struct sim_queue *queue)
{
    struct sim *sim = queue->controller->sim;
    uint64_t waited_ms = (sim->watched_ns - queue->lost_ns) / MS;
    struct nvme_counters counters = {0};

    if (queue->awaited == 0) {
        return;
    }
    if (queue->open) {
        nvme_queue_count(queue->engine, &counters);
    }
    if (!queue->open || queue->lost_start != queue->controller->model->starts) {
        /* A close or a reset ends the wait: that is no recovery, and none is missing yet. */
        queue->awaited = 0;
        sim->dropped -= queue->controller->may_fail || waited_ms < DUE_MS;
    } else if (counters.completions >= queue->awaited) {
        queue->awaited = 0;
        sim->recovered++;
        sim->waited_ms[waited_ms < SIM_WAIT_MS ? waited_ms : SIM_WAIT_MS]++;
    }
}

void sim_mark_closed(struct sim_queue *queue)
{
    queue->open = false;
    sim_note_recovery(queue);
}
