// SPDX-License-Identifier: MIT
/*
 * The table of faults.def.
 */
#include "fault.h"

const struct fault fault_table[FAULT_CLASSES + 1] = {
#define FAULT(number, name, fatal, what, match, action, machine)                                   \
    [number] = {fatal, what, match, action},
#include "faults.def"
#undef FAULT
};
