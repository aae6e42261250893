// SPDX-License-Identifier: MIT
/*
 * platform/riscv64/fdt_tree.*: the same answers as libfdt on the same blobs, and no byte outside of
 * a blob that is truncated or corrupt.
 */
#include <stdio.h>
#include <stdlib.h>

#include <libfdt.h>

#include "blob.h"
#include "fdt_value.h"
#include "fixture.h"

static const char source[] =
    "/dts-v1/;\n"
    "/memreserve/ 0x1000 0x2000;\n"
    "/memreserve/ 0x100000000 0x4000;\n"
    "/ {\n"
    "  #address-cells = <2>; #size-cells = <2>; compatible = \"a,b\", \"c,d\"; empty;\n"
    "  model = \"m\";\n"
    "  memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x1000 1 0 2 0>; };\n"
    "  soc { #address-cells = <1>; #size-cells = <0>; ranges;\n"
    "    serial@10 { compatible = \"ns16550a\"; reg = <0x10>; status = \"okay\"; phandle = <7>; "
    "};\n"
    "    serial@20 { compatible = \"x\", \"ns16550a\"; reg = <0x20>; status = \"disabled\"; };\n"
    "    deep { deeper { deepest { odd = [01 02 03]; list = \"\", \"one\", \"two\"; }; }; };\n"
    "  };\n"
    "  serial@30 { status = \"ok\"; phandle = <0xfffffffe>; wide = <1 2 3>; };\n"
    "};\n";

static tree_node node_at(const struct tree *tree, int offset)
{
    return tree->structure + (uint32_t)offset;
}

/* Properties of one node, by position and by name. */
static void compare_properties(const struct tree *tree, const void *blob, int offset)
{
    tree_node node = node_at(tree, offset);
    struct tree_property ours;
    unsigned count = 0;
    int at;

    for (at = fdt_first_property_offset(blob, offset); at >= 0;
         at = fdt_next_property_offset(blob, at)) {
        const char *name = NULL;
        int size = 0;
        const void *value = fdt_getprop_by_offset(blob, at, &name, &size);

        assert_true(tree_property_at(tree, node, count, &ours));
        assert_string_equal(ours.name, name);
        assert_int_equal(ours.size_bytes, size);
        assert_ptr_equal(ours.value, value);
        assert_true(tree_property_find(tree, node, name, &ours));
        assert_ptr_equal(ours.value, value);
        for (int i = 0; i < fdt_stringlist_count(blob, offset, name); i++) {
            assert_string_equal(tree_string(&ours, (unsigned)i),
                                fdt_stringlist_get(blob, offset, name, i, NULL));
        }
        count++;
    }
    assert_false(tree_property_at(tree, node, count, &ours));
    assert_false(tree_property_find(tree, node, "no-such-property", &ours));
}

/* Where one node stands: name, parent, children, siblings, path, phandle. */
static void compare_place(const struct tree *tree, const void *blob, int offset)
{
    tree_node node = node_at(tree, offset);
    int parent = fdt_parent_offset(blob, offset);
    int child = fdt_first_subnode(blob, offset);
    int sibling = fdt_next_subnode(blob, offset);
    uint32_t phandle = fdt_get_phandle(blob, offset);
    char path[512];

    assert_string_equal(tree_name(tree, node), fdt_get_name(blob, offset, NULL));
    assert_int_equal(tree_parent(tree, node), parent >= 0 ? node_at(tree, parent) : TREE_NONE);
    assert_int_equal(tree_first_child(tree, node), child >= 0 ? node_at(tree, child) : TREE_NONE);
    if (offset != 0) {
        assert_int_equal(tree_next_sibling(tree, node),
                         sibling >= 0 ? node_at(tree, sibling) : TREE_NONE);
    }
    assert_int_equal(fdt_get_path(blob, offset, path, sizeof(path)), 0);
    assert_int_equal(tree_find_path(tree, path), node_at(tree, fdt_path_offset(blob, path)));
    if (phandle != 0) {
        assert_int_equal(tree_find_phandle(tree, phandle), node);
    }
}

static void compare_reservations(const struct tree *tree, const void *blob)
{
    int count = fdt_num_mem_rsv(blob);
    uint64_t base = 0;
    uint64_t size = 0;

    for (int i = 0; i < count; i++) {
        uint64_t expected_base;
        uint64_t expected_size;

        assert_int_equal(fdt_get_mem_rsv(blob, i, &expected_base, &expected_size), 0);
        assert_true(tree_reservation(tree, (unsigned)i, &base, &size));
        assert_int_equal(base, expected_base);
        assert_int_equal(size, expected_size);
    }
    assert_false(tree_reservation(tree, (unsigned)count, &base, &size));
}

static void compare_compatible(const struct tree *tree, const void *blob, const char *compatible)
{
    tree_node node = TREE_NONE;
    int offset = -1;

    do {
        offset = fdt_node_offset_by_compatible(blob, offset, compatible);
        node = tree_find_compatible(tree, node, compatible);
        assert_int_equal(node, offset >= 0 ? node_at(tree, offset) : TREE_NONE);
    } while (node != TREE_NONE);
}

static void compare_all(const struct blob *blob)
{
    static const char *const compatibles[] = {
        "ns16550a",     "riscv", "sifive,plic-1.0.0", "none", "pci-host-ecam-generic",
        "riscv,imsics", "a,b"};
    struct tree tree;
    tree_node node;
    int depth = 0;
    int count = 0;

    assert_null(tree_open(&tree, blob->bytes, blob->size));
    node = tree_root(&tree);
    for (int offset = 0; offset >= 0 && depth >= 0;
         offset = fdt_next_node(blob->bytes, offset, &depth)) {
        assert_int_equal(node, node_at(&tree, offset));
        compare_place(&tree, blob->bytes, offset);
        compare_properties(&tree, blob->bytes, offset);
        node = tree_next(&tree, node);
        count++;
    }
    assert_int_equal(node, TREE_NONE);
    assert_true(count > 5);
    for (size_t i = 0; i < COUNT_OF(compatibles); i++) {
        compare_compatible(&tree, blob->bytes, compatibles[i]);
    }
    compare_reservations(&tree, blob->bytes);
}

static void same_answers_as_libfdt_on_a_tree_of_dtc(void **state)
{
    struct blob blob = blob_compile(source);

    (void)state;
    compare_all(&blob);
    blob_free(&blob);
}

static void same_answers_as_libfdt_on_trees_of_qemu(void **state)
{
    static const char *const machines[][2] = {
        {"virt", "-smp 1"},
        {"virt", "-smp 8 -m 512"},
        {"virt,aia=aplic-imsic", "-smp 4"},
        {"virt,aclint=on", "-smp 2"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(machines); i++) {
        struct blob blob = blob_qemu(machines[i][0], machines[i][1]);

        if (blob.bytes == NULL) {
            print_message("no QEMU that gives a tree for %s: skipped\n", machines[i][0]);
            skip();
        }
        compare_all(&blob);
        blob_free(&blob);
    }
}

static void values_are_read_with_their_cell_counts(void **state)
{
    struct blob blob = blob_compile(source);
    struct tree tree;
    struct tree_property property;
    tree_node node;
    uint64_t base = 0;
    uint64_t size = 9;
    uint32_t cell = 0;

    (void)state;
    assert_null(tree_open(&tree, blob.bytes, blob.size));
    node = tree_find_path(&tree, "/memory");
    assert_true(tree_reg(&tree, node, 1, &base, &size));
    assert_int_equal(base, UINT64_C(0x100000000));
    assert_int_equal(size, UINT64_C(0x200000000));
    assert_false(tree_reg(&tree, node, 2, &base, &size));
    assert_false(tree_reg(&tree, node, UINT32_MAX, &base, &size));
    node = tree_find_path(&tree, "/soc/serial@20");
    assert_true(tree_reg(&tree, node, 0, &base, &size));
    assert_int_equal(base, 0x20);
    assert_int_equal(size, 0);
    assert_false(tree_enabled(&tree, node));
    assert_true(tree_enabled(&tree, tree_find_path(&tree, "/soc/serial")));
    assert_true(tree_enabled(&tree, tree_find_path(&tree, "/serial@30")));
    assert_true(tree_enabled(&tree, tree_find_path(&tree, "/memory")));
    node = tree_find_path(&tree, "/serial");
    assert_true(tree_property_find(&tree, node, "wide", &property));
    assert_true(tree_cells(&property, 1, 2, &base));
    assert_int_equal(base, UINT64_C(0x200000003));
    assert_false(tree_cells(&property, 2, 2, &base));
    assert_false(tree_cells(&property, 0, 3, &base));
    assert_false(tree_cells(&property, UINT32_MAX, 2, &base));
    assert_true(tree_cells(&property, 99, 0, &base));
    assert_int_equal(base, 0);
    node = tree_find_path(&tree, "/soc/deep/deeper/deepest");
    assert_true(tree_property_find(&tree, node, "odd", &property));
    assert_false(tree_cell(&property, 0, &cell));
    assert_null(tree_string(&property, 0));
    assert_true(tree_has_string(&tree, node, "list", ""));
    assert_true(tree_has_string(&tree, node, "list", "two"));
    assert_false(tree_has_string(&tree, node, "list", "tw"));
    assert_int_equal(tree_find_path(&tree, "soc"), TREE_NONE);
    assert_int_equal(tree_find_path(&tree, "/soc/seria"), TREE_NONE);
    assert_int_equal(tree_find_path(&tree, "/"), tree_root(&tree));
    blob_free(&blob);
}

/* Every question there is, of every node; answers do not matter, the sanitizers do. */
static void ask_everything(const struct tree *tree)
{
    unsigned nodes = 0;
    uint64_t base;
    uint64_t size;

    for (tree_node node = tree_root(tree); node != TREE_NONE; node = tree_next(tree, node)) {
        struct tree_property property;

        (void)strlen(tree_name(tree, node));
        (void)tree_parent(tree, node);
        (void)tree_first_child(tree, node);
        (void)tree_next_sibling(tree, node);
        (void)tree_enabled(tree, node);
        (void)tree_reg(tree, node, 0, &base, &size);
        for (unsigned i = 0; tree_property_at(tree, node, i, &property); i++) {
            (void)tree_cells(&property, 0, 2, &base);
            (void)tree_string(&property, 1);
            (void)tree_has_string(tree, node, property.name, "x");
        }
        assert_true(++nodes < 10000);
    }
    for (unsigned i = 0; tree_reservation(tree, i, &base, &size); i++) {
        assert_true(i < 10000);
    }
    (void)tree_find_phandle(tree, 7);
    (void)tree_find_compatible(tree, TREE_NONE, "ns16550a");
    (void)tree_find_path(tree, "/soc/deep/deeper");
}

static void truncated_blob_is_refused_or_read_inside(void **state)
{
    struct blob blob = blob_compile(source);
    struct tree tree;

    (void)state;
    assert_non_null(tree_open(&tree, NULL, 1000));
    for (size_t size = 0; size < blob.size; size++) {
        struct blob cut = blob_copy(&blob, size);

        assert_non_null(tree_open(&tree, cut.bytes, cut.size));
        if (size >= 8) {
            fdt_set_totalsize(cut.bytes, (uint32_t)size);
            if (tree_open(&tree, cut.bytes, cut.size) == NULL) {
                ask_everything(&tree);
            }
        }
        blob_free(&cut);
    }
    blob_free(&blob);
}

static void corrupt_blob_is_refused_or_read_inside(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x03, 0x09, 0x7f, 0x80, 0xff};
    struct blob blob = blob_compile(source);
    struct tree tree;

    (void)state;
    for (size_t at = 0; at < blob.size; at++) {
        uint8_t good = blob.bytes[at];

        for (size_t i = 0; i < COUNT_OF(values); i++) {
            blob.bytes[at] = values[i];
            if (tree_open(&tree, blob.bytes, blob.size) == NULL) {
                ask_everything(&tree);
            }
        }
        blob.bytes[at] = good;
    }
    blob_free(&blob);
}

static void tree_nested_too_deeply_is_refused(void **state)
{
    uint8_t blob[4096];
    struct tree tree;

    (void)state;
    for (int depth = TREE_DEPTH_LIMIT; depth <= TREE_DEPTH_LIMIT + 1; depth++) {
        assert_int_equal(fdt_create(blob, sizeof(blob)), 0);
        assert_int_equal(fdt_finish_reservemap(blob), 0);
        for (int i = 0; i < depth; i++) {
            assert_int_equal(fdt_begin_node(blob, i == 0 ? "" : "n"), 0);
        }
        for (int i = 0; i < depth; i++) {
            assert_int_equal(fdt_end_node(blob), 0);
        }
        assert_int_equal(fdt_finish(blob), 0);
        assert_int_equal(tree_open(&tree, blob, sizeof(blob)) == NULL, depth == TREE_DEPTH_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_answers_as_libfdt_on_a_tree_of_dtc),
        cmocka_unit_test(same_answers_as_libfdt_on_trees_of_qemu),
        cmocka_unit_test(values_are_read_with_their_cell_counts),
        cmocka_unit_test(truncated_blob_is_refused_or_read_inside),
        cmocka_unit_test(corrupt_blob_is_refused_or_read_inside),
        cmocka_unit_test(tree_nested_too_deeply_is_refused),
    };

    return fixture_run("fdt", tests, COUNT_OF(tests));
}
