// SPDX-License-Identifier: MIT
/*
 * verify=crc32c: a workload of its own, beside the measured loops. Every logical block that is
 * written carries a stamp (stamp.h); every block that is read is checked; after a point that wrote,
 * each hart reads back all that has been written in its part. Nothing here is tuned.
 *
 * The generation that a block must have is kept in memory, one count per logical block, over all
 * points of the run. A block that this run has not written is checked by jobs that only read, and
 * may have any, as the image of an earlier run has. A position in flight is not used by another
 * request, so each answer has one right value.
 */
#ifndef HARTQ_BENCH_VERIFY_H
#define HARTQ_BENCH_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "stamp.h"

enum {
    VERIFY_BLOCKS_MAX = 1 << 18, /* logical blocks from offset on: 128 MiB of 512 bytes */
    VERIFY_FAILURES_KEPT = 3,    /* of each hart, to be printed */
};

struct worker;

/* A block that is not as it should be. */
struct verify_failure {
    uint64_t lba;
    uint64_t generation; /* expected; 0: any */
    struct stamp found;
    uint32_t crc; /* of what was read */
    enum stamp_verdict verdict;
};

/* What one hart has found, and where its requests are. Written by that hart. */
struct verify {
    uint64_t lbas[JOB_IODEPTH_MAX]; /* by request */
    uint64_t blocks;                /* checked */
    uint64_t failed;
    uint64_t missing; /* of these, without any stamp */
    struct verify_failure failures[VERIFY_FAILURES_KEPT];
};

/* Memory for the generations, taken once on hart 0. False: said on the console. */
bool verify_take_memory(void);

/* The part of the namespace in use is small enough. Prints what is not. */
bool verify_fits(const struct job *job, const struct job_point *point, uint64_t blocks,
                 uint32_t block_bytes);

/* On each hart instead of the measured loop: until the window is over, then the reading back. */
void verify_run(struct worker *worker);
void verify_read_back(struct worker *worker);

/* Prints the first failures of a hart, on hart 0 afterwards. */
void verify_say(const struct worker *worker);

#endif
