// SPDX-License-Identifier: MIT
/*
 * What verify= writes into every logical block, and finds again: its LBA, a generation that differs
 * at each write, a CRC-32C over the block; the rest follows from both numbers. Pure.
 */
#ifndef HARTQ_BENCH_STAMP_H
#define HARTQ_BENCH_STAMP_H

#include <stddef.h>
#include <stdint.h>

/* What a block says of itself, at its start. Little endian, as the machine is. */
struct stamp {
    uint64_t magic;
    uint64_t lba;
    uint64_t generation;
    uint32_t crc; /* over the whole block with a 0 here */
    uint32_t block_bytes;
};

enum stamp_verdict {
    STAMP_GOOD,
    STAMP_MISSING,   /* no stamp at all: the block was never written, or not kept */
    STAMP_DAMAGED,   /* the checksum is another */
    STAMP_MISPLACED, /* a good stamp, but of another block */
    STAMP_STALE,     /* of another generation */
};

/* Fills a block of block_bytes, 512 or more, 8-byte aligned. */
void stamp_write(void *block, uint32_t block_bytes, uint64_t lba, uint64_t generation);

/*
 * Judges a block, as stamp_write() has it; any generation will do if `generation` is 0. *found gets
 * what the block says of itself, with the checksum that would be right in *crc.
 */
enum stamp_verdict stamp_check(const void *block, uint32_t block_bytes, uint64_t lba,
                               uint64_t generation, struct stamp *found, uint32_t *crc);

#endif
