// SPDX-License-Identifier: MIT
/*
 * reset.c, setup.c: a reset and the interrupts of its line. Requests are in test_reset.c.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)
#define TIMEOUT_MS 1000

enum {
    STEP_MS = 10,
    RESETS_MAX = 3,
};

static void configure(struct fixture *fixture)
{
    fixture->config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture->config.resets_max = RESETS_MAX;
}

/* ---- The handler meets a controller that is set up ---------------------------------------- */

/* A latched edge, or another controller of the line: the admin queue is not the handler's. */
static void handler_leaves_the_admin_queue_to_the_reset(void **state)
{
    const struct fixture_source *source = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t met = 0;

    fixture_init(&fixture);
    fixture.line.kind = source->kind;
    fixture.config.events = true;
    configure(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while (!fixture_saw(&fixture, NVME_EVENT_RESET)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        if (outcome.count != 0 && !fixture_saw(&fixture, NVME_EVENT_RESET)) {
            met += model_cq_held(fixture.model, 0) != 0;
            assert_int_equal(nvme_irq_handle(&fixture.controller, 1), 0);
        }
    }
    assert_true(met > 2);
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(model_cq_held(fixture.model, 0), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
        assert_int_equal(fixture_interrupts(&fixture), 1); /* the handler reaps it again */
        nvme_events_poll(fixture.controller);
        nvme_events_poll(fixture.controller);
        assert_int_equal(fixture.event_count, 2 + i);
    }
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[FIXTURE_LINES] = {{0}};
    size_t count = 0;

    fixture_add_cases(tests, &count, handler_leaves_the_admin_queue_to_the_reset, fixture_sources,
                      FIXTURE_LINES, sizeof(fixture_sources[0]));
    return fixture_run("reset_line", tests, count);
}
