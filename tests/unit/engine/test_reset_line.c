// SPDX-License-Identifier: MIT
/*
 * reset.c, setup.c: a reset and the interrupts of its line. Requests are in test_reset.c.
 */
#include "fixture_reset.h"
#include "harts.h"

#define MS UINT64_C(1000000)

enum {
    STEP_MS = 10,
    SURPLUS = 8,
    TURNS = 3 * FIXTURE_DEPTH,
};

/* ---- The handler meets a controller that is set up ---------------------------------------- */

/* A latched edge, or another controller of the line: the admin queue is not the handler's. */
static void handler_leaves_the_admin_queue_to_the_reset(void **state)
{
    const struct fixture_source *source = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t met = 0;

    fixture_init_reset(&fixture, false);
    fixture.line.kind = source->kind;
    fixture.config.events = true;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while (!fixture_saw(&fixture, NVME_EVENT_RESET)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        if (outcome.count != 0 && !fixture_saw(&fixture, NVME_EVENT_RESET)) {
            met += model_cq_held(fixture.model, 0) != 0;
            assert_int_equal(nvme_irq_handle(&fixture.controller, 1), 0);
        }
    }
    assert_true(met > 2);
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(model_cq_held(fixture.model, 0), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        model_raise_event(fixture.model, NVME_ASYNC_HEALTH, 0, NVME_LOG_HEALTH);
        assert_int_equal(fixture_interrupts(&fixture), 1); /* the handler reaps it again */
        nvme_events_poll(fixture.controller);
        nvme_events_poll(fixture.controller);
        assert_int_equal(fixture.event_count, 2 + i);
    }
    fixture_finish(&fixture);
}

/* ---- Another controller of the line -------------------------------------------------------- */

static void handle_both(struct fixture *first, struct fixture *second)
{
    struct nvme_controller *both[] = {first->controller, second->controller};

    while (model_line_claim(&first->line)) {
        nvme_irq_handle(both, 2);
        model_line_complete(&first->line);
    }
}

/* Each of its requests ends by an interrupt, whatever state the first one is in. */
static void another_controller_of_the_line_goes_on(void **state)
{
    const struct fixture_source *source = *state;
    struct fixture first;
    struct fixture second;
    struct outcome hung = {0};
    struct outcome outcome = {0};
    uint32_t posted = 0;

    fixture_init_reset(&first, false);
    fixture_init_more(&second);
    first.line.kind = source->kind;
    second.model->line = &first.line;
    first.model->ready_delay_ns = 3 * STEP_MS * MS;
    fixture_start(&first, 1, NVME_MODE_INTERRUPT);
    fixture_start(&second, 1, NVME_MODE_INTERRUPT);
    handle_both(&first, &second);
    first.model->hang_next = 1;
    fixture_submit(&first, 0, &hung);
    while (!fixture_saw(&first, NVME_EVENT_RESET)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(first.queues[0], world.now_ns);
        nvme_queue_watchdog(second.queues[0], world.now_ns);
        fixture_submit(&second, 0, &outcome);
        handle_both(&first, &second);
        assert_int_equal(outcome.count, ++posted);
    }
    outcome_check_error(&hung, NVME_ERR_RESET);
    assert_int_equal(fixture_counters(second.queues[0]).missed, 0);
    assert_int_equal(second.event_count, 0);
    fixture_check_works(&first, 0);
    assert_int_equal(nvme_controller_close(second.controller), NVME_OK);
    fixture_drop(&second);
    fixture_finish(&first);
}

/* ---- A poll queue's thread on the hart of the line ----------------------------------------- */

enum { BARRIERS = 5 }; /* at least, of a reset: CC.EN = 1, and a doorbell for each command */

struct depths {
    uint32_t count;
    uint32_t with_interrupts_on;
};

static void note_interrupts(void *arg)
{
    struct depths *depths = arg;

    depths->count++;
    depths->with_interrupts_on += world.irq_depth == 0;
    world.meanwhile[WORLD_AT_DOORBELL] = note_interrupts;
}

/* Its calls leave interrupts on. The handler may not come into the middle of a step. */
static void step_turns_interrupts_off(void **state)
{
    const struct nvme_queue_config polls = {.mode = NVME_MODE_POLL};
    struct fixture fixture;
    struct outcome outcome = {0};
    struct depths depths = {0};

    (void)state;
    fixture_start_reset(&fixture, 1, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &polls, &fixture.queues[1]), NVME_OK);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 1, &outcome);
    while (outcome.count == 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    }
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    world.meanwhile[WORLD_AT_DOORBELL] = note_interrupts;
    world.meanwhile_arg = &depths;
    for (int i = 0; i < 100 && !fixture_saw(&fixture, NVME_EVENT_RESET); i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    }
    world.meanwhile[WORLD_AT_DOORBELL] = NULL;
    assert_true(fixture_saw(&fixture, NVME_EVENT_RESET) && depths.count >= BARRIERS);
    assert_int_equal(depths.with_interrupts_on, 0);
    fixture_finish(&fixture);
}

/* ---- Head doorbells behind a reset -------------------------------------------------------- */

struct head_case {
    const char *name;
    bool vectors;
    bool mask_line;
    bool shadow;
    enum nvme_mode mode;
    uint32_t owed; /* entries that a queue without interrupts may keep */
};

static const struct head_case head_cases[] = {
    {"line", false, false, false, NVME_MODE_INTERRUPT, 0},
    {"masked_line", false, true, false, NVME_MODE_INTERRUPT, 0},
    {"line_with_shadow_doorbells", false, false, true, NVME_MODE_INTERRUPT, 0},
    {"vector", true, false, false, NVME_MODE_INTERRUPT, 0},
    {"poll", false, false, false, NVME_MODE_POLL, SURPLUS / 2},
};

/* The same as before it: entries of a queue that interrupts are given back at once. */
static void heads_are_as_prompt_as_before(void **state)
{
    const struct head_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t most = 0;

    fixture_init_reset(&fixture, this->vectors);
    fixture.config.mask_line = this->mask_line;
    fixture.config.shadow_doorbells = this->shadow;
    fixture.model->shadow_offered = this->shadow;
    fixture.config.cq_depth_entries = FIXTURE_DEPTH + SURPLUS;
    fixture_start(&fixture, 1, this->mode);
    fixture_interrupts(&fixture);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    /* No look of the watchdog behind it, which would find the queue idle. */
    while (!fixture_saw(&fixture, NVME_EVENT_RESET)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_RESET);
    for (uint32_t i = 1; i <= TURNS; i++) {
        fixture_submit(&fixture, 0, &outcome);
        if (this->mode == NVME_MODE_POLL) {
            fixture_reap(&fixture);
        } else {
            fixture_interrupts(&fixture);
        }
        assert_int_equal(outcome.count, 1 + i);
        most = model_cq_held(fixture.model, 1) > most ? model_cq_held(fixture.model, 1) : most;
    }
    assert_int_equal(most, this->owed);
    fixture_finish(&fixture);
}

/* ---- A line that a reset leaves high ------------------------------------------------------- */

/* It leaves `extra` in the device's count, which holds its line up. */
static void reset_line(struct fixture *fixture, uint32_t number, uint32_t extra)
{
    struct outcome outcome = {0};

    fixture->model->hang_next = 1;
    fixture_submit(fixture, 0, &outcome);
    fixture->model->fatal = true; /* at once: a storm before it lasts longer */
    while (outcome.count == 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
        fixture->model->fatal = fixture->model->fatal && (fixture->model->cc & NVME_CC_EN) != 0;
    }
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture->model->pending_extra = extra;
    fixture_watch_until_reset(fixture, number);
}

/* Empty interrupts begin a storm, which lasts beyond the reset. */
static void begin_storm(struct fixture *fixture)
{
    for (int i = 0; i < NVME_STORM_INTERRUPTS; i++) {
        nvme_irq_handle(&fixture->controller, 1);
    }
    assert_true(fixture_saw(fixture, NVME_EVENT_INTERRUPT_STORM));
}

static void check_polls(struct fixture *fixture)
{
    struct nvme_controller_info info;

    assert_int_equal(nvme_queue_mode(fixture->queues[0]), NVME_MODE_POLL);
    assert_int_equal(nvme_queue_closed(fixture->queues[0]) & NVME_CLOSED_STUCK, NVME_CLOSED_STUCK);
    nvme_controller_describe(fixture->controller, &info);
    assert_true(info.line_stuck);
    fixture_check_works(fixture, 0);
}

/* No mode and no end of a storm lets an owner sleep on it, and no later reset that finds it low. */
static void queues_of_a_stuck_line_poll(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init_reset(&fixture, false);
    fixture.model->line_broken = true;
    fixture.model->empty_heads_allowed = FIXTURE_QUEUES + 1;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    begin_storm(&fixture);
    reset_line(&fixture, 1, 1);
    assert_true(fixture_saw(&fixture, NVME_EVENT_LINE_STUCK));
    assert_false(fixture_saw(&fixture, NVME_EVENT_STORM_OVER));
    check_polls(&fixture);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_INTERRUPT), NVME_OK);
    check_polls(&fixture);
    for (int i = 0; i < 1000 && !fixture_saw(&fixture, NVME_EVENT_STORM_OVER); i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_true(fixture_saw(&fixture, NVME_EVENT_STORM_OVER));
    check_polls(&fixture);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_INTERRUPT), NVME_OK);
    check_polls(&fixture);
    reset_line(&fixture, 2, 0);
    check_polls(&fixture);
    fixture_finish(&fixture);
}

/* ---- A line of several harts -------------------------------------------------------------- */

struct shared_case {
    const char *name;
    uint32_t irq_hart;
    uint32_t finder; /* the queue whose watchdog finds the cause */
    bool fatal;      /* it is CFS, else a deadline */
};

static const struct shared_case shared_cases[] = {
    {"irq_hart_finds_it", 0, 0, true},
    {"another_owner_finds_it", 0, 2, true},
    {"irq_hart_has_no_queue", HARTS_NONE, 1, true},
    {"a_command_hangs", 0, 1, false},
};

static void watch_shared_until_reset(struct harts *harts)
{
    for (int i = 0; i < 1000 && !fixture_saw(&harts->fixture, NVME_EVENT_RESET); i++) {
        for (uint32_t q = 0; q < HARTS_QUEUES; q++) {
            harts_watchdog(harts, q, q == 0 ? STEP_MS : 0);
        }
        harts_settle(harts);
    }
    for (uint32_t q = 0; q < HARTS_QUEUES; q++) {
        harts_watchdog(harts, q, 0); /* resumes */
    }
    harts_settle(harts);
}

/* An IPI is a firmware call on some machines. */
static void owner_that_polls_asks_twice_per_period(void **state)
{
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    harts.fixture.config.resets_max = FIXTURE_RESETS_MAX;
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    harts_post(&harts, 1);
    harts.fixture.model->fatal = true;
    for (int i = 0; i < 100 && harts.outcomes[1].count == 0; i++) {
        harts_watchdog(&harts, 1, STEP_MS);
        harts.fixture.model->fatal = (harts.fixture.model->cc & NVME_CC_EN) != 0;
    }
    harts_ipis(&harts);
    for (int i = 0; i < 100; i++) { /* the others have not answered: it waits */
        world_advance(NVME_WATCHDOG_PERIOD_NS / 100);
        harts_watchdog(&harts, 1, 0);
    }
    assert_in_range(harts_ipis(&harts), 1, 2); /* to hart 0 */
    watch_shared_until_reset(&harts);
    outcome_check_error(&harts.outcomes[1], NVME_ERR_RESET);
    harts_finish(&harts);
}

static void shared_line_works_again(void **state)
{
    const struct shared_case *this = *state;
    struct harts harts;
    struct model *model;

    harts_init(&harts, MODEL_LINE_EDGE, this->irq_hart);
    harts.fixture.config.command_timeout_ns = FIXTURE_TIMEOUT_MS * MS;
    harts.fixture.config.resets_max = FIXTURE_RESETS_MAX;
    harts.fixture.config.cq_depth_entries = FIXTURE_DEPTH + SURPLUS;
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    model = harts.fixture.model;
    model->hang_next = this->fatal ? 0 : HARTS_QUEUES;
    for (uint32_t q = 0; q < HARTS_QUEUES; q++) {
        harts_post(&harts, q);
    }
    model->fatal = this->fatal;
    for (int i = 0; i < 1000 && (model->cc & NVME_CC_EN) != 0; i++) {
        harts_watchdog(&harts, this->finder, STEP_MS);
    }
    model->fatal = false;
    watch_shared_until_reset(&harts);
    assert_int_equal(fixture_event(&harts.fixture, NVME_EVENT_RESET).value, 1);
    for (uint32_t q = 0; q < HARTS_QUEUES; q++) {
        outcome_check_error(&harts.outcomes[q], NVME_ERR_RESET);
    }
    assert_false(harts_masked(&harts));
    for (uint32_t i = 0; i < TURNS; i++) {
        uint32_t q = i % HARTS_QUEUES;

        harts_complete(&harts, q);
        assert_true(harts_settle(&harts) <= 2);
        assert_int_equal(harts.outcomes[q].count, 2 + i / HARTS_QUEUES);
        assert_int_equal(model_cq_held(model, q + 1), 0);
        assert_false(model_level(model) || harts_masked(&harts));
    }
    for (uint32_t q = 0; q < HARTS_QUEUES; q++) {
        assert_int_equal(fixture_counters(harts.fixture.queues[q]).missed, 0);
    }
    harts_finish(&harts);
}

int main(void)
{
    struct CMUnitTest tests[3 + 2 * FIXTURE_LINES + COUNT_OF(head_cases) + COUNT_OF(shared_cases)] =
        {
            cmocka_unit_test(step_turns_interrupts_off),
            cmocka_unit_test(queues_of_a_stuck_line_poll),
            cmocka_unit_test(owner_that_polls_asks_twice_per_period),
        };
    size_t count = 3;

    fixture_add_cases(tests, &count, handler_leaves_the_admin_queue_to_the_reset, fixture_sources,
                      FIXTURE_LINES, sizeof(fixture_sources[0]));
    fixture_add_cases(tests, &count, another_controller_of_the_line_goes_on, fixture_sources,
                      FIXTURE_LINES, sizeof(fixture_sources[0]));
    ADD_CASES(tests, &count, heads_are_as_prompt_as_before, head_cases);
    ADD_CASES(tests, &count, shared_line_works_again, shared_cases);
    return fixture_run("reset_line", tests, count);
}
