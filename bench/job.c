// SPDX-License-Identifier: MIT
/*
 * See job.h. In the run's table a list is a string. The table of one value parses each of its
 * values, so that ranges, words and error texts exist once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "job_internal.h"
#include "options.h"

enum {
    BS_MIN = 512,
    BS_MAX = 16 * 1024 * 1024,
    LIST_BYTES_MAX = 200,
    LINE_BYTES = 256,
    RATE_MAX = 10000000,
    COMBINATIONS_MAX = 65536, /* each is compared with all points before it */
};

#define TERABYTES (UINT64_C(1) << 50)
#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_HOUR UINT64_C(3600000000000)

/* fio knows a mix by two names. */
static const char *const rw_words[] = {"read",      "write",  "rw",        "randread",
                                       "randwrite", "randrw", "readwrite", NULL};
static const char *const completion_words[] = {"poll", "irq", "hybrid", "raw", "loopback", NULL};
static const char *const doorbell_words[] = {"each", "clocked", "shadow",
                                             NULL}; /* enum job_doorbell */
static const char *const post_words[] = {"loop", "callback", NULL};
static const char *const process_words[] = {"linear", "poisson", NULL};
/* fio names the checksum; every other word is on. */
static const char *const verify_words[] = {"none", "crc32c", "0", "1", NULL};

static const struct value value_defaults = {
    .rw = JOB_RANDREAD,
    .completion = JOB_POLL,
    .doorbell = JOB_CLOCKED,
    .bs = 4096,
    .iodepth = 1,
    .batch = 1,
    .numjobs = 1,
};

/* Outermost loop first; the same order as job->lists. */
static const struct option value_options[JOB_LISTS] = {
    OPTION_WORD("rw", struct value, rw, rw_words, "what to do; a list"),
    OPTION_UNSIGNED("numjobs", struct value, numjobs, 1, JOB_HARTS_MAX, "harts; a list"),
    OPTION_UNSIGNED("bs", struct value, bs, BS_MIN, BS_MAX, "bytes of a request; a list"),
    OPTION_UNSIGNED("iodepth", struct value, iodepth, 1, JOB_IODEPTH_MAX,
                    "requests in flight per hart; a list"),
    OPTION_UNSIGNED("iodepth_batch_submit", struct value, batch, 0, JOB_IODEPTH_MAX,
                    "most requests of a submit, 0: iodepth; a list"),
    OPTION_UNSIGNED("rate_iops", struct value, rate_iops, 0, RATE_MAX,
                    "requests started per second and hart, 0 is the closed loop; a list"),
    OPTION_WORD("doorbell", struct value, doorbell, doorbell_words,
                "submission doorbell: at each submit, once the one before is fetched, or at each "
                "submit in memory, but for raw and loopback; a list"),
    OPTION_WORD(
        "completion", struct value, completion, completion_words,
        "how completions are found; raw is the bare device, loopback the bare engine; a list"),
};
static const struct option_table value_table = {value_options, JOB_LISTS};

static const struct option run_options[] = {
    OPTION_STRING("rw", struct job, lists[JOB_LIST_RW], LIST_BYTES_MAX, ""),
    OPTION_STRING("numjobs", struct job, lists[JOB_LIST_NUMJOBS], LIST_BYTES_MAX, ""),
    OPTION_STRING("bs", struct job, lists[JOB_LIST_BS], LIST_BYTES_MAX, ""),
    OPTION_STRING("iodepth", struct job, lists[JOB_LIST_IODEPTH], LIST_BYTES_MAX, ""),
    OPTION_STRING("iodepth_batch_submit", struct job, lists[JOB_LIST_BATCH], LIST_BYTES_MAX, ""),
    OPTION_STRING("rate_iops", struct job, lists[JOB_LIST_RATE], LIST_BYTES_MAX, ""),
    OPTION_STRING("doorbell", struct job, lists[JOB_LIST_DOORBELL], LIST_BYTES_MAX, ""),
    OPTION_STRING("completion", struct job, lists[JOB_LIST_COMPLETION], LIST_BYTES_MAX, ""),
    OPTION_WORD("rate_process", struct job, rate_process, process_words,
                "gaps between the starts of rate_iops: equal, or exponential"),
    OPTION_UNSIGNED("iodepth_batch_complete_min", struct job, complete_min, 0, JOB_IODEPTH_MAX,
                    "completions to wait for before posting again, 0 is iodepth_batch_submit"),
    OPTION_UNSIGNED("iodepth_batch_complete_max", struct job, complete_max, 0, JOB_IODEPTH_MAX,
                    "most completions of one reap, 0 is all"),
    OPTION_WORD("post", struct job, post, post_words,
                "who posts the next request: the loop, or its callback, which takes no latencies"),
    OPTION_TIME("runtime", struct job, runtime_ns, NS_PER_MS, NS_PER_HOUR, "measured time"),
    OPTION_TIME("ramp_time", struct job, ramp_ns, 0, NS_PER_HOUR, "time before it"),
    OPTION_TIME("thinktime", struct job, thinktime_ns, 0, NS_PER_HOUR,
                "pause before each burst of requests, 0 is no burst"),
    OPTION_TIME("thinktime_iotime", struct job, thinktime_iotime_ns, 0, NS_PER_HOUR,
                "length of a burst, with thinktime"),
    OPTION_UNSIGNED("writer_iodepth", struct job, writer_iodepth, 0, JOB_IODEPTH_MAX,
                    "writes of 128 KiB in flight beside, on the last hart if there are several"),
    OPTION_UNSIGNED("number_ios", struct job, number_ios, 0, UINT32_MAX,
                    "requests of each hart that end the measured time, 0 is no such end"),
    OPTION_UNSIGNED("offset", struct job, offset, 0, TERABYTES, "first byte used"),
    OPTION_UNSIGNED("size", struct job, size, 0, TERABYTES, "bytes used, 0 is to the end"),
    OPTION_UNSIGNED("randseed", struct job, randseed, 0, INT64_MAX, "seed of the first hart"),
    OPTION_UNSIGNED("rwmixread", struct job, rwmixread, 0, 100, "per cent of reads in a mix"),
    OPTION_WORD("verify", struct job, verify, verify_words,
                "stamp blocks that are written and check those that are read; not for speed"),
    OPTION_UNSIGNED("repetitions", struct job, repetitions, 1, 1000, "how often all is measured"),
    OPTION_TIME("timeout", struct job, timeout_ns, NS_PER_SECOND, NS_PER_HOUR,
                "deadline of a command"),
    OPTION_UNSIGNED("resets", struct job, resets, 0, 255,
                    "resets in a row before a controller fails; what it had is tried again"),
    OPTION_STRING("controller", struct job, controller, 7, "PCI address: 00:02.0"),
    OPTION_STRING("serial", struct job, serial, 20, "serial number of the controllers"),
    OPTION_FLAG("help", struct job, help, "1 prints this"),
};
static const struct option_table run_table = {run_options,
                                              sizeof(run_options) / sizeof(run_options[0])};

const char *job_rw_word(enum job_rw rw)
{
    return rw_words[rw];
}

const char *job_completion_word(enum job_completion completion)
{
    return completion_words[completion];
}

const char *job_doorbell_word(enum job_doorbell doorbell)
{
    return doorbell_words[doorbell];
}

enum nvme_mode job_queue_mode(const struct job_point *point)
{
    switch (point->completion) {
    case JOB_IRQ:
        return NVME_MODE_INTERRUPT;
    case JOB_HYBRID:
        return NVME_MODE_HYBRID;
    case JOB_RAW:
        return point->raw_wait == RAW_SLEEP ? NVME_MODE_INTERRUPT : NVME_MODE_POLL;
    default:
        return NVME_MODE_POLL;
    }
}

const char *job_verify_word(unsigned verify)
{
    return verify_words[verify];
}

const char *job_process_word(enum job_process process)
{
    return process_words[process];
}

void job_name(const struct job_point *point, char name[JOB_NAME_BYTES])
{
    char harts[16] = "";
    char rate[32] = "";
    char rule[16] = "";
    uint32_t bs = point->bs;
    const char *unit = "";

    if (bs % 1024 == 0) {
        unit = bs % (1024 * 1024) == 0 ? "m" : "k";
        bs = bs % (1024 * 1024) == 0 ? bs / (1024 * 1024) : bs / 1024;
    }
    if (point->numjobs > 1) {
        snprintf(harts, sizeof(harts), "-h%" PRIu32, point->numjobs);
    }
    if (point->rate_iops != 0) {
        snprintf(rate, sizeof(rate), "-r%" PRIu32 "%s", point->rate_iops,
                 point->process == JOB_POISSON ? "-poisson" : "");
    }
    if (point->doorbell != JOB_CLOCKED) {
        snprintf(rule, sizeof(rule), "-%s", job_doorbell_word(point->doorbell));
    }
    snprintf(name, JOB_NAME_BYTES, "%s-%" PRIu32 "%s-qd%" PRIu32 "-b%" PRIu32 "%s%s%s-%s%s",
             job_rw_word(point->rw), bs, unit, point->iodepth, point->batch, harts, rate,
             point->writers != 0 ? "-beside"
             : point->bursts     ? "-step"
             : point->callback   ? "-callback"
                                 : "",
             job_completion_word(point->completion), rule);
}

static void print_help(const struct job *job)
{
    char line[LINE_BYTES];

    for (size_t i = 0; i < JOB_LISTS; i++) {
        option_describe(&value_options[i], &value_defaults, line, sizeof(line));
        printf("%s\n", line);
    }
    for (size_t i = JOB_LISTS; i < run_table.count; i++) {
        option_describe(&run_options[i], job, line, sizeof(line));
        printf("%s\n", line);
    }
}

/* ---- The product ---------------------------------------------------------------------- */

/* Parses one value of a list, text[0 .. length - 1]. */
static bool parse_value(const char *key, const char *text, size_t length, struct value *value)
{
    char word[OPTION_KEY_MAX + LIST_BYTES_MAX + 2];
    char error[OPTION_ERROR_BYTES];
    char *words[] = {word};

    snprintf(word, sizeof(word), "%s=%.*s", key, (int)length, text);
    if (!options_parse(&value_table, 1, words, value, error, sizeof(error))) {
        printf("error: %s\n", error);
        return false;
    }
    return true;
}

static bool parse_list(const char *key, const char *text, struct list *list)
{
    list->count = 0;
    if (text == NULL) {
        list->values[list->count++] = value_defaults;
        return true;
    }
    for (const char *next = text; next != NULL;) {
        size_t length = strcspn(next, ",");

        if (list->count == JOB_VALUES_MAX) {
            return job_refuse(key, text, "more than 16 values");
        }
        list->values[list->count] = value_defaults;
        if (!parse_value(key, next, length, &list->values[list->count++])) {
            return false;
        }
        next = next[length] == ',' ? next + length + 1 : NULL;
    }
    return true;
}

/* True if the point is valid and new. A batch is at most the depth; references know registers. */
static bool is_new_point(const struct job *job, const struct job_point *point)
{
    if (point->batch > point->iodepth ||
        (point->doorbell == JOB_SHADOW && point->completion >= JOB_RAW)) {
        return false;
    }
    for (uint32_t i = 0; i < job->point_count; i++) {
        const struct job_point *old = &job->points[i];

        if (old->rw == point->rw && old->numjobs == point->numjobs && old->bs == point->bs &&
            old->iodepth == point->iodepth && old->batch == point->batch &&
            old->rate_iops == point->rate_iops && old->doorbell == point->doorbell &&
            old->completion == point->completion) {
            return false;
        }
    }
    return true;
}

/* The point of one position in the product; the last list varies fastest. */
static struct job_point point_at(const struct job *job, const struct list lists[JOB_LISTS],
                                 uint64_t position)
{
    const struct value *values[JOB_LISTS];
    struct job_point point;
    unsigned rw;

    for (uint32_t i = JOB_LISTS; i-- > 0;) {
        values[i] = &lists[i].values[position % lists[i].count];
        position /= lists[i].count;
    }
    rw = values[JOB_LIST_RW]->rw;
    point = (struct job_point){
        .rw = rw > JOB_RANDRW ? JOB_READWRITE : (enum job_rw)rw,
        .numjobs = (uint32_t)values[JOB_LIST_NUMJOBS]->numjobs,
        .bs = (uint32_t)values[JOB_LIST_BS]->bs,
        .iodepth = (uint32_t)values[JOB_LIST_IODEPTH]->iodepth,
        .batch = (uint32_t)values[JOB_LIST_BATCH]->batch,
        .rate_iops = (uint32_t)values[JOB_LIST_RATE]->rate_iops,
        .process = (enum job_process)job->rate_process,
        .writers = (uint32_t)job->writer_iodepth,
        .bursts = job->thinktime_ns != 0,
        .callback = job->post != 0,
        .doorbell = (enum job_doorbell)values[JOB_LIST_DOORBELL]->doorbell,
        .completion = (enum job_completion)values[JOB_LIST_COMPLETION]->completion,
    };
    if (point.batch == 0) {
        point.batch = point.iodepth;
    }
    return point;
}

static bool build_points(struct job *job, const struct list lists[JOB_LISTS])
{
    const uint32_t neighbours = lists[JOB_LIST_DOORBELL].count * lists[JOB_LIST_COMPLETION].count;
    uint64_t left_out = 0;
    uint64_t product = 1;

    for (uint32_t i = 0; i < JOB_LISTS; i++) {
        product *= lists[i].count;
    }
    if (product > COMBINATIONS_MAX) {
        printf("error: the lists give %" PRIu64 " combinations, at most %d\n", product,
               (int)COMBINATIONS_MAX);
        return false;
    }
    for (uint64_t position = 0; position < product; position++) {
        struct job_point point = point_at(job, lists, position);

        if (!is_new_point(job, &point)) {
            left_out++;
        } else if (job->point_count == JOB_POINTS_MAX) {
            printf("error: the lists give more than %d points\n", (int)JOB_POINTS_MAX);
            return false;
        } else {
            job->points[job->point_count++] = point;
        }
        /* Of the first that are left; all others are as many. */
        if (job->mode_count == 0 && (position + 1) % neighbours == 0) {
            job->mode_count = job->point_count;
        }
    }
    if (job->point_count == 0) {
        printf("error: no point is left: iodepth_batch_submit is above iodepth (1 to iodepth, or "
               "0), or doorbell=shadow has raw or loopback alone (hint: doorbell=each)\n");
        return false;
    }
    if (left_out != 0) {
        printf("note: %" PRIu64 " of %" PRIu64 " combinations left out: the batch is above the "
               "depth, they come twice, or raw or loopback would have doorbell=shadow\n",
               left_out, product);
    }
    return true;
}

bool job_parse(struct job *job, int argc, char *const argv[])
{
    static struct list lists[JOB_LISTS];
    char error[OPTION_ERROR_BYTES];

    *job = (struct job){
        .runtime_ns = 1000 * NS_PER_MS,
        .ramp_ns = 100 * NS_PER_MS,
        .randseed = 1,
        .rwmixread = 50,
        .complete_min = 1,
        .repetitions = 1,
        .timeout_ns = NVME_COMMAND_TIMEOUT_DEFAULT_NS,
    };
    if (argc > 0 && strcmp(argv[0], "help") == 0) {
        print_help(job);
        job->help = true;
        return true;
    }
    if (!options_parse(&run_table, argc, argv, job, error, sizeof(error))) {
        printf("error: %s; hint: bench help\n", error);
        return false;
    }
    if (job->help) {
        print_help(job);
        return true;
    }
    for (uint32_t i = 0; i < JOB_LISTS; i++) {
        if (!parse_list(value_options[i].key, job->lists[i], &lists[i])) {
            return false;
        }
    }
    return job_check_lists(job, lists) && build_points(job, lists);
}
