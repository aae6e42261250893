// SPDX-License-Identifier: MIT
/*
 * Between machine.c, machine_memory.c, machine_interrupts.c, machine_pci.c and machine_dma.c, one
 * module: the parts of machine_read() that need the open tree.
 */
#ifndef HARTQ_MACHINE_INTERNAL_H
#define HARTQ_MACHINE_INTERNAL_H

#include "fdt_tree.h"
#include "machine.h"

/* The first reg entry of a device; *out stays as it is if node is TREE_NONE. NULL or an error. */
const char *machine_read_device(const struct tree *tree, tree_node node, struct machine_span *out);

/* The next enabled device of a kind after `after` (TREE_NONE: the first); TREE_NONE: no more. */
tree_node machine_find_device(const struct tree *tree, tree_node after, const char *compatible);

/*
 * Translates an address on the node's bus to the CPU's, bus by bus. False: a bus in between does
 * not map all `size` bytes in one piece.
 */
bool machine_translate(const struct tree *tree, tree_node node, uint64_t *base, uint64_t size);

/* Reads memory and its reservations. NULL or an error. */
const char *machine_read_memory(const struct tree *tree, struct machine *out);

/* Reads the interrupt controllers and the harts that each reaches. NULL or an error. */
const char *machine_read_controllers(const struct tree *tree, struct machine *out);

/* The first interrupt of a device. The controllers have been read. */
struct machine_interrupt machine_read_interrupt(const struct tree *tree, tree_node node,
                                                const struct machine *machine);

/*
 * The interrupt-map of a PCI host, if it has one. The controllers have been read. NULL or an
 * error.
 */
const char *machine_read_interrupt_map(const struct tree *tree, tree_node node,
                                       const struct machine *machine, struct machine_pci *out);

/* Reads what the devices of a PCI host reach, and how. NULL or an error. */
const char *machine_read_dma(const struct tree *tree, tree_node node, struct machine_pci *out);

/*
 * Reads the PCI hosts, after memory and controllers. out->pci_error is the reason if one cannot be
 * used.
 */
void machine_read_pci(const struct tree *tree, struct machine *out);

#endif
