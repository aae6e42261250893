// SPDX-License-Identifier: MIT
/*
 * disable.c, event.c: controllers that no owner of a queue can reset, because none is open. They
 * fail.
 */
#include "fixture_reset.h"

#define MS UINT64_C(1000000)

enum {
    STEP_MS = 10,
    STATUS_INTERNAL = 0x006,
};

static void start(struct fixture *fixture, uint32_t queues)
{
    fixture_init_reset(fixture, false);
    fixture->config.events = true;
    fixture_start(fixture, queues, NVME_MODE_POLL);
}

/* Not NVME_ERR_RESET, which says that it will go on. */
static void check_failed(struct fixture *fixture, enum nvme_error error)
{
    uint32_t nsid;

    assert_true(fixture_saw(fixture, NVME_EVENT_DISABLED));
    assert_int_equal(nvme_namespace_next(fixture->controller, 0, &nsid), NVME_ERR_STATE);
    assert_int_equal(nvme_controller_close(fixture->controller), error);
    fixture_drop(fixture);
}

static void only_queue_that_is_not_deleted_fails_its_controller(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = STATUS_INTERNAL;
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_DEVICE);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    check_failed(&fixture, NVME_ERR_FATAL);
}

static void late_admin_command_without_a_queue_fails_its_controller(void **state)
{
    struct fixture fixture;
    uint32_t nsid;

    (void)state;
    start(&fixture, 0);
    fixture.model->admin_silent = true;
    world.relax_ns = MS;
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_TIMEOUT);
    check_failed(&fixture, NVME_ERR_TIMEOUT);
}

static void late_log_page_without_a_queue_fails_its_controller(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 0);
    fixture.model->ready_delay_ns = 5 * STEP_MS * MS;
    fixture.model->events.log_silent = true;
    model_raise_event(fixture.model, NVME_ASYNC_ERROR, 0, NVME_LOG_ERRORS);
    for (int i = 0; i < 2 * FIXTURE_TIMEOUT_MS / STEP_MS; i++) {
        nvme_events_poll(fixture.controller);
        world_advance(STEP_MS * MS);
    }
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    check_failed(&fixture, NVME_ERR_TIMEOUT);
}

/* Its other queue is open, but nobody will call a watchdog any more. */
static void controller_that_closes_is_not_reset(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 2);
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = STATUS_INTERNAL;
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_DEVICE);
    assert_true(fixture_saw(&fixture, NVME_EVENT_DISABLED));
    fixture_drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_queue_that_is_not_deleted_fails_its_controller),
        cmocka_unit_test(late_admin_command_without_a_queue_fails_its_controller),
        cmocka_unit_test(late_log_page_without_a_queue_fails_its_controller),
        cmocka_unit_test(controller_that_closes_is_not_reset),
    };

    return fixture_run("reset_alone", tests, COUNT_OF(tests));
}
