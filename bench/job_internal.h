// SPDX-License-Identifier: MIT
/*
 * Shared by job.c and job_check.c: the parsed lists.
 */
#ifndef HARTQ_BENCH_JOB_INTERNAL_H
#define HARTQ_BENCH_JOB_INTERNAL_H

#include "job.h"

#define NS_PER_MS UINT64_C(1000000)

/* One value of each list. */
struct value {
    unsigned rw;
    unsigned completion;
    unsigned doorbell;
    uint64_t bs;
    uint64_t iodepth;
    uint64_t batch;
    uint64_t numjobs;
    uint64_t rate_iops;
};

/* The values of one list; only its own field of each is used. */
struct list {
    struct value values[JOB_VALUES_MAX];
    uint32_t count;
};

/* Prints the error of an option, and returns false. */
bool job_refuse(const char *key, const char *text, const char *why);

/* Checks combinations of the lists' values; prints the first that is not allowed. */
bool job_check_lists(const struct job *job, const struct list lists[JOB_LISTS]);

/* The word of verify=. */
const char *job_verify_word(unsigned verify);

#endif
