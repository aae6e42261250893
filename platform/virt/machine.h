// SPDX-License-Identifier: MIT
/*
 * Everything the device tree says about the machine, in plain units. Read once at start-up by
 * machine_read(), which is pure and runs on the host too. No other file assumes an address.
 * Addresses are the CPU's: a bus's ranges are applied already.
 * One module with machine_memory.c, machine_interrupts.c, machine_pci.c and machine_dma.c.
 */
#ifndef HARTQ_MACHINE_H
#define HARTQ_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_HART_LIMIT 512
#define MACHINE_SPAN_LIMIT 16
#define MACHINE_RESERVED_LIMIT 64
#define MACHINE_PCI_LIMIT 4
#define MACHINE_DMA_LIMIT 8
#define MACHINE_IOMMU_LIMIT 4
#define MACHINE_INTERRUPT_LIMIT 64
#define MACHINE_WIRED_LIMIT 16
#define MACHINE_NONE UINT32_MAX

/* [base, base + size). */
struct machine_span {
    uint64_t base;
    uint64_t size;
};

/* An interrupt controller whose sources are wires and which interrupts harts in S-mode. */
enum machine_wired_kind { MACHINE_PLIC, MACHINE_APLIC };

struct machine_wired {
    enum machine_wired_kind kind;
    struct machine_span registers;
    uint32_t source_count; /* highest source */
    uint32_t phandle;      /* the tree's interrupts refer to it; MACHINE_NONE: it has none */
};

/* One hart, in the tree's order. */
struct machine_hart {
    uint64_t id;
    uint32_t wired;        /* index of the controller that interrupts it in S-mode; MACHINE_NONE */
    uint32_t context;      /* its index there: a PLIC's context, an APLIC's hart index */
    uint64_t imsic_file;   /* address of its S-mode interrupt file; 0: none */
    uint64_t ipi_register; /* of an ACLINT: a 1 interrupts it in S-mode; 0: none */
};

/* How a source interrupts: the second cell of an interrupt specifier. */
enum machine_trigger {
    MACHINE_TRIGGER_UNSAID = 0,
    MACHINE_TRIGGER_RISING = 1,
    MACHINE_TRIGGER_FALLING = 2,
    MACHINE_TRIGGER_HIGH = 4,
    MACHINE_TRIGGER_LOW = 8,
};

/* An interrupt: a source and its controller. A number is another wire on another controller. */
struct machine_interrupt {
    uint32_t wired;   /* index of the controller; MACHINE_NONE: one this platform does not drive */
    uint32_t source;  /* 0: no interrupt */
    uint32_t trigger; /* enum machine_trigger */
};

/* One entry of the PCI host's interrupt-map. */
struct machine_pci_route {
    uint32_t address; /* first cell of the PCI unit address: device << 11 */
    uint32_t pin;     /* 1 to 4: INTA to INTD */
    struct machine_interrupt interrupt;
};

/*
 * A PCI memory window: bus addresses [bus, bus + size) appear at [cpu, cpu + size). Size 0: none.
 */
struct machine_window {
    uint64_t bus;
    uint64_t cpu;
    uint64_t size;
};

/* A PCI host. */
struct machine_pci {
    struct machine_span ecam;
    uint32_t bus_first, bus_last;
    struct machine_window window32, window64;
    struct machine_pci_route routes[MACHINE_INTERRUPT_LIMIT];
    uint32_t route_count;
    uint32_t mask_address, mask_pin;
    struct machine_window dma[MACHINE_DMA_LIMIT]; /* memory, and where its devices see it */
    uint32_t dma_count;
    bool dma_coherent; /* with the harts' caches */
};

/* The machine. */
struct machine {
    struct machine_span memory[MACHINE_SPAN_LIMIT];
    uint32_t memory_count;
    /*
     * The tree's reservations and the tree itself, in order. If they do not fit, the nearest two
     * are joined, and the memory between them is not used.
     */
    struct machine_span reserved[MACHINE_RESERVED_LIMIT];
    uint32_t reserved_count;
    struct machine_hart harts[MACHINE_HART_LIMIT]; /* the first ones, if there are more */
    uint32_t hart_count;
    uint32_t cache_block_bytes; /* of cbo.clean and cbo.inval; 0: a hart has no Zicbom */
    uint64_t timebase_hz;
    const char *bootargs;     /* in the blob; "" if there are none */
    struct machine_span uart; /* ns16550; size 0: none */
    struct machine_interrupt uart_interrupt;
    uint32_t uart_shift;      /* a register's offset is its number << uart_shift */
    struct machine_span test; /* sifive,test; size 0: none */
    struct machine_wired wired[MACHINE_WIRED_LIMIT];
    uint32_t wired_count;
    uint32_t imsic_identities; /* highest of each S-mode interrupt file; 0: no IMSIC */
    struct machine_pci pci[MACHINE_PCI_LIMIT]; /* hosts that can be used */
    uint32_t pci_count;
    const char *pci_error; /* why a host of the tree cannot be used; NULL: all can */
    struct machine_span iommus[MACHINE_IOMMU_LIMIT]; /* riscv,iommu */
    uint32_t iommu_count;
    struct machine_window dma; /* what the devices of all hosts reach; machine_choose_dma() */
    bool dma_coherent;         /* all of them */
};

/*
 * Reads the tree at `dtb`, of at most `limit_bytes`. NULL, or an error phrase: then *out is not
 * valid.
 */
const char *machine_read(const void *dtb, size_t limit_bytes, struct machine *out);

/*
 * Chooses the memory for DMA: machine->dma, which holds `image`. A host that does not reach the
 * image, or sees it at another address than the first host, is not used (pci_error). Neither is one
 * that needs more than `any_dma` allows: false: DMA is coherent and addresses are the CPU's. Called
 * once.
 */
void machine_choose_dma(struct machine *machine, uint64_t image, bool any_dma);

/*
 * The largest span of unreserved memory after `image_end`, in the same range and in reach of
 * devices. Size 0: none.
 */
struct machine_span machine_free_memory(const struct machine *machine, uint64_t image_end);

/* The interrupt of pin 1 to 4 (INTA to INTD) of a device on the host's first bus. */
struct machine_interrupt machine_pci_interrupt(const struct machine_pci *pci, uint32_t device,
                                               uint32_t pin);

#endif
