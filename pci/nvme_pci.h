// SPDX-License-Identifier: MIT
/*
 * PCI for kernels that have none: finds an NVMe controller, gives BAR 0 an address or keeps
 * firmware's, and says which interrupt source its pin is. It needs no device tree and no libc, and
 * has no state. It follows the bridges whose buses firmware has numbered.
 * PCI Local Bus 3.0 chapter 6, PCI-to-PCI Bridge 1.2 chapter 3.
 */
#ifndef NVME_PCI_H
#define NVME_PCI_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A PCI host as the caller describes it. It outlives what was found there. */
struct nvme_pci_host {
    /* Configuration space: 32 bits at an offset that is a multiple of 4. `place` is
       bus << 8 | device << 3 | function; one that does not answer reads as all ones. Ordered
       against all other accesses. Space that is mapped: the nvme_pci_ecam_ functions below. */
    uint32_t (*read32)(void *arg, uint32_t place, unsigned offset);
    void (*write32)(void *arg, uint32_t place, unsigned offset, uint32_t value);
    /* To wake a function from D3hot; NULL: it is refused. */
    void (*wait_ms)(void *arg, unsigned ms);
    void *arg; /* of the hooks */
    uint32_t bus_first;
    uint64_t window_bus;    /* memory for a BAR without an address: its first bus address and */
    uint64_t window_bytes;  /* its size. Each call takes off what it gives away. 0: only keep */
    uint64_t cpu_minus_bus; /* the CPU's address of a BAR less the bus address: mostly 0 */
    uint32_t irq_base;      /* the interrupt source of INTA of device 0; the 4 follow each other */
};

/* A function of a host. */
struct nvme_pci_function {
    const struct nvme_pci_host *host;
    uint32_t place;
};

/* A controller whose registers are decoded. Bus mastering, MSI and MSI-X are off. */
struct nvme_pci_controller {
    struct nvme_pci_function function;
    uint16_t vendor, device;  /* nvme_config.pci_vendor and pci_device */
    uint64_t registers;       /* the CPU's physical address of BAR 0 */
    uint64_t registers_bytes; /* its size: all of it is to be mapped, uncached */
    uint32_t irq;             /* the interrupt source of its pin; 0: it has none */
};

/*
 * Finds controller `index`, from 0 in the order of buses and devices, and takes it over from an
 * earlier user. NULL, or an error phrase: then *found is not valid.
 */
const char *nvme_pci_find(struct nvme_pci_host *host, unsigned index,
                          struct nvme_pci_controller *found);

/* nvme_config.bus_master and .intx_level, if hook_arg points to a struct nvme_pci_controller. */
void nvme_pci_bus_master(void *controller);
bool nvme_pci_intx_level(void *controller);

/* read32 and write32 of a mapped ECAM. arg is the address that bus 0 has there, or would have. */
uint32_t nvme_pci_ecam_read32(void *arg, uint32_t place, unsigned offset);
void nvme_pci_ecam_write32(void *arg, uint32_t place, unsigned offset, uint32_t value);

/* ---- For a kernel that scans the bus itself ---------------------------------------------- */

enum { NVME_PCI_BAR_IO = 1, NVME_PCI_BAR_64 = 2, NVME_PCI_BAR_PREFETCHABLE = 4 };

/* What a base address register asks for. size 0: it is absent. */
struct nvme_pci_bar {
    uint64_t size;
    uint32_t flags; /* NVME_PCI_BAR_ */
};

/* Configuration space of a function, by the hooks of its host. */
uint32_t nvme_pci_read32(const struct nvme_pci_function *function, unsigned offset);
void nvme_pci_write32(const struct nvme_pci_function *function, unsigned offset, uint32_t value);

/*
 * The next function of a bus: *next is 0 at first. It leaves out functions of a device that has
 * only one, and unknown headers. False: there are no more.
 */
bool nvme_pci_next(struct nvme_pci_function *function, unsigned *next);

/* Offset of the capability with this id, 0 if the function has none. */
unsigned nvme_pci_capability(const struct nvme_pci_function *function, uint8_t id);

/* Decoding, bus mastering, MSI and MSI-X off, power state D0. False: it does not reach D0. */
bool nvme_pci_take_over(const struct nvme_pci_function *function);

/*
 * Asks a BAR of a function that is off for its size, which leaves 0 in it; gives it a bus address.
 * A single BAR cannot be turned off. UINT64_MAX: the top of its space, which no window covers.
 */
struct nvme_pci_bar nvme_pci_measure_bar(const struct nvme_pci_function *function, unsigned index,
                                         unsigned bar_count);
void nvme_pci_write_bar(const struct nvme_pci_function *function, unsigned index, uint32_t flags,
                        uint64_t address);

/* Turns memory decoding and INTx on; bus mastering too; all of it off. */
void nvme_pci_decode(const struct nvme_pci_function *function);
void nvme_pci_enable(const struct nvme_pci_function *function);
void nvme_pci_disable(const struct nvme_pci_function *function);

#ifdef __cplusplus
}
#endif

#endif
