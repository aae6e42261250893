/* SPDX-License-Identifier: MIT */
/* Entry from OpenSBI (a0: hart), and the trap: it saves what C may change, and does not nest. */

    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      sp, stack_end
    la      t0, trap
    csrw    stvec, t0
    call    kernel_main
1:  wfi
    j       1b

    .macro  each_register operation
    .set    place, 0
    .irp    reg, 1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31
    \operation  x\reg, place(sp)
    .set    place, place + 8
    .endr
    .endm

    .balign 4
trap:
    addi    sp, sp, -128
    each_register sd
    call    kernel_trap
    each_register ld
    addi    sp, sp, 128
    sret

    .bss
    .balign 16
    .skip   16384
stack_end:
