// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/fence.h on the host, which has one thread: the compiler's order.
 */
#ifndef HARTQ_FENCE_H
#define HARTQ_FENCE_H

#define fence(before, after) __asm__ volatile("" ::: "memory")

#endif
