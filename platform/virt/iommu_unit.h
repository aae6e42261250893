// SPDX-License-Identifier: MIT
/*
 * One RISC-V IOMMU: its registers, its queue of commands, its queue of faults.
 * RISC-V IOMMU Architecture 1.0, chapter 5 (registers), chapter 3 (queues).
 */
#ifndef HARTQ_IOMMU_UNIT_H
#define HARTQ_IOMMU_UNIT_H

#include <stdbool.h>
#include <stdint.h>

/* For devices memory is so much above its address: no address of the CPU is one of theirs. */
#define IOMMU_DEVICE_BASE (UINT64_C(1) << 37)

/* What an IOMMU can: bits of its capabilities. */
#define IOMMU_CAPABLE_SV39 (UINT64_C(1) << 9)
#define IOMMU_CAPABLE_MSI_FLAT (UINT64_C(1) << 22)

/* The first word of a command; iommu_unit_command() adds the fence. */
#define IOMMU_FORGET_ADDRESSES UINT64_C(0x001) /* IOTINVAL.VMA: all host address spaces */
#define IOMMU_FORGET_ONE UINT64_C(0x401)       /* of those the page number << 10 in the second */
#define IOMMU_FORGET_DEVICES UINT64_C(0x003)   /* IODIR.INVAL_DDT: all */

/* One that translates. */
struct iommu_unit {
    uint64_t base;             /* of its registers */
    uint64_t *commands;        /* a page */
    volatile uint64_t *faults; /* a page */
    uint32_t tail;             /* of the commands */
    uint32_t head;             /* of the faults */
};

/* Bare mode: all accesses pass unchanged. False: it does not take it; an error was printed. */
bool iommu_unit_pass_all(uint64_t base);

/* Its capabilities register. */
uint64_t iommu_unit_capabilities(const struct iommu_unit *unit);

/*
 * Starts the queues, and lets it translate by a directory of three levels. NULL, or why it does
 * not: then it passes or refuses all accesses as before.
 */
const char *iommu_unit_start(struct iommu_unit *unit, const uint64_t *directory);

/*
 * Gives a command, and waits until the IOMMU has carried it out, and has ended the devices' reads
 * and writes before it. An IOMMU that refuses it, or does not answer for a second, is a panic.
 */
void iommu_unit_command(struct iommu_unit *unit, uint64_t first, uint64_t second);

/* Prints the faults since the last call, a line for each page, and returns how many lines. */
unsigned iommu_unit_print_faults(struct iommu_unit *unit);

#endif
