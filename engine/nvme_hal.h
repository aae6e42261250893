// SPDX-License-Identifier: MIT
/*
 * The contract of a port: everything the engine asks of the machine below it.
 *
 * Prototypes stand before the include of "nvme_port.h", which is found by include path and
 * defines each of them as a static inline function. A port that forgets one, or gives it
 * another type, does not compile with -Wall -Werror. docs/porting.md shows a port in one page.
 *
 * Barriers are named by their purpose, not by an instruction: the engine says what must not
 * pass what, the port knows the cheapest fence that gives it.
 *
 * Context of every function: any hart, thread or trap, interrupts on or off.
 */
#ifndef NVME_HAL_H
#define NVME_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define NVME_NORETURN [[noreturn]]
#else
#define NVME_NORETURN _Noreturn
#endif

/*
 * 32-bit access to a device register. The address lies in the region given as
 * nvme_config.registers and is 4-byte aligned. The access is done once. It is not split, merged or
 * reordered against other register accesses of the same hart. Bytes are little-endian.
 */
static inline uint32_t hal_mmio_read32(const volatile void *address);
static inline void hal_mmio_write32(volatile void *address, uint32_t value);

/*
 * Before a doorbell write. Stores to the submission ring, PRP lists and data buffers, and loads
 * from buffers that the device may overwrite next, are visible to the device before the
 * doorbell (RISC-V: fence rw,o). Before a completion-head doorbell only the loads of the
 * entries given back matter. Pairs with the device's reads after it has seen the doorbell.
 */
static inline void hal_before_doorbell(void);

/*
 * Stores a shadow doorbell, in memory that device and hart both see at once. Earlier accesses of
 * memory come before the store; later loads and register writes come after it (RISC-V: fence rw,w,
 * the store, fence w,or). Pairs with a device that stores its event index and then looks at the
 * shadow doorbell once more.
 */
static inline void hal_shadow_store32(volatile void *address, uint32_t value);

/*
 * After a completion's phase bit was seen to be new. Loads of the other fields of the entry and
 * loads and stores of the data come after the load of the phase (RISC-V: fence r,rw). Pairs
 * with the device, which writes data first, then the entry.
 */
static inline void hal_after_phase(void);

/*
 * After a register read that reports progress of the device, such as CSTS.RDY = 0. Memory
 * accesses that rely on it come after the read (RISC-V: fence i,rw).
 */
static inline void hal_after_mmio_read(void);

/*
 * After register writes that must reach the device before the last look at memory or at the
 * interrupt line. Reads the given register, because PCI writes are posted and a read pushes them.
 * Later loads come after it, also those of registers and of configuration space (RISC-V: a load,
 * then fence io,ir).
 */
static inline void hal_arm_before_look(const volatile void *address);

/*
 * One load of memory that the device writes, never split, repeated or invented by the compiler.
 * The address is aligned to the size of the load. The 64 bits are one access: what the device wrote
 * to the lower half before the upper half is there when the upper half is. The engine uses the
 * 64-bit load only; the other is for programs that reap a raw ring (nvme_bench.h).
 */
static inline uint32_t hal_dma_load32(const volatile void *address);
static inline uint64_t hal_dma_load64(const volatile void *address);

/*
 * The address by which the device reaches the byte at `pointer`. `context` is
 * nvme_config.dma_context. Identity on a machine without paging and IOMMU, a page walk in a
 * paging kernel. The result keeps the offset inside a page of nvme_config.page_bytes, and the
 * bytes of one such page are contiguous for the device. It cannot fail: the caller keeps buffers
 * in place from post to done(), known in every context that uses the queue, traps included. What a
 * device reaches only for the time of a request is mapped by hal_dma_map.
 */
static inline uint64_t hal_dma_address(void *context, const void *pointer);

/*
 * For DMA that is not coherent with the caches; empty where it is. Clean writes dirty lines back
 * before the device reads, and also before it writes: a later eviction would undo its data.
 * Invalidate drops lines before the hart reads what the device wrote. `size` is in bytes, and the
 * port rounds to cache lines. A buffer for reading must therefore not share a line with data that
 * the hart writes meanwhile.
 */
static inline void hal_dma_clean(void *context, const void *pointer, size_t size);
static inline void hal_dma_invalidate(void *context, const void *pointer, size_t size);

/* What the device does with data: bits of a set, as bits 1:0 of an opcode. */
enum nvme_dma_direction {
    NVME_DMA_TO_DEVICE = 1,   /* reads them: a write */
    NVME_DMA_FROM_DEVICE = 2, /* fills them: a read */
    NVME_DMA_BOTH = 3,
};

/*
 * Map the data of a request for the device, and unmap them: only of a port with an IOMMU, or one
 * that copies data to where the device reaches. It defines NVME_PORT_MAPS_DMA as 1 in nvme_port.h.
 * Any other port defines none of the three, and pays nothing.
 * Map is called by the post, before hal_dma_clean and hal_dma_address of these bytes. False: there
 * is no room, and the post fails with NVME_ERR_MAP. Each piece is unmapped once, with what it was
 * mapped with, when the device can no longer touch it: behind hal_dma_invalidate, before done().
 * After NVME_ERR_STUCK it stays mapped (R10). A piece may be mapped again meanwhile, and pieces may
 * overlap, as when two writes have one buffer; then hal_dma_address goes by the newest.
 * The regions of struct nvme_memory are the caller's to map: before open, until close has ended.
 */
static inline bool hal_dma_map(void *context, void *pointer, size_t size,
                               enum nvme_dma_direction direction);
static inline void hal_dma_unmap(void *context, void *pointer, size_t size,
                                 enum nvme_dma_direction direction);

/*
 * Turns interrupts of this hart off and returns the previous state for hal_irq_restore. They
 * nest as pairs inside one function and are also compiler barriers.
 */
static inline unsigned long hal_irq_save(void);
static inline void hal_irq_restore(unsigned long state);

/*
 * The calling hart, in the numbering of nvme_queue_config.owner, and whether its interrupts are
 * off. For assertions outside the hot paths. A port that cannot know returns NVME_HART_UNKNOWN and
 * true; then nothing is asserted. So does one whose harts share queues under a lock.
 */
#define NVME_HART_UNKNOWN UINT32_MAX
static inline uint32_t hal_hart(void);
static inline bool hal_irq_is_off(void);

/*
 * Monotonic time in nanoseconds, the same on every hart to within a microsecond, from any
 * origin. Used for deadlines and storms, and by hybrid mode in one of 16 looks and at the end of a
 * longer wait; else never for each I/O command.
 */
static inline uint64_t hal_now_ns(void);

/* A pause inside a bounded wait: nothing, or a hint to the core. Interrupts may be off. */
static inline void hal_relax(void);

/* Ends the program after a broken invariant of the engine. Does not return. */
NVME_NORETURN static inline void hal_panic(const char *reason);

/*
 * memcpy and memset, the only two functions of libc that the engine uses. They have names of their
 * own here, because a kernel may declare the others with types of its own.
 */
#ifdef __cplusplus
extern "C" {
#endif
void *nvme_memcpy(void *__restrict to, const void *__restrict from, size_t size) __asm__("memcpy");
void *nvme_memset(void *to, int value, size_t size) __asm__("memset");
#ifdef __cplusplus
}
#endif

#include "nvme_port.h"

#ifndef NVME_PORT_MAPS_DMA
#define NVME_PORT_MAPS_DMA false

/* Not called: the device reaches all data anyway. */
static inline bool hal_dma_map(void *context, void *pointer, size_t size,
                               enum nvme_dma_direction direction)
{
    (void)context;
    (void)pointer;
    (void)size;
    (void)direction;
    return true;
}

/* Not called either. */
static inline void hal_dma_unmap(void *context, void *pointer, size_t size,
                                 enum nvme_dma_direction direction)
{
    (void)context;
    (void)pointer;
    (void)size;
    (void)direction;
}
#endif

/* Names each function once, so that every compiler notices a port that lacks one. */
static inline void nvme_hal_is_complete(void)
{
    (void)&hal_mmio_read32;
    (void)&hal_mmio_write32;
    (void)&hal_before_doorbell;
    (void)&hal_shadow_store32;
    (void)&hal_after_phase;
    (void)&hal_after_mmio_read;
    (void)&hal_arm_before_look;
    (void)&hal_dma_load32;
    (void)&hal_dma_load64;
    (void)&hal_dma_address;
    (void)&hal_dma_clean;
    (void)&hal_dma_invalidate;
    (void)&hal_dma_map;
    (void)&hal_dma_unmap;
    (void)&hal_irq_save;
    (void)&hal_irq_restore;
    (void)&hal_hart;
    (void)&hal_irq_is_off;
    (void)&hal_now_ns;
    (void)&hal_relax;
    (void)&hal_panic;
}

#endif
