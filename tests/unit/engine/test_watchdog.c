// SPDX-License-Identifier: MIT
/*
 * recovery.c: interrupts that never came, told apart from those that are only late; what a watchdog
 * costs.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)

enum {
    DEADLINE_STEPS = 100,
};

enum fate {
    LOST,         /* the interrupt never comes */
    INTERRUPTED,  /* it was only slow */
    LEFT,         /* a handler came and left the entry */
    REAPED,       /* somebody consumed the entry */
    MASKED_BY_US, /* a bottom half has not come to it */
};

struct missed_case {
    const char *name;
    enum fate fate;
    uint64_t gap_ms; /* between the two watchdogs */
    uint64_t missed;
    uint64_t late;
};

static const struct missed_case missed_cases[] = {
    {"same_entry_twice_without_an_interrupt_is_missed", LOST, 10, 1, 0},
    {"same_entry_at_the_slowest_rate_is_missed", LOST, 100, 1, 0},
    {"same_entry_after_less_than_a_period_is_not_yet", LOST, 9, 0, 0},
    {"interrupt_meanwhile_makes_it_late", INTERRUPTED, 10, 0, 1},
    {"interrupt_that_left_the_entry_makes_it_late", LEFT, 10, 0, 1},
    {"consumed_meanwhile_makes_it_late", REAPED, 10, 0, 1},
    {"masked_by_a_bottom_half_is_late", MASKED_BY_US, 10, 0, 1},
};

static void missed_and_late_are_told_apart(void **state)
{
    const struct missed_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_counters counters;

    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    if (this->fate == MASKED_BY_US) {
        nvme_irq_enter(fixture.controller);
    }
    fixture_submit(&fixture, 0, &outcome);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    if (this->fate == INTERRUPTED) {
        fixture_interrupts(&fixture);
    } else if (this->fate == LEFT) {
        nvme_irq_enter(fixture.controller);
        nvme_irq_exit(fixture.controller, 0);
    } else if (this->fate == REAPED) {
        nvme_queue_reap(fixture.queues[0], 1);
    }
    world_advance(this->gap_ms * MS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.missed, this->missed);
    assert_int_equal(counters.late, this->late);
    if (this->fate == LOST) {
        assert_int_equal(outcome.count, this->missed);
    }
    if (this->fate == MASKED_BY_US) {
        nvme_irq_exit(fixture.controller, nvme_queue_reap(fixture.queues[0], 16));
    }
    fixture_interrupts(&fixture);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* ---- Interrupts after a recovery -------------------------------------------------------- */

enum finder {
    SEEN_TWICE,
    DEADLINE,
};

struct edge_case {
    const char *name;
    enum finder finder;
    enum model_line_kind kind;
};

static const struct edge_case edge_cases[] = {
    {"missed_on_a_latch", SEEN_TWICE, MODEL_LINE_EDGE},
    {"missed_on_a_latch_that_a_fall_clears", SEEN_TWICE, MODEL_LINE_EDGE_CLEARS},
    {"deadline_on_a_latch", DEADLINE, MODEL_LINE_EDGE},
    {"deadline_on_a_latch_that_a_fall_clears", DEADLINE, MODEL_LINE_EDGE_CLEARS},
};

static void complete_next(void *arg)
{
    struct fixture *fixture = arg;

    model_step(fixture->model, 1);
}

static void run_watchdog_after(struct fixture *fixture, uint64_t ms)
{
    world_advance(ms * MS);
    nvme_queue_watchdog(fixture->queues[0], world.now_ns);
}

/* The second completion comes between the recovery's last look and its head doorbell. */
static void recovery_leaves_a_line_that_tells_of_the_next_completion(void **state)
{
    const struct edge_case *this = *state;
    struct fixture fixture;
    struct outcome lost = {0};
    struct outcome next = {0};
    int step;

    fixture_init(&fixture);
    fixture.line.kind = this->kind;
    fixture.config.command_timeout_ns = 1000 * MS;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    fixture.model->on_demand = true;
    fixture_post(&fixture, 0, &lost);
    /* The deadline's walk comes with the next watchdog, before the entry can be seen twice. */
    for (step = 0; this->finder == DEADLINE && step < DEADLINE_STEPS; step++) {
        run_watchdog_after(&fixture, 10);
    }
    fixture_submit(&fixture, 0, &next);
    model_step(fixture.model, 1);
    fixture.line.pending = false; /* the edge is lost; the line stays high */
    world.meanwhile[WORLD_AT_DOORBELL] = complete_next;
    world.meanwhile_arg = &fixture;
    for (step = 0; step < 2 && lost.count == 0; step++) {
        run_watchdog_after(&fixture, 10);
    }
    assert_int_equal(step, this->finder == DEADLINE ? 1 : 2);
    outcome_check_ok(&lost, BLOCK);
    assert_int_equal(next.count, 0);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&next, BLOCK);
    run_watchdog_after(&fixture, 10);
    run_watchdog_after(&fixture, 10);
    assert_int_equal(fixture_counters(fixture.queues[0]).missed, this->finder == SEEN_TWICE);
    assert_int_equal(fixture.event_count, 0);
    fixture_finish(&fixture);
}

/* ---- Deadlines at any rate -------------------------------------------------------------- */

struct rate_case {
    const char *name;
    uint64_t period_ms;
};

static const struct rate_case rate_cases[] = {
    {"deadline_every_10_ms", 10},   {"deadline_every_33_ms", 33},   {"deadline_every_99_ms", 99},
    {"deadline_every_100_ms", 100}, {"deadline_every_110_ms", 110},
};

/* R13: a slow watchdog expires nothing early, and late by a few of its periods at most. */
static void deadline_holds_at_any_rate(void **state)
{
    const struct rate_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t start;

    fixture_init(&fixture);
    fixture.config.command_timeout_ns = 1000 * MS;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    start = world.now_ns;
    while (!fixture_saw(&fixture, NVME_EVENT_COMMAND_TIMEOUT)) {
        run_watchdog_after(&fixture, this->period_ms);
        assert_true(world.now_ns - start < 1600 * MS);
    }
    assert_true(world.now_ns - start >= 1000 * MS);
    while (outcome.count == 0) {
        run_watchdog_after(&fixture, this->period_ms);
        assert_true(world.now_ns - start < 2200 * MS);
    }
    assert_int_equal(outcome.result.error, NVME_ERR_TIMEOUT);
    assert_int_not_equal(nvme_controller_close(fixture.controller), NVME_ERR_STUCK);
    fixture_drop(&fixture);
}

/* ---- What a watchdog costs ----------------------------------------------------------------- */

struct cost_case {
    const char *name;
    uint64_t step_us; /* between two watchdogs */
    uint64_t reads;   /* of registers in a second */
};

static const struct cost_case cost_cases[] = {
    {"at_every_poll", 7, 200},    {"every_half_millisecond", 500, 200},
    {"every_3_ms", 3000, 166},    {"every_half_period", 5000, 200},
    {"every_period", 10000, 100}, {"seldom", 250000, 4},
};

static void watchdog_reads_a_register_once_per_half_period_at_most(void **state)
{
    const struct cost_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t end;
    uint64_t reads;

    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    reads = world.register_reads;
    end = world.now_ns + 1000 * MS;
    while (world.now_ns < end) {
        world_advance(this->step_us * 1000);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    /* One more or less: the end is seldom a multiple of the step. */
    assert_in_range(world.register_reads - reads, this->reads - 1, this->reads + 1);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(missed_cases) + COUNT_OF(edge_cases) + COUNT_OF(cost_cases) +
                            COUNT_OF(rate_cases)] = {0};
    size_t count = 0;

    ADD_CASES(tests, &count, deadline_holds_at_any_rate, rate_cases);
    ADD_CASES(tests, &count, recovery_leaves_a_line_that_tells_of_the_next_completion, edge_cases);
    ADD_CASES(tests, &count, watchdog_reads_a_register_once_per_half_period_at_most, cost_cases);
    ADD_CASES(tests, &count, missed_and_late_are_told_apart, missed_cases);
    return fixture_run("watchdog", tests, count);
}
