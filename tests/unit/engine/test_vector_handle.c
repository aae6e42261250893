// SPDX-License-Identifier: MIT
/*
 * interrupt.c, recovery.c, pair.c: queues on MSI-X vectors; storms, lost messages, open and close.
 */
#include "fixture.h"
#include "nvme_internal.h"

static const struct fixture_source *const vectors = &fixture_deliveries[FIXTURE_VECTOR];

/* ---- The handler ------------------------------------------------------------------------ */

static void vector_reaps_its_queue_and_no_other(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[3] = {0};

    (void)state;
    fixture_start_on(&fixture, vectors, 2, NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 0, &outcomes[0]);
    fixture_submit(&fixture, 1, &outcomes[1]);
    fixture_submit(&fixture, 1, &outcomes[1]);
    assert_true(model_vector_claim(fixture.model, 2));
    assert_int_equal(nvme_vector_handle(fixture.queues[1]), 2);
    assert_int_equal(outcomes[1].count, 2);
    assert_int_equal(outcomes[0].count, 0);
    assert_int_equal(model_doorbell_count(fixture.model, 2, true), 1);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcomes[0], BLOCK);
    assert_int_equal(fixture_mask_writes(&fixture), 2); /* opened, each of them, and nothing more */
    fixture_finish(&fixture);
}

static void interrupts_are_counted_by_queue(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue_config config = {.mode = NVME_MODE_INTERRUPT, .vector = 1};

    (void)state;
    fixture_start_on(&fixture, vectors, 2, NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 0, &outcome);
    fixture_interrupts(&fixture);
    assert_int_equal(nvme_vector_handle(fixture.queues[0]), 0);
    assert_int_equal(fixture_counters(fixture.queues[0]).interrupts, 2);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 1);
    assert_int_equal(fixture_counters(fixture.queues[0]).cq_doorbells, 1);
    assert_int_equal(fixture_counters(fixture.queues[1]).interrupts, 0);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(fixture_counters(fixture.queues[0]).interrupts, 2);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 1);
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]), NVME_OK);
    assert_int_equal(fixture_counters(fixture.queues[0]).interrupts, 0);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 0);
    fixture_finish(&fixture);
}

/* An unmatched entry is no work: a device that sends such entries alone is a storm. */
static void unmatched_entry_alone_is_an_empty_interrupt(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_on(&fixture, vectors, 1, NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 0, &outcome);
    fixture_interrupts(&fixture);
    model_post_entry(fixture.model, 1, (struct nvme_completion){.sq = 1 << 16, .status = 0x7777});
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(fixture_counters(fixture.queues[0]).stale, 1);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 1);
    fixture_finish(&fixture);
}

/* ---- Storms ----------------------------------------------------------------------------- */

static void storm_masks_its_vector_at_the_bound_and_not_before(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_on(&fixture, vectors, 2, NVME_MODE_INTERRUPT);
    for (uint32_t i = 1; i < NVME_STORM_INTERRUPTS; i++) {
        nvme_vector_handle(fixture.queues[1]);
    }
    fixture_submit(&fixture, 1, &outcome); /* one completion begins the count anew, */
    assert_int_equal(fixture_interrupts(&fixture), 1);
    for (uint32_t i = 0; i < NVME_STORM_INTERRUPTS;
         i++) { /* and the first interrupt may be for it */
        nvme_vector_handle(fixture.queues[1]);
        assert_false(fixture_masked(&fixture, 1));
    }
    nvme_vector_handle(fixture.queues[1]);
    assert_true(fixture_masked(&fixture, 1));
    assert_false(fixture_masked(&fixture, 0));
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_INTERRUPT_STORM).queue_id, 2);
    assert_int_equal(nvme_queue_mode(fixture.queues[1]), NVME_MODE_POLL);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_INTERRUPT);
    assert_false(nvme_queue_arm(fixture.queues[1], NVME_WAIT_BLOCKED));
    /* No mode brings it back before its time. */
    assert_int_equal(nvme_queue_set_mode(fixture.queues[1], NVME_MODE_POLL), NVME_OK);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[1], NVME_MODE_INTERRUPT), NVME_OK);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[1], NVME_MODE_HYBRID), NVME_OK);
    assert_int_equal(nvme_queue_mode(fixture.queues[1]), NVME_MODE_POLL);
    assert_true(fixture_masked(&fixture, 1));
    outcome = (struct outcome){0};
    fixture_submit(&fixture, 1, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 0);
    assert_int_equal(nvme_queue_reap(fixture.queues[1], 1), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* It says so once, and takes whatever still comes. Counts must not run into other checks. */
static void storm_that_cannot_be_masked_is_borne(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_use_vectors(&fixture);
    fixture.config.vector_mask = NULL;
    fixture.model->vectors[1].masked = false;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 0x10000; i++) {
        assert_int_equal(nvme_vector_handle(fixture.queues[0]), 0);
    }
    assert_int_equal(fixture.event_count, 1);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_POLL);
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 0x10000);
    fixture_finish(&fixture);
}

/*
 * A mask holds back the message of an entry that was polled, and sends it when it opens (QEMU): the
 * interrupts of an owner that finds all completions awake are all empty, and no storm.
 */
static void messages_of_polled_entries_are_no_storm(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_callback again = outcome_callback(&outcome);

    (void)state;
    fixture_start_on(&fixture, vectors, 1, NVME_MODE_HYBRID);
    for (uint32_t burst = 0; burst < 2 * NVME_STORM_INTERRUPTS; burst++) {
        for (uint32_t i = 0; i < 8; i++) {
            fixture.model->on_demand = true;
            fixture_post_with(&fixture, 0, again);
            nvme_queue_submit(fixture.queues[0]);
            assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
            model_step(fixture.model, 1);
            assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
            assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
        }
        assert_true(nvme_queue_arm(fixture.queues[0], NVME_WAIT_IDLE));
        assert_true(fixture_interrupts(&fixture) <= 1);
        assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_HYBRID);
    }
    assert_true(fixture_counters(fixture.queues[0]).spurious >= NVME_STORM_INTERRUPTS);
    assert_false(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
    fixture_finish(&fixture);
}

/* ---- The watchdog -------------------------------------------------------------------------- */

static void run_watchdog(struct fixture *fixture)
{
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    nvme_queue_watchdog(fixture->queues[0], world.now_ns);
}

static void lost_message_is_recovered_and_counted(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_on(&fixture, vectors, 1, NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 0, &outcome);
    assert_true(model_vector_claim(fixture.model, 1)); /* and nobody is told */
    run_watchdog(&fixture);
    assert_int_equal(outcome.count, 0);
    run_watchdog(&fixture);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture_counters(fixture.queues[0]).missed, 1);
    assert_int_equal(fixture_mask_writes(&fixture), 1); /* opened */
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(outcome.count, 2);
    fixture_finish(&fixture);
}

/* No interrupt is missed, but whoever closed the vector has left the entry there for too long. */
static void entry_behind_a_closed_vector_is_late_and_reaped(void **state)
{
    static const enum nvme_mode modes[] = {NVME_MODE_POLL, NVME_MODE_HYBRID};
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(modes); i++) {
        outcome = (struct outcome){0};
        fixture_start_on(&fixture, vectors, 1, NVME_MODE_INTERRUPT);
        fixture.model->on_demand = true;
        assert_int_equal(nvme_queue_set_mode(fixture.queues[0], modes[i]), NVME_OK);
        fixture_submit(&fixture, 0, &outcome);
        assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
        assert_true(fixture_masked(&fixture, 0));
        model_step(fixture.model, 1);
        run_watchdog(&fixture);
        assert_int_equal(outcome.count, 0);
        run_watchdog(&fixture);
        outcome_check_ok(&outcome, BLOCK);
        assert_int_equal(fixture_counters(fixture.queues[0]).missed, 0);
        assert_int_equal(fixture_counters(fixture.queues[0]).late, 1);
        assert_true(fixture_masked(&fixture, 0));
        fixture_finish(&fixture);
    }
}

/* ---- Open and close --------------------------------------------------------------------- */

struct vector_case {
    const char *name;
    enum nvme_mode mode;
    uint16_t vector;
    enum nvme_error error;
};

static const struct vector_case vector_cases[] = {
    {"vector_0_is_the_admin_queues", NVME_MODE_INTERRUPT, 0, NVME_ERR_CONFIG},
    {"vector_of_another_queue", NVME_MODE_INTERRUPT, 1, NVME_ERR_CONFIG},
    {"vector_of_another_queue_hybrid", NVME_MODE_HYBRID, 1, NVME_ERR_CONFIG},
    {"vector_of_a_closed_queue", NVME_MODE_INTERRUPT, 2, NVME_OK},
    {"last_vector_of_the_device", NVME_MODE_INTERRUPT, MODEL_QUEUES - 1, NVME_OK},
    {"vector_that_the_device_has_not", NVME_MODE_INTERRUPT, MODEL_QUEUES, NVME_ERR_DEVICE},
    {"poll_queue_needs_none", NVME_MODE_POLL, 0, NVME_OK},
    {"no_such_mode", (enum nvme_mode)3, 3, NVME_ERR_CONFIG},
};

static void vectors_are_checked_at_open(void **state)
{
    const struct vector_case *this = *state;
    struct nvme_queue_config config = {.mode = this->mode, .vector = this->vector};
    struct nvme_queue *queue = NULL;
    struct fixture fixture;

    fixture_start_on(&fixture, vectors, 2, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_close(fixture.queues[1]), NVME_OK);
    assert_true(fixture_masked(&fixture, 1));
    assert_int_equal(nvme_queue_open(fixture.controller, 2, &config, &queue), this->error);
    assert_int_equal(queue != NULL, this->error == NVME_OK);
    assert_int_equal(fixture.model->vectors[1].masked, false);
    if (this->error == NVME_OK && this->mode != NVME_MODE_POLL) {
        assert_false(fixture.model->vectors[this->vector].masked);
        assert_int_equal(nvme_queue_close(queue), NVME_OK);
        assert_true(fixture.model->vectors[this->vector].masked);
    }
    fixture_finish(&fixture);
}

/* A queue of another hart is no obstacle: each has its vector. */
static void owners_do_not_share_vectors(void **state)
{
    struct fixture fixture;
    struct nvme_queue_config config = {
        .owner = 1, .mode = NVME_MODE_INTERRUPT, .vector = MODEL_QUEUES - 1};

    (void)state;
    fixture_start_on(&fixture, vectors, 1, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &fixture.queues[1]), NVME_OK);
    fixture_finish(&fixture);
}

/* Open in every mode, closed with entries left: reaped, rung, masked; the line never touched. */
static void close_reaps_rings_and_masks(void **state)
{
    static const enum nvme_mode modes[] = {NVME_MODE_INTERRUPT, NVME_MODE_HYBRID, NVME_MODE_POLL};
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_on(&fixture, vectors, 3, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(nvme_queue_set_mode(fixture.queues[i], modes[i]), NVME_OK);
        fixture_submit(&fixture, i, &outcome);
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(nvme_queue_close(fixture.queues[i]), NVME_OK);
        assert_int_equal(outcome.count, i + 1);
        assert_true(fixture_masked(&fixture, i));
        assert_int_equal(nvme_vector_handle(fixture.queues[i]), 0);
    }
    assert_int_equal(fixture.level_looks, 0);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[10 + COUNT_OF(vector_cases)] = {
        cmocka_unit_test(vector_reaps_its_queue_and_no_other),
        cmocka_unit_test(interrupts_are_counted_by_queue),
        cmocka_unit_test(unmatched_entry_alone_is_an_empty_interrupt),
        cmocka_unit_test(storm_masks_its_vector_at_the_bound_and_not_before),
        cmocka_unit_test(storm_that_cannot_be_masked_is_borne),
        cmocka_unit_test(messages_of_polled_entries_are_no_storm),
        cmocka_unit_test(lost_message_is_recovered_and_counted),
        cmocka_unit_test(entry_behind_a_closed_vector_is_late_and_reaped),
        cmocka_unit_test(owners_do_not_share_vectors),
        cmocka_unit_test(close_reaps_rings_and_masks),
    };
    size_t count = 10;

    ADD_CASES(tests, &count, vectors_are_checked_at_open, vector_cases);
    return fixture_run("vector handler", tests, count);
}
