// SPDX-License-Identifier: MIT
/*
 * The SGL walker: see model_sgl.h.
 */
#include "model_sgl.h"

#include <string.h>

#include "model_internal.h"

enum {
    DATA_BLOCK = 0x00,   /* the last byte of a descriptor */
    LAST_SEGMENT = 0x30, /* a list, which ends with Data Blocks */
    DESCRIPTOR = 16,     /* bytes */
};

static uint64_t load(const struct model_sgl *walk, uint64_t address)
{
    const void *host = world_host(address);
    uint64_t value = 0;

    model_reach(host, sizeof(value), false);
    if (walk->clean_epoch != 0 && !world_was_cleaned(host, sizeof(value), walk->clean_epoch)) {
        world_find("an SGL is not cleaned before its command");
    }
    if (host != NULL) {
        memcpy(&value, host, sizeof(value));
    }
    return value;
}

static void take_block(struct model_sgl *walk, uint64_t low, uint64_t high)
{
    if (high >> 56 != DATA_BLOCK || (high >> 32 & 0xffffff) != 0) {
        world_find("an SGL has no Data Block where it must: %#llx", (unsigned long long)high);
    }
    walk->address = low;
    walk->left = (uint32_t)high;
}

void model_sgl_begin(struct model_sgl *walk, uint32_t page_bytes, uint64_t low, uint64_t high,
                     uint64_t clean_epoch, uint32_t bytes)
{
    uint64_t sum = 0;

    *walk = (struct model_sgl){.page_bytes = page_bytes, .clean_epoch = clean_epoch};
    if (high >> 56 != LAST_SEGMENT) {
        take_block(walk, low, high);
        sum = walk->left;
    } else {
        walk->list = low;
        walk->descriptors = (uint32_t)high / DESCRIPTOR;
        if (low % 8 != 0 || (uint32_t)high % DESCRIPTOR != 0 || walk->descriptors == 0 ||
            low % page_bytes + (uint32_t)high > page_bytes) {
            world_find("an SGL segment is misaligned, empty or leaves its page");
        }
        for (uint32_t i = 0; i < walk->descriptors; i++) {
            sum += (uint32_t)load(walk, low + i * DESCRIPTOR + 8);
        }
    }
    if (sum != bytes) {
        world_find("an SGL has %llu bytes, its command %u", (unsigned long long)sum, bytes);
        walk->left = 0;
        walk->descriptors = 0;
    }
}

bool model_sgl_next(struct model_sgl *walk, uint8_t **host, uint32_t *bytes)
{
    uint32_t room;

    while (walk->left == 0) {
        if (walk->descriptors == 0) {
            return false;
        }
        walk->descriptors--;
        take_block(walk, load(walk, walk->list), load(walk, walk->list + 8));
        walk->list += DESCRIPTOR;
    }
    room = walk->page_bytes - (uint32_t)(walk->address % walk->page_bytes);
    *bytes = room < walk->left ? room : walk->left;
    *host = world_host(walk->address);
    if (walk->clean_epoch != 0 && !world_was_cleaned(*host, *bytes, walk->clean_epoch)) {
        world_find("a buffer is not cleaned before its command");
    }
    walk->address += *bytes;
    walk->left -= *bytes;
    return true;
}
