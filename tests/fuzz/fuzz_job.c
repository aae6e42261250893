// SPDX-License-Identifier: MIT
/*
 * The bench's job on any words: the points that it gives are within their limits, each comes once,
 * and a product of lists that is too large is refused in time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "job.h"
#include "tape.h"

enum {
    WORDS = 18,
    TEXT_BYTES = 2048,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the parser prints is not of interest. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return freopen("/dev/null", "w", stdout) != NULL ? 0 : 1;
}

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static bool is_same(const struct job_point *a, const struct job_point *b)
{
    return a->rw == b->rw && a->completion == b->completion && a->bs == b->bs &&
           a->iodepth == b->iodepth && a->batch == b->batch && a->numjobs == b->numjobs &&
           a->rate_iops == b->rate_iops;
}

static void check_point(const struct job *job, uint32_t index)
{
    const struct job_point *point = &job->points[index];
    char name[JOB_NAME_BYTES];

    check(point->rw <= JOB_RANDRW && point->completion <= JOB_LOOPBACK);
    check(point->bs >= 512 && point->bs <= 16 << 20);
    check(point->iodepth >= 1 && point->iodepth <= JOB_IODEPTH_MAX);
    check(point->batch >= 1 && point->batch <= point->iodepth);
    check(point->numjobs >= 1 && point->numjobs <= JOB_HARTS_MAX);
    check(point->rate_iops <= 10000000 && point->process <= JOB_POISSON);
    check(point->rate_iops == 0 || point->completion < JOB_RAW);
    check(point->process == job->rate_process);
    check(index == 0 || !is_same(point, &job->points[index - 1]));
    job_name(point, name);
    check(memchr(name, '\0', sizeof(name)) != NULL && name[0] != '\0');
    check(job_process_word(point->process) != NULL);
    check(job_rw_word(point->rw) != NULL && job_completion_word(point->completion) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct job job;
    struct tape tape = {data, size};
    char text[TEXT_BYTES + 1] = {0};
    char *words[WORDS];
    int count = 0;

    tape_copy(&tape, text, TEXT_BYTES);
    for (char *word = strtok(text, " "); word != NULL && count < WORDS; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    if (job_parse(&job, count, words) && !job.help) {
        check(job.point_count >= 1 && job.point_count <= JOB_POINTS_MAX);
        check(job.rwmixread <= 100 && job.repetitions >= 1 && job.runtime_ns != 0);
        for (uint32_t i = 0; i < job.point_count; i++) {
            check_point(&job, i);
        }
    }
    return 0;
}
