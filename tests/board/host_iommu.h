// SPDX-License-Identifier: MIT
/*
 * A machine with two IOMMUs that guard its memory, for tests of platform/virt/iommu*.c.
 *
 * A model takes commands when the program looks at the time, walks directory and tables by itself,
 * and remembers every translation until it is told to forget it. So a page that a device reaches
 * too long is seen.
 */
#ifndef HOST_IOMMU_H
#define HOST_IOMMU_H

#include <stdbool.h>
#include <stdint.h>

#include "iommu.h"

/* Registers by their index in an array of 64 bits, or of 32 bits. */
enum {
    HOST_CAPABILITIES = 0x00 / 8,
    HOST_FEATURES = 0x08 / 4,
    HOST_DDTP = 0x10 / 8,
    HOST_CQB = 0x18 / 8,
    HOST_FQB = 0x28 / 8,
    HOST_CQH = 0x20 / 4,
    HOST_CQT = 0x24 / 4,
    HOST_FQH = 0x30 / 4,
    HOST_FQT = 0x34 / 4,
    HOST_CQCSR = 0x48 / 4,
    HOST_FQCSR = 0x4c / 4,
    HOST_QUEUE_ENABLE = 1,
    HOST_QUEUE_LOST = 0x300, /* a memory fault, and an overflow */
    HOST_QUEUE_ILLEGAL = 0x400,
    HOST_QUEUE_ON = 0x10000,
};

enum {
    HOST_IOMMUS = 2, /* one of the machine, one on PCI */
    HOST_PAGES = 1200,
    HOST_REMEMBERED = 4096,
    HOST_FUNCTIONS = 4,
};
/* Capabilities. */
#define HOST_VERSION UINT64_C(0x10)
#define HOST_SV39 UINT64_C(0x200)
#define HOST_MSI_FLAT UINT64_C(0x400000)
#define HOST_MEMORY UINT64_C(0x40000000) /* below 1 << 37, where addresses of the host are not */
#define HOST_FILE_0 UINT64_C(0x28000000) /* interrupt files of harts 0 and 2 */
#define HOST_FILE_2 UINT64_C(0x28001000)
#define HOST_DISK UINT32_C(0x0008)   /* 00:01.0, a controller */
#define HOST_SLOT UINT32_C(0x0300)   /* 03:00.0, behind the bridge */
#define HOST_BRIDGE UINT32_C(0x0218) /* 02:03.0 */
#define HOST_OTHER UINT32_C(0x0010)  /* 00:02.0, no controller */
#define HOST_SELF UINT32_C(0x0020)   /* 00:04.0, the second IOMMU */

/* A translation that an IOMMU remembers. */
struct host_translation {
    uint64_t page;
    uint64_t entry;
};

struct host_iommu {
    union {
        uint64_t words[512];
        uint32_t halves[1024];
    } registers;
    struct host_translation remembered[HOST_REMEMBERED];
    unsigned count;
    unsigned forgets;        /* commands for addresses */
    unsigned device_forgets; /* commands for devices */
    uint64_t command_base;   /* when its queue was started */
    bool deaf;               /* takes no command */
    bool refuses;            /* finds each command illegal */
    bool stubborn;           /* keeps its directory's register */
    bool lame;               /* starts no queue */
};

extern struct host_iommu host_iommus[HOST_IOMMUS];
extern struct machine host_machine;
extern const struct pci_function *host_functions; /* HOST_FUNCTIONS of them */
extern struct machine_span host_heap;             /* behind the tables */

/* Set-up and tear-down of cmocka: memory is taken for tables; then the IOMMUs are opened too. */
int host_iommu_start(void **state);
int host_iommu_start_guarded(void **state);
int host_iommu_end(void **state);

/* Page `number` of the heap. */
uint8_t *host_page(unsigned number);

/* The page that an entry of a table leads to. */
uint64_t *host_page_of(uint64_t entry);

/* By which address devices reach it. */
uint64_t host_device_address(const void *pointer);

/* Where a device's access ends; 0: it is refused. */
uint64_t host_iommu_use(struct host_iommu *unit, uint32_t device, uint64_t address, bool write);

/* Each IOMMU lets the disk do what it may with that byte, and nothing else. */
void host_expect_access(const uint8_t *pointer, bool reads, bool writes);

#endif
