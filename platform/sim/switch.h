// SPDX-License-Identifier: MIT
/*
 * A stack that waits: what a hart is while another one runs. The hosts are x86-64 and aarch64.
 */
#ifndef HARTQ_SIM_SWITCH_H
#define HARTQ_SIM_SWITCH_H

#include <stdint.h>

/*
 * Leaves the running stack in *from and goes on with `to`, which an earlier call has left, or
 * context_prepare(). Returns when somebody goes on with *from.
 */
void context_switch(void **from, void *to);

/* A stack that begins in entry(), which does not return. `top` is aligned to 16 bytes. */
static inline void *context_prepare(uint8_t *top, void (*entry)(void))
{
#if defined(__x86_64__)
    enum { WORDS = 8, ENTRY = 6 }; /* six registers, the return address, a word that aligns */
#else
    enum { WORDS = 20, ENTRY = 11 }; /* x19 to x30, d8 to d15 */
#endif
    uintptr_t *frame = (uintptr_t *)(void *)top - WORDS;

    for (unsigned i = 0; i < WORDS; i++) {
        frame[i] = 0;
    }
    frame[ENTRY] = (uintptr_t)entry;
    return frame;
}

#endif
