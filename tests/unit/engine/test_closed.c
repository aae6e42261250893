// SPDX-License-Identifier: MIT
/*
 * source.c, recovery.c, shared.c: why a source is closed, and that no reason stays for good; storms
 * that are none, and storms that end; IPIs that come to the owner of a poll queue.
 */
#include "fixture.h"
#include "nvme_internal.h"

#define MS UINT64_C(1000000)

/* The thread is first, interrupts off; each interrupt finds nothing. */
static void owner_that_is_faster_than_its_handler_makes_no_storm(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 3 * NVME_STORM_INTERRUPTS; i++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH), 1);
        fixture_interrupts(&fixture);
    }
    assert_true(fixture_counters(fixture.queues[0]).spurious >= NVME_STORM_INTERRUPTS);
    assert_false(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
    assert_int_equal(nvme_queue_closed(fixture.queues[0]), 0);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_INTERRUPT);
    fixture_finish(&fixture);
}

static void slow_interrupts_for_nothing_are_borne(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 4 * NVME_STORM_INTERRUPTS; i++) {
        fixture_handle(&fixture, 0);
        world_advance(NVME_STORM_PERIOD_NS / (NVME_STORM_INTERRUPTS - 1) + 1);
    }
    assert_false(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
    fixture_finish(&fixture);
}

/* Each storm lasts twice as long as the one before; meanwhile the watchdog reaps. */
static void watchdog_ends_a_storm(void **state)
{
    const struct fixture_source *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
    for (uint64_t length_ms = NVME_STORM_FIRST_NS / MS; length_ms <= 4000; length_ms *= 2) {
        uint64_t waited_ms = 0;

        for (uint32_t i = 0; i <= NVME_STORM_INTERRUPTS; i++) {
            fixture_handle(&fixture, 0);
        }
        assert_int_equal(nvme_queue_closed(fixture.queues[0]), NVME_CLOSED_STORM);
        assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_POLL);
        outcome = (struct outcome){0};
        fixture_submit(&fixture, 0, &outcome);
        for (; nvme_queue_closed(fixture.queues[0]) != 0; waited_ms += 10) {
            assert_true(outcome.count == 1 || waited_ms <= 20);
            world_advance(10 * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
        assert_int_equal(waited_ms, length_ms);
        assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_INTERRUPT);
        fixture_interrupts(&fixture);
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(fixture_interrupts(&fixture), 1);
        assert_int_equal(outcome.count, 2);
    }
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_STORM_OVER).value, 3);
    fixture_finish(&fixture);
}

static void enter_twice_and_exit_once_opens_the_line(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 1);
    fixture_submit(&fixture, 0, &outcome);
    nvme_irq_enter(fixture.controller);
    nvme_irq_enter(fixture.controller);
    assert_int_equal(nvme_queue_closed(fixture.queues[0]), NVME_CLOSED_ENTERED);
    nvme_irq_exit(fixture.controller, nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH));
    assert_int_equal(nvme_queue_closed(fixture.queues[0]), 0);
    assert_false(fixture_masked(&fixture, 0));
    /* A second exit makes an edge if anything is left. */
    fixture_submit(&fixture, 0, &outcome);
    fixture.line.pending = false;
    nvme_irq_exit(fixture.controller, 0);
    assert_true(fixture.line.pending);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    fixture_finish(&fixture);
}

/* Whatever keeps the source closed, and whoever forgot it. */
static void watchdog_reaps_behind_every_reason_within_20_ms(void **state)
{
    const struct fixture_source *this = *state;

    for (uint32_t reason = NVME_CLOSED_POLLED; reason <= NVME_CLOSED_QUEUE; reason <<= 1) {
        struct fixture fixture;
        struct outcome outcome = {0};

        fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
        nvme_source_close(fixture.queues[0]->source, reason);
        if (reason == NVME_CLOSED_STORM) {
            fixture.queues[0]->source->storm_end_ns = UINT64_MAX;
        }
        fixture_submit(&fixture, 0, &outcome);
        for (uint32_t i = 0; i < 2; i++) {
            world_advance(10 * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
        outcome_check_ok(&outcome, BLOCK);
        assert_int_equal(fixture_counters(fixture.queues[0]).late, 1);
        nvme_source_open(fixture.queues[0]->source, reason | NVME_CLOSED_WATCHDOG);
        fixture_finish(&fixture);
    }
}

/* What the embedder prints of a deadline: the interrupts came, or why they did not. */
static void deadline_tells_why_the_source_is_closed(void **state)
{
    const struct fixture_source *this = *state;
    static const uint32_t reasons[] = {0, NVME_CLOSED_ENTERED,
                                       NVME_CLOSED_POLLED | NVME_CLOSED_ENTERED};

    for (uint32_t i = 0; i < COUNT_OF(reasons); i++) {
        struct fixture fixture;
        struct outcome outcome = {0};

        fixture_start_on(&fixture, this, 1, NVME_MODE_INTERRUPT);
        nvme_source_close(fixture.queues[0]->source, reasons[i]);
        fixture.model->hang_next = 1;
        fixture_submit(&fixture, 0, &outcome);
        while (outcome.count == 0) {
            world_advance(100 * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
        outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_COMMAND_TIMEOUT).closed, reasons[i]);
        assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
        fixture_drop(&fixture);
    }
}

static void every_reason_has_a_phrase_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(nvme_closed_text(0), "open");
    assert_string_equal(nvme_closed_text(2 * NVME_CLOSED_FAILED), "unknown reason");
    for (uint32_t a = 1; a <= NVME_CLOSED_FAILED; a <<= 1) {
        assert_string_equal(nvme_closed_text(a | NVME_CLOSED_FAILED), nvme_closed_text(a));
        for (uint32_t b = 2 * a; b <= 2 * NVME_CLOSED_FAILED; b <<= 1) {
            assert_string_not_equal(nvme_closed_text(a), nvme_closed_text(b));
        }
    }
}

/* ---- IPIs ------------------------------------------------------------------------------ */

static void ipi_comes(void *arg)
{
    struct fixture *fixture = arg;

    nvme_queue_take_ipi(fixture->queues[0]);
}

static void reap(void *arg)
{
    struct fixture *fixture = arg;

    nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
}

/* An IPI of whatever cause, in a trap amid the thread's reap, when the controller has failed. */
static void ipi_leaves_a_poll_queue_alone(void **state)
{
    struct fixture fixture;
    struct outcome answered = {0};
    struct outcome hung = {0};
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL, .owner = 1};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &fixture.queues[1]), NVME_OK);
    fixture_submit(&fixture, 0, &answered);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 1, &hung);
    while (nvme_controller_state_load(fixture.controller) != NVME_CONTROLLER_FAILED) {
        world_advance(100 * MS);
        nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    }
    assert_int_equal(fixture.ipis[0], 0);
    assert_int_equal(nvme_queue_take_ipi(fixture.queues[0]), 0);
    assert_int_equal(answered.count, 0);
    world.meanwhile_arg = &fixture;
    world.meanwhile[WORLD_AT_PHASE] = ipi_comes;
    assert_null(world_catch_panic(reap, &fixture));
    outcome_check_ok(&answered, BLOCK);
    assert_int_equal(hung.count, 1); /* by its own watchdog */
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

/* ---- Budgets and handles ---------------------------------------------------------------- */

static void budget_of_0_does_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    for (uint32_t lap = 0; lap < 3 * FIXTURE_DEPTH; lap++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 0), 0);
        assert_int_equal(outcome.count, lap);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    }
    fixture_finish(&fixture);
}

static struct fixture *opened_fixture;
static uint32_t looks;
static uint32_t unknown_handles;

/* Another hart that takes the interrupt, or an IPI, finds the queue by the embedder's handle. */
static void look_for_handles(void)
{
    for (uint32_t i = 0; opened_fixture->controller != NULL && i < FIXTURE_QUEUES; i++) {
        bool open = opened_fixture->controller->queues[i].state == NVME_QUEUE_OPEN;

        looks += open;
        unknown_handles += open && opened_fixture->queues[i] == NULL;
    }
}

static void look_at_barrier(void *arg)
{
    look_for_handles();
    world.meanwhile_arg = arg;
    world.meanwhile[WORLD_AT_DOORBELL] = look_at_barrier;
}

static void look_at_mask(void *arg, uint16_t vector, bool masked)
{
    struct fixture *fixture = arg;

    model_vector_mask(fixture->model, vector, masked);
    look_for_handles();
}

static void look_at_ipi(void *arg, uint32_t owner)
{
    (void)arg;
    (void)owner;
    look_for_handles();
}

struct handle_case {
    const char *name;
    bool vectors;
    bool shared;
};

static const struct handle_case handle_cases[] = {
    {"line", false, false},
    {"shared", false, true},
    {"vector", true, false},
};

/* At the barrier before the source opens, at each IPI, and when the mask is written. */
static void handle_is_there_when_the_source_opens(void **state)
{
    const struct handle_case *this = *state;
    struct fixture fixture;

    fixture_init(&fixture);
    if (this->vectors) {
        fixture_use_vectors(&fixture);
        fixture.config.vector_mask = look_at_mask;
    }
    fixture.config.shared = this->shared;
    fixture.config.send_ipi = look_at_ipi;
    opened_fixture = &fixture;
    looks = 0;
    unknown_handles = 0;
    look_at_barrier(NULL);
    fixture_start(&fixture, 2, NVME_MODE_INTERRUPT);
    world.meanwhile[WORLD_AT_DOORBELL] = NULL;
    assert_true(looks != 0);
    assert_int_equal(unknown_handles, 0);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[4 + 5 * COUNT_OF(fixture_deliveries) + COUNT_OF(handle_cases)] = {
        cmocka_unit_test(enter_twice_and_exit_once_opens_the_line),
        cmocka_unit_test(every_reason_has_a_phrase_of_its_own),
        cmocka_unit_test(ipi_leaves_a_poll_queue_alone),
        cmocka_unit_test(budget_of_0_does_nothing),
    };
    static const CMUnitTestFunction on_each[] = {
        owner_that_is_faster_than_its_handler_makes_no_storm,
        slow_interrupts_for_nothing_are_borne,
        watchdog_ends_a_storm,
        watchdog_reaps_behind_every_reason_within_20_ms,
        deadline_tells_why_the_source_is_closed,
    };
    size_t count = 4;

    ADD_CASES_OF_EACH(tests, &count, on_each, fixture_deliveries);
    ADD_CASES(tests, &count, handle_is_there_when_the_source_opens, handle_cases);
    return fixture_run("closed", tests, count);
}
