// SPDX-License-Identifier: MIT
/*
 * See raw.h.
 */
#include "raw.h"

#include "nvme_bench.h"
#include "nvme_hal.h"
#include "timer.h"
#include "workload.h"

enum { COMPLETIONS_PER_CLOCK = 64 };

/* A queue's rings and its commands in flight. */
struct probe {
    struct nvme_ring ring;
    uint32_t free;
    uint32_t in_flight;
    uint32_t unclocked; /* completions since the last look at the clock */
};

/* Takes the rings and gives their commands different ids. */
static bool take_ring(struct worker *worker, struct probe *probe)
{
    enum nvme_error error = nvme_queue_enter_raw(worker->queue->engine, &probe->ring);

    if (error != NVME_OK) {
        worker_fail(worker, error, 0);
        return false;
    }
    for (uint32_t i = 0; i < probe->ring.depth_entries; i++) {
        struct nvme_command *command = &probe->ring.sq[i];

        command->cdw0 = (command->cdw0 & 0xffff) | i << 16;
    }
    probe->free = worker->run->point->iodepth;
    return true;
}

/* Posts all free entries, in groups of at most a batch, with one doorbell each. */
static void post_free(struct worker *worker, struct probe *probe)
{
    struct nvme_ring *ring = &probe->ring;
    uint32_t batch = worker->run->point->batch;

    while (probe->free != 0) {
        uint32_t count = probe->free < batch ? probe->free : batch;
        uint32_t tail = ring->sq_tail + count;

        ring->sq_tail = tail >= ring->depth_entries ? tail - ring->depth_entries : tail;
        hal_before_doorbell();
        hal_mmio_write32(ring->sq_doorbell, ring->sq_tail);
        probe->free -= count;
        probe->in_flight += count;
        worker->raw_counters.posts += count;
        worker->raw_counters.sq_doorbells++;
    }
}

/* One reap. Returns how many completions were consumed. */
static uint32_t reap_ring(struct worker *worker, struct probe *probe)
{
    struct nvme_ring *ring = &probe->ring;
    uint32_t count = 0;

    worker->raw_counters.reap_calls++;
    while (count < worker->loop.complete_max) {
        uint32_t status = hal_dma_load32(&ring->cq[ring->cq_head].status);

        if (NVME_GET(NVME_CQE_PHASE, status) != ring->phase) {
            break;
        }
        hal_after_phase();
        if ((status & NVME_CQE_STATUS) != 0) {
            worker_fail(worker, NVME_ERR_DEVICE, (uint16_t)NVME_GET(NVME_CQE_STATUS, status));
        }
        count++;
        if (++ring->cq_head == ring->depth_entries) {
            ring->cq_head = 0;
            ring->phase ^= 1;
        }
    }
    if (count != 0) {
        hal_before_doorbell();
        hal_mmio_write32(ring->cq_doorbell, ring->cq_head);
        probe->free += count;
        probe->in_flight -= count;
        worker->raw_counters.completions += count;
        worker->raw_counters.reaps++;
        worker->raw_counters.cq_doorbells++;
    }
    return count;
}

/* Reaps until `wanted` completions have come. False: the device no longer answers. */
static bool wait_for_completions(struct worker *worker, struct probe *probe, uint32_t wanted)
{
    uint64_t since_ns = 0;
    uint32_t empty = 0;
    uint32_t count = 0;

    while (count < wanted) {
        uint32_t consumed = reap_ring(worker, probe);

        count += consumed;
        if (consumed != 0) {
            continue;
        }
        worker->loop.idle_polls++;
        if (++empty == WORKER_IDLE_POLLS) {
            uint64_t now_ns = time_now_ns();

            empty = 0;
            since_ns = since_ns == 0 ? now_ns : since_ns;
            if (now_ns - since_ns > worker->run->job->timeout_ns) {
                worker_fail(worker, NVME_ERR_TIMEOUT, 0);
                return false;
            }
        }
    }
    worker->window.ios_left -= count;
    probe->unclocked += count;
    if (probe->unclocked >= COMPLETIONS_PER_CLOCK || worker->window.ios_left <= 0) {
        probe->unclocked = 0;
        worker_reaped(worker, csr_time(), 0);
    }
    return true;
}

void raw_run(struct worker *worker)
{
    struct probe probe = {0};
    bool alive;

    workload_fill_ring(worker);
    alive = take_ring(worker, &probe);
    window_start(worker);
    while (alive && !worker->window.stop) {
        post_free(worker, &probe);
        alive = wait_for_completions(worker, &probe,
                                     worker->loop.complete_min < probe.in_flight
                                         ? worker->loop.complete_min
                                         : probe.in_flight);
    }
    if (alive && probe.in_flight != 0) {
        wait_for_completions(worker, &probe, probe.in_flight);
    }
    window_finish(worker);
}
