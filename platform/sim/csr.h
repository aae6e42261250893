// SPDX-License-Identifier: MIT
/*
 * As platform/riscv64/csr.h, for a hart of the simulated machine: what programs read.
 */
#ifndef HARTQ_CSR_H
#define HARTQ_CSR_H

#include <stdint.h>

/* Bits of sie and sip. */
#define CSR_SIE_SOFTWARE (1UL << 1)
#define CSR_SIE_TIMER (1UL << 5)
#define CSR_SIE_EXTERNAL (1UL << 9)

/* Reads CSR `name`: sip or instret. */
#define csr_read(name) csr_read_##name()

/* Interrupts that are pending for the hart. */
uint64_t csr_read_sip(void);

/* Instructions that the hart was charged so far. */
uint64_t csr_read_instret(void);

/* The time counter: nanoseconds. */
uint64_t csr_time(void);

#endif
