// SPDX-License-Identifier: MIT
/*
 * Calls into the firmware below S-mode: RISC-V Supervisor Binary Interface 2.0, chapters 3
 * (convention), 4 (base), 5 (legacy console), 6 (timer), 7 (IPI), 9 (hart state), 10 (reset).
 * It has no policy: harts.c, timer.c and the board decide which call is made.
 */
#ifndef HARTQ_SBI_H
#define HARTQ_SBI_H

#include <stdbool.h>
#include <stdint.h>

enum sbi_extension {
    SBI_EXTENSION_BASE = 0x10,
    SBI_EXTENSION_TIME = 0x54494d45,
    SBI_EXTENSION_IPI = 0x735049,
    SBI_EXTENSION_HSM = 0x48534d,
    SBI_EXTENSION_RESET = 0x53525354,
};

#define SBI_ERROR_INVALID_PARAMETER (-3)

/* SBI's answer: error is 0 or negative (sbi_error_text names it). */
struct sbi_result {
    int64_t error;
    uint64_t value;
};

/* True if the firmware has the extension. */
bool sbi_has(enum sbi_extension extension);

/* Starts a stopped hart at physical address `entry` with a0 = hart id and a1 = `argument`. */
struct sbi_result sbi_hart_start(uint64_t hart_id, uint64_t entry, uint64_t argument);

/* Sets sip.SSIP of one hart. */
struct sbi_result sbi_send_ipi(uint64_t hart_id);

/* Next timer interrupt of the calling hart, in ticks; UINT64_MAX: none. Clears a pending one. */
void sbi_set_timer(uint64_t deadline_ticks);

/* Writes one character to the firmware's console, until the board's own console is known. */
void sbi_console_write(char character);

/* Switches the machine off. Returns only if the firmware cannot do so. */
void sbi_shutdown(void);

/* One phrase for a negative error. */
const char *sbi_error_text(int64_t error);

#endif
