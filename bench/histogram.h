// SPDX-License-Identifier: MIT
/*
 * Latency histograms with fio's buckets: 64 per power of two, 29 powers, error at most 0.78 %.
 *
 * Two forms. While measuring, a latency counts ticks of the clock one by one, which costs a few
 * instructions and no division; long ones, which are rare, go to fio's buckets at once. Afterwards
 * the harts' latencies are merged into one histogram in nanoseconds. The last bucket takes whatever
 * lies above the end too, as fio's does; how many those are is counted beside it.
 */
#ifndef HARTQ_BENCH_HISTOGRAM_H
#define HARTQ_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 6,
    HISTOGRAM_GROUPS = 29,
    HISTOGRAM_BUCKETS = HISTOGRAM_GROUPS << HISTOGRAM_BITS,
    LATENCY_TICKS = 8192, /* counted one by one: 0.8 ms at 10 MHz */
};

/* No bucket holds this or more: 17.2 s. */
#define HISTOGRAM_END_NS (UINT64_C(1) << (HISTOGRAM_BITS + HISTOGRAM_GROUPS - 1))

/* What one hart measures of one direction. Written by that hart only. */
struct latency {
    uint64_t ticks[LATENCY_TICKS];      /* how often each latency of so many ticks was seen */
    uint64_t longer[HISTOGRAM_BUCKETS]; /* the longer ones, by bucket */
    uint64_t beyond;                    /* of these, at HISTOGRAM_END_NS or above */
    uint64_t longer_sum_ns;
    uint64_t longer_max_ns;
    uint64_t longer_min_ns; /* 0: none */
};

/* The result, of any number of harts. */
struct histogram {
    uint64_t bins[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t beyond; /* of these, in the last bucket for want of another */
    uint64_t sum_ns;
    uint64_t min_ns; /* 0 while count is 0 */
    uint64_t max_ns;
};

/* Adds a latency of LATENCY_TICKS or more. Not inline: rare. */
void latency_add_long(struct latency *latency, uint64_t ticks);

/* Adds one latency. */
static inline void latency_add(struct latency *latency, uint64_t ticks)
{
    if (ticks < LATENCY_TICKS) {
        latency->ticks[ticks]++;
    } else {
        latency_add_long(latency, ticks);
    }
}

/* Adds what a hart has measured. */
void histogram_merge(struct histogram *histogram, const struct latency *latency);

/* fio's bucket of a value; the value in a bucket's middle, which names it in fio's JSON. */
uint32_t histogram_bucket(uint64_t ns);
uint64_t histogram_bucket_ns(uint32_t bucket);

#endif
