// SPDX-License-Identifier: MIT
// A reader of flattened device trees (Devicetree Specification 0.4, chapter 5). Pure: no state, no
// libc but string.h, so it also runs on the host. The blob is not trusted: every access is checked
// against its size, every walk is bounded by it, and a malformed tree answers "not there".
// File and symbols are named so that a test can include and link it beside libfdt.
#ifndef HARTQ_FDT_TREE_H
#define HARTQ_FDT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Nodes nested deeper than this make tree_open() refuse the blob.
#define TREE_DEPTH_LIMIT 32

/// An opened tree. It points into the blob, which must stay.
struct tree {
    const uint8_t *blob;
    uint32_t size_bytes;
    uint32_t structure, structure_end; // offsets from the start of the blob
    uint32_t strings, strings_end;
    uint32_t reservations;
};

/// A node: the offset of its begin token. TREE_NONE: no such node.
typedef uint32_t tree_node;
#define TREE_NONE 0u

/// A property. name and value point into the blob; value has no alignment.
struct tree_property {
    const char *name;
    const uint8_t *value;
    uint32_t size_bytes;
};

/// Checks the header (version 17) and the whole structure. `limit_bytes` is how much memory at
/// `blob` may be read at most. NULL, or an error phrase; *tree is written only on success.
const char *tree_open(struct tree *tree, const void *blob, size_t limit_bytes);

/// Entry `index` of the memory reservation block; false behind the last.
bool tree_reservation(const struct tree *tree, unsigned index, uint64_t *base, uint64_t *size);

/// The root node.
tree_node tree_root(const struct tree *tree);

/// The node after `node` in the order of the blob, parents first; TREE_NONE after the last.
tree_node tree_next(const struct tree *tree, tree_node node);

/// Children, in order.
tree_node tree_first_child(const struct tree *tree, tree_node node);
tree_node tree_next_sibling(const struct tree *tree, tree_node node);

/// The parent; TREE_NONE for the root. Walks from the root.
tree_node tree_parent(const struct tree *tree, tree_node node);

/// The node's name with its unit address ("serial@10000000"); "" for the root and for no node.
const char *tree_name(const struct tree *tree, tree_node node);

/// Node by absolute path; a unit address may be left out ("/soc/serial"): the first match. What
/// follows a ':' are options, which are not looked at.
tree_node tree_find_path(const struct tree *tree, const char *path);

/// The same, or by a name of /aliases, as stdout-path has it: "serial0:115200n8".
tree_node tree_find_named(const struct tree *tree, const char *name);

/// Next node behind `after` (TREE_NONE: from the root) with `compatible` among its strings.
tree_node tree_find_compatible(const struct tree *tree, tree_node after, const char *compatible);

/// Node with this phandle.
tree_node tree_find_phandle(const struct tree *tree, uint32_t phandle);

/// Property number `index` of a node, in order; false behind the last.
bool tree_property_at(const struct tree *tree, tree_node node, unsigned index,
                      struct tree_property *property);

/// Property by name.
bool tree_property_find(const struct tree *tree, tree_node node, const char *name,
                        struct tree_property *property);

/// Cell number `index` (32 bits, big endian) of a property; false if it has fewer.
bool tree_cell(const struct tree_property *property, uint32_t index, uint32_t *value);

/// `count` cells (0 to 2) from `index` on as one number; false if there are fewer or more is asked.
bool tree_cells(const struct tree_property *property, uint32_t index, uint32_t count,
                uint64_t *value);

/// The first cell of the named property; false if there is none.
bool tree_read_u32(const struct tree *tree, tree_node node, const char *name, uint32_t *value);

/// String number `index` of a string list; NULL behind the last or if it is not terminated.
const char *tree_string(const struct tree_property *property, unsigned index);

/// The named property's first string; NULL if there is none.
const char *tree_read_string(const struct tree *tree, tree_node node, const char *name);

/// True if the named string list holds `wanted`.
bool tree_has_string(const struct tree *tree, tree_node node, const char *name, const char *wanted);

/// #address-cells and #size-cells a node sets for its children; 2 and 1 where it is silent.
void tree_cell_counts(const struct tree *tree, tree_node node, uint32_t *address_cells,
                      uint32_t *size_cells);

/// Entry `index` of a node's reg, read with its parent's cell counts. Not translated by `ranges`.
/// A missing size (#size-cells 0) is 0. False: no such entry or cell counts above 2.
bool tree_reg(const struct tree *tree, tree_node node, unsigned index, uint64_t *base,
              uint64_t *size);

/// True unless the node's status says otherwise than "okay" or "ok".
bool tree_enabled(const struct tree *tree, tree_node node);

#endif
