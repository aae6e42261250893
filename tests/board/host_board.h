// SPDX-License-Identifier: MIT
/*
 * What tests of platform/virt need of a machine: harts, time, memory, a console that is read. A
 * panic is a failed assertion, for expect_assert_failure().
 */
#ifndef HOST_BOARD_H
#define HOST_BOARD_H

#include <stdbool.h>

enum { BOARD_TEXT_BYTES = 4096 };

/* A new machine with this many harts; the test is hart 0. */
void board_init(unsigned harts);

/* Gives back what was taken from its heap. */
void board_finish(void);

/* The test is hart `index` from now on. */
void board_enter(unsigned index);

/* The hart's trap of external interrupts. */
void board_interrupt(void);

/* True if the hart has such a trap. */
bool board_is_open(void);

/* Called at each look at the time from now on, with how many there were; NULL: nothing is. */
void board_on_time(void (*hook)(void *arg, unsigned looks), void *arg);

/* What is printed between the two calls, at most BOARD_TEXT_BYTES; until the next call. */
void board_listen(void);
const char *board_heard(void);

#endif
