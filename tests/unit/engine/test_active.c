// SPDX-License-Identifier: MIT
/*
 * interrupt.c: which queues a handler looks at, and for how long.
 */
#include "fixture.h"
#include "nvme_internal.h"

/* Nothing was ever posted there, so no doorbell has told the handler to look. */
static void entry_on_a_queue_without_requests_does_not_hold_the_line(void **state)
{
    struct fixture fixture;
    struct nvme_completion entry = {.sq = 2 << 16, .status = 0x7777};
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    fixture.line.kind = MODEL_LINE_EDGE;
    model_post_entry(fixture.model, 2, entry);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_false(model_level(fixture.model));
    assert_int_equal(fixture_counters(fixture.queues[1]).stale, 1);
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* A queue that has been idle for a while is not looked at before its next doorbell. */
static void idle_queue_comes_back_with_its_next_doorbell(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[2] = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    for (uint32_t turn = 1; turn <= 3; turn++) {
        fixture_submit(&fixture, 0, &outcomes[0]);
        fixture_submit(&fixture, 1, &outcomes[1]);
        fixture_interrupts(&fixture);
        assert_int_equal(outcomes[1].count, turn);
        for (uint32_t i = 0; i < 3; i++) {
            world_advance(NVME_WATCHDOG_PERIOD_NS);
            nvme_queue_watchdog(fixture.queues[turn % 2], world.now_ns);
        }
        assert_true(fixture.queues[turn % 2]->away);
        assert_int_equal(fixture.queues[1 - turn % 2]->activity, NVME_ACTIVITY_ACTIVE);
    }
    assert_int_equal(fixture_counters(fixture.queues[0]).missed, 0);
    fixture_finish(&fixture);
}

struct reposting {
    struct fixture *fixture;
    uint32_t left;
};

static void post_again(void *arg, struct nvme_result result)
{
    struct reposting *reposting = arg;
    struct nvme_callback callback = {post_again, arg};

    assert_int_equal(result.error, NVME_OK);
    if (reposting->left != 0) {
        reposting->left--;
        fixture_post_with(reposting->fixture, 0, callback);
    }
}

/* The device is done with each request at its doorbell: the line never falls. */
static void line_that_stays_busy_leaves_the_trap_and_comes_back(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct reposting reposting = {&fixture, 29};
    uint32_t interrupts;

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    post_again(&reposting, (struct nvme_result){0});
    nvme_queue_submit(fixture.queues[0]);
    interrupts = fixture_interrupts(&fixture);
    assert_int_equal(reposting.left, 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    assert_in_range(interrupts, 4, 5); /* 29 and the end, in passes of 8 */
    assert_int_equal(fixture_counters(fixture.queues[0]).completions, 29);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[2 + FIXTURE_LINES] = {
        cmocka_unit_test(entry_on_a_queue_without_requests_does_not_hold_the_line),
        cmocka_unit_test(idle_queue_comes_back_with_its_next_doorbell),
    };
    size_t count = 2;

    fixture_add_cases(tests, &count, line_that_stays_busy_leaves_the_trap_and_comes_back,
                      fixture_sources, FIXTURE_LINES, sizeof(fixture_sources[0]));
    return fixture_run("active", tests, count);
}
