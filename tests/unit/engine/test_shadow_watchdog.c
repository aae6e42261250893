// SPDX-License-Identifier: MIT
/*
 * shadow.c, recovery.c: the watchdog and the life of a queue with shadow doorbells. test_shadow.c
 * has which doorbells a device gets.
 */
#include "fixture.h"

#define PERIOD_NS NVME_WATCHDOG_PERIOD_NS

enum { REQUESTS = 4, LAPS = 3 * FIXTURE_DEPTH };

static void start(struct fixture *fixture, const struct fixture_source *source, enum nvme_mode mode)
{
    fixture_init(fixture);
    fixture->line.kind = source->kind;
    if (source->vectors) {
        fixture_use_vectors(fixture);
    }
    fixture->model->shadow_offered = true;
    fixture->config.shadow_doorbells = true;
    fixture_start(fixture, 1, mode);
    fixture_interrupts(fixture);
    fixture->model->on_demand = true;
}

static void start_poll(struct fixture *fixture)
{
    start(fixture, &fixture_deliveries[FIXTURE_LINE], NVME_MODE_POLL);
}

static uint32_t tails(const struct fixture *fixture)
{
    return model_doorbell_count(fixture->model, 1, false);
}

/* ---- The watchdog -------------------------------------------------------------------------- */

static void watch(struct fixture *fixture, uint32_t looks)
{
    for (uint32_t i = 0; i < looks; i++) {
        world_advance(PERIOD_NS);
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
    }
}

/* The device reads registers only, and its event indexes stay 0. */
static void watchdog_rings_a_device_that_never_looks(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    fixture.model->shadow_deaf = true;
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(tails(&fixture), 1);
    for (uint32_t turn = 1; turn <= FIXTURE_DEPTH / 2; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(tails(&fixture), turn);
        watch(&fixture, 3);
        assert_int_equal(tails(&fixture), turn + 1);
        assert_int_equal(fixture.model->sqs[1].fetched, turn + 1);
        assert_int_equal(fixture_counters(fixture.queues[0]).rerings, turn);
        model_step(fixture.model, UINT32_MAX);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    }
    assert_int_equal(outcome.count, 1 + FIXTURE_DEPTH / 2);
    fixture.model->shadow_deaf = false;
    fixture_finish(&fixture);
}

/* It takes its completion ring for full until the register tells it otherwise. */
static void watchdog_rings_the_head_too(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    fixture.model->shadow_deaf = true;
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        watch(&fixture, 3);
        assert_int_equal(fixture.model->sqs[1].fetched, turn);
        assert_false(model_cq_full(fixture.model, 1));
        model_step(fixture.model, UINT32_MAX);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
        assert_int_equal(outcome.count, turn);
    }
    fixture.model->shadow_deaf = false;
    fixture_finish(&fixture);
}

/* Nothing to write, and nothing counted, while the device works or has what was rung. */
static void watchdog_leaves_a_device_that_works(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    fixture_submit(&fixture, 0, &outcome);
    watch(&fixture, 10);
    assert_int_equal(tails(&fixture), 1);
    model_step(fixture.model, UINT32_MAX);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    model_shadow_set_awake(fixture.model, true);
    fixture_submit(&fixture, 0, &outcome);
    for (uint32_t turn = 0; turn < LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        watch(&fixture, 1);
        model_step(fixture.model, 1);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
        watch(&fixture, 1);
    }
    assert_int_equal(fixture_counters(fixture.queues[0]).rerings, 0);
    model_step(fixture.model, UINT32_MAX);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    fixture_finish(&fixture);
}

/* ---- A larger completion ring --------------------------------------------------------------- */

/* One head, stored or rung, for over half of the surplus. */
static void late_head_is_stored_late(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_init(&fixture);
    fixture.model->shadow_offered = true;
    fixture.config.shadow_doorbells = true;
    fixture.config.cq_depth_entries = FIXTURE_DEPTH + 2 * 3;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH), 1);
        assert_int_equal(model_doorbell_count(fixture.model, 1, true), turn / 4);
        assert_int_equal(fixture_counters(fixture.queues[0]).reaps, turn);
    }
    fixture_finish(&fixture);
}

/* ---- Its life -------------------------------------------------------------------------------- */

/* The places of a queue start from 0 each time it is opened: the model looks at them. */
static void queue_that_is_opened_again_starts_anew(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    for (uint32_t turn = 1; turn <= 3; turn++) {
        struct nvme_queue_config config = {.mode = NVME_MODE_POLL};

        model_shadow_set_awake(fixture.model, true);
        for (uint32_t i = 0; i < REQUESTS + turn; i++) {
            fixture_submit(&fixture, 0, &outcome);
        }
        model_shadow_set_awake(fixture.model, false);
        model_step(fixture.model, UINT32_MAX);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
        assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
        assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]),
                         NVME_OK);
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(fixture.model->sqs[1].fetched, 1);
        model_step(fixture.model, UINT32_MAX);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    }
    assert_int_equal(outcome.count, 3 * REQUESTS + 6 + 3);
    fixture_finish(&fixture);
}

/* With requests left: the device ends them while the queue closes. */
static void close_gives_every_entry_back(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    start(&fixture, *state, NVME_MODE_INTERRUPT);
    fixture.model->delete_finishes = true;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        fixture_submit(&fixture, 0, &outcome);
    }
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(outcome.count, REQUESTS);
    fixture_finish(&fixture);
}

/* CC.EN = 0 ends them on the device; the next open configures them again. */
static void next_open_configures_again(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->fatal = true;
    watch(&fixture, 4);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture.model->fatal = false;
    fixture.model->bus_master = false;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    assert_int_equal(fixture.model->admin_commands[NVME_ADMIN_DOORBELL_BUFFER_CONFIG], 2);
    outcome.count = 0;
    fixture_submit(&fixture, 0, &outcome);
    model_step(fixture.model, UINT32_MAX);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    assert_int_equal(outcome.count, 1);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[6 + FIXTURE_DELIVERIES] = {
        cmocka_unit_test(watchdog_rings_a_device_that_never_looks),
        cmocka_unit_test(watchdog_rings_the_head_too),
        cmocka_unit_test(watchdog_leaves_a_device_that_works),
        cmocka_unit_test(queue_that_is_opened_again_starts_anew),
        cmocka_unit_test(next_open_configures_again),
        cmocka_unit_test(late_head_is_stored_late),
    };
    size_t count = 6;

    fixture_add_cases(tests, &count, close_gives_every_entry_back, fixture_deliveries,
                      FIXTURE_DELIVERIES, sizeof(fixture_deliveries[0]));
    return fixture_run("shadow_watchdog", tests, count);
}
