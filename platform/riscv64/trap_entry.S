// SPDX-License-Identifier: MIT
// Trap entry. stvec is direct, not vectored. Firmware redirects exceptions to the raw stvec, with
// its mode bit, and QEMU before 10 (seen in 7.2) keeps bit 0 of mepc. So a vectored stvec would be
// entered one byte late.
// Interrupt path: swap sp and sscratch, which holds the top of the hart's trap stack. Save the 16
// caller-saved registers, call the handler, check the canary. It writes no CSR but sscratch, never
// sstatus: interrupts stay off until sret restores sstatus.SIE.
// Fatal path: all registers go to the trap stack, trap_fatal() prints them and ends the machine.
// RISC-V Privileged Architecture 20211203, sections 4.1.1 (sstatus) and 4.1.2 (stvec).
#include "hart_layout.h"

    .section .text.trap, "ax"

    .balign 4
    .globl trap_entry
trap_entry:
    csrrw   sp, sscratch, sp
    addi    sp, sp, -128
    sd      t0, 8(sp)
    csrr    t0, scause
    bgez    t0, fatal_entry
    sd      ra, 0(sp)
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
    addi    t0, t0, -9          // supervisor external
    slli    t0, t0, 1           // without the interrupt bit
    bnez    t0, other_interrupt
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

other_interrupt:
    addi    t0, t0, (9 - 1) * 2 // supervisor software
    beqz    t0, 1f
    addi    t0, t0, (1 - 5) * 2 // supervisor timer
    bnez    t0, 2f
    call    timer_interrupt
    j       interrupt_leave
1:  call    hart_ipi_interrupt
    j       interrupt_leave
2:  call    trap_unexpected

canary_lost:
    call    trap_canary_lost

// sp and t0 of the faulting code are in sscratch and on whatever stack the swap gave: the trap
// stack, or, for a fault inside a handler, the interrupted thread's. The frame starts at the top of
// the trap stack in both cases; an sp inside the trap stack tells them apart. If the thread's sp is
// bad, the store of t0 faults again, and the second swap finds the trap stack.
// tp is used only if it points into harts[]: a fault in a hart that lost it is reported too.
fatal_entry:
    ld      t0, 8(sp)
    la      sp, harts
    sub     sp, tp, sp
    srli    sp, sp, HART_ARRAY_SHIFT
    beqz    sp, 1f
    la      sp, trap_lost_tp
    sd      tp, 0(sp)
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
    addi    a0, sp, TRAP_FRAME_BYTES
    csrrw   a0, sscratch, a0    // a fault in the dump starts on a good stack again
    sd      a0, 8(sp)
    mv      a0, sp
    call    trap_fatal
2:  wfi
    j       2b
