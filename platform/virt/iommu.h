// SPDX-License-Identifier: MIT
// RISC-V IOMMUs: none may stand between the devices and memory, for the engine gives them the CPU's
// addresses. RISC-V IOMMU Architecture 1.0, §5.5 (ddtp).
#ifndef HARTQ_IOMMU_H
#define HARTQ_IOMMU_H

#include <stdbool.h>

#include "pci.h"

/// Puts every IOMMU of the machine and among the functions into bare mode, in which each device
/// reaches memory as it is. False: one translates by the tables of another owner, or does not
/// answer; said on the console. Hart 0, before a device masters the bus.
bool iommu_open(const struct machine *machine, const struct pci_function *functions,
                unsigned count);

/// The end of an error line of a controller that cannot reach memory though iommu_open() was true:
/// a hint, "" where no IOMMU is likely to be in its way.
const char *iommu_hint(const struct machine *machine, const struct pci_function *functions,
                       unsigned count);

#endif
