// SPDX-License-Identifier: MIT
/*
 * reset.c, disable.c: what other harts do between two steps of a hart. A hook of the world plays
 * them (world.meanwhile).
 */
#include "fixture_reset.h"
#include "nvme_admin.h"

#define MS UINT64_C(1000000)

enum { STEP_MS = 10 };

/* Owners on other harts, between a look at RDY and what follows from it. */
static void fail_a_second_time(void *arg)
{
    struct fixture *fixture = arg;
    struct model *model = fixture->model;

    model->admin_silent = false;
    for (int i = 0; i < 100 && model->starts == 1; i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
    }
    if (model->starts != 1) {
        model->ready_delay_ns = 100 * MS;
        model->fatal = true;
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
        model->fatal = false;
    }
}

/* Else the old look would end the wait for the second RDY = 0. */
static void look_at_rdy_and_its_step_are_of_one_hart(void **state)
{
    struct fixture fixture;
    uint32_t nsid;

    (void)state;
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
    fixture.model->admin_silent = true;
    world.relax_ns = MS;
    world.meanwhile[WORLD_AT_REGISTER_BARRIER] = fail_a_second_time;
    world.meanwhile_arg = &fixture;
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_TIMEOUT);
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(fixture.model->starts, 2);
    fixture_check_works(&fixture, 0);
    fixture_finish(&fixture);
}

static void reset_meanwhile(void *arg)
{
    struct fixture *fixture = arg;
    struct outcome outcome = {0};

    fixture->model->on_demand = true;
    fixture_submit(fixture, 0, &outcome);
    fixture->model->fatal = true;
    for (int i = 0; i < 10 && (fixture->model->cc & NVME_CC_EN) != 0; i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
    }
    fixture->model->fatal = false;
    fixture_watch_until_reset(fixture, 1);
    outcome_check_error(&outcome, NVME_ERR_RESET);
}

static void late_log_page_of_an_earlier_life_fails_nothing(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init_reset(&fixture, false);
    fixture.config.events = true;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->events.log_silent = true;
    model_raise_event(fixture.model, NVME_ASYNC_ERROR, 0, NVME_LOG_ERRORS);
    nvme_events_poll(fixture.controller);
    assert_int_equal(fixture.model->events.requests, 0);
    world_advance(2 * FIXTURE_TIMEOUT_MS * MS);
    world.meanwhile[WORLD_AT_NOW] = reset_meanwhile;
    world.meanwhile_arg = &fixture;
    nvme_events_poll(fixture.controller);
    assert_true(fixture_saw(&fixture, NVME_EVENT_RESET));
    assert_false(fixture_saw(&fixture, NVME_EVENT_COMMAND_TIMEOUT));
    assert_int_equal(fixture.model->starts, 2);
    assert_int_not_equal(fixture.model->cc & NVME_CC_EN, 0);
    fixture_finish(&fixture);
}

/* ---- Answers to administration ----------------------------------------------------------- */

/* The second time: behind the first page of a call that reads two. */
static void reset_later(void *arg)
{
    (void)arg;
    world.meanwhile[WORLD_AT_IRQ_RESTORE] = reset_meanwhile;
}

enum call { NEXT, DESCRIBE, OPEN, PASS };

struct answer_case {
    const char *name;
    enum call call;
    void (*act)(void *arg);
};

static const struct answer_case answer_cases[] = {
    {"list_of_namespaces", NEXT, reset_meanwhile},
    {"description_of_a_namespace", DESCRIBE, reset_meanwhile},
    {"descriptors_of_a_namespace", DESCRIBE, reset_later},
    {"geometry_of_a_namespace", OPEN, reset_meanwhile},
    {"refusal_of_a_command", PASS, reset_meanwhile},
};

static enum nvme_error call_it(struct fixture *fixture, enum call call, uint64_t *answer)
{
    struct nvme_namespace_info info = {0};
    struct nvme_namespace ns = {0};
    struct nvme_command command = {.cdw0 = 0x0a}; /* Get Features, of none */
    struct nvme_result result;
    enum nvme_error error = NVME_OK;
    uint32_t nsid = 0;

    if (call == NEXT) {
        error = nvme_namespace_next(fixture->controller, 0, &nsid);
    } else if (call == DESCRIBE) {
        error = nvme_namespace_describe(fixture->controller, 1, &info);
    } else if (call == OPEN) {
        error = nvme_namespace_open(fixture->controller, 1, &ns);
    } else {
        error = nvme_admin_passthrough(fixture->controller, &command, NULL, 0, &result);
        nsid = result.status;
    }
    *answer = nsid + info.block_count + info.uuid[15] + ns.block_count;
    return error;
}

/* A reset uses the page and the result of admin commands: an answer is taken before it. */
static void reset_behind_a_command_does_not_change_its_answer(void **state)
{
    const struct answer_case *this = *state;
    struct fixture fixture;
    uint64_t expected;
    uint64_t answer;
    enum nvme_error error;

    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
    fixture.model->namespaces[0].uuid[15] = 0x77;
    error = call_it(&fixture, this->call, &expected);
    world.meanwhile[WORLD_AT_IRQ_RESTORE] = this->act;
    world.meanwhile_arg = &fixture;
    assert_int_equal(call_it(&fixture, this->call, &answer), error);
    assert_int_equal(answer, expected);
    world.meanwhile[WORLD_AT_IRQ_RESTORE] = NULL; /* no moment was left between the pages */
    fixture_finish(&fixture);
}

/* ---- Submit ------------------------------------------------------------------------------- */

/* A caller that tries again at once, in done(). */
static void post_again(void *arg, struct nvme_result result)
{
    struct fixture *fixture = arg;

    if (result.error == NVME_ERR_RESET) {
        fixture_post_with(fixture, 0, (struct nvme_callback){post_again, fixture});
    }
}

/* All owners take part, until the controller is enabled again. */
static void reset_halfway(void *arg)
{
    struct fixture *fixture = arg;

    fixture->model->fatal = true;
    for (int i = 0; i < 100 && fixture->model->starts == 1; i++) {
        world_advance(STEP_MS * MS);
        for (uint32_t q = 0; q < FIXTURE_QUEUES && fixture->queues[q] != NULL; q++) {
            nvme_queue_watchdog(fixture->queues[q], world.now_ns);
        }
        fixture->model->fatal = fixture->model->fatal && (fixture->model->cc & NVME_CC_EN) != 0;
    }
}

static void reset_as_far_as_it_goes(void *arg)
{
    struct fixture *fixture = arg;

    reset_halfway(arg);
    assert_int_equal(fixture->model->starts, 1);
    fixture->model->admin_silent = false;
}

/* The admin queue is in use: the controller is not enabled before the command has returned. */
static void reset_waits_for_a_command(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t nsid;

    (void)state;
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->admin_silent = true;
    world.meanwhile[WORLD_AT_RELAX] = reset_as_far_as_it_goes;
    world.meanwhile_arg = &fixture;
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_RESET);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(fixture.model->starts, 2);
    fixture_check_works(&fixture, 0);
    fixture_finish(&fixture);
}

/* Traps come before its doorbell, which would be that of a queue that the device has not. */
static void submit_that_meets_a_reset_rings_behind_it(void **state)
{
    const struct fixture_source *source = *state;
    struct fixture fixture;

    fixture_init_reset(&fixture, source->vectors);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    fixture_post_with(&fixture, 0, (struct nvme_callback){post_again, &fixture});
    nvme_queue_submit(fixture.queues[0]);
    fixture_post_with(&fixture, 0, (struct nvme_callback){post_again, &fixture});
    world.meanwhile[WORLD_AT_IRQ_SAVE] = reset_halfway;
    world.meanwhile_arg = &fixture;
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(fixture.model->starts, 2);
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(fixture.model->pending_count, 2);
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    fixture_finish(&fixture);
}

/* ---- Close -------------------------------------------------------------------------------- */

/* Else the pair that is set up meanwhile would be that of a closed queue. */
static void close_that_meets_a_reset_changes_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_reset(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 1, &outcome);
    world.meanwhile[WORLD_AT_IRQ_SAVE] = reset_halfway;
    world.meanwhile_arg = &fixture;
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_STATE);
    assert_int_equal(fixture.model->starts, 2);
    fixture_watch_until_reset(&fixture, 1);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture_check_works(&fixture, 0);
    fixture_check_works(&fixture, 1);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[4 + COUNT_OF(answer_cases) + FIXTURE_DELIVERIES] = {
        cmocka_unit_test(look_at_rdy_and_its_step_are_of_one_hart),
        cmocka_unit_test(late_log_page_of_an_earlier_life_fails_nothing),
        cmocka_unit_test(close_that_meets_a_reset_changes_nothing),
        cmocka_unit_test(reset_waits_for_a_command),
    };
    size_t count = 4;

    ADD_CASES(tests, &count, reset_behind_a_command_does_not_change_its_answer, answer_cases);
    ADD_CASES(tests, &count, submit_that_meets_a_reset_rings_behind_it, fixture_deliveries);
    return fixture_run("reset_races", tests, count);
}
