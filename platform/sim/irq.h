// SPDX-License-Identifier: MIT
/*
 * As platform/riscv64/irq.h, for a hart of the simulated machine. What is pending is taken where
 * interrupts are turned on.
 */
#ifndef HARTQ_IRQ_H
#define HARTQ_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/* Interrupts off; returns what irq_restore() needs. Nests. */
uint64_t irq_save(void);

/* Back to the state irq_save() found. */
void irq_restore(uint64_t saved);

/* Interrupts on. */
void irq_enable(void);

/* Interrupts off. */
void irq_disable(void);

/* True if interrupts are on. */
bool irq_enabled(void);

#endif
