// SPDX-License-Identifier: MIT
/*
 * MSI-X of a PCI function: a table of messages in one of its BARs. PCI Local Bus 3.0 §6.8.2.
 */
#ifndef HARTQ_MSIX_H
#define HARTQ_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

/* The table of a function that has MSI-X on. */
struct msix {
    volatile uint32_t *table;
    uint32_t vector_count;
};

/*
 * Masks every vector and turns MSI-X on; the function's INTx pin is then silent. False: it has no
 * such capability, or its table lies outside the BAR (*msix is unchanged).
 */
bool msix_enable(const struct pci_function *function, struct msix *msix);

/* Turns MSI-X off; INTx may be used again. */
void msix_disable(const struct pci_function *function);

/* Sets the address and the data of a masked vector below msix->vector_count. */
void msix_set_message(const struct msix *msix, uint32_t vector, uint64_t address, uint32_t data);

/*
 * Masks a vector, or unmasks it, which sends a message that was held back. Any hart, traps too.
 * One posted write: a message that is sent before the mask arrives still comes.
 */
void msix_mask(const struct msix *msix, uint32_t vector, bool masked);

#endif
