// SPDX-License-Identifier: MIT
/*
 * See report.h. Runs on hart 0 after all harts have ended and the measurement is over.
 */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "timer.h"

void report_banner(const struct storage *storage, const struct job *job)
{
    const struct nvme_namespace *ns = &storage->controllers[0].ns;

    printf("{\"hartq_banner\":1,\"controllers\":%" PRIu32 ",\"block_count\":%" PRIu64
           ",\"block_bytes\":%" PRIu32 ",\"delivery\":\"%s\",\"points\":%" PRIu32
           ",\"repetitions\":%" PRIu64 "}\n",
           storage->controller_count, ns->block_count, ns->block_bytes, storage->delivery,
           job->point_count, job->repetitions);
}

/* All harts of a point: reads, writes. */
struct merged {
    struct histogram directions[2];
    uint64_t counted_ios[2]; /* of a loop that takes no latencies */
    struct nvme_counters counters;
    uint64_t runtime_ns;
    uint64_t idle_polls;
    uint64_t late_starts;
    uint64_t stalls;
    uint64_t errors;
    uint32_t in_flight_least;
    uint64_t verified;
    uint64_t verify_failed;
    uint64_t timeline[TIMELINE_INTERVALS];
    uint64_t bursts;
    uint64_t burst_ios[TIMELINE_INTERVALS];
    uint32_t intervals; /* of timeline: those that a hart has begun */
};

/* *sum += end - begin, field by field: the counters are 64-bit numbers and nothing else. */
static void add_counters(struct nvme_counters *sum, const struct nvme_counters *begin,
                         const struct nvme_counters *end)
{
    enum { FIELDS = sizeof(struct nvme_counters) / sizeof(uint64_t) };
    uint64_t values[3][FIELDS];

    memcpy(values[0], sum, sizeof(values[0]));
    memcpy(values[1], begin, sizeof(values[1]));
    memcpy(values[2], end, sizeof(values[2]));
    for (uint32_t i = 0; i < FIELDS; i++) {
        values[0][i] += values[2][i] - values[1][i];
    }
    memcpy(sum, values[0], sizeof(values[0]));
}

/* Requests of a loop that takes no latencies. The raw ring, whose are commands, has no timeline. */
static uint64_t counted_ios(const struct worker *worker)
{
    uint64_t sum = 0;

    if (worker->run->point->completion == JOB_RAW) {
        return worker->window.end.counters.completions - worker->window.begin.counters.completions;
    }
    for (uint32_t i = 0; i < TIMELINE_INTERVALS; i++) {
        sum += worker->window.timeline.ios[i];
    }
    return sum;
}

static void merge_worker(struct merged *merged, const struct worker *worker)
{
    enum job_rw rw = worker->run->point->rw;
    uint32_t intervals = timeline_intervals(&worker->window.timeline);
    uint64_t runtime_ns = time_ns_from_ticks(worker->window.end.ticks - worker->window.begin.ticks);

    for (uint32_t i = 0; i < 2; i++) {
        histogram_merge(&merged->directions[i], &worker->window.measured[i]);
    }
    if (job_only_counts(worker->run->point)) {
        merged->counted_ios[rw == JOB_WRITE || rw == JOB_RANDWRITE] += counted_ios(worker);
    }
    add_counters(&merged->counters, &worker->window.begin.counters, &worker->window.end.counters);
    merged->runtime_ns = runtime_ns > merged->runtime_ns ? runtime_ns : merged->runtime_ns;
    merged->idle_polls += worker->window.end.idle_polls - worker->window.begin.idle_polls;
    merged->late_starts += worker->window.end.late_starts - worker->window.begin.late_starts;
    merged->stalls += worker->window.stalls;
    merged->errors += worker->errors;
    if (worker->loop.in_flight_least < merged->in_flight_least) {
        merged->in_flight_least = worker->loop.in_flight_least;
    }
    merged->verified += worker->verify.blocks;
    merged->verify_failed += worker->verify.failed;
    merged->bursts += worker->bursts.count;
    for (uint32_t i = 0; i < TIMELINE_INTERVALS; i++) {
        merged->timeline[i] += worker->window.timeline.ios[i];
        merged->burst_ios[i] += worker->bursts.ios[i];
    }
    merged->intervals = intervals > merged->intervals ? intervals : merged->intervals;
}

static void print_direction(const char *name, const struct merged *merged, uint32_t direction,
                            uint32_t bs)
{
    const struct histogram *histogram = &merged->directions[direction];
    uint64_t ios = histogram->count + merged->counted_ios[direction];
    const char *comma = "";

    printf(",\"%s\":{\"total_ios\":%" PRIu64 ",\"io_bytes\":%" PRIu64
           ",\"lat_ns\":{\"min\":%" PRIu64 ",\"max\":%" PRIu64 ",\"sum\":%" PRIu64 ",\"N\":%" PRIu64
           ",\"beyond\":%" PRIu64 ",\"bins\":{",
           name, ios, ios * bs, histogram->min_ns, histogram->max_ns, histogram->sum_ns,
           histogram->count, histogram->beyond);
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        if (histogram->bins[bucket] != 0) {
            printf("%s\"%" PRIu64 "\":%" PRIu64, comma, histogram_bucket_ns(bucket),
                   histogram->bins[bucket]);
            comma = ",";
        }
    }
    printf("}}}");
}

static void print_counters(const struct nvme_counters *counters)
{
    printf(",\"counters\":{\"posts\":%" PRIu64 ",\"completions\":%" PRIu64 ",\"reaps\":%" PRIu64
           ",\"reap_calls\":%" PRIu64 ",\"sq_doorbells\":%" PRIu64 ",\"cq_doorbells\":%" PRIu64,
           counters->posts, counters->completions, counters->reaps, counters->reap_calls,
           counters->sq_doorbells, counters->cq_doorbells);
    printf(",\"interrupts\":%" PRIu64 ",\"spurious\":%" PRIu64 ",\"late\":%" PRIu64
           ",\"missed\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"malformed\":%" PRIu64
           ",\"rerings\":%" PRIu64,
           counters->interrupts, counters->spurious, counters->late, counters->missed,
           counters->stale, counters->malformed, counters->rerings);
    printf(",\"waits_spun\":%" PRIu64 ",\"waits_slept\":%" PRIu64 ",\"empty_looks\":%" PRIu64
           ",\"policy_switches\":%" PRIu64 "}",
           counters->waits_spun, counters->waits_slept, counters->empty_looks,
           counters->policy_switches);
}

/*
 * Intervals that the window has not reached, because it ended early, are no gaps. The raw ring
 * looks at the clock too rarely to tell of intervals and stalls.
 */
static void print_times(const struct run *run, const struct merged *merged)
{
    uint64_t step_ns = time_ns_from_ticks(timeline_step(run->runtime_ticks));

    if (run->point->completion == JOB_RAW) {
        return;
    }
    printf(",\"timeline\":{\"interval_ns\":%" PRIu64 ",\"ios\":[", step_ns);
    for (uint32_t i = 0; i < merged->intervals; i++) {
        printf("%s%" PRIu64, i == 0 ? "" : ",", merged->timeline[i]);
    }
    printf("]},\"stalls_over_10ms\":%" PRIu64, merged->stalls);
}

static void print_head(const struct run *run, const char *delivery, uint64_t runtime_ns)
{
    const struct job_point *point = run->point;
    char name[JOB_NAME_BYTES];

    job_name(point, name);
    printf("{\"hartq_bench\":1,\"point\":%" PRIu32 ",\"repetition\":%" PRIu32 ",\"jobname\":\"%s\"",
           run->point_number, run->repetition, name);
    printf(",\"job options\":{\"rw\":\"%s\",\"bs\":\"%" PRIu32 "\",\"iodepth\":\"%" PRIu32
           "\",\"iodepth_batch_submit\":\"%" PRIu32 "\",\"numjobs\":\"%" PRIu32
           "\",\"doorbell\":\"%s\",\"completion\":\"%s\"",
           job_rw_word(point->rw), point->bs, point->iodepth, point->batch, point->numjobs,
           job_doorbell_word(point->doorbell), job_completion_word(point->completion));
    if (point->writers != 0) {
        printf(",\"writer_iodepth\":\"%" PRIu32 "\"", point->writers);
    }
    if (point->callback) {
        printf(",\"post\":\"callback\"");
    }
    if (point->bursts) {
        printf(",\"thinktime\":\"%" PRIu64 "us\",\"thinktime_iotime\":\"%" PRIu64 "us\"",
               run->job->thinktime_ns / 1000, run->job->thinktime_iotime_ns / 1000);
    }
    if (point->rate_iops != 0) {
        printf(",\"rate_iops\":\"%" PRIu32 "\",\"rate_process\":\"%s\"", point->rate_iops,
               job_process_word(point->process));
    }
    printf("},\"delivery\":\"%s\",\"harts\":%" PRIu32 ",\"runtime_ns\":%" PRIu64, delivery,
           run->harts, runtime_ns);
}

/* How the harts waited, and the IOPS of each way before. */
static void print_raw(const struct job_point *point)
{
    const char *comma = "";

    printf(",\"raw_wait\":\"%s\",\"raw_waits\":{", raw_wait_word(point->raw_wait));
    for (uint32_t i = 0; i < RAW_WAITS; i++) {
        if (point->raw_iops[i] != 0) {
            printf("%s\"%s\":%" PRIu64, comma, raw_wait_word((enum raw_wait)i), point->raw_iops[i]);
            comma = ",";
        }
    }
    printf("}");
}

/* Completions of all bursts and harts, by the time since a burst began. */
static void print_bursts(const struct job *job, const struct merged *merged)
{
    printf(",\"bursts\":{\"count\":%" PRIu64 ",\"interval_ns\":%" PRIu64 ",\"ios\":[",
           merged->bursts,
           time_ns_from_ticks(timeline_step(worker_ticks_from_ns(job->thinktime_iotime_ns))));
    for (uint32_t i = 0; i < TIMELINE_INTERVALS; i++) {
        printf("%s%" PRIu64, i == 0 ? "" : ",", merged->burst_ios[i]);
    }
    printf("]}");
}

void report_point(const struct run *run, const struct worker *workers, const char *delivery)
{
    static struct merged merged;

    memset(&merged, 0, sizeof(merged));
    merged.in_flight_least = run->point->iodepth;
    for (uint32_t i = 0; i < run->harts; i++) {
        merge_worker(&merged, &workers[i]);
    }
    print_head(run, delivery, merged.runtime_ns);
    print_direction("read", &merged, 0, run->point->bs);
    print_direction("write", &merged, 1, run->point->writers != 0 ? JOB_WRITER_BS : run->point->bs);
    print_counters(&merged.counters);
    print_times(run, &merged);
    printf(",\"idle_polls\":%" PRIu64 ",\"idle_ns\":[", merged.idle_polls);
    for (uint32_t i = 0; i < run->harts; i++) {
        printf("%s%" PRIu64, i == 0 ? "" : ",",
               workers[i].window.end.idle_ns - workers[i].window.begin.idle_ns);
    }
    printf("]");
    if (run->point->rate_iops != 0) {
        printf(",\"late_starts\":%" PRIu64, merged.late_starts);
    } else if (!job_only_counts(run->point) && !run->point->bursts && run->point->writers == 0 &&
               !job_verifies(run->job)) {
        printf(",\"in_flight_least\":%" PRIu32, merged.in_flight_least);
    }
    if (run->point->bursts) {
        print_bursts(run->job, &merged);
    }
    if (job_verifies(run->job)) {
        printf(",\"verify\":{\"blocks\":%" PRIu64 ",\"failed\":%" PRIu64 "}", merged.verified,
               merged.verify_failed);
    }
    if (run->point->completion == JOB_RAW) {
        print_raw(run->point);
    }
    printf(",\"errors\":%" PRIu64 "}\n", merged.errors);
}
