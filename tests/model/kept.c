// SPDX-License-Identifier: MIT
/*
 * Blocks that are taken again where size and alignment are the same: see kept.h.
 */
#include "kept.h"

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    BLOCKS_MAX = 64,
};

static struct block {
    void *memory; /* NULL: none yet */
    size_t alignment;
    size_t size_bytes;
    bool taken;
} blocks[BLOCKS_MAX];

/* A free block of this shape, else a place without a block, else one whose block may go. */
static struct block *find_block(size_t alignment, size_t size_bytes)
{
    struct block *place = NULL;

    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        struct block *block = &blocks[i];

        if (block->taken) {
            continue;
        }
        if (block->memory != NULL && block->alignment == alignment &&
            block->size_bytes == size_bytes) {
            return block;
        }
        if (place == NULL || block->memory == NULL) {
            place = block;
        }
    }
    if (place == NULL) {
        abort();
    }
    return place;
}

void *kept_take(size_t alignment, size_t size_bytes)
{
    struct block *block = find_block(alignment, size_bytes);

    if (block->memory == NULL || block->alignment != alignment || block->size_bytes != size_bytes) {
        free(block->memory);
        *block = (struct block){
            .memory = aligned_alloc(alignment, size_bytes),
            .alignment = alignment,
            .size_bytes = size_bytes,
        };
        if (block->memory == NULL) {
            abort();
        }
    }
    ASAN_UNPOISON_MEMORY_REGION(block->memory, size_bytes);
    block->taken = true;
    return block->memory;
}

void kept_give(void *memory)
{
    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        if (blocks[i].taken && blocks[i].memory == memory) {
            ASAN_POISON_MEMORY_REGION(memory, blocks[i].size_bytes);
            blocks[i].taken = false;
            return;
        }
    }
    if (memory != NULL) {
        abort();
    }
}
