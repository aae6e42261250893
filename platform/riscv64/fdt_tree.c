// SPDX-License-Identifier: MIT
/*
 * Device-tree walking, from the outside in: tokens, nodes, properties, values.
 * All reads use load32() and the token reader, which check the bounds. tree_open() walks the
 * structure once, so later walks end at its END token. They are bounded anyway: every token moves
 * the offset forward.
 */
#include "fdt_tree.h"

#include <string.h>

enum {
    FDT_MAGIC = (int)0xd00dfeed,
    FDT_VERSION = 17,
    FDT_HEADER_BYTES = 40,
    FDT_BEGIN_NODE = 1,
    FDT_END_NODE = 2,
    FDT_PROPERTY = 3,
    FDT_NOP = 4,
    FDT_END = 9,
};

/* One token of the structure block. */
struct token {
    uint32_t kind;
    uint32_t offset; /* of the token */
    uint32_t next;   /* of the one after it */
    struct tree_property property;
};

static uint32_t load_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Length of the string at `offset`, or -1 if no NUL comes before `end`. */
static int64_t string_length(const struct tree *tree, uint32_t offset, uint32_t end)
{
    const uint8_t *nul;

    if (offset >= end) {
        return -1;
    }
    nul = memchr(tree->blob + offset, 0, end - offset);
    return nul == NULL ? -1 : nul - (tree->blob + offset);
}

static bool read_property(const struct tree *tree, uint32_t offset, struct token *token)
{
    uint32_t end = tree->structure_end;
    uint32_t name;
    uint32_t size;

    if (end - offset < 12) {
        return false;
    }
    size = load_be32(tree->blob + offset + 4);
    name = load_be32(tree->blob + offset + 8);
    if (size > end - offset - 12 || name >= tree->strings_end - tree->strings ||
        string_length(tree, tree->strings + name, tree->strings_end) < 0) {
        return false;
    }
    token->property.name = (const char *)tree->blob + tree->strings + name;
    token->property.value = tree->blob + offset + 12;
    token->property.size_bytes = size;
    token->next = offset + 12 + ((size + 3) & ~3u);
    return true;
}

/* Reads the token at `offset`; false at the end of the structure or if it is malformed. */
static bool read_token(const struct tree *tree, uint32_t offset, struct token *token)
{
    int64_t length;

    if (offset < tree->structure || offset >= tree->structure_end ||
        tree->structure_end - offset < 4 || (offset - tree->structure) % 4 != 0) {
        return false;
    }
    token->offset = offset;
    token->next = offset + 4;
    token->kind = load_be32(tree->blob + offset);
    switch (token->kind) {
    case FDT_BEGIN_NODE:
        length = string_length(tree, offset + 4, tree->structure_end);
        token->next = offset + 4 + (((uint32_t)length + 4) & ~3u);
        return length >= 0;
    case FDT_PROPERTY:
        return read_property(tree, offset, token);
    case FDT_END_NODE:
    case FDT_NOP:
    case FDT_END:
        return true;
    default:
        return false;
    }
}

/* One root, balanced, properties before children, END at the end. */
static const char *check_structure(const struct tree *tree)
{
    struct token token;
    uint32_t offset = tree->structure;
    unsigned depth = 0;
    bool root_seen = false;
    bool property_allowed = false;

    for (; read_token(tree, offset, &token) && token.kind != FDT_END; offset = token.next) {
        if (token.kind == FDT_BEGIN_NODE) {
            if (depth == TREE_DEPTH_LIMIT || (depth == 0 && root_seen)) {
                return "device tree: nodes nested too deeply, or two roots";
            }
            depth++;
            root_seen = true;
            property_allowed = true;
        } else if (token.kind == FDT_END_NODE) {
            if (depth == 0) {
                return "device tree: a node ends that did not begin";
            }
            depth--;
            property_allowed = false;
        } else if (token.kind == FDT_PROPERTY && !property_allowed) {
            return "device tree: a property after a child node";
        }
    }
    if (!read_token(tree, offset, &token)) {
        return "device tree: malformed token in the structure block";
    }
    return depth == 0 && root_seen ? NULL : "device tree: it ends inside a node";
}

/* True if [offset, offset + size) lies in the blob after the header. */
static bool block_fits(const struct tree *tree, uint32_t offset, uint32_t size)
{
    return offset >= FDT_HEADER_BYTES && offset <= tree->size_bytes &&
           size <= tree->size_bytes - offset;
}

const char *tree_open(struct tree *tree, const void *blob, size_t limit_bytes)
{
    const uint8_t *header = blob;
    struct tree found = {.blob = blob};
    const char *error;

    if (blob == NULL || limit_bytes < FDT_HEADER_BYTES ||
        load_be32(header) != (uint32_t)FDT_MAGIC) {
        return "device tree: no magic number";
    }
    found.size_bytes = load_be32(header + 4);
    if (found.size_bytes < FDT_HEADER_BYTES || found.size_bytes > limit_bytes ||
        found.size_bytes > INT32_MAX) {
        return "device tree: the size in its header is impossible";
    }
    if (load_be32(header + 20) < FDT_VERSION || load_be32(header + 24) > FDT_VERSION) {
        return "device tree: a version other than 17";
    }
    found.structure = load_be32(header + 8);
    found.strings = load_be32(header + 12);
    found.reservations = load_be32(header + 16);
    if (!block_fits(&found, found.structure, load_be32(header + 36)) ||
        !block_fits(&found, found.strings, load_be32(header + 32)) ||
        !block_fits(&found, found.reservations, 16) || found.structure % 4 != 0 ||
        found.reservations % 8 != 0) {
        return "device tree: a block lies outside the tree";
    }
    found.structure_end = found.structure + load_be32(header + 36);
    found.strings_end = found.strings + load_be32(header + 32);
    error = check_structure(&found);
    if (error == NULL) {
        *tree = found;
    }
    return error;
}

bool tree_reservation(const struct tree *tree, unsigned index, uint64_t *base, uint64_t *size)
{
    uint32_t offset = tree->reservations;

    for (unsigned i = 0; offset <= tree->size_bytes - 16; i++, offset += 16) {
        const uint8_t *entry = tree->blob + offset;
        uint64_t entry_base = (uint64_t)load_be32(entry) << 32 | load_be32(entry + 4);
        uint64_t entry_size = (uint64_t)load_be32(entry + 8) << 32 | load_be32(entry + 12);

        if (entry_base == 0 && entry_size == 0) {
            return false;
        }
        if (i == index) {
            *base = entry_base;
            *size = entry_size;
            return true;
        }
    }
    return false;
}

tree_node tree_root(const struct tree *tree)
{
    struct token token;
    uint32_t offset = tree->structure;

    while (read_token(tree, offset, &token) && token.kind == FDT_NOP) {
        offset = token.next;
    }
    return read_token(tree, offset, &token) && token.kind == FDT_BEGIN_NODE ? offset : TREE_NONE;
}

tree_node tree_next(const struct tree *tree, tree_node node)
{
    struct token token;
    bool more = read_token(tree, node, &token);

    while (more && token.kind != FDT_END) {
        more = read_token(tree, token.next, &token);
        if (more && token.kind == FDT_BEGIN_NODE) {
            return token.offset;
        }
    }
    return TREE_NONE;
}

tree_node tree_first_child(const struct tree *tree, tree_node node)
{
    struct token token;
    bool more = read_token(tree, node, &token) && token.kind == FDT_BEGIN_NODE;

    while (more && read_token(tree, token.next, &token)) {
        if (token.kind == FDT_BEGIN_NODE) {
            return token.offset;
        }
        more = token.kind == FDT_PROPERTY || token.kind == FDT_NOP;
    }
    return TREE_NONE;
}

tree_node tree_next_sibling(const struct tree *tree, tree_node node)
{
    struct token token;
    uint32_t offset = node;
    unsigned depth = 0;

    while (read_token(tree, offset, &token) && token.kind != FDT_END) {
        if (token.kind == FDT_BEGIN_NODE) {
            if (depth == 0 && offset != node) {
                return offset;
            }
            depth++;
        } else if (token.kind == FDT_END_NODE) {
            if (depth == 0) {
                return TREE_NONE; /* the parent ends here */
            }
            depth--;
        }
        offset = token.next;
    }
    return TREE_NONE;
}

tree_node tree_parent(const struct tree *tree, tree_node node)
{
    tree_node path[TREE_DEPTH_LIMIT];
    struct token token;
    uint32_t offset = tree->structure;
    unsigned depth = 0;

    while (node != TREE_NONE && read_token(tree, offset, &token) && token.kind != FDT_END) {
        if (token.kind == FDT_BEGIN_NODE) {
            if (offset == node) {
                return depth == 0 ? TREE_NONE : path[depth - 1];
            }
            if (depth == TREE_DEPTH_LIMIT) {
                return TREE_NONE;
            }
            path[depth] = offset;
            depth++;
        } else if (token.kind == FDT_END_NODE) {
            if (depth == 0) {
                return TREE_NONE;
            }
            depth--;
        }
        offset = token.next;
    }
    return TREE_NONE;
}

const char *tree_name(const struct tree *tree, tree_node node)
{
    struct token token;

    if (!read_token(tree, node, &token) || token.kind != FDT_BEGIN_NODE) {
        return "";
    }
    return (const char *)tree->blob + node + 4;
}

/* The property called `name`, or, if that is NULL, number `index`. */
static bool find_property(const struct tree *tree, tree_node node, const char *name, unsigned index,
                          struct tree_property *property)
{
    struct token token;
    bool more = read_token(tree, node, &token) && token.kind == FDT_BEGIN_NODE;

    while (more && read_token(tree, token.next, &token)) {
        if (token.kind == FDT_PROPERTY) {
            if (name == NULL ? index == 0 : strcmp(token.property.name, name) == 0) {
                *property = token.property;
                return true;
            }
            index--;
        }
        more = token.kind == FDT_PROPERTY || token.kind == FDT_NOP;
    }
    return false;
}

bool tree_property_at(const struct tree *tree, tree_node node, unsigned index,
                      struct tree_property *property)
{
    return find_property(tree, node, NULL, index, property);
}

bool tree_property_find(const struct tree *tree, tree_node node, const char *name,
                        struct tree_property *property)
{
    return find_property(tree, node, name, 0, property);
}
