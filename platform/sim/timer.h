// SPDX-License-Identifier: MIT
/*
 * As platform/riscv64/timer.h, for the simulated machine: a tick is a nanosecond.
 */
#ifndef HARTQ_TIMER_H
#define HARTQ_TIMER_H

#include <stdint.h>

#include "csr.h"

/* Upper half of a 64 x 64 bit product. */
static inline uint64_t time_multiply_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((__extension__(unsigned __int128) a * b) >> 64);
}

/* A span of ticks in nanoseconds. */
static inline uint64_t time_ns_from_ticks(uint64_t ticks)
{
    return ticks;
}

/* Nanoseconds since the machine's start. The same on every hart. */
static inline uint64_t time_now_ns(void)
{
    return csr_time();
}

/* Calls handler(arg) in the trap of the calling hart every period_ns until timer_stop(). */
void timer_start(uint64_t period_ns, void (*handler)(void *arg), void *arg);

/* Ends the calling hart's timer and its wake-up. */
void timer_stop(void);

/* Bounds the next sleeps in timer_wait(): they end at that tick. */
void timer_wake_at(uint64_t ticks);

/* hart_wait(), which the wake-up ends too. */
void timer_wait(void);

#endif
