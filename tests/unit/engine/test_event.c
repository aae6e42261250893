// SPDX-License-Identifier: MIT
/*
 * event.c: asynchronous events, from the request to the report, and what ends a request instead.
 * Events in the middle of I/O that interrupts are in test_event_line.c.
 */
#include "fixture_reset.h"

#define MS UINT64_C(1000000)

enum { STATUS_INTERNAL = 0x006, POLLS = 4 };

static void init(struct fixture *fixture)
{
    fixture_init(fixture);
    fixture->config.events = true;
    fixture->model->events.optional = (uint32_t)(NVME_EVENTS_NAMESPACES | NVME_EVENTS_FIRMWARE);
}

/* One poll queue. */
static void start(struct fixture *fixture)
{
    init(fixture);
    fixture_start(fixture, 1, NVME_MODE_POLL);
}

/* Enough polls for one event. */
static void poll_events(struct fixture *fixture)
{
    for (uint32_t i = 0; i < POLLS; i++) {
        nvme_events_poll(fixture->controller);
    }
}

/* ---- Arming ----------------------------------------------------------------------------- */

static void without_the_wish_nothing_is_armed(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_poll_queue(&fixture);
    assert_int_equal(fixture.model->events.requests, 0);
    assert_int_equal(fixture.model->events.config, 0);
    model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
    poll_events(&fixture);
    assert_int_equal(fixture.event_count, 0);
    fixture_finish(&fixture);
}

static void only_offered_events_are_enabled(void **state)
{
    struct fixture fixture;

    (void)state;
    init(&fixture);
    fixture.model->events.optional = (uint32_t)NVME_EVENTS_NAMESPACES | UINT32_C(1) << 27;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(fixture.model->events.config, NVME_EVENTS_HEALTH | NVME_EVENTS_NAMESPACES);
    assert_int_equal(fixture.model->events.requests, 1);
    fixture_finish(&fixture);
}

struct refused_case {
    const char *name;
    uint8_t opcode;
    uint32_t requests; /* armed all the same */
};

static const struct refused_case refused_cases[] = {
    {"refused_feature_leaves_errors", NVME_ADMIN_SET_FEATURES, 1},
    {"refused_request_is_not_repeated", NVME_ADMIN_ASYNC_EVENT_REQUEST, 0},
};

static void refusal_is_told_and_bring_up_goes_on(void **state)
{
    const struct refused_case *this = *state;
    struct fixture fixture;

    init(&fixture);
    fixture.model->admin_status[this->opcode] = STATUS_INTERNAL;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    for (uint32_t i = 0; i < 100; i++) {
        nvme_events_poll(fixture.controller);
    }
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_ADMIN_FAILED).value, this->opcode);
    assert_int_equal(fixture.model->events.requests, this->requests);
    assert_in_range(fixture.model->admin_commands[NVME_ADMIN_ASYNC_EVENT_REQUEST], 0, 1);
    fixture_finish(&fixture);
}

/* ---- Each event ------------------------------------------------------------------------- */

struct event_case {
    const char *name;
    enum nvme_async_type type;
    uint32_t information;
    enum nvme_log log;
    enum nvme_event_kind kind;
    uint64_t value;
    uint64_t limit;
};

static const struct event_case event_cases[] = {
    {"error", NVME_ASYNC_ERROR, 3, NVME_LOG_ERRORS, NVME_EVENT_DEVICE_ERROR, 3, 77},
    {"health", NVME_ASYNC_HEALTH, 1, NVME_LOG_HEALTH, NVME_EVENT_HEALTH, 0x02, 345},
    {"namespace", NVME_ASYNC_NOTICE, NVME_NOTICE_NAMESPACES, NVME_LOG_CHANGED_NAMESPACES,
     NVME_EVENT_NAMESPACE_CHANGED, 1, 0},
    {"firmware", NVME_ASYNC_NOTICE, NVME_NOTICE_FIRMWARE, NVME_LOG_FIRMWARE,
     NVME_EVENT_FIRMWARE_ACTIVATION, 0x030102, 0},
    {"other_notice", NVME_ASYNC_NOTICE, 9, NVME_LOG_FIRMWARE, NVME_EVENT_ASYNCHRONOUS, 0x030902, 0},
    {"vendor_type", 7, 1, 0xc0, NVME_EVENT_ASYNCHRONOUS, 0xc00107, 0},
};

static void event_is_reported_and_the_next_one_too(void **state)
{
    const struct event_case *this = *state;
    struct fixture fixture;

    start(&fixture);
    fixture.model->events.error_count = 77;
    fixture.model->events.critical_warning = 0x02;
    fixture.model->events.temperature = 345;
    for (uint32_t i = 1; i <= 3; i++) {
        fixture.model->events.changed[0] = 1;
        model_raise_event(fixture.model, this->type, this->information, this->log);
        poll_events(&fixture);
        assert_int_equal(fixture_count_events(&fixture, this->kind), i);
        assert_int_equal(fixture_event(&fixture, this->kind).value, this->value);
        assert_int_equal(fixture_event(&fixture, this->kind).limit, this->limit);
        assert_int_equal(fixture.model->events.requests, 1);
        assert_int_equal(fixture.model->events.log_reads, i);
        fixture.model->events.told = 0; /* a log page without a type clears none */
    }
    fixture_finish(&fixture);
}

static void step_per_poll(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture);
    model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
    model_raise_event(fixture.model, NVME_ASYNC_ERROR, 0, NVME_LOG_ERRORS);
    for (uint32_t polls = 1; polls <= 8; polls++) {
        nvme_events_poll(fixture.controller);
        /* Two for each: the log page is read, then reported. */
        assert_int_equal(fixture.event_count, polls < 4 ? polls / 2 : 2);
    }
    fixture_finish(&fixture);
}

/* ---- The list of namespaces -------------------------------------------------------------- */

struct list_case {
    const char *name;
    uint32_t list[4];
    uint32_t events;
    uint64_t last;
};

static const struct list_case list_cases[] = {
    {"several", {1, 3, 4}, 3, 4},
    {"too_many_stand_for_all", {0xffffffff}, 1, 0xffffffff},
    {"empty_list_stands_for_all", {0}, 1, 0xffffffff},
    {"above_nn_stands_for_all", {5}, 1, 0xffffffff},
    {"not_in_order_ends_the_list", {2, 3, 3, 4}, 2, 3},
    {"above_nn_ends_the_list", {2, 5, 3}, 1, 2},
};

static void list_is_checked(void **state)
{
    const struct list_case *this = *state;
    struct fixture fixture;

    start(&fixture);
    assert_int_equal(fixture.model->namespace_count, 4);
    memcpy(fixture.model->events.changed, this->list, sizeof(this->list));
    model_raise_event(fixture.model, NVME_ASYNC_NOTICE, 0, NVME_LOG_CHANGED_NAMESPACES);
    poll_events(&fixture);
    assert_int_equal(fixture.event_count, this->events);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_NAMESPACE_CHANGED).value, this->last);
    fixture_finish(&fixture);
}

static void refused_log_page_is_told_and_the_next_event_comes(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture);
    fixture.model->admin_status[NVME_ADMIN_GET_LOG_PAGE] = STATUS_INTERNAL;
    model_raise_event(fixture.model, NVME_ASYNC_NOTICE, 0, NVME_LOG_CHANGED_NAMESPACES);
    poll_events(&fixture);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_ADMIN_FAILED).value,
                     NVME_ADMIN_GET_LOG_PAGE);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_NAMESPACE_CHANGED).value, 0xffffffff);
    model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
    poll_events(&fixture);
    assert_true(fixture_saw(&fixture, NVME_EVENT_HEALTH));
    fixture_finish(&fixture);
}

static void changed_namespace_is_opened_anew(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture);
    model_set_namespace(fixture.model, 1, 9, 4096);
    fixture.model->events.changed[0] = 1;
    model_raise_event(fixture.model, NVME_ASYNC_NOTICE, 0, NVME_LOG_CHANGED_NAMESPACES);
    poll_events(&fixture);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_NAMESPACE_CHANGED).value, 1);
    assert_int_equal(fixture.ns.block_count, 2048);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), NVME_OK);
    assert_int_equal(fixture.ns.block_count, 4096);
    assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, 4095, 1, fixture_block,
                               outcome_callback(&outcome)),
                     NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    fixture_reap(&fixture);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* ---- No deadline, no hold on a queue ----------------------------------------------------- */

static void request_outlives_every_deadline(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    init(&fixture);
    fixture.config.command_timeout_ns = 1000 * MS;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    for (uint32_t i = 0; i < 500; i++) {
        world_advance(10 * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        nvme_events_poll(fixture.controller);
    }
    assert_int_equal(fixture.event_count, 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    fixture_submit(&fixture, 0, &outcome);
    fixture_reap(&fixture);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
    assert_false(fixture_saw(&fixture, NVME_EVENT_ADMIN_FAILED));
}

static void late_log_page_ends_the_controller(void **state)
{
    struct fixture fixture;

    (void)state;
    init(&fixture);
    fixture.config.command_timeout_ns = 1000 * MS;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->events.log_silent = true;
    model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
    for (uint32_t i = 0; i < 120 && !fixture_saw(&fixture, NVME_EVENT_COMMAND_TIMEOUT); i++) {
        assert_true(i < 100 || world.now_ns >= 1000 * MS);
        nvme_events_poll(fixture.controller);
        world_advance(10 * MS);
    }
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_COMMAND_TIMEOUT).limit, 1000);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    assert_false(fixture_saw(&fixture, NVME_EVENT_HEALTH));
    fixture_drop(&fixture);
}

/* ---- The end of the controller at every step ---------------------------------------------- */

enum step { ARMED, TOLD, READING, ANSWERED, STEPS };

static void go_to(struct fixture *fixture, enum step step)
{
    fixture->model->events.log_silent = step == READING;
    if (step >= TOLD) {
        model_raise_event(fixture->model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
    }
    if (step >= READING) {
        nvme_events_poll(fixture->controller);
    }
}

struct end_case {
    const char *name;
    bool removed;
    bool fatal;
    enum nvme_error error;
};

static const struct end_case end_cases[] = {
    {"orderly_close_at_every_step", false, false, NVME_OK},
    {"removal_at_every_step", true, false, NVME_ERR_REMOVED},
    {"fatal_status_at_every_step", false, true, NVME_ERR_FATAL},
};

/* Whatever the request is doing, the controller ends, and its memory serves the next one. */
static void request_ends_with_the_controller(void **state)
{
    const struct end_case *this = *state;

    for (enum step step = ARMED; step < STEPS; step++) {
        struct fixture fixture;
        struct outcome outcome = {0};

        start(&fixture);
        fixture.model->on_demand = this->error != NVME_OK;
        go_to(&fixture, step);
        fixture.model->gone = this->removed;
        fixture.model->fatal = this->fatal;
        if (this->error != NVME_OK) {
            fixture_submit(&fixture, 0, &outcome);
        }
        for (uint32_t i = 0; i < 4; i++) {
            world_advance(10 * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
            nvme_events_poll(fixture.controller);
        }
        assert_int_equal(outcome.count, this->error != NVME_OK);
        assert_int_equal(nvme_controller_close(fixture.controller), this->error);
        model_free(fixture.model);
        fixture.model = model_new();
        fixture.config.registers = fixture.model->bar;
        fixture.model->line = &fixture.line;
        fixture_start(&fixture, 1, NVME_MODE_POLL);
        assert_int_equal(fixture.model->events.requests, 1);
        fixture.event_count = 0;
        model_raise_event(fixture.model, NVME_ASYNC_ERROR, 0, NVME_LOG_ERRORS);
        poll_events(&fixture);
        assert_int_equal(fixture.event_count, 1);
        fixture_finish(&fixture);
    }
}

static void reset_at_every_step_arms_again(void **state)
{
    (void)state;
    for (enum step step = ARMED; step < STEPS; step++) {
        struct fixture fixture;
        struct outcome outcome = {0};

        init(&fixture);
        fixture.config.resets_max = 3;
        fixture_start(&fixture, 1, NVME_MODE_POLL);
        go_to(&fixture, step);
        fixture.model->on_demand = true;
        fixture_submit(&fixture, 0, &outcome);
        fixture.model->fatal = true;
        for (int i = 0; i < 100 && (fixture.model->cc & NVME_CC_EN) != 0; i++) {
            world_advance(10 * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
            nvme_events_poll(fixture.controller);
        }
        fixture.model->fatal = false;
        fixture.model->events.log_silent = false;
        fixture_watch_until_reset(&fixture, 1);
        outcome_check_error(&outcome, NVME_ERR_RESET);
        assert_int_equal(fixture.model->events.requests, 1);
        model_raise_event(fixture.model, NVME_ASYNC_ERROR, 0, NVME_LOG_ERRORS);
        poll_events(&fixture);
        assert_int_equal(fixture_count_events(&fixture, NVME_EVENT_DEVICE_ERROR), 1);
        fixture_finish(&fixture);
    }
}

int main(void)
{
    struct CMUnitTest tests[40] = {
        cmocka_unit_test(without_the_wish_nothing_is_armed),
        cmocka_unit_test(only_offered_events_are_enabled),
        cmocka_unit_test(step_per_poll),
        cmocka_unit_test(refused_log_page_is_told_and_the_next_event_comes),
        cmocka_unit_test(changed_namespace_is_opened_anew),
        cmocka_unit_test(request_outlives_every_deadline),
        cmocka_unit_test(late_log_page_ends_the_controller),
        cmocka_unit_test(reset_at_every_step_arms_again),
    };
    size_t count = 8;

    ADD_CASES(tests, &count, refusal_is_told_and_bring_up_goes_on, refused_cases);
    ADD_CASES(tests, &count, event_is_reported_and_the_next_one_too, event_cases);
    ADD_CASES(tests, &count, list_is_checked, list_cases);
    ADD_CASES(tests, &count, request_ends_with_the_controller, end_cases);
    return fixture_run("event", tests, count);
}
