// SPDX-License-Identifier: MIT
/*
 * Properties, their values, and searches for nodes by them. It uses the walks of fdt_tree.c, and
 * reads the blob only inside a property that those walks have bounded.
 */
#include <string.h>

#include "fdt_value.h"

bool tree_cell(const struct tree_property *property, uint32_t index, uint32_t *value)
{
    const uint8_t *cell;

    if (index >= property->size_bytes / 4) {
        return false;
    }
    cell = property->value + (size_t)index * 4;
    *value = (uint32_t)cell[0] << 24 | (uint32_t)cell[1] << 16 | (uint32_t)cell[2] << 8 | cell[3];
    return true;
}

bool tree_cells(const struct tree_property *property, uint32_t index, uint32_t count,
                uint64_t *value)
{
    uint64_t number = 0;
    uint32_t cell;

    if (count > 2) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (index > UINT32_MAX - i || !tree_cell(property, index + i, &cell)) {
            return false;
        }
        number = number << 32 | cell;
    }
    *value = number;
    return true;
}

bool tree_read_u32(const struct tree *tree, tree_node node, const char *name, uint32_t *value)
{
    struct tree_property property;

    return tree_property_find(tree, node, name, &property) && tree_cell(&property, 0, value);
}

const char *tree_string(const struct tree_property *property, unsigned index)
{
    const uint8_t *start = property->value;
    const uint8_t *end = property->value + property->size_bytes;

    for (unsigned i = 0; start < end; i++) {
        const uint8_t *nul = memchr(start, 0, (size_t)(end - start));

        if (nul == NULL) {
            return NULL;
        }
        if (i == index) {
            return (const char *)start;
        }
        start = nul + 1;
    }
    return NULL;
}

const char *tree_read_string(const struct tree *tree, tree_node node, const char *name)
{
    struct tree_property property;

    return tree_property_find(tree, node, name, &property) ? tree_string(&property, 0) : NULL;
}

bool tree_has_string(const struct tree *tree, tree_node node, const char *name, const char *wanted)
{
    struct tree_property property;
    const uint8_t *text;
    const uint8_t *end;

    if (!tree_property_find(tree, node, name, &property)) {
        return false;
    }
    text = property.value;
    end = text + property.size_bytes;
    while (text < end) {
        const uint8_t *nul = memchr(text, 0, (size_t)(end - text));

        if (nul == NULL) {
            return false;
        }
        if (strcmp((const char *)text, wanted) == 0) {
            return true;
        }
        text = nul + 1;
    }
    return false;
}

tree_node tree_find_compatible(const struct tree *tree, tree_node after, const char *compatible)
{
    tree_node node = after == TREE_NONE ? tree_root(tree) : tree_next(tree, after);

    while (node != TREE_NONE && !tree_has_string(tree, node, "compatible", compatible)) {
        node = tree_next(tree, node);
    }
    return node;
}

tree_node tree_find_phandle(const struct tree *tree, uint32_t phandle)
{
    tree_node node = tree_root(tree);
    uint32_t value;

    while (node != TREE_NONE &&
           !(tree_read_u32(tree, node, "phandle", &value) && value == phandle)) {
        node = tree_next(tree, node);
    }
    return node;
}

/*
 * True if the node's name is `wanted` (not terminated). Without an '@' the unit address may differ.
 */
static bool name_matches(const char *name, const char *wanted, size_t length)
{
    if (strncmp(name, wanted, length) != 0) {
        return false;
    }
    return name[length] == 0 || (name[length] == '@' && memchr(wanted, '@', length) == NULL);
}

/*
 * The value of the alias whose name is the first `length` bytes of `name`; NULL: no such absolute
 * path.
 */
static const char *find_alias(const struct tree *tree, const char *name, size_t length)
{
    tree_node aliases = tree_find_path(tree, "/aliases");
    struct tree_property property;

    for (unsigned i = 0; tree_property_at(tree, aliases, i, &property); i++) {
        if (strncmp(property.name, name, length) == 0 && property.name[length] == 0) {
            const char *path = tree_string(&property, 0);

            return path != NULL && *path == '/' ? path : NULL;
        }
    }
    return NULL;
}

/* Follows a path down from `node`, until it ends or its options begin. */
static tree_node walk_path(const struct tree *tree, tree_node node, const char *path)
{
    while (node != TREE_NONE && *path != 0 && *path != ':') {
        size_t length;

        path += strspn(path, "/");
        length = strcspn(path, "/:");
        if (length == 0) {
            break;
        }
        node = tree_first_child(tree, node);
        while (node != TREE_NONE && !name_matches(tree_name(tree, node), path, length)) {
            node = tree_next_sibling(tree, node);
        }
        path += length;
    }
    return node;
}

tree_node tree_find_path(const struct tree *tree, const char *path)
{
    return *path == '/' ? walk_path(tree, tree_root(tree), path) : TREE_NONE;
}

tree_node tree_find_named(const struct tree *tree, const char *name)
{
    size_t length = strcspn(name, "/:");
    const char *path = *name == '/' ? NULL : find_alias(tree, name, length);

    if (path == NULL) {
        return tree_find_path(tree, name);
    }
    return walk_path(tree, tree_find_path(tree, path), name + length);
}

void tree_cell_counts(const struct tree *tree, tree_node node, uint32_t *address_cells,
                      uint32_t *size_cells)
{
    *address_cells = 2;
    *size_cells = 1;
    tree_read_u32(tree, node, "#address-cells", address_cells);
    tree_read_u32(tree, node, "#size-cells", size_cells);
}

bool tree_reg(const struct tree *tree, tree_node node, unsigned index, uint64_t *base,
              uint64_t *size)
{
    struct tree_property reg;
    uint32_t address_cells;
    uint32_t size_cells;
    uint64_t found_base;
    uint64_t found_size;
    uint32_t first;

    tree_cell_counts(tree, tree_parent(tree, node), &address_cells, &size_cells);
    if (address_cells == 0 || address_cells > 2 || size_cells > 2 ||
        !tree_property_find(tree, node, "reg", &reg) ||
        index >= reg.size_bytes / 4 / (address_cells + size_cells)) {
        return false;
    }
    first = index * (address_cells + size_cells);
    if (!tree_cells(&reg, first, address_cells, &found_base) ||
        !tree_cells(&reg, first + address_cells, size_cells, &found_size)) {
        return false;
    }
    *base = found_base;
    *size = found_size;
    return true;
}

bool tree_enabled(const struct tree *tree, tree_node node)
{
    struct tree_property status;

    return !tree_property_find(tree, node, "status", &status) ||
           tree_has_string(tree, node, "status", "okay") ||
           tree_has_string(tree, node, "status", "ok");
}
