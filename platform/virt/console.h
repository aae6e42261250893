// SPDX-License-Identifier: MIT
/*
 * The console: an ns16550 written by polling, or the firmware's console until the port is known.
 * printf() works from the first C instruction on any hart. Each hart collects its own line and
 * writes it under a lock, so the output of several harts does not mix. Text without a newline waits
 * for one, for fflush(stdout), or for 240 characters.
 */
#ifndef HARTQ_CONSOLE_H
#define HARTQ_CONSOLE_H

#include "board.h"
#include "machine.h"

/* Switches to the machine's own port, if it has one. */
void console_init(const struct machine *machine);

/* Writes out the calling hart's unfinished line. */
void console_flush(void);

/* Writes text and keeps the lock: no other hart prints after it. */
void console_last_words(const char *text, size_t size_bytes);

#endif
