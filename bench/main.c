// SPDX-License-Identifier: MIT
/*
 * The bench: measures every point of a job, repetition by repetition, the modes in turn.
 *
 * Each point of each repetition opens the controllers with its mode and depth, runs on its harts,
 * closes, and prints one line of JSON. A point that the machine cannot do is skipped with a message
 * and makes the exit status 1, as does any error.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "heap.h"
#include "raw.h"
#include "report.h"
#include "timer.h"
#include "workload.h"

enum {
    BUFFER_ALIGNMENT = 4096,
    CQ_SURPLUS = 64, /* entries: a late completion doorbell for 33 of them */
};

#define NS_PER_SECOND UINT64_C(1000000000)
#define WAIT_LEAST_NS UINT64_C(5000000)

/* The program's state. Workers are large, and their number depends on the machine. */
static struct {
    struct job job;
    struct storage storage;
    struct worker *workers;   /* JOB_HARTS_MAX at most */
    uint8_t *buffers;         /* for the largest point */
    struct nvme_namespace ns; /* of the last point that was opened; max_blocks 0: none was */
    bool failed;
} bench;

/* Takes the memory for the largest point, once. */
static bool take_memory(void)
{
    size_t workers = 0;
    size_t bytes = 0;

    for (uint32_t i = 0; i < bench.job.point_count; i++) {
        const struct job_point *point = &bench.job.points[i];
        size_t needed = point->numjobs * job_hart_bytes(point);

        bytes = needed > bytes ? needed : bytes;
        workers = point->numjobs > workers ? point->numjobs : workers;
    }
    if (bytes + workers * sizeof(struct worker) + 2 * BUFFER_ALIGNMENT > heap_left()) {
        printf("error: the buffers take %zu bytes, %zu are left; hint: run.py "
               "--memory, or smaller values\n",
               bytes, heap_left());
        return false;
    }
    bench.workers = heap_take(workers * sizeof(struct worker), _Alignof(struct worker));
    bench.buffers = heap_take(bytes, BUFFER_ALIGNMENT);
    return bench.workers != NULL && bench.buffers != NULL &&
           (!job_verifies(&bench.job) || verify_take_memory());
}

static void run_worker(void *arg, unsigned index)
{
    struct run *run = arg;

    if (run->point->completion == JOB_RAW) {
        raw_run(&bench.workers[index]);
    } else {
        workload_run(&bench.workers[index]);
    }
}

/* Checks that the point fits the namespace, else prints an error. */
static bool check_namespace(const struct job_point *point)
{
    const struct nvme_namespace *ns = bench.storage.queues[0].ns;
    const struct job *job = &bench.job;
    uint64_t capacity = ns->block_count << ns->block_shift;
    uint64_t size = job->size == 0 && job->offset < capacity ? capacity - job->offset : job->size;

    if (point->bs % ns->block_bytes != 0 || job->offset % ns->block_bytes != 0) {
        printf("error: bs=%" PRIu32 " offset=%" PRIu64 ": not multiples of the block size %" PRIu32
               "\n",
               point->bs, job->offset, ns->block_bytes);
        return false;
    }
    if (size < job_largest_bs(point) || size > capacity || job->offset > capacity - size) {
        printf("error: offset=%" PRIu64 " size=%" PRIu64 " bs=%" PRIu32
               ": the namespace has %" PRIu64 " bytes\n",
               job->offset, job->size, point->bs, capacity);
        return false;
    }
    if (point->completion == JOB_RAW && point->bs / ns->block_bytes > ns->max_blocks) {
        printf("error: bs=%" PRIu32
               ": completion=raw cannot split a request, one command takes at most %" PRIu32
               " bytes\n",
               point->bs, ns->max_blocks * ns->block_bytes);
        return false;
    }
    return !job_verifies(job) || verify_fits(job, point, size >> ns->block_shift, ns->block_bytes);
}

/* Commands in flight per queue; the split is known from the previous point. */
static uint32_t commands_of(const struct job_point *point)
{
    return job_hart_requests(point) *
           (bench.ns.max_blocks == 0 ? 1 : worker_commands(point, &bench.ns));
}

/*
 * Opens queues that have room for every part of iodepth requests. If the number of parts was not
 * known, it opens them again: the number only grows, up to NVME_SPLIT_WINDOW a request.
 */
static bool open_storage(const struct job_point *point)
{
    struct storage_config config = {
        .harts = point->numjobs,
        .mode = job_queue_mode(point),
        .cq_surplus = point->doorbell == JOB_CLOCKED ? CQ_SURPLUS : 0,
        .clocked = point->doorbell == JOB_CLOCKED,
        .shadow_doorbells = point->doorbell == JOB_SHADOW,
        .irq_off = point->completion == JOB_HYBRID, /* workload_run() */
        .timeout_ns = bench.job.timeout_ns,
        .resets_max = (uint32_t)bench.job.resets,
        .controller = bench.job.controller,
        .serial = bench.job.serial,
    };
    uint32_t commands;

    do {
        commands = commands_of(point);
        config.depth_entries = commands < NVME_DEPTH_MAX ? commands + 1 : NVME_DEPTH_MAX;
        if (!storage_open(&bench.storage, &config)) {
            return false;
        }
        bench.ns = *bench.storage.queues[0].ns;
        if (commands_of(point) <= commands) {
            return true;
        }
    } while (storage_close(&bench.storage));
    bench.failed = true;
    return false;
}

/* Checks that shadow doorbells are in force where they were asked for, else prints an error. */
static bool check_doorbells(const struct job_point *point)
{
    for (uint32_t i = 0; point->doorbell == JOB_SHADOW && i < bench.storage.controller_count; i++) {
        struct nvme_controller_info info;

        nvme_controller_describe(bench.storage.controllers[i].engine, &info);
        if (!info.shadow_doorbells) {
            printf("error: doorbell=shadow: controller %" PRIu32 " has no Doorbell Buffer Config; "
                   "hint: doorbell=each,clocked\n",
                   i);
            return false;
        }
    }
    return true;
}

static bool open_point(const struct job_point *point)
{
    struct nvme_controller_info info;
    static bool banner_printed;

    if (point->numjobs > hart_count()) {
        printf("error: numjobs=%" PRIu32 ": 1 to %u; hint: run.py --harts\n", point->numjobs,
               hart_count());
        return false;
    }
    if (!open_storage(point)) {
        return false;
    }
    nvme_controller_describe(bench.storage.controllers[0].engine, &info);
    if (info.depth_entries <= commands_of(point)) {
        printf("error: iodepth=%" PRIu32 " bs=%" PRIu32 ": %" PRIu32
               " commands at once, the controller takes at most %" PRIu32 "\n",
               point->iodepth, point->bs, commands_of(point), info.depth_entries - 1);
    } else if (check_namespace(point) && check_doorbells(point)) {
        if (!banner_printed) {
            report_banner(&bench.storage, &bench.job);
            banner_printed = true;
        }
        return true;
    }
    bench.failed |= !storage_close(&bench.storage);
    return false;
}

static void print_errors(const struct run *run)
{
    for (uint32_t i = 0; i < run->harts; i++) {
        const struct worker *worker = &bench.workers[i];

        if (worker->errors != 0) {
            printf("error: hart %" PRIu32 ": %" PRIu64 " errors, the first: %s%s%s\n", i,
                   worker->errors, nvme_error_text(worker->error), worker->status != 0 ? ": " : "",
                   worker->status != 0 ? nvme_status_text(worker->status) : "");
            bench.failed = true;
        }
        verify_print(worker);
        bench.failed |= worker->verify.failed != 0;
    }
}

static struct run describe_run(uint32_t number, uint32_t repetition)
{
    return (struct run){
        .job = &bench.job,
        .point = &bench.job.points[number],
        .point_number = number,
        .repetition = repetition,
        .ramp_ticks = worker_ticks_from_ns(bench.job.ramp_ns),
        .runtime_ticks = worker_ticks_from_ns(bench.job.runtime_ns),
        .begin_ticks = UINT64_MAX,
        .harts = bench.storage.queue_count,
    };
}

/* Everything is open: works on all harts. */
static bool run_harts(struct run *run)
{
    const struct job_point *point = run->point;

    for (uint32_t i = 0; i < run->harts; i++) {
        worker_prepare(&bench.workers[i], run, &bench.storage.queues[i], i,
                       bench.buffers + i * job_hart_bytes(point));
    }
    return harts_run(run->harts, run_worker, run);
}

static void run_point(uint32_t number, uint32_t repetition)
{
    struct run run = describe_run(number, repetition);

    if (!run_harts(&run)) {
        bench.failed = true;
        return;
    }
    report_point(&run, bench.workers, bench.storage.delivery);
    storage_print_missed(&bench.storage);
    print_errors(&run);
}

/* What all harts have reached together; 0 if one of them has failed. */
static uint64_t iops_of(const struct run *run)
{
    uint64_t completions = 0;
    uint64_t ticks = 1;

    for (uint32_t i = 0; i < run->harts; i++) {
        const struct worker *worker = &bench.workers[i];
        const struct window_edge *begin = &worker->window.begin;
        const struct window_edge *end = &worker->window.end;

        if (worker->errors != 0) {
            return 0;
        }
        completions += end->counters.completions - begin->counters.completions;
        ticks = end->ticks - begin->ticks > ticks ? end->ticks - begin->ticks : ticks;
    }
    return completions * NS_PER_SECOND / time_ns_from_ticks(ticks);
}

/* Measures one way to wait for as long as a ramp. False: the machine does not have it. */
static bool measure_wait(uint32_t number, enum raw_wait wait)
{
    struct job_point *point = &bench.job.points[number];
    struct run run;

    /* A shared line may interrupt another hart. `delivery` is known from the spin before. */
    if (wait == RAW_SLEEP && strcmp(bench.storage.delivery, "shared") == 0) {
        return false;
    }
    point->raw_wait = wait;
    if (!open_point(point)) {
        return false;
    }
    run = describe_run(number, 0);
    run.quiet = true;
    run.ramp_ticks = 0;
    run.runtime_ticks =
        worker_ticks_from_ns(bench.job.ramp_ns > WAIT_LEAST_NS ? bench.job.ramp_ns : WAIT_LEAST_NS);
    if (run_harts(&run)) {
        point->raw_iops[wait] = iops_of(&run);
    }
    bench.failed |= !storage_close(&bench.storage);
    return true;
}

/* Once per boot, because boots differ. */
static void choose_wait(uint32_t number)
{
    struct job_point *point = &bench.job.points[number];
    enum raw_wait best = RAW_SPIN;

    if (measure_wait(number, RAW_SPIN)) {
        for (uint32_t wait = RAW_SPIN + 1; wait < RAW_WAITS; wait++) {
            if (measure_wait(number, (enum raw_wait)wait) &&
                point->raw_iops[wait] > point->raw_iops[best]) {
                best = (enum raw_wait)wait;
            }
        }
    }
    point->raw_wait = best;
    point->tried = true;
}

static void measure_point(uint32_t number, uint32_t repetition)
{
    struct job_point *point = &bench.job.points[number];
    char name[JOB_NAME_BYTES];

    if (point->skipped) {
        return;
    }
    if (point->completion == JOB_RAW && !point->tried) {
        choose_wait(number);
    }
    if (!open_point(point)) {
        job_name(point, name);
        printf("skipped: point %" PRIu32 " %s: the error above says why\n", number, name);
        point->skipped = true;
        bench.failed = true;
        return;
    }
    run_point(number, repetition);
    bench.failed |= !storage_close(&bench.storage);
}

int main(int argc, char **argv)
{
    const struct job *job = &bench.job;

    if (!job_parse(&bench.job, argc - 1, argv + 1)) {
        return 1;
    }
    if (job->help) {
        return 0;
    }
    if (!take_memory()) {
        return 1;
    }
    for (uint32_t repetition = 0; repetition < job->repetitions; repetition++) {
        for (uint32_t first = 0; first < job->point_count; first += job->mode_count) {
            /* Another mode goes first in every repetition. */
            for (uint32_t i = 0; i < job->mode_count; i++) {
                measure_point(first + (i + repetition) % job->mode_count, repetition);
            }
        }
    }
    return bench.failed ? 1 : 0;
}
