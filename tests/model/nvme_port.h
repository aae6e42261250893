// SPDX-License-Identifier: MIT
/*
 * The host's port of engine/nvme_hal.h: every function goes to the model's world.
 *
 * Included by nvme_hal.h behind its prototypes; the contract of each function stands there.
 */
#ifndef NVME_PORT_H
#define NVME_PORT_H

#include "world.h"

static inline uint32_t hal_mmio_read32(const volatile void *address)
{
    return world_mmio_read(address);
}

static inline void hal_mmio_write32(volatile void *address, uint32_t value)
{
    world_mmio_write(address, value);
}

static inline void hal_before_doorbell(void)
{
    world_before_doorbell();
}

static inline void hal_shadow_store32(volatile void *address, uint32_t value)
{
    world_shadow_store(address, value);
}

static inline void hal_after_phase(void)
{
    world_after_phase();
}

static inline void hal_after_mmio_read(void)
{
    world_after_mmio_read();
}

static inline void hal_arm_before_look(const volatile void *address)
{
    (void)world_mmio_read(address);
}

static inline uint32_t hal_dma_load32(const volatile void *address)
{
    world_dma_loaded(address, sizeof(uint32_t));
    return *(const volatile uint32_t *)address;
}

static inline uint64_t hal_dma_load64(const volatile void *address)
{
    world_dma_loaded(address, sizeof(uint64_t));
    return *(const volatile uint64_t *)address;
}

static inline uint64_t hal_dma_address(void *context, const void *pointer)
{
    (void)context;
    world_check_mapped(pointer, 1, "the device is told an address of");
    return world_dma_address(pointer);
}

static inline void hal_dma_clean(void *context, const void *pointer, size_t size)
{
    (void)context;
    world_check_mapped(pointer, size, "the driver cleans");
    world_dma_clean(pointer, size);
}

static inline void hal_dma_invalidate(void *context, const void *pointer, size_t size)
{
    (void)context;
    world_check_mapped(pointer, size, "the driver invalidates");
    world_dma_invalidate(pointer, size);
}

/* Each world decides by itself. */
#define NVME_PORT_MAPS_DMA world.maps

static inline bool hal_dma_map(void *context, void *pointer, size_t size,
                               enum nvme_dma_direction direction)
{
    (void)context;
    return world_dma_map(pointer, size, direction);
}

static inline void hal_dma_unmap(void *context, void *pointer, size_t size,
                                 enum nvme_dma_direction direction)
{
    (void)context;
    world_dma_unmap(pointer, size, direction);
}

static inline unsigned long hal_irq_save(void)
{
    return world_irq_save();
}

static inline void hal_irq_restore(unsigned long state)
{
    world_irq_restore(state);
}

static inline uint32_t hal_hart(void)
{
    return world.knows_hart ? world.hart : NVME_HART_UNKNOWN;
}

static inline bool hal_irq_is_off(void)
{
    return !world.knows_irq || world.irq_depth != 0;
}

static inline uint64_t hal_now_ns(void)
{
    return world_now();
}

static inline void hal_relax(void)
{
    world_relax();
}

NVME_NORETURN static inline void hal_panic(const char *reason)
{
    world_panic(reason);
}

#endif
