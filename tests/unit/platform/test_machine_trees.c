// SPDX-License-Identifier: MIT
/*
 * platform/virt/machine*.c: trees that are valid and seldom seen: consoles by alias, buses that
 * translate, many reserved ranges, many harts, a clock that the harts name.
 */
#include <stdio.h>

#include "blob.h"
#include "fixture.h"
#include "machine.h"

#define HEAD "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
#define MEMORY "memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x10000000>; };"
#define CPUS                                                                                       \
    "cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1>;"                    \
    "c@0 { device_type = \"cpu\"; reg = <0>; }; };"
#define BUS(body) "soc { #address-cells = <2>; #size-cells = <2>; " body " };"
#define SERIALS                                                                                    \
    "serial@10 { compatible = \"ns16550a\"; reg = <0 0x10 0 0x10>; };"                             \
    "serial@20 { compatible = \"ns16550a\"; reg = <0 0x20 0 0x10>; };"
#define CHOSEN(path) "chosen { stdout-path = \"" path "\"; };"
#define ALIASES "aliases { serial0 = \"/soc/serial@20\"; bus = \"/soc\"; odd = \"serial0\"; };"

enum { SOURCE_BYTES = 100000 };

#define RESERVED_BASE UINT32_C(0x81000000)
#define RESERVED_STEP UINT32_C(0x10000)

/* Source text that is written piece by piece. */
static char source[SOURCE_BYTES];

/* ---- The console, and buses that translate -------------------------------------------------- */

struct console_case {
    const char *name;
    const char *source;
    uint64_t base;
};

static const struct console_case console_cases[] = {
    {"path", HEAD MEMORY CPUS CHOSEN("/soc/serial@20") BUS(SERIALS) "};", 0x20},
    {"path_with_options", HEAD MEMORY CPUS CHOSEN("/soc/serial@20:115200n8") BUS(SERIALS) "};",
     0x20},
    {"alias", HEAD MEMORY CPUS ALIASES CHOSEN("serial0") BUS(SERIALS) "};", 0x20},
    {"alias_with_options", HEAD MEMORY CPUS ALIASES CHOSEN("serial0:115200n8") BUS(SERIALS) "};",
     0x20},
    {"alias_and_the_rest_of_a_path",
     HEAD MEMORY CPUS ALIASES CHOSEN("bus/serial@20:9600") BUS(SERIALS) "};", 0x20},
    {"no_such_alias_takes_the_first", HEAD MEMORY CPUS ALIASES CHOSEN("serial") BUS(SERIALS) "};",
     0x10},
    {"alias_of_an_alias_takes_the_first", HEAD MEMORY CPUS ALIASES CHOSEN("odd") BUS(SERIALS) "};",
     0x10},
    {"options_alone_take_the_first", HEAD MEMORY CPUS CHOSEN(":115200") BUS(SERIALS) "};", 0x10},
    {"bus_with_identity_ranges", HEAD MEMORY CPUS BUS("ranges = <0 0 0 0 1 0>;" SERIALS) "};",
     0x10},
    {"bus_that_translates",
     HEAD MEMORY CPUS BUS("ranges = <0 0x1000 0 0x1000 0 0x1000>, "
                          "<0 0x10 0x12 0x34000000 0 0x10>;" SERIALS) "};",
     0x1234000000},
    {"two_buses_that_translate",
     HEAD MEMORY CPUS BUS("ranges = <0 0x5000 0 0x15000 0 0x1000>;"
                          "in { #address-cells = <1>; #size-cells = <1>; "
                          "ranges = <0x0 0 0x5100 0x100>;"
                          "serial@10 { compatible = \"ns16550a\"; reg = <0x10 0x10>; }; };") "};",
     0x15110},
};

static void console_is_where_the_tree_says(void **state)
{
    const struct console_case *this = *state;
    struct blob blob = blob_compile(this->source);
    struct machine machine;

    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.uart.base, this->base);
    assert_int_equal(machine.uart.size, 0x10);
    blob_free(&blob);
}

static void iommus_are_found_on_their_bus(void **state)
{
    struct blob blob = blob_compile(
        HEAD MEMORY CPUS BUS("ranges;"
                             "i@1000 { compatible = \"x\", \"riscv,iommu\"; reg = <0 0x1000 0 "
                             "0x1000>; };"
                             "i@2000 { compatible = \"riscv,iommu\"; reg = <0 0x2000 0 0x1000>;"
                             "  status = \"disabled\"; };"
                             "i@3000 { compatible = \"riscv,iommu\"; reg = <0 0x3000 0 0x1000>; "
                             "};") "};");
    struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.iommu_count, 2);
    assert_int_equal(machine.iommus[0].base, 0x1000);
    assert_int_equal(machine.iommus[1].base, 0x3000);
    blob_free(&blob);
}

/* ---- More than there is room for --------------------------------------------------------- */

/* So many reserved pages, some steps apart, the later ones first; a wider gap behind `wide`. */
static struct blob reserve(uint32_t count, uint32_t wide)
{
    size_t used = 0;

    used += (size_t)snprintf(source, SOURCE_BYTES,
                             HEAD MEMORY CPUS
                             "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;");
    for (uint32_t i = count; i-- != 0;) {
        uint32_t base = RESERVED_BASE + (i + (i > wide)) * RESERVED_STEP;

        used += (size_t)snprintf(source + used, SOURCE_BYTES - used,
                                 "r@%x { reg = <0 0x%x 0 0x1000>; };", base, base);
    }
    snprintf(source + used, SOURCE_BYTES - used, "}; };");
    return blob_compile(source);
}

static void any_number_of_reserved_ranges_is_kept_out_of(void **state)
{
    static const uint32_t counts[] = {1, 16, 61, 62, 63, 64, 200};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        uint32_t wide = counts[i] / 2;
        struct blob blob = reserve(counts[i], wide);
        struct machine machine;
        struct machine_span span;

        assert_null(machine_read(blob.bytes, blob.size, &machine));
        for (uint32_t n = 1; n < machine.reserved_count; n++) {
            const struct machine_span *before = &machine.reserved[n - 1];

            assert_true(before->base + before->size < machine.reserved[n].base);
        }
        for (uint32_t n = 0; n < counts[i]; n++) {
            uint64_t page = RESERVED_BASE + (n + (n > wide)) * (uint64_t)RESERVED_STEP;
            bool inside = false;

            for (uint32_t s = 0; s < machine.reserved_count; s++) {
                const struct machine_span *one = &machine.reserved[s];

                inside = inside || (page >= one->base && page - one->base < one->size &&
                                    page + 0x1000 <= one->base + one->size);
            }
            assert_true(inside);
        }
        /* The widest gap is the last that would be given up. */
        span = machine_free_memory(&machine, RESERVED_BASE + wide * (uint64_t)RESERVED_STEP + 1);
        assert_true(span.size >= 2 * RESERVED_STEP - 0x1000 || wide + 1 >= counts[i]);
        blob_free(&blob);
    }
}

static void overlapping_reserved_ranges_count_as_they_are(void **state)
{
    struct blob blob = blob_compile(
        HEAD MEMORY CPUS "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;"
                         "a@81000000 { reg = <0 0x81000000 0 0x100000>; };"
                         "b@81010000 { reg = <0 0x81010000 0 0x1000>; };"
                         "c@81080000 { reg = <0 0x81080000 0 0x100000>; }; }; };");
    struct machine machine;
    struct machine_span span;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    span = machine_free_memory(&machine, 0x80ffffff);
    assert_int_equal(span.base, 0x81180000);
    assert_int_equal(span.size, 0x90000000 - 0x81180000);
    blob_free(&blob);
}

/* Harts that all have the id of their place. */
static struct blob crowd(uint32_t count)
{
    size_t used = 0;

    used += (size_t)snprintf(source, SOURCE_BYTES,
                             HEAD MEMORY "cpus { #address-cells = <1>; #size-cells = <0>; "
                                         "timebase-frequency = <1>;");
    for (uint32_t i = 0; i < count; i++) {
        used += (size_t)snprintf(source + used, SOURCE_BYTES - used,
                                 "c@%x { device_type = \"cpu\"; reg = <%u>; };", i, i);
    }
    snprintf(source + used, SOURCE_BYTES - used, "}; };");
    return blob_compile(source);
}

static void harts_beyond_the_limit_are_left_out(void **state)
{
    static const uint32_t counts[] = {64, 65, MACHINE_HART_LIMIT, MACHINE_HART_LIMIT + 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct blob blob = crowd(counts[i]);
        static struct machine machine;
        uint32_t kept = counts[i] < MACHINE_HART_LIMIT ? counts[i] : MACHINE_HART_LIMIT;

        assert_null(machine_read(blob.bytes, blob.size, &machine));
        assert_int_equal(machine.hart_count, kept);
        assert_int_equal(machine.harts[kept - 1].id, kept - 1);
        blob_free(&blob);
    }
}

static void clock_of_a_hart_is_the_clock_of_all(void **state)
{
    struct blob blob = blob_compile(
        HEAD MEMORY "cpus { #address-cells = <1>; #size-cells = <0>; map { };"
                    "c@0 { device_type = \"cpu\"; reg = <0>; };"
                    "c@1 { device_type = \"cpu\"; reg = <1>; timebase-frequency = <0 24000000>; };"
                    "c@2 { device_type = \"cpu\"; reg = <2>; timebase-frequency = <10>; }; }; };");
    struct machine machine;

    (void)state;
    assert_null(machine_read(blob.bytes, blob.size, &machine));
    assert_int_equal(machine.timebase_hz, 24000000);
    blob_free(&blob);
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(console_cases)] = {
        cmocka_unit_test(iommus_are_found_on_their_bus),
        cmocka_unit_test(any_number_of_reserved_ranges_is_kept_out_of),
        cmocka_unit_test(overlapping_reserved_ranges_count_as_they_are),
        cmocka_unit_test(harts_beyond_the_limit_are_left_out),
        cmocka_unit_test(clock_of_a_hart_is_the_clock_of_all),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, console_is_where_the_tree_says, console_cases);
    return fixture_run("machine_trees", tests, count);
}
