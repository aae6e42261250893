// SPDX-License-Identifier: MIT
/*
 * Lines, their lock and the port. A hart that prints takes the lock. A hart that faults while it
 * holds the lock goes on printing; one that waits too long prints without it.
 */
#include "console.h"

#include <stdbool.h>
#include <stdio.h>

#include "fence.h"
#include "harts.h"
#include "irq.h"
#include "sbi.h"

/* Waits are bounded: a console that hangs must not hang the program. */
#define CONSOLE_LOCK_SPINS 50000000UL
#define CONSOLE_READY_SPINS 1000000UL
#define CONSOLE_LINE_BYTES 240

/* Registers of the 16550 (National Semiconductor PC16550D, section 8). */
enum { UART_TRANSMIT = 0, UART_LINE_STATUS = 5, UART_LINE_STATUS_THRE = 0x20 };

static volatile uint8_t *uart;
static unsigned uart_shift;
static uint32_t owner; /* hart index + 1; 0: free */

/* A hart's unfinished line. Written by that hart with interrupts off. */
static struct {
    char text[CONSOLE_LINE_BYTES];
    uint32_t used;
} lines[HART_LIMIT];

void console_init(const struct machine *machine)
{
    if (machine->uart.size != 0) {
        uart_shift = machine->uart_shift;
        uart = (volatile uint8_t *)(uintptr_t)machine->uart.base;
    }
}

static void write_character(char character)
{
    if (uart == NULL) {
        sbi_console_write(character);
        return;
    }
    for (unsigned long i = 0; i < CONSOLE_READY_SPINS; i++) {
        if ((uart[UART_LINE_STATUS << uart_shift] & UART_LINE_STATUS_THRE) != 0) {
            break;
        }
    }
    uart[UART_TRANSMIT << uart_shift] = (uint8_t)character;
}

/* True if this call took the lock, false if the hart holds it already or has waited too long. */
static bool lock_output(void)
{
    unsigned self = hart_index() + 1;

    for (unsigned long i = 0; i < CONSOLE_LOCK_SPINS; i++) {
        unsigned expected = 0;

        if (__atomic_compare_exchange_n(&owner, &expected, self, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            /* The lock orders only memory: the fences keep uses of the port inside it. */
            fence(rw, io);
            return true;
        }
        if (expected == self) {
            return false;
        }
    }
    return false;
}

static void write_text(const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] == '\n') {
            write_character('\r');
        }
        write_character(text[i]);
    }
}

void console_write(const char *text, size_t size_bytes)
{
    uint64_t saved = irq_save();
    bool taken = lock_output();

    write_text(text, size_bytes);
    if (taken) {
        fence(io, rw);
        __atomic_store_n(&owner, 0, __ATOMIC_SEQ_CST);
    }
    irq_restore(saved);
}

void console_last_words(const char *text, size_t size_bytes)
{
    irq_disable();
    lock_output();
    write_text(text, size_bytes);
}

void console_flush(void)
{
    uint64_t saved = irq_save();
    unsigned index = hart_index();
    uint32_t used = lines[index].used;

    lines[index].used = 0;
    if (used != 0) {
        console_write(lines[index].text, used);
    }
    irq_restore(saved);
}

/* The C library's output, one character a call. */
static int put_character(char character, FILE *stream)
{
    uint64_t saved = irq_save();
    unsigned index = hart_index();

    (void)stream;
    lines[index].text[lines[index].used] = character;
    lines[index].used++;
    if (character == '\n' || lines[index].used == CONSOLE_LINE_BYTES) {
        console_flush();
    }
    irq_restore(saved);
    return (unsigned char)character;
}

static int flush_stream(FILE *stream)
{
    (void)stream;
    console_flush();
    return 0;
}

static FILE console = FDEV_SETUP_STREAM(put_character, NULL, flush_stream, _FDEV_SETUP_WRITE);

FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;
