// SPDX-License-Identifier: MIT
/*
 * Time in nanoseconds; per hart a periodic timer and a wake-up (SBI 2.0 chapter 6), of which
 * hart_timer.c has what is the same on every machine.
 * ns = ticks * whole + high(ticks * fraction): exact when the timebase divides a gigahertz, as
 * 10 MHz does; otherwise at most 1 ns short. Good for 584 years.
 */
#ifndef HARTQ_TIMER_H
#define HARTQ_TIMER_H

#include <stdint.h>

#include "csr.h"

/*
 * Nanoseconds per tick: the whole part, and the rest in units of 2^-64. Set once by timer_init().
 */
struct time_scale {
    uint64_t whole;
    uint64_t fraction;
};

extern struct time_scale time_scale;

/* Upper half of a 64 x 64 bit product. */
static inline uint64_t time_multiply_high(uint64_t a, uint64_t b)
{
    uint64_t high;
    __asm__("mulhu %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
}

/* A span of ticks in nanoseconds. */
static inline uint64_t time_ns_from_ticks(uint64_t ticks)
{
    return ticks * time_scale.whole + time_multiply_high(ticks, time_scale.fraction);
}

/* Nanoseconds since the machine's counter started. The same on every hart. No call, no trap. */
static inline uint64_t time_now_ns(void)
{
    return time_ns_from_ticks(csr_time());
}

/* Sets the scale from the tree's timebase-frequency (1 to 10^9 Hz). NULL, or an error phrase. */
const char *timer_init(uint64_t timebase_hz);

/*
 * Calls handler(arg) in the trap of the calling hart every period_ns, rounded up to whole ticks,
 * until timer_stop(). One timer per hart: a second start replaces the first. Missed ticks are not
 * repeated.
 */
void timer_start(uint64_t period_ns, void (*handler)(void *arg), void *arg);

/*
 * Ends the calling hart's timer and its wake-up; then the handler no longer runs. Allowed in the
 * handler.
 */
void timer_stop(void);

/*
 * Bounds the next sleeps in timer_wait(): they end at that tick of the clock, or at once if it is
 * past. One per hart: a second call replaces the first. It ends with the tick; the periodic timer
 * neither stops nor shifts. One store: timer_wait() sets it in the firmware.
 */
void timer_wake_at(uint64_t ticks);

/*
 * As hart_wait(); the wake-up ends it too. At most one SBI call: none without a wake-up, or if the
 * firmware has an earlier deadline.
 */
void timer_wait(void);

/*
 * Puts the calling hart to sleep for up to delay_ns. A pending interrupt ends the sleep earlier
 * and is taken when the caller turns interrupts on. A running timer bounds the sleep.
 */
void timer_pause(uint64_t delay_ns);

#endif
