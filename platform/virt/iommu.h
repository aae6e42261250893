// SPDX-License-Identifier: MIT
/*
 * RISC-V IOMMUs. In most programs none translates. In those of build/dma/ they guard the memory:
 * NVMe controllers reach only what is mapped, at addresses of their own; all share one such space.
 * iommu_guard.c is the guard. RISC-V IOMMU Architecture 1.0: chapter 5 (registers), chapter 3
 * (commands and faults).
 */
#ifndef HARTQ_IOMMU_H
#define HARTQ_IOMMU_H

#include <stdbool.h>

#include "pci.h"

/*
 * Takes memory for tables from a span that is to be the heap. Only a program of build/dma/ calls
 * it. Too little memory: a note was printed, and nothing is taken. Context: hart 0, once.
 */
void iommu_reserve(struct machine_span *memory);

/*
 * Puts every IOMMU of the machine and among the functions into bare mode, which passes accesses
 * unchanged. After iommu_reserve() it makes guards of them instead; if one of them or the machine
 * lacks something for that, a note says so, and all pass. False: one has the tables of another
 * owner, or does not start; an error was printed.
 * Context: hart 0, before a device masters the bus. It may be called again.
 */
bool iommu_open(const struct machine *machine, const struct pci_function *functions,
                unsigned count);

/*
 * A hint for the error line of a controller that cannot reach memory although iommu_open() was
 * true; "" if no IOMMU is a likely cause.
 */
const char *iommu_hint(const struct machine *machine, const struct pci_function *functions,
                       unsigned count);

/*
 * Prints what devices were refused since the last call, as far as the fault queues had room: one
 * line for accesses of a page that follow each other. The number of lines.
 * Context: hart 0, a thread.
 */
unsigned iommu_print_faults(void);

#endif
