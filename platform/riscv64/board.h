// SPDX-License-Identifier: MIT
// What riscv64/ needs from the board it runs on: a way to say something and a way to end.
// A board directory (virt/) defines these two; nothing else of it is visible from here.
#ifndef HARTQ_BOARD_H
#define HARTQ_BOARD_H

#include <stddef.h>

/// Writes text at once, as it is. Any hart, any context, before start-up and in a fatal dump.
void console_write(const char *text, size_t size_bytes);

/// Prints `exit N` as the last line and ends the machine with that status. Any hart, any context.
__attribute__((noreturn)) void machine_exit(int code);

#endif
