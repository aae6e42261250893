// SPDX-License-Identifier: MIT
/*
 * The tables, built once before translation is on, and their walk. Nothing is mapped or changed
 * later, so a hart needs one sfence.vma, at its start.
 * RISC-V Privileged Architecture 20211203, chapter 4: satp, SFENCE.VMA, Sv39.
 */
#include "paging.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "csr.h"
#include "heap.h"
#include "sv39.h"
#include "trap.h"

#ifdef HARTQ_PAGING
enum { PAGED = true };
#else
enum { PAGED = false };
#endif

enum {
    ENTRY_LEAF = 0xcf, /* valid, readable, writable, executable, accessed, dirty */
    STRIDE = 1021,     /* frames from a page of the heap to the next: a prime */
    SPARE_TABLES = 8,
};
#define PAGE (UINT64_C(1) << SV39_PAGE_SHIFT)
#define LARGE (UINT64_C(1) << SV39_LARGE_SHIFT)
#define HUGE (UINT64_C(1) << SV39_HUGE_SHIFT)
#define SATP_SV39 (UINT64_C(8) << 60)
/* The lower half of the address space is physical, the upper half is the heap. */
#define LOWER_END (UINT64_C(1) << 38)
#define SCATTERED UINT64_C(0xffffffc000000000)
#define CONTIGUOUS UINT64_C(0xffffffe000000000)

static _Alignas(4096) uint64_t root[SV39_ENTRIES];

uint64_t paging_satp;

/* Maps one page of 1 << page_shift bytes. New tables are taken from *tables on. */
static void map_page(uint64_t address, uint64_t physical, unsigned page_shift, uint64_t *tables)
{
    uint64_t *table = root;
    uint64_t *entry;

    for (unsigned shift = SV39_HUGE_SHIFT;; shift -= SV39_LEVEL_BITS) {
        entry = &table[sv39_index(address, shift)];
        if (shift == page_shift) {
            break;
        }
        if (*entry == 0) {
            memset((void *)(uintptr_t)*tables, 0, PAGE);
            *entry = sv39_entry(*tables, SV39_VALID);
            *tables += PAGE;
        }
        table = (uint64_t *)(uintptr_t)sv39_physical(*entry);
    }
    *entry = sv39_entry(physical, ENTRY_LEAF);
}

/* Everything but the frames of the heap, [base, end), at its physical address. */
static void map_lower(uint64_t base, uint64_t end, uint64_t *tables)
{
    unsigned shift;

    for (uint64_t at = 0; at < LOWER_END; at += UINT64_C(1) << shift) {
        bool huge = at % HUGE == 0 && (at + HUGE <= base || at >= end);

        shift = huge ? SV39_HUGE_SHIFT : SV39_LARGE_SHIFT;
        if (at < base || at >= end) {
            map_page(at, at, shift, tables);
        }
    }
}

/* The frames [base, end) of the heap: the last quarter in order, by large pages. */
static const char *map_heap(uint64_t base, uint64_t end, uint64_t *tables)
{
    uint64_t middle = (end - (end - base) / 4) & ~(LARGE - 1);
    uint64_t count = (middle - base) / PAGE;

    count -= count % STRIDE == 0 ? 1 : 0; /* no common factor: each frame is one page's */
    if (count <= 2 * STRIDE) {
        return "too little memory for paging";
    }
    for (uint64_t i = 0; i < count; i++) {
        map_page(SCATTERED + i * PAGE, base + i * STRIDE % count * PAGE, SV39_PAGE_SHIFT, tables);
    }
    for (uint64_t at = middle; at < end; at += LARGE) {
        map_page(CONTIGUOUS + (at - middle), at, SV39_LARGE_SHIFT, tables);
    }
    heap_init(SCATTERED, SCATTERED + count * PAGE);
    heap_init_contiguous(CONTIGUOUS, CONTIGUOUS + (end - middle));
    return NULL;
}

/* The frames begin and end with a large page, because nothing of them is mapped as it lies. */
static const char *start_paging(uint64_t base, uint64_t end)
{
    uint64_t pages = (end - base) / PAGE;
    uint64_t tables = (base + PAGE - 1) & ~(PAGE - 1);
    uint64_t tables_end = tables + (pages / SV39_ENTRIES * 2 + SPARE_TABLES) * PAGE;
    uint64_t frames = (tables_end + LARGE - 1) & ~(LARGE - 1);
    uint64_t frames_end = end & ~(LARGE - 1);
    const char *error;

    if (frames >= frames_end) {
        return "too little memory for paging";
    }
    if (frames_end > LOWER_END) {
        return "memory too high for Sv39";
    }
    map_lower(frames, frames_end, &tables);
    error = map_heap(frames, frames_end, &tables);
    if (error != NULL) {
        return error;
    }
    if (tables > tables_end) {
        panic("paging: more tables than were counted");
    }
    paging_satp = SATP_SV39 | (uint64_t)(uintptr_t)root >> SV39_PAGE_SHIFT;
    csr_write(satp, paging_satp);
    __asm__ volatile("sfence.vma" ::: "memory");
    return csr_read(satp) == paging_satp ? NULL : "the hart has no Sv39";
}

const char *paging_init_heap(uint64_t base, uint64_t end)
{
    if (PAGED) {
        return start_paging(base, end);
    }
    heap_init(base, end);
    return NULL;
}

uint64_t paging_physical(const volatile void *pointer)
{
    uint64_t address = (uint64_t)(uintptr_t)pointer;
    const uint64_t *table = root;

    if (!PAGED) {
        return address;
    }
    for (unsigned shift = SV39_HUGE_SHIFT;; shift -= SV39_LEVEL_BITS) {
        uint64_t entry = table[sv39_index(address, shift)];

        if ((entry & ENTRY_LEAF) == ENTRY_LEAF) {
            return sv39_physical(entry) + (address & ((UINT64_C(1) << shift) - 1));
        }
        if (entry == 0 || shift == SV39_PAGE_SHIFT) {
            panic("paging: the address of memory for a device is not mapped");
        }
        table = (const uint64_t *)(uintptr_t)sv39_physical(entry);
    }
}
