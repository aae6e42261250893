// SPDX-License-Identifier: MIT
/*
 * verify=crc32c: a workload that checks data. Every block that is written has a stamp (stamp.h),
 * and every block that is read is checked. After a point that wrote, each hart reads back all
 * written blocks of its part. This code is not tuned for speed.
 *
 * Memory has the expected generation of each logical block, over all points of the run. A block
 * that this run has not written may have any generation, for example that of an earlier run; only
 * jobs that do not write check it. No two requests use one position at a time, so each read has one
 * right answer.
 */
#ifndef HARTQ_BENCH_VERIFY_H
#define HARTQ_BENCH_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "stamp.h"

enum {
    VERIFY_BLOCKS_MAX = 1 << 18, /* logical blocks from offset on: 128 MiB of 512 bytes */
    VERIFY_FAILURES_KEPT = 3,    /* of each hart, for messages */
};

struct worker;

/* A wrong block. */
struct verify_failure {
    uint64_t lba;
    uint64_t generation; /* expected; 0: any */
    struct stamp found;
    uint32_t crc; /* of what was read */
    enum stamp_verdict verdict;
};

/* The findings of one hart, and the LBAs of its requests. Only that hart writes it. */
struct verify {
    uint64_t lbas[JOB_IODEPTH_MAX]; /* by request */
    uint64_t blocks;                /* checked */
    uint64_t failed;
    uint64_t missing; /* of these, without any stamp */
    struct verify_failure failures[VERIFY_FAILURES_KEPT];
};

/* Takes the memory for the generations, once, on hart 0. False: an error was printed. */
bool verify_take_memory(void);

/* Checks that the used part of the namespace is small enough, else prints an error. */
bool verify_fits(const struct job *job, const struct job_point *point, uint64_t blocks,
                 uint32_t block_bytes);

/* Runs on each hart in place of the measured loop, until the window ends; then it reads back. */
void verify_run(struct worker *worker);
void verify_read_back(struct worker *worker);

/* Prints the first failures of a hart. Context: hart 0, after the point. */
void verify_print(const struct worker *worker);

#endif
