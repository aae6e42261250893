// SPDX-License-Identifier: MIT
/*
 * Address translation (Sv39) of the programs of build/paged/ (HARTQ_PAGING); the others have none,
 * and pay nothing. Registers and memory are at their physical addresses, but for the heap, with the
 * harts' stacks. It is at other addresses alone and has two parts: in one no two pages are
 * neighbours in memory too, the other is contiguous, for the rings of devices.
 */
#ifndef HARTQ_PAGING_H
#define HARTQ_PAGING_H

#include <stdint.h>

/* What boot.S writes to each hart's satp; 0: no translation. Written once, by hart 0. */
extern uint64_t paging_satp;

/*
 * Gives the free memory [base, end) to the heap; in a program of build/paged/ it takes the tables
 * from it first, and turns translation on for the calling hart. NULL, or an error phrase.
 */
const char *paging_init_heap(uint64_t base, uint64_t end);

/* The physical address of memory that the calling hart can use. Without a mapping it panics. */
uint64_t paging_physical(const volatile void *pointer);

#endif
