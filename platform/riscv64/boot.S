// SPDX-License-Identifier: MIT
// Entry in S-mode under SBI: a0 = hart id, a1 = device tree (boot) or struct hart (secondary).
// The boot hart clears .bss, takes struct hart 0 and calls start(hart_id, device_tree); a secondary
// is started by harts.c through the HSM extension and calls hart_main(). Neither returns.
// Interrupts are off, address translation is off (SBI specification 2.0, chapter 9).
#include "hart_layout.h"

    .section .text.boot, "ax"
    .globl boot_entry
boot_entry:
    csrw    sie, zero
    csrci   sstatus, 2
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
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

    .globl boot_secondary_entry
boot_secondary_entry:
    csrw    sie, zero
    csrci   sstatus, 2
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    mv      tp, a1
    ld      sp, HART_STACK_TOP(tp)
    ld      t0, HART_TRAP_STACK_TOP(tp)
    call    hart_trap_setup
    call    hart_main
4:  wfi
    j       4b

// t0 = top of the trap stack. Writes the canary (the hart's own address) at its lowest word, so
// that an overflow is told from a foreign stack, and points the trap vector at trap_entry.S.
hart_trap_setup:
    sd      t0, HART_TRAP_STACK_TOP(tp)
    csrw    sscratch, t0
    li      t1, HART_TRAP_STACK_BYTES
    sub     t1, t0, t1
    sd      t1, HART_TRAP_CANARY(tp)
    sd      tp, 0(t1)
    la      t1, trap_unattached
    sd      t1, HART_EXTERNAL(tp)
    la      t1, trap_vector
    ori     t1, t1, 1
    csrw    stvec, t1
    ret

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip   HART_STACK_BYTES
boot_stack_top:
    .skip   HART_TRAP_STACK_BYTES
boot_trap_stack_top:
