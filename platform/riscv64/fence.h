// SPDX-License-Identifier: MIT
// The fence instruction, where it orders device registers. RISC-V Unprivileged ISA 20191213, §2.7.
#ifndef HARTQ_FENCE_H
#define HARTQ_FENCE_H

/// Orders the accesses before it that `before` names against those after it that `after` names, as
/// the instruction does: fence(rw, io). i and o are device input and output, r and w are memory.
#define fence(before, after) __asm__ volatile("fence " #before ", " #after ::: "memory")

#endif
