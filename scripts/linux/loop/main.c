// SPDX-License-Identifier: MIT
/*
 * uring-loop FILE [TIMEBASE]: 4 KiB random reads through io_uring_cmd in the least loop there is,
 * in the shape of fio's own t/io_uring. FILE is a job file, the answer on stdout has fio's shape.
 *
 * It does what hartq's bench does, step by step: a group of `batch` commands whenever it fits, a
 * wait for `least` completions when none does, and one look at the clock per reap. A latency begins
 * at the look before its group and ends at the look after its reap: the code that counts it is the
 * bench's. Where hartq's doorbell is a store, a group is a system call here. With count=N it counts
 * instructions instead: see windows_count().
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "csr.h"
#include "histogram.h"
#include "job.h"
#include "random.h"
#include "ring.h"
#include "timer.h"

#define TIMEBASE "/proc/device-tree/cpus/timebase-frequency"
#define NS_PER_SECOND UINT64_C(1000000000)

enum {
    SPIN_TURNS = 100000, /* the device looks 500 ns after the doorbell: 500 instructions */
};

/* Instructions of a group. */
struct counts {
    uint64_t submit;
    uint64_t interrupt;
    uint64_t reap;
    uint64_t sum;
};

static const char *const HIPRI[] = {"0", "1", "hybrid"}; /* by enum job_mode */

struct time_scale time_scale;

struct loop {
    struct ring ring;
    const struct job *job;
    uint64_t random;
    uint64_t stamp_ticks; /* the clock at the last reap */
    uint32_t in_flight;
    uint32_t free_count;
    uint32_t free[JOB_DEPTH_MAX];
    uint64_t start_ticks[JOB_DEPTH_MAX]; /* by slot */
    struct latency latency;
};

static struct loop loop;

static void group_post(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = loop.free[--loop.free_count];

        loop.start_ticks[slot] = loop.stamp_ticks;
        ring_post(&loop.ring, slot,
                  time_multiply_high(random_next(&loop.random), loop.ring.positions));
    }
    loop.in_flight += count;
}

static void completions_take(void)
{
    const struct ring_cqe *completion = ring_look(&loop.ring);

    if (completion == NULL) {
        return;
    }
    loop.stamp_ticks = csr_time();
    do {
        uint32_t slot = (uint32_t)completion->user_data;

        if (completion->res != 0) {
            job_fail("a read failed", loop.job->name);
        }
        latency_add(&loop.latency, loop.stamp_ticks - loop.start_ticks[slot]);
        loop.free[loop.free_count++] = slot;
        loop.in_flight--;
        ring_take(&loop.ring);
        completion = ring_look(&loop.ring);
    } while (completion != NULL);
}

/* Reads until the clock shows `end_ticks`, looked at after a reap. */
static void reads_run(uint64_t end_ticks)
{
    uint32_t batch = loop.job->batch, depth = loop.job->depth, least = loop.job->least;

    while (loop.stamp_ticks < end_ticks) {
        uint32_t count = loop.in_flight + batch <= depth ? batch : 0;

        group_post(count);
        ring_enter(&loop.ring, count, loop.in_flight + batch <= depth ? 0 : least);
        completions_take();
    }
}

/* Reaps all that is in flight. A call that polls may return with less than it was asked for. */
static void reads_end(void)
{
    while (loop.in_flight != 0) {
        ring_enter(&loop.ring, 0, loop.in_flight);
        completions_take();
    }
}

static uint64_t ticks_of_ms(uint32_t ms)
{
    return ms * UINT64_C(1000000) / time_scale.whole;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

static void latencies_print(const struct histogram *found)
{
    const char *comma = "";

    printf("\"lat_ns\": {\"min\": %" PRIu64 ", \"max\": %" PRIu64 ", \"mean\": %f, \"N\": %" PRIu64
           ", \"bins\": {",
           found->min_ns, found->max_ns,
           found->count == 0 ? 0.0 : (double)found->sum_ns / (double)found->count, found->count);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (found->bins[i] != 0) {
            printf("%s\"%" PRIu64 "\": %" PRIu64, comma, histogram_bucket_ns(i), found->bins[i]);
            comma = ", ";
        }
    }
    printf("}}");
}

static void window_print(uint64_t ticks, const struct rusage *from, const struct rusage *to)
{
    static struct histogram found;
    const struct job *job = loop.job;
    double seconds = (double)time_ns_from_ticks(ticks) / 1e9;
    double user = seconds_of(to->ru_utime) - seconds_of(from->ru_utime);
    double kernel = seconds_of(to->ru_stime) - seconds_of(from->ru_stime);

    memset(&found, 0, sizeof found);
    histogram_merge(&found, &loop.latency);
    printf("{\"jobname\": \"%s\", \"error\": 0, \"job options\": {\"iodepth\": \"%u\", "
           "\"iodepth_batch_submit\": \"%u\", \"iodepth_batch_complete_min\": \"%u\", "
           "\"hipri\": \"%s\", \"runtime\": \"%ums\"},\n\"read\": {\"io_bytes\": %" PRIu64
           ", \"total_ios\": %" PRIu64 ", \"runtime\": %.3f, \"iops\": %f, ",
           job->name, job->depth, job->batch, job->least, HIPRI[job->mode], job->runtime_ms,
           found.count * JOB_BLOCK_BYTES, found.count, 1e3 * seconds,
           (double)found.count / seconds);
    latencies_print(&found);
    printf("},\n\"job_runtime\": %.0f, \"usr_cpu\": %f, \"sys_cpu\": %f}", 1e3 * seconds,
           100 * user / seconds, 100 * kernel / seconds);
}

/* The ramp, the window, and the end of what is in flight. */
static void job_run(void)
{
    struct rusage from, to;
    uint64_t begin_ticks;

    loop.stamp_ticks = csr_time();
    reads_run(loop.stamp_ticks + ticks_of_ms(loop.job->ramp_ms));
    memset(&loop.latency, 0, sizeof loop.latency);
    getrusage(RUSAGE_SELF, &from);
    begin_ticks = loop.stamp_ticks;
    reads_run(begin_ticks + ticks_of_ms(loop.job->runtime_ms));
    getrusage(RUSAGE_SELF, &to);
    window_print(loop.stamp_ticks - begin_ticks, &from, &to);
    reads_end();
}

/*
 * Spins for SPIN_TURNS; the instructions that this hart executes meanwhile: its own, and those of
 * the interrupts that it takes.
 */
static uint64_t instructions_spin(void)
{
    uint64_t begin = csr_read(instret);

    for (uint32_t turn = 0; turn < SPIN_TURNS; turn++) {
        __asm__ volatile("" : : "r"(turn));
    }
    return csr_read(instret) - begin;
}

/* A window: the call that submits a group, what interrupts then cause, the calls that reap it. */
static void window_count(struct counts *counts, uint64_t spin)
{
    uint64_t begin = csr_read(instret);

    group_post(loop.job->batch);
    ring_enter(&loop.ring, loop.job->batch, 0);
    counts->submit = csr_read(instret) - begin;
    counts->interrupt = instructions_spin() - spin;
    begin = csr_read(instret);
    reads_end();
    counts->reap = csr_read(instret) - begin;
    counts->sum = counts->submit + counts->interrupt + counts->reap;
}

static int counts_compare(const void *left, const void *right)
{
    uint64_t a = ((const struct counts *)left)->sum, b = ((const struct counts *)right)->sum;

    return (a > b) - (a < b);
}

/*
 * Counts `count` windows and prints that with the least instructions, and the median of all. The
 * hart never sleeps in one, because a clock that jumps would count: the device ends the commands
 * while it spins. An interrupt may come during the submitting call too.
 */
static void windows_count(void)
{
    static struct counts counts[COUNT_WINDOWS_MAX];
    uint32_t count = loop.job->count;
    uint64_t spin = UINT64_MAX;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t empty = instructions_spin();

        spin = empty < spin ? empty : spin;
    }
    for (uint32_t i = 0; i < count; i++) {
        window_count(&counts[i], spin);
    }
    qsort(counts, count, sizeof(*counts), counts_compare);
    printf(
        "{\"jobname\": \"%s\", \"error\": 0, \"iodepth\": %u, \"batch\": %u, \"submit\": %" PRIu64
        ", \"interrupt\": %" PRIu64 ", \"reap\": %" PRIu64 ", \"median\": %" PRIu64 "}",
        loop.job->name, loop.job->depth, loop.job->batch, counts[0].submit, counts[0].interrupt,
        counts[0].reap, counts[count / 2].sum);
}

static bool loop_open(const struct job *job)
{
    memset(&loop, 0, sizeof loop);
    loop.job = job;
    loop.random = UINT64_C(0x9e3779b97f4a7c15);
    loop.free_count = job->depth;
    for (uint32_t i = 0; i < job->depth; i++) {
        loop.free[i] = i;
    }
    return ring_open(&loop.ring, job);
}

/* The scale of the clock, from the device tree: big-endian hertz. */
static void clock_open(const char *path)
{
    uint8_t bytes[4];
    uint64_t hertz = 0;
    FILE *file = fopen(path, "rb");

    if (file != NULL && fread(bytes, 1, sizeof bytes, file) == sizeof bytes) {
        hertz = (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 |
                bytes[3];
        fclose(file);
    }
    if (hertz == 0 || NS_PER_SECOND % hertz != 0) {
        job_fail("the clock's frequency is unknown or no divisor of 1 GHz", path);
    }
    time_scale.whole = NS_PER_SECOND / hertz;
}

int main(int argc, char **argv)
{
    static struct job jobs[JOB_COUNT_MAX];
    const char *comma = "";
    uint32_t count;

    if (argc < 2) {
        job_fail("a job file is needed", "usage");
    }
    clock_open(argc > 2 ? argv[2] : TIMEBASE);
    count = job_read(argv[1], jobs);
    printf("{\"fio version\": \"uring-loop\", \"global options\": {\"ioengine\": \"loop\", "
           "\"rw\": \"randread\", \"bs\": \"%d\", \"filename\": \"%s\"},\n\"jobs\": [\n",
           JOB_BLOCK_BYTES, jobs[0].device);
    for (uint32_t i = 0; i < count && loop_open(&jobs[i]); i++) {
        printf("%s", comma);
        if (jobs[i].count != 0) {
            windows_count();
        } else {
            job_run();
        }
        ring_close(&loop.ring);
        comma = ",\n";
    }
    printf("]}\n");
    return 0;
}
