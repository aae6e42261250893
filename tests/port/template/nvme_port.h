// SPDX-License-Identifier: MIT
/*
 * A port to copy: a RISC-V kernel in S-mode whose DMA is coherent. What differs between kernels
 * are the four functions below. Write them in the kernel, or change the bodies here.
 * Only nvme_hal.h includes this file; the contract of each hal_ function is there.
 */
#ifndef NVME_PORT_H
#define NVME_PORT_H

#ifdef __cplusplus
extern "C" {
#endif

/* The device's address of a byte: the pointer itself without paging, else a page walk. */
uint64_t nvme_port_dma_address(void *context, const void *pointer);

/* Nanoseconds that never go back, on every hart the same: the time CSR, scaled. */
uint64_t nvme_port_now_ns(void);

/* This hart, in the numbering of nvme_queue_config.owner, or NVME_HART_UNKNOWN. */
uint32_t nvme_port_hart(void);

/* Says the reason and stops the kernel. */
NVME_NORETURN void nvme_port_panic(const char *reason);

#ifdef __cplusplus
}
#endif

/* ---- Registers and order: right for every RISC-V machine -------------------------------- */

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
    __asm__ volatile("fence rw, o" ::: "memory");
}

static inline void hal_shadow_store32(volatile void *address, uint32_t value)
{
    __asm__ volatile("fence rw, w" ::: "memory");
    *(volatile uint32_t *)address = value;
    __asm__ volatile("fence w, or" ::: "memory");
}

static inline void hal_after_phase(void)
{
    __asm__ volatile("fence r, rw" ::: "memory");
}

static inline void hal_after_mmio_read(void)
{
    __asm__ volatile("fence i, rw" ::: "memory");
}

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

/* ---- Memory: a machine whose DMA is not coherent has cache operations here --------------- */

static inline uint64_t hal_dma_address(void *context, const void *pointer)
{
    return nvme_port_dma_address(context, pointer);
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

/* With an IOMMU: hal_dma_map and hal_dma_unmap, and NVME_PORT_MAPS_DMA as 1. Without: nothing. */

/* ---- Interrupts: sstatus.SIE of this hart. In M-mode it is mstatus, and 8 ---------------- */

static inline unsigned long hal_irq_save(void)
{
    unsigned long status;

    __asm__ volatile("csrrci %0, sstatus, 2" : "=r"(status) : : "memory");
    return status & 2;
}

static inline void hal_irq_restore(unsigned long state)
{
    __asm__ volatile("csrs sstatus, %0" : : "r"(state) : "memory");
}

static inline bool hal_irq_is_off(void)
{
    unsigned long status;

    __asm__ volatile("csrr %0, sstatus" : "=r"(status) : : "memory");
    return (status & 2) == 0;
}

/* ---- The kernel's own ----------------------------------------------------------------------- */

static inline uint32_t hal_hart(void)
{
    return nvme_port_hart();
}

static inline uint64_t hal_now_ns(void)
{
    return nvme_port_now_ns();
}

static inline void hal_relax(void)
{
}

NVME_NORETURN static inline void hal_panic(const char *reason)
{
    nvme_port_panic(reason);
}

#endif
