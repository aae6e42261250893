// SPDX-License-Identifier: MIT
/*
 * The memory after the image: a bump allocator with marks. For start-up and tests; the I/O path
 * allocates nothing. Not locked: hart 0 only.
 */
#ifndef HARTQ_HEAP_H
#define HARTQ_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Sets the free span, [base, end), without the device tree and reserved memory. */
void heap_init(uintptr_t base, uintptr_t end);

/*
 * Gives a second span, contiguous for devices. Then only the pages of the first one are. Before the
 * first heap_take_contiguous().
 */
void heap_init_contiguous(uintptr_t base, uintptr_t end);

/* Zeroed memory aligned to `alignment` (a power of two), or NULL if it does not fit. */
void *heap_take(size_t size_bytes, size_t alignment);

/* As heap_take(), for what a device must find in one piece. heap_release() frees it too. */
void *heap_take_contiguous(size_t size_bytes, size_t alignment);

/* In heap_take()'s memory each aligned block of so many bytes is contiguous for devices. */
size_t heap_contiguous_bytes(void);

/* How much is left for heap_take(), in bytes, before alignment. */
size_t heap_left(void);

/* The present level, for heap_release(). */
size_t heap_mark(void);

/* Frees everything taken since heap_mark() returned `mark`. Marks are a stack. */
void heap_release(size_t mark);

#endif
