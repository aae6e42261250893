// SPDX-License-Identifier: MIT
/*
 * The fault classes of faults.def, for C. Python reads the same file: tests/fault_table.py.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>

enum fault_class {
#define FAULT(number, name, ...) FAULT_##name = (number),
#include "faults.def"
#undef FAULT
    FAULT_CLASSES = 24, /* numbered from 1 */
};

/* One class: see faults.def. */
struct fault {
    bool fatal;
    const char *what;
    const char *match;
    const char *action;
};

/* Indexed by the class's number. */
extern const struct fault fault_table[FAULT_CLASSES + 1];

#endif
