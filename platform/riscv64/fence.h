// SPDX-License-Identifier: MIT
/*
 * The fence instruction, where it orders device registers. RISC-V Unprivileged ISA 20191213, §2.7.
 */
#ifndef HARTQ_FENCE_H
#define HARTQ_FENCE_H

/*
 * The fence instruction: fence(rw, io) keeps the accesses `before` ahead of the accesses `after`.
 * i and o are device input and output, r and w are memory reads and writes.
 */
#define fence(before, after) __asm__ volatile("fence " #before ", " #after ::: "memory")

#endif
