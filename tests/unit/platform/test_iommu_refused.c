// SPDX-License-Identifier: MIT
/*
 * IOMMUs that cannot guard memory, and what they refuse to devices (host_iommu.h): each is told in
 * words.
 */
#include "dma.h"
#include "fixture.h"
#include "host_board.h"
#include "host_iommu.h"
#include "iommu_tables.h"
#include "iommu_unit.h"

/* Tables for so many pages are left, and a mapping wants more: it changes nothing. */
static void mapping_without_room_changes_nothing(void **state)
{
    struct iommu_tables tables;
    uint64_t base = UINT64_C(1) << 37;
    uint8_t *pages = host_page(100);

    (void)state;
    /* The root, one of the middle, one of the last level with its counts. */
    assert_true(iommu_tables_init(&tables, pages, 5 * IOMMU_PAGE));
    assert_true(iommu_tables_map(&tables, base, HOST_MEMORY, IOMMU_PAGE, false));
    assert_false(iommu_tables_map(&tables, base, HOST_MEMORY, 513 * IOMMU_PAGE, true));
    iommu_tables_unmap(&tables, base, IOMMU_PAGE, false);
    assert_true(iommu_tables_map(&tables, base + 511 * IOMMU_PAGE, HOST_MEMORY, IOMMU_PAGE, true));
    for (unsigned i = 0; i < 511; i++) {
        assert_int_equal(((uint64_t *)(void *)(pages + 2 * IOMMU_PAGE))[i], 0);
        assert_int_equal(((uint64_t *)(void *)(pages + 3 * IOMMU_PAGE))[i], 0);
    }
    assert_null(iommu_tables_take(&tables) == NULL ? NULL : iommu_tables_take(&tables));
}

static void too_small_memory_is_left_to_the_heap(void **state)
{
    struct machine_span small = {HOST_MEMORY, 20 * IOMMU_PAGE};

    (void)state;
    board_listen();
    iommu_reserve(&small);
    assert_non_null(strstr(board_heard(), "note: too little memory"));
    assert_int_equal(small.base, HOST_MEMORY);
    assert_int_equal(small.size, 20 * IOMMU_PAGE);
    host_iommus[0].registers.words[HOST_DDTP] = 0;
    host_iommus[1].registers.words[HOST_DDTP] = 0;
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    assert_int_equal(host_iommus[0].registers.words[HOST_DDTP], 1);
    assert_int_equal(dma_map.offset, 0);
    assert_true(dma_map_pages(host_page(0), 1, true));
    dma_unmap_pages(host_page(0), 1, true);
}

struct refused_case {
    const char *name;
    const char *words;
    void (*change)(void);
};

static void take_version(void)
{
    host_iommus[1].registers.words[HOST_CAPABILITIES] = HOST_SV39;
}

static void take_sv39(void)
{
    host_iommus[1].registers.words[HOST_CAPABILITIES] = HOST_VERSION | HOST_MSI_FLAT;
}

static void be_big_endian(void)
{
    host_iommus[0].registers.halves[HOST_FEATURES] = 1;
}

static void take_coherence(void)
{
    host_machine.dma_coherent = false;
}

static void move_addresses(void)
{
    host_machine.dma.cpu = 0x1000;
}

static void shorten_reach(void)
{
    host_machine.dma.size = UINT64_C(1) << 32;
}

static void raise_file(void)
{
    host_machine.harts[2].imsic_file = UINT64_C(1) << 37;
}

static const struct refused_case passed_cases[] = {
    {"iommu_of_another_version_passes_all", "not of version 1", take_version},
    {"iommu_without_sv39_passes_all", "it lacks Sv39", take_sv39},
    {"iommu_that_is_big_endian_passes_all", "big-endian", be_big_endian},
    {"memory_that_is_not_coherent_is_not_guarded", "not coherent", take_coherence},
    {"memory_at_other_addresses_is_not_guarded", "dma-ranges", move_addresses},
    {"devices_of_32_bits_are_not_guarded", "dma-ranges", shorten_reach},
    {"interrupt_file_too_high_is_not_guarded", "interrupt file", raise_file},
};

/* One obstacle, and no IOMMU guards; a note says it once. */
static void iommus_pass_all(void **state)
{
    const struct refused_case *this = *state;
    const char *text;

    host_iommu_start(NULL);
    this->change();
    board_listen();
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    text = board_heard();
    assert_ptr_equal(strstr(text, "note: the IOMMU does not guard memory: "), text);
    assert_non_null(strstr(text, this->words));
    assert_null(strstr(text + 1, "note"));
    for (unsigned i = 0; i < HOST_IOMMUS; i++) {
        assert_int_equal(host_iommus[i].registers.words[HOST_DDTP], 1);
    }
    assert_int_equal(dma_map.offset, 0);
}

static void give_tables(void)
{
    host_iommus[0].registers.words[HOST_DDTP] = 0x20000402;
}

static void be_lame(void)
{
    host_iommus[0].lame = true;
}

static void be_stubborn(void)
{
    host_iommus[0].stubborn = true;
}

static const struct refused_case refused_cases[] = {
    {"tables_of_another_owner_are_refused", "another owner", give_tables},
    {"queues_that_do_not_start_are_refused", "queues do not start", be_lame},
    {"directory_that_is_not_taken_is_refused", "no directory of three levels", be_stubborn},
};

/* However often it is tried. */
static void iommu_is_refused(void **state)
{
    const struct refused_case *this = *state;

    host_iommu_start(NULL);
    this->change();
    for (unsigned i = 0; i < 100; i++) {
        const char *text;

        board_listen();
        assert_false(iommu_open(&host_machine, NULL, 0));
        text = board_heard();
        assert_non_null(strstr(text, this->words));
        assert_non_null(strstr(text, "hint:"));
    }
    assert_int_equal(dma_map.offset, 0);
}

static void command_that_is_refused_is_a_panic(void **state)
{
    (void)state;
    assert_true(dma_map_pages(host_page(0), 1, true));
    host_iommus[0].refuses = true;
    expect_assert_failure(dma_unmap_pages(host_page(0), 1, true));
}

static void command_that_is_not_carried_out_is_a_panic(void **state)
{
    (void)state;
    assert_true(dma_map_pages(host_page(0), 1, true));
    host_iommus[1].deaf = true;
    expect_assert_failure(dma_unmap_pages(host_page(0), 1, true));
}

/* ---- Faults --------------------------------------------------------------------------------- */

static void put_fault(struct host_iommu *unit, uint32_t device, uint64_t cause, uint64_t address)
{
    uint32_t *halves = unit->registers.halves;
    uint64_t *record = &host_page_of(unit->registers.words[HOST_FQB])[halves[HOST_FQT] * 4];

    record[0] = (uint64_t)device << 40 | cause;
    record[2] = address;
    halves[HOST_FQT] = (halves[HOST_FQT] + 1) % 128;
}

static void faults_are_told_by_page(void **state)
{
    struct host_iommu *unit = &host_iommus[0];

    (void)state;
    put_fault(unit, HOST_DISK, 15, IOMMU_DEVICE_BASE + 0x80455000);
    put_fault(unit, HOST_DISK, 15, IOMMU_DEVICE_BASE + 0x80455ffc);
    put_fault(unit, HOST_DISK, 13, IOMMU_DEVICE_BASE + 0x80455000);
    put_fault(unit, HOST_SLOT | 3, 13, 0x1234);
    put_fault(unit, HOST_SLOT | 3, 258, 0);
    board_listen();
    assert_int_equal(iommu_print_faults(), 4);
    assert_string_equal(
        board_heard(),
        "error: IOMMU: 00:01.0 may not write the page at 0x2080455000, memory 0x80455000 "
        "(cause 15, 2 times)\n"
        "error: IOMMU: 00:01.0 may not read the page at 0x2080455000, memory 0x80455000 "
        "(cause 13, 1 time)\n"
        "error: IOMMU: 03:00.3 may not read the page at 0x1000 (cause 13, 1 time)\n"
        "error: IOMMU: 03:00.3 may not use memory (cause 258, 1 time)\n");
    assert_int_equal(unit->registers.halves[HOST_FQH], 5);
    assert_int_equal(iommu_print_faults(), 0);
}

static void faults_of_every_iommu_are_told_around_the_ring(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        put_fault(&host_iommus[1], HOST_DISK, 13, i * IOMMU_PAGE);
        board_listen();
        assert_int_equal(iommu_print_faults(), 1);
        board_heard();
    }
    assert_int_equal(host_iommus[1].registers.halves[HOST_FQH], 300 % 128);
}

static void lost_faults_are_told_of(void **state)
{
    struct host_iommu *unit = &host_iommus[0];

    (void)state;
    put_fault(unit, HOST_DISK, 13, 0);
    unit->registers.halves[HOST_FQCSR] |= HOST_QUEUE_LOST;
    board_listen();
    assert_int_equal(iommu_print_faults(), 1);
    assert_non_null(strstr(board_heard(), "had no place for more"));
    /* Written back, which clears it, and the queue stays on. */
    assert_int_equal(unit->registers.halves[HOST_FQCSR] & (HOST_QUEUE_LOST | HOST_QUEUE_ENABLE),
                     HOST_QUEUE_LOST | HOST_QUEUE_ENABLE);
}

#define GUARDED(test)                                                                              \
    cmocka_unit_test_setup_teardown(test, host_iommu_start_guarded, host_iommu_end)

int main(void)
{
    struct CMUnitTest tests[7 + COUNT_OF(passed_cases) + COUNT_OF(refused_cases)] = {
        cmocka_unit_test_setup_teardown(mapping_without_room_changes_nothing, host_iommu_start,
                                        host_iommu_end),
        cmocka_unit_test_setup_teardown(too_small_memory_is_left_to_the_heap, host_iommu_start,
                                        host_iommu_end),
        GUARDED(command_that_is_refused_is_a_panic),
        GUARDED(command_that_is_not_carried_out_is_a_panic),
        GUARDED(faults_are_told_by_page),
        GUARDED(faults_of_every_iommu_are_told_around_the_ring),
        GUARDED(lost_faults_are_told_of),
    };
    size_t count = 7;

    ADD_CASES(tests, &count, iommus_pass_all, passed_cases);
    ADD_CASES(tests, &count, iommu_is_refused, refused_cases);
    return fixture_run("iommu_refused", tests, count);
}
