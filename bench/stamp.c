// SPDX-License-Identifier: MIT
/*
 * See stamp.h.
 */
#include "stamp.h"

#include <string.h>

#include "crc32c.h"
#include "random.h"

#define MAGIC UINT64_C(0x31706d6174737168) /* "hqstamp1" */

/* Over the block as if its field for the checksum were 0. */
static uint32_t compute_crc(const void *block, uint32_t block_bytes, struct stamp stamp)
{
    uint32_t crc;

    stamp.crc = 0;
    crc = crc32c(0, &stamp, sizeof(stamp));
    return crc32c(crc, (const uint8_t *)block + sizeof(stamp), block_bytes - sizeof(stamp));
}

void stamp_write(void *block, uint32_t block_bytes, uint64_t lba, uint64_t generation)
{
    uint64_t *words = block;
    uint64_t random = (lba << 24 ^ generation) | UINT64_C(1) << 63;
    struct stamp stamp = {
        .magic = MAGIC,
        .lba = lba,
        .generation = generation,
        .block_bytes = block_bytes,
    };

    for (uint32_t i = sizeof(stamp) / sizeof(*words); i < block_bytes / sizeof(*words); i++) {
        words[i] = random_next(&random);
    }
    stamp.crc = compute_crc(block, block_bytes, stamp);
    memcpy(block, &stamp, sizeof(stamp));
}

enum stamp_verdict stamp_check(const void *block, uint32_t block_bytes, uint64_t lba,
                               uint64_t generation, struct stamp *found, uint32_t *crc)
{
    memcpy(found, block, sizeof(*found));
    *crc = compute_crc(block, block_bytes, *found);
    if (found->magic != MAGIC) {
        return STAMP_MISSING;
    }
    if (found->crc != *crc || found->block_bytes != block_bytes) {
        return STAMP_DAMAGED;
    }
    if (found->lba != lba) {
        return STAMP_MISPLACED;
    }
    return generation == 0 || found->generation == generation ? STAMP_GOOD : STAMP_STALE;
}
