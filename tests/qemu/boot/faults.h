// SPDX-License-Identifier: MIT
/*
 * Faults to provoke: illegal, load, store, jump, nested (in a handler), canary (of the trap stack),
 * stack (a lost stack pointer), tp (a lost thread pointer), secondary (on the last hart), panic.
 */
#ifndef HARTQ_BOOT_FAULTS_H
#define HARTQ_BOOT_FAULTS_H

/* Provokes the fault of that name. Returns only if there is none, or if it went unnoticed. */
void fault_provoke(const char *fault);

#endif
