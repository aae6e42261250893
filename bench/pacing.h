// SPDX-License-Identifier: MIT
/*
 * The due times of the open loop's requests: a constant rate, linear (equal gaps) or a Poisson
 * process (exponential gaps). Times have ticks and 2^-32 parts of them, so no rate drifts. It uses
 * neither floating point nor a division per request. Pure: no clock.
 */
#ifndef HARTQ_BENCH_PACING_H
#define HARTQ_BENCH_PACING_H

#include <stdbool.h>
#include <stdint.h>

/* The gaps' factor in fixed point: PACING_ONE is the mean. */
#define PACING_BITS 26
#define PACING_ONE (UINT64_C(1) << PACING_BITS)

struct pacing {
    uint64_t next_ticks;   /* the next due time */
    uint64_t fraction;     /* 2^-32 ticks on top of it, below one tick */
    uint64_t gap_ticks;    /* the mean gap */
    uint64_t gap_fraction; /* 2^-32 ticks on top of it, below one tick */
    uint64_t random;       /* state of the generator, not 0 */
    bool poisson;
};

/* Sets the rate, 1 or more per second of timebase_hz ticks. seed is not 0. */
void pacing_init(struct pacing *pacing, uint64_t timebase_hz, uint64_t rate_iops, bool poisson,
                 uint64_t seed);

/* Sets the first due time: one gap from now, shortened by `part` of `parts`, so that harts with the
 * same rate do not start in step. */
void pacing_start(struct pacing *pacing, uint64_t now_ticks, uint64_t part, uint64_t parts);

/* Adds one gap to next_ticks. */
void pacing_advance(struct pacing *pacing);

/* An exponentially distributed number of mean PACING_ONE; at most 44.4 of it, error below 0.02 %
 * of the mean. `random` is the generator's state. */
uint64_t pacing_exponential(uint64_t *random);

#endif
