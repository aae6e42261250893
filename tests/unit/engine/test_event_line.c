// SPDX-License-Identifier: MIT
/*
 * event.c and interrupt.c: the entry of an Asynchronous Event Request on a line that others use.
 */
#include "fixture.h"

enum { POLLS = 4 };

/* Interrupt queues of one owner; no interrupt is pending. */
static void start(struct fixture *fixture, const struct fixture_source *source, uint32_t count)
{
    fixture_init(fixture);
    fixture->config.events = true;
    fixture->line.kind = source->kind;
    if (source->vectors) {
        fixture_use_vectors(fixture);
    }
    fixture_start(fixture, count, NVME_MODE_INTERRUPT);
    fixture_interrupts(fixture);
}

/* An event in the middle of I/O may not keep a line up that latches edges only. */
static void event_loses_no_interrupt(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    start(&fixture, *state, 2);
    fixture.model->on_demand = true;
    for (uint32_t i = 1; i <= 20; i++) {
        fixture_submit(&fixture, i % 2, &outcome);
        if (i % 3 == 0) {
            model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
        }
        model_step(fixture.model, 1);
        if (i % 3 == 1) {
            model_raise_event(fixture.model, NVME_ASYNC_ERROR, 0, NVME_LOG_ERRORS);
        }
        fixture_interrupts(&fixture);
        assert_int_equal(outcome.count, i);
        nvme_events_poll(fixture.controller);
        fixture_interrupts(&fixture);
        assert_false(model_level(fixture.model) && !fixture.config.msix);
    }
    for (uint32_t i = 0; i < POLLS; i++) {
        nvme_events_poll(fixture.controller);
    }
    assert_in_range(fixture.event_count, 4, 14);
    assert_int_equal(fixture_counters(fixture.queues[0]).missed, 0);
    fixture_finish(&fixture);
}

/* The event comes while the handler is busy with a queue: it looks at the admin queue as well. */
static void busy_handler_sees_the_event(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    start(&fixture, *state, 1);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
    model_step(fixture.model, 1);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_false(model_level(fixture.model) && !fixture.config.msix);
    fixture_submit(&fixture, 0, &outcome);
    model_step(fixture.model, 1);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(outcome.count, 2);
    for (uint32_t i = 0; i < POLLS; i++) {
        nvme_events_poll(fixture.controller);
    }
    assert_int_equal(fixture.event_count, 1);
    assert_true(fixture_saw(&fixture, NVME_EVENT_HEALTH));
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[2 * FIXTURE_SOURCES] = {{0}};
    size_t count = 0;

    ADD_CASES(tests, &count, event_loses_no_interrupt, fixture_sources);
    ADD_CASES(tests, &count, busy_handler_sees_the_event, fixture_sources);
    return fixture_run("event_line", tests, count);
}
