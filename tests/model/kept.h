// SPDX-License-Identifier: MIT
/*
 * Large blocks of memory that outlive the test that takes them: mapping them anew for each takes
 * longer than the test. While nobody has one, AddressSanitizer reports each access to it.
 */
#ifndef KEPT_H
#define KEPT_H

#include <stddef.h>

/* A block of any contents. The alignment is a power of two that divides the size. */
void *kept_take(size_t alignment, size_t size_bytes);

/* Gives a block of kept_take back; NULL is none. */
void kept_give(void *memory);

#endif
