// SPDX-License-Identifier: MIT
/*
 * IPIs without the firmware: ACLINT's supervisor software interrupts, a register for each hart.
 */
#ifndef HARTQ_SSWI_H
#define HARTQ_SSWI_H

#include "machine.h"

/*
 * Sends IPIs by these registers if the machine has one for each hart, else leaves it to the
 * firmware. Before the first run of several harts.
 */
void sswi_init(const struct machine *machine);

#endif
