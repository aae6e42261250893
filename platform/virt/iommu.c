// SPDX-License-Identifier: MIT
#include "iommu.h"

#include <inttypes.h>
#include <stdio.h>

#include "timer.h"

/* The device-directory-table pointer: its mode decides about each device's accesses. */
#define DDTP 0x10
#define DDTP_MODE 0xfu
#define DDTP_BUSY 0x10u
#define MODE_OFF 0u  /* all are refused: the state after reset */
#define MODE_BARE 1u /* all pass unchanged; above: tables */

#define IOMMU_CLASS 0x0806 /* base class and subclass */
#define IOMMU_BUSY_TIMEOUT_NS 50000000ULL

/* Reads the register after the IOMMU has finished the last write, or after a time-out. */
static uint64_t read_settled(volatile uint64_t *ddtp)
{
    uint64_t start_ns = time_now_ns();
    uint64_t value = *ddtp;

    while ((value & DDTP_BUSY) != 0 && time_now_ns() - start_ns < IOMMU_BUSY_TIMEOUT_NS) {
        value = *ddtp;
    }
    return value;
}

static bool pass_through(uint64_t base)
{
    volatile uint64_t *ddtp = (volatile uint64_t *)(uintptr_t)(base + DDTP);
    uint64_t value = read_settled(ddtp);

    if ((value & (DDTP_BUSY | DDTP_MODE)) == MODE_OFF) {
        *ddtp = MODE_BARE;
        value = read_settled(ddtp);
    }
    if ((value & (DDTP_BUSY | DDTP_MODE)) == MODE_BARE) {
        return true;
    }
    printf("error: the IOMMU at %#" PRIx64 " does not let devices reach memory (ddtp %#" PRIx64
           ", mode %u, wanted 1); hint: %s\n",
           base, value, (unsigned)(value & DDTP_MODE),
           (value & DDTP_MODE) > MODE_BARE ? "its tables belong to another owner: reset the machine"
                                           : "start the machine without it");
    return false;
}

static bool is_iommu(const struct pci_function *function)
{
    return function->class_code >> 8 == IOMMU_CLASS && function->bars[0].base != 0;
}

bool iommu_open(const struct machine *machine, const struct pci_function *functions, unsigned count)
{
    bool all = true;

    for (uint32_t i = 0; i < machine->iommu_count; i++) {
        all = pass_through(machine->iommus[i].base) && all;
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_iommu(&functions[i])) {
            pci_decode(&functions[i]);
            all = pass_through(functions[i].bars[0].base) && all;
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
