// SPDX-License-Identifier: MIT
/*
 * From the device tree to struct machine, part by part: harts, console, IOMMUs. Memory is in
 * machine_memory.c, PCI hosts are in machine_pci.c and machine_dma.c, interrupts in
 * machine_interrupts.c. Devicetree Specification 0.4, chapters 2 and 3; the bindings of ns16550a,
 * riscv,iommu and RISC-V harts (riscv,isa-extensions, riscv,cbom-block-size).
 */
#include "machine.h"

#include <string.h>

#include "fdt_value.h"
#include "machine_internal.h"

/* All harts share one clock, so the first timebase-frequency is valid for all. */
static bool read_timebase(const struct tree *tree, tree_node cpus, struct machine *out)
{
    struct tree_property timebase;
    tree_node node = cpus;

    while (node != TREE_NONE && !tree_property_find(tree, node, "timebase-frequency", &timebase)) {
        node = node == cpus ? tree_first_child(tree, cpus) : tree_next_sibling(tree, node);
    }
    return node != TREE_NONE &&
           tree_cells(&timebase, 0, timebase.size_bytes / 4, &out->timebase_hz);
}

/* True if the node names the extension, in the list or in the older string ("rv64ima_zicbom"). */
static bool has_extension(const struct tree *tree, tree_node node, const char *name)
{
    const char *isa = tree_read_string(tree, node, "riscv,isa");
    size_t length = strlen(name);

    if (tree_has_string(tree, node, "riscv,isa-extensions", name)) {
        return true;
    }
    for (isa = isa != NULL ? strchr(isa, '_') : NULL; isa != NULL; isa = strchr(isa + 1, '_')) {
        if (strncmp(isa + 1, name, length) == 0 &&
            (isa[length + 1] == 0 || isa[length + 1] == '_')) {
            return true;
        }
    }
    return false;
}

/* The hart's block of cbo.clean and cbo.inval; 0: it has none that can be used. */
static uint32_t read_cache_block(const struct tree *tree, tree_node node)
{
    uint32_t bytes = 0;

    if (!has_extension(tree, node, "zicbom") ||
        !tree_read_u32(tree, node, "riscv,cbom-block-size", &bytes) || (bytes & (bytes - 1)) != 0) {
        return 0;
    }
    return bytes;
}

static const char *read_harts(const struct tree *tree, struct machine *out)
{
    tree_node cpus = tree_find_path(tree, "/cpus");
    tree_node node = tree_first_child(tree, cpus);
    uint32_t block;
    uint64_t size;

    for (; node != TREE_NONE; node = tree_next_sibling(tree, node)) {
        const char *type = tree_read_string(tree, node, "device_type");
        struct machine_hart hart = {.wired = MACHINE_NONE, .context = MACHINE_NONE};

        if (type == NULL || strcmp(type, "cpu") != 0 || !tree_enabled(tree, node)) {
            continue;
        }
        if (!tree_reg(tree, node, 0, &hart.id, &size)) {
            return "harts: one without a reg property";
        }
        /* The block has one size in a system (RISC-V CMO 1.0, chapter 2). */
        block = read_cache_block(tree, node);
        out->cache_block_bytes =
            out->hart_count == 0 || out->cache_block_bytes == block ? block : 0;
        if (out->hart_count < MACHINE_HART_LIMIT) {
            out->harts[out->hart_count] = hart;
            out->hart_count++;
        }
    }
    if (out->hart_count == 0) {
        return "harts: the device tree names none";
    }
    return read_timebase(tree, cpus, out) ? NULL : "harts: /cpus has no timebase-frequency";
}

/*
 * Translates by one bus: its ranges map its own addresses to its parent's. Without ranges, or with
 * empty ones, both are the same.
 */
static bool translate_once(const struct tree *tree, tree_node bus, uint64_t *base, uint64_t size)
{
    struct tree_property ranges;
    uint32_t cells;
    uint32_t parent_cells;
    uint32_t size_cells;
    uint32_t ignored;

    if (!tree_property_find(tree, bus, "ranges", &ranges) || ranges.size_bytes == 0) {
        return true;
    }
    tree_cell_counts(tree, bus, &cells, &size_cells);
    tree_cell_counts(tree, tree_parent(tree, bus), &parent_cells, &ignored);
    for (uint32_t i = 0; i < ranges.size_bytes / 4; i += cells + parent_cells + size_cells) {
        uint64_t child;
        uint64_t parent;
        uint64_t length;

        if (!tree_cells(&ranges, i, cells, &child) || cells == 0 ||
            !tree_cells(&ranges, i + cells, parent_cells, &parent) ||
            !tree_cells(&ranges, i + cells + parent_cells, size_cells, &length)) {
            return false;
        }
        if (*base >= child && *base - child <= length && size <= length - (*base - child)) {
            *base = parent + (*base - child);
            return *base + size >= *base;
        }
    }
    return false;
}

bool machine_translate(const struct tree *tree, tree_node node, uint64_t *base, uint64_t size)
{
    tree_node bus = tree_parent(tree, node);

    while (bus != TREE_NONE &&
           translate_once(tree, bus, base, size)) { /* a tree has a depth limit */
        bus = tree_parent(tree, bus);
    }
    return bus == TREE_NONE;
}

const char *machine_read_device(const struct tree *tree, tree_node node, struct machine_span *out)
{
    if (node == TREE_NONE) {
        return NULL;
    }
    if (!tree_reg(tree, node, 0, &out->base, &out->size) || out->size == 0 ||
        out->base + out->size < out->base) {
        return "a device without a usable reg property";
    }
    if (!machine_translate(tree, node, &out->base, out->size)) {
        return "a device outside the ranges of a bus above it";
    }
    return NULL;
}

tree_node machine_find_device(const struct tree *tree, tree_node after, const char *compatible)
{
    tree_node node = tree_find_compatible(tree, after, compatible);

    while (node != TREE_NONE && !tree_enabled(tree, node)) {
        node = tree_find_compatible(tree, node, compatible);
    }
    return node;
}

/* The console is the device stdout-path names if that is a 16550, else the first 16550. */
static const char *read_console(const struct tree *tree, struct machine *out, tree_node *console)
{
    tree_node chosen = tree_find_path(tree, "/chosen");
    const char *path = tree_read_string(tree, chosen, "stdout-path");
    const char *bootargs = tree_read_string(tree, chosen, "bootargs");
    tree_node uart = path != NULL ? tree_find_named(tree, path) : TREE_NONE;

    out->bootargs = bootargs != NULL ? bootargs : "";
    if (!tree_has_string(tree, uart, "compatible", "ns16550a")) {
        uart = machine_find_device(tree, TREE_NONE, "ns16550a");
    }
    out->uart_shift = 0;
    tree_read_u32(tree, uart, "reg-shift", &out->uart_shift);
    if (out->uart_shift > 3) {
        return "console: reg-shift above 3";
    }
    *console = uart;
    return machine_read_device(tree, uart, &out->uart);
}

/*
 * An IOMMU that cannot be read is left out: its devices fail later, when they cannot reach memory.
 */
static void read_iommus(const struct tree *tree, struct machine *out)
{
    tree_node node = TREE_NONE;

    while (out->iommu_count < MACHINE_IOMMU_LIMIT &&
           (node = machine_find_device(tree, node, "riscv,iommu")) != TREE_NONE) {
        if (machine_read_device(tree, node, &out->iommus[out->iommu_count]) == NULL) {
            out->iommu_count++;
        }
    }
}

const char *machine_read(const void *dtb, size_t limit_bytes, struct machine *out)
{
    struct tree tree;
    tree_node console = TREE_NONE;
    const char *error = tree_open(&tree, dtb, limit_bytes);

    memset(out, 0, sizeof(*out));
    out->bootargs = "";
    if (error == NULL) {
        error = read_console(&tree, out, &console);
    }
    if (error == NULL) {
        error = machine_read_device(&tree, machine_find_device(&tree, TREE_NONE, "sifive,test0"),
                                    &out->test);
    }
    if (error == NULL) {
        error = machine_read_memory(&tree, out);
    }
    if (error == NULL) {
        error = read_harts(&tree, out);
    }
    if (error == NULL) {
        error = machine_read_controllers(&tree, out);
    }
    if (error == NULL) {
        out->uart_interrupt = machine_read_interrupt(&tree, console, out);
        read_iommus(&tree, out);
        machine_read_pci(&tree, out);
    }
    return error;
}
