// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/timer.h on the host: the timebase of QEMU's virt, 10 MHz.
 */
#ifndef HARTQ_MODEL_TIMER_H
#define HARTQ_MODEL_TIMER_H

#include <stdint.h>

static inline uint64_t time_ns_from_ticks(uint64_t ticks)
{
    return ticks * 100;
}

#endif
