// SPDX-License-Identifier: MIT
/*
 * IOMMUs of a program that takes no memory for tables, against register files: every IOMMU is put
 * into bare mode, and one that translates by another owner's tables, or that does not answer, is
 * left alone and named.
 */
#include "fixture.h"
#include "host_board.h"
#include "iommu.h"

enum { DDTP = 0x10 / 8, FILES = 3, DECODED_MAX = 4 };
#define BUSY UINT64_C(0x10)
#define TABLE UINT64_C(0x20000400)
#define IOMMU UINT32_C(0x080600)

static uint64_t files[FILES][512];
static unsigned decoded;

void nvme_pci_enable(const struct nvme_pci_function *function)
{
    (void)function;
    decoded++;
}

uint32_t nvme_pci_read32(const struct nvme_pci_function *function, unsigned offset)
{
    (void)function;
    (void)offset;
    return 0;
}

static uint64_t at(unsigned number)
{
    return (uintptr_t)files[number];
}

static int start(void **state)
{
    (void)state;
    board_init(1);
    memset(files, 0, sizeof(files));
    decoded = 0;
    return 0;
}

/* ---- One IOMMU ------------------------------------------------------------------------------ */

struct mode_case {
    const char *name;
    uint64_t before;
    uint64_t after;
    const char *words; /* of its refusal; NULL: none */
};

#define OTHERS "its tables belong to another owner"

static const struct mode_case mode_cases[] = {
    {"off_becomes_bare", 0, 1, NULL},
    {"off_with_a_stale_table_becomes_bare", TABLE, 1, NULL},
    {"bare_is_left_as_it_is", 1, 1, NULL},
    {"bare_with_a_stale_table_is_left_as_it_is", TABLE | 1, TABLE | 1, NULL},
    {"one_level_of_tables_is_refused", TABLE | 2, TABLE | 2, OTHERS},
    {"two_levels_of_tables_are_refused", TABLE | 3, TABLE | 3, OTHERS},
    {"three_levels_of_tables_are_refused", TABLE | 4, TABLE | 4, OTHERS},
    {"reserved_mode_is_refused", 5, 5, OTHERS},
    {"mode_of_the_vendor_is_refused", 15, 15, OTHERS},
    {"busy_for_ever_is_refused", BUSY, BUSY, "ddtp 0x10"},
    {"busy_and_bare_for_ever_is_refused", BUSY | 1, BUSY | 1, "ddtp 0x11"},
};

static void iommu_passes_what_it_is_given_or_is_refused(void **state)
{
    const struct mode_case *this = *state;
    struct machine machine = {.iommus = {{at(0), 4096}}, .iommu_count = 1};
    char address[32];
    const char *text;
    bool opened;

    start(NULL);
    files[0][DDTP] = this->before;
    board_listen();
    opened = iommu_open(&machine, NULL, 0);
    text = board_heard();
    assert_int_equal(opened, this->words == NULL);
    assert_int_equal(files[0][DDTP], this->after);
    if (opened) {
        assert_string_equal(text, "");
        return;
    }
    snprintf(address, sizeof(address), "%#llx", (unsigned long long)at(0));
    assert_non_null(strstr(text, address));
    assert_non_null(strstr(text, this->words));
}

/* Busy ends at the fifth look. */
static void settle(void *arg, unsigned looks)
{
    (void)arg;
    if (looks == 5) {
        files[0][DDTP] &= ~BUSY;
    }
}

static void iommu_that_is_busy_for_a_while_is_waited_for(void **state)
{
    struct machine machine = {.iommus = {{at(0), 4096}}, .iommu_count = 1};

    (void)state;
    files[0][DDTP] = BUSY;
    board_on_time(settle, NULL);
    assert_true(iommu_open(&machine, NULL, 0));
    assert_int_equal(files[0][DDTP], 1);
}

/* What was written is gone when it is looked at. */
static void stay_off(void *arg, unsigned looks)
{
    (void)arg;
    (void)looks;
    files[0][DDTP] = 0;
}

static void iommu_that_cannot_be_bare_is_refused(void **state)
{
    struct machine machine = {.iommus = {{at(0), 4096}}, .iommu_count = 1};

    (void)state;
    board_on_time(stay_off, NULL);
    board_listen();
    assert_false(iommu_open(&machine, NULL, 0));
    assert_non_null(strstr(board_heard(), "start the machine without it"));
}

/* ---- Several -------------------------------------------------------------------------------- */

static void all_are_opened_though_one_is_refused(void **state)
{
    struct machine machine = {.iommus = {{at(0), 4096}, {at(1), 4096}}, .iommu_count = 2};
    const struct pci_function functions[] = {
        {.class_code = 0x010802, .bars = {{at(2), 4096, 0, 0}}},
        {.class_code = IOMMU, .bars = {{0, 0, 0, 0}}}, /* its BAR found no place */
        {.class_code = IOMMU, .bars = {{at(2), 4096, 0, 0}}},
    };

    (void)state;
    files[0][DDTP] = TABLE | 2;
    board_listen();
    assert_false(iommu_open(&machine, functions, COUNT_OF(functions)));
    board_heard();
    assert_int_equal(files[0][DDTP], TABLE | 2);
    assert_int_equal(files[1][DDTP], 1);
    assert_int_equal(files[2][DDTP], 1);
    assert_int_equal(decoded, 1);
}

static void function_of_another_kind_is_not_touched(void **state)
{
    struct machine machine = {.iommu_count = 0};
    const struct pci_function functions[] = {
        {.class_code = 0x080500, .bars = {{at(0), 4096, 0, 0}}},
        {.class_code = 0x010802, .bars = {{at(1), 4096, 0, 0}}},
    };

    (void)state;
    assert_true(iommu_open(&machine, functions, COUNT_OF(functions)));
    assert_int_equal(files[0][DDTP] | files[1][DDTP], 0);
    assert_int_equal(decoded, 0);
    assert_string_equal(iommu_hint(&machine, functions, COUNT_OF(functions)), "");
}

static void tree_that_keeps_quiet_of_an_iommu_is_a_hint(void **state)
{
    struct machine machine = {.iommu_count = 0};
    const struct pci_function function = {.class_code = IOMMU, .bars = {{at(0), 4096, 0, 0}}};

    (void)state;
    assert_non_null(strstr(iommu_hint(&machine, &function, 1), "iommu-sys=on"));
    machine.iommu_count = 1;
    assert_string_equal(iommu_hint(&machine, &function, 1), "");
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(mode_cases)] = {
        cmocka_unit_test_setup(iommu_that_is_busy_for_a_while_is_waited_for, start),
        cmocka_unit_test_setup(iommu_that_cannot_be_bare_is_refused, start),
        cmocka_unit_test_setup(all_are_opened_though_one_is_refused, start),
        cmocka_unit_test_setup(function_of_another_kind_is_not_touched, start),
        cmocka_unit_test_setup(tree_that_keeps_quiet_of_an_iommu_is_a_hint, start),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, iommu_passes_what_it_is_given_or_is_refused, mode_cases);
    return fixture_run("iommu", tests, count);
}
