// SPDX-License-Identifier: MIT
// The PCI host bridge in the device tree, and free memory. IEEE 1275 PCI bus binding: a child
// address is three cells, whose first says the space (bits 25:24: 2 = 32-bit, 3 = 64-bit memory)
// and, in interrupt-map, the device (bits 15:11).
#include "fdt_tree.h"
#include "machine.h"
#include "machine_internal.h"

enum {
    PCI_ADDRESS_CELLS = 3,
    PCI_SPACE_MEMORY32 = 2,
    PCI_SPACE_MEMORY64 = 3,
};

// ranges: (space, bus address 2 cells, CPU address, size 2 cells). The largest window of each kind.
static const char *read_windows(const struct tree *tree, tree_node node, struct machine_pci *out)
{
    struct tree_property ranges;
    uint32_t cpu_cells;
    uint32_t ignored;
    uint32_t entry_cells;

    tree_cell_counts(tree, tree_parent(tree, node), &cpu_cells, &ignored);
    if (!tree_property_find(tree, node, "ranges", &ranges) || cpu_cells > 2) {
        return "pci: no ranges, or CPU addresses of more than 2 cells";
    }
    entry_cells = PCI_ADDRESS_CELLS + cpu_cells + 2;
    for (uint32_t i = 0; i + entry_cells <= ranges.size_bytes / 4; i += entry_cells) {
        struct machine_window window;
        uint32_t space;

        if (!tree_cell(&ranges, i, &space) || !tree_cells(&ranges, i + 1, 2, &window.bus) ||
            !tree_cells(&ranges, i + PCI_ADDRESS_CELLS, cpu_cells, &window.cpu) ||
            !tree_cells(&ranges, i + PCI_ADDRESS_CELLS + cpu_cells, 2, &window.size) ||
            window.bus + window.size < window.bus || window.cpu + window.size < window.cpu) {
            return "pci: a malformed entry in ranges";
        }
        space = space >> 24 & 3;
        if (space == PCI_SPACE_MEMORY32 && window.size > out->window32.size &&
            window.bus + window.size <= 1ULL << 32) {
            out->window32 = window;
        } else if (space == PCI_SPACE_MEMORY64 && window.size > out->window64.size) {
            out->window64 = window;
        }
    }
    return NULL;
}

// interrupt-map: (PCI address 3 cells, pin, controller, the controller's own address and interrupt
// cells). The source is the first interrupt cell, for the PLIC and for the APLIC alike.
static const char *read_interrupt_map(const struct tree *tree, tree_node node,
                                      struct machine_pci *out)
{
    struct tree_property map;
    struct tree_property mask;
    uint32_t next = 0;

    if (!tree_property_find(tree, node, "interrupt-map", &map)) {
        return NULL;
    }
    if (!tree_property_find(tree, node, "interrupt-map-mask", &mask) ||
        !tree_cell(&mask, 0, &out->mask_address) ||
        !tree_cell(&mask, PCI_ADDRESS_CELLS, &out->mask_pin)) {
        return "pci: interrupt-map without interrupt-map-mask";
    }
    while (next < map.size_bytes / 4) {
        struct machine_interrupt entry;
        uint32_t phandle;
        uint32_t address_cells = 0;
        uint32_t interrupt_cells;
        tree_node controller;

        if (!tree_cell(&map, next, &entry.address) ||
            !tree_cell(&map, next + PCI_ADDRESS_CELLS, &entry.pin) ||
            !tree_cell(&map, next + PCI_ADDRESS_CELLS + 1, &phandle)) {
            return "pci: interrupt-map ends inside an entry";
        }
        controller = tree_find_phandle(tree, phandle);
        tree_read_u32(tree, controller, "#address-cells", &address_cells);
        if (!tree_read_u32(tree, controller, "#interrupt-cells", &interrupt_cells) ||
            address_cells > 3 || interrupt_cells == 0 || interrupt_cells > 3 ||
            out->interrupt_count == MACHINE_INTERRUPT_LIMIT) {
            return "pci: interrupt-map names no controller, or has more than 64 entries";
        }
        next += PCI_ADDRESS_CELLS + 2 + address_cells;
        if (!tree_cell(&map, next, &entry.source)) {
            return "pci: interrupt-map ends inside an entry";
        }
        next += interrupt_cells;
        out->interrupts[out->interrupt_count] = entry;
        out->interrupt_count++;
    }
    return NULL;
}

const char *machine_read_pci(const struct tree *tree, tree_node node, struct machine_pci *out)
{
    struct tree_property buses;
    const char *error = machine_read_device(tree, node, &out->ecam);

    if (node == TREE_NONE || error != NULL) {
        return error;
    }
    out->bus_last = 255;
    if (tree_property_find(tree, node, "bus-range", &buses) &&
        (!tree_cell(&buses, 0, &out->bus_first) || !tree_cell(&buses, 1, &out->bus_last))) {
        return "pci: malformed bus-range";
    }
    if (out->bus_first > out->bus_last || out->bus_last > 255 ||
        (uint64_t)(out->bus_last - out->bus_first + 1) << 20 > out->ecam.size) {
        return "pci: bus-range is empty or larger than the configuration space";
    }
    error = read_windows(tree, node, out);
    return error != NULL ? error : read_interrupt_map(tree, node, out);
}

uint32_t machine_pci_interrupt(const struct machine_pci *pci, uint32_t device, uint32_t pin)
{
    uint32_t address = (device << 11) & pci->mask_address;

    for (uint32_t i = 0; i < pci->interrupt_count; i++) {
        const struct machine_interrupt *entry = &pci->interrupts[i];

        if ((entry->address & pci->mask_address) == address &&
            (entry->pin & pci->mask_pin) == (pin & pci->mask_pin)) {
            return entry->source;
        }
    }
    return 0;
}

// The end of the reserved span that holds `address`, or 0.
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

// Free bytes from `start` to the next reserved span or to `end`; 0 if start itself is taken.
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
