// SPDX-License-Identifier: MIT
/*
 * RISC-V IOMMUs: none may translate, because the engine gives the devices CPU addresses.
 * RISC-V IOMMU Architecture 1.0, §5.5 (ddtp).
 */
#ifndef HARTQ_IOMMU_H
#define HARTQ_IOMMU_H

#include <stdbool.h>

#include "pci.h"

/*
 * Puts every IOMMU of the machine and among the functions into bare mode, which passes accesses
 * unchanged. False: one has the tables of another owner, or does not answer; an error was printed.
 * Context: hart 0, before a device masters the bus.
 */
bool iommu_open(const struct machine *machine, const struct pci_function *functions,
                unsigned count);

/*
 * A hint for the error line of a controller that cannot reach memory although iommu_open() was
 * true; "" if no IOMMU is a likely cause.
 */
const char *iommu_hint(const struct machine *machine, const struct pci_function *functions,
                       unsigned count);

#endif
