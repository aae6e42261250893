// SPDX-License-Identifier: MIT
// Interrupts of the calling hart, on and off: sstatus.SIE and nothing else of sstatus.
// The "memory" clobber keeps the compiler from moving accesses out of the bracket.
#ifndef HARTQ_IRQ_H
#define HARTQ_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "csr.h"

/// Interrupts off; returns what irq_restore() needs. Nests: where they are off already nothing is
/// written, for a write of sstatus takes QEMU as long as some 300 plain instructions (7.2).
static inline uint64_t irq_save(void)
{
    uint64_t saved;
    __asm__ volatile("csrr %0, sstatus" : "=r"(saved)::"memory");
    saved &= CSR_SSTATUS_SIE;
    if (saved != 0) {
        __asm__ volatile("csrci sstatus, 2" ::: "memory");
    }
    return saved;
}

/// Back to the state irq_save() found.
static inline void irq_restore(uint64_t saved)
{
    if (saved != 0) {
        __asm__ volatile("csrsi sstatus, 2" ::: "memory");
    }
}

/// Interrupts on.
static inline void irq_enable(void)
{
    __asm__ volatile("csrsi sstatus, 2" ::: "memory");
}

/// Interrupts off.
static inline void irq_disable(void)
{
    __asm__ volatile("csrci sstatus, 2" ::: "memory");
}

/// True if an interrupt is pending that would be taken if interrupts were on.
static inline bool irq_pending(void)
{
    return (csr_read(sip) & csr_read(sie)) != 0;
}

/// True if interrupts are on.
static inline bool irq_enabled(void)
{
    return (csr_read(sstatus) & CSR_SSTATUS_SIE) != 0;
}

#endif
