// SPDX-License-Identifier: MIT
/*
 * One function's configuration space: accesses, capabilities, on and off.
 * ECAM is memory-mapped I/O of the access's own width (PCI Express 3.0 §7.2.2). Each access has a
 * fence on both sides: this space, the functions' BARs and memory are separate regions, and only
 * fences order accesses to different regions (RISC-V Unprivileged ISA 20191213, §2.7).
 */
#include "fence.h"
#include "pci.h"

/* The list is in bytes 0x40 to 0xff, at least four bytes each: more entries are a loop. */
#define PCI_CAPABILITY_LIMIT 48

static inline void order_access(void)
{
    fence(iorw, iorw);
}

uint8_t pci_config_read8(const struct pci_function *function, unsigned offset)
{
    uint8_t value;

    order_access();
    value = *(volatile uint8_t *)(function->config + offset);
    order_access();
    return value;
}

uint16_t pci_config_read16(const struct pci_function *function, unsigned offset)
{
    uint16_t value;

    order_access();
    value = *(volatile uint16_t *)(function->config + offset);
    order_access();
    return value;
}

uint32_t pci_config_read32(const struct pci_function *function, unsigned offset)
{
    uint32_t value;

    order_access();
    value = *(volatile uint32_t *)(function->config + offset);
    order_access();
    return value;
}

void pci_config_write8(const struct pci_function *function, unsigned offset, uint8_t value)
{
    order_access();
    *(volatile uint8_t *)(function->config + offset) = value;
    order_access();
}

void pci_config_write16(const struct pci_function *function, unsigned offset, uint16_t value)
{
    order_access();
    *(volatile uint16_t *)(function->config + offset) = value;
    order_access();
}

void pci_config_write32(const struct pci_function *function, unsigned offset, uint32_t value)
{
    order_access();
    *(volatile uint32_t *)(function->config + offset) = value;
    order_access();
}

unsigned pci_find_capability(const struct pci_function *function, uint8_t id)
{
    unsigned offset;

    if ((pci_config_read16(function, PCI_STATUS) & PCI_STATUS_CAPABILITIES) == 0) {
        return 0;
    }
    offset = pci_config_read8(function, PCI_CAPABILITIES) & 0xfcu;
    for (unsigned i = 0; i < PCI_CAPABILITY_LIMIT && offset >= 0x40; i++) {
        if (pci_config_read8(function, offset) == id) {
            return offset;
        }
        offset = pci_config_read8(function, offset + 1) & 0xfcu;
    }
    return 0;
}

static void allow_access(const struct pci_function *function, uint16_t bits)
{
    uint16_t command = pci_config_read16(function, PCI_COMMAND);

    command = (uint16_t)(command & ~PCI_COMMAND_INTX_OFF);
    command = (uint16_t)(command | bits);
    pci_config_write16(function, PCI_COMMAND, command);
    (void)pci_config_read16(function, PCI_COMMAND); /* pushes the write */
}

void pci_decode(const struct pci_function *function)
{
    allow_access(function, PCI_COMMAND_MEMORY);
}

void pci_enable(const struct pci_function *function)
{
    allow_access(function, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_disable(const struct pci_function *function)
{
    uint16_t command = pci_config_read16(function, PCI_COMMAND);

    command = (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
    command = (uint16_t)(command | PCI_COMMAND_INTX_OFF);
    pci_config_write16(function, PCI_COMMAND, command);
    (void)pci_config_read16(function, PCI_COMMAND);
}
