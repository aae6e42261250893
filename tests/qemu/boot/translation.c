// SPDX-License-Identifier: MIT
/* See translation.h. */
#include "translation.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "heap.h"
#include "paging.h"

enum { PAGE_BYTES = 4096, PAGES = 600 };
#define BYTES ((size_t)PAGES * PAGE_BYTES)

/* From a page to the next, how many frames are neighbours too, in either order. */
static unsigned count_neighbours(const uint8_t *pages)
{
    unsigned count = 0;

    for (size_t at = PAGE_BYTES; at < BYTES; at += PAGE_BYTES) {
        uint64_t step = paging_physical(pages + at) - paging_physical(pages + at - PAGE_BYTES);

        count += step == PAGE_BYTES || step == -(uint64_t)PAGE_BYTES ? 1 : 0;
    }
    return count;
}

/* True if no page of the heap is at its physical address, or each is. */
static bool is_moved(const uint8_t *pages, bool moved)
{
    for (size_t at = 0; at < BYTES; at += PAGE_BYTES) {
        if ((paging_physical(pages + at) != (uintptr_t)(pages + at)) != moved) {
            return false;
        }
    }
    return true;
}

void translation_check(void (*check)(bool passed, const char *what))
{
    bool on = paging_satp != 0;
    size_t mark = heap_mark();
    uint8_t *pages = heap_take(BYTES, PAGE_BYTES);
    uint8_t *run = heap_take_contiguous(BYTES, PAGE_BYTES);
    uint8_t place;

    printf("translation %s\n", on ? "on" : "off");
    check(pages != NULL && run != NULL, "translation: memory of both kinds");
    if (pages == NULL || run == NULL) {
        return;
    }
    check(count_neighbours(pages) == (on ? 0 : PAGES - 1),
          "translation: neighbours of the heap are neighbours only without it");
    check(paging_physical(run + BYTES - 1) - paging_physical(run) == BYTES - 1 &&
              count_neighbours(run) == PAGES - 1,
          "translation: contiguous memory is contiguous");
    check(is_moved(pages, on) && is_moved(run, on) &&
              (paging_physical(&place) != (uintptr_t)&place) == on,
          "translation: heap and stack are elsewhere only with it");
    check(paging_physical(&paging_satp) == (uintptr_t)&paging_satp,
          "translation: the image is where it was loaded");
    check(heap_take_contiguous(SIZE_MAX / 4, 8) == NULL, "heap: NULL when the run is too long");
    heap_release(mark);
    heap_take(BYTES, PAGE_BYTES);
    check(heap_take_contiguous(BYTES, PAGE_BYTES) == run, "heap: a run is released to the mark");
    heap_release(mark);
}
