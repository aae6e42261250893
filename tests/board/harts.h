// SPDX-License-Identifier: MIT
/*
 * Stands in for platform/riscv64/harts.h on the host: harts whose ids have gaps, 3, 5, 7 and so on.
 * The test is one of them at a time.
 */
#ifndef HARTQ_HARTS_H
#define HARTQ_HARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "hart_layout.h"

struct hart {
    void (*external)(void); /* what trap_attach_external() was given */
    void *interrupt_controller;
    void *interrupt_table;
};

struct hart *hart_self(void);
unsigned hart_count(void);
uint64_t hart_id(unsigned index);
bool harts_run(unsigned count, void (*function)(void *arg, unsigned index), void *arg);

#endif
