// SPDX-License-Identifier: MIT
/*
 * A bump allocator over one span, or two. It zeroes memory, because memory survives a warm reset.
 */
#include "heap.h"

#include <string.h>

enum { SCATTERED_PAGE_BYTES = 4096 };

struct span {
    uintptr_t base;
    uintptr_t next;
    uintptr_t end;
};

/* One of heap_take_contiguous(), on the heap, so that a release of the heap frees it. */
struct piece {
    struct piece *previous;
    uintptr_t start; /* contiguous.next before it */
};

static struct span heap;
static struct span contiguous; /* end 0: the heap is */
static struct piece *last_piece;

void heap_init(uintptr_t base, uintptr_t end)
{
    heap = (struct span){base, base, end < base ? base : end};
}

void heap_init_contiguous(uintptr_t base, uintptr_t end)
{
    contiguous = (struct span){base, base, end};
}

size_t heap_contiguous_bytes(void)
{
    return contiguous.end != 0 ? SCATTERED_PAGE_BYTES : SIZE_MAX / 2 + 1;
}

static void *take_from(struct span *span, size_t size_bytes, size_t alignment)
{
    uintptr_t start = (span->next + alignment - 1) & ~(uintptr_t)(alignment - 1);

    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || start < span->next ||
        start > span->end || size_bytes > span->end - start) {
        return NULL;
    }
    span->next = start + size_bytes;
    return memset((void *)start, 0, size_bytes);
}

void *heap_take(size_t size_bytes, size_t alignment)
{
    return take_from(&heap, size_bytes, alignment);
}

void *heap_take_contiguous(size_t size_bytes, size_t alignment)
{
    size_t mark = heap_mark();
    struct piece *piece;
    void *memory;

    if (contiguous.end == 0) {
        return heap_take(size_bytes, alignment);
    }
    piece = heap_take(sizeof(*piece), _Alignof(struct piece));
    if (piece == NULL) {
        return NULL;
    }
    *piece = (struct piece){last_piece, contiguous.next};
    last_piece = piece;
    memory = take_from(&contiguous, size_bytes, alignment);
    if (memory == NULL) {
        heap_release(mark);
    }
    return memory;
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
    for (; last_piece != NULL && (uintptr_t)last_piece >= heap.next;
         last_piece = last_piece->previous) {
        contiguous.next = last_piece->start;
    }
}
