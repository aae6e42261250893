// SPDX-License-Identifier: MIT
/*
 * Mistakes on purpose, to see what the platform says of them: each must end the machine with status
 * 1 and a dump that names it, on the hart and in the context it happened in.
 */
#include "faults.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "heap.h"
#include "paging.h"
#include "trap.h"

/* An address nothing answers at, unknown to the compiler. */
static volatile uintptr_t nowhere = 0x18;

static void fault_on_secondary(void *arg, unsigned index)
{
    (void)arg;
    if (index == hart_count() - 1) {
        *(volatile uint32_t *)nowhere = 1;
    }
}

static void fault_in_handler(void *arg)
{
    (void)arg;
    (void)*(volatile uint32_t *)nowhere;
}

/* With translation this memory is not there. */
static void load_physical(const void *pointer)
{
    printf("%02x\n", *(volatile uint8_t *)(uintptr_t)paging_physical(pointer));
}

static void ignore(void *arg)
{
    (void)arg;
}

void fault_provoke(const char *fault)
{
    if (strcmp(fault, "illegal") == 0) {
        __asm__ volatile(".word 0");
    } else if (strcmp(fault, "load") == 0) {
        (void)*(volatile uint64_t *)nowhere;
    } else if (strcmp(fault, "store") == 0) {
        *(volatile uint64_t *)nowhere = 1;
    } else if (strcmp(fault, "jump") == 0) {
        ((void (*)(void))nowhere)();
    } else if (strcmp(fault, "nested") == 0) {
        hart_attach_ipi(fault_in_handler, NULL);
        hart_send_ipi(0);
    } else if (strcmp(fault, "canary") == 0) {
        *hart_self()->trap_canary = 0;
        hart_attach_ipi(ignore, NULL);
        hart_send_ipi(0);
    } else if (strcmp(fault, "stack") == 0) {
        __asm__ volatile("li sp, 0x80\n sd zero, 0(sp)");
    } else if (strcmp(fault, "tp") == 0) {
        __asm__ volatile("li tp, 0x80\n sd zero, 0(tp)");
    } else if (strcmp(fault, "heap") == 0) {
        load_physical(heap_take(1, 1));
    } else if (strcmp(fault, "run") == 0) {
        load_physical(heap_take_contiguous(1, 1));
    } else if (strcmp(fault, "frame") == 0) {
        load_physical(__builtin_frame_address(0));
    } else if (strcmp(fault, "secondary") == 0) {
        harts_run(hart_count(), fault_on_secondary, NULL);
    } else if (strcmp(fault, "panic") == 0) {
        panic("on purpose");
    }
}
