/* SPDX-License-Identifier: MIT */
/* Entry from OpenSBI at the physical address, and the trap, which does not nest. */

    .section .text.start, "ax"
    .globl _start
_start:
    la      sp, stack_end
    call    start_paging            # at physical addresses; returns satp
    li      t0, 0xffffffff00000000  # IMAGE_OFFSET
    la      t1, high
    add     t1, t1, t0
    add     sp, sp, t0
    csrw    stvec, t1
    sfence.vma
    csrw    satp, a0                # the next fetch faults and goes to stvec
    .balign 4
high:
    la      t0, trap
    csrw    stvec, t0
    tail    run

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
    call    handle_trap
    each_register ld
    addi    sp, sp, 128
    sret

    .bss
    .balign 16
    .skip   16384
stack_end:
