// SPDX-License-Identifier: MIT
/*
 * Memory in the device tree: ranges, reservations, free memory.
 * Devicetree Specification 0.4, sections 3.4 and 3.5.
 */
#include <string.h>

#include "fdt_value.h"
#include "machine.h"
#include "machine_internal.h"

static const char *add_memory(struct machine *out, uint64_t base, uint64_t size)
{
    if (size == 0) {
        return NULL;
    }
    /* The nodes of several sockets follow one another: they are one range. */
    for (uint32_t i = 0; i < out->memory_count && base + size > base; i++) {
        struct machine_span *span = &out->memory[i];

        if (span->base + span->size == base || base + size == span->base) {
            span->base = span->base < base ? span->base : base;
            span->size += size;
            return NULL;
        }
    }
    if (base + size < base || out->memory_count == MACHINE_SPAN_LIMIT) {
        return "memory: more than 16 ranges, or one beyond the address space";
    }
    out->memory[out->memory_count] = (struct machine_span){base, size};
    out->memory_count++;
    return NULL;
}

static const char *read_memory(const struct tree *tree, struct machine *out)
{
    const char *error = NULL;
    tree_node node = tree_first_child(tree, tree_root(tree));
    uint64_t base;
    uint64_t size;

    for (; error == NULL && node != TREE_NONE; node = tree_next_sibling(tree, node)) {
        const char *type = tree_read_string(tree, node, "device_type");

        if (type == NULL || strcmp(type, "memory") != 0 || !tree_enabled(tree, node)) {
            continue;
        }
        for (unsigned i = 0; error == NULL && tree_reg(tree, node, i, &base, &size); i++) {
            error = add_memory(out, base, size);
        }
    }
    if (error != NULL) {
        return error;
    }
    return out->memory_count != 0 ? NULL : "memory: the device tree names none";
}

/* Joins spans [index] and [index + 1], with the gap between them. */
static void join_reserved(struct machine *out, uint32_t index)
{
    struct machine_span *span = &out->reserved[index];
    uint64_t end = span->base + span->size;
    uint64_t next_end = span[1].base + span[1].size;

    span->size = (next_end > end ? next_end : end) - span->base;
    out->reserved_count--;
    memmove(span + 1, span + 2, (out->reserved_count - index - 1) * sizeof(*span));
}

/* The two neighbours with the smallest gap; spans that touch or overlap have none. */
static uint32_t find_nearest(const struct machine *out)
{
    uint32_t nearest = 0;
    uint64_t smallest = UINT64_MAX;

    for (uint32_t i = 0; i + 1 < out->reserved_count; i++) {
        uint64_t end = out->reserved[i].base + out->reserved[i].size;
        uint64_t gap = out->reserved[i + 1].base > end ? out->reserved[i + 1].base - end : 0;

        if (gap < smallest) {
            smallest = gap;
            nearest = i;
        }
    }
    return nearest;
}

/* Inserts the span in order. If the array is full, the two nearest spans are joined. */
static const char *add_reserved(struct machine *out, uint64_t base, uint64_t size)
{
    uint32_t at = out->reserved_count;

    if (size == 0) {
        return NULL;
    }
    if (base + size < base) {
        return "memory: a reserved range beyond the address space";
    }
    for (; at != 0 && out->reserved[at - 1].base > base; at--) {
        out->reserved[at] = out->reserved[at - 1];
    }
    out->reserved[at] = (struct machine_span){base, size};
    out->reserved_count++;
    if (out->reserved_count == MACHINE_RESERVED_LIMIT) {
        join_reserved(out, find_nearest(out));
    }
    return NULL;
}

static const char *read_reserved(const struct tree *tree, struct machine *out)
{
    const char *error = add_reserved(out, (uint64_t)(uintptr_t)tree->blob, tree->size_bytes);
    tree_node node = tree_first_child(tree, tree_find_path(tree, "/reserved-memory"));
    uint64_t base;
    uint64_t size;

    for (unsigned i = 0; error == NULL && tree_reservation(tree, i, &base, &size); i++) {
        error = add_reserved(out, base, size);
    }
    for (; error == NULL && node != TREE_NONE; node = tree_next_sibling(tree, node)) {
        for (unsigned i = 0; error == NULL && tree_reg(tree, node, i, &base, &size); i++) {
            error = add_reserved(out, base, size);
        }
    }
    return error;
}

const char *machine_read_memory(const struct tree *tree, struct machine *out)
{
    const char *error = read_memory(tree, out);

    return error != NULL ? error : read_reserved(tree, out);
}

/* The end of the reserved span that contains `address`, or 0. */
static uint64_t reserved_until(const struct machine *machine, uint64_t address)
{
    for (uint32_t i = 0; i < machine->reserved_count; i++) {
        const struct machine_span *span = &machine->reserved[i];

        if (address >= span->base && address - span->base < span->size) {
            return span->base + span->size;
        }
    }
    return 0;
}

/* Free bytes from `start` to the next reserved span or to `end`; 0 if start itself is taken. */
static uint64_t free_from(const struct machine *machine, uint64_t start, uint64_t end)
{
    if (start >= end || reserved_until(machine, start) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < machine->reserved_count; i++) {
        uint64_t base = machine->reserved[i].base;

        if (base > start && base < end) {
            end = base;
        }
    }
    return end - start;
}

struct machine_span machine_free_memory(const struct machine *machine, uint64_t image_end)
{
    struct machine_span best = {image_end, 0};
    uint64_t end = 0;

    for (uint32_t i = 0; i < machine->memory_count; i++) {
        const struct machine_span *span = &machine->memory[i];

        if (image_end >= span->base && image_end - span->base < span->size) {
            end = span->base + span->size;
        }
    }
    if (machine->dma.size != 0 && end > machine->dma.cpu + machine->dma.size) {
        end = machine->dma.cpu + machine->dma.size;
    }
    best.size = free_from(machine, image_end, end);
    for (uint32_t i = 0; i < machine->reserved_count; i++) {
        uint64_t start = machine->reserved[i].base + machine->reserved[i].size;
        uint64_t size = start > image_end ? free_from(machine, start, end) : 0;

        if (size > best.size) {
            best = (struct machine_span){start, size};
        }
    }
    return best;
}
