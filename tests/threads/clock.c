// SPDX-License-Identifier: MIT
/*
 * The clocks of the host, and the harts' own. See hart.h.
 */
#define _POSIX_C_SOURCE 200809L

#include <time.h>

#include "hart.h"

#define NS_PER_S UINT64_C(1000000000)

static uint32_t clock_factor = 1;

void hart_set_clock(uint32_t factor)
{
    clock_factor = factor;
}

uint64_t hart_now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return ((uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec) * clock_factor;
}

double hart_wall_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void hart_sleep_ms(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

uint64_t hart_cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}
