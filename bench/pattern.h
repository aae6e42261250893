// SPDX-License-Identifier: MIT
/*
 * The order of blocks and directions.
 */
#ifndef HARTQ_BENCH_PATTERN_H
#define HARTQ_BENCH_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"
#include "timer.h"

struct pattern {
    uint64_t random;         /* state of the generator */
    uint64_t positions;      /* that a request may begin at */
    uint64_t next_position;  /* of a sequential job */
    uint64_t first_block;    /* of position 0 */
    uint64_t blocks;         /* of each request */
    uint64_t read_threshold; /* a mix: reads if 32 random bits are below */
    bool mixed;
    bool writes; /* all of them, unless mixed */
    bool in_order;
};

/* The first block of the next request. */
static inline uint64_t pattern_next_lba(struct pattern *pattern)
{
    uint64_t position;

    if (pattern->in_order) {
        position = pattern->next_position;
        pattern->next_position = position + 1 == pattern->positions ? 0 : position + 1;
    } else {
        position = time_multiply_high(random_next(&pattern->random), pattern->positions);
    }
    return pattern->first_block + position * pattern->blocks;
}

/* The direction of the next request; call it before the block. */
static inline bool pattern_next_is_write(struct pattern *pattern)
{
    return pattern->mixed ? random_next(&pattern->random) >> 32 >= pattern->read_threshold
                          : pattern->writes;
}

#endif
