// SPDX-License-Identifier: MIT
#include "iommu.h"

#include "iommu_internal.h"
#include "iommu_unit.h"

#define IOMMU_CLASS 0x0806 /* base class and subclass */

static bool is_iommu(const struct pci_function *function)
{
    return function->class_code >> 8 == IOMMU_CLASS && function->bars[0].base != 0;
}

static bool open_one(const struct machine *machine, const struct pci_function *functions,
                     unsigned count, uint64_t base)
{
    return iommu_is_reserved() ? iommu_guard(machine, functions, count, base)
                               : iommu_unit_pass_all(base);
}

bool iommu_open(const struct machine *machine, const struct pci_function *functions, unsigned count)
{
    bool all = true;

    for (uint32_t i = 0; i < machine->iommu_count; i++) {
        all = open_one(machine, functions, count, machine->iommus[i].base) && all;
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_iommu(&functions[i])) {
            pci_decode(&functions[i]);
            all = open_one(machine, functions, count, functions[i].bars[0].base) && all;
        }
    }
    return all;
}

/*
 * QEMU (10.0 and 11.1, hw/riscv/virt.c) removes the machine's own IOMMU from the device tree if
 * there is another on PCI. It still refuses every function's accesses, but its address is unknown.
 */
const char *iommu_hint(const struct machine *machine, const struct pci_function *functions,
                       unsigned count)
{
    bool found = false;

    for (unsigned i = 0; i < count; i++) {
        found = found || is_iommu(&functions[i]);
    }
    return found && machine->iommu_count == 0
               ? "; hint: an IOMMU that the device tree does not name may refuse its accesses: "
                 "-machine iommu-sys=on beside -device riscv-iommu-pci is one; leave one of them "
                 "out"
               : "";
}
