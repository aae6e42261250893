// SPDX-License-Identifier: MIT
/*
 * interrupt.c: a device that completes one command more whenever the handler gives one back.
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

int main(void)
{
    struct CMUnitTest tests[1 + FIXTURE_LINES] = {
        cmocka_unit_test(busy_queue_holds_up_no_other),
    };
    size_t count = 1;

    fixture_add_cases(tests, &count, line_that_stays_busy_interrupts_again, fixture_sources,
                      FIXTURE_LINES, sizeof(fixture_sources[0]));
    return fixture_run("busy line", tests, count);
}
