// SPDX-License-Identifier: MIT
/*
 * The content of a logical block with verify=: its LBA, a generation that differs at each write,
 * and a CRC-32C of the block. Both numbers determine the rest. Pure.
 */
#ifndef HARTQ_BENCH_STAMP_H
#define HARTQ_BENCH_STAMP_H

#include <stddef.h>
#include <stdint.h>

/* The stamp at the start of a block. Little endian, as the machine is. */
struct stamp {
    uint64_t magic;
    uint64_t lba;
    uint64_t generation;
    uint32_t crc; /* of the whole block with a 0 here */
    uint32_t block_bytes;
};

enum stamp_verdict {
    STAMP_GOOD,
    STAMP_MISSING,   /* no stamp: the block was never written, or was lost */
    STAMP_DAMAGED,   /* the checksum is wrong */
    STAMP_MISPLACED, /* a good stamp, but of another block */
    STAMP_STALE,     /* of another generation */
};

/* Fills a block of block_bytes, 512 or more, 8-byte aligned. */
void stamp_write(void *block, uint32_t block_bytes, uint64_t lba, uint64_t generation);

/*
 * Checks a block against stamp_write(); `generation` 0 accepts any. *found gets the block's stamp,
 * *crc the right checksum.
 */
enum stamp_verdict stamp_check(const void *block, uint32_t block_bytes, uint64_t lba,
                               uint64_t generation, struct stamp *found, uint32_t *crc);

#endif
