// SPDX-License-Identifier: MIT
/*
 * A bump allocator over one span. It zeroes memory, because memory survives a warm reset.
 */
#include "heap.h"

#include <string.h>

static struct {
    uintptr_t base;
    uintptr_t next;
    uintptr_t end;
} heap;

void heap_init(uintptr_t base, uintptr_t end)
{
    heap.base = base;
    heap.next = base;
    heap.end = end < base ? base : end;
}

void *heap_take(size_t size_bytes, size_t alignment)
{
    uintptr_t start = (heap.next + alignment - 1) & ~(uintptr_t)(alignment - 1);

    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || start < heap.next ||
        start > heap.end || size_bytes > heap.end - start) {
        return NULL;
    }
    heap.next = start + size_bytes;
    return memset((void *)start, 0, size_bytes);
}

size_t heap_left(void)
{
    return heap.end - heap.next;
}

size_t heap_mark(void)
{
    return heap.next - heap.base;
}

void heap_release(size_t mark)
{
    if (mark <= heap.next - heap.base) {
        heap.next = heap.base + mark;
    }
}
