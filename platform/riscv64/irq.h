// SPDX-License-Identifier: MIT
/*
 * Turns interrupts of the calling hart on and off: sstatus.SIE and no other bit of sstatus.
 * The "memory" clobber keeps the compiler from moving accesses past these calls.
 */
#ifndef HARTQ_IRQ_H
#define HARTQ_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "csr.h"

/*
 * Interrupts off; returns what irq_restore() needs. Nests. One instruction and a mask, but each
 * access of a CSR takes QEMU as long as some 300 plain instructions (7.2).
 */
static inline uint64_t irq_save(void)
{
    uint64_t sstatus;
    __asm__ volatile("csrrci %0, sstatus, 2" : "=r"(sstatus)::"memory");
    return sstatus & CSR_SSTATUS_SIE;
}

/* Back to the state irq_save() found. */
static inline void irq_restore(uint64_t saved)
{
    if (saved != 0) {
        __asm__ volatile("csrsi sstatus, 2" ::: "memory");
    }
}

/* Interrupts on. */
static inline void irq_enable(void)
{
    __asm__ volatile("csrsi sstatus, 2" ::: "memory");
}

/* Interrupts off. */
static inline void irq_disable(void)
{
    __asm__ volatile("csrci sstatus, 2" ::: "memory");
}

/* True if interrupts are on. */
static inline bool irq_enabled(void)
{
    return (csr_read(sstatus) & CSR_SSTATUS_SIE) != 0;
}

#endif
