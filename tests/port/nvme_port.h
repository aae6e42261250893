// SPDX-License-Identifier: MIT
/*
 * The smallest port there can be: a "device" whose registers are plain memory. It shows that the
 * engine asks for nothing else, and sizes the regions on the host.
 */
#ifndef TESTS_PORT_NVME_PORT_H
#define TESTS_PORT_NVME_PORT_H

#include <stdlib.h>

static inline uint32_t hal_mmio_read32(const volatile void *address)
{
    return *(const volatile uint32_t *)address;
}

static inline void hal_mmio_write32(volatile void *address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline void hal_before_doorbell(void)
{
}

static inline void hal_shadow_store32(volatile void *address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline void hal_after_phase(void)
{
}

static inline void hal_after_mmio_read(void)
{
}

static inline void hal_arm_before_look(const volatile void *address)
{
    (void)hal_mmio_read32(address);
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
    return (uint64_t)(uintptr_t)pointer;
}

static inline void hal_dma_clean(void *context, const void *pointer, size_t size)
{
    (void)context;
    (void)pointer;
    (void)size;
}

static inline void hal_dma_invalidate(void *context, const void *pointer, size_t size)
{
    (void)context;
    (void)pointer;
    (void)size;
}

static inline unsigned long hal_irq_save(void)
{
    return 0;
}

static inline void hal_irq_restore(unsigned long state)
{
    (void)state;
}

static inline uint32_t hal_hart(void)
{
    return NVME_HART_UNKNOWN;
}

static inline bool hal_irq_is_off(void)
{
    return true;
}

static inline uint64_t hal_now_ns(void)
{
    return 0;
}

static inline void hal_relax(void)
{
}

_Noreturn static inline void hal_panic(const char *reason)
{
    (void)reason;
    abort();
}

#endif
