// SPDX-License-Identifier: MIT
/*
 * One RISC-V IOMMU: its registers, its queue of commands, its queue of faults.
 * RISC-V IOMMU Architecture 1.0, chapter 5 (registers), chapter 3 (queues).
 */
#ifndef HARTQ_IOMMU_UNIT_H
#define HARTQ_IOMMU_UNIT_H

#include <stdbool.h>
#include <stdint.h>

/* Devices see memory at its physical address plus this. */
#define IOMMU_DEVICE_BASE (UINT64_C(1) << 37)

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

/* What keeps it from being a guard, or NULL. */
const char *iommu_unit_obstacle(uint64_t base);

/* True if its device contexts have 64 bytes. */
bool iommu_unit_is_extended(uint64_t base);

/*
 * Starts the queues, and lets it translate by a directory of three levels. NULL, or why it does
 * not. A command that it then does not answer is a panic.
 */
const char *iommu_unit_start(struct iommu_unit *unit, const uint64_t *directory);

/*
 * Gives a command, and waits until the IOMMU has carried it out, and has ended the devices' reads
 * and writes before it. An IOMMU that refuses it, or does not answer for a second, is a panic.
 */
void iommu_unit_command(struct iommu_unit *unit, uint64_t first, uint64_t second);

/*
 * Prints the faults since the last call: one line for those of a page that follow each other. The
 * number of lines.
 */
unsigned iommu_unit_print_faults(struct iommu_unit *unit);

#endif
