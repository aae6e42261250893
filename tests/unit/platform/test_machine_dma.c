// SPDX-License-Identifier: MIT
/*
 * platform/virt/machine_dma.c: what memory the devices of a PCI host reach and by which addresses,
 * and whether the caches have to be cleaned for them. A host that does not fit is refused in words.
 */
#include "blob.h"
#include "fixture.h"
#include "machine.h"

#define GIB UINT64_C(0x40000000)
#define TREE(memory, hart, body)                                                                   \
    "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"                                       \
    "memory@0 { device_type = \"memory\"; reg = <" memory ">; };"                                  \
    "cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1>;"                    \
    "c@0 { device_type = \"cpu\"; reg = <0>; " hart " }; };" body " };"
#define LOW "0 0x80000000 2 0" /* 8 GiB from 2 GiB on */
#define ZICBOM "riscv,isa-extensions = \"i\", \"zicbom\"; riscv,cbom-block-size = <64>;"
#define ISA(text) "riscv,isa = \"" text "\"; riscv,cbom-block-size = <64>;"
#define HOST(at, body)                                                                             \
    "pci@" at " { compatible = \"pci-host-ecam-generic\"; #address-cells = <3>;"                   \
    "#size-cells = <2>; reg = <0 0x" at " 0 0x1000000>; ranges; " body " };"
#define PCI(body) TREE(LOW, ZICBOM, HOST("30000000", body))
#define BUS(properties, body)                                                                      \
    "b { #address-cells = <2>; #size-cells = <2>; ranges; " properties body " };"

/*
 * SpacemiT K1: its PCIe bus and what it says of its harts and its caches, on a host that we drive.
 * Linux, arch/riscv/boot/dts/spacemit/k1.dtsi (0b02b8f94191): nodes soc, pcie-bus, cpus. Memory is
 * 2 GiB from 0 and the rest from 4 GiB.
 */
#define K1                                                                                         \
    TREE("0 0 0 0x80000000 1 0 0 0x80000000", ZICBOM,                                              \
         BUS("dma-noncoherent;",                                                                   \
             BUS("dma-ranges = <0 0 0 0 0 0x80000000>, <0 0xb8000000 1 0x38000000 3 0x48000000>;", \
                 HOST("30000000", ""))))

struct dma_case {
    const char *name;
    const char *source;
    uint64_t image;
    bool any_dma;
    struct machine_window dma; /* size 0: the host is refused */
    bool coherent;
    uint64_t free_end; /* of memory; 0: not looked at */
    const char *error; /* a part of it; NULL: none */
};

static const struct dma_case dma_cases[] = {
    {"no_dma_ranges", PCI(""), 2 * GIB, false, {0, 0, UINT64_MAX}, true, 10 * GIB, NULL},
    {"empty_dma_ranges", PCI("dma-ranges;"), 2 * GIB, false, {0, 0, UINT64_MAX}, true, 0, NULL},
    {"reach_of_32_bits",
     PCI("dma-ranges = <0x3000000 0 0 0 0 1 0>;"),
     2 * GIB,
     false,
     {0, 0, 4 * GIB},
     true,
     4 * GIB,
     NULL},
    {"reach_of_40_bits",
     PCI("dma-ranges = <0x3000000 0 0 0 0 0x100 0>;"),
     2 * GIB,
     false,
     {0, 0, 1024 * GIB},
     true,
     10 * GIB,
     NULL},
    {"entry_that_holds_the_image",
     PCI("dma-ranges = <0x2000000 0 0 0 0 0 0x1000>, <0x3000000 0 0x80000000 0 0x80000000 1 0>;"),
     2 * GIB,
     false,
     {2 * GIB, 2 * GIB, 4 * GIB},
     true,
     6 * GIB,
     NULL},
    {"moved_by_the_host",
     PCI("dma-ranges = <0x3000000 0 0 0 0x80000000 0 0x80000000>;"),
     2 * GIB,
     true,
     {0, 2 * GIB, 2 * GIB},
     true,
     4 * GIB,
     NULL},
    {"moved_by_the_host_and_the_bus",
     TREE(LOW, "",
          BUS("dma-ranges = <0 0x40000000 0 0x80000000 0 0x80000000>;",
              HOST("30000000", "dma-ranges = <0x3000000 0 0 0 0x20000000 0 0x40000000>;"))),
     2 * GIB,
     true,
     {GIB / 2, 2 * GIB, GIB / 2},
     true,
     2 * GIB + GIB / 2,
     NULL},
    {"k1_in_low_memory", K1, 0x200000, true, {0, 0, 2 * GIB}, false, 2 * GIB, NULL},
    {"k1_in_high_memory",
     K1,
     5 * GIB,
     true,
     {0xb8000000, 0x138000000, 0x348000000},
     false,
     6 * GIB,
     NULL},
    {"k1_between_its_entries", K1, 4 * GIB + 0x200000, true, {0}, false, 0, "leave out"},
    {"not_coherent_by_the_isa_string",
     TREE(LOW, ISA("rv64imac_zic64b_zicbom_zicsr"), HOST("30000000", "dma-noncoherent;")),
     2 * GIB,
     true,
     {0, 0, UINT64_MAX},
     false,
     0,
     NULL},
    {"coherent_on_a_bus_that_is_not",
     TREE(LOW, "", BUS("dma-noncoherent;", HOST("30000000", "dma-coherent;"))),
     2 * GIB,
     false,
     {0, 0, UINT64_MAX},
     true,
     0,
     NULL},
    {"moved_and_a_program_that_cannot",
     PCI("dma-ranges = <0x3000000 0 0 0 0x80000000 0 0x80000000>;"),
     2 * GIB,
     false,
     {0},
     true,
     0,
     "build/dma/"},
    {"not_coherent_and_a_program_that_cannot",
     PCI("dma-noncoherent;"),
     2 * GIB,
     false,
     {0},
     true,
     0,
     "build/dma/"},
    {"not_coherent_without_zicbom",
     TREE(LOW, ISA("rv64imac_zicboz_zicbomx_zicsr"), HOST("30000000", "dma-noncoherent;")),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "Zicbom"},
    {"not_coherent_without_a_block_size",
     TREE(LOW, "riscv,isa-extensions = \"zicbom\";", HOST("30000000", "dma-noncoherent;")),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "block-size"},
    {"not_coherent_with_blocks_of_48",
     TREE(LOW, "riscv,isa-extensions = \"zicbom\"; riscv,cbom-block-size = <48>;",
          HOST("30000000", "dma-noncoherent;")),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "block-size"},
    {"not_coherent_and_one_hart_of_two_without_zicbom",
     TREE(LOW, ZICBOM " }; c@1 { device_type = \"cpu\"; reg = <1>;",
          HOST("30000000", "dma-noncoherent;")),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "a hart lacks"},
    {"image_behind_the_reach",
     PCI("dma-ranges = <0x3000000 0 0 0 0 0 0x80000000>;"),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "leave out"},
    {"last_entry_cut_off",
     PCI("dma-ranges = <0x3000000 0 0 0 0 1>;"),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "malformed"},
    {"entry_beyond_the_address_space",
     PCI("dma-ranges = <0x3000000 0 1 0 0 0xffffffff 0xffffffff>;"),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "malformed"},
    {"more_parts_than_there_is_room_for",
     PCI("dma-ranges = <0 0 0 0 0 0 1>, <0 0 1 0 1 0 1>, <0 0 2 0 2 0 1>, <0 0 3 0 3 0 1>, "
         "<0 0 4 0 4 0 1>, <0 0 5 0 5 0 1>, <0 0 6 0 6 0 1>, <0 0 7 0 7 0 1>, <0 0 8 0 8 0 1>;"),
     2 * GIB,
     true,
     {0},
     true,
     0,
     "more than 8"},
};

static void dma_is_as_the_tree_says(void **state)
{
    const struct dma_case *this = *state;
    struct blob blob = blob_compile(this->source);
    struct machine machine;
    struct machine_span span;

    assert_null(machine_read(blob.bytes, blob.size, &machine));
    machine_choose_dma(&machine, this->image, this->any_dma);
    assert_int_equal(machine.pci_count, this->error == NULL);
    assert_int_equal(machine.dma.bus, this->dma.bus);
    assert_int_equal(machine.dma.cpu, this->dma.cpu);
    assert_int_equal(machine.dma.size, this->dma.size);
    if (this->error != NULL) {
        assert_non_null(machine.pci_error);
        assert_non_null(strstr(machine.pci_error, this->error));
    } else {
        assert_null(machine.pci_error);
        assert_int_equal(machine.dma_coherent, this->coherent);
    }
    span = machine_free_memory(&machine, this->image);
    if (this->free_end != 0) {
        assert_int_equal(span.base + span.size, this->free_end);
    }
    blob_free(&blob);
}

static void hosts_share_what_all_of_them_reach(void **state)
{
    struct blob blob =
        blob_compile(TREE(LOW, ZICBOM,
                          HOST("30000000", "dma-ranges = <0 0 0x40000000 0 0x40000000 1 0>;")
                              HOST("40000000", "dma-ranges = <0 0 0 0 0 1 0>; dma-noncoherent;")
                                  HOST("50000000", "dma-ranges = <0 0 0 0 0x80000000 1 0>;")));
    struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.pci_count, 3);
    machine_choose_dma(&machine, 2 * GIB, true);
    assert_int_equal(machine.pci_count, 2);
    assert_int_equal(machine.pci[1].ecam.base, 0x40000000);
    assert_non_null(strstr(machine.pci_error, "two hosts that differ"));
    assert_int_equal(machine.dma.bus, GIB);
    assert_int_equal(machine.dma.cpu, GIB);
    assert_int_equal(machine.dma.size, 3 * GIB);
    assert_false(machine.dma_coherent);
    blob_free(&blob);
}

static void machine_without_a_host_has_all_its_memory(void **state)
{
    struct blob blob = blob_compile(TREE(LOW, "", ""));
    struct machine machine;
    struct machine_span span;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    machine_choose_dma(&machine, 2 * GIB, false);
    span = machine_free_memory(&machine, 2 * GIB);
    assert_int_equal(span.base + span.size, 10 * GIB);
    assert_true(machine.dma_coherent);
    blob_free(&blob);
}

int main(void)
{
    struct CMUnitTest tests[2 + COUNT_OF(dma_cases)] = {
        cmocka_unit_test(hosts_share_what_all_of_them_reach),
        cmocka_unit_test(machine_without_a_host_has_all_its_memory),
    };
    size_t count = 2;

    ADD_CASES(tests, &count, dma_is_as_the_tree_says, dma_cases);
    return fixture_run("machine_dma", tests, count);
}
