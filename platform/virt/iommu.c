// SPDX-License-Identifier: MIT
#include "iommu.h"

#include "iommu_internal.h"
#include "iommu_unit.h"

#define IOMMU_CLASS 0x0806 /* base class and subclass */

static bool is_iommu(const struct pci_function *function)
{
    return function->class_code >> 8 == IOMMU_CLASS && function->bars[0].base != 0;
}

/* The registers of the IOMMU with this number; 0: there is none. */
static uint64_t find_registers(const struct machine *machine, const struct pci_function *functions,
                               unsigned count, unsigned number)
{
    if (number < machine->iommu_count) {
        return machine->iommus[number].base;
    }
    number -= machine->iommu_count;
    for (unsigned i = 0; i < count; i++) {
        if (is_iommu(&functions[i]) && number-- == 0) {
            return functions[i].bars[0].base;
        }
    }
    return 0;
}

/* True if all can guard this machine. If they should and cannot, a note says why. */
static bool choose_guards(const struct machine *machine, const struct pci_function *functions,
                          unsigned count)
{
    const char *obstacle = NULL;
    uint64_t base;

    for (unsigned i = 0; (base = find_registers(machine, functions, count, i)) != 0; i++) {
        obstacle = obstacle != NULL ? obstacle : iommu_unit_obstacle(base);
    }
    return iommu_guard_begin(machine, obstacle);
}

bool iommu_open(const struct machine *machine, const struct pci_function *functions, unsigned count)
{
    bool any = machine->iommu_count != 0;
    bool all = true;
    bool guards;
    uint64_t base;

    for (unsigned i = 0; i < count; i++) {
        if (is_iommu(&functions[i])) {
            pci_enable(&functions[i]); /* it fetches its tables by itself */
            any = true;
        }
    }
    guards = any && choose_guards(machine, functions, count);
    for (unsigned i = 0; (base = find_registers(machine, functions, count, i)) != 0; i++) {
        all = (guards ? iommu_guard(functions, count, base) : iommu_unit_pass_all(base)) && all;
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
