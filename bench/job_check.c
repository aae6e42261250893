// SPDX-License-Identifier: MIT
/*
 * Checks combinations of a job's options.
 */
#include <inttypes.h>
#include <stdio.h>

#include "job_internal.h"

bool job_refuse(const char *key, const char *text, const char *why)
{
    printf("error: %s=%s: %s\n", key, text, why);
    return false;
}

/* The same for a value that is no list. */
static bool refuse_value(const char *key, uint64_t value, const char *unit, const char *why)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64 "%s", value, unit);
    return job_refuse(key, text, why);
}

static bool is_mix(unsigned rw_word)
{
    return rw_word == JOB_READWRITE || rw_word >= JOB_RANDRW;
}

static bool has_rate(const struct list lists[JOB_LISTS])
{
    const struct list *rates = &lists[JOB_LIST_RATE];

    for (uint32_t i = 0; i < rates->count; i++) {
        if (rates->values[i].rate_iops != 0) {
            return true;
        }
    }
    return false;
}

/* The reference modes measure the highest speed, so they have no rate. */
static bool check_reference_rates(const struct job *job, const struct list lists[JOB_LISTS])
{
    return !has_rate(lists) ||
           job_refuse("rate_iops", job->lists[JOB_LIST_RATE],
                      "completion=raw and completion=loopback are what device and engine can do "
                      "at most, only 0 goes with them; hint: completion=poll,irq,hybrid");
}

/* The raw ring cannot mix directions at random: its commands are prepared. */
static bool check_raw(const struct job *job, const struct list lists[JOB_LISTS])
{
    const struct list *rw = &lists[0];

    for (uint32_t i = 0; i < rw->count; i++) {
        if (is_mix(rw->values[i].rw)) {
            return job_refuse("rw", job->lists[JOB_LIST_RW],
                              "completion=raw replays commands that were built once: its mix would "
                              "be chance; hint: only reads or only writes, or completion=poll,irq");
        }
    }
    return true;
}

/* A rate must give a start in the window; a rate process needs a rate. */
static bool check_rates(const struct job *job, const struct list lists[JOB_LISTS])
{
    const struct list *rates = &lists[JOB_LIST_RATE];

    for (uint32_t i = 0; i < rates->count; i++) {
        uint64_t rate_iops = rates->values[i].rate_iops;

        if (rate_iops != 0 && rate_iops < (1000 * NS_PER_MS - 1) / job->runtime_ns + 1) {
            return job_refuse(
                "rate_iops", job->lists[JOB_LIST_RATE],
                "a gap is longer than runtime, at most one request would be measured; "
                "hint: a longer runtime, or a higher rate");
        }
    }
    if (job->rate_process != JOB_LINEAR && !has_rate(lists)) {
        return job_refuse("rate_process", job_process_word((enum job_process)job->rate_process),
                          "the closed loop has no gaps; hint: rate_iops=1 to 10000000");
    }
    return true;
}

/* Stamps need the data and the engine. A rate is meaningless while each block is computed. */
static bool check_verify(const struct job *job, const struct list lists[JOB_LISTS], bool reference)
{
    const char *word = job_verify_word(job->verify);

    if (reference) {
        return job_refuse("verify", word,
                          "completion=raw and completion=loopback move no data of their own; hint: "
                          "completion=poll,irq,hybrid");
    }
    return !has_rate(lists) || job_refuse("verify", word, "only with rate_iops=0, the closed loop");
}

/* A pause and a burst belong together, and the window must have room for two of both. */
static bool check_bursts(const struct job *job, const struct list lists[JOB_LISTS], bool reference)
{
    uint64_t cycle_ns = job->thinktime_ns + job->thinktime_iotime_ns;

    if (cycle_ns == 0) {
        return true;
    }
    if (job->thinktime_ns == 0 || job->thinktime_iotime_ns == 0) {
        return refuse_value("thinktime", job->thinktime_ns / 1000, "us",
                            "thinktime and thinktime_iotime go together: the pause and the burst; "
                            "hint: thinktime=20ms thinktime_iotime=50ms");
    }
    if (job->runtime_ns < 2 * cycle_ns) {
        return refuse_value(
            "thinktime", job->thinktime_ns / 1000, "us",
            "two pauses and two bursts do not fit into runtime; hint: a longer one");
    }
    if (reference || has_rate(lists) || job_verifies(job)) {
        return refuse_value("thinktime", job->thinktime_ns / 1000, "us",
                            "only with rate_iops=0, verify=none and completion=poll,irq,hybrid");
    }
    return true;
}

/* Only reads have a latency of their own beside writes; both kinds are posted one by one. */
static bool check_writers(const struct job *job, const struct list lists[JOB_LISTS], bool reference)
{
    const struct list *rw = &lists[JOB_LIST_RW];
    const struct list *depths = &lists[JOB_LIST_IODEPTH];
    const struct list *batches = &lists[JOB_LIST_BATCH];
    bool others = reference || has_rate(lists) || job_verifies(job) || job->thinktime_ns != 0;

    for (uint32_t i = 0; i < rw->count; i++) {
        others = others || (rw->values[i].rw != JOB_READ && rw->values[i].rw != JOB_RANDREAD);
    }
    for (uint32_t i = 0; i < depths->count; i++) {
        others = others || depths->values[i].iodepth + job->writer_iodepth > JOB_IODEPTH_MAX;
    }
    for (uint32_t i = 0; i < batches->count; i++) {
        others = others || batches->values[i].batch != 1;
    }
    if (job->writer_iodepth != 0 && others) {
        return refuse_value(
            "writer_iodepth", job->writer_iodepth, "",
            "only beside rw=read,randread, iodepth_batch_submit=1, rate_iops=0, "
            "verify=none, thinktime=0 and completion=poll,irq,hybrid; with iodepth at "
            "most 1023");
    }
    return true;
}

/* One request after another, in the steady closed loop, in one direction. */
static bool check_callback(const struct job *job, const struct list lists[JOB_LISTS],
                           bool reference)
{
    const struct list *rw = &lists[JOB_LIST_RW];
    const struct list *batches = &lists[JOB_LIST_BATCH];
    bool others = reference || has_rate(lists) || job_verifies(job) || job->thinktime_ns != 0 ||
                  job->writer_iodepth != 0;

    for (uint32_t i = 0; i < rw->count; i++) {
        others = others || is_mix(rw->values[i].rw);
    }
    for (uint32_t i = 0; i < batches->count; i++) {
        others = others || batches->values[i].batch != 1;
    }
    return job->post == 0 || !others ||
           job_refuse("post", "callback",
                      "only with iodepth_batch_submit=1, rate_iops=0, verify=none, thinktime=0, "
                      "writer_iodepth=0, completion=poll,irq,hybrid; only reads or only writes");
}

/* A point that comes twice is left out: its neighbours would be compared with another point. */
static bool check_twins(const struct job *job, const struct list lists[JOB_LISTS],
                        enum job_list number, const char *key)
{
    const struct list *list = &lists[number];

    for (uint32_t i = 1; i < list->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (list->values[i].completion == list->values[j].completion &&
                list->values[i].doorbell == list->values[j].doorbell) {
                return job_refuse(key, job->lists[number], "a value comes twice");
            }
        }
    }
    return true;
}

bool job_check_lists(const struct job *job, const struct list lists[JOB_LISTS])
{
    const struct list *modes = &lists[JOB_LIST_COMPLETION];
    bool raw = false;
    bool reference = false;

    for (uint32_t i = 0; i < modes->count; i++) {
        raw = raw || modes->values[i].completion == JOB_RAW;
        reference = reference || modes->values[i].completion >= JOB_RAW;
    }
    return check_twins(job, lists, JOB_LIST_COMPLETION, "completion") &&
           check_twins(job, lists, JOB_LIST_DOORBELL, "doorbell") &&
           (!raw || check_raw(job, lists)) &&
           (!job_verifies(job) || check_verify(job, lists, reference)) &&
           (!reference || check_reference_rates(job, lists)) && check_rates(job, lists) &&
           check_bursts(job, lists, reference) && check_writers(job, lists, reference) &&
           check_callback(job, lists, reference);
}
