// SPDX-License-Identifier: MIT
/*
 * What properties of a device tree hold: nodes by name or phandle, cells, strings, reg. Pure and
 * distrustful as fdt_tree.h.
 */
#ifndef HARTQ_FDT_VALUE_H
#define HARTQ_FDT_VALUE_H

#include "fdt_tree.h"

/*
 * Node by absolute path; a unit address may be left out ("/soc/serial"): the first match. Options
 * after a ':' are ignored.
 */
tree_node tree_find_path(const struct tree *tree, const char *path);

/* As tree_find_path(), or by a name in /aliases, as in stdout-path: "serial0:115200n8". */
tree_node tree_find_named(const struct tree *tree, const char *name);

/* The next node after `after` (TREE_NONE: from the root) with `compatible` among its strings. */
tree_node tree_find_compatible(const struct tree *tree, tree_node after, const char *compatible);

/* Node with this phandle. */
tree_node tree_find_phandle(const struct tree *tree, uint32_t phandle);

/* Cell number `index` (32 bits, big endian) of a property; false if it has fewer. */
bool tree_cell(const struct tree_property *property, uint32_t index, uint32_t *value);

/*
 * `count` cells (0 to 2) from `index` on as one number. False: there are fewer, or count is
 * above 2.
 */
bool tree_cells(const struct tree_property *property, uint32_t index, uint32_t count,
                uint64_t *value);

/* The first cell of the named property; false if there is none. */
bool tree_read_u32(const struct tree *tree, tree_node node, const char *name, uint32_t *value);

/* String number `index` of a string list; NULL after the last or if it is not terminated. */
const char *tree_string(const struct tree_property *property, unsigned index);

/* The named property's first string; NULL if there is none. */
const char *tree_read_string(const struct tree *tree, tree_node node, const char *name);

/* True if the named string list contains `wanted`. */
bool tree_has_string(const struct tree *tree, tree_node node, const char *name, const char *wanted);

/* #address-cells and #size-cells of a node, for its children; 2 and 1 if it does not set them. */
void tree_cell_counts(const struct tree *tree, tree_node node, uint32_t *address_cells,
                      uint32_t *size_cells);

/*
 * Entry `index` of a node's reg, read with its parent's cell counts. Not translated by `ranges`.
 * A missing size (#size-cells 0) is 0. False: no such entry or cell counts above 2.
 */
bool tree_reg(const struct tree *tree, tree_node node, unsigned index, uint64_t *base,
              uint64_t *size);

/* True if the node's status is "okay" or "ok", or missing. */
bool tree_enabled(const struct tree *tree, tree_node node);

#endif
