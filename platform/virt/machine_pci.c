// SPDX-License-Identifier: MIT
/*
 * PCI host bridges in the device tree. IEEE 1275 PCI bus binding: a child address is three cells,
 * the first of which names the space (bits 25:24: 2 = 32-bit, 3 = 64-bit memory).
 */
#include "fdt_value.h"
#include "machine.h"
#include "machine_internal.h"

enum {
    PCI_ADDRESS_CELLS = 3,
    PCI_SPACE_MEMORY32 = 2,
    PCI_SPACE_MEMORY64 = 3,
};

/* The windows of the tree. A window of kind 3 below 4 GiB can serve as either of ours. */
struct windows {
    struct machine_window kind2, kind3_low, kind3_high;
};

static void keep_larger(struct machine_window *kept, struct machine_window window)
{
    if (window.size > kept->size) {
        *kept = window;
    }
}

/*
 * ranges: (space, bus address 2 cells, CPU address, size 2 cells). The largest window of each kind.
 */
static const char *read_windows(const struct tree *tree, tree_node node, struct windows *out)
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
        bool low;

        if (!tree_cell(&ranges, i, &space) || !tree_cells(&ranges, i + 1, 2, &window.bus) ||
            !tree_cells(&ranges, i + PCI_ADDRESS_CELLS, cpu_cells, &window.cpu) ||
            !tree_cells(&ranges, i + PCI_ADDRESS_CELLS + cpu_cells, 2, &window.size) ||
            !machine_translate(tree, node, &window.cpu, window.size) ||
            window.bus + window.size < window.bus || window.cpu + window.size < window.cpu) {
            return "pci: a malformed entry in ranges";
        }
        space = space >> 24 & 3;
        low = window.bus + window.size <= 1ULL << 32;
        if (space == PCI_SPACE_MEMORY32 && low) {
            keep_larger(&out->kind2, window);
        } else if (space == PCI_SPACE_MEMORY64) {
            keep_larger(low ? &out->kind3_low : &out->kind3_high, window);
        }
    }
    return NULL;
}

static const char *choose_windows(const struct tree *tree, tree_node node, struct machine_pci *out)
{
    struct windows found = {0};
    const char *error = read_windows(tree, node, &found);

    out->window64 = found.kind3_high;
    if (found.kind2.size == 0) {
        out->window32 = found.kind3_low;
    } else {
        out->window32 = found.kind2;
        if (found.kind3_high.size == 0) {
            out->window64 = found.kind3_low;
        }
    }
    return error;
}

static const char *read_host(const struct tree *tree, tree_node node, const struct machine *machine,
                             struct machine_pci *out)
{
    struct tree_property buses;
    const char *error = machine_read_device(tree, node, &out->ecam);
    uint64_t bus_count = out->ecam.size >> 20; /* 1 MiB each; the first is the range's first */

    if (error != NULL) {
        return error;
    }
    out->bus_last = 255;
    if (tree_property_find(tree, node, "bus-range", &buses) &&
        (!tree_cell(&buses, 0, &out->bus_first) || !tree_cell(&buses, 1, &out->bus_last))) {
        return "pci: malformed bus-range";
    }
    if (out->bus_first > out->bus_last || out->bus_first > 255 || bus_count == 0) {
        return "pci: bus-range is empty, or the configuration space is below 1 MiB";
    }
    out->bus_last = out->bus_last > 255 ? 255 : out->bus_last;
    if (out->bus_last - out->bus_first >= bus_count) {
        out->bus_last = out->bus_first + (uint32_t)bus_count - 1;
    }
    error = choose_windows(tree, node, out);
    return error != NULL ? error : machine_read_interrupt_map(tree, node, machine, out);
}

void machine_read_pci(const struct tree *tree, struct machine *out)
{
    tree_node node = machine_find_device(tree, TREE_NONE, "pci-host-ecam-generic");

    for (; node != TREE_NONE; node = machine_find_device(tree, node, "pci-host-ecam-generic")) {
        struct machine_pci host = {0};
        const char *error = read_host(tree, node, out, &host);

        if (error == NULL) {
            error = machine_read_dma(tree, node, &host);
        }
        if (error == NULL && out->pci_count == MACHINE_PCI_LIMIT) {
            error = "pci: more than 4 hosts";
        }
        if (error != NULL) {
            out->pci_error = error;
        } else {
            out->pci[out->pci_count] = host;
            out->pci_count++;
        }
    }
}
