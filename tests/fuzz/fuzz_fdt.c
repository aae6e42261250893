// SPDX-License-Identifier: MIT
/*
 * The device-tree reader and what is read of a machine, on any bytes: nothing is read outside of
 * the blob, and every walk ends.
 */
#include <stdlib.h>
#include <string.h>

#include "fdt_value.h"
#include "machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A walk over a blob of so many bytes has no more steps than it has words. */
static void bound(uint32_t *steps, size_t size)
{
    if (++*steps > size / 4 + 1) {
        abort();
    }
}

static void read_property(const struct tree_property *property)
{
    uint64_t wide;
    uint32_t cell;
    volatile uint8_t last;

    if (property->size_bytes != 0) {
        last = property->value[property->size_bytes - 1];
        (void)last;
    }
    for (unsigned i = 0; i < 4; i++) {
        const char *text = tree_string(property, i);

        (void)tree_cell(property, i, &cell);
        (void)tree_cells(property, i, i, &wide);
        if (text != NULL && strlen(text) >= property->size_bytes) {
            abort();
        }
    }
}

static void read_node(const struct tree *tree, tree_node node, size_t size)
{
    struct tree_property property;
    uint32_t address_cells;
    uint32_t size_cells;
    uint32_t value;
    uint32_t steps = 0;
    uint64_t base;
    uint64_t bytes;

    for (unsigned i = 0; tree_property_at(tree, node, i, &property); i++) {
        bound(&steps, size);
        read_property(&property);
    }
    for (unsigned i = 0; i < 3; i++) {
        (void)tree_reg(tree, node, i, &base, &bytes);
    }
    (void)strlen(tree_name(tree, node));
    (void)tree_parent(tree, node);
    (void)tree_enabled(tree, node);
    (void)tree_read_u32(tree, node, "reg", &value);
    (void)tree_read_string(tree, node, "compatible");
    (void)tree_has_string(tree, node, "compatible", "ns16550a");
    tree_cell_counts(tree, node, &address_cells, &size_cells);
}

static void read_tree(const struct tree *tree, size_t size)
{
    uint32_t steps = 0;
    uint64_t base;
    uint64_t bytes;

    for (unsigned i = 0; i < 8 && tree_reservation(tree, i, &base, &bytes); i++) {
        /* Reads the reservation block, which ends somewhere. */
    }
    for (tree_node node = tree_root(tree); node != TREE_NONE; node = tree_next(tree, node)) {
        bound(&steps, size);
        if (steps < 64) {
            read_node(tree, node, size);
        }
    }
    steps = 0;
    for (tree_node node = tree_first_child(tree, tree_root(tree)); node != TREE_NONE;
         node = tree_next_sibling(tree, node)) {
        bound(&steps, size);
    }
    (void)tree_find_path(tree, "/soc/serial");
    (void)tree_find_compatible(tree, TREE_NONE, "riscv,plic0");
    (void)tree_find_phandle(tree, 1);
}

/* A source that the machine is said to have, and free memory that lies in memory. */
static void read_machine(const struct machine *machine)
{
    struct machine_span free = machine_free_memory(machine, UINT64_C(0x80200000));
    volatile uint8_t last = 0;

    if (machine->hart_count > MACHINE_HART_LIMIT || machine->memory_count > MACHINE_SPAN_LIMIT ||
        machine->reserved_count >= MACHINE_RESERVED_LIMIT ||
        machine->pci_count > MACHINE_PCI_LIMIT || machine->iommu_count > MACHINE_IOMMU_LIMIT ||
        machine->wired_count > MACHINE_WIRED_LIMIT) {
        abort();
    }
    if (free.size != 0 && free.base + free.size - 1 < free.base) {
        abort();
    }
    for (uint32_t i = 0; i < machine->pci_count * 32; i++) {
        struct machine_interrupt irq = machine_pci_interrupt(&machine->pci[i / 32], i % 32, i % 5);

        if (irq.wired != MACHINE_NONE && irq.wired >= machine->wired_count) {
            abort();
        }
    }
    last = (uint8_t)strlen(machine->bootargs);
    (void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine machine;
    struct tree tree;

    if (tree_open(&tree, data, size) == NULL) {
        read_tree(&tree, size);
    }
    if (machine_read(data, size, &machine) == NULL) {
        machine_choose_dma(&machine, UINT64_C(0x80200000), size % 2 != 0);
        read_machine(&machine);
    }
    return 0;
}
