// SPDX-License-Identifier: MIT
/*
 * Requests and admin commands whose data a port cannot map, or that end while others cannot.
 */
#include "fixture_reset.h"
#include "kinds.h"
#include "nvme_admin.h"
#include "nvme_hal.h"

static void start(struct fixture *fixture)
{
    fixture_init_reset(fixture, false);
    fixture->config.max_transfer_bytes = KIND_PART;
    fixture->config.resets_max = 0;
    fixture_start(fixture, 1, NVME_MODE_POLL);
    fixture->model->on_demand = true;
    assert_int_equal(world.mapped, 1);
}

/* The device answers all that it has, and the owner reaps, as long as that goes on. */
static void serve(struct fixture *fixture)
{
    nvme_queue_submit(fixture->queues[0]);
    while (model_step(fixture->model, UINT32_MAX) != 0) {
        nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
    }
}

/* ---- No room ------------------------------------------------------------------------------ */

static void post_that_cannot_be_mapped_changes_nothing(void **state)
{
    (void)state;
    for (enum kind kind = KIND_READ; kind < KINDS; kind++) {
        uint32_t last = kind >= KIND_SPLIT_READ ? 1 : kind_pieces[kind];

        for (uint32_t failing = 1; failing <= last; failing++) {
            struct fixture fixture;
            struct kind_end ended;
            struct nvme_counters before;

            start(&fixture);
            before = fixture_counters(fixture.queues[0]);
            world.map_fails_in = failing;
            assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_ERR_MAP);
            assert_int_equal(world.mapped, 1);
            assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
            nvme_queue_submit(fixture.queues[0]);
            assert_int_equal(fixture_counters(fixture.queues[0]).posts, before.posts);
            /* As often as there are slots and records: none is lost. */
            for (uint32_t i = 0; i < FIXTURE_DEPTH; i++) {
                world.map_fails_in = failing;
                assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_ERR_MAP);
            }
            assert_int_equal(ended.outcome.count, 0);
            assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_OK);
            serve(&fixture);
            assert_int_equal(ended.outcome.count, 1);
            assert_int_equal(ended.outcome.result.error, NVME_OK);
            fixture_finish(&fixture);
        }
    }
}

static void batch_stops_where_there_is_no_room(void **state)
{
    struct nvme_io ios[4];
    struct outcome outcome = {0};
    struct fixture fixture;
    uint32_t posted;

    (void)state;
    start(&fixture);
    for (size_t i = 0; i < COUNT_OF(ios); i++) {
        ios[i] = (struct nvme_io){.buffer = kind_buffer + i * FIXTURE_PAGE,
                                  .block_count = 1,
                                  .opcode = NVME_CMD_WRITE,
                                  .callback = outcome_callback(&outcome)};
    }
    world.map_fails_in = 3;
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, ios, 4, &posted), NVME_ERR_MAP);
    assert_int_equal(posted, 2);
    assert_int_equal(world.mapped, 3);
    serve(&fixture);
    assert_int_equal(outcome.count, 2);
    fixture_finish(&fixture);
}

/* A part that cannot be mapped waits for the end of another one. */
static void split_goes_on_when_a_part_has_made_room(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 2 * (KIND_PARTS - 1); run++) {
        enum kind kind = run % 2 == 0 ? KIND_SPLIT_READ : KIND_SPLIT_WRITE;
        uint32_t failing = 2 + run / 2;
        struct fixture fixture;
        struct kind_end ended;

        start(&fixture);
        world.map_fails_in = failing;
        assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_OK);
        assert_int_equal(world.mapped, failing);
        assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), failing - 1);
        serve(&fixture);
        assert_int_equal(ended.outcome.count, 1);
        assert_int_equal(ended.outcome.result.error, NVME_OK);
        assert_int_equal(ended.outcome.result.bytes_done, KIND_SPLIT_BYTES);
        assert_int_equal(ended.mapped, 0);
        if (kind == KIND_SPLIT_READ) {
            assert_memory_equal(kind_buffer, fixture.model->namespaces[0].backing,
                                KIND_SPLIT_BYTES);
        }
        fixture_finish(&fixture);
    }
}

/* Two parts are in flight. The first that ends finds no room; does the second? */
static void split_ends_if_its_last_part_finds_no_room(void **state)
{
    (void)state;
    for (uint32_t failures = 1; failures <= 2; failures++) {
        struct fixture fixture;
        struct kind_end ended;

        start(&fixture);
        world.map_fails_in = 3; /* of the third part */
        assert_int_equal(kind_watch(&fixture, KIND_SPLIT_WRITE, &ended), NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
        for (uint32_t i = 0; i < failures; i++) {
            assert_int_equal(ended.outcome.count, 0);
            world.map_fails_in = 1;
            model_step_one(fixture.model, 0);
            nvme_queue_reap(fixture.queues[0], 1);
        }
        assert_int_equal(ended.outcome.count, failures == 2);
        serve(&fixture);
        assert_int_equal(ended.outcome.count, 1);
        assert_int_equal(ended.outcome.result.error, failures == 2 ? NVME_ERR_MAP : NVME_OK);
        assert_int_equal(ended.outcome.result.bytes_done,
                         failures == 2 ? 2 * KIND_PART : KIND_SPLIT_BYTES);
        /* Its record is free again. */
        assert_int_equal(kind_watch(&fixture, KIND_SPLIT_WRITE, &ended), NVME_OK);
        serve(&fixture);
        assert_int_equal(ended.outcome.result.error, NVME_OK);
        fixture_finish(&fixture);
    }
}

/* ---- Administration ----------------------------------------------------------------------- */

static void admin_data_are_mapped_for_their_command(void **state)
{
    struct nvme_command identify = {.cdw0 = NVME_ADMIN_IDENTIFY, .cdw10 = NVME_CNS_CONTROLLER};
    struct nvme_command unknown = {.cdw0 = 0xc1};
    struct nvme_result result = {0};
    struct fixture fixture;

    (void)state;
    start(&fixture);
    world.map_fails_in = 1;
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &identify, kind_buffer,
                                            NVME_IDENTIFY_BYTES, &result),
                     NVME_ERR_MAP);
    assert_int_equal(result.error, NVME_ERR_MAP);
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &identify, kind_buffer,
                                            NVME_IDENTIFY_BYTES, &result),
                     NVME_OK);
    assert_int_equal(world.mapped, 1);
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &unknown, kind_buffer, 64, &result),
                     NVME_ERR_DEVICE);
    assert_int_equal(world.mapped, 1);
    assert_int_equal(world.map_calls, 4);
    fixture.model->admin_silent = true;
    fixture.model->stop_never = true;
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &identify, kind_buffer,
                                            NVME_IDENTIFY_BYTES, &result),
                     NVME_ERR_STUCK);
    assert_true(world_is_mapped(kind_buffer, NVME_IDENTIFY_BYTES, NVME_DMA_FROM_DEVICE));
    assert_int_equal(world.mapped, 2);
    /* A stuck device has not seen this one. */
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &identify, kind_buffer,
                                            NVME_IDENTIFY_BYTES, &result),
                     NVME_ERR_STUCK);
    assert_int_equal(world.mapped, 2);
    fixture_drop(&fixture);
}

static void admin_data_are_unmapped_when_the_device_has_stopped(void **state)
{
    struct nvme_command identify = {.cdw0 = NVME_ADMIN_IDENTIFY, .cdw10 = NVME_CNS_CONTROLLER};
    struct nvme_result result = {0};
    struct fixture fixture;

    (void)state;
    start(&fixture);
    fixture.model->admin_silent = true;
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &identify, kind_buffer,
                                            NVME_IDENTIFY_BYTES, &result),
                     NVME_ERR_TIMEOUT);
    assert_int_equal(world.mapped, 1);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(post_that_cannot_be_mapped_changes_nothing),
        cmocka_unit_test(batch_stops_where_there_is_no_room),
        cmocka_unit_test(split_goes_on_when_a_part_has_made_room),
        cmocka_unit_test(split_ends_if_its_last_part_finds_no_room),
        cmocka_unit_test(admin_data_are_mapped_for_their_command),
        cmocka_unit_test(admin_data_are_unmapped_when_the_device_has_stopped),
    };

    return fixture_run("mapping_fails", tests, COUNT_OF(tests));
}
