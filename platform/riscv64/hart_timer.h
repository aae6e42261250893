// SPDX-License-Identifier: MIT
/*
 * Between timer.h and a machine: hart_timer.c, which platform/sim shares, makes the two timers of a
 * hart out of one deadline.
 */
#ifndef HARTQ_HART_TIMER_H
#define HARTQ_HART_TIMER_H

#include <stdint.h>

/* The machine's: sets the calling hart's deadline and clears a pending one. 0: none. */
void timer_set(uint64_t ticks);

/* The machine's: rounded up; at least one tick. */
uint64_t timer_ticks_from_ns(uint64_t ns);

/* The calling hart's deadline was reached. Sets the next one, then calls the periodic handler. */
void timer_tick(uint64_t now_ticks);

#endif
