// SPDX-License-Identifier: MIT
/* Translation: on with scattered memory in the programs of build/paged/, off in the others. */
#ifndef HARTQ_BOOT_TRANSLATION_H
#define HARTQ_BOOT_TRANSLATION_H

#include <stdbool.h>

/* Prints if it is on, and tells check() of each rule and whether it holds. Hart 0. */
void translation_check(void (*check)(bool passed, const char *what));

#endif
