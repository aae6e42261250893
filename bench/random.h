// SPDX-License-Identifier: MIT
/*
 * The bench's generator: Marsaglia, "Xorshift RNGs" (2003): three shifts, no constants to load.
 */
#ifndef HARTQ_BENCH_RANDOM_H
#define HARTQ_BENCH_RANDOM_H

#include <stdint.h>

/* Advances the state and returns it: 64 random bits. It is never 0 if the first is not. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
