// SPDX-License-Identifier: MIT
/*
 * Entries of Sv39's tables, which a hart and an IOMMU walk alike. RISC-V Privileged Architecture
 * 20211203, chapter 4. A table has SV39_ENTRIES entries and fills a page.
 */
#ifndef HARTQ_SV39_H
#define HARTQ_SV39_H

#include <stdint.h>

enum {
    SV39_ENTRIES = 512,
    SV39_PAGE_SHIFT = 12, /* of the three sizes of pages */
    SV39_LARGE_SHIFT = 21,
    SV39_HUGE_SHIFT = 30,
    SV39_LEVEL_BITS = 9,
    SV39_VALID = 0x01, /* alone: the entry leads to a table */
};

/* An entry for physical memory that is aligned to a page. */
static inline uint64_t sv39_entry(uint64_t physical, uint64_t bits)
{
    return physical >> SV39_PAGE_SHIFT << 10 | bits;
}

/* What an entry leads to: a table, or the page that it maps. */
static inline uint64_t sv39_physical(uint64_t entry)
{
    return entry >> 10 << SV39_PAGE_SHIFT;
}

/* The entry of an address in a table of the level whose entries map 1 << shift bytes. */
static inline uint64_t sv39_index(uint64_t address, unsigned shift)
{
    return address >> shift & (SV39_ENTRIES - 1);
}

#endif
