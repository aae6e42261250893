// SPDX-License-Identifier: MIT
/*
 * The port of the thread tests: harts are threads, and each barrier of the contract is the C11
 * ordering that it stands for, so that the thread sanitizer knows what the engine has ordered and
 * reports everything else. Included by nvme_hal.h; the contract of each function stands there.
 *
 * The sanitizer does not know fences, only ordered accesses. So a barrier before a doorbell makes
 * register writes releases, until the hart looks at an entry or prepares memory for the device. A
 * barrier after a load makes an acquire of the address that was loaded last. What other threads
 * learn otherwise (interrupts, time) is relaxed on purpose: it must not order anything.
 */
#ifndef NVME_PORT_H
#define NVME_PORT_H

#include "device.h"
#include "hart.h"

/* Barriers that are left out on purpose, to see the sanitizer report it. */
enum port_drop {
    PORT_DROP_NOTHING,
    PORT_DROP_BEFORE_DOORBELL,
    PORT_DROP_AFTER_PHASE,
    PORT_DROP_AFTER_MMIO_READ,
    PORT_DROP_SHADOW_STORE,
};

extern enum port_drop port_drop; /* set before any thread starts */

/* What this thread's next barrier refers to. */
struct port_order {
    bool release;
    const volatile uint64_t *loaded; /* the device stores the phase with these 64 bits */
    const volatile uint32_t *read;
};

extern _Thread_local struct port_order port_order;

static inline uint32_t hal_mmio_read32(const volatile void *address)
{
    port_order.read = address;
    return __atomic_load_n(port_order.read, __ATOMIC_RELAXED);
}

static inline void hal_mmio_write32(volatile void *address, uint32_t value)
{
    device_write(address, value, port_order.release);
}

static inline void hal_before_doorbell(void)
{
    port_order.release = port_drop != PORT_DROP_BEFORE_DOORBELL;
}

static inline void hal_shadow_store32(volatile void *address, uint32_t value)
{
    if (port_drop != PORT_DROP_SHADOW_STORE) {
        __atomic_store_n((volatile uint32_t *)address, value, __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n((volatile uint32_t *)address, value, __ATOMIC_RELAXED);
    }
}

static inline void hal_after_phase(void)
{
    if (port_drop != PORT_DROP_AFTER_PHASE) {
        (void)__atomic_load_n(port_order.loaded, __ATOMIC_ACQUIRE);
    }
}

static inline void hal_after_mmio_read(void)
{
    if (port_drop != PORT_DROP_AFTER_MMIO_READ) {
        (void)__atomic_load_n(port_order.read, __ATOMIC_ACQUIRE);
    }
}

static inline void hal_arm_before_look(const volatile void *address)
{
    (void)__atomic_load_n((const volatile uint32_t *)address, __ATOMIC_ACQUIRE);
}

static inline uint32_t hal_dma_load32(const volatile void *address)
{
    port_order.release = false;
    port_order.loaded = (const volatile uint64_t *)((uintptr_t)address & ~(uintptr_t)7);
    return __atomic_load_n((const volatile uint32_t *)address, __ATOMIC_RELAXED);
}

static inline uint64_t hal_dma_load64(const volatile void *address)
{
    port_order.release = false;
    port_order.loaded = address;
    return __atomic_load_n(port_order.loaded, __ATOMIC_RELAXED);
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
    port_order.release = false;
}

static inline void hal_dma_invalidate(void *context, const void *pointer, size_t size)
{
    (void)context;
    (void)pointer;
    (void)size;
}

static inline unsigned long hal_irq_save(void)
{
    return hart_irq_save();
}

static inline void hal_irq_restore(unsigned long state)
{
    hart_irq_restore(state);
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
    return hart_now_ns();
}

static inline void hal_relax(void)
{
    hart_relax();
}

NVME_NORETURN static inline void hal_panic(const char *reason)
{
    hart_fail("the engine panics: %s", reason);
}

#endif
