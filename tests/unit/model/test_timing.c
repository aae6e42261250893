// SPDX-License-Identifier: MIT
/*
 * A device with a timing, and the events that it lives on: when commands end, what runs at the same
 * time, which interrupts are held back.
 */
#include "event.h"
#include "fixture.h"
#include "nvme_hal.h"

enum { FETCH = 100, GAP = 1000, TELL = 30, SERVICE = 5000, COMMANDS = 8 };

/* ---- Events ------------------------------------------------------------------------------ */

static void append(void *arg, uint64_t digit)
{
    uint64_t *number = arg;

    *number = *number * 10 + digit;
}

static void events_run_in_order(void **state)
{
    uint64_t number = 0;

    (void)state;
    world_reset();
    assert_true(event_next_ns == UINT64_MAX);
    event_add(world.now_ns + 30, append, &number, 4);
    event_add(world.now_ns + 10, append, &number, 1);
    event_add(world.now_ns + 20, append, &number, 2);
    event_add(world.now_ns + 20, append, &number, 3);
    event_add(0, append, &number, 9); /* is past: now */
    assert_int_equal(event_next_ns, world.now_ns);
    while (event_next_ns != UINT64_MAX) {
        event_run();
    }
    assert_int_equal(number, 91234);
}

static void a_new_world_has_no_events(void **state)
{
    uint64_t number = 0;

    (void)state;
    world_reset();
    event_add(world.now_ns, append, &number, 1);
    world_reset();
    assert_true(event_next_ns == UINT64_MAX);
}

static void note_moment(void *arg, uint64_t value)
{
    uint64_t *moment_ns = arg;

    (void)value;
    *moment_ns = world.now_ns;
}

/* Each in turn: the last one fills its place in the heap, and moves up or down from there. */
static void a_dropped_event_does_not_run(void **state)
{
    static const uint64_t delays_ns[] = {10, 50, 20, 60, 70, 90, 30};

    (void)state;
    for (size_t dropped = 0; dropped <= COUNT_OF(delays_ns); dropped++) {
        uint64_t moments_ns[COUNT_OF(delays_ns) + 1] = {0};
        uint64_t begin_ns;

        world_reset();
        begin_ns = world.now_ns;
        for (size_t i = 0; i < COUNT_OF(delays_ns); i++) {
            event_add(begin_ns + delays_ns[i], note_moment, &moments_ns[i], 0);
        }
        event_drop(append, &moments_ns[0]); /* there is none such */
        event_drop(note_moment, &moments_ns[dropped]);
        while (event_next_ns != UINT64_MAX) {
            event_run();
        }
        for (size_t i = 0; i < COUNT_OF(delays_ns); i++) {
            assert_int_equal(moments_ns[i], i == dropped ? 0 : begin_ns + delays_ns[i]);
        }
    }
}

static void add_too_many(void *arg)
{
    for (uint32_t i = 0; i <= EVENTS_MAX; i++) {
        event_add(0, append, arg, 0);
    }
}

static void too_many_events_are_named(void **state)
{
    uint64_t number = 0;
    const char *reason;

    (void)state;
    world_reset();
    reason = world_catch_panic(add_too_many, &number);
    assert_non_null(reason);
    assert_non_null(strstr(reason, "EVENTS_MAX"));
    world_reset();
}

/* ---- Times ------------------------------------------------------------------------------- */

static const struct model_timing steady = {
    .fetch_ns = FETCH,
    .tell_ns = TELL,
    .units = 1,
    .unit_blocks = 1,
    .read = {{0, SERVICE}, {MODEL_CHANCE_ALL, SERVICE}},
    .write = {{0, SERVICE}, {MODEL_CHANCE_ALL, SERVICE}},
};

static void start(struct fixture *fixture, const struct model_timing *timing, enum nvme_mode mode)
{
    fixture_init(fixture);
    model_set_timing(fixture->model, timing);
    fixture_start(fixture, 1, mode);
    if (fixture->model->line != NULL) {
        fixture->model->line->pending = false; /* an edge of the start */
    }
}

/* Posts so many reads, rings once, lets everything end. The time until the last one did. */
static uint64_t run(struct fixture *fixture, uint32_t count)
{
    struct outcome outcomes[COMMANDS] = {0};
    uint64_t begin_ns = world.now_ns;
    uint64_t end_ns;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(nvme_read(fixture->queues[0], &fixture->ns, i, 1, fixture_block,
                                   outcome_callback(&outcomes[i])),
                         NVME_OK);
    }
    nvme_queue_submit(fixture->queues[0]);
    while (event_next_ns != UINT64_MAX) {
        event_run();
    }
    end_ns = world.now_ns;
    nvme_queue_reap(fixture->queues[0], UINT32_MAX);
    for (uint32_t i = 0; i < count; i++) {
        outcome_check_ok(&outcomes[i], sizeof(fixture_block));
    }
    return end_ns - begin_ns;
}

struct time_case {
    const char *name;
    uint32_t units;
    uint64_t gap_ns;
    uint64_t block_ps;
    uint64_t expected_ns; /* of four reads */
};

static const struct time_case time_cases[] = {
    {"one_unit_works_on_one_after_the_other", 1, 0, 0, FETCH + 4 * SERVICE + TELL},
    {"units_work_at_the_same_time", 256, 0, 0, FETCH + SERVICE + TELL},
    {"the_controller_has_its_pace", 256, GAP, 0, FETCH + 3 * GAP + SERVICE + TELL},
    {"the_link_is_one", 256, 0, 4000000, FETCH + 4 * 4000 + TELL},
};

static void four_reads_take(void **state)
{
    const struct time_case *this = *state;
    struct model_timing timing = steady;
    struct fixture fixture;

    timing.units = this->units;
    timing.gap_ns = this->gap_ns;
    timing.block_ps = this->block_ps;
    start(&fixture, &timing, NVME_MODE_POLL);
    assert_int_equal(run(&fixture, 4), this->expected_ns);
    fixture_finish(&fixture);
}

/* Half below 1000, a tenth above 2000, none above 4000; the same again with the same seed. */
static void services_are_distributed(void **state)
{
    struct model_timing timing = steady;
    uint32_t below = 0;
    uint32_t above = 0;
    uint64_t sums[2] = {0, 0};

    (void)state;
    timing.read[0] = (struct model_quantile){0, 0};
    timing.read[1] = (struct model_quantile){500000, 1000};
    timing.read[2] = (struct model_quantile){900000, 2000};
    timing.read[3] = (struct model_quantile){MODEL_CHANCE_ALL, 4000};
    for (uint32_t turn = 0; turn < 2; turn++) {
        struct fixture fixture;

        start(&fixture, &timing, NVME_MODE_POLL);
        for (uint32_t i = 0; i < 1000; i++) {
            uint64_t service_ns = run(&fixture, 1) - FETCH - TELL;

            assert_true(service_ns <= 4000);
            below += service_ns < 1000;
            above += service_ns > 2000;
            sums[turn] += service_ns;
        }
        fixture_finish(&fixture);
    }
    assert_in_range(below / 2, 450, 550);
    assert_in_range(above / 2, 70, 130);
    assert_int_equal(sums[0], sums[1]);
}

/* The driver disables the controller: what flies is forgotten, its buffers are nobody's. */
static void a_reset_forgets_what_flies(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    start(&fixture, &steady, NVME_MODE_POLL);
    fixture_submit(&fixture, 0, &outcome);
    hal_mmio_write32(fixture.model->bar + NVME_REG_CC, 0);
    event_run();
    assert_int_equal(fixture.model->cqs[1].posted, 0);
    assert_int_equal(outcome.count, 0);
    fixture_drop(&fixture);
}

/* It stays where the watchdog finds it; the others take their time. */
static void a_timed_command_may_hang(void **state)
{
    struct outcome outcomes[2] = {0};
    struct fixture fixture;

    (void)state;
    start(&fixture, &steady, NVME_MODE_POLL);
    fixture.model->hang_next = 1;
    fixture_post(&fixture, 0, &outcomes[0]);
    fixture_submit(&fixture, 0, &outcomes[1]);
    while (event_next_ns != UINT64_MAX) {
        event_run();
    }
    nvme_queue_reap(fixture.queues[0], UINT32_MAX);
    assert_int_equal(outcomes[0].count, 0);
    assert_int_equal(outcomes[1].count, 1);
    fixture_drop(&fixture);
}

/* ---- Interrupts -------------------------------------------------------------------------- */

struct coalesce_case {
    const char *name;
    uint32_t entries;
    uint64_t wait_ns;
    uint32_t reads;
    uint32_t asserts; /* of the line */
    uint64_t until_ns;
};

static const struct coalesce_case coalesce_cases[] = {
    {"every_entry_tells", 1, 0, 4, 1, FETCH + SERVICE + TELL},
    {"the_last_of_a_group_tells", 4, 1000000, 4, 1, FETCH + 4 * SERVICE + TELL},
    {"a_group_that_stays_small_tells_in_time", 8, 100000, 2, 1, FETCH + SERVICE + TELL + 100000},
};

static void interrupts_are_held_back(void **state)
{
    const struct coalesce_case *this = *state;
    struct model_timing timing = steady;
    struct outcome outcomes[COMMANDS] = {0};
    uint64_t begin_ns;
    struct fixture fixture;

    timing.coalesce_entries = this->entries;
    timing.coalesce_ns = this->wait_ns;
    start(&fixture, &timing, NVME_MODE_INTERRUPT);
    fixture.line.asserts = 0;
    begin_ns = world.now_ns;
    for (uint32_t i = 0; i < this->reads; i++) {
        fixture_post(&fixture, 0, &outcomes[i]);
    }
    nvme_queue_submit(fixture.queues[0]);
    while (!model_level(fixture.model)) {
        event_run();
    }
    assert_int_equal(world.now_ns - begin_ns, this->until_ns);
    while (event_next_ns != UINT64_MAX) {
        event_run();
    }
    assert_int_equal(fixture.line.asserts, this->asserts);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_false(model_level(fixture.model));
    fixture_finish(&fixture);
}

struct group_case {
    const char *name;
    bool starts_over; /* with a new queue; else it polls */
};

static const struct group_case group_cases[] = {
    {"entries_that_were_polled_take_their_wait_along", false},
    {"a_queue_that_is_gone_takes_its_wait_along", true},
};

static void a_new_group_waits_anew(void **state)
{
    const struct group_case *this = *state;
    struct model_timing timing = steady;
    struct outcome outcome = {0};
    struct fixture fixture;
    uint64_t begin_ns;

    timing.coalesce_entries = COMMANDS;
    timing.coalesce_ns = 4 * SERVICE;
    start(&fixture, &timing, NVME_MODE_INTERRUPT);
    world.maps = !this->starts_over; /* which forgets a request */
    fixture_submit(&fixture, 0, &outcome);
    event_run(); /* it ends, and begins to wait */
    if (this->starts_over) {
        fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    } else {
        nvme_queue_reap(fixture.queues[0], UINT32_MAX);
    }
    begin_ns = world.now_ns;
    fixture_submit(&fixture, 0, &outcome);
    while (!model_level(fixture.model)) {
        event_run();
    }
    assert_int_equal(world.now_ns - begin_ns, FETCH + SERVICE + TELL + timing.coalesce_ns);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    fixture_finish(&fixture);
}

int main(void)
{
    static struct CMUnitTest tests[32] = {
        cmocka_unit_test(events_run_in_order),
        cmocka_unit_test(a_new_world_has_no_events),
        cmocka_unit_test(a_dropped_event_does_not_run),
        cmocka_unit_test(too_many_events_are_named),
        cmocka_unit_test(services_are_distributed),
        cmocka_unit_test(a_reset_forgets_what_flies),
        cmocka_unit_test(a_timed_command_may_hang),
    };
    size_t count = 7;

    ADD_CASES(tests, &count, four_reads_take, time_cases);
    ADD_CASES(tests, &count, interrupts_are_held_back, coalesce_cases);
    ADD_CASES(tests, &count, a_new_group_waits_anew, group_cases);
    return fixture_run("timing", tests, count);
}
