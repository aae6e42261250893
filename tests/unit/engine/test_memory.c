// SPDX-License-Identifier: MIT
/*
 * memory.c: ranges of the configuration, sizes of the regions, what they must be like.
 */
#include <stdlib.h>

#include "fixture.h"

enum {
    PAGE = 4096,
    MIB = 1024 * 1024,
};

/* ---- Configuration ---------------------------------------------------------------------- */

struct config_case {
    const char *name;
    uint32_t queues;
    uint32_t depth;
    uint32_t page;
    uint32_t transfer;
    uint64_t timeout_ns;
    size_t bar_bytes;
    enum nvme_error error;
};

#define BAR 16384
#define SECOND UINT64_C(1000000000)

static const struct config_case config_cases[] = {
    {"least_of_everything", 1, 2, 4096, 4096, SECOND, BAR, NVME_OK},
    {"defaults", 1, 16, 0, 0, 0, BAR, NVME_OK},
    {"most_queues", 64, 2, 0, 0, 0, BAR, NVME_OK},
    {"most_entries", 1, 4096, 0, 0, 0, BAR, NVME_OK},
    {"largest_transfer", 1, 2, 0, 64 * MIB, 0, BAR, NVME_OK},
    {"large_pages", 1, 2, 65536, 0, 0, BAR, NVME_OK},
    {"longest_timeout", 1, 2, 0, 0, UINT64_MAX, BAR, NVME_OK},
    {"no_queue", 0, 16, 0, 0, 0, BAR, NVME_ERR_CONFIG},
    {"one_queue_too_many", 65, 16, 0, 0, 0, BAR, NVME_ERR_CONFIG},
    {"depth_0", 1, 0, 0, 0, 0, BAR, NVME_ERR_CONFIG},
    {"depth_1", 1, 1, 0, 0, 0, BAR, NVME_ERR_CONFIG},
    {"one_entry_too_many", 1, 4097, 0, 0, 0, BAR, NVME_ERR_CONFIG},
    {"page_of_2048", 1, 16, 2048, 0, 0, BAR, NVME_ERR_CONFIG},
    {"page_that_is_no_power_of_two", 1, 16, 12288, 0, 0, BAR, NVME_ERR_CONFIG},
    {"transfer_below_a_page", 1, 16, 0, 4095, 0, BAR, NVME_ERR_CONFIG},
    {"transfer_one_byte_too_large", 1, 16, 0, 64 * MIB + 1, 0, BAR, NVME_ERR_CONFIG},
    {"timeout_below_a_second", 1, 16, 0, 0, SECOND - 1, BAR, NVME_ERR_CONFIG},
    {"registers_without_doorbells", 1, 16, 0, 0, 0, 4096, NVME_ERR_CONFIG},
    {"registers_with_half_a_pair", 1, 16, 0, 0, 0, 4100, NVME_ERR_CONFIG},
};

static void configuration_is_in_range(void **state)
{
    const struct config_case *this = *state;
    struct fixture fixture;
    struct nvme_memory needed = {.ordinary_bytes = 1, .dma_bytes = 2};

    fixture_init(&fixture);
    fixture.config.queue_count = this->queues;
    fixture.config.depth_entries = this->depth;
    fixture.config.page_bytes = this->page;
    fixture.config.max_transfer_bytes = this->transfer;
    fixture.config.command_timeout_ns = this->timeout_ns;
    fixture.config.registers_size_bytes = this->bar_bytes;
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), this->error);
    assert_int_equal(needed.ordinary_bytes == 1, this->error != NVME_OK);
    assert_int_equal(needed.dma_bytes == 2, this->error != NVME_OK);
    assert_null(needed.ordinary);
    if (this->error != NVME_OK) {
        assert_int_equal(fixture_open(&fixture), this->error);
    }
    assert_int_equal(fixture.model->write_count, 0);
    fixture_drop(&fixture);
}

static void registers_must_be_somewhere_and_aligned(void **state)
{
    struct fixture fixture;
    struct nvme_memory needed;

    (void)state;
    fixture_init(&fixture);
    fixture.config.registers = NULL;
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_ERR_CONFIG);
    fixture.config.registers = fixture.model->bar + 2;
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_ERR_CONFIG);
    fixture_drop(&fixture);
}

/* ---- What CAP says ---------------------------------------------------------------------- */

static void device_without_the_nvm_command_set_is_unsupported(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cap.nvm = false;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_UNSUPPORTED);
    fixture_drop(&fixture);
}

static void device_with_one_entry_per_queue_is_unsupported(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cap.mqes = 0;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_UNSUPPORTED);
    fixture_drop(&fixture);
}

static void pages_larger_than_the_ports_are_unsupported_and_said(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cap.page_min = 1;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_UNSUPPORTED);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_PAGE_SIZE).value, 8192);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_PAGE_SIZE).limit, 4096);
    fixture_drop(&fixture);
}

static void device_that_is_not_there_is_removed(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->gone = true;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_REMOVED);
    fixture_drop(&fixture);
}

static void larger_pages_are_used_when_both_sides_have_them(void **state)
{
    struct fixture fixture;
    struct nvme_controller_info info;
    struct outcome outcome = {0};
    uint8_t *buffer = fixture_buffer(512 * 1024);

    (void)state;
    fixture_init(&fixture);
    fixture.model->cap.page_min = 2;
    fixture.config.page_bytes = 65536;
    world.paging = WORLD_PAGED;
    world.page_bytes = 16384;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.page_bytes, 16384);
    assert_int_equal(info.mdts_bytes, 16384 << 7);
    assert_int_equal(
        nvme_read(fixture.queues[0], &fixture.ns, 0, 1000, buffer + 4, outcome_callback(&outcome)),
        NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, 512000);
    assert_memory_equal(buffer + 4, fixture.model->namespaces[0].backing, 512000);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

struct depth_case {
    const char *name;
    uint32_t wanted;
    uint32_t mqes; /* 0's based */
    uint32_t depth;
};

static const struct depth_case depth_cases[] = {
    {"depth_below_mqes", 16, 31, 16},
    {"depth_equal_to_mqes", 32, 31, 32},
    {"depth_one_above_mqes_is_reduced_and_said", 33, 31, 32},
    {"deepest_queue_on_the_shallowest_device", 4096, 1, 2},
    {"mqes_of_65536", 4096, 65535, 4096},
};

static void depth_is_what_mqes_allows(void **state)
{
    const struct depth_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;

    fixture_init(&fixture);
    fixture.model->cap.mqes = this->mqes;
    fixture.config.depth_entries = this->wanted;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.depth_entries, this->depth);
    assert_int_equal(info.depth_entries_limit, this->mqes + 1);
    assert_int_equal(fixture.model->sqs[1].entries, this->depth);
    assert_int_equal(fixture.model->cqs[1].entries, this->depth);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_DEPTH_REDUCED), this->depth < this->wanted);
    if (this->depth < this->wanted) {
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_DEPTH_REDUCED).value, this->wanted);
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_DEPTH_REDUCED).limit, this->depth);
    }
    fixture_finish(&fixture);
}

/* ---- Regions ---------------------------------------------------------------------------- */

struct region_case {
    const char *name;
    size_t ordinary_less;
    size_t dma_less;
    size_t ordinary_shift;
    size_t dma_shift;
    bool no_ordinary;
    bool no_dma;
    bool said;
};

static const struct region_case region_cases[] = {
    {"ordinary_one_byte_too_small", 1, 0, 0, 0, false, false, true},
    {"dma_one_byte_too_small", 0, 1, 0, 0, false, false, true},
    {"no_ordinary_region", 0, 0, 0, 0, true, false, false},
    {"no_dma_region", 0, 0, 0, 0, false, true, false},
    {"ordinary_misaligned_by_32", 0, 0, 32, 0, false, false, false},
    {"dma_misaligned_by_64", 0, 0, 0, 64, false, false, false},
    {"dma_misaligned_by_half_a_page", 0, 0, 0, 2048, false, false, false},
};

static void unfit_region_is_refused_before_the_device_is_touched(void **state)
{
    const struct region_case *this = *state;
    struct fixture fixture;
    struct nvme_memory memory = {0};
    struct nvme_memory given;
    struct nvme_controller *controller = NULL;

    fixture_init(&fixture);
    assert_int_equal(nvme_memory_needed(&fixture.config, &memory), NVME_OK);
    fixture.memory.ordinary = aligned_alloc(64, (memory.ordinary_bytes + 127) / 64 * 64);
    fixture.memory.dma = aligned_alloc(PAGE, memory.dma_bytes + PAGE);
    given = (struct nvme_memory){
        .ordinary = (uint8_t *)fixture.memory.ordinary + this->ordinary_shift,
        .ordinary_bytes = memory.ordinary_bytes - this->ordinary_less,
        .dma = (uint8_t *)fixture.memory.dma + this->dma_shift,
        .dma_bytes = memory.dma_bytes - this->dma_less,
    };
    given.ordinary = this->no_ordinary ? NULL : given.ordinary;
    given.dma = this->no_dma ? NULL : given.dma;
    assert_int_equal(nvme_controller_open(&fixture.config, &given, &controller), NVME_ERR_MEMORY);
    assert_null(controller);
    assert_int_equal(fixture.model->write_count, 0);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_MEMORY_SMALL), this->said);
    if (this->said) {
        struct nvme_event event = fixture_event(&fixture, NVME_EVENT_MEMORY_SMALL);

        assert_int_equal(event.value + 1, event.limit);
        assert_int_equal(event.limit,
                         this->dma_less != 0 ? memory.dma_bytes : memory.ordinary_bytes);
    }
    fixture_drop(&fixture);
}

static void rings_that_are_not_contiguous_for_dma_are_refused(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.config.depth_entries = 128; /* two pages of submission ring */
    world.paging = WORLD_PAGED_SCATTERED;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_MEMORY);
    assert_int_equal(fixture.model->write_count, 0);
    fixture_drop(&fixture);
}

static void rings_inside_a_page_need_no_contiguous_memory(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    world.paging = WORLD_PAGED_SCATTERED;
    fixture_start(&fixture, FIXTURE_QUEUES, NVME_MODE_POLL);
    fixture_finish(&fixture);
}

/* The sanitizer's red zones around exactly sized regions catch any byte beyond. */
static void regions_of_exactly_the_size_needed_suffice(void **state)
{
    static const uint32_t depths[] = {2, 3, 5, 17, 64, 65, 1000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(depths); i++) {
        struct fixture fixture;
        struct outcome outcome = {0};
        uint8_t *buffer = fixture_buffer(MIB + PAGE);

        fixture_init(&fixture);
        fixture.config.depth_entries = depths[i];
        assert_int_equal(nvme_memory_needed(&fixture.config, &fixture.memory), NVME_OK);
        assert_int_equal(fixture.memory.dma_bytes % PAGE, 0);
        fixture.memory.ordinary = aligned_alloc(64, (fixture.memory.ordinary_bytes + 63) / 64 * 64);
        fixture.memory.dma = aligned_alloc(PAGE, fixture.memory.dma_bytes);
        fixture_start(&fixture, FIXTURE_QUEUES, NVME_MODE_POLL);
        for (uint32_t n = 0; n < depths[i] - 1; n++) {
            assert_int_equal(nvme_read(fixture.queues[FIXTURE_QUEUES - 1], &fixture.ns, 0, 1024,
                                       buffer + 4, outcome_callback(&outcome)),
                             NVME_OK);
        }
        nvme_queue_submit(fixture.queues[FIXTURE_QUEUES - 1]);
        nvme_queue_reap(fixture.queues[FIXTURE_QUEUES - 1], depths[i]);
        assert_int_equal(outcome.count, depths[i] - 1);
        fixture_free(buffer);
        fixture_finish(&fixture);
    }
}

int main(void)
{
    struct CMUnitTest
        tests[9 + COUNT_OF(config_cases) + COUNT_OF(depth_cases) + COUNT_OF(region_cases)] = {
            cmocka_unit_test(registers_must_be_somewhere_and_aligned),
            cmocka_unit_test(device_without_the_nvm_command_set_is_unsupported),
            cmocka_unit_test(device_with_one_entry_per_queue_is_unsupported),
            cmocka_unit_test(pages_larger_than_the_ports_are_unsupported_and_said),
            cmocka_unit_test(device_that_is_not_there_is_removed),
            cmocka_unit_test(larger_pages_are_used_when_both_sides_have_them),
            cmocka_unit_test(rings_that_are_not_contiguous_for_dma_are_refused),
            cmocka_unit_test(rings_inside_a_page_need_no_contiguous_memory),
            cmocka_unit_test(regions_of_exactly_the_size_needed_suffice),
        };
    size_t count = 9;

    ADD_CASES(tests, &count, configuration_is_in_range, config_cases);
    ADD_CASES(tests, &count, depth_is_what_mqes_allows, depth_cases);
    ADD_CASES(tests, &count, unfit_region_is_refused_before_the_device_is_touched, region_cases);
    return fixture_run("memory", tests, count);
}
