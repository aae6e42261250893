// SPDX-License-Identifier: MIT
/*
 * See worker.h.
 */
#include "worker.h"

#include <string.h>

#include "start.h"

#define STALL_NS UINT64_C(10000000)

#define RANDOM_MULTIPLIER UINT64_C(6364136223846793005) /* Knuth's, for a modulus of 2^64 */

uint64_t worker_ticks_from_ns(uint64_t ns)
{
    /* The division first: an hour at 1 GHz fits. */
    return ns / 1000 * machine_get()->timebase_hz / 1000000;
}

uint32_t worker_commands(const struct job_point *point, const struct nvme_namespace *ns)
{
    uint64_t most_bytes = (uint64_t)ns->max_blocks << ns->block_shift;
    uint64_t parts = (job_largest_bs(point) + most_bytes - 1) / most_bytes;

    return parts < NVME_SPLIT_WINDOW ? (uint32_t)parts : NVME_SPLIT_WINDOW;
}

/* The requests' list, each with its part of the memory. */
static void prepare_requests(struct worker *worker, uint8_t *memory)
{
    const struct job_point *point = worker->run->point;
    bool last = worker->index + 1 == worker->run->harts;
    uint32_t writers = last ? point->writers : 0;
    uint32_t count = (writers != 0 && worker->index != 0 ? 0 : point->iodepth) + writers;

    for (uint32_t i = 0; i < count; i++) {
        struct request *request = &worker->loop.requests[i];
        bool is_writer = i < writers;

        *request = (struct request){
            .worker = worker,
            .next = worker->loop.free,
            .buffer = memory,
            .is_writer = is_writer,
        };
        memory += is_writer ? JOB_WRITER_BS : point->bs;
        worker->loop.free = request;
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
    worker->loop.pattern = (struct pattern){
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
    worker->loop.writer_pattern = (struct pattern){
        .positions = size / JOB_WRITER_BS,
        .first_block = worker->loop.pattern.first_block,
        .blocks = JOB_WRITER_BS >> ns->block_shift,
        .in_order = true,
    };
    if (job_verifies(job)) {
        /* Each hart knows what its own part must hold. */
        worker->loop.pattern.positions /= worker->run->harts;
        worker->loop.pattern.next_position = 0;
        worker->loop.pattern.first_block +=
            worker->loop.pattern.positions * worker->loop.pattern.blocks * worker->index;
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
    worker->window.stall_ticks = worker_ticks_from_ns(STALL_NS);
    worker->window.ios_left = INT64_MAX;
    worker->window.event_ticks = UINT64_MAX;
    worker->window.latency = worker->window.ramp;
    worker->loop.in_flight_least = UINT32_MAX;
    worker->loop.commands = worker_commands(run->point, queue->ns);
    worker->loop.complete_min =
        (uint32_t)(job->complete_min == 0 ? run->point->batch : job->complete_min);
    worker->loop.complete_max =
        (uint32_t)(job->complete_max == 0 ? NVME_DEPTH_MAX : job->complete_max);
    prepare_requests(worker, memory);
    prepare_pattern(worker);
    if (run->point->rate_iops != 0) {
        pacing_init(&worker->open_loop.pacing, machine_get()->timebase_hz, run->point->rate_iops,
                    run->point->process == JOB_POISSON,
                    worker->loop.pattern.random * RANDOM_MULTIPLIER);
    }
}

void worker_fail(struct worker *worker, enum nvme_error error, uint16_t status)
{
    if (worker->errors++ == 0) {
        worker->error = error;
        worker->status = status;
    }
}
