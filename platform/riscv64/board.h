// SPDX-License-Identifier: MIT
/*
 * What riscv64/ needs from its board: a console and an end.
 * A board directory (virt/) defines these two functions; riscv64/ uses nothing else of it.
 */
#ifndef HARTQ_BOARD_H
#define HARTQ_BOARD_H

#include <stddef.h>

/* Writes text unbuffered. Any hart, any context, also before start-up and in a fatal dump. */
void console_write(const char *text, size_t size_bytes);

/* Prints `exit N` as the last line and ends the machine with that status. Any hart, any context. */
__attribute__((noreturn)) void machine_exit(int code);

#endif
