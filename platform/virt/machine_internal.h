// SPDX-License-Identifier: MIT
// Between machine.c and machine_pci.c: the parts of machine_read() that need the open tree.
#ifndef HARTQ_MACHINE_INTERNAL_H
#define HARTQ_MACHINE_INTERNAL_H

#include "fdt_tree.h"
#include "machine.h"

/// The first reg entry of a device; *out stays as it is if node is TREE_NONE. NULL or an error.
const char *machine_read_device(const struct tree *tree, tree_node node, struct machine_span *out);

/// The PCI host; *out stays as it is if node is TREE_NONE. NULL or an error.
const char *machine_read_pci(const struct tree *tree, tree_node node, struct machine_pci *out);

#endif
