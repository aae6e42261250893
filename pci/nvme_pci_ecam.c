// SPDX-License-Identifier: MIT
/*
 * Configuration space that is mapped memory (PCI Express 3.0 §7.2.2). This space, BARs and memory
 * are separate regions, and only fences order accesses to different regions (RISC-V Unprivileged
 * ISA 20191213, §2.7). So each access has a fence on both sides.
 */
#include "nvme_pci.h"

static inline void order_accesses(void)
{
#ifdef __riscv
    __asm__ volatile("fence iorw, iorw" ::: "memory");
#else
    __sync_synchronize();
#endif
}

uint32_t nvme_pci_ecam_read32(void *arg, uint32_t place, unsigned offset)
{
    uint32_t value;

    order_accesses();
    value = *(volatile uint32_t *)((uintptr_t)arg + ((uintptr_t)place << 12) + offset);
    order_accesses();
    return value;
}

void nvme_pci_ecam_write32(void *arg, uint32_t place, unsigned offset, uint32_t value)
{
    order_accesses();
    *(volatile uint32_t *)((uintptr_t)arg + ((uintptr_t)place << 12) + offset) = value;
    order_accesses();
}
