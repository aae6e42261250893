// SPDX-License-Identifier: MIT
/*
 * See job.h.
 */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options with one meaning here: so it is always done, or it says what has no use in this loop. */
static const char *const SETTLED[] = {
    "ioengine=loop", "rw=randread",     "bs=4096",      "thread=1",
    "norandommap=1", "randrepeat=0",    "time_based=1", "cmd_type=nvme",
    "stonewall",     "registerfiles=1", "fixedbufs=1",
};

_Noreturn void job_fail(const char *what, const char *which)
{
    fprintf(stderr, "uring-loop: %s: %s\n", which, what);
    exit(1);
}

static bool is_settled(const char *line)
{
    for (size_t i = 0; i < sizeof(SETTLED) / sizeof(*SETTLED); i++) {
        if (strcmp(line, SETTLED[i]) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t number_parse(const char *line, const char *value, const char *unit, uint32_t most)
{
    char *end;
    unsigned long number = strtoul(value, &end, 10);

    if (end == value || strcmp(end, unit) != 0 || number > most) {
        job_fail("a number with its unit, not above the limit, is needed", line);
    }
    return (uint32_t)number;
}

static enum job_mode mode_parse(const char *line, const char *value)
{
    if (strcmp(value, "1") == 0) {
        return JOB_POLLED;
    }
    if (strcmp(value, "hybrid") != 0) {
        job_fail("hipri is 1 or hybrid", line);
    }
    return JOB_HYBRID;
}

static void text_copy(char *to, const char *from)
{
    if (strlen(from) >= JOB_NAME_BYTES) {
        job_fail("the text is too long", from);
    }
    strcpy(to, from);
}

static bool option_is(const char *line, const char *name, const char **value)
{
    size_t length = strlen(name);

    *value = line + length;
    return strncmp(line, name, length) == 0;
}

static void option_take(struct job *job, const char *line)
{
    const char *value;

    if (option_is(line, "iodepth=", &value)) {
        job->depth = number_parse(line, value, "", JOB_DEPTH_MAX);
    } else if (option_is(line, "iodepth_batch_submit=", &value)) {
        job->batch = number_parse(line, value, "", JOB_DEPTH_MAX);
    } else if (option_is(line, "iodepth_batch_complete_min=", &value)) {
        job->least = number_parse(line, value, "", JOB_DEPTH_MAX);
    } else if (option_is(line, "ramp_time=", &value)) {
        job->ramp_ms = number_parse(line, value, "ms", 1000000);
    } else if (option_is(line, "runtime=", &value)) {
        job->runtime_ms = number_parse(line, value, "ms", 1000000);
    } else if (option_is(line, "iodepth_batch_complete_max=", &value)) {
        (void)number_parse(line, value, "", JOB_DEPTH_MAX); /* a reap takes all that is there */
    } else if (option_is(line, "count=", &value)) {
        job->count = number_parse(line, value, "", COUNT_WINDOWS_MAX);
    } else if (option_is(line, "hipri=", &value)) {
        job->mode = mode_parse(line, value);
    } else if (option_is(line, "filename=", &value)) {
        text_copy(job->device, value);
    } else if (!is_settled(line)) {
        job_fail("the loop has no such option", line);
    }
}

static void job_check(const struct job *job)
{
    if (job->batch == 0 || job->batch > job->depth || job->least == 0 || job->least > job->depth ||
        job->runtime_ms == 0 || job->device[0] == '\0') {
        job_fail("filename, runtime, and batches of 1 to iodepth are needed", job->name);
    }
}

/* A line `[name]`: the next job, with what [global] says. */
static uint32_t section_begin(char *line, const struct job *global, struct job *jobs,
                              uint32_t count)
{
    line[strlen(line) - 1] = '\0';
    if (strcmp(line, "[global") == 0) {
        return count;
    }
    if (count == JOB_COUNT_MAX) {
        job_fail("too many jobs", line);
    }
    jobs[count] = *global;
    text_copy(jobs[count].name, line + 1);
    return count + 1;
}

uint32_t job_read(const char *path, struct job *jobs)
{
    struct job global = {.depth = 1, .batch = 1, .least = 1};
    FILE *file = fopen(path, "r");
    uint32_t count = 0;
    char line[128];

    if (file == NULL) {
        job_fail("the job file cannot be read", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '[') {
            count = section_begin(line, &global, jobs, count);
        } else if (line[0] != '\0') {
            option_take(count == 0 ? &global : &jobs[count - 1], line);
        }
    }
    fclose(file);
    for (uint32_t i = 0; i < count; i++) {
        job_check(&jobs[i]);
    }
    return count;
}
