// SPDX-License-Identifier: MIT
/*
 * Latency histograms with fio's buckets: 64 per power of two, 29 powers, error at most 0.78 %.
 *
 * There are two forms. A measurement counts each latency by its clock ticks, which costs a few
 * instructions and no division. Rare long ones go to fio's buckets at once. Afterwards the harts'
 * latencies are merged into one histogram in nanoseconds. As with fio the last bucket also takes
 * latencies above its end; `beyond` counts them.
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

/* The end of the last bucket: 17.2 s. */
#define HISTOGRAM_END_NS (UINT64_C(1) << (HISTOGRAM_BITS + HISTOGRAM_GROUPS - 1))

/* The latencies of one hart in one direction. Only that hart writes them. */
struct latency {
    uint64_t ticks[LATENCY_TICKS];      /* how often a latency of so many ticks occurred */
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
    uint64_t beyond; /* of these, above the end of the last bucket */
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

/* Adds the latencies of a hart. */
void histogram_merge(struct histogram *histogram, const struct latency *latency);

/* fio's bucket of a value, and the middle of a bucket, which is its name in fio's JSON. */
uint32_t histogram_bucket(uint64_t ns);
uint64_t histogram_bucket_ns(uint32_t bucket);

#endif
