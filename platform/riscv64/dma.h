// SPDX-License-Identifier: MIT
/*
 * DMA of a board whose devices see memory at other addresses, past the caches, or through an IOMMU.
 * Programs of build/dma/ use it (HARTQ_ANY_DMA, nvme_port.h); it costs the others no time, and
 * any_dma() is false.
 */
#ifndef HARTQ_DMA_H
#define HARTQ_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Written by hart 0, before a device is opened. */
extern struct dma_map {
    uint64_t offset;    /* the CPU's address minus the device's */
    size_t block_bytes; /* of cbo.clean and cbo.inval, a power of two; 0: DMA is coherent */
} dma_map;

/* True in a program of build/dma/. */
bool any_dma(void);

/* Writes the blocks that hold [pointer, pointer + size) back, or drops them. */
void dma_clean(const void *pointer, size_t size);
void dma_invalidate(const void *pointer, size_t size);

/*
 * The board defines these two. Between them devices reach the pages of [pointer, pointer + size),
 * for writing too if `written`. False: there is no room for it. Mappings are counted, so each is
 * undone once, with what it was made with. Where no IOMMU guards memory they do nothing.
 * Context: any hart, thread or trap.
 */
bool dma_map_pages(const void *pointer, size_t size, bool written);
void dma_unmap_pages(const void *pointer, size_t size, bool written);

#endif
