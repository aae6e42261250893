// SPDX-License-Identifier: MIT
/* Private to iommu.c and iommu_guard.c: IOMMUs as guards. */
#ifndef HARTQ_IOMMU_INTERNAL_H
#define HARTQ_IOMMU_INTERNAL_H

#include "iommu.h"

/*
 * Decides whether IOMMUs are to be guards, and maps the interrupt files. `obstacle` is what keeps
 * one of them from it, or NULL. False: iommu_reserve() was not called, or a note was printed.
 */
bool iommu_guard_begin(const struct machine *machine, const char *obstacle);

/*
 * Makes the IOMMU with registers at `base` a guard, once, with a context for each NVMe controller
 * and each bridge. False: an error was printed.
 */
bool iommu_guard(const struct pci_function *functions, unsigned count, uint64_t base);

#endif
