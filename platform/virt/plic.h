// SPDX-License-Identifier: MIT
// The platform-level interrupt controller (RISC-V PLIC specification 1.0.0): which source goes to
// which hart, and to which function. Sources come from the device tree, never from a constant.
// One claim per trap: bounded, and a second pending source traps again at once after sret.
#ifndef HARTQ_PLIC_H
#define HARTQ_PLIC_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

/// Sources this driver can attach; the specification's limit.
#define PLIC_SOURCE_LIMIT 1024

/// Every source off for every hart, thresholds 0, and the trap's external handler attached. Starts
/// all harts, because the firmware closes a hart's context while it starts (OpenSBI sets threshold
/// 7 and clears its enables). Called once at start-up, after harts_init() and heap_init(). NULL, or
/// an error phrase.
const char *plic_init(const struct machine *machine);

/// True if the machine has a PLIC and plic_init() succeeded.
bool plic_present(void);

/// Highest source; 0 without a PLIC.
unsigned plic_source_count(void);

/// Attaches handler(arg) to a source. It runs in the trap of the hart the source is routed to,
/// between claim and complete, and may not route, attach or detach. Attach first, route then.
/// A source that is routed already may get another handler for the same `arg`: a claim meanwhile
/// goes to one of the two.
void plic_attach(unsigned source, void (*handler)(void *arg), void *arg);

/// Sends a source to one hart and to no other. Not from a handler, and not while the source may be
/// claimed somewhere: a completion of a source that is not enabled is dropped, and it stays stuck.
void plic_route(unsigned source, unsigned hart_index);

/// Takes a source from every hart. Its handler stays attached. The same caution as plic_route().
void plic_disable(unsigned source);

/// plic_disable() and forgets the handler.
void plic_detach(unsigned source);

/// The source's pending bit. For tests and diagnosis.
bool plic_pending(unsigned source);

/// Claims so far, over all harts, that found no handler, and those that found nothing pending.
uint64_t plic_unexpected_count(void);
uint64_t plic_empty_count(void);

#endif
