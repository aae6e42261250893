// SPDX-License-Identifier: MIT
// The incoming MSI controller (RISC-V Advanced Interrupt Architecture 1.0, chapter 3): each hart
// has an interrupt file for S-mode; a store of an identity into it interrupts that hart. Identities
// are a hart's own: the same number means another interrupt on another hart.
// QEMU before 9.2 updates a file from its hart without a lock, so that a message can get lost under
// load (seen on 7.2): a driver that uses messages needs a watchdog.
#ifndef HARTQ_IMSIC_H
#define HARTQ_IMSIC_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

/// Opens the file of every hart for all its identities, which starts all harts, attaches the trap's
/// external handler, and sends inter-processor interrupts as messages from now on if every hart has
/// a file. Called once at start-up, after harts_init() and heap_init(). NULL, or an error phrase.
const char *imsic_init(const struct machine *machine);

/// True if the machine has an IMSIC and imsic_init() succeeded.
bool imsic_present(void);

/// True if the hart has a file.
bool imsic_serves(unsigned hart_index);

/// A message: `data` stored to `address` interrupts a hart.
struct imsic_message {
    uint64_t address;
    uint32_t data;
};

/// Takes a free identity of a hart and attaches handler(arg), which runs in that hart's trap behind
/// the claim: a message that comes later interrupts again. False: the hart has no file, or none of
/// its identities is left. A thread of any hart, one at a time.
bool imsic_attach(unsigned hart_index, void (*handler)(void *arg), void *arg,
                  struct imsic_message *message);

/// Gives the identity back. Messages that still come are counted as unexpected.
void imsic_detach(unsigned hart_index, const struct imsic_message *message);

/// Claims so far, over all harts, that found no handler, and those that found nothing pending.
uint64_t imsic_unexpected_count(void);
uint64_t imsic_empty_count(void);

#endif
