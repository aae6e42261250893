// SPDX-License-Identifier: MIT
/*
 * The smallest kernel that has interrupts, to take the engine's source drop: one hart in S-mode,
 * QEMU's virt machine, no paging, no libc, no device tree. docs/porting.md has its disk.c.
 * memcpy and memset have types of their own, as in many kernels.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, unsigned bytes);
void *memset(void *to, int value, unsigned bytes);

/* Console: text, and a number. */
void kernel_print(const char *text);
void kernel_print_number(uint64_t number);

/* Gives a source of the interrupt controller to this hart. The handler runs with interrupts off,
   between claim and complete. */
void kernel_attach(uint32_t source, void (*handler)(void));

/* Interrupts of this hart off and on. Sleep: until one is pending, with interrupts off. */
void kernel_irq_off(void);
void kernel_irq_on(void);
void kernel_sleep(void);

/* The kernel's time in nanoseconds. */
uint64_t kernel_time_ns(void);

/* disk.c of docs/porting.md: NULL, or an error phrase. kernel.c calls disk_tick every 10 ms. */
const char *disk_open(void);
const char *disk_read(uint64_t block, uint32_t count, void *buffer);
void disk_tick(void);
uint64_t disk_interrupts(void);

#endif
