// SPDX-License-Identifier: MIT
/*
 * See raw.h.
 */
#include "raw.h"

#include "harts.h"
#include "irq.h"
#include "nvme_hal.h"
#include "timer.h"
#include "worker.h"
#include "workload.h"

enum { COMPLETIONS_PER_CLOCK = 64 };

#define PACE_NS UINT64_C(1000) /* from one look to the next */

static const char *const wait_words[RAW_WAITS] = {"spin", "paced", "sleep"};

const char *raw_wait_word(enum raw_wait wait)
{
    return wait_words[wait];
}

/* Rings for what is posted, if anything is. */
static void ring_tail(struct raw *raw)
{
    if (raw->unrung != 0) {
        hal_before_doorbell();
        hal_mmio_write32(raw->ring.sq_doorbell, raw->ring.sq_tail);
        raw->unrung = 0;
        raw->counters.sq_doorbells++;
    }
}

/*
 * True if the device has fetched all that was rung, or has nothing of it left to complete: what
 * engine/queue.c asks of a clocked doorbell. `tail` is the one that was rung last.
 */
static bool is_fetched(const struct raw *raw, uint32_t tail)
{
    const struct nvme_ring *ring = &raw->ring;
    uint32_t next = ring->cq_head == 0 ? ring->cq_depth_entries : ring->cq_head;

    return raw->in_flight == 0 ||
           NVME_GET(NVME_CQE_SQHD, hal_dma_load32(&ring->cq[next - 1].sq)) == tail;
}

/* Posts all free entries, in groups of at most a batch; each rings as its rule says. */
static void post_free(struct worker *worker)
{
    struct raw *raw = &worker->raw;
    struct nvme_ring *ring = &raw->ring;
    uint32_t free = worker->run->point->iodepth - raw->in_flight;
    uint32_t batch = worker->run->point->batch;
    bool clocked = worker->run->point->doorbell == JOB_CLOCKED;

    while (free != 0) {
        uint32_t count = free < batch ? free : batch;
        uint32_t tail = ring->sq_tail + count;
        bool waits = clocked && (raw->unrung != 0 || !is_fetched(raw, ring->sq_tail));

        ring->sq_tail = tail >= ring->depth_entries ? tail - ring->depth_entries : tail;
        free -= count;
        raw->in_flight += count;
        raw->unrung += count;
        raw->counters.posts += count;
        if (!waits) {
            ring_tail(raw);
        }
    }
}

/* Gives the consumed entries back, if more are owed than may be. */
static void ring_head(struct raw *raw, uint32_t count)
{
    raw->owed += count;
    if (raw->owed > raw->late) {
        hal_before_doorbell();
        hal_mmio_write32(raw->ring.cq_doorbell, raw->ring.cq_head);
        raw->owed = 0;
        raw->counters.cq_doorbells++;
    }
}

/* One reap, which also rings what has waited. Returns how many completions were consumed. */
static uint32_t reap_ring(struct worker *worker)
{
    struct raw *raw = &worker->raw;
    struct nvme_ring *ring = &raw->ring;
    uint32_t count = 0;

    raw->counters.reap_calls++;
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
        if (++ring->cq_head == ring->cq_depth_entries) {
            ring->cq_head = 0;
            ring->phase ^= 1;
        }
    }
    if (count != 0) {
        raw->in_flight -= count;
        raw->counters.completions += count;
        raw->counters.reaps++;
        ring_head(raw, count);
    }
    ring_tail(raw);
    return count;
}

/* In the trap. It looks again after the doorbell, as engine/interrupt.c does, which says why. */
static void take_interrupt(void *arg)
{
    struct worker *worker = arg;
    uint64_t before = worker->raw.counters.completions;

    worker->raw.counters.interrupts++;
    while (reap_ring(worker) != 0) {
        /* Bounded: no more than iodepth commands are in flight. */
    }
    worker->raw.counters.spurious += worker->raw.counters.completions == before;
}

/* One look. After an empty one nothing touches the ring for PACE_NS. */
static uint32_t look_paced(struct worker *worker)
{
    uint32_t count = reap_ring(worker);
    uint64_t until_ticks;

    if (count == 0) {
        until_ticks = csr_time() + worker_ticks_from_ns(PACE_NS);
        while (csr_time() < until_ticks) {
            /* Bounded: a microsecond. */
        }
    }
    return count;
}

/*
 * Sleeps until an interrupt, whose handler reaps. The watchdog's tick ends a sleep too: it finds
 * what an interrupt was lost for.
 */
static uint32_t look_asleep(struct worker *worker)
{
    uint64_t before = worker->raw.counters.completions;

    ring_tail(&worker->raw);
    storage_sleep();
    if (worker->raw.counters.completions == before) {
        reap_ring(worker);
    }
    return (uint32_t)(worker->raw.counters.completions - before);
}

typedef uint32_t look_function(struct worker *worker);

static look_function *const looks[RAW_WAITS] = {reap_ring, look_paced, look_asleep};

/* Empty looks between two readings of the clock: a sleep is long anyway. */
static const uint32_t looks_per_clock[RAW_WAITS] = {WORKER_IDLE_POLLS, WORKER_IDLE_POLLS, 1};

/* Waits until `wanted` completions have come. False: the device no longer answers. */
static bool wait_for_completions(struct worker *worker, uint32_t wanted)
{
    struct raw *raw = &worker->raw;
    enum raw_wait way = worker->run->point->raw_wait;
    look_function *look = looks[way];
    uint64_t before = raw->counters.completions;
    uint64_t since_ns = 0;
    uint32_t empty = 0;

    while (raw->counters.completions - before < wanted) {
        if (look(worker) != 0) {
            continue;
        }
        worker->loop.idle_polls++;
        if (++empty == looks_per_clock[way]) {
            uint64_t now_ns = time_now_ns();

            empty = 0;
            since_ns = since_ns == 0 ? now_ns : since_ns;
            if (now_ns - since_ns > worker->run->job->timeout_ns) {
                worker_fail(worker, NVME_ERR_TIMEOUT, 0);
                return false;
            }
        }
    }
    worker->window.ios_left -= (int64_t)(raw->counters.completions - before);
    if (raw->counters.completions - raw->clocked >= COMPLETIONS_PER_CLOCK ||
        worker->window.ios_left <= 0) {
        raw->clocked = raw->counters.completions;
        worker_reaped(worker, csr_time(), 0);
    }
    return true;
}

/* Takes the rings and gives their commands different ids. */
static bool take_ring(struct worker *worker)
{
    struct nvme_ring *ring = &worker->raw.ring;
    enum nvme_error error = storage_enter_raw(worker->queue, ring, take_interrupt, worker);

    if (error != NVME_OK) {
        worker_fail(worker, error, 0);
        return false;
    }
    /* As in nvme_queue_reset(): what interrupts gives back at once. */
    if (worker->run->point->raw_wait != RAW_SLEEP) {
        worker->raw.late = (ring->cq_depth_entries - ring->depth_entries) / 2;
    }
    for (uint32_t i = 0; i < ring->depth_entries; i++) {
        struct nvme_command *command = &ring->sq[i];

        command->cdw0 = (command->cdw0 & 0xffff) | i << 16;
    }
    return true;
}

static uint32_t least_of(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

/* Interrupts are off except in storage_sleep(): a look and a trap never meet. */
void raw_run(struct worker *worker)
{
    struct raw *raw = &worker->raw;
    bool alive;

    storage_hart_start(worker->queue);
    workload_fill_ring(worker);
    irq_disable();
    alive = take_ring(worker);
    window_start(worker);
    while (alive && !worker->window.stop) {
        post_free(worker);
        alive = wait_for_completions(worker, least_of(worker->loop.complete_min, raw->in_flight));
    }
    if (alive && raw->in_flight != 0) {
        wait_for_completions(worker, raw->in_flight);
    }
    irq_enable();
    window_finish(worker);
    storage_hart_stop(worker->queue);
}
