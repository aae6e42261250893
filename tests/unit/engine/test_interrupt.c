// SPDX-License-Identifier: MIT
/*
 * interrupt.c: reap until nothing is left; storms; lines of several controllers. Against interrupt
 * controllers of three kinds. A line that a warm boot left high is in test_line.c.
 */
#include "fixture.h"

/* ---- The handler ------------------------------------------------------------------------ */

/* Completions come one by one, also between the reap and the end of the handler. */
static void no_interrupt_is_lost(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t posted = 0;

    fixture_start_on(&fixture, this, 2, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    for (uint32_t turn = 0; turn < 500; turn++) {
        while (nvme_queue_outstanding(fixture.queues[turn % 2]) < 8) {
            fixture_submit(&fixture, turn % 2, &outcome);
            posted++;
        }
        model_step(fixture.model, 1 + turn % 5);
        assert_true(model_line_claim(&fixture.line));
        nvme_irq_handle(&fixture.controller, 1);
        model_step(fixture.model, turn % 3); /* before complete */
        model_line_complete(&fixture.line);
        model_step(fixture.model, turn % 2); /* after it */
        fixture_interrupts(&fixture);
        assert_false(model_level(fixture.model));
    }
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    assert_int_equal(outcome.count, posted);
    assert_int_equal(fixture_counters(fixture.queues[0]).missed, 0);
    fixture_finish(&fixture);
}

static void handler_reaps_every_queue_and_writes_no_mask(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[3] = {0};
    uint32_t writes;

    (void)state;
    fixture_interrupt_queues(&fixture, 3);
    for (uint32_t i = 0; i < 3; i++) {
        fixture_submit(&fixture, i, &outcomes[i]);
    }
    writes = fixture.model->write_count;
    assert_true(model_line_claim(&fixture.line));
    assert_int_equal(nvme_irq_handle(&fixture.controller, 1), 3);
    model_line_complete(&fixture.line);
    assert_int_equal(fixture.model->write_count, writes);
    for (uint32_t i = 0; i < 3; i++) {
        outcome_check_ok(&outcomes[i], BLOCK);
        assert_int_equal(model_doorbell_count(fixture.model, i + 1, true), 1);
    }
    assert_false(fixture.line.pending);
    fixture_finish(&fixture);
}

static void spurious_interrupt_rings_nothing_and_is_counted(void **state)
{
    struct fixture fixture;
    uint32_t doorbells;

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    doorbells = fixture.model->doorbell_count;
    assert_int_equal(nvme_irq_handle(&fixture.controller, 1), 0);
    assert_int_equal(fixture.model->doorbell_count, doorbells);
    assert_int_equal(fixture.model->interrupt_mask, 0);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 1);
    fixture_finish(&fixture);
}

static void admin_entry_that_nobody_awaits_does_not_hold_the_line(void **state)
{
    struct fixture fixture;
    struct nvme_completion entry = {.status = 0x7777};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    model_post_entry(fixture.model, 0, entry);
    assert_true(model_level(fixture.model));
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_false(model_level(fixture.model));
    fixture_finish(&fixture);
}

static void poll_queue_on_the_controller_is_left_to_its_owner(void **state)
{
    struct fixture fixture;
    struct nvme_queue_config config = {.owner = 3, .mode = NVME_MODE_POLL};
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &fixture.queues[1]), NVME_OK);
    fixture_interrupts(&fixture);
    fixture_submit(&fixture, 1, &outcome);
    assert_false(fixture.line.pending);
    assert_int_equal(nvme_irq_handle(&fixture.controller, 1), 0);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(nvme_queue_reap(fixture.queues[1], 1), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void bottom_half_reaps_between_enter_and_exit(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    fixture_submit(&fixture, 0, &outcome);
    assert_true(model_line_claim(&fixture.line));
    nvme_irq_enter(fixture.controller);
    model_line_complete(&fixture.line);
    assert_int_equal(fixture.model->interrupt_mask, 1);
    assert_false(model_level(fixture.model));
    nvme_irq_exit(fixture.controller, nvme_queue_reap(fixture.queues[0], 16));
    assert_int_equal(fixture.model->interrupt_mask, 0);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture_counters(fixture.queues[0]).interrupts, 1);
    fixture_finish(&fixture);
}

static void what_a_bottom_half_leaves_interrupts_again(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    fixture_submit(&fixture, 0, &outcome);
    fixture_submit(&fixture, 0, &outcome);
    assert_true(model_line_claim(&fixture.line));
    nvme_irq_enter(fixture.controller);
    model_line_complete(&fixture.line);
    nvme_irq_exit(fixture.controller, nvme_queue_reap(fixture.queues[0], 1));
    assert_true(fixture.line.pending);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(outcome.count, 2);
    fixture_finish(&fixture);
}

/* ---- Storms ----------------------------------------------------------------------------- */

static void storm_masks_the_line_at_its_bound_and_not_before(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    for (uint32_t i = 1; i < NVME_STORM_INTERRUPTS; i++) {
        nvme_irq_handle(&fixture.controller, 1);
    }
    fixture_submit(&fixture, 0, &outcome); /* one completion begins the count anew, */
    assert_int_equal(nvme_irq_handle(&fixture.controller, 1), 1);
    for (uint32_t i = 0; i < NVME_STORM_INTERRUPTS;
         i++) { /* and the first interrupt may be for it */
        nvme_irq_handle(&fixture.controller, 1);
        assert_int_equal(fixture.model->interrupt_mask, 0);
    }
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_INTERRUPT);
    nvme_irq_handle(&fixture.controller, 1);
    assert_int_equal(fixture.model->interrupt_mask, 1);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_POLL);
    assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_INTERRUPT_STORM).value,
                     NVME_STORM_INTERRUPTS);
    outcome = (struct outcome){0};
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void interrupts_of_another_device_are_no_storm(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    for (uint32_t i = 0; i < 2 * NVME_STORM_INTERRUPTS; i++) {
        nvme_irq_handle(&fixture.controller, 1);
        nvme_irq_other_device(&fixture.controller, 1);
    }
    assert_false(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
    for (uint32_t i = 0; i < NVME_STORM_INTERRUPTS; i++) {
        nvme_irq_handle(&fixture.controller, 1);
    }
    assert_true(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
    fixture_finish(&fixture);
}

/* ---- Owners and arming ------------------------------------------------------------------ */

static void second_owner_on_one_line_is_refused(void **state)
{
    struct fixture fixture;
    struct nvme_queue_config config = {.owner = 1, .mode = NVME_MODE_INTERRUPT};
    struct nvme_queue *queue = NULL;

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &queue), NVME_ERR_INTERRUPT);
    assert_null(queue);
    config.owner = 0;
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &queue), NVME_OK);
    assert_int_equal(nvme_queue_close(queue), NVME_OK);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(fixture.model->interrupt_mask, 1);
    config.owner = 1; /* nobody holds the line now */
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &queue), NVME_OK);
    assert_int_equal(fixture.model->interrupt_mask, 0);
    fixture_finish(&fixture);
}

static void arm_says_whether_sleeping_is_safe(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t reads;

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    reads = world.register_reads;
    assert_true(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    model_step(fixture.model, 1);
    assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    assert_int_equal(world.register_reads, reads);
    fixture_interrupts(&fixture);
    assert_true(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void poll_queue_is_never_armed(void **state)
{
    struct fixture fixture;

    (void)state;
    assert_false(nvme_queue_arm(fixture_poll_queue(&fixture), NVME_WAIT_BLOCKED));
    fixture_finish(&fixture);
}

static void admin_command_amid_io_loses_no_interrupt(void **state)
{
    struct fixture fixture;
    struct nvme_namespace ns;
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    fixture_submit(&fixture, 0, &outcome);
    fixture.line.pending = false; /* a falling line cleared it, or the hart took it too early */
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_OK);
    assert_int_equal(fixture.model->interrupt_mask, 0);
    assert_true(fixture.line.pending);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* ---- Two controllers on one line -------------------------------------------------------- */

static void line_of_two_controllers_is_reaped_as_one(void **state)
{
    struct fixture first;
    struct fixture second;
    struct nvme_controller *both[2];
    struct outcome outcomes[2] = {0};

    (void)state;
    fixture_interrupt_queues(&first, 1);
    fixture_init_more(&second);
    second.model->line = &first.line;
    fixture_start(&second, 1, NVME_MODE_INTERRUPT);
    both[0] = first.controller;
    both[1] = second.controller;
    for (uint32_t turn = 1; turn <= 2 * NVME_STORM_INTERRUPTS; turn++) {
        /* Only one of them has work, in turns: the other's interrupts are no storm. */
        struct fixture *busy = turn % 2 == 0 ? &first : &second;

        fixture_submit(busy, 0, &outcomes[turn % 2]);
        assert_true(model_line_claim(&first.line));
        assert_true(nvme_irq_handle(both, 2) <= 2);
        model_line_complete(&first.line);
        assert_int_equal(outcomes[turn % 2].count, (turn + 1) / 2);
    }
    fixture_submit(&first, 0, &outcomes[0]);
    fixture_submit(&second, 0, &outcomes[1]);
    assert_int_equal(nvme_irq_handle(both, 2), 2);
    assert_int_equal(fixture_counters(first.queues[0]).spurious, 0);
    assert_false(fixture_saw(&first, NVME_EVENT_INTERRUPT_STORM));
    assert_int_equal(first.line.high, 0);
    assert_int_equal(nvme_controller_close(second.controller), NVME_OK);
    assert_int_equal(nvme_controller_close(first.controller), NVME_OK);
    fixture_drop(&second);
    fixture_drop(&first);
}

int main(void)
{
    struct CMUnitTest tests[13 + FIXTURE_LINES] = {
        cmocka_unit_test(handler_reaps_every_queue_and_writes_no_mask),
        cmocka_unit_test(spurious_interrupt_rings_nothing_and_is_counted),
        cmocka_unit_test(admin_entry_that_nobody_awaits_does_not_hold_the_line),
        cmocka_unit_test(poll_queue_on_the_controller_is_left_to_its_owner),
        cmocka_unit_test(bottom_half_reaps_between_enter_and_exit),
        cmocka_unit_test(what_a_bottom_half_leaves_interrupts_again),
        cmocka_unit_test(storm_masks_the_line_at_its_bound_and_not_before),
        cmocka_unit_test(interrupts_of_another_device_are_no_storm),
        cmocka_unit_test(second_owner_on_one_line_is_refused),
        cmocka_unit_test(arm_says_whether_sleeping_is_safe),
        cmocka_unit_test(poll_queue_is_never_armed),
        cmocka_unit_test(admin_command_amid_io_loses_no_interrupt),
        cmocka_unit_test(line_of_two_controllers_is_reaped_as_one),
    };
    size_t count = 13;

    fixture_add_cases(tests, &count, no_interrupt_is_lost, fixture_sources, FIXTURE_LINES,
                      sizeof(fixture_sources[0]));
    return fixture_run("interrupt", tests, count);
}
