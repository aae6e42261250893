// SPDX-License-Identifier: MIT
/*
 * bench/timeline.c: completions fall into the interval in which they came, gaps stay empty.
 */
#include "fixture.h"
#include "timeline.h"

enum {
    BEGIN = 1000,
    STEP = 10,
    RUNTIME = STEP * TIMELINE_INTERVALS,
};

/* A reap as worker_reaped() does it: only the first after an interval's end is told. */
static void reap(struct timeline *timeline, uint64_t now_ticks, uint64_t *total, uint64_t count)
{
    if (now_ticks >= timeline->next_ticks) {
        timeline_pass(timeline, now_ticks, *total);
    }
    *total += count;
}

struct reap_case {
    const char *name;
    uint64_t now_ticks; /* of the one reap, since the begin */
    uint32_t interval;
};

static const struct reap_case reap_cases[] = {
    {"at_the_begin", 0, 0},
    {"last_tick_of_the_first", STEP - 1, 0},
    {"first_tick_of_the_second", STEP, 1},
    {"second_to_last", RUNTIME - STEP - 1, TIMELINE_INTERVALS - 2},
    {"last", RUNTIME - STEP, TIMELINE_INTERVALS - 1},
    {"end", RUNTIME, TIMELINE_INTERVALS - 1},
    {"behind_the_end", 10 * RUNTIME, TIMELINE_INTERVALS - 1},
    {"for_ever", UINT64_MAX / 2, TIMELINE_INTERVALS - 1},
};

static void completions_are_counted_where_they_came(void **state)
{
    const struct reap_case *this = *state;
    struct timeline timeline;
    uint64_t total = 0;

    timeline_start(&timeline, BEGIN, RUNTIME);
    reap(&timeline, BEGIN + this->now_ticks, &total, 7);
    timeline_end(&timeline, total);
    for (uint32_t i = 0; i < TIMELINE_INTERVALS; i++) {
        assert_int_equal(timeline.ios[i], i == this->interval ? 7 : 0);
    }
}

/* A reap every tick of 3, but for a silence of two intervals and a half. */
static void silence_is_a_gap(void **state)
{
    struct timeline timeline;
    uint64_t total = 0;
    uint64_t sum = 0;

    (void)state;
    timeline_start(&timeline, BEGIN, RUNTIME);
    for (uint64_t now = BEGIN; now < BEGIN + RUNTIME; now++) {
        if (now < BEGIN + 5 * STEP || now >= BEGIN + 7 * STEP + STEP / 2) {
            reap(&timeline, now, &total, 3);
        }
    }
    timeline_end(&timeline, total);
    for (uint32_t i = 0; i < TIMELINE_INTERVALS; i++) {
        uint64_t wanted = i == 5 || i == 6 ? 0 : i == 7 ? 3 * STEP / 2 : 3 * STEP;

        assert_int_equal(timeline.ios[i], wanted);
        sum += timeline.ios[i];
    }
    assert_int_equal(sum, total);
}

struct step_case {
    const char *name;
    uint64_t runtime_ticks;
    uint64_t ran_ticks; /* the window's last reap, since the begin */
    uint64_t step_ticks;
    uint32_t intervals;
};

static const struct step_case step_cases[] = {
    {"whole_window", RUNTIME, RUNTIME, STEP, TIMELINE_INTERVALS},
    {"a_reap_late", RUNTIME, RUNTIME + 1, STEP, TIMELINE_INTERVALS},
    {"ended_at_once", RUNTIME, 0, STEP, 1},
    {"ended_in_the_first", RUNTIME, 1, STEP, 1},
    {"ended_before_the_second", RUNTIME, STEP - 1, STEP, 1},
    {"ended_in_the_second", RUNTIME, STEP, STEP, 2},
    {"shorter_than_ticks", 1, 1, 1, 2},
    {"does_not_divide", RUNTIME + 49, RUNTIME + 49, STEP, TIMELINE_INTERVALS},
};

/* The hart's edges have no say: it may stand still between a reap and the clock's next look. */
static void intervals_hold_every_completion(void **state)
{
    const struct step_case *this = *state;
    struct timeline timeline = {0};
    uint64_t total = 0;
    uint64_t sum = 0;

    assert_int_equal(timeline_step(this->runtime_ticks), this->step_ticks);
    assert_int_equal(timeline_intervals(&timeline), 0);
    timeline_start(&timeline, BEGIN, this->runtime_ticks);
    reap(&timeline, BEGIN + this->ran_ticks / 2, &total, 5);
    reap(&timeline, BEGIN + this->ran_ticks, &total, 1);
    timeline_end(&timeline, total);
    assert_int_equal(timeline_intervals(&timeline), this->intervals);
    for (uint32_t i = 0; i < this->intervals; i++) {
        sum += timeline.ios[i];
    }
    assert_int_equal(sum, total);
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(reap_cases) + COUNT_OF(step_cases)] = {
        cmocka_unit_test(silence_is_a_gap),
    };
    size_t count = 1;

    ADD_CASES(tests, &count, completions_are_counted_where_they_came, reap_cases);
    ADD_CASES(tests, &count, intervals_hold_every_completion, step_cases);
    return fixture_run("timeline", tests, count);
}
