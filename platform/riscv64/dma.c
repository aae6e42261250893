// SPDX-License-Identifier: MIT
/*
 * Cache blocks, by the instructions of Zicbom. RISC-V CMO 1.0: they act on the caches of all harts;
 * for the order of memory they are stores, and a later load of the same block stays behind them. So
 * the port's fences order them: before a doorbell (rw, o) and after a phase (r, rw).
 * The firmware has to allow them in S-mode.
 */
#include "dma.h"

enum cbo { CBO_INVAL = 0, CBO_CLEAN = 1 };

struct dma_map dma_map;

bool any_dma(void)
{
#ifdef HARTQ_ANY_DMA
    return true;
#else
    return false;
#endif
}

/* By number: MISC-MEM, funct3 2. The names need -march with zicbom, which not every board has. */
__attribute__((always_inline)) static inline void operate(const void *pointer, size_t size,
                                                          const enum cbo operation)
{
    size_t block = dma_map.block_bytes;
    uintptr_t end = (uintptr_t)pointer + size;
    uintptr_t at = (uintptr_t)pointer & ~(uintptr_t)(block - 1);

    for (; block != 0 && size != 0 && at < end; at += block) {
        __asm__ volatile(".insn i 0x0f, 2, x0, %0, %1" ::"r"(at), "i"(operation) : "memory");
    }
}

void dma_clean(const void *pointer, size_t size)
{
    operate(pointer, size, CBO_CLEAN);
}

void dma_invalidate(const void *pointer, size_t size)
{
    operate(pointer, size, CBO_INVAL);
}
