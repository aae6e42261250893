// SPDX-License-Identifier: MIT
/*
 * main() runs on hart 0 with interrupts on. argv[0] is "hartq", then come the words of the kernel
 * command line. Its return value is the machine's exit status.
 */
#ifndef HARTQ_START_H
#define HARTQ_START_H

#include "machine.h"

/* The machine as the device tree describes it. Valid from before main() to the end. */
const struct machine *machine_get(void);

#endif
