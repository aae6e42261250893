// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/timer.h on the host: time that goes on when it is looked at.
 */
#ifndef HARTQ_TIMER_H
#define HARTQ_TIMER_H

#include <stdint.h>

uint64_t time_now_ns(void);

#endif
