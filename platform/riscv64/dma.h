// SPDX-License-Identifier: MIT
/*
 * DMA of a board whose devices see memory at other addresses, or past the caches. Programs of
 * build/dma/ use it (HARTQ_ANY_DMA, nvme_port.h); the others pay nothing, and any_dma() is false.
 */
#ifndef HARTQ_DMA_H
#define HARTQ_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Written once at start-up, before the other harts start. */
extern struct dma_map {
    uint64_t offset;    /* the CPU's address minus the device's */
    size_t block_bytes; /* of cbo.clean and cbo.inval, a power of two; 0: DMA is coherent */
} dma_map;

/* True in a program of build/dma/. */
bool any_dma(void);

/* Writes the blocks that hold [pointer, pointer + size) back, or drops them. */
void dma_clean(const void *pointer, size_t size);
void dma_invalidate(const void *pointer, size_t size);

#endif
