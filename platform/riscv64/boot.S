// SPDX-License-Identifier: MIT
// Entry in S-mode under SBI: a0 = hart id, a1 = device tree (boot) or struct hart (secondary).
// The boot hart clears .bss, takes struct hart 0 and calls start(hart_id, tree); a secondary is
// started by harts.c through the HSM extension and calls hart_main(). Neither returns.
// Firmware may mark a hart as starting before it stores the address. A hart that looks in between
// arrives here and not at boot_secondary_entry. So only the first arrival boots; a later one finds
// its struct by its id and goes on as a secondary.
// It begins with the header of a Linux image for RISC-V, with which U-Boot's booti starts it.
// Interrupts are off, address translation is off (SBI specification 2.0, chapter 9).
#include "hart_layout.h"

    .section .text.boot, "ax"
    .globl boot_entry
boot_entry:
    .option push
    .option norvc
    .option norelax
    j       first_arrival
    nop
    .dword  image_offset
    .dword  image_end - boot_entry
    .dword  0                   // flags: little endian
    .word   2, 0                // version 0.2
    .dword  0
    .ascii  "RISCV\0\0\0"
    .ascii  "RSC\x05"
    .word   0

first_arrival:
    csrw    sie, zero
    csrci   sstatus, 2
    la      gp, __global_pointer$
    .option pop
    la      t0, boot_arrivals
    li      t1, 1
    amoadd.w.aqrl t1, t1, (t0)
    bnez    t1, late_arrival
    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  la      tp, harts
    la      sp, boot_stack_top
    sd      sp, HART_STACK_TOP(tp)
    la      t0, boot_trap_stack_top
    call    hart_trap_setup
    call    start
3:  wfi
    j       3b

late_arrival:
    la      tp, harts
    li      t0, HART_LIMIT - 1
4:  addi    tp, tp, HART_SIZE
    ld      t1, HART_ID(tp)
    ld      t2, HART_STACK_TOP(tp)
    bne     t1, a0, 5f
    bnez    t2, enter_secondary
5:  addi    t0, t0, -1
    bnez    t0, 4b
    j       3b

    .globl boot_secondary_entry
boot_secondary_entry:
    csrw    sie, zero
    csrci   sstatus, 2
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    mv      tp, a1
enter_secondary:
    la      s0, hart_main

// Stacks may be memory that only translation shows (paging.h).
enter_stack:
    la      t0, paging_satp
    ld      t0, 0(t0)
    csrw    satp, t0
    sfence.vma
    ld      sp, HART_STACK_TOP(tp)
    ld      t0, HART_TRAP_STACK_TOP(tp)
    call    hart_trap_setup
    jalr    s0
    j       3b

// a0 = a function: goes on there, on the stacks that struct hart names now.
    .globl boot_enter_stack
boot_enter_stack:
    mv      s0, a0
    j       enter_stack

// t0 = top of the trap stack. Writes the canary, the address of struct hart, at its lowest word and
// points the trap vector at trap_entry.S. The value tells an overflow from another hart's stack.
hart_trap_setup:
    sd      t0, HART_TRAP_STACK_TOP(tp)
    csrw    sscratch, t0
    li      t1, HART_TRAP_STACK_BYTES
    sub     t1, t0, t1
    sd      t1, HART_TRAP_CANARY(tp)
    sd      tp, 0(t1)
    la      t1, trap_entry
    csrw    stvec, t1
    ret

// In .data, because it counts before .bss is cleared.
    .section .data.boot, "aw"
    .balign 4
    .globl boot_arrivals
boot_arrivals:
    .word   0

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip   HART_STACK_BYTES
boot_stack_top:
    .skip   HART_TRAP_STACK_BYTES
boot_trap_stack_top:
