// SPDX-License-Identifier: MIT
/*
 * PCI Express over ECAM: finds every function behind every bridge, numbers the buses, assigns
 * memory BARs and bridge windows, and finds the interrupt of a function's pin.
 * Functions are left off; pci_enable() turns one on. I/O space and expansion ROMs are not used.
 * Below it is pci/nvme_pci.h, which knows one function; this file knows the tree of bridges.
 * PCI Local Bus 3.0 chapter 6, PCI-to-PCI Bridge 1.2 chapter 3.
 */
#ifndef HARTQ_PCI_H
#define HARTQ_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"
#include "nvme_pci.h"

#define PCI_BAR_COUNT 6
#define PCI_CLASS_NVME 0x010802u /* mass storage, NVM, NVM Express */

/* A base address register. size 0: absent, or of I/O space. */
struct pci_bar {
    uint64_t base; /* the CPU's address */
    uint64_t bus;  /* the same place as the bus sees it */
    uint64_t size;
    uint32_t flags; /* NVME_PCI_BAR_ */
};

/* A function as pci_scan() found it and set it up. */
struct pci_function {
    uint8_t bus, device, function;
    uint8_t header_type; /* 0: device, 1: bridge */
    uint16_t vendor, device_id;
    uint32_t class_code; /* class, subclass, programming interface */
    struct pci_bar bars[PCI_BAR_COUNT];
    struct machine_interrupt irq; /* of its INTx pin; source 0: none */
    struct nvme_pci_function at;  /* its configuration space */
};

/* Offsets and bits of the configuration registers that programs need. */
enum pci_register {
    PCI_VENDOR = 0x00,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_BAR0 = 0x10,
    PCI_BRIDGE_BUSES = 0x18,
    PCI_BRIDGE_SECONDARY = 0x19,
    PCI_BRIDGE_IO = 0x1c,
    PCI_BRIDGE_MEMORY = 0x20,
    PCI_BRIDGE_PREFETCHABLE = 0x24,
    PCI_BRIDGE_PREFETCHABLE_BASE_UPPER = 0x28,
    PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER = 0x2c,
    PCI_BRIDGE_IO_UPPER = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c, /* of a bridge: its control above */
    PCI_INTERRUPT_PIN = 0x3d,
};

#define PCI_COMMAND_IO 0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS_INTERRUPT 0x0008u
#define PCI_STATUS_CAPABILITIES 0x0010u

/*
 * Scans and assigns, host by host. Writes up to `capacity` functions, bridges included, in bus
 * order, and returns how many there are. If more than `capacity`, the rest was set up but not
 * written. A note reports a host that cannot be used, a BAR that fits nowhere (then its size is
 * 0) and a bus without a number. Called once, on hart 0.
 */
unsigned pci_scan(const struct machine *machine, struct pci_function *functions, unsigned capacity);

/*
 * Takes a function over from an earlier user: decoding, bus mastering, MSI and MSI-X off, a bridge
 * forwards no bus, power state D0 (after 10 ms if it was another). False: it does not reach D0.
 */
bool pci_take_over(const struct pci_function *function);

/*
 * Asks a BAR for its size by writing ones, and leaves 0 in it. Decoding is off.
 * Parameters: bar_count: of the function's header.
 */
struct pci_bar pci_measure_bar(const struct pci_function *function, unsigned index,
                               unsigned bar_count);

/* Memory decoding and INTx on. */
static inline void pci_decode(const struct pci_function *function)
{
    nvme_pci_decode(&function->at);
}

/* Bus mastering on too: a device that an earlier user left running must have stopped first. */
static inline void pci_enable(const struct pci_function *function)
{
    nvme_pci_enable(&function->at);
}

/* All of it off. */
static inline void pci_disable(const struct pci_function *function)
{
    nvme_pci_disable(&function->at);
}

/* Configuration space at a byte offset that is a multiple of the width. */
static inline uint32_t pci_config_read32(const struct pci_function *function, unsigned offset)
{
    return nvme_pci_read32(&function->at, offset);
}

/* As above. */
static inline uint16_t pci_config_read16(const struct pci_function *function, unsigned offset)
{
    return (uint16_t)(pci_config_read32(function, offset & ~3u) >> offset % 4 * 8);
}

/* As above. */
static inline uint8_t pci_config_read8(const struct pci_function *function, unsigned offset)
{
    return (uint8_t)(pci_config_read32(function, offset & ~3u) >> offset % 4 * 8);
}

/* Only 32 bits are written: zeros leave a status register alone that shares them. */
static inline void pci_config_write32(const struct pci_function *function, unsigned offset,
                                      uint32_t value)
{
    nvme_pci_write32(&function->at, offset, value);
}

/* Offset of the capability with this id (0x11: MSI-X), 0 if the function has none. */
static inline unsigned pci_find_capability(const struct pci_function *function, uint8_t id)
{
    return nvme_pci_capability(&function->at, id);
}

#endif
