// SPDX-License-Identifier: MIT
/*
 * platform/virt/machine_pci.c: windows and buses of the PCI hosts of odd but valid trees; what
 * cannot be used is refused in words, and the machine is read all the same.
 */
#include "blob.h"
#include "fixture.h"
#include "machine.h"

#define ROOT(body)                                                                                 \
    "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"                                       \
    "memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x10000000>; };"            \
    "cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1>;"                    \
    "c@0 { device_type = \"cpu\"; reg = <0>; }; };" body " };"
#define HOST(at, body)                                                                             \
    "pci@" at " { compatible = \"pci-host-ecam-generic\"; #address-cells = <3>;"                   \
    "#size-cells = <2>; reg = <0 0x" at " 0 0x10000000>; " body " };"
#define PCI(body) ROOT(HOST("30000000", body))
#define KIND2 "0x2000000 0 0x40000000 0 0x50000000 0 0x1000000"
#define KIND3_LOW "0x3000000 0 0x60000000 0 0x60000000 0 0x2000000"
#define KIND3_HIGH "0x3000000 4 0 4 0 4 0"
#define RANGES(windows) "ranges = <" windows ">;"

/* ---- Hosts that can be used --------------------------------------------------------------- */

struct host_case {
    const char *name;
    const char *source;
    uint32_t bus_first, bus_last;
    struct machine_window window32, window64;
};

#define WINDOW_KIND2                                                                               \
    {                                                                                              \
        0x40000000, 0x50000000, 0x1000000                                                          \
    }
#define WINDOW_LOW                                                                                 \
    {                                                                                              \
        0x60000000, 0x60000000, 0x2000000                                                          \
    }
#define WINDOW_HIGH                                                                                \
    {                                                                                              \
        0x400000000, 0x400000000, 0x400000000                                                      \
    }

static const struct host_case host_cases[] = {
    {"windows_of_both_kinds", PCI(RANGES(KIND2 " " KIND3_HIGH)), 0, 255, WINDOW_KIND2, WINDOW_HIGH},
    {"kind_3_below_4_gib_alone", PCI(RANGES(KIND3_LOW)), 0, 255, WINDOW_LOW, {0, 0, 0}},
    {"kind_3_below_and_above_4_gib", PCI(RANGES(KIND3_LOW " " KIND3_HIGH)), 0, 255, WINDOW_LOW,
     WINDOW_HIGH},
    {"kind_3_below_4_gib_beside_kind_2", PCI(RANGES(KIND2 " " KIND3_LOW)), 0, 255, WINDOW_KIND2,
     WINDOW_LOW},
    {"all_three_windows", PCI(RANGES(KIND2 " " KIND3_LOW " " KIND3_HIGH)), 0, 255, WINDOW_KIND2,
     WINDOW_HIGH},
    {"more_buses_than_configuration_space",
     ROOT("p@30000000 { compatible = \"pci-host-ecam-generic\"; #address-cells = <3>; "
          "#size-cells = <2>; reg = <0 0x30000000 0 0x1000000>; bus-range = <4 255>; " RANGES(
              KIND2) "};"),
     4,
     19,
     WINDOW_KIND2,
     {0, 0, 0}},
    {"more_buses_than_there_can_be",
     PCI(RANGES(KIND2) "bus-range = <0 256>;"),
     0,
     255,
     WINDOW_KIND2,
     {0, 0, 0}},
    {"behind_a_bus_that_translates",
     ROOT("b { #address-cells = <2>; #size-cells = <2>; ranges = <0 0x30000000 1 0 0 "
          "0x80000000>;" HOST("30000000", RANGES(KIND2)) "};"),
     0,
     255,
     {0x40000000, 0x120000000, 0x1000000},
     {0, 0, 0}},
};

static void assert_window(const struct machine_window *window, const struct machine_window *right)
{
    assert_int_equal(window->bus, right->bus);
    assert_int_equal(window->cpu, right->cpu);
    assert_int_equal(window->size, right->size);
}

static void host_is_read_from_an_odd_tree(void **state)
{
    const struct host_case *this = *state;
    struct blob blob = blob_compile(this->source);
    struct machine machine;

    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_null(machine.pci_error);
    assert_int_equal(machine.pci_count, 1);
    assert_int_equal(machine.pci[0].bus_first, this->bus_first);
    assert_int_equal(machine.pci[0].bus_last, this->bus_last);
    assert_window(&machine.pci[0].window32, &this->window32);
    assert_window(&machine.pci[0].window64, &this->window64);
    blob_free(&blob);
}

static void second_host_is_used_and_a_bad_one_is_not(void **state)
{
    struct blob blob = blob_compile(ROOT(HOST("30000000", RANGES(KIND2)) HOST("70000000", "")
                                             HOST("40000000", RANGES(KIND2 " " KIND3_HIGH))));
    struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.pci_count, 2);
    assert_int_equal(machine.pci[0].ecam.base, 0x30000000);
    assert_int_equal(machine.pci[1].ecam.base, 0x40000000);
    assert_int_equal(machine.pci[1].window64.size, UINT64_C(0x400000000));
    assert_non_null(machine.pci_error);
    assert_non_null(strstr(machine.pci_error, "ranges"));
    blob_free(&blob);
}

/* ---- Hosts that cannot ---------------------------------------------------------------------- */

struct refused_case {
    const char *name;
    const char *source;
    const char *error; /* a part of it */
};

static const struct refused_case refused_cases[] = {
    {"no_ranges", PCI(""), "ranges"},
    {"configuration_space_below_one_bus",
     ROOT("p@0 { compatible = \"pci-host-ecam-generic\"; #address-cells = <3>; "
          "#size-cells = <2>; reg = <0 0 0 0x80000>; ranges; };"),
     "configuration space"},
    {"buses_backwards", PCI("ranges; bus-range = <2 1>;"), "bus-range"},
    {"first_bus_above_255", PCI("ranges; bus-range = <256 257>;"), "bus-range"},
    {"window_outside_of_what_the_bus_passes_on",
     ROOT("b { #address-cells = <2>; #size-cells = <2>; ranges = <0 0 0 0 0 0x50000000>;" HOST(
         "30000000", RANGES(KIND2)) "};"),
     "ranges"},
    {"map_without_mask", PCI("ranges; interrupt-map = <0 0 0 1 9 1>;"), "mask"},
    {"map_without_controller",
     PCI("ranges; interrupt-map-mask = <0 0 0 7>; interrupt-map = <0 0 0 1 9 1>;"),
     "no controller"},
    {"map_that_ends_early", PCI("ranges; interrupt-map-mask = <0 0 0 7>; interrupt-map = <0 0 0>;"),
     "ends inside"},
    {"more_hosts_than_there_is_room_for",
     ROOT(HOST("10000000", "ranges;") HOST("20000000", "ranges;") HOST("30000000", "ranges;")
              HOST("40000000", "ranges;") HOST("50000000", "ranges;")),
     "more than 4"},
};

static void unusable_host_is_named_and_the_machine_is_read(void **state)
{
    const struct refused_case *this = *state;
    struct blob blob = blob_compile(this->source);
    struct machine machine;

    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.hart_count, 1);
    assert_non_null(machine.pci_error);
    assert_non_null(strstr(machine.pci_error, this->error));
    assert_int_equal(machine.pci_count, strstr(this->error, "more") != NULL ? 4 : 0);
    blob_free(&blob);
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(host_cases) + COUNT_OF(refused_cases)] = {
        cmocka_unit_test(second_host_is_used_and_a_bad_one_is_not),
    };
    size_t count = 1;

    ADD_CASES(tests, &count, host_is_read_from_an_odd_tree, host_cases);
    ADD_CASES(tests, &count, unusable_host_is_named_and_the_machine_is_read, refused_cases);
    return fixture_run("machine_pci", tests, count);
}
