// SPDX-License-Identifier: MIT
/*
 * The one source of chance of a simulation: the same seed gives the same run.
 */
#ifndef MODEL_RANDOM_H
#define MODEL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* The state of a splitmix64 sequence: any value is a good one. */
struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* 0 .. bound - 1; bound is not 0. */
static inline uint32_t random_below(struct random *random, uint32_t bound)
{
    return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}

/* low .. high, both included. */
static inline uint32_t random_between(struct random *random, uint32_t low, uint32_t high)
{
    return low + random_below(random, high - low + 1);
}

/* True in so many of a thousand cases. */
static inline bool random_chance(struct random *random, uint32_t per_mille)
{
    return random_below(random, 1000) < per_mille;
}

/* One of the values of an array. */
#define RANDOM_ONE(random, array)                                                                  \
    ((array)[random_below((random), (uint32_t)(sizeof(array) / sizeof((array)[0])))])

#endif
