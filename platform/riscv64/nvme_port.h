// SPDX-License-Identifier: MIT
/*
 * The engine's port to a bare S-mode hart. DMA is coherent and the device's addresses are the
 * CPU's, unless HARTQ_ANY_DMA or HARTQ_PAGING is defined: dma.h or paging.h says what they are.
 * Only engine/nvme_hal.h includes it, after its prototypes; the contract of each function is there.
 * Fences: RISC-V Unprivileged ISA 20191213, chapter 14 (RVWMO).
 */
#ifndef HARTQ_NVME_PORT_H
#define HARTQ_NVME_PORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef HARTQ_ANY_DMA
#include "dma.h"
#endif
#include "hart_layout.h"
#include "irq.h"
#ifdef HARTQ_PAGING
#include "paging.h"
#endif
#include "timer.h"
#include "trap.h"

static inline uint32_t hal_mmio_read32(const volatile void *address)
{
    return *(const volatile uint32_t *)address;
}

static inline void hal_mmio_write32(volatile void *address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* Memory before the doorbell. Pairs with the device's fetch after the doorbell. */
static inline void hal_before_doorbell(void)
{
    __asm__ volatile("fence rw, o" ::: "memory");
}

/* Both fences pair with the device: its event index, then its look at the shadow doorbell. */
static inline void hal_shadow_store32(volatile void *address, uint32_t value)
{
    __asm__ volatile("fence rw, w" ::: "memory");
    *(volatile uint32_t *)address = value;
    __asm__ volatile("fence w, or" ::: "memory");
}

/* The phase before the rest. Pairs with the device's writes: data, then entry. */
static inline void hal_after_phase(void)
{
    __asm__ volatile("fence r, rw" ::: "memory");
}

/* The register before memory. Pairs with the device's last write before it changed the register. */
static inline void hal_after_mmio_read(void)
{
    __asm__ volatile("fence i, rw" ::: "memory");
}

/*
 * The read pushes posted writes to the device. The fence keeps the last look after the read, both
 * a look at memory and one at a register, such as the line's level.
 */
static inline void hal_arm_before_look(const volatile void *address)
{
    (void)*(const volatile uint32_t *)address;
    __asm__ volatile("fence io, ir" ::: "memory");
}

static inline uint32_t hal_dma_load32(const volatile void *address)
{
    return *(const volatile uint32_t *)address;
}

static inline uint64_t hal_dma_load64(const volatile void *address)
{
    return *(const volatile uint64_t *)address;
}

static inline uint64_t hal_dma_address(void *context, const void *pointer)
{
    (void)context;
#ifdef HARTQ_ANY_DMA
    return (uint64_t)(uintptr_t)pointer - dma_map.offset;
#elif defined(HARTQ_PAGING)
    return paging_physical(pointer);
#else
    return (uint64_t)(uintptr_t)pointer;
#endif
}

static inline void hal_dma_clean(void *context, const void *pointer, size_t size)
{
    (void)context;
#ifdef HARTQ_ANY_DMA
    dma_clean(pointer, size);
#else
    (void)pointer;
    (void)size;
#endif
}

static inline void hal_dma_invalidate(void *context, const void *pointer, size_t size)
{
    (void)context;
#ifdef HARTQ_ANY_DMA
    dma_invalidate(pointer, size);
#else
    (void)pointer;
    (void)size;
#endif
}

#ifdef HARTQ_ANY_DMA
#define NVME_PORT_MAPS_DMA true

static inline bool hal_dma_map(void *context, void *pointer, size_t size,
                               enum nvme_dma_direction direction)
{
    (void)context;
    return dma_map_pages(pointer, size, direction != NVME_DMA_TO_DEVICE);
}

static inline void hal_dma_unmap(void *context, void *pointer, size_t size,
                                 enum nvme_dma_direction direction)
{
    (void)context;
    dma_unmap_pages(pointer, size, direction != NVME_DMA_TO_DEVICE);
}
#endif

static inline unsigned long hal_irq_save(void)
{
    return irq_save();
}

static inline void hal_irq_restore(unsigned long state)
{
    irq_restore(state);
}

/* As hart_index() of harts.h, which does not compile as C++. */
static inline uint32_t hal_hart(void)
{
    uint32_t index;
    __asm__("lw %0, %1(tp)" : "=r"(index) : "i"(HART_INDEX));
    return index;
}

static inline bool hal_irq_is_off(void)
{
    return !irq_enabled();
}

static inline uint64_t hal_now_ns(void)
{
    return time_now_ns();
}

static inline void hal_relax(void)
{
}

__attribute__((noreturn)) static inline void hal_panic(const char *reason)
{
    panic(reason);
}

#endif
