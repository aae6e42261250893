// SPDX-License-Identifier: MIT
/*
 * See iommu_tables.h. A table of the last level has a second page behind it, with a count for each
 * entry.
 */
#include "iommu_tables.h"

#include <string.h>

#include "sv39.h"

enum {
    SPARE_TABLES = 64, /* upper levels, directory, what lies outside the memory */
    ENTRY_READ = 0x53, /* valid, readable, user, accessed: a device without a process is a user */
    ENTRY_WRITTEN = 0xd7, /* writable and dirty too */
    DIRECTORY_LEVELS = 3,
    CONTEXT_WORDS = 4, /* twice as many, if it is extended */
    CONTEXT_CONTROL = 0,
    CONTEXT_FIRST_STAGE = 3,
    CONTEXT_VALID = 0x01,
};
#define FIRST_STAGE_SV39 (UINT64_C(8) << 60)

/* How often a page is mapped, and how often for writing. */
struct uses {
    uint32_t mapped;
    uint32_t written;
};
_Static_assert(sizeof(struct uses) == sizeof(uint64_t), "a count for each entry, in one page");

size_t iommu_tables_bytes(uint64_t memory_bytes)
{
    return (size_t)((memory_bytes >> SV39_LARGE_SHIFT) * 2 + SPARE_TABLES) * IOMMU_PAGE;
}

static uint64_t *take_pages(struct iommu_tables *tables, unsigned count)
{
    uint64_t page = tables->next;

    if (tables->end - page < count * IOMMU_PAGE) {
        return NULL;
    }
    tables->next += count * IOMMU_PAGE;
    return memset((void *)(uintptr_t)page, 0, count * IOMMU_PAGE);
}

bool iommu_tables_init(struct iommu_tables *tables, void *memory, size_t size_bytes)
{
    *tables = (struct iommu_tables){
        .next = (uintptr_t)memory,
        .end = (uintptr_t)memory + (size_bytes & ~(IOMMU_PAGE - 1)),
    };
    tables->root = take_pages(tables, 1);
    return tables->root != NULL;
}

/* The IOMMU may walk at any time: what an entry leads to is there before the entry. */
static void store_entry(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* The table below an entry, which is made of `pages` pages if there is none. */
static uint64_t *enter_table(struct iommu_tables *tables, uint64_t *entry, unsigned pages)
{
    if (*entry == 0) {
        uint64_t *below = take_pages(tables, pages);

        if (below == NULL) {
            return NULL;
        }
        store_entry(entry, sv39_entry((uintptr_t)below, SV39_VALID));
    }
    return (uint64_t *)(uintptr_t)sv39_physical(*entry);
}

static uint64_t *find_entry(struct iommu_tables *tables, uint64_t address)
{
    uint64_t *table = tables->root;

    for (unsigned shift = SV39_HUGE_SHIFT; table != NULL && shift > SV39_PAGE_SHIFT;
         shift -= SV39_LEVEL_BITS) {
        table = enter_table(tables, &table[sv39_index(address, shift)],
                            shift == SV39_LARGE_SHIFT ? 2 : 1);
    }
    return table == NULL ? NULL : &table[sv39_index(address, SV39_PAGE_SHIFT)];
}

static struct uses *uses_of(uint64_t *entry)
{
    return (struct uses *)(void *)(entry + SV39_ENTRIES);
}

/* Makes an entry say what its count says. */
static void set_entry(struct iommu_tables *tables, uint64_t *entry, uint64_t address,
                      uint64_t memory)
{
    const struct uses *uses = uses_of(entry);
    uint64_t bits = uses->written != 0 ? ENTRY_WRITTEN : ENTRY_READ;
    uint64_t value = uses->mapped != 0 ? sv39_entry(memory, bits) : 0;

    if (*entry != 0 && *entry != value) {
        tables->stale = address & ~(IOMMU_PAGE - 1);
        tables->stale_count++;
    }
    store_entry(entry, value);
}

static uint64_t count_pages(uint64_t address, size_t size)
{
    return ((address & (IOMMU_PAGE - 1)) + size + IOMMU_PAGE - 1) / IOMMU_PAGE;
}

static void unmap_pages(struct iommu_tables *tables, uint64_t address, uint64_t count, bool written)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t *entry = find_entry(tables, address + i * IOMMU_PAGE);
        struct uses *uses = uses_of(entry);

        uses->mapped--;
        uses->written -= written;
        set_entry(tables, entry, address + i * IOMMU_PAGE, sv39_physical(*entry));
    }
}

bool iommu_tables_map(struct iommu_tables *tables, uint64_t address, uint64_t memory, size_t size,
                      bool written)
{
    uint64_t count = count_pages(address, size);

    for (uint64_t i = 0; i < count; i++) {
        uint64_t *entry = find_entry(tables, address + i * IOMMU_PAGE);

        if (entry == NULL) {
            unmap_pages(tables, address, i, written);
            return false;
        }
        uses_of(entry)->mapped++;
        uses_of(entry)->written += written;
        set_entry(tables, entry, address + i * IOMMU_PAGE, memory + i * IOMMU_PAGE);
    }
    return true;
}

void iommu_tables_unmap(struct iommu_tables *tables, uint64_t address, size_t size, bool written)
{
    unmap_pages(tables, address, count_pages(address, size), written);
}

uint64_t *iommu_tables_take(struct iommu_tables *tables)
{
    return take_pages(tables, 1);
}

bool iommu_directory_add(struct iommu_tables *tables, uint64_t *directory, bool extended,
                         uint32_t device_id)
{
    unsigned leaf_bits = extended ? 6 : 7;
    size_t words = extended ? CONTEXT_WORDS * 2 : CONTEXT_WORDS;
    uint64_t *table = directory;
    uint64_t *context;

    for (unsigned level = DIRECTORY_LEVELS - 1; table != NULL && level > 0; level--) {
        unsigned shift = leaf_bits + SV39_LEVEL_BITS * (level - 1);

        table = enter_table(tables, &table[sv39_index(device_id, shift)], 1);
    }
    if (table == NULL) {
        return false;
    }
    context = &table[(device_id & ((1u << leaf_bits) - 1)) * words];
    context[CONTEXT_FIRST_STAGE] = FIRST_STAGE_SV39 | (uintptr_t)tables->root >> SV39_PAGE_SHIFT;
    store_entry(&context[CONTEXT_CONTROL], CONTEXT_VALID);
    return true;
}
