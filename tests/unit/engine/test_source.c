// SPDX-License-Identifier: MIT
/*
 * source.c: modes that change while requests are in flight, on a line and on vectors; what masks a
 * source and how often. Hybrid mode's decisions are in test_hybrid.c.
 */
#include "fixture.h"
#include "nvme_internal.h"

static const enum nvme_mode modes[] = {NVME_MODE_POLL, NVME_MODE_INTERRUPT, NVME_MODE_HYBRID};

static void set_mode(struct fixture *fixture, enum nvme_mode mode)
{
    assert_int_equal(nvme_queue_set_mode(fixture->queues[0], mode), NVME_OK);
    assert_int_equal(nvme_queue_mode(fixture->queues[0]), mode);
}

/* As an owner waits: what is pending is taken, and where it may not sleep it reaps. */
static void wait_once(struct fixture *fixture)
{
    if (!nvme_queue_arm(fixture->queues[0], NVME_WAIT_BLOCKED)) {
        nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
    }
    fixture_interrupts(fixture);
}

/* ---- Changes ---------------------------------------------------------------------------- */

/*
 * Every change there is, with an entry that waits, one that comes later and none. The watchdog is
 * not called: an interrupt that is lost leaves its request outstanding.
 */
static void no_completion_is_lost_by_a_change(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t posted = 0;

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    for (uint32_t i = 0; i < 27; i++) {
        set_mode(&fixture, modes[i / 3 % 3]);
        for (uint32_t ready = 0; ready <= 2; ready++) {
            fixture_post(&fixture, 0, &outcome);
            fixture_submit(&fixture, 0, &outcome);
            posted += 2;
            model_step(fixture.model, ready);
            set_mode(&fixture, modes[i % 3]);
            model_step(fixture.model, 2 - ready);
            for (uint32_t looks = 0; looks < 100; looks++) {
                wait_once(&fixture);
                world_advance(50000);
            }
            assert_int_equal(outcome.count, posted);
            set_mode(&fixture, modes[i / 9]);
        }
    }
    assert_int_equal(outcome.result.error, NVME_OK);
    assert_false(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
    assert_int_equal(fixture_counters(fixture.queues[0]).completions, posted);
    fixture_finish(&fixture);
}

static void polled_queue_raises_no_interrupt_and_has_it_when_it_opens(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    set_mode(&fixture, NVME_MODE_POLL);
    assert_true(fixture_masked(&fixture, 0));
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 0);
    assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    set_mode(&fixture, NVME_MODE_INTERRUPT);
    assert_false(fixture_masked(&fixture, 0));
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture_counters(fixture.queues[0]).spurious, 0);
    fixture_finish(&fixture);
}

static void change_writes_one_mask_and_none_if_nothing_changes(void **state)
{
    static const struct {
        enum nvme_mode mode;
        uint32_t writes;
    } steps[] = {
        {NVME_MODE_INTERRUPT, 0}, {NVME_MODE_HYBRID, 0},    {NVME_MODE_HYBRID, 0},
        {NVME_MODE_POLL, 1},      {NVME_MODE_POLL, 0},      {NVME_MODE_HYBRID, 1},
        {NVME_MODE_POLL, 1},      {NVME_MODE_INTERRUPT, 1},
    };
    const struct fixture_source *this = *state;
    struct fixture fixture;

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < COUNT_OF(steps); i++) {
        uint32_t before = fixture_mask_writes(&fixture);

        set_mode(&fixture, steps[i].mode);
        assert_int_equal(fixture_mask_writes(&fixture) - before, steps[i].writes);
        assert_int_equal(fixture_masked(&fixture, 0), steps[i].mode == NVME_MODE_POLL);
    }
    fixture_finish(&fixture);
}

/* An admin command masks the line for a while and opens it again, unless it is polled. */
static void admin_command_leaves_a_polled_source_closed(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct nvme_namespace ns;

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    set_mode(&fixture, NVME_MODE_POLL);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_OK);
    assert_true(fixture_masked(&fixture, 0));
    set_mode(&fixture, NVME_MODE_HYBRID);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_OK);
    assert_false(fixture_masked(&fixture, 0));
    fixture_finish(&fixture);
}

struct changer {
    struct fixture *fixture;
    enum nvme_mode mode;
    uint32_t count;
};

static void change_mode(void *arg, struct nvme_result result)
{
    struct changer *changer = arg;

    assert_int_equal(result.error, NVME_OK);
    changer->count++;
    set_mode(changer->fixture, changer->mode);
}

/* Inside the handler, between entries of one reap: what comes after it is polled. */
static void handler_may_stop_its_own_interrupts(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct changer changer = {&fixture, NVME_MODE_POLL, 0};
    struct outcome outcome = {0};

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    fixture_post_with(&fixture, 0, (struct nvme_callback){change_mode, &changer});
    fixture_submit(&fixture, 0, &outcome);
    model_step(fixture.model, 1);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(changer.count, 1);
    assert_true(fixture_masked(&fixture, 0));
    model_step(fixture.model, 1);
    assert_int_equal(fixture_interrupts(&fixture), 0);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void callback_of_a_poller_may_open_the_source(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct changer changer = {&fixture, NVME_MODE_INTERRUPT, 0};
    struct outcome outcome = {0};

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    set_mode(&fixture, NVME_MODE_POLL);
    fixture_post_with(&fixture, 0, (struct nvme_callback){change_mode, &changer});
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    assert_false(fixture_masked(&fixture, 0));
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void hybrid_from_a_callback_leaves_the_source_to_the_owner(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct changer changer = {&fixture, NVME_MODE_HYBRID, 0};

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    fixture_post_with(&fixture, 0, (struct nvme_callback){change_mode, &changer});
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(changer.count, 1);
    assert_false(fixture_masked(&fixture, 0));
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_HYBRID);
    assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    assert_true(fixture_masked(&fixture, 0));
    assert_true(nvme_queue_arm(fixture.queues[0], NVME_WAIT_IDLE));
    assert_false(fixture_masked(&fixture, 0));
    fixture_finish(&fixture);
}

static void closed_queue_has_no_mode_to_change(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    uint32_t writes;

    fixture_start_on(&fixture, this, 2, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    writes = fixture_mask_writes(&fixture);
    for (uint32_t i = 0; i < COUNT_OF(modes); i++) {
        assert_int_equal(nvme_queue_set_mode(fixture.queues[0], modes[i]), NVME_ERR_STATE);
    }
    assert_int_equal(fixture_mask_writes(&fixture), writes);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_POLL);
    fixture_finish(&fixture);
}

/* On a controller that is being disabled nothing is opened, and nobody may sleep. */
static void failed_controller_arms_nothing(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;

    fixture_start_on(&fixture, this, 1, NVME_MODE_HYBRID);
    set_mode(&fixture, NVME_MODE_POLL);
    nvme_controller_disable(fixture.controller, NVME_ERR_FATAL);
    set_mode(&fixture, NVME_MODE_HYBRID);
    assert_false(nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED));
    assert_int_equal(fixture.model->interrupt_mask, 0); /* EN = 0 cleared it: not written since */
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[9 * FIXTURE_SOURCES] = {0};
    static const CMUnitTestFunction on_each[] = {
        no_completion_is_lost_by_a_change,
        polled_queue_raises_no_interrupt_and_has_it_when_it_opens,
        change_writes_one_mask_and_none_if_nothing_changes,
        admin_command_leaves_a_polled_source_closed,
        handler_may_stop_its_own_interrupts,
        callback_of_a_poller_may_open_the_source,
        hybrid_from_a_callback_leaves_the_source_to_the_owner,
        closed_queue_has_no_mode_to_change,
        failed_controller_arms_nothing,
    };
    size_t count = 0;

    ADD_CASES_OF_EACH(tests, &count, on_each, fixture_sources);
    return fixture_run("source", tests, count);
}
