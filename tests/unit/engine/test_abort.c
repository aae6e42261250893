// SPDX-License-Identifier: MIT
/*
 * abort.c: a late command is aborted first; the controller stops only if that does not help.
 */
#include "fixture_reset.h"
#include "harts.h"
#include "nvme_internal.h"

#define MS UINT64_C(1000000)

enum {
    TIMEOUT_MS = 2000,
    LATE_MS = TIMEOUT_MS + TIMEOUT_MS / 10 + 200, /* when it is noticed, at most */
    GRACE_MS = 1000,                              /* then the controller stops */
    STEP_MS = 10,
};

/* What the device does with an Abort. */
enum kind {
    FAILS = 0,
    ENDS = 1,
    AGREES = 2,
};

static void configure(struct fixture *fixture, uint32_t kind)
{
    fixture->config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture->config.resets_max = 1;
    fixture->config.aborts = true;
    fixture->model->abort_ends = (kind & ENDS) != 0;
    fixture->model->abort_agrees = (kind & AGREES) != 0;
}

/* All owners watch, until done() has run. */
static void watch(struct fixture *fixture, const struct outcome *outcome)
{
    uint64_t began = world.now_ns;

    while (outcome->count == 0 && world.now_ns - began < 2 * LATE_MS * MS) {
        world_advance(STEP_MS * MS);
        for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
            if (fixture->queues[i] != NULL) {
                nvme_queue_watchdog(fixture->queues[i], world.now_ns);
            }
        }
        fixture_interrupts(fixture);
    }
}

static uint32_t aborts(const struct fixture *fixture)
{
    return fixture->model->admin_commands[NVME_ADMIN_ABORT];
}

static void check_works(struct fixture *fixture, uint32_t queue)
{
    struct outcome outcome = {0};

    fixture->model->on_demand = false;
    fixture_submit(fixture, queue, &outcome);
    fixture_interrupts(fixture);
    nvme_queue_reap(fixture->queues[queue], FIXTURE_DEPTH);
    outcome_check_ok(&outcome, BLOCK);
}

/* ---- What the device does -------------------------------------------------------------- */

struct abort_case {
    const char *name;
    uint32_t kind;
    bool silent; /* it does not answer the Abort */
    enum nvme_error error;
    bool resets;
    uint32_t least_ms; /* until the request ends */
    uint32_t most_ms;
};

static const struct abort_case abort_cases[] = {
    {"it_aborts", ENDS | AGREES, false, NVME_ERR_TIMEOUT, false, TIMEOUT_MS, LATE_MS},
    {"the_completion_crosses", ENDS, false, NVME_OK, false, TIMEOUT_MS, LATE_MS},
    {"it_refuses", FAILS, false, NVME_ERR_RESET, true, TIMEOUT_MS, LATE_MS},
    {"it_says_yes_and_does_not", AGREES, false, NVME_ERR_RESET, true, TIMEOUT_MS + GRACE_MS,
     LATE_MS + GRACE_MS},
    {"it_does_not_answer", FAILS, true, NVME_ERR_RESET, true, TIMEOUT_MS + GRACE_MS,
     LATE_MS + GRACE_MS},
};

struct delivery {
    const char *name;
    bool vectors;
    enum nvme_mode mode;
};

static const struct delivery deliveries[] = {
    {"poll", false, NVME_MODE_POLL},
    {"line", false, NVME_MODE_INTERRUPT},
    {"hybrid line", false, NVME_MODE_HYBRID},
    {"vectors", true, NVME_MODE_INTERRUPT},
};

static void abort_on(const struct abort_case *this, const struct delivery *delivery)
{
    struct outcome outcome = {0};
    struct nvme_event event;
    struct fixture fixture;
    uint64_t began_ns;

    fixture_init(&fixture);
    configure(&fixture, this->kind);
    if (delivery->vectors) {
        fixture_use_vectors(&fixture);
    }
    fixture_start(&fixture, 2, delivery->mode);
    fixture_interrupts(&fixture);
    fixture.model->admin_silent = this->silent;
    fixture.model->hang_next = 1;
    began_ns = world.now_ns;
    fixture_submit(&fixture, 0, &outcome);
    while (!fixture_saw(&fixture, NVME_EVENT_ABORT)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    event = fixture_event(&fixture, NVME_EVENT_ABORT);
    assert_int_equal(event.queue_id, 1);
    assert_int_equal(event.limit, TIMEOUT_MS);
    assert_int_equal(event.outstanding, 1);
    assert_in_range(event.age_ms, TIMEOUT_MS, LATE_MS);
    fixture.model->admin_silent = false;
    watch(&fixture, &outcome);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.result.error, this->error);
    assert_in_range((world.now_ns - began_ns) / MS, this->least_ms, this->most_ms + 4 * STEP_MS);
    assert_int_equal(aborts(&fixture), this->silent ? 0 : 1);
    if (this->resets) {
        fixture_watch_until_reset(&fixture, 1);
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_COMMAND_TIMEOUT).value, event.value);
    }
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_RESET), this->resets);
    check_works(&fixture, 0);
    check_works(&fixture, 1);
    fixture_finish(&fixture);
}

static void late_command_is_aborted_or_its_controller_reset(void **state)
{
    for (size_t i = 0; i < COUNT_OF(deliveries); i++) {
        abort_on(*state, &deliveries[i]);
    }
}

/* ---- More than one --------------------------------------------------------------------- */

static void one_abort_at_a_time_for_several_queues(void **state)
{
    struct outcome outcomes[FIXTURE_QUEUES] = {0};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    configure(&fixture, ENDS | AGREES);
    fixture_start(&fixture, FIXTURE_QUEUES, NVME_MODE_POLL);
    fixture.model->hang_next = 2 * FIXTURE_QUEUES;
    for (uint32_t i = 0; i < 2 * FIXTURE_QUEUES; i++) {
        fixture_submit(&fixture, i % FIXTURE_QUEUES, &outcomes[i % FIXTURE_QUEUES]);
    }
    for (uint32_t ms = 0; ms < LATE_MS + GRACE_MS; ms += STEP_MS) {
        uint32_t before = aborts(&fixture);

        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[ms / STEP_MS % FIXTURE_QUEUES], world.now_ns);
        assert_true(aborts(&fixture) - before <= 1);
    }
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        assert_int_equal(outcomes[i].count, 2);
        assert_int_equal(outcomes[i].result.error, NVME_ERR_TIMEOUT);
        check_works(&fixture, i);
    }
    assert_int_equal(aborts(&fixture), 2 * FIXTURE_QUEUES);
    assert_false(fixture_saw(&fixture, NVME_EVENT_RESET));
    fixture_finish(&fixture);
}

/* The device keeps silent: the next Abort is not posted before the first one has ended. */
static void second_abort_waits_for_the_first(void **state)
{
    struct outcome outcomes[2] = {0};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    configure(&fixture, ENDS | AGREES);
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->admin_silent = true;
    fixture.model->hang_next = 2;
    for (uint32_t i = 0; i < 2; i++) {
        fixture_submit(&fixture, i, &outcomes[i]);
    }
    for (uint32_t ms = 0; ms < LATE_MS + GRACE_MS / 2; ms += STEP_MS) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[ms / STEP_MS % 2], world.now_ns);
        assert_true(nvme_queue_outstanding(&fixture.controller->admin) <= 1);
    }
    assert_true(fixture.queues[0]->abort != 0 && fixture.queues[1]->abort != 0);
    assert_int_equal(nvme_queue_outstanding(&fixture.controller->admin), 1);
    fixture_drop(&fixture);
}

/* The Abort that the device never answered has gone with the reset: the next one is posted. */
static void controller_that_was_reset_aborts_again(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    configure(&fixture, ENDS | AGREES);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->admin_silent = true;
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while (!fixture_saw(&fixture, NVME_EVENT_ABORT)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    fixture.model->admin_silent = false;
    watch(&fixture, &outcome);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(aborts(&fixture), 0);
    outcome = (struct outcome){0};
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    watch(&fixture, &outcome);
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_int_equal(aborts(&fixture), 1);
    fixture_finish(&fixture);
}

/* An Abort's answer and the completion of its command, in one interrupt: nothing holds the line. */
static void handler_takes_the_answer_beside_completions(void **state)
{
    const struct fixture_source *this = *state;
    struct outcome outcome = {0};
    struct fixture fixture;

    fixture_init(&fixture);
    configure(&fixture, ENDS | AGREES);
    fixture.line.kind = this->kind;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    while (aborts(&fixture) == 0) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_true(model_line_claim(&fixture.line));
    nvme_irq_handle(&fixture.controller, 1);
    assert_false(model_level(fixture.model));
    model_line_complete(&fixture.line);
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    check_works(&fixture, 0);
    fixture_finish(&fixture);
}

static void aborted_read_is_tried_again(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    configure(&fixture, ENDS | AGREES);
    fixture.config.retries_max = 1;
    fixture.model->repeats = true;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    watch(&fixture, &outcome);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture_counters(fixture.queues[0]).retries, 1);
    fixture_finish(&fixture);
}

/* ---- Who may use the admin queue ------------------------------------------------------- */

/* The owner of a queue on a shared line asks; only the IRQ hart posts. */
static void irq_hart_posts_for_the_owners_of_its_line(void **state)
{
    struct fixture *fixture;
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    fixture = &harts.fixture;
    configure(fixture, ENDS | AGREES);
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    fixture->model->hang_next = 1;
    harts_post(&harts, 1);
    while (!fixture_saw(fixture, NVME_EVENT_ABORT)) {
        world_advance(STEP_MS * MS);
        world.hart = 1;
        nvme_queue_watchdog(fixture->queues[1], world.now_ns);
        assert_int_equal(aborts(fixture), 0);
    }
    assert_true(fixture->ipis[0] != 0);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(aborts(fixture), 1);
    while (harts_claim(&harts)) {
        for (uint32_t i = 1; i < HARTS_QUEUES; i++) {
            harts_ipi(&harts, i);
        }
        harts_ipi_irq_hart(&harts);
    }
    outcome_check_error(&harts.outcomes[1], NVME_ERR_TIMEOUT);
    memset(fixture->ipis, 0, sizeof(fixture->ipis));
    harts_finish(&harts);
}

/* The late command ends before the IRQ hart has its turn, and another is in flight. */
static void command_that_has_ended_is_not_aborted(void **state)
{
    struct fixture *fixture;
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    fixture = &harts.fixture;
    configure(fixture, ENDS | AGREES);
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    fixture->model->hang_next = 2;
    harts_post(&harts, 1);
    for (uint32_t ms = 0; !fixture_saw(fixture, NVME_EVENT_ABORT); ms += STEP_MS) {
        if (ms == TIMEOUT_MS / 2) {
            harts_post(&harts, 1);
        }
        world_advance(STEP_MS * MS);
        world.hart = 1;
        nvme_queue_watchdog(fixture->queues[1], world.now_ns);
    }
    model_fail_one(fixture->model, 0, 0x006);
    nvme_queue_reap(fixture->queues[1], 1);
    assert_int_equal(harts.outcomes[1].count, 1);
    world_advance(STEP_MS * MS);
    nvme_queue_watchdog(fixture->queues[1], world.now_ns);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(aborts(fixture), 0);
    world.hart = 1;
    model_fail_one(fixture->model, 0, 0x006);
    nvme_queue_reap(fixture->queues[1], 1);
    memset(fixture->ipis, 0, sizeof(fixture->ipis));
    harts_finish(&harts);
}

/* On another hart, as if: this one posts nothing, and does so when that one has ended. */
static void nobody_posts_while_another_administers(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    configure(&fixture, ENDS | AGREES);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    fixture.controller->administered = NVME_CLOSED_COMMAND;
    while (!fixture_saw(&fixture, NVME_EVENT_ABORT)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_int_equal(aborts(&fixture), 0);
    fixture.controller->administered = 0;
    watch(&fixture, &outcome);
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_int_equal(aborts(&fixture), 1);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[7 + COUNT_OF(abort_cases) + FIXTURE_LINES] = {
        cmocka_unit_test(one_abort_at_a_time_for_several_queues),
        cmocka_unit_test(aborted_read_is_tried_again),
        cmocka_unit_test(irq_hart_posts_for_the_owners_of_its_line),
        cmocka_unit_test(nobody_posts_while_another_administers),
        cmocka_unit_test(second_abort_waits_for_the_first),
        cmocka_unit_test(controller_that_was_reset_aborts_again),
        cmocka_unit_test(command_that_has_ended_is_not_aborted),
    };
    size_t count = 7;

    ADD_CASES(tests, &count, late_command_is_aborted_or_its_controller_reset, abort_cases);
    fixture_add_cases(tests, &count, handler_takes_the_answer_beside_completions, fixture_sources,
                      FIXTURE_LINES, sizeof(fixture_sources[0]));
    return fixture_run("abort", tests, count);
}
