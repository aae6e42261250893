// SPDX-License-Identifier: MIT
/*
 * DMA of the PCI hosts: what memory their devices reach, by which addresses, and whether it is
 * coherent with the caches. Devicetree Specification 0.4, section 2.3 (dma-ranges, dma-coherent,
 * dma-noncoherent).
 */
#include "fdt_value.h"
#include "machine.h"
#include "machine_internal.h"

enum { PCI_ADDRESS_CELLS = 3 }; /* the first of them is no part of the address */

static bool has_ranges(const struct tree *tree, tree_node bus, struct tree_property *ranges)
{
    return tree_property_find(tree, bus, "dma-ranges", ranges) && ranges->size_bytes != 0;
}

/* Entry `index` of a bus's dma-ranges: `bus` is its own address, `cpu` its parent's. */
static bool read_entry(const struct tree *tree, tree_node bus, const struct tree_property *ranges,
                       uint32_t index, struct machine_window *out)
{
    uint32_t cells;
    uint32_t parent_cells;
    uint32_t size_cells;
    uint32_t ignored;
    uint32_t first;

    tree_cell_counts(tree, bus, &cells, &size_cells);
    tree_cell_counts(tree, tree_parent(tree, bus), &parent_cells, &ignored);
    first = index * (cells + parent_cells + size_cells);
    if (cells == PCI_ADDRESS_CELLS) {
        first++;
        cells--;
    }
    return tree_cells(ranges, first, cells, &out->bus) &&
           tree_cells(ranges, first + cells, parent_cells, &out->cpu) &&
           tree_cells(ranges, first + cells + parent_cells, size_cells, &out->size) &&
           out->bus + out->size >= out->bus && out->cpu + out->size >= out->cpu;
}

/* The entries of a bus's dma-ranges; UINT32_MAX if the last one is not complete. */
static uint32_t count_entries(const struct tree *tree, tree_node bus,
                              const struct tree_property *ranges)
{
    uint32_t cells;
    uint32_t parent_cells;
    uint32_t size_cells;
    uint32_t ignored;
    uint64_t bytes;

    tree_cell_counts(tree, bus, &cells, &size_cells);
    tree_cell_counts(tree, tree_parent(tree, bus), &parent_cells, &ignored);
    if (cells > PCI_ADDRESS_CELLS || parent_cells > 2 || size_cells > 2 ||
        cells + parent_cells + size_cells == 0) {
        return UINT32_MAX;
    }
    bytes = 4 * (uint64_t)(cells + parent_cells + size_cells);
    return ranges->size_bytes % bytes == 0 ? (uint32_t)(ranges->size_bytes / bytes) : UINT32_MAX;
}

/* Adds the part of a window that one entry of the bus above passes on. False: there is no room. */
static bool add_part(struct machine_pci *out, const struct machine_window *window,
                     const struct machine_window *entry)
{
    uint64_t start = window->cpu > entry->bus ? window->cpu : entry->bus;
    uint64_t window_end = window->cpu + window->size;
    uint64_t entry_end = entry->bus + entry->size;
    uint64_t end = window_end < entry_end ? window_end : entry_end;

    if (start >= end) {
        return true;
    }
    if (out->dma_count == MACHINE_DMA_LIMIT) {
        return false;
    }
    out->dma[out->dma_count] = (struct machine_window){
        .bus = window->bus + (start - window->cpu),
        .cpu = entry->cpu + (start - entry->bus),
        .size = end - start,
    };
    out->dma_count++;
    return true;
}

/* Takes the host's windows, whose `cpu` are addresses on `bus`, to the bus above. */
static const char *pass_bus(const struct tree *tree, tree_node bus, struct machine_pci *host)
{
    struct machine_pci above = {0};
    struct tree_property ranges;
    uint32_t entries;

    if (!has_ranges(tree, bus, &ranges)) {
        return NULL;
    }
    entries = count_entries(tree, bus, &ranges);
    if (entries == UINT32_MAX) {
        return "pci: malformed dma-ranges";
    }
    for (uint32_t i = 0; i < entries; i++) {
        struct machine_window entry;

        if (!read_entry(tree, bus, &ranges, i, &entry)) {
            return "pci: a malformed entry in dma-ranges";
        }
        for (uint32_t k = 0; k < host->dma_count; k++) {
            if (!add_part(&above, &host->dma[k], &entry)) {
                return "pci: dma-ranges of more than 8 parts";
            }
        }
    }
    host->dma_count = above.dma_count;
    for (uint32_t i = 0; i < above.dma_count; i++) {
        host->dma[i] = above.dma[i];
    }
    return NULL;
}

/*
 * The nearest property of the host and the buses above it decides; without one RISC-V is coherent.
 */
static bool is_coherent(const struct tree *tree, tree_node node)
{
    struct tree_property property;

    for (; node != TREE_NONE; node = tree_parent(tree, node)) {
        if (tree_property_find(tree, node, "dma-coherent", &property)) {
            return true;
        }
        if (tree_property_find(tree, node, "dma-noncoherent", &property)) {
            return false;
        }
    }
    return true;
}

const char *machine_read_dma(const struct tree *tree, tree_node node, struct machine_pci *out)
{
    const char *error = NULL;

    out->dma_coherent = is_coherent(tree, node);
    out->dma[0] = (struct machine_window){.size = UINT64_MAX};
    out->dma_count = 1;
    /* A bus without dma-ranges, or with empty ones, changes nothing. */
    for (; node != TREE_NONE && error == NULL; node = tree_parent(tree, node)) {
        error = pass_bus(tree, node, out);
    }
    return error;
}

static const struct machine_window *find_window(const struct machine_pci *host, uint64_t image)
{
    for (uint32_t i = 0; i < host->dma_count; i++) {
        if (image >= host->dma[i].cpu && image - host->dma[i].cpu < host->dma[i].size) {
            return &host->dma[i];
        }
    }
    return NULL;
}

/* Narrows the machine's memory for DMA to what the host reaches, or says why it cannot be used. */
static const char *join_host(struct machine *machine, const struct machine_pci *host,
                             uint64_t image, bool any_dma)
{
    const struct machine_window *window = find_window(host, image);
    struct machine_window *dma = &machine->dma;
    uint64_t start;
    uint64_t end;

    if (window == NULL) {
        return "pci: dma-ranges leave out the memory of the image";
    }
    if (!host->dma_coherent && machine->cache_block_bytes == 0) {
        return "pci: DMA is not coherent with the caches (dma-noncoherent), and a hart lacks "
               "Zicbom or riscv,cbom-block-size";
    }
    if (!any_dma && (!host->dma_coherent || window->cpu != window->bus)) {
        return "pci: DMA that is not coherent (dma-noncoherent) or at other addresses "
               "(dma-ranges) needs a program of build/dma/";
    }
    if (dma->size != 0 && dma->cpu - dma->bus != window->cpu - window->bus) {
        return "pci: dma-ranges of two hosts that differ are not supported";
    }
    start = dma->size == 0 || window->cpu > dma->cpu ? window->cpu : dma->cpu;
    end = window->cpu + window->size;
    if (dma->size != 0 && dma->cpu + dma->size < end) {
        end = dma->cpu + dma->size;
    }
    *dma = (struct machine_window){start - (window->cpu - window->bus), start, end - start};
    machine->dma_coherent = machine->dma_coherent && host->dma_coherent;
    return NULL;
}

void machine_choose_dma(struct machine *machine, uint64_t image, bool any_dma)
{
    uint32_t kept = 0;

    machine->dma_coherent = true;
    for (uint32_t i = 0; i < machine->pci_count; i++) {
        const char *error = join_host(machine, &machine->pci[i], image, any_dma);

        if (error != NULL) {
            machine->pci_error = error;
        } else {
            machine->pci[kept] = machine->pci[i];
            kept++;
        }
    }
    machine->pci_count = kept;
}
