// SPDX-License-Identifier: MIT
/* Private to iommu.c and iommu_guard.c: IOMMUs as guards. */
#ifndef HARTQ_IOMMU_INTERNAL_H
#define HARTQ_IOMMU_INTERNAL_H

#include "iommu.h"

/* True after iommu_reserve(). */
bool iommu_is_reserved(void);

/*
 * Makes the IOMMU with registers at `base` a guard, once: with an empty table, and a context for
 * each NVMe controller. False: an error was printed.
 */
bool iommu_guard(const struct machine *machine, const struct pci_function *functions,
                 unsigned count, uint64_t base);

#endif
