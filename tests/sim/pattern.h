// SPDX-License-Identifier: MIT
/*
 * Data to write, made from a number and recognized by it.
 */
#ifndef SIM_PATTERN_H
#define SIM_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "random.h"

/* Fills whole words of 8 bytes. */
static inline void pattern_fill(uint64_t pattern, uint8_t *to, size_t bytes)
{
    struct random words = {pattern};

    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        uint64_t word = random_next(&words);

        memcpy(to + i, &word, sizeof(word));
    }
}

/* True if they are still there. */
static inline bool pattern_is(uint64_t pattern, const uint8_t *bytes, size_t count)
{
    struct random words = {pattern};
    uint64_t difference = 0;

    for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, bytes + i, sizeof(word));
        difference |= word ^ random_next(&words);
    }
    return difference == 0;
}

#endif
