// SPDX-License-Identifier: MIT
/*
 * Degraded controllers of the simulated machine: what one refuses, lacks or does slowly. flaws.c
 * has the table of names.
 */
#ifndef HARTQ_SIM_FLAWS_H
#define HARTQ_SIM_FLAWS_H

#include <stdbool.h>

/*
 * Gives controllers their flaws: "0:list_refused,0:dead,1:no_namespace", the number of a controller
 * and a name each. NULL: none. Prints what is wrong and returns false. After devices_init().
 */
bool flaws_apply(const char *text);

#endif
