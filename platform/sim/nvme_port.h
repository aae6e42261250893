// SPDX-License-Identifier: MIT
/*
 * The engine's port to the simulated machine: what an instruction of the target would do, and what
 * it is charged. Included by engine/nvme_hal.h behind its prototypes, and by nothing else.
 */
#ifndef HARTQ_NVME_PORT_H
#define HARTQ_NVME_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "bus.h"
#include "cost.h"
#include "harts.h"
#include "timer.h"
#include "trap.h"

/* An entry, the place of the 64-bit load of its phase; a command, the index of its MPTR. */
enum { PORT_ENTRY_BYTES = 16, PORT_PHASE_LOAD = 8, PORT_COMMAND_BYTES = 64, PORT_MPTR = 2 };

static inline uint32_t hal_mmio_read32(const volatile void *address)
{
    return bus_read(address);
}

static inline void hal_mmio_write32(volatile void *address, uint32_t value)
{
    bus_write(address, value);
}

/* The hosts' order is strong enough, and harts never run at the same time. */
static inline void hal_before_doorbell(void)
{
    __asm__ volatile("" ::: "memory");
}

static inline void hal_shadow_store32(volatile void *address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
    __asm__ volatile("" ::: "memory");
}

static inline void hal_after_phase(void)
{
    bus_entry_found();
}

static inline void hal_after_mmio_read(void)
{
    bus_read_ordered();
}

static inline void hal_arm_before_look(const volatile void *address)
{
    (void)bus_read(address);
}

static inline uint32_t hal_dma_load32(const volatile void *address)
{
    bus_look_raw(address);
    return *(const volatile uint32_t *)address;
}

static inline uint64_t hal_dma_load64(const volatile void *address)
{
    if (((uintptr_t)address & (PORT_ENTRY_BYTES - 1)) == PORT_PHASE_LOAD) {
        bus_look(address);
    }
    return *(const volatile uint64_t *)address;
}

static inline uint64_t hal_dma_address(void *context, const void *pointer)
{
    (void)context;
    hart_charge(COST_PAGE);
    return (uint64_t)(uintptr_t)pointer;
}

/*
 * Of data, lists and commands before a doorbell: the place where a post is counted. A list may be
 * as long as a command. It has an address where a command has MPTR, which is 0.
 */
static inline void hal_dma_clean(void *context, const void *pointer, size_t size)
{
    (void)context;
    if (size == PORT_COMMAND_BYTES && ((const uint64_t *)pointer)[PORT_MPTR] == 0) {
        bus_posted();
    }
}

static inline void hal_dma_invalidate(void *context, const void *pointer, size_t size)
{
    (void)context;
    (void)pointer;
    (void)size;
}

static inline unsigned long hal_irq_save(void)
{
    return irq_save();
}

static inline void hal_irq_restore(unsigned long state)
{
    irq_restore(state);
}

static inline uint32_t hal_hart(void)
{
    return hart_index();
}

static inline bool hal_irq_is_off(void)
{
    return !irq_enabled();
}

static inline uint64_t hal_now_ns(void)
{
    hart_charge(COST_NOW);
    return csr_time();
}

static inline void hal_relax(void)
{
    hart_relax();
}

__attribute__((noreturn)) static inline void hal_panic(const char *reason)
{
    panic(reason);
}

#endif
