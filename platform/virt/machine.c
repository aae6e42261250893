// SPDX-License-Identifier: MIT
// From the device tree to struct machine, part by part: harts, console, interrupt controllers,
// IOMMUs. Memory is in machine_memory.c, PCI hosts are in machine_pci.c. Devicetree Specification
// 0.4, chapters 2 and 3; the bindings of riscv,cpu-intc, sifive,plic-1.0.0, riscv,imsics, ns16550a
// and riscv,iommu.
#include "machine.h"

#include <string.h>

#include "fdt_tree.h"
#include "machine_internal.h"

enum { CAUSE_S_EXTERNAL = 9 };

// All harts share one clock, so the first that is named is everybody's.
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

static const char *read_harts(const struct tree *tree, struct machine *out)
{
    tree_node cpus = tree_find_path(tree, "/cpus");
    tree_node node = tree_first_child(tree, cpus);
    uint64_t size;

    for (; node != TREE_NONE; node = tree_next_sibling(tree, node)) {
        const char *type = tree_read_string(tree, node, "device_type");
        struct machine_hart hart = {0, MACHINE_NO_CONTEXT, MACHINE_NO_CONTEXT};

        if (type == NULL || strcmp(type, "cpu") != 0 || !tree_enabled(tree, node)) {
            continue;
        }
        if (!tree_reg(tree, node, 0, &hart.id, &size)) {
            return "harts: one without a reg property";
        }
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

// One bus: its ranges lead from its own addresses to its parent's. Without ranges, or with empty
// ones, both are the same.
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

    while (bus != TREE_NONE && translate_once(tree, bus, base, size)) { // a tree has a depth limit
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
        return "a device outside of what a bus above it passes on (ranges)";
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

// The console is the device stdout-path names if that is a 16550, else the first 16550.
static const char *read_console(const struct tree *tree, struct machine *out)
{
    tree_node chosen = tree_find_path(tree, "/chosen");
    const char *path = tree_read_string(tree, chosen, "stdout-path");
    const char *bootargs = tree_read_string(tree, chosen, "bootargs");
    tree_node uart = path != NULL ? tree_find_named(tree, path) : TREE_NONE;

    out->bootargs = bootargs != NULL ? bootargs : "";
    if (!tree_has_string(tree, uart, "compatible", "ns16550a")) {
        uart = machine_find_device(tree, TREE_NONE, "ns16550a");
    }
    out->uart_source = 0;
    tree_read_u32(tree, uart, "interrupts", &out->uart_source);
    out->uart_shift = 0;
    tree_read_u32(tree, uart, "reg-shift", &out->uart_shift);
    if (out->uart_shift > 3) {
        return "console: reg-shift above 3";
    }
    return machine_read_device(tree, uart, &out->uart);
}

// The hart of the tree whose interrupt controller has this phandle, NULL if there is none.
static struct machine_hart *hart_of_controller(const struct tree *tree, uint32_t phandle,
                                               struct machine *out)
{
    tree_node cpu = tree_parent(tree, tree_find_phandle(tree, phandle));
    uint64_t id;
    uint64_t size;

    if (!tree_reg(tree, cpu, 0, &id, &size)) {
        return NULL;
    }
    for (uint32_t i = 0; i < out->hart_count; i++) {
        if (out->harts[i].id == id) {
            return &out->harts[i];
        }
    }
    return NULL;
}

// interrupts-extended: pairs (a hart's controller, cause); pair n is the PLIC's context n. The
// IMSIC's pairs count interrupt files the same way.
static void read_contexts(const struct tree *tree, tree_node node, struct machine *out,
                          bool is_plic)
{
    struct tree_property pairs;
    uint32_t phandle;
    uint32_t cause;

    if (!tree_property_find(tree, node, "interrupts-extended", &pairs)) {
        return;
    }
    for (uint32_t n = 0; tree_cell(&pairs, 2 * n, &phandle) && tree_cell(&pairs, 2 * n + 1, &cause);
         n++) {
        struct machine_hart *hart = hart_of_controller(tree, phandle, out);

        if (hart != NULL && cause == CAUSE_S_EXTERNAL && is_plic) {
            hart->plic_context = n;
        } else if (hart != NULL && cause == CAUSE_S_EXTERNAL) {
            hart->imsic_file = n;
        }
    }
}

static const char *read_plic(const struct tree *tree, struct machine *out)
{
    tree_node node = machine_find_device(tree, TREE_NONE, "sifive,plic-1.0.0");
    const char *error;

    if (node == TREE_NONE) {
        node = machine_find_device(tree, TREE_NONE, "riscv,plic0");
    }
    if (node == TREE_NONE) {
        return NULL;
    }
    error = machine_read_device(tree, node, &out->plic);
    if (error == NULL && !tree_read_u32(tree, node, "riscv,ndev", &out->plic_sources)) {
        error = "plic: no riscv,ndev";
    }
    read_contexts(tree, node, out, true);
    return error;
}

// Of the two IMSIC nodes the S-mode one is ours: its files interrupt with cause 9.
static const char *read_imsic(const struct tree *tree, struct machine *out)
{
    tree_node node = tree_find_compatible(tree, TREE_NONE, "riscv,imsics");

    for (; node != TREE_NONE; node = tree_find_compatible(tree, node, "riscv,imsics")) {
        struct tree_property pairs;
        uint32_t cause;

        if (tree_property_find(tree, node, "interrupts-extended", &pairs) &&
            tree_cell(&pairs, 1, &cause) && cause == CAUSE_S_EXTERNAL) {
            read_contexts(tree, node, out, false);
            tree_read_u32(tree, node, "riscv,num-ids", &out->imsic_identities);
            tree_read_u32(tree, node, "riscv,guest-index-bits", &out->imsic_guest_bits);
            return machine_read_device(tree, node, &out->imsic);
        }
    }
    return NULL;
}

// One that cannot be read is nobody's: the devices behind it say so when they cannot reach memory.
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
    const char *error = tree_open(&tree, dtb, limit_bytes);

    memset(out, 0, sizeof(*out));
    out->bootargs = "";
    if (error == NULL) {
        error = read_console(&tree, out);
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
        error = read_plic(&tree, out);
    }
    if (error == NULL) {
        error = read_imsic(&tree, out);
    }
    if (error == NULL) {
        read_iommus(&tree, out);
        machine_read_pci(&tree, out);
    }
    return error;
}
