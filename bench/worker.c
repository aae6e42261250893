// SPDX-License-Identifier: MIT
/*
 * See worker.h: preparation, the common start, the window's edges.
 */
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "irq.h"
#include "start.h"
#include "timer.h"

#define STALL_NS UINT64_C(10000000)

/* From the marker to the window: the marker's printing is over. */
#define MARGIN_NS UINT64_C(500000)

#define RANDOM_MULTIPLIER UINT64_C(6364136223846793005) /* Knuth's, for a modulus of 2^64 */

uint64_t worker_ticks_from_ns(uint64_t ns)
{
    /* The division first: an hour at 1 GHz fits. */
    return ns / 1000 * machine_get()->timebase_hz / 1000000;
}

uint32_t worker_commands(const struct job_point *point, const struct nvme_namespace *ns)
{
    uint64_t most_bytes = (uint64_t)ns->max_blocks << ns->block_shift;
    uint64_t parts = (point->bs + most_bytes - 1) / most_bytes;

    return parts < NVME_SPLIT_WINDOW ? (uint32_t)parts : NVME_SPLIT_WINDOW;
}

/* The requests' list, each with its part of the memory. */
static void prepare_requests(struct worker *worker, uint8_t *memory)
{
    const struct job_point *point = worker->run->point;

    for (uint32_t i = 0; i < point->iodepth; i++) {
        struct request *request = &worker->requests[i];

        *request = (struct request){
            .worker = worker,
            .next = worker->free,
            .buffer = memory + (size_t)i * point->bs,
        };
        worker->free = request;
    }
}

/* Where the hart reads and writes. Sequential harts begin at equal distances from each other. */
static void prepare_pattern(struct worker *worker)
{
    const struct job *job = worker->run->job;
    const struct job_point *point = worker->run->point;
    const struct nvme_namespace *ns = worker->queue->ns;
    uint64_t size = job->size;

    if (size == 0) {
        size = (ns->block_count << ns->block_shift) - job->offset;
    }
    worker->pattern = (struct pattern){
        .random = (job->randseed + worker->index + 1) * RANDOM_MULTIPLIER,
        .positions = size / point->bs,
        .next_position = size / point->bs / worker->run->harts * worker->index,
        .first_block = job->offset >> ns->block_shift,
        .blocks = point->bs >> ns->block_shift,
        .read_threshold = (job->rwmixread << 32) / 100,
        .mixed = point->rw == JOB_READWRITE || point->rw == JOB_RANDRW,
        .writes = point->rw == JOB_WRITE || point->rw == JOB_RANDWRITE,
        .in_order = point->rw < JOB_RANDREAD,
    };
    if (job_verifies(job)) {
        /* Each hart knows what its own part must hold. */
        worker->pattern.positions /= worker->run->harts;
        worker->pattern.next_position = 0;
        worker->pattern.first_block +=
            worker->pattern.positions * worker->pattern.blocks * worker->index;
    }
}

void worker_prepare(struct worker *worker, struct run *run, struct storage_queue *queue,
                    uint32_t index, uint8_t *memory)
{
    const struct job *job = run->job;

    memset(worker, 0, sizeof(*worker));
    worker->run = run;
    worker->queue = queue;
    worker->index = index;
    worker->stall_ticks = worker_ticks_from_ns(STALL_NS);
    worker->ios_left = INT64_MAX;
    worker->event_ticks = UINT64_MAX;
    worker->latency = worker->ramp;
    worker->in_flight_least = UINT32_MAX;
    worker->commands = worker_commands(run->point, queue->ns);
    worker->complete_min =
        (uint32_t)(job->complete_min == 0 ? run->point->batch : job->complete_min);
    worker->complete_max = (uint32_t)(job->complete_max == 0 ? NVME_DEPTH_MAX : job->complete_max);
    prepare_requests(worker, memory);
    prepare_pattern(worker);
    if (run->point->rate_iops != 0) {
        pacing_init(&worker->pacing, machine_get()->timebase_hz, run->point->rate_iops,
                    run->point->process == JOB_POISSON, worker->pattern.random * RANDOM_MULTIPLIER);
    }
}

void worker_start(struct worker *worker)
{
    struct run *run = worker->run;

    __atomic_fetch_add(&run->ready, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&run->ready, __ATOMIC_ACQUIRE) != run->harts) {
        hart_relax(); /* bounded: every hart of the point comes here */
    }
    worker->reap_ticks = csr_time();
    /* The others look at every reap whether hart 0 has fixed the begin. */
    worker->event_ticks = worker->index == 0 ? worker->reap_ticks + run->ramp_ticks : 0;
}

static void take_edge(const struct worker *worker, struct edge *edge)
{
    uint64_t saved = irq_save();

    if (worker->run->point->completion == JOB_RAW) {
        edge->counters = worker->own;
    } else {
        nvme_queue_count(worker->queue->engine, &edge->counters);
    }
    edge->idle_polls = worker->idle_polls;
    edge->late_starts = worker->late_starts;
    edge->idle_ns = hart_idle_ns(worker->index);
    edge->ticks = csr_time();
    irq_restore(saved);
}

/* Hart 0 at the end of its ramp. */
static void announce(struct worker *worker)
{
    struct run *run = worker->run;
    uint64_t begin_ticks;

    printf("#begin %" PRIu32 " %" PRIu32 "\n", run->point_number, run->repetition);
    begin_ticks = csr_time() + worker_ticks_from_ns(MARGIN_NS);
    __atomic_store_n(&run->begin_ticks, begin_ticks, __ATOMIC_RELEASE);
    worker->event_ticks = begin_ticks;
    worker->phase = WORKER_ANNOUNCED;
}

/* Completions of the window so far. */
static uint64_t window_ios(const struct worker *worker)
{
    return (uint64_t)(worker->ios_begin - worker->ios_left);
}

/* The next event is the end of an interval or of the window. `count` are of the reap at hand. */
static void next_interval(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    struct timeline *timeline = &worker->timeline;

    timeline_pass(timeline, now_ticks, window_ios(worker) - count);
    worker->event_ticks =
        timeline->next_ticks < worker->end_ticks ? timeline->next_ticks : worker->end_ticks;
}

static void begin_window(struct worker *worker, uint64_t now_ticks)
{
    worker->phase = WORKER_MEASURE;
    worker->end_ticks = now_ticks + worker->run->runtime_ticks;
    if (worker->run->job->number_ios != 0) {
        worker->ios_left = (int64_t)worker->run->job->number_ios;
    }
    worker->ios_begin = worker->ios_left;
    timeline_start(&worker->timeline, worker->run->begin_ticks, worker->run->runtime_ticks);
    worker->latency = worker->window;
    worker->stalls = 0;
    worker->in_flight_least = UINT32_MAX;
    next_interval(worker, now_ticks, 0);
    take_edge(worker, &worker->begin);
}

static void end_window(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    take_edge(worker, &worker->end);
    timeline_pass(&worker->timeline, now_ticks, window_ios(worker) - count);
    timeline_end(&worker->timeline, window_ios(worker));
    worker->phase = WORKER_OVER;
    worker->latency = worker->ramp;
    worker->stop = true;
    if (worker->index == 0) {
        printf("#end %" PRIu32 " %" PRIu32 "\n", worker->run->point_number,
               worker->run->repetition);
    }
}

void worker_step(struct worker *worker, uint64_t now_ticks, uint32_t count)
{
    if (worker->phase == WORKER_MEASURE && now_ticks < worker->end_ticks && worker->ios_left > 0) {
        next_interval(worker, now_ticks, count);
        return;
    }
    worker->stamp_ticks = 0; /* printing takes time */
    if (worker->phase == WORKER_MEASURE) {
        end_window(worker, now_ticks, count);
    } else if (worker->phase == WORKER_RAMP && worker->index == 0) {
        announce(worker);
    } else if (worker->phase != WORKER_OVER) {
        uint64_t begin_ticks = __atomic_load_n(&worker->run->begin_ticks, __ATOMIC_ACQUIRE);

        if (now_ticks >= begin_ticks) {
            begin_window(worker, now_ticks);
        } else if (begin_ticks != UINT64_MAX) {
            worker->event_ticks = begin_ticks;
        }
    }
}

void worker_finish(struct worker *worker)
{
    if (worker->phase == WORKER_OVER) {
        return;
    }
    if (worker->index == 0 && worker->phase == WORKER_RAMP) {
        /* The others wait for it. */
        __atomic_store_n(&worker->run->begin_ticks, csr_time(), __ATOMIC_RELEASE);
    }
    take_edge(worker, &worker->end);
    if (worker->phase == WORKER_MEASURE) {
        timeline_end(&worker->timeline, window_ios(worker));
    } else {
        worker->begin = worker->end;
    }
    worker->phase = WORKER_OVER;
}

void worker_fail(struct worker *worker, enum nvme_error error, uint16_t status)
{
    if (worker->errors++ == 0) {
        worker->error = error;
        worker->status = status;
    }
}
