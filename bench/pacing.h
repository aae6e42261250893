// SPDX-License-Identifier: MIT
/*
 * When the requests of the open loop are meant to start: at a constant rate, linear (equal gaps) or
 * as a Poisson process (exponential gaps). Ticks and 2^-32 parts of them, so that no rate drifts.
 * Neither floating point nor a division per request. Pure: no clock.
 */
#ifndef HARTQ_BENCH_PACING_H
#define HARTQ_BENCH_PACING_H

#include <stdbool.h>
#include <stdint.h>

/* The fixed point of the gaps' factor: PACING_ONE is the mean. */
#define PACING_BITS 26
#define PACING_ONE (UINT64_C(1) << PACING_BITS)

struct pacing {
    uint64_t next_ticks;   /* the next intended start */
    uint64_t fraction;     /* 2^-32 ticks on top of it, below one tick */
    uint64_t gap_ticks;    /* the mean gap */
    uint64_t gap_fraction; /* 2^-32 ticks on top of it, below one tick */
    uint64_t random;       /* state of the generator, not 0 */
    bool poisson;
};

/* Sets the rate, 1 or more per second of timebase_hz ticks. seed is not 0. */
void pacing_init(struct pacing *pacing, uint64_t timebase_hz, uint64_t rate_iops, bool poisson,
                 uint64_t seed);

/* Fixes the first intended start: one gap from now, or what is left of it after `part` of `parts`,
 * so that harts with the same rate do not start in step. */
void pacing_start(struct pacing *pacing, uint64_t now_ticks, uint64_t part, uint64_t parts);

/* Moves next_ticks one gap on. */
void pacing_advance(struct pacing *pacing);

/* An exponentially distributed number of mean PACING_ONE; at most 44.4 of it, error below 0.02 %
 * of the mean. `random` is the generator's state. */
uint64_t pacing_exponential(uint64_t *random);

#endif
