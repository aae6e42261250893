// SPDX-License-Identifier: MIT
// Trap entry, vectored: an interrupt has its own short path, everything else is fatal.
// Interrupt path: sscratch holds the top of the hart's trap stack; sp and it are swapped, the 16
// caller-saved registers are kept, the handler is called, the canary is checked. It writes no CSR
// but sscratch, never sstatus: interrupts stay off until sret restores sstatus.SIE.
// Fatal path: all registers go to the trap stack, trap_fatal() prints them and ends the machine.
// RISC-V Privileged Architecture 20211203, sections 4.1.2 (stvec) and 4.1.1 (sstatus).
#include "hart_layout.h"

    .section .text.trap, "ax"

    .option push
    .option norvc
    .balign 256
    .globl trap_vector
trap_vector:
    j       fatal_entry         // exceptions
    j       software_entry      // 1: supervisor software
    j       fatal_entry
    j       fatal_entry
    j       fatal_entry
    j       timer_entry         // 5: supervisor timer
    j       fatal_entry
    j       fatal_entry
    j       fatal_entry
    j       external_entry      // 9: supervisor external
    .rept   6
    j       fatal_entry
    .endr
    .option pop

    .macro  interrupt_enter
    csrrw   sp, sscratch, sp
    addi    sp, sp, -128
    sd      ra, 0(sp)
    sd      t0, 8(sp)
    sd      t1, 16(sp)
    sd      t2, 24(sp)
    sd      t3, 32(sp)
    sd      t4, 40(sp)
    sd      t5, 48(sp)
    sd      t6, 56(sp)
    sd      a0, 64(sp)
    sd      a1, 72(sp)
    sd      a2, 80(sp)
    sd      a3, 88(sp)
    sd      a4, 96(sp)
    sd      a5, 104(sp)
    sd      a6, 112(sp)
    sd      a7, 120(sp)
    .endm

external_entry:
    interrupt_enter
    ld      t0, HART_EXTERNAL(tp)
    jalr    t0
interrupt_leave:
    ld      t0, HART_TRAP_CANARY(tp)
    ld      t0, 0(t0)
    bne     t0, tp, canary_lost
    ld      ra, 0(sp)
    ld      t0, 8(sp)
    ld      t1, 16(sp)
    ld      t2, 24(sp)
    ld      t3, 32(sp)
    ld      t4, 40(sp)
    ld      t5, 48(sp)
    ld      t6, 56(sp)
    ld      a0, 64(sp)
    ld      a1, 72(sp)
    ld      a2, 80(sp)
    ld      a3, 88(sp)
    ld      a4, 96(sp)
    ld      a5, 104(sp)
    ld      a6, 112(sp)
    ld      a7, 120(sp)
    addi    sp, sp, 128
    csrrw   sp, sscratch, sp
    sret

software_entry:
    interrupt_enter
    call    hart_ipi_interrupt
    j       interrupt_leave

timer_entry:
    interrupt_enter
    call    timer_interrupt
    j       interrupt_leave

canary_lost:
    call    trap_canary_lost

// The stack pointer of the faulting code goes to sscratch and from there into the frame; nothing
// of sscratch's old value is needed, a trap inside a trap shows by sp lying in the trap stack.
// tp is believed only if it points into harts[]: a fault in a hart that lost it is reported too.
fatal_entry:
    csrw    sscratch, sp
    la      sp, harts
    sub     sp, tp, sp
    srli    sp, sp, HART_ARRAY_SHIFT
    beqz    sp, 1f
    la      tp, harts
1:  ld      sp, HART_TRAP_STACK_TOP(tp)
    addi    sp, sp, -TRAP_FRAME_BYTES
    sd      x1, 0(sp)
    sd      x3, 16(sp)
    sd      x4, 24(sp)
    sd      x5, 32(sp)
    sd      x6, 40(sp)
    sd      x7, 48(sp)
    sd      x8, 56(sp)
    sd      x9, 64(sp)
    sd      x10, 72(sp)
    sd      x11, 80(sp)
    sd      x12, 88(sp)
    sd      x13, 96(sp)
    sd      x14, 104(sp)
    sd      x15, 112(sp)
    sd      x16, 120(sp)
    sd      x17, 128(sp)
    sd      x18, 136(sp)
    sd      x19, 144(sp)
    sd      x20, 152(sp)
    sd      x21, 160(sp)
    sd      x22, 168(sp)
    sd      x23, 176(sp)
    sd      x24, 184(sp)
    sd      x25, 192(sp)
    sd      x26, 200(sp)
    sd      x27, 208(sp)
    sd      x28, 216(sp)
    sd      x29, 224(sp)
    sd      x30, 232(sp)
    sd      x31, 240(sp)
    csrr    a0, sscratch
    sd      a0, 8(sp)
    mv      a0, sp
    call    trap_fatal
2:  wfi
    j       2b
