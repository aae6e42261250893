// SPDX-License-Identifier: MIT
/*
 * The ecall convention and the few functions used: SBI 2.0, chapters 3 to 10.
 * Arguments a0..a2, function a6, extension a7; error in a0, value in a1. All else is preserved.
 */
#include "sbi.h"

#include <stddef.h>

enum {
    SBI_LEGACY_PUTCHAR = 0x01,
    SBI_BASE_PROBE = 3,
    SBI_TIME_SET = 0,
    SBI_IPI_SEND = 0,
    SBI_HSM_START = 0,
    SBI_RESET_SYSTEM = 0,
};

static struct sbi_result call_sbi(uint64_t extension, uint64_t function, uint64_t argument0,
                                  uint64_t argument1, uint64_t argument2)
{
    register uint64_t a0 __asm__("a0") = argument0;
    register uint64_t a1 __asm__("a1") = argument1;
    register uint64_t a2 __asm__("a2") = argument2;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_result){.error = (int64_t)a0, .value = a1};
}

bool sbi_has(enum sbi_extension extension)
{
    struct sbi_result result = call_sbi(SBI_EXTENSION_BASE, SBI_BASE_PROBE, extension, 0, 0);

    return result.error == 0 && result.value != 0;
}

struct sbi_result sbi_hart_start(uint64_t hart_id, uint64_t entry, uint64_t argument)
{
    return call_sbi(SBI_EXTENSION_HSM, SBI_HSM_START, hart_id, entry, argument);
}

struct sbi_result sbi_send_ipi(uint64_t hart_id)
{
    return call_sbi(SBI_EXTENSION_IPI, SBI_IPI_SEND, 1, hart_id, 0); /* mask, its base */
}

void sbi_set_timer(uint64_t deadline_ticks)
{
    call_sbi(SBI_EXTENSION_TIME, SBI_TIME_SET, deadline_ticks, 0, 0);
}

void sbi_console_write(char character)
{
    call_sbi(SBI_LEGACY_PUTCHAR, 0, (uint8_t)character, 0, 0);
}

void sbi_shutdown(void)
{
    call_sbi(SBI_EXTENSION_RESET, SBI_RESET_SYSTEM, 0, 0, 0); /* shutdown, no reason */
}

const char *sbi_error_text(int64_t error)
{
    static const char *const text[] = {
        "success",         "failed",           "not supported",     "invalid parameter",
        "denied",          "invalid address",  "already available", "already started",
        "already stopped", "no shared memory",
    };
    const int64_t count = sizeof(text) / sizeof(text[0]);

    return error <= 0 && -error < count ? text[-error] : "unknown SBI error";
}
