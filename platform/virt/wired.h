// SPDX-License-Identifier: MIT
/*
 * Interrupts by wire: the hart and the handler of each source. The controllers are all PLICs
 * (plic.c) and APLICs in direct delivery (aplic.c) of the machine. Each reaches only the harts that
 * the device tree names for it. Sources come from the device tree, never from a constant.
 * A trap claims a bounded number; another pending interrupt traps again at once after sret.
 */
#ifndef HARTQ_WIRED_H
#define HARTQ_WIRED_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

/*
 * Turns every source of every controller off and prepares every reached hart. Starts all harts,
 * because the firmware closes a hart's context while it starts (OpenSBI sets a PLIC's threshold to
 * 7 and clears its enables). Called once at start-up, after harts_init() and heap_init(). NULL, or
 * an error phrase.
 */
const char *wired_init(const struct machine *machine);

/* True if this is a source of a controller that wired_init() has set up. */
bool wired_usable(struct machine_interrupt irq);

/* True if the interrupt is usable and can be routed to the hart. */
bool wired_reaches(struct machine_interrupt irq, unsigned hart_index);

/* True if some controller reaches the hart. */
bool wired_serves(unsigned hart_index);

/*
 * Attaches handler(arg) to a source. It runs in the trap of the hart the source is routed to, and
 * may not route, attach or detach. Attach first, then route. A source that is routed already may
 * get another handler for the same `arg`: a claim meanwhile calls one of the two.
 */
void wired_attach(struct machine_interrupt irq, void (*handler)(void *arg), void *arg);

/*
 * Routes a source to one hart, which the controller reaches, and to no other. Not from a handler,
 * and not while the source may be claimed: a PLIC drops the completion of a source that is not
 * enabled, and the source stays stuck.
 */
void wired_route(struct machine_interrupt irq, unsigned hart_index);

/* Takes a source from every hart; its handler stays attached. Restrictions as wired_route(). */
void wired_disable(struct machine_interrupt irq);

/* As wired_disable(), and removes the handler. */
void wired_detach(struct machine_interrupt irq);

/* The source's pending bit. For tests and diagnosis. */
bool wired_pending(struct machine_interrupt irq);

/* How many claims of all harts found no handler, and how many found nothing pending. */
uint64_t wired_unexpected_count(void);
uint64_t wired_empty_count(void);

#endif
