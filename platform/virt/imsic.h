// SPDX-License-Identifier: MIT
/*
 * The incoming MSI controller (RISC-V Advanced Interrupt Architecture 1.0, chapter 3): each hart
 * has an interrupt file for S-mode. A store of an identity into the file interrupts that hart. The
 * same identity means another interrupt on another hart.
 * QEMU before 9.2 updates a file from its hart without a lock, so a message can get lost under load
 * (seen on 7.2). A driver that uses messages needs a watchdog.
 */
#ifndef HARTQ_IMSIC_H
#define HARTQ_IMSIC_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

/*
 * Starts all harts, enables all identities of their files and attaches the external handler. If
 * every hart has a file, IPIs are messages from then on. Called once at start-up, after
 * harts_init() and heap_init(). NULL, or an error phrase.
 */
const char *imsic_init(const struct machine *machine);

/* True if the machine has an IMSIC and imsic_init() succeeded. */
bool imsic_present(void);

/* True if the hart has a file. */
bool imsic_serves(unsigned hart_index);

/* A message: `data` stored to `address` interrupts a hart. */
struct imsic_message {
    uint64_t address;
    uint32_t data;
};

/*
 * Takes a free identity of a hart and attaches handler(arg), which runs in that hart's trap after
 * the claim, so a later message interrupts again. False: the hart has no file, or no identity is
 * left. Context: a thread of any hart, one at a time.
 */
bool imsic_attach(unsigned hart_index, void (*handler)(void *arg), void *arg,
                  struct imsic_message *message);

/* Frees the identity. Messages that still come are counted as unexpected. */
void imsic_detach(unsigned hart_index, const struct imsic_message *message);

/* How many claims of all harts found no handler, and how many found nothing pending. */
uint64_t imsic_unexpected_count(void);
uint64_t imsic_empty_count(void);

#endif
