// SPDX-License-Identifier: MIT
/*
 * Offsets inside struct hart and sizes shared with the assembly files. Only #defines, because the
 * assembler reads it too; harts.c checks every offset against the structure.
 */
#ifndef HARTQ_HART_LAYOUT_H
#define HARTQ_HART_LAYOUT_H

/* More harts than this are left parked. A power of two: trap_entry.S bounds tp by a shift. */
#define HART_LIMIT 64

#define HART_SIZE 256
#define HART_ARRAY_SHIFT 14 /* log2(HART_LIMIT * HART_SIZE) */

/* tp points at struct hart. The C library's thread-local variables (errno) live at its start. */
#define HART_TLS_BYTES 64
#define HART_INDEX 64
#define HART_TRAP_STACK_TOP 72
#define HART_TRAP_CANARY 80
#define HART_EXTERNAL 88
#define HART_STACK_TOP 96
#define HART_ID 104

#define HART_STACK_BYTES 65536
#define HART_TRAP_STACK_BYTES 16384

/* struct trap_frame: x1..x31 in order, and a spare word. */
#define TRAP_FRAME_BYTES 256

#endif
