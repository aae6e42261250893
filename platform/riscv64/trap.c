// SPDX-License-Identifier: MIT
/*
 * The fatal half of trap handling: print the fault, then end with status 1. It never hangs: a fault
 * inside the dump prints one plain line, a fault inside that one calls the firmware.
 * The fast half is in trap_entry.S. Causes: RISC-V Privileged Architecture 20211203, table 4.2.
 */
#include "trap.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "csr.h"
#include "hart_layout.h"
#include "harts.h"
#include "irq.h"
#include "sbi.h"

enum { EXTERNALS_MAX = 8 }; /* each handler claims once; more lines than PCI has on virt */

_Static_assert(sizeof(struct trap_frame) == TRAP_FRAME_BYTES, "trap_entry.S writes this frame");

/* Called from trap_entry.S only. */
_Noreturn void trap_fatal(const struct trap_frame *frame);
_Noreturn void trap_canary_lost(void);
_Noreturn void trap_unexpected(void);
extern uint64_t trap_lost_tp;

static void panic_unattached(void)
{
    panic("external interrupt without a handler (trap_attach_external was not called)");
}

/* The value of tp if it did not point into harts[]; written by trap_entry.S. */
uint64_t trap_lost_tp = UINT64_MAX;

void trap_attach_external(unsigned index, void (*handler)(void))
{
    harts[index].external = handler != NULL ? handler : panic_unattached;
}

void trap_handle_external(void)
{
    unsigned left = EXTERNALS_MAX;

    do {
        hart_self()->external();
    } while (--left != 0 && csr_external_pending());
}

void trap_unexpected(void)
{
    panic("an interrupt nobody handles: neither external, software nor timer");
}

void trap_canary_lost(void)
{
    panic("the trap stack overflowed: its canary is gone (HART_TRAP_STACK_BYTES)");
}

static const char *cause_text(uint64_t cause)
{
    static const char *const text[] = {
        "instruction address misaligned",
        "instruction access fault",
        "illegal instruction",
        "breakpoint",
        "load address misaligned",
        "load access fault",
        "store address misaligned",
        "store access fault",
        "environment call from U-mode",
        "environment call from S-mode",
        "reserved exception 10",
        "reserved exception 11",
        "instruction page fault",
        "load page fault",
        "reserved exception 14",
        "store page fault",
    };

    return cause < sizeof(text) / sizeof(text[0]) ? text[cause] : "unknown exception";
}

static void print_registers(const struct trap_frame *frame)
{
    static const char names[31][4] = {"ra", "sp",  "gp",  "tp", "t0", "t1", "t2", "s0",
                                      "s1", "a0",  "a1",  "a2", "a3", "a4", "a5", "a6",
                                      "a7", "s2",  "s3",  "s4", "s5", "s6", "s7", "s8",
                                      "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

    for (unsigned i = 0; i < 31; i++) {
        printf("  %-3s %016" PRIx64 "%s", names[i], frame->x[i], i % 4 == 3 ? "\n" : "");
    }
    printf("\n");
}

static bool is_inside(uint64_t address, uint64_t top, uint64_t size_bytes)
{
    return address <= top && top - address <= size_bytes;
}

/* Prints what the stack pointer shows: a fault in a handler, or a stack overflow. */
static void print_stack(const struct hart *hart, uint64_t sp)
{
    if (is_inside(sp, hart->trap_stack_top, HART_TRAP_STACK_BYTES)) {
        printf("  inside a trap: sp lies in the trap stack\n");
    } else if (!is_inside(sp, hart->stack_top, HART_STACK_BYTES)) {
        printf("  sp is outside this hart's stack (%" PRIx64 " to %" PRIx64 "): overflow?\n",
               hart->stack_top - HART_STACK_BYTES, hart->stack_top);
    }
    if (*hart->trap_canary != (uint64_t)(uintptr_t)hart) {
        printf("  the trap stack's canary is gone\n");
    }
}

/* First fault: full dump. Second (in the dump): one line without printf. Third: firmware. */
static void count_fault(struct hart *hart)
{
    static const char again[] = "\nfault while printing a fault\nexit 1\n";

    hart->faults++;
    if (hart->faults == 2) {
        console_write(again, sizeof(again) - 1);
        machine_exit(1);
    }
    if (hart->faults > 2) {
        sbi_shutdown();
        hart_park();
    }
}

void trap_fatal(const struct trap_frame *frame)
{
    struct hart *hart = hart_self();
    uint64_t cause = csr_read(scause);
    uint64_t sepc = csr_read(sepc);
    uint64_t stval = csr_read(stval);

    count_fault(hart);
    printf("\nFAULT: %s (scause %" PRIx64 ") on hart %u (id %" PRIu64 ")\n", cause_text(cause),
           cause, hart->index, hart->id);
    printf("  sepc %016" PRIx64 "  stval %016" PRIx64 "  sstatus %016" PRIx64 "\n", sepc, stval,
           (uint64_t)csr_read(sstatus));
    if (trap_lost_tp != UINT64_MAX) {
        printf("  tp was lost (%" PRIx64 "): the hart named above is a guess\n", trap_lost_tp);
    }
    print_stack(hart, frame->x[1]);
    print_registers(frame);
    machine_exit(1);
}

void panic(const char *message)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);

    irq_disable();
    printf("\nPANIC: %s\n  hart %u, called from %" PRIxPTR "\n", message, hart_index(), caller);
    machine_exit(1);
}
