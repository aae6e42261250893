// SPDX-License-Identifier: MIT
/*
 * The block device of examples/ on a kernel whose harts are threads: any thread calls, others
 * take the interrupts and the timer.
 */
#ifndef THREADS_BLOCK_H
#define THREADS_BLOCK_H

#include <stdint.h>

/*
 * Runs it for a tenth of the scenarios' seconds, prints a line as they do, and ends the program if
 * it fails.
 */
void block_run(uint32_t seconds, uint64_t seed);

#endif
