// SPDX-License-Identifier: MIT
/*
 * The tables in memory that a RISC-V IOMMU walks: which pages devices reach, and which devices may.
 * RISC-V IOMMU Architecture 1.0, chapter 2: device directory and device context. The first-stage
 * tables are Sv39's: RISC-V Privileged Architecture 20211203, chapter 4.
 * Nothing here is locked, and memory is at its physical address.
 * An entry that is in use changes in one store. For the accesses in flight both values are right,
 * and the IOMMU may use either until it is told to forget (chapter 3, IOTINVAL).
 */
#ifndef HARTQ_IOMMU_TABLES_H
#define HARTQ_IOMMU_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOMMU_PAGE UINT64_C(4096)

/* The tables of one address space. Its pages are taken in order, and never given back. */
struct iommu_tables {
    uint64_t next; /* [next, end): memory for more tables */
    uint64_t end;
    uint64_t *root;
    uint64_t stale;       /* the last page whose translation an IOMMU may remember otherwise */
    uint32_t stale_count; /* such pages; the caller makes the IOMMU forget them, and sets it to 0 */
};

/* The bytes that are enough for all pages of so much contiguous memory, and for the directory. */
size_t iommu_tables_bytes(uint64_t memory_bytes);

/* Begins with no page mapped. `memory` is aligned to a page. False: it is too small. */
bool iommu_tables_init(struct iommu_tables *tables, void *memory, size_t size_bytes);

/*
 * Lets devices reach the pages of [memory, memory + size) from `address` on, which lies as `memory`
 * does in its page, below 1 << 38: for reading, and for writing if `written`. Pages are counted:
 * one is reached until it has been unmapped as often, and written until no such mapping is left.
 * False: there is no memory for the tables; nothing was mapped.
 */
bool iommu_tables_map(struct iommu_tables *tables, uint64_t address, uint64_t memory, size_t size,
                      bool written);

/* With what it was mapped with. */
void iommu_tables_unmap(struct iommu_tables *tables, uint64_t address, size_t size, bool written);

/* A page of zeros for a directory or a queue, or NULL: there is none left. */
uint64_t *iommu_tables_take(struct iommu_tables *tables);

/*
 * Lets a device reach what is mapped. `directory` has three levels, and was zeros at first.
 * extended: device contexts have 64 bytes, as where the IOMMU can translate messages, else 32.
 * False: there is no memory for it.
 */
bool iommu_directory_add(struct iommu_tables *tables, uint64_t *directory, bool extended,
                         uint32_t device_id);

#endif
