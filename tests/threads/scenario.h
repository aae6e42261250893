// SPDX-License-Identifier: MIT
/*
 * What the harts and the devices go through.
 */
#ifndef THREADS_SCENARIO_H
#define THREADS_SCENARIO_H

#include <stdint.h>

/* Plays all scenarios for `seconds` together; a failure ends the program. Returns their number. */
uint32_t scenarios_run(double seconds, uint64_t seed);

#endif
