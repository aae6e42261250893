// SPDX-License-Identifier: MIT
/*
 * Traps: the handler of external interrupts, and the end of a faulty program.
 * Interrupts run on the hart's trap stack with interrupts off and never nest. Every exception is
 * fatal: this platform has no user mode, no memory on demand and no emulation.
 */
#ifndef HARTQ_TRAP_H
#define HARTQ_TRAP_H

#include <stdint.h>

/* The saved x1..x31; x[0] is x1 (ra), x[1] is x2 (sp). */
struct trap_frame {
    uint64_t x[31];
    uint64_t unused;
};

/*
 * Routes the external interrupt of hart `index` to `handler`, which runs in the trap with
 * interrupts off and may not wait; NULL: an external interrupt is fatal. Before that hart sets
 * sie.SEIE.
 */
void trap_attach_external(unsigned index, void (*handler)(void));

/*
 * Handles the external interrupts that are pending on this hart, of several lines one after the
 * other; csr_external_pending() is true. For other traps, which should come after them (Privileged
 * Architecture 20211203 §4.1.3): QEMU 7.2 without AIA takes the lowest number. How many it handles
 * is bounded, so that a line that never falls does not starve the other trap.
 * Context: a trap, interrupts off.
 */
void trap_handle_external(void);

/*
 * Ends the program after one of our own mistakes: prints message, hart and caller, exit status 1.
 */
__attribute__((noreturn)) void panic(const char *message);

#endif
