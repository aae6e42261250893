// SPDX-License-Identifier: MIT
/*
 * interrupt.c: a device that completes one command more whenever the handler gives one back, and an
 * owner that is quicker than the handler.
 */
#include "fixture.h"

static struct fixture *refilled;

/* At each head doorbell the device completes one more, of the first commands. */
static void complete_one(void *arg)
{
    (void)arg;
    model_step(refilled->model, 1);
    world.meanwhile[WORLD_AT_DOORBELL] = complete_one;
}

/* The handler gives up after some passes, but not the entry that is left then. */
static void line_that_stays_busy_interrupts_again(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t found;

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    fixture_submit_each(&fixture, FIXTURE_DEPTH - 1, &outcome);
    model_step(fixture.model, 1);
    refilled = &fixture;
    world.meanwhile[WORLD_AT_DOORBELL] = complete_one;
    assert_true(model_line_claim(&fixture.line));
    found = nvme_irq_handle(&fixture.controller, 1);
    world.meanwhile[WORLD_AT_DOORBELL] = NULL;
    assert_true(found < FIXTURE_DEPTH - 1);
    model_line_complete(&fixture.line);
    fixture_interrupts(&fixture);
    assert_true(outcome.count > found);
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    assert_int_equal(outcome.count, FIXTURE_DEPTH - 1);
    fixture_finish(&fixture);
}

/* A queue that is never empty takes nothing from another one. */
static void busy_queue_holds_up_no_other(void **state)
{
    (void)state;
    for (uint32_t busy = 0; busy < 2; busy++) {
        struct fixture fixture;
        struct outcome outcomes[2] = {0};

        fixture_interrupt_queues(&fixture, 2);
        fixture.model->on_demand = true;
        fixture_submit(&fixture, 1 - busy, &outcomes[1 - busy]);
        model_step(fixture.model, 1);
        for (uint32_t i = 0; i < FIXTURE_DEPTH - 1; i++) {
            fixture_submit(&fixture, busy, &outcomes[busy]);
        }
        model_step(fixture.model, 1);
        refilled = &fixture;
        world.meanwhile[WORLD_AT_DOORBELL] = complete_one;
        assert_true(model_line_claim(&fixture.line));
        nvme_irq_handle(&fixture.controller, 1);
        outcome_check_ok(&outcomes[1 - busy], BLOCK);
        world.meanwhile[WORLD_AT_DOORBELL] = NULL;
        model_line_complete(&fixture.line);
        model_step(fixture.model, UINT32_MAX);
        fixture_interrupts(&fixture);
        assert_int_equal(outcomes[busy].count, FIXTURE_DEPTH - 1);
        fixture_finish(&fixture);
    }
}

/* The owner of one of two controllers is quicker than their interrupts: no line counts a storm. */
static void owner_that_reaps_itself_makes_no_storm(void **state)
{
    struct fixture pair[2];
    struct nvme_controller *both[2];
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&pair[0], 1);
    fixture_init_more(&pair[1]);
    pair[1].model->line = &pair[0].line;
    fixture_start(&pair[1], 1, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 2; i++) {
        both[i] = pair[i].controller;
    }
    for (uint32_t turn = 1; turn <= 2 * NVME_STORM_INTERRUPTS; turn++) {
        fixture_submit(&pair[0], 0, &outcome);
        assert_int_equal(nvme_queue_reap(pair[0].queues[0], 1), 1);
        assert_int_equal(nvme_irq_handle(both, 2), 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_false(fixture_saw(&pair[i], NVME_EVENT_INTERRUPT_STORM));
    }
    fixture_finish(&pair[1]);
    fixture_finish(&pair[0]);
}

int main(void)
{
    struct CMUnitTest tests[2 + FIXTURE_LINES] = {
        cmocka_unit_test(busy_queue_holds_up_no_other),
        cmocka_unit_test(owner_that_reaps_itself_makes_no_storm),
    };
    size_t count = 2;

    fixture_add_cases(tests, &count, line_that_stays_busy_interrupts_again, fixture_sources,
                      FIXTURE_LINES, sizeof(fixture_sources[0]));
    return fixture_run("busy line", tests, count);
}
