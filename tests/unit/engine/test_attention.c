// SPDX-License-Identifier: MIT
/*
 * interrupt.c: which queues a handler looks at, and for how long.
 */
#include "fixture.h"
#include "nvme_internal.h"

enum {
    BLOCK = 512,
};

static uint8_t buffer[BLOCK] __attribute__((aligned(4096)));

static void post(struct fixture *fixture, uint32_t queue, struct outcome *outcome)
{
    assert_int_equal(
        nvme_read(fixture->queues[queue], &fixture->ns, 0, 1, buffer, outcome_callback(outcome)),
        NVME_OK);
    nvme_queue_submit(fixture->queues[queue]);
}

static void start(struct fixture *fixture, uint32_t queues)
{
    fixture_init(fixture);
    fixture_start(fixture, queues, NVME_MODE_INTERRUPT);
    /* Admin completions of the start were polled, but an edge was latched. */
    fixture_interrupts(fixture);
}

struct line_case {
    const char *name;
    enum model_line_kind kind;
};

static const struct line_case line_cases[] = {
    {"level", MODEL_LINE_LEVEL},
    {"edge_that_a_fall_does_not_clear", MODEL_LINE_EDGE},
    {"edge_that_a_fall_clears", MODEL_LINE_EDGE_CLEARS},
};

/* Nothing was ever posted there, so no doorbell has told the handler to look. */
static void entry_on_a_queue_without_requests_does_not_hold_the_line(void **state)
{
    struct fixture fixture;
    struct nvme_completion entry = {.sq = 2 << 16, .status = 0x7777};
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 2);
    fixture.line.kind = MODEL_LINE_EDGE;
    model_post_entry(fixture.model, 2, entry);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_false(model_level(fixture.model));
    assert_int_equal(fixture_counters(fixture.queues[1]).stale, 1);
    post(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* A queue that has been idle for a while is not looked at until it is rung for again. */
static void idle_queue_comes_back_with_its_next_doorbell(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[2] = {0};

    (void)state;
    start(&fixture, 2);
    for (uint32_t turn = 1; turn <= 3; turn++) {
        post(&fixture, 0, &outcomes[0]);
        post(&fixture, 1, &outcomes[1]);
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
        assert_int_equal(nvme_read(reposting->fixture->queues[0], &reposting->fixture->ns, 0, 1,
                                   buffer, callback),
                         NVME_OK);
    }
}

/* The device is done with each request at its doorbell: the line never falls. */
static void line_that_stays_busy_leaves_the_trap_and_comes_back(void **state)
{
    const struct line_case *this = *state;
    struct fixture fixture;
    struct reposting reposting = {&fixture, 29};
    uint32_t claims;

    start(&fixture, 1);
    fixture.line.kind = this->kind;
    post_again(&reposting, (struct nvme_result){0});
    nvme_queue_submit(fixture.queues[0]);
    claims = fixture_interrupts(&fixture);
    assert_int_equal(reposting.left, 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    assert_in_range(claims, 4, 5); /* 29 and the end, in passes of 8 */
    assert_int_equal(fixture_counters(fixture.queues[0]).completions, 29);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[2 + COUNT_OF(line_cases)] = {
        cmocka_unit_test(entry_on_a_queue_without_requests_does_not_hold_the_line),
        cmocka_unit_test(idle_queue_comes_back_with_its_next_doorbell),
    };
    size_t count = 2;

    fixture_add_cases(tests, &count, line_that_stays_busy_leaves_the_trap_and_comes_back,
                      line_cases, COUNT_OF(line_cases), sizeof(line_cases[0]));
    return fixture_run("activity", tests, count);
}
