// SPDX-License-Identifier: MIT
// Interrupts that come by wire: which source of which controller goes to which hart, and to which
// function. The controllers are PLICs (plic.c) and APLICs in direct delivery (aplic.c), as many as
// the machine has; each reaches the harts that the device tree names there and no others. Sources
// come from the device tree, never from a constant.
// A bounded number of claims per trap; what else is pending traps again at once after sret.
#ifndef HARTQ_WIRED_H
#define HARTQ_WIRED_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

/// Every source of every controller off, every reached hart ready for them. Starts all harts,
/// because the firmware closes a hart's context while it starts (OpenSBI sets a PLIC's threshold to
/// 7 and clears its enables). Called once at start-up, after harts_init() and heap_init(). NULL, or
/// an error phrase.
const char *wired_init(const struct machine *machine);

/// True if this is a source of a controller that wired_init() has set up.
bool wired_usable(struct machine_interrupt irq);

/// True if the interrupt can be routed to a hart. Only a usable one can.
bool wired_reaches(struct machine_interrupt irq, unsigned hart_index);

/// True if some controller reaches the hart.
bool wired_serves(unsigned hart_index);

/// Attaches handler(arg) to a source. It runs in the trap of the hart the source is routed to, and
/// may not route, attach or detach. Attach first, route then. A source that is routed already may
/// get another handler for the same `arg`: a claim meanwhile goes to one of the two.
void wired_attach(struct machine_interrupt irq, void (*handler)(void *arg), void *arg);

/// Sends a source to one hart, which the controller reaches, and to no other. Not from a handler,
/// and not while the source may be claimed somewhere: a PLIC drops the completion of a source that
/// is not enabled, and it stays stuck.
void wired_route(struct machine_interrupt irq, unsigned hart_index);

/// Takes a source from every hart. Its handler stays attached. The same caution as wired_route().
void wired_disable(struct machine_interrupt irq);

/// wired_disable() and forgets the handler.
void wired_detach(struct machine_interrupt irq);

/// The source's pending bit. For tests and diagnosis.
bool wired_pending(struct machine_interrupt irq);

/// Claims so far, over all harts, that found no handler, and those that found nothing pending.
uint64_t wired_unexpected_count(void);
uint64_t wired_empty_count(void);

#endif
