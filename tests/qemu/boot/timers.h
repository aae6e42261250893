// SPDX-License-Identifier: MIT
/* The timer: its period, and the wake-up beside it, on every hart. */
#ifndef HARTQ_BOOT_TIMERS_H
#define HARTQ_BOOT_TIMERS_H

#include <stdbool.h>

/* Tells check() of each rule and whether it holds. Hart 0, outside harts_run(). */
void timers_check(void (*check)(bool passed, const char *what));

#endif
