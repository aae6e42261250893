// SPDX-License-Identifier: MIT
/*
 * reset.c, setup.c: a controller that is reset works again; requests, queues and modes go on.
 */
#include "fixture_reset.h"

#define MS UINT64_C(1000000)

enum { PER_QUEUE = 3, STEP_MS = 10 };

/* ---- Requests --------------------------------------------------------------------------- */

struct reset_case {
    const char *name;
    bool vectors;
    enum nvme_mode mode;
    bool fatal;             /* CFS, else a command hangs */
    uint64_t stop_delay_ms; /* until RDY falls */
    bool shadow;
};

static const struct reset_case reset_cases[] = {
    {"poll_hangs", false, NVME_MODE_POLL, false, 0, false},
    {"poll_dies", false, NVME_MODE_POLL, true, 0, false},
    {"line_hangs", false, NVME_MODE_INTERRUPT, false, 0, false},
    {"line_dies", false, NVME_MODE_INTERRUPT, true, 200, false},
    {"hybrid_line_hangs", false, NVME_MODE_HYBRID, false, 200, false},
    {"vectors_hang", true, NVME_MODE_INTERRUPT, false, 0, false},
    {"hybrid_vectors_die", true, NVME_MODE_HYBRID, true, 200, false},
    {"shadow_poll_hangs", false, NVME_MODE_POLL, false, 0, true},
    {"shadow_line_hangs", false, NVME_MODE_INTERRUPT, false, 200, true},
};

static void requests_end_once_and_every_queue_works_again(void **state)
{
    const struct reset_case *this = *state;
    struct outcome outcomes[FIXTURE_QUEUES] = {0};
    struct fixture fixture;

    fixture_init_reset(&fixture, this->vectors);
    fixture.config.shadow_doorbells = this->shadow;
    fixture.model->shadow_offered = this->shadow;
    fixture_start(&fixture, FIXTURE_QUEUES, this->mode);
    fixture_interrupts(&fixture);
    fixture.model->on_demand = true;
    fixture.model->ready_delay_ns = this->stop_delay_ms * MS;
    for (uint32_t i = 0; i < FIXTURE_QUEUES * PER_QUEUE; i++) {
        fixture_submit(&fixture, i % FIXTURE_QUEUES, &outcomes[i % FIXTURE_QUEUES]);
    }
    fixture.model->fatal = this->fatal;
    for (int i = 0; i < 1000 && (fixture.model->cc & NVME_CC_EN) != 0; i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        assert_int_equal(outcomes[i].count, 0); /* RDY = 0 was not seen */
    }
    fixture.model->fatal = false;
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_RESET).value, 1);
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        assert_int_equal(outcomes[i].count, PER_QUEUE);
        assert_int_equal(outcomes[i].result.error, NVME_ERR_RESET);
        assert_int_equal(nvme_queue_outstanding(fixture.queues[i]), 0);
        assert_int_equal(fixture.model->cqs[i + 1].interrupts, this->mode != NVME_MODE_POLL);
        assert_int_equal(nvme_queue_mode(fixture.queues[i]), this->mode);
        fixture_check_works(&fixture, i);
    }
    fixture_finish(&fixture);
}

static void pairs_are_created_again_in_ascending_ids(void **state)
{
    static const uint32_t ids[] = {1, 3, 4};
    enum { SETUP = 2 }; /* commands before: Identify, and the number of queues */
    struct fixture fixture;
    struct outcome outcome = {0};
    const struct model_sq *admin;

    (void)state;
    fixture_start_reset(&fixture, FIXTURE_QUEUES, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_close(fixture.queues[1]), NVME_OK);
    fixture.queues[1] = NULL;
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 3, &outcome);
    fixture_watch_until_reset(&fixture, 1);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    /* The device's copy of the admin queue, which began anew. */
    admin = &fixture.model->sqs[0];
    assert_int_equal(admin->fetched, SETUP + 2 * COUNT_OF(ids));
    for (uint32_t i = 0; i < 2 * COUNT_OF(ids); i++) {
        const struct nvme_command *command = &admin->shadow[SETUP + i];

        assert_int_equal(NVME_GET(NVME_CDW0_OPCODE, command->cdw0),
                         i % 2 == 0 ? NVME_ADMIN_CREATE_CQ : NVME_ADMIN_CREATE_SQ);
        assert_int_equal(NVME_GET(NVME_QUEUE_ID, command->cdw10), ids[i / 2]);
    }
    assert_int_equal(fixture.bus_masters, 1);
    fixture_check_works(&fixture, 3);
    fixture_finish(&fixture);
}

/* Its entry was in the ring before CC.EN = 0. */
static void answered_request_ends_well(void **state)
{
    struct fixture fixture;
    struct outcome answered = {0};
    struct outcome lost = {0};

    (void)state;
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &answered);
    fixture_submit(&fixture, 0, &lost);
    model_step(fixture.model, 1);
    fixture.model->fatal = true;
    world_advance(STEP_MS * MS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    fixture.model->fatal = false;
    fixture_watch_until_reset(&fixture, 1);
    outcome_check_ok(&answered, BLOCK);
    outcome_check_error(&lost, NVME_ERR_RESET);
    fixture_check_works(&fixture, 0);
    fixture_finish(&fixture);
}

/* ---- Posts meanwhile -------------------------------------------------------------------- */

struct again {
    struct fixture *fixture;
    struct outcome outcome;
    uint32_t reset;
};

/* A caller that tries again at once, in done(). */
static void post_again(void *arg, struct nvme_result result)
{
    struct again *again = arg;

    if (result.error == NVME_ERR_RESET) {
        again->reset++;
        fixture_post_with(again->fixture, 0, (struct nvme_callback){post_again, again});
        return;
    }
    again->outcome.count++;
    again->outcome.result = result;
}

static void posts_during_a_reset_are_rung_for_behind_it(void **state)
{
    struct fixture fixture;
    struct again again = {.fixture = &fixture};
    struct outcome outcome = {0};

    (void)state;
    fixture_start_reset(&fixture, 2, NVME_MODE_POLL);
    fixture.model->ready_delay_ns = 300 * MS;
    fixture.model->hang_next = 1;
    fixture_post_with(&fixture, 0, (struct nvme_callback){post_again, &again});
    nvme_queue_submit(fixture.queues[0]);
    while (again.reset == 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    fixture_submit(&fixture, 0, &outcome); /* no doorbell: the model would object */
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_STATE);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_BUSY);
    fixture_watch_until_reset(&fixture, 1);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    outcome_check_ok(&again.outcome, BLOCK);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(again.reset, 1);
    assert_int_equal(fixture_counters(fixture.queues[0]).posts, 3);
    assert_int_equal(fixture_counters(fixture.queues[0]).completions, 2);
    fixture_finish(&fixture);
}

static void administration_meanwhile_says_reset(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t nsid;

    (void)state;
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
    fixture.model->ready_delay_ns = 300 * MS;
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while (outcome.count == 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_RESET);
    /* All owners have released: to close ends the reset. */
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_OK);
    fixture_drop(&fixture);
}

static void a_reset_waits_for_the_owner_of_an_idle_queue(void **state)
{
    enum { WAIT_MS = 5000 };
    struct fixture fixture;
    struct nvme_controller_info info;
    struct nvme_event waits;
    struct outcome outcome = {0};

    (void)state;
    fixture_init_reset(&fixture, false);
    fixture.model->cap.timeout_units = 2;
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    nvme_controller_describe(fixture.controller, &info);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    for (int i = 0; i < WAIT_MS / STEP_MS; i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_RESET);
    assert_false(fixture_saw(&fixture, NVME_EVENT_RESET));
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    /* It says so, again and again. */
    waits = fixture_event(&fixture, NVME_EVENT_RESET_WAITS);
    assert_int_equal(waits.queue_id, 2);
    assert_int_equal(waits.value, 0);
    assert_int_equal(waits.limit, info.ready_timeout_ms);
    assert_in_range(fixture_count_events(&fixture, NVME_EVENT_RESET_WAITS), 2,
                    WAIT_MS / info.ready_timeout_ms);
    fixture_watch_until_reset(&fixture, 1);
    fixture_check_works(&fixture, 0);
    fixture_check_works(&fixture, 1);
    fixture_finish(&fixture);
}

/* Each state of a reset that awaits the device: RDY = 0, RDY = 1. A look costs an MMIO read. */
static void thread_that_polls_looks_twice_per_period(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t reads;

    (void)state;
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
    fixture.model->ready_delay_ns = 10 * NVME_WATCHDOG_PERIOD_NS;
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while ((fixture.model->cc & NVME_CC_EN) != 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    for (int stops = 1; stops >= 0; stops--) {
        reads = world.register_reads;
        for (int i = 0; i < 1000; i++) {
            world_advance(4 * NVME_WATCHDOG_PERIOD_NS / 1000);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
        assert_in_range(world.register_reads - reads, 4, 2 * 2 * 4);
        assert_int_equal((fixture.model->cc & NVME_CC_EN) == 0, stops);
        for (int i = 0; i < 100 && (fixture.model->cc & NVME_CC_EN) == 0; i++) {
            world_advance(STEP_MS * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
    }
    fixture_watch_until_reset(&fixture, 1);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture_finish(&fixture);
}

/* What was opened while nothing was live is opened behind the reset. */
static void mode_that_changes_meanwhile_is_in_force(void **state)
{
    const struct fixture_source *source = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_init_reset(&fixture, source->vectors);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_POLL), NVME_OK);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while (outcome.count == 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_INTERRUPT), NVME_OK);
    fixture_watch_until_reset(&fixture, 1);
    fixture_interrupts(&fixture);
    outcome = (struct outcome){0};
    fixture_submit(&fixture, 0, &outcome);
    assert_true(fixture_interrupts(&fixture) != 0);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[6 + COUNT_OF(reset_cases) + FIXTURE_DELIVERIES] = {
        cmocka_unit_test(pairs_are_created_again_in_ascending_ids),
        cmocka_unit_test(posts_during_a_reset_are_rung_for_behind_it),
        cmocka_unit_test(administration_meanwhile_says_reset),
        cmocka_unit_test(a_reset_waits_for_the_owner_of_an_idle_queue),
        cmocka_unit_test(thread_that_polls_looks_twice_per_period),
        cmocka_unit_test(answered_request_ends_well),
    };
    size_t count = 6;

    ADD_CASES(tests, &count, requests_end_once_and_every_queue_works_again, reset_cases);
    ADD_CASES(tests, &count, mode_that_changes_meanwhile_is_in_force, fixture_deliveries);
    return fixture_run("reset", tests, count);
}
