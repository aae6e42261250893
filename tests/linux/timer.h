// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/timer.h and csr.h where scripts/linux/loop runs on the host.
 */
#ifndef HARTQ_TIMER_H
#define HARTQ_TIMER_H

#include <stdint.h>
#include <time.h>

struct time_scale {
    uint64_t whole;
};

extern struct time_scale time_scale;

__extension__ typedef unsigned __int128 wide;

static inline uint64_t time_multiply_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((wide)a * b >> 64);
}

static inline uint64_t time_ns_from_ticks(uint64_t ticks)
{
    return ticks * time_scale.whole;
}

static inline uint64_t csr_time(void)
{
    struct timespec now;

    (void)timespec_get(&now, TIME_UTC); /* C17 has no steadier one */
    return ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) / time_scale.whole;
}

/* It goes on by one each time it is looked at: all counts are 1. */
static inline uint64_t csr_read_instret(void)
{
    static uint64_t looks;

    return looks++;
}

#define csr_read(name) csr_read_##name()

#endif
