// SPDX-License-Identifier: MIT
#include "kernel.h"

#include <stddef.h>

#define PLIC UINT64_C(0x0c000000)
#define TICK_NS UINT64_C(10000000)
#define NS_PER_TIME 100 /* the time CSR counts at 10 MHz */
#define CAUSE_TIMER 0x8000000000000005
#define CAUSE_EXTERNAL 0x8000000000000009

enum { SBI_SET_TIMER = 0, SBI_PUTCHAR = 1, SBI_SHUTDOWN = 8, SOURCES = 64 }; /* legacy calls */

static uint64_t hart;
static void (*handlers[SOURCES])(void);
static uint8_t block[65536];

void *memcpy(void *to, const void *from, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        ((uint8_t *)to)[i] = (uint8_t)value;
    }
    return to;
}

static void call_sbi(uint64_t function, uint64_t value)
{
    register uint64_t a0 __asm__("a0") = value;
    register uint64_t a7 __asm__("a7") = function;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
}

static volatile uint32_t *plic_word(uint64_t offset)
{
    return (volatile uint32_t *)(PLIC + offset);
}

void kernel_print(const char *text)
{
    for (; *text != 0; text++) {
        call_sbi(SBI_PUTCHAR, (uint8_t)*text);
    }
}

void kernel_print_number(uint64_t number)
{
    char text[21];
    unsigned at = sizeof(text) - 1;

    text[at] = 0;
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    kernel_print(&text[at]);
}

uint64_t kernel_time_ns(void)
{
    uint64_t time;

    __asm__ volatile("rdtime %0" : "=r"(time));
    return time * NS_PER_TIME;
}

void kernel_irq_off(void)
{
    __asm__ volatile("csrci sstatus, 2" ::: "memory");
}

void kernel_irq_on(void)
{
    __asm__ volatile("csrsi sstatus, 2" ::: "memory");
}

void kernel_sleep(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

void kernel_attach(uint32_t source, void (*handler)(void))
{
    uint64_t context = 2 * hart + 1;

    handlers[source] = handler;
    *plic_word(4 * source) = 1;
    *plic_word(0x2000 + 0x80 * context + source / 32 * 4) |= UINT32_C(1) << source % 32;
    *plic_word(0x200000 + 0x1000 * context) = 0;
}

static void set_timer(void)
{
    call_sbi(SBI_SET_TIMER, (kernel_time_ns() + TICK_NS) / NS_PER_TIME);
}

static void take_external(void)
{
    volatile uint32_t *claim = plic_word(0x200004 + 0x1000 * (2 * hart + 1));
    uint32_t source = *claim;

    if (source != 0 && handlers[source] != NULL) {
        handlers[source]();
    }
    *claim = source;
}

/* start.S calls these two. */
void kernel_trap(void);
void kernel_main(uint64_t boot_hart);

void kernel_trap(void)
{
    uint64_t cause;

    __asm__ volatile("csrr %0, scause" : "=r"(cause));
    if (cause == CAUSE_TIMER) {
        set_timer();
        disk_tick();
    } else if (cause == CAUSE_EXTERNAL) {
        take_external();
    } else {
        kernel_print("error: a trap\n");
        call_sbi(SBI_SHUTDOWN, 0);
    }
}

void kernel_main(uint64_t boot_hart)
{
    const char *error;

    hart = boot_hart;
    __asm__ volatile("csrs sie, %0" : : "r"(UINT64_C(0x220)));
    kernel_irq_on();
    error = disk_open();
    if (error == NULL) {
        set_timer();
        error = disk_read(1, 2, block);
    }
    if (error != NULL) {
        kernel_print("error: ");
        kernel_print(error);
    } else {
        block[40] = 0;
        kernel_print("block 1: ");
        kernel_print((const char *)block);
        kernel_print("\ninterrupts: ");
        kernel_print_number(disk_interrupts());
    }
    kernel_print("\n");
    call_sbi(SBI_SHUTDOWN, 0);
}
