// SPDX-License-Identifier: MIT
/*
 * What devices reach behind IOMMUs that guard memory (host_iommu.h): pages that are mapped, by
 * devices that may, as long as they are mapped.
 */
#include "dma.h"
#include "fixture.h"
#include "host_board.h"
#include "host_iommu.h"
#include "iommu_tables.h"
#include "iommu_unit.h"

enum { USED_PAGES = 600, THREE_LEVELS = 4 };

static void every_iommu_guards_and_is_opened_once(void **state)
{
    (void)state;
    assert_int_equal(dma_map.offset, -IOMMU_DEVICE_BASE);
    for (unsigned i = 0; i < HOST_IOMMUS; i++) {
        assert_int_equal(host_iommus[i].registers.words[HOST_DDTP] & 15, THREE_LEVELS);
        assert_int_equal(host_iommus[i].registers.words[HOST_FQB] & 31, 6);
        assert_int_equal(host_iommus[i].device_forgets, 1);
        assert_int_equal(host_iommus[i].forgets, 1);
    }
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    assert_int_equal(host_iommus[0].device_forgets, 1);
}

/* Whoever was there before has left bare mode, queues that are on, and their pointers. */
static void queues_of_another_owner_are_started_anew(void **state)
{
    struct host_iommu *unit = &host_iommus[0];

    (void)state;
    unit->registers.words[HOST_DDTP] = 1;
    unit->command_base = (uintptr_t)host_page(0) >> 12 << 10 | 7;
    unit->registers.halves[HOST_CQCSR] = HOST_QUEUE_ENABLE | HOST_QUEUE_ON;
    unit->registers.halves[HOST_CQH] = 7;
    unit->registers.halves[HOST_CQT] = 7;
    unit->registers.halves[HOST_FQCSR] = HOST_QUEUE_ENABLE | HOST_QUEUE_ON;
    unit->registers.halves[HOST_FQT] = 9;
    unit->registers.halves[HOST_FQH] = 8;
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    assert_int_equal(unit->forgets, 1);
    assert_int_equal(iommu_print_faults(), 0);
}

static void tables_lie_before_the_heap(void **state)
{
    uint64_t directory = (uintptr_t)host_page_of(host_iommus[0].registers.words[HOST_DDTP]);

    (void)state;
    assert_int_equal(host_heap.base % IOMMU_PAGE, 0);
    assert_int_equal(host_heap.base + host_heap.size, HOST_MEMORY + HOST_PAGES * IOMMU_PAGE);
    assert_in_range(directory, HOST_MEMORY, host_heap.base - IOMMU_PAGE);
    assert_int_equal(*host_page(0), 0xa5);
}

struct device_case {
    const char *name;
    uint32_t id;
    bool reaches;
};

static const struct device_case device_cases[] = {
    {"controller_reaches_what_is_mapped", HOST_DISK, true},
    {"controller_in_a_slot_reaches_what_is_mapped", HOST_SLOT, true},
    {"function_behind_a_bridge_reaches_it_by_the_bridges_id", HOST_BRIDGE, true},
    {"other_function_reaches_nothing", HOST_OTHER, false},
    {"iommu_itself_reaches_nothing", HOST_SELF, false},
    {"unknown_function_reaches_nothing", 7 << 8, false},
};

static void device_reaches_what_it_may(void **state, uint64_t capabilities)
{
    const struct device_case *this = *state;

    host_iommu_start(NULL);
    host_iommus[0].registers.words[HOST_CAPABILITIES] = capabilities;
    assert_true(iommu_open(&host_machine, host_functions, HOST_FUNCTIONS));
    assert_true(dma_map_pages(host_page(0), IOMMU_PAGE, true));
    assert_int_equal(
        host_iommu_use(&host_iommus[0], this->id, host_device_address(host_page(0)), true),
        this->reaches ? (uintptr_t)host_page(0) : 0);
}

static void extended_context(void **state)
{
    device_reaches_what_it_may(state, HOST_VERSION | HOST_SV39 | HOST_MSI_FLAT);
}

static void base_context(void **state)
{
    device_reaches_what_it_may(state, HOST_VERSION | HOST_SV39);
}

static void nothing_is_reached_by_the_cpus_address(void **state)
{
    (void)state;
    assert_true(dma_map_pages(host_page(0), IOMMU_PAGE, true));
    assert_int_equal(host_iommu_use(&host_iommus[0], HOST_DISK, (uintptr_t)host_page(0), false), 0);
    assert_int_equal(host_iommu_use(&host_iommus[0], HOST_DISK, HOST_MEMORY, false), 0);
    assert_int_equal(host_iommu_use(&host_iommus[0], HOST_DISK,
                                    host_device_address((void *)(uintptr_t)HOST_MEMORY), false),
                     0);
}

static void messages_reach_their_files(void **state)
{
    (void)state;
    assert_int_equal(host_iommu_use(&host_iommus[1], HOST_DISK, HOST_FILE_0, true), HOST_FILE_0);
    assert_int_equal(host_iommu_use(&host_iommus[1], HOST_DISK, HOST_FILE_2 + 8, true),
                     HOST_FILE_2 + 8);
    assert_int_equal(host_iommu_use(&host_iommus[1], HOST_DISK, HOST_FILE_2 + IOMMU_PAGE, true), 0);
    assert_int_equal(host_iommu_use(&host_iommus[1], HOST_DISK, 0, true), 0);
}

static void page_is_reached_as_long_as_a_mapping_is_left(void **state)
{
    (void)state;
    host_expect_access(host_page(3), false, false);
    assert_true(dma_map_pages(host_page(3) + 100, 8, false));
    host_expect_access(host_page(3), true, false);
    assert_true(dma_map_pages(host_page(2), 2 * IOMMU_PAGE, true));
    host_expect_access(host_page(3), true, true);
    dma_unmap_pages(host_page(3) + 100, 8, false);
    host_expect_access(host_page(3) + 4095, true, true);
    assert_true(dma_map_pages(host_page(3), IOMMU_PAGE + 1, false));
    dma_unmap_pages(host_page(2), 2 * IOMMU_PAGE, true);
    host_expect_access(host_page(2), false, false);
    host_expect_access(host_page(3), true, false);
    host_expect_access(host_page(4), true, false);
    dma_unmap_pages(host_page(3), IOMMU_PAGE + 1, false);
    host_expect_access(host_page(3), false, false);
    host_expect_access(host_page(4), false, false);
}

/* One page is forgotten by its address. */
static void what_others_have_mapped_is_still_remembered(void **state)
{
    unsigned before;

    (void)state;
    assert_true(dma_map_pages(host_page(8), IOMMU_PAGE, true));
    assert_true(dma_map_pages(host_page(9), IOMMU_PAGE, true));
    host_expect_access(host_page(8), true, true);
    host_expect_access(host_page(9), true, true);
    before = host_iommus[0].count;
    dma_unmap_pages(host_page(9), IOMMU_PAGE, true);
    assert_int_equal(host_iommus[0].count, before - 1);
    assert_int_equal(host_iommus[0].forgets, 2);
}

static void first_mapping_costs_no_command(void **state)
{
    (void)state;
    assert_true(dma_map_pages(host_page(0), 5 * IOMMU_PAGE, true));
    assert_int_equal(host_iommus[0].forgets, 1);
    dma_unmap_pages(host_page(0), 5 * IOMMU_PAGE, true);
    assert_int_equal(host_iommus[0].forgets, 2);
}

/* A piece that is mapped now: some pages from `first` on. */
struct piece {
    unsigned first, pages;
    bool written;
};

static void random_pieces_are_reached_while_they_are_mapped(void **state)
{
    struct piece pieces[32];
    unsigned count = 0;
    uint32_t random = 1;

    (void)state;
    for (unsigned turn = 0; turn < 3000; turn++) {
        unsigned chosen;

        random = random * 1664525 + 1013904223;
        chosen = (random >> 8) % COUNT_OF(pieces);
        if (chosen < count) {
            struct piece gone = pieces[chosen];

            dma_unmap_pages(host_page(gone.first) + 4, gone.pages * IOMMU_PAGE - 8, gone.written);
            pieces[chosen] = pieces[--count];
        } else {
            struct piece made = {(random >> 16) % USED_PAGES, random >> 28 | 1,
                                 (random >> 9 & 1) != 0};

            assert_true(dma_map_pages(host_page(made.first) + 4, made.pages * IOMMU_PAGE - 8,
                                      made.written));
            pieces[count++] = made;
        }
        for (unsigned look = 0; look < 8; look++) {
            unsigned number = (random >> look) % USED_PAGES;
            bool reads = false, writes = false;

            for (unsigned i = 0; i < count; i++) {
                bool in = number >= pieces[i].first && number - pieces[i].first < pieces[i].pages;

                reads = reads || in;
                writes = writes || (in && pieces[i].written);
            }
            host_expect_access(host_page(number), reads, writes);
        }
    }
}

static void commands_wrap_in_their_ring(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        assert_true(dma_map_pages(host_page(1), 1, true));
        dma_unmap_pages(host_page(1), 1, true);
    }
    host_expect_access(host_page(1), false, false);
    assert_int_equal(host_iommus[1].forgets, 301);
}

#define GUARDED(test)                                                                              \
    cmocka_unit_test_setup_teardown(test, host_iommu_start_guarded, host_iommu_end)

int main(void)
{
    struct CMUnitTest tests[10 + 2 * COUNT_OF(device_cases)] = {
        GUARDED(every_iommu_guards_and_is_opened_once),
        cmocka_unit_test_setup_teardown(queues_of_another_owner_are_started_anew, host_iommu_start,
                                        host_iommu_end),
        GUARDED(tables_lie_before_the_heap),
        GUARDED(nothing_is_reached_by_the_cpus_address),
        GUARDED(messages_reach_their_files),
        GUARDED(page_is_reached_as_long_as_a_mapping_is_left),
        GUARDED(what_others_have_mapped_is_still_remembered),
        GUARDED(first_mapping_costs_no_command),
        GUARDED(random_pieces_are_reached_while_they_are_mapped),
        GUARDED(commands_wrap_in_their_ring),
    };
    size_t count = 10;

    ADD_CASES(tests, &count, extended_context, device_cases);
    ADD_CASES(tests, &count, base_context, device_cases);
    return fixture_run("iommu_guard", tests, count);
}
