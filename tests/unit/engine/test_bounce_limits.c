// SPDX-License-Identifier: MIT
/*
 * bounce_bytes: how much memory it needs, and the largest copy.
 */
#include "fixture.h"

enum { PAGE = FIXTURE_PAGE, MIB = 1024 * 1024 };

static void memory_is_measured_in_pages(void **state)
{
    static const struct {
        uint32_t bounce_bytes, transfer, pages;
    } sizes[] = {
        {1, 0, 1},         {PAGE, 0, 1},        {PAGE + 1, 0, 2},  {MIB, 0, 256},
        {MIB + 1, 0, 256}, {PAGE + 1, PAGE, 1}, {2 * MIB, 0, 256}, {2 * MIB, 4 * MIB, 512},
    };
    struct nvme_memory without;
    struct nvme_memory with;
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        fixture.config.max_transfer_bytes = sizes[i].transfer;
        fixture.config.bounce_bytes = 0;
        assert_int_equal(nvme_memory_needed(&fixture.config, &without), NVME_OK);
        fixture.config.bounce_bytes = sizes[i].bounce_bytes;
        assert_int_equal(nvme_memory_needed(&fixture.config, &with), NVME_OK);
        assert_int_equal(with.ordinary_bytes, without.ordinary_bytes);
        assert_int_equal(with.dma_bytes - without.dma_bytes,
                         (size_t)FIXTURE_QUEUES * (FIXTURE_DEPTH - 1) * sizes[i].pages * PAGE);
    }
    fixture.config.bounce_bytes = 2 * MIB + 1;
    assert_int_equal(nvme_memory_needed(&fixture.config, &with), NVME_ERR_CONFIG);
    fixture_drop(&fixture);
}

/* Its list of PRPs fills a page. */
static void largest_copy_has_a_full_list(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *memory;

    (void)state;
    fixture_init(&fixture);
    fixture.model->mdts = 0;
    fixture.config.max_transfer_bytes = 4 * MIB;
    fixture.config.bounce_bytes = 2 * MIB;
    fixture.config.depth_entries = 2;
    fixture.config.queue_count = 1;
    model_set_namespace(fixture.model, 1, 12, 1024);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    memory = fixture_buffer(2 * MIB + PAGE);
    for (size_t i = 0; i < 2 * MIB; i++) {
        memory[i + 1] = (uint8_t)(i * 7 + (i >> 8));
    }
    assert_int_equal(
        nvme_write(fixture.queues[0], &fixture.ns, 0, 512, memory + 1, outcome_callback(&outcome)),
        NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, 2 * MIB);
    assert_memory_equal(fixture.model->namespaces[0].backing, memory + 1, 2 * MIB);
    assert_int_equal(fixture_counters(fixture.queues[0]).bounces, 1);
    fixture_finish(&fixture);
    fixture_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_measured_in_pages),
        cmocka_unit_test(largest_copy_has_a_full_list),
    };

    return fixture_run("bounce_limits", tests, COUNT_OF(tests));
}
