// SPDX-License-Identifier: MIT
/*
 * admin.c: commands that are refused, or overtaken by a failure; what the callers make of it.
 * Commands that are never answered are in test_controller.c.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)

enum {
    CC_READY = 0x460001,
    STATUS_INTERNAL = 0x006,
};

/* ---- Refused ---------------------------------------------------------------------------- */

struct refused_case {
    const char *name;
    uint8_t opcode;
    enum nvme_error open;  /* of the controller */
    enum nvme_error queue; /* of a queue, opened and closed */
};

static const struct refused_case refused_cases[] = {
    {"identify_refused", NVME_ADMIN_IDENTIFY, NVME_ERR_DEVICE, NVME_OK},
    {"number_of_queues_refused", NVME_ADMIN_SET_FEATURES, NVME_OK, NVME_ERR_QUEUES},
    {"create_cq_refused", NVME_ADMIN_CREATE_CQ, NVME_OK, NVME_ERR_DEVICE},
    {"create_sq_refused", NVME_ADMIN_CREATE_SQ, NVME_OK, NVME_ERR_DEVICE},
    {"delete_sq_refused", NVME_ADMIN_DELETE_SQ, NVME_OK, NVME_ERR_DEVICE},
    {"delete_cq_refused", NVME_ADMIN_DELETE_CQ, NVME_OK, NVME_ERR_DEVICE},
};

static void refusal_is_passed_on_and_told(void **state)
{
    const struct refused_case *this = *state;
    struct fixture fixture;
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};
    enum nvme_error error;
    struct nvme_event event;

    fixture_init(&fixture);
    fixture.model->admin_status[this->opcode] = STATUS_INTERNAL;
    assert_int_equal(fixture_open(&fixture), this->open);
    if (this->open == NVME_OK) {
        error = nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]);
        if (error == NVME_OK) {
            error = nvme_queue_close(fixture.queues[0]);
        }
        assert_int_equal(error, this->queue);
    }
    event = fixture_event(&fixture, NVME_EVENT_ADMIN_FAILED);
    assert_int_equal(event.value, this->opcode);
    assert_int_equal(event.limit, STATUS_INTERNAL);
    fixture_drop(&fixture);
}

static void refused_deletion_on_a_device_that_cannot_be_stopped_is_stuck(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    fixture.model->stop_never = true;
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = STATUS_INTERNAL;
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_STUCK);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 1);
    assert_true(fixture_saw(&fixture, NVME_EVENT_DISABLE_TIMEOUT));
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_STUCK);
    fixture_drop(&fixture);
}

/* ---- Overtaken -------------------------------------------------------------------------- */

/* Another hart's watchdog finds that the device is dead. */
static void owner_finds_it_dead(void *arg)
{
    struct fixture *fixture = arg;

    fixture->model->fatal = true;
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    nvme_queue_watchdog(fixture->queues[1], world.now_ns);
}

static void command_ends_when_an_owner_disables_the_controller(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_namespace ns;
    uint64_t began;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture.model->ready_delay_ns = 50 * MS;
    fixture_submit(&fixture, 1, &outcome);
    fixture.model->admin_silent = true;
    world.meanwhile_arg = &fixture;
    world.meanwhile[WORLD_AT_RELAX] = owner_finds_it_dead;
    began = world.now_ns;
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_ERR_STATE);
    /* RDY was waited for, the command's own deadline was not. */
    assert_in_range((world.now_ns - began) / MS, 50, 200);
    assert_int_equal(outcome.count, 0);
    nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

static void failed_controller_takes_no_admin_command(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};
    struct nvme_namespace ns;
    uint32_t doorbells;
    uint32_t nsid = 7;

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->fatal = true;
    for (int i = 0; i < 3; i++) {
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    doorbells = fixture.model->doorbell_count;
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_STATE);
    assert_int_equal(nsid, 7);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_ERR_STATE);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &fixture.queues[1]),
                     NVME_ERR_STATE);
    assert_null(fixture.queues[1]);
    assert_int_equal(fixture.model->doorbell_count, doorbells);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

/* ---- A controller that a warm boot left running ------------------------------------------ */

static uint32_t gone_once_ready(struct model *model, uint32_t offset, uint32_t value)
{
    (void)model;
    return offset == NVME_REG_CSTS ? NVME_REGISTER_GONE : value;
}

static void running_controller_that_goes_away_is_not_written_to(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cc = CC_READY;
    fixture.model->ready = true;
    fixture.model->lie = gone_once_ready;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_REMOVED);
    assert_true(fixture_saw(&fixture, NVME_EVENT_REMOVED));
    assert_int_equal(fixture.model->write_count, 0);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[4 + COUNT_OF(refused_cases)] = {
        cmocka_unit_test(refused_deletion_on_a_device_that_cannot_be_stopped_is_stuck),
        cmocka_unit_test(command_ends_when_an_owner_disables_the_controller),
        cmocka_unit_test(failed_controller_takes_no_admin_command),
        cmocka_unit_test(running_controller_that_goes_away_is_not_written_to),
    };
    size_t count = 4;

    ADD_CASES(tests, &count, refusal_is_passed_on_and_told, refused_cases);
    return fixture_run("admin", tests, count);
}
