// SPDX-License-Identifier: MIT
// From the device tree to struct machine, part by part: memory, harts, console, interrupt
// controllers. The PCI host is in machine_pci.c. Devicetree Specification 0.4, chapters 2 and 3;
// the bindings of riscv,cpu-intc, sifive,plic-1.0.0, riscv,imsics and ns16550a.
#include "machine.h"

#include <string.h>

#include "fdt_tree.h"
#include "machine_internal.h"

enum { CAUSE_S_EXTERNAL = 9 };

static const char *add_span(struct machine_span *spans, uint32_t *count, uint64_t base,
                            uint64_t size)
{
    if (size == 0) {
        return NULL;
    }
    if (base + size < base || *count == MACHINE_SPAN_LIMIT) {
        return "memory: more than 16 ranges, or one beyond the address space";
    }
    spans[*count] = (struct machine_span){base, size};
    ++*count;
    return NULL;
}

static const char *add_regs(const struct tree *tree, tree_node node, struct machine_span *spans,
                            uint32_t *count)
{
    const char *error = NULL;
    uint64_t base;
    uint64_t size;

    for (unsigned i = 0; error == NULL && tree_reg(tree, node, i, &base, &size); i++) {
        error = add_span(spans, count, base, size);
    }
    return error;
}

static const char *read_memory(const struct tree *tree, struct machine *out)
{
    const char *error = NULL;
    tree_node node = tree_first_child(tree, tree_root(tree));

    for (; error == NULL && node != TREE_NONE; node = tree_next_sibling(tree, node)) {
        const char *type = tree_read_string(tree, node, "device_type");

        if (type != NULL && strcmp(type, "memory") == 0 && tree_enabled(tree, node)) {
            error = add_regs(tree, node, out->memory, &out->memory_count);
        }
    }
    if (error != NULL) {
        return error;
    }
    return out->memory_count != 0 ? NULL : "memory: the device tree names none";
}

static const char *read_reserved(const struct tree *tree, struct machine *out)
{
    const char *error = add_span(out->reserved, &out->reserved_count,
                                 (uint64_t)(uintptr_t)tree->blob, tree->size_bytes);
    tree_node node = tree_first_child(tree, tree_find_path(tree, "/reserved-memory"));
    uint64_t base;
    uint64_t size;

    for (unsigned i = 0; error == NULL && tree_reservation(tree, i, &base, &size); i++) {
        error = add_span(out->reserved, &out->reserved_count, base, size);
    }
    for (; error == NULL && node != TREE_NONE; node = tree_next_sibling(tree, node)) {
        error = add_regs(tree, node, out->reserved, &out->reserved_count);
    }
    return error;
}

static const char *read_harts(const struct tree *tree, struct machine *out)
{
    tree_node cpus = tree_find_path(tree, "/cpus");
    tree_node node = tree_first_child(tree, cpus);
    struct tree_property timebase;
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
        if (out->hart_count == MACHINE_HART_LIMIT) {
            return "harts: more than 64";
        }
        out->harts[out->hart_count] = hart;
        out->hart_count++;
    }
    if (out->hart_count == 0) {
        return "harts: the device tree names none";
    }
    if (!tree_property_find(tree, cpus, "timebase-frequency", &timebase) ||
        !tree_cells(&timebase, 0, timebase.size_bytes / 4, &out->timebase_hz)) {
        return "harts: /cpus has no timebase-frequency";
    }
    return NULL;
}

// True if a bus above the node translates addresses, which tree_reg() does not.
static bool is_translated(const struct tree *tree, tree_node node)
{
    struct tree_property ranges;
    tree_node bus = tree_parent(tree, node);

    for (unsigned depth = 0; bus != TREE_NONE && depth < TREE_DEPTH_LIMIT; depth++) {
        if (tree_property_find(tree, bus, "ranges", &ranges) && ranges.size_bytes != 0) {
            return true;
        }
        bus = tree_parent(tree, bus);
    }
    return false;
}

const char *machine_read_device(const struct tree *tree, tree_node node, struct machine_span *out)
{
    if (node == TREE_NONE) {
        return NULL;
    }
    if (is_translated(tree, node)) {
        return "a device on a bus with address translation (ranges) is not supported";
    }
    if (!tree_reg(tree, node, 0, &out->base, &out->size) || out->size == 0 ||
        out->base + out->size < out->base) {
        return "a device without a usable reg property";
    }
    return NULL;
}

// The first enabled device of a kind.
static tree_node find_device(const struct tree *tree, const char *compatible)
{
    tree_node node = tree_find_compatible(tree, TREE_NONE, compatible);

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
    tree_node uart = path != NULL ? tree_find_path(tree, path) : TREE_NONE;

    out->bootargs = bootargs != NULL ? bootargs : "";
    if (!tree_has_string(tree, uart, "compatible", "ns16550a")) {
        uart = find_device(tree, "ns16550a");
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
    tree_node node = find_device(tree, "sifive,plic-1.0.0");
    const char *error;

    if (node == TREE_NONE) {
        node = find_device(tree, "riscv,plic0");
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
        error = machine_read_device(&tree, find_device(&tree, "sifive,test0"), &out->test);
    }
    if (error == NULL) {
        error = read_memory(&tree, out);
    }
    if (error == NULL) {
        error = read_reserved(&tree, out);
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
        error = machine_read_pci(&tree, find_device(&tree, "pci-host-ecam-generic"), &out->pci);
    }
    return error;
}
