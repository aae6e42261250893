// SPDX-License-Identifier: MIT
/*
 * A reader of flattened device trees (Devicetree Specification 0.4, chapter 5). Pure: no state, no
 * libc but string.h, so it also runs on the host. The blob is not trusted: every access is checked
 * against its size, every walk is bounded by it, and in a malformed tree nothing is found.
 * File and symbols have names that do not collide with libfdt's, which a test links too.
 */
#ifndef HARTQ_FDT_TREE_H
#define HARTQ_FDT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nodes nested deeper than this make tree_open() refuse the blob. */
#define TREE_DEPTH_LIMIT 32

/* An opened tree. It points into the blob, which must stay. */
struct tree {
    const uint8_t *blob;
    uint32_t size_bytes;
    uint32_t structure, structure_end; /* offsets from the start of the blob */
    uint32_t strings, strings_end;
    uint32_t reservations;
};

/* A node: the offset of its begin token. TREE_NONE: no such node. */
typedef uint32_t tree_node;
#define TREE_NONE 0u

/* A property. name and value point into the blob; value has no alignment. */
struct tree_property {
    const char *name;
    const uint8_t *value;
    uint32_t size_bytes;
};

/*
 * Checks the header (version 17) and the whole structure. `limit_bytes` is how much memory at
 * `blob` may be read at most. NULL, or an error phrase; *tree is written only on success.
 */
const char *tree_open(struct tree *tree, const void *blob, size_t limit_bytes);

/* Entry `index` of the memory reservation block; false after the last. */
bool tree_reservation(const struct tree *tree, unsigned index, uint64_t *base, uint64_t *size);

/* The root node. */
tree_node tree_root(const struct tree *tree);

/* The node after `node` in the order of the blob, parents first; TREE_NONE after the last. */
tree_node tree_next(const struct tree *tree, tree_node node);

/* Children, in order. */
tree_node tree_first_child(const struct tree *tree, tree_node node);
tree_node tree_next_sibling(const struct tree *tree, tree_node node);

/* The parent; TREE_NONE for the root. Walks from the root. */
tree_node tree_parent(const struct tree *tree, tree_node node);

/* The node's name with its unit address ("serial@10000000"); "" for the root and for no node. */
const char *tree_name(const struct tree *tree, tree_node node);

/* Property number `index` of a node, in order; false after the last. */
bool tree_property_at(const struct tree *tree, tree_node node, unsigned index,
                      struct tree_property *property);

/* Property by name. */
bool tree_property_find(const struct tree *tree, tree_node node, const char *name,
                        struct tree_property *property);

#endif
