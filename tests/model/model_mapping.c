// SPDX-License-Identifier: MIT
/*
 * What the device may reach, if DMA is mapped: see world.h.
 */
#include "model_internal.h"

enum { MAPPINGS = 65536 };

/* Memory that is mapped at present. */
static struct mapping {
    uintptr_t start;
    uintptr_t end;
    uint32_t direction;
} mappings[MAPPINGS];

/* True if this one is to fail. */
static bool fails(void)
{
    if (world.map_fails_in != 0 && --world.map_fails_in == 0) {
        return true;
    }
    return world.map_failing != 0 && random_chance(&world.map_random, world.map_failing);
}

bool world_dma_map(const void *pointer, size_t size, uint32_t direction)
{
    if (size == 0 || direction == 0 || direction > 3) {
        world_find("nothing is mapped, or in no direction");
    }
    world.map_calls++;
    if (fails()) {
        world.map_failures++;
        return false;
    }
    if (world.mapped == MAPPINGS) {
        world_panic("more than MAPPINGS (tests/model/model_mapping.c) pieces are mapped");
    }
    mappings[world.mapped++] = (struct mapping){
        .start = (uintptr_t)pointer,
        .end = (uintptr_t)pointer + size,
        .direction = direction,
    };
    return true;
}

void world_dma_unmap(const void *pointer, size_t size, uint32_t direction)
{
    uintptr_t start = (uintptr_t)pointer;

    for (uint32_t i = world.mapped; i-- > 0;) {
        struct mapping *mapping = &mappings[i];

        if (mapping->start == start && mapping->end == start + size &&
            mapping->direction == direction) {
            *mapping = mappings[--world.mapped];
            return;
        }
    }
    world_find("memory is unmapped that is not mapped so");
}

bool world_is_mapped(const void *pointer, size_t size, uint32_t direction)
{
    uintptr_t start = (uintptr_t)pointer;

    for (uint32_t i = 0; i < world.mapped; i++) {
        const struct mapping *mapping = &mappings[i];

        if (mapping->start <= start && mapping->end >= start + size &&
            (mapping->direction & direction) == direction) {
            return true;
        }
    }
    return !world.maps;
}

void world_check_mapped(const void *pointer, size_t size, const char *what)
{
    if (!world_is_mapped(pointer, size, 0)) {
        world_find("%s memory that is not mapped", what);
    }
}

void model_reach(const void *host, size_t size, bool writes)
{
    if (host != NULL && !world_is_mapped(host, size, writes ? 2 : 1)) {
        world_find("the device %s memory that is not mapped", writes ? "writes to" : "reads");
    }
}
