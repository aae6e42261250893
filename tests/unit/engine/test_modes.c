// SPDX-License-Identifier: MIT
/*
 * source.c: whose mode it is: that of a line and all its queues, or of one vector; queues that
 * cannot change theirs.
 */
#include "fixture.h"
#include "nvme_bench.h"

static const enum nvme_mode modes[] = {NVME_MODE_POLL, NVME_MODE_INTERRUPT, NVME_MODE_HYBRID};

static void set_mode(struct fixture *fixture, enum nvme_mode mode)
{
    assert_int_equal(nvme_queue_set_mode(fixture->queues[0], mode), NVME_OK);
    assert_int_equal(nvme_queue_mode(fixture->queues[0]), mode);
}

/* The mode is the line's, and the queues that poll from the start are not asked. */
static void line_changes_for_all_its_queues(void **state)
{
    struct fixture fixture;
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};
    struct outcome outcomes[2] = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    assert_int_equal(nvme_queue_open(fixture.controller, 2, &config, &fixture.queues[2]), NVME_OK);
    set_mode(&fixture, NVME_MODE_HYBRID);
    assert_int_equal(nvme_queue_mode(fixture.queues[1]), NVME_MODE_HYBRID);
    assert_int_equal(nvme_queue_mode(fixture.queues[2]), NVME_MODE_POLL);
    set_mode(&fixture, NVME_MODE_POLL);
    fixture_submit(&fixture, 1, &outcomes[1]);
    assert_int_equal(fixture_interrupts(&fixture), 0);
    assert_int_equal(nvme_queue_reap(fixture.queues[1], 1), 1);
    /* A queue that is opened with interrupts takes the others along. */
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    config.mode = NVME_MODE_INTERRUPT;
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_queue_mode(fixture.queues[1]), NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 1, &outcomes[1]);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(outcomes[1].count, 2);
    fixture_finish(&fixture);
}

static void vectors_change_one_by_one(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start_on(&fixture, &fixture_deliveries[FIXTURE_VECTOR], 2, NVME_MODE_INTERRUPT);
    set_mode(&fixture, NVME_MODE_POLL);
    assert_true(fixture_masked(&fixture, 0));
    assert_false(fixture_masked(&fixture, 1));
    assert_int_equal(nvme_queue_mode(fixture.queues[1]), NVME_MODE_INTERRUPT);
    fixture_finish(&fixture);
}

/* Masked by a bottom half a line opens at its exit, in the mode that it has then. */
static void change_amid_a_bottom_half_waits_for_its_exit(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    for (uint32_t i = 0; i < 2 * COUNT_OF(modes); i++) {
        nvme_irq_enter(fixture.controller);
        set_mode(&fixture, modes[i % COUNT_OF(modes)]);
        assert_true(fixture_masked(&fixture, 0));
        nvme_irq_exit(fixture.controller, 0);
        assert_int_equal(fixture_masked(&fixture, 0), modes[i % COUNT_OF(modes)] == NVME_MODE_POLL);
    }
    fixture_finish(&fixture);
}

/* Two queues of one owner: whoever has something to spin for keeps the line closed, and awake. */
static void line_is_shut_while_one_of_its_queues_spins(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_on(&fixture, &fixture_deliveries[FIXTURE_LINE], 2, NVME_MODE_HYBRID);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 1, &outcome);
    assert_true(nvme_queue_arm(fixture.queues[0], NVME_WAIT_IDLE));
    assert_false(nvme_queue_arm(fixture.queues[1], NVME_WAIT_BLOCKED));
    assert_true(fixture_masked(&fixture, 0));
    assert_true(nvme_queue_arm(fixture.queues[0], NVME_WAIT_IDLE));
    assert_false(fixture_masked(&fixture, 0));
    model_step(fixture.model, 1);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void poll_only_queue_stays_so(void **state)
{
    struct fixture fixture;
    struct nvme_ring ring;

    (void)state;
    fixture_poll_queue(&fixture);
    set_mode(&fixture, NVME_MODE_POLL);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_INTERRUPT),
                     NVME_ERR_INTERRUPT);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_HYBRID), NVME_ERR_INTERRUPT);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], (enum nvme_mode)3), NVME_ERR_CONFIG);
    assert_int_equal(nvme_queue_enter_raw(fixture.queues[0], &ring), NVME_OK);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_POLL), NVME_ERR_STATE);
    fixture_finish(&fixture);
}

static void vector_without_a_mask_always_interrupts(void **state)
{
    struct fixture fixture;
    struct nvme_queue_config config = {.mode = NVME_MODE_HYBRID, .vector = 2};
    struct outcome outcome = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_use_vectors(&fixture);
    fixture.config.vector_mask = NULL;
    fixture.model->vectors[1].masked = false;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &fixture.queues[1]),
                     NVME_ERR_INTERRUPT);
    assert_null(fixture.queues[1]);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_POLL), NVME_ERR_INTERRUPT);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_HYBRID), NVME_ERR_INTERRUPT);
    set_mode(&fixture, NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    fixture_finish(&fixture);
}

static void complete_now(void *arg)
{
    struct fixture *fixture = arg;

    model_step(fixture->model, 1);
}

/* Between the decision to sleep and the sleep, on a line of one hart and on a vector. */
static void entry_that_comes_while_the_owner_lies_down_keeps_it_awake(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    for (int vectors = 0; vectors < 2; vectors++) {
        fixture_init(&fixture);
        if (vectors != 0) {
            fixture_use_vectors(&fixture);
        }
        fixture.config.hybrid_spin_max_ns = 1; /* the first look at the clock ends it */
        fixture_start(&fixture, 1, NVME_MODE_HYBRID);
        fixture_interrupts(&fixture);
        fixture.model->on_demand = true;
        fixture_submit(&fixture, 0, &outcome);
        world.meanwhile[WORLD_AT_NOW] = complete_now;
        world.meanwhile_arg = &fixture;
        while (fixture.model->pending_count != 0) {
            assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
        }
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
        fixture_finish(&fixture);
    }
    assert_int_equal(outcome.count, 2);
}

/* A handler amid the change would see half of it. */
static void mode_changes_with_interrupts_off(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    for (uint32_t i = 0; i < COUNT_OF(modes); i++) {
        uint64_t saves = world.irq_saves;

        set_mode(&fixture, modes[i]);
        assert_int_equal(world.irq_saves - saves, 1);
    }
    fixture_finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_changes_for_all_its_queues),
        cmocka_unit_test(vectors_change_one_by_one),
        cmocka_unit_test(change_amid_a_bottom_half_waits_for_its_exit),
        cmocka_unit_test(line_is_shut_while_one_of_its_queues_spins),
        cmocka_unit_test(poll_only_queue_stays_so),
        cmocka_unit_test(vector_without_a_mask_always_interrupts),
        cmocka_unit_test(entry_that_comes_while_the_owner_lies_down_keeps_it_awake),
        cmocka_unit_test(mode_changes_with_interrupts_off),
    };

    return fixture_run("modes", tests, COUNT_OF(tests));
}
