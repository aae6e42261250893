// SPDX-License-Identifier: MIT
/*
 * The S-mode control and status registers this platform uses, and one-instruction accessors.
 * RISC-V Privileged Architecture 20211203, chapter 4. sstatus is written only through irq.h.
 */
#ifndef HARTQ_CSR_H
#define HARTQ_CSR_H

#include <stdbool.h>
#include <stdint.h>

#define CSR_SSTATUS_SIE (1UL << 1)

/* Bits of sie and sip. */
#define CSR_SIE_SOFTWARE (1UL << 1)
#define CSR_SIE_TIMER (1UL << 5)
#define CSR_SIE_EXTERNAL (1UL << 9)

/* Reads CSR `name` (a token such as sepc). */
#define csr_read(name)                                                                             \
    __extension__({                                                                                \
        uint64_t csr_value;                                                                        \
        __asm__ volatile("csrr %0, " #name : "=r"(csr_value)::"memory");                           \
        csr_value;                                                                                 \
    })

/* Writes CSR `name`. */
#define csr_write(name, value)                                                                     \
    __asm__ volatile("csrw " #name ", %0" ::"rK"((uint64_t)(value)) : "memory")

/* Sets, or clears, the given bits of CSR `name`. */
#define csr_set(name, bits)                                                                        \
    __asm__ volatile("csrs " #name ", %0" ::"rK"((uint64_t)(bits)) : "memory")
#define csr_clear(name, bits)                                                                      \
    __asm__ volatile("csrc " #name ", %0" ::"rK"((uint64_t)(bits)) : "memory")

/* True if an external interrupt is pending on this hart, and on. */
static inline bool csr_external_pending(void)
{
    return (csr_read(sip) & csr_read(sie) & CSR_SIE_EXTERNAL) != 0;
}

/* The time counter, in ticks of the machine's timebase. */
static inline uint64_t csr_time(void)
{
    uint64_t ticks;
    __asm__ volatile("rdtime %0" : "=r"(ticks));
    return ticks;
}

#endif
