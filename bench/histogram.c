// SPDX-License-Identifier: MIT
/*
 * See histogram.h. The buckets are those of fio's stat.h and stat.c (plat_val_to_idx and back).
 */
#include "histogram.h"

#include "timer.h"

uint32_t histogram_bucket(uint64_t ns)
{
    uint32_t top_bit = ns == 0 ? 0 : 63 - (uint32_t)__builtin_clzll(ns);
    uint32_t dropped, bucket;

    if (top_bit <= HISTOGRAM_BITS) {
        return (uint32_t)ns;
    }
    dropped = top_bit - HISTOGRAM_BITS;
    bucket = ((dropped + 1) << HISTOGRAM_BITS) +
             ((uint32_t)(ns >> dropped) & ((1u << HISTOGRAM_BITS) - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_bucket_ns(uint32_t bucket)
{
    uint32_t dropped;
    uint64_t step;

    if (bucket < 2u << HISTOGRAM_BITS) {
        return bucket;
    }
    dropped = (bucket >> HISTOGRAM_BITS) - 1;
    step = UINT64_C(1) << dropped;
    return (step << HISTOGRAM_BITS) + (bucket & ((1u << HISTOGRAM_BITS) - 1)) * step + step / 2;
}

void latency_add_long(struct latency *latency, uint64_t ticks)
{
    uint64_t ns = time_ns_from_ticks(ticks);

    latency->longer[histogram_bucket(ns)]++;
    latency->beyond += ns >= HISTOGRAM_END_NS;
    latency->longer_sum_ns += ns;
    if (ns > latency->longer_max_ns) {
        latency->longer_max_ns = ns;
    }
    if (latency->longer_min_ns == 0 || ns < latency->longer_min_ns) {
        latency->longer_min_ns = ns;
    }
}

static void widen_range(struct histogram *histogram, uint64_t low_ns, uint64_t high_ns)
{
    if (histogram->count == 0 || low_ns < histogram->min_ns) {
        histogram->min_ns = low_ns;
    }
    if (high_ns > histogram->max_ns) {
        histogram->max_ns = high_ns;
    }
}

static void merge_longer(struct histogram *histogram, const struct latency *latency)
{
    uint64_t count = 0;

    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        histogram->bins[bucket] += latency->longer[bucket];
        count += latency->longer[bucket];
    }
    if (count != 0) {
        widen_range(histogram, latency->longer_min_ns, latency->longer_max_ns);
        histogram->count += count;
        histogram->beyond += latency->beyond;
        histogram->sum_ns += latency->longer_sum_ns;
    }
}

void histogram_merge(struct histogram *histogram, const struct latency *latency)
{
    for (uint32_t ticks = 0; ticks < LATENCY_TICKS; ticks++) {
        uint64_t count = latency->ticks[ticks];
        uint64_t ns = time_ns_from_ticks(ticks);

        if (count == 0) {
            continue;
        }
        widen_range(histogram, ns, ns);
        histogram->bins[histogram_bucket(ns)] += count;
        histogram->count += count;
        histogram->sum_ns += count * ns;
    }
    merge_longer(histogram, latency);
}
