// SPDX-License-Identifier: MIT
/*
 * Turns off what an earlier user left on in a function: firmware, a boot loader, a crashed kernel.
 * PCI Local Bus 3.0 §6.8 (MSI and MSI-X), PCI-to-PCI Bridge 1.2 §3.2.5, PCI Power
 * Management 1.2 §3.2.4 (states) and §5.6.1 (the wait).
 */
#include "pci.h"
#include "timer.h"

enum {
    CAPABILITY_POWER = 0x01,
    CAPABILITY_MSI = 0x05,
    CAPABILITY_MSIX = 0x11,
    POWER_STATUS = 4, /* offsets inside a capability */
    MESSAGE_CONTROL = 2,
};

#define POWER_STATE 0x0003u       /* 0: D0, 3: D3hot */
#define POWER_PME 0x8100u         /* enable, and status, which a 1 would clear */
#define POWER_WAIT_NS 10000000ULL /* from D3hot to D0, before the next access */
#define MSI_ENABLE 0x0001u
#define MSIX_ENABLE 0x8000u

static bool power_up(const struct pci_function *function)
{
    unsigned at = pci_find_capability(function, CAPABILITY_POWER);
    uint64_t start_ns = time_now_ns();
    uint16_t status;

    if (at == 0) {
        return true;
    }
    status = pci_config_read16(function, at + POWER_STATUS);
    if ((status & POWER_STATE) == 0) {
        return true;
    }
    pci_config_write16(function, at + POWER_STATUS,
                       (uint16_t)(status & ~(POWER_STATE | POWER_PME)));
    while (time_now_ns() - start_ns < POWER_WAIT_NS) {
        /* Configuration space must not be touched meanwhile. */
    }
    return (pci_config_read16(function, at + POWER_STATUS) & POWER_STATE) == 0;
}

static void clear_control(const struct pci_function *function, uint8_t capability, unsigned bits)
{
    unsigned at = pci_find_capability(function, capability);

    if (at != 0) {
        unsigned control = pci_config_read16(function, at + MESSAGE_CONTROL);

        pci_config_write16(function, at + MESSAGE_CONTROL, (uint16_t)(control & ~bits));
    }
}

/*
 * A stale bus number could answer for a bus of another bridge. A stale upper half would open a
 * window that is written as closed.
 */
static void close_bridge(const struct pci_function *bridge)
{
    pci_config_write8(bridge, PCI_BRIDGE_PRIMARY, 0);
    pci_config_write8(bridge, PCI_BRIDGE_SECONDARY, 0);
    pci_config_write8(bridge, PCI_BRIDGE_SUBORDINATE, 0);
    pci_config_write16(bridge, PCI_BRIDGE_IO, 0x00f0); /* base above limit: closed */
    pci_config_write32(bridge, PCI_BRIDGE_IO_UPPER, 0);
    pci_config_write32(bridge, PCI_BRIDGE_MEMORY, 0x0000fff0);
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE, 0x0000fff0);
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, 0);
    pci_config_write32(bridge, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, 0);
    pci_config_write16(bridge, PCI_BRIDGE_CONTROL, 0);
}

bool pci_take_over(const struct pci_function *function)
{
    pci_disable(function);
    if (!power_up(function)) {
        return false;
    }
    pci_disable(function); /* a function that left D3hot may have been reset */
    clear_control(function, CAPABILITY_MSI, MSI_ENABLE);
    clear_control(function, CAPABILITY_MSIX, MSIX_ENABLE);
    if (function->header_type == 1) {
        close_bridge(function);
    }
    return true;
}

struct pci_bar pci_measure_bar(const struct pci_function *f, unsigned index, unsigned bar_count)
{
    unsigned offset = PCI_BAR0 + 4 * index;
    struct pci_bar bar = {0};
    uint64_t mask;
    uint32_t low;

    pci_config_write32(f, offset, UINT32_MAX);
    low = pci_config_read32(f, offset);
    if ((low & 1) != 0) {
        mask = low & ~3u;
        bar.flags = PCI_BAR_IO;
        bar.size = (~mask & 0xffff) + 1; /* the upper half may be hard-wired to 0 */
        pci_config_write32(f, offset, 0);
        return bar;
    }
    mask = low & ~15u;
    bar.flags = (low & 8) != 0 ? PCI_BAR_PREFETCHABLE : 0;
    if ((low & 6) == 4 && index + 1 < bar_count) {
        bar.flags |= PCI_BAR_64;
        pci_config_write32(f, offset + 4, UINT32_MAX);
        mask |= (uint64_t)pci_config_read32(f, offset + 4) << 32;
        pci_config_write32(f, offset + 4, 0);
    } else if (mask != 0) {
        mask |= 0xffffffff00000000;
    }
    pci_config_write32(f, offset, 0);
    bar.size = mask == 0 ? 0 : mask & (~mask + 1); /* the lowest writable bit */
    return bar;
}

void pci_write_bar(const struct pci_function *function, unsigned index, uint32_t flags,
                   uint64_t address)
{
    pci_config_write32(function, PCI_BAR0 + 4 * index, (uint32_t)address);
    if ((flags & PCI_BAR_64) != 0) {
        pci_config_write32(function, PCI_BAR0 + 4 * index + 4, (uint32_t)(address >> 32));
    }
}
