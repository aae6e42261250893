// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/irq.h on the host: a test plays the interrupts.
 */
#ifndef HARTQ_IRQ_H
#define HARTQ_IRQ_H

#include <stdint.h>

static inline uint64_t irq_save(void)
{
    return 0;
}

static inline void irq_restore(uint64_t saved)
{
    (void)saved;
}

#endif
