// SPDX-License-Identifier: MIT
/*
 * The fuzzer's bytes, read from the first to the last; behind it there are zeros.
 */
#ifndef FUZZ_TAPE_H
#define FUZZ_TAPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tape {
    const uint8_t *at;
    size_t left;
};

/* Fills `size` bytes. */
static inline void tape_copy(struct tape *tape, void *to, size_t size)
{
    size_t given = size < tape->left ? size : tape->left;

    memset(to, 0, size);
    memcpy(to, tape->at, given);
    tape->at += given;
    tape->left -= given;
}

static inline uint8_t tape_byte(struct tape *tape)
{
    uint8_t value;

    tape_copy(tape, &value, sizeof(value));
    return value;
}

static inline uint32_t tape_word(struct tape *tape)
{
    uint32_t value;

    tape_copy(tape, &value, sizeof(value));
    return value;
}

#endif
