// SPDX-License-Identifier: MIT
// What a program finds when its main() runs: interrupts on, on hart 0, argv[0] = "hartq" and the
// words of the kernel command line behind it. Its return value is the machine's exit status.
#ifndef HARTQ_START_H
#define HARTQ_START_H

#include "machine.h"

/// The machine as the device tree describes it. Valid from before main() to the end.
const struct machine *machine_get(void);

#endif
