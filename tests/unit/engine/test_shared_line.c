// SPDX-License-Identifier: MIT
/*
 * Shared delivery: the watchdog, and deadlines and failures amid a cycle.
 */
#include "harts.h"

#define MS UINT64_C(1000000)

static void start(struct harts *harts)
{
    harts_init(harts, MODEL_LINE_EDGE, 0);
    harts->fixture.config.command_timeout_ns = 1000 * MS;
    harts_start(harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
}

/* ---- The watchdog -------------------------------------------------------------------------- */

/* The others need not wait for a slow owner, and call nothing missed. */
static void entry_behind_a_slow_owner_is_late(void **state)
{
    struct harts harts;
    struct nvme_counters counters;

    (void)state;
    start(&harts);
    harts_complete(&harts, 1);
    harts_complete(&harts, 2);
    harts_claim(&harts);
    harts_ipi(&harts, 2);
    harts_complete(&harts, 2);
    harts_ipis(&harts);
    harts_watchdog(&harts, 2, 10);
    assert_int_equal(harts.outcomes[2].count, 1);
    harts_watchdog(&harts, 2, 10);
    assert_int_equal(harts.outcomes[2].count, 2);
    assert_int_equal(harts_ipis(&harts), 0);
    counters = fixture_counters(harts.fixture.queues[2]);
    assert_int_equal(counters.late, 1);
    assert_int_equal(counters.missed, 0);
    harts_ipi(&harts, 1);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts_settle(&harts), 0);
    harts_finish(&harts);
}

struct lost_case {
    const char *name;
    uint32_t queue;
    uint32_t ipis; /* of the IRQ hart, by the watchdog */
};

static const struct lost_case lost_cases[] = {
    {"of_an_owner", 1, 1},
    {"of_irq_hart", 0, 0},
};

/* The IRQ hart says what was missed and makes the edge that other owners wait for, once. */
static void lost_interrupt_is_missed_once_and_an_edge_is_made(void **state)
{
    const struct lost_case *this = *state;
    struct harts harts;
    struct nvme_queue *queue;
    uint32_t writes;

    start(&harts);
    queue = harts.fixture.queues[this->queue];
    harts_complete(&harts, this->queue);
    harts_complete(&harts, 2);
    harts.fixture.line.pending = false;
    writes = fixture_mask_writes(&harts.fixture);
    harts_watchdog(&harts, this->queue, 10);
    harts_watchdog(&harts, this->queue, 10);
    outcome_check_ok(&harts.outcomes[this->queue], BLOCK);
    assert_int_equal(harts_ipis(&harts), this->ipis);
    if (this->ipis != 0) {
        assert_int_equal(fixture_mask_writes(&harts.fixture), writes);
        assert_int_equal(fixture_counters(queue).missed, 0);
    }
    harts_ipi_irq_hart(&harts);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(fixture_mask_writes(&harts.fixture) - writes, 2);
    assert_int_equal(fixture_counters(queue).missed, 1);
    for (int i = 0; i < 3; i++) {
        harts_watchdog(&harts, this->queue, 10);
        harts_ipi_irq_hart(&harts);
        assert_int_equal(fixture_counters(queue).missed, 1);
    }
    assert_int_equal(harts_settle(&harts), 1);
    outcome_check_ok(&harts.outcomes[2], BLOCK);
    assert_int_equal(fixture_counters(harts.fixture.queues[2]).missed, 0);
    /* Another one counts too. */
    harts_complete(&harts, this->queue);
    harts.fixture.line.pending = false;
    harts_watchdog(&harts, this->queue, 10);
    harts_watchdog(&harts, this->queue, 10);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(fixture_counters(queue).missed, 2);
    harts_finish(&harts);
}

/* The IRQ hart answers all who have asked, at once. */
static void lost_interrupt_is_missed_by_each_that_asked(void **state)
{
    struct harts harts;

    (void)state;
    start(&harts);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        harts_complete(&harts, i);
    }
    harts.fixture.line.pending = false;
    for (uint32_t i = 0; i < 4; i++) {
        harts_watchdog(&harts, 1 + i % 2, 10);
    }
    assert_int_equal(harts_ipis(&harts), 2);
    harts_ipi_irq_hart(&harts);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        assert_int_equal(fixture_counters(harts.fixture.queues[i]).missed, i != 0);
    }
    assert_int_equal(harts_settle(&harts), 1);
    outcome_check_ok(&harts.outcomes[0], BLOCK);
    harts_finish(&harts);
}

/* A queue that is closed and opened again does not inherit it. */
static void missed_interrupt_is_forgotten_at_close(void **state)
{
    struct nvme_queue_config config = {.owner = 1, .mode = NVME_MODE_INTERRUPT};
    struct harts harts;

    (void)state;
    start(&harts);
    harts_complete(&harts, 1);
    harts.fixture.line.pending = false;
    harts_watchdog(&harts, 1, 10);
    harts_watchdog(&harts, 1, 10);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(nvme_queue_close(harts.fixture.queues[1]), NVME_OK);
    assert_int_equal(
        nvme_queue_open(harts.fixture.controller, 1, &config, &harts.fixture.queues[1]), NVME_OK);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).missed, 0);
    harts_finish(&harts);
}

/* The owner cannot know that the IRQ hart is only slow; the IRQ hart does. */
static void interrupt_that_irq_hart_takes_late_is_not_missed(void **state)
{
    struct harts harts;

    (void)state;
    start(&harts);
    harts_complete(&harts, 1);
    harts_post(&harts, 1);
    harts_watchdog(&harts, 1, 10);
    harts_watchdog(&harts, 1, 10);
    outcome_check_ok(&harts.outcomes[1], BLOCK);
    assert_int_equal(harts_ipis(&harts), 1);
    harts_claim(&harts);
    harts_ipi_irq_hart(&harts);
    assert_true(harts_masked(&harts)); /* in the cycle, whatever is asked */
    harts_ipi(&harts, 1);
    harts_ipi_irq_hart(&harts);
    assert_false(harts_masked(&harts));
    harts_watchdog(&harts, 1, 10);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).missed, 0);
    harts_answer(&harts);
    assert_int_equal(harts_settle(&harts), 1);
    harts_finish(&harts);
}

static void entry_that_the_end_of_a_cycle_announces_is_not_missed(void **state)
{
    struct harts harts;

    (void)state;
    start(&harts);
    harts_complete(&harts, 2);
    harts_claim(&harts);
    harts_ipi(&harts, 1);
    harts_complete(&harts, 1);
    harts_ipi(&harts, 2);
    harts_open_slowly(&harts, 1);
    harts_ipi_irq_hart(&harts);
    assert_null(harts.fixture.line.raised);
    outcome_check_ok(&harts.outcomes[1], BLOCK);
    harts_watchdog(&harts, 1, 10);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).missed, 0);
    (void)harts_settle(&harts);
    harts_finish(&harts);
}

/*
 * A request that the device never answers has no entry whose interrupt could be missed. The line
 * is open since the watchdog saw the entry before it, which its owner polled.
 */
static void deadline_is_no_missed_interrupt(void **state)
{
    struct harts harts;
    struct nvme_queue *queue;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    queue = harts.fixture.queues[1];
    harts_complete(&harts, 1);
    harts.fixture.line.pending = false;
    harts_watchdog(&harts, 1, 10);
    assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 1);
    harts.outcomes[1] = (struct outcome){0};
    harts.fixture.model->hang_next = 1;
    harts_post(&harts, 1);
    while (harts.fixture.ipis[0] == 0) {
        harts_watchdog(&harts, 1, 10);
    }
    assert_false(harts_masked(&harts));
    harts_ipi_irq_hart(&harts);
    while (harts.outcomes[1].count == 0) {
        harts_watchdog(&harts, 1, 10);
    }
    assert_int_equal(fixture_counters(queue).missed, 0);
    outcome_check_error(&harts.outcomes[1], NVME_ERR_TIMEOUT);
    world.hart = 0;
    assert_int_equal(nvme_controller_close(harts.fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&harts.fixture);
}

/* ---- Failures --------------------------------------------------------------------------- */

struct failure_case {
    const char *name;
    uint32_t finder;
    uint32_t order[HARTS_QUEUES]; /* in which the IPIs of the failure come */
};

static const struct failure_case failure_cases[] = {
    {"found_by_an_owner_that_is_waited_for", 1, {0, 1, 2}},
    {"found_by_one_that_has_answered", 2, {2, 1, 0}},
    {"found_by_irq_hart", 0, {1, 2, 0}},
};

/* Whoever finds it masks the line and disables; each owner ends its own. */
static void failure_amid_a_cycle_ends_each_request_once(void **state)
{
    const struct failure_case *this = *state;
    struct harts harts;
    uint32_t writes;

    start(&harts);
    harts_complete(&harts, 2);
    harts.fixture.model->hang_next = 3;
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        harts_post(&harts, i);
    }
    harts_claim(&harts);
    assert_int_equal(harts_ipi(&harts, 2), 1);
    harts_ipis(&harts);
    while (!fixture_saw(&harts.fixture, NVME_EVENT_DISABLED)) {
        harts_watchdog(&harts, this->finder, 10);
    }
    assert_int_equal(fixture_event(&harts.fixture, NVME_EVENT_COMMAND_TIMEOUT).queue_id,
                     this->finder + 1);
    assert_int_equal(harts_ipis(&harts) % 1000 / 10, 11);
    world.hart = 0;
    assert_int_equal(nvme_controller_close(harts.fixture.controller), NVME_ERR_BUSY);
    writes = fixture_mask_writes(&harts.fixture);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        harts_ipi(&harts, this->order[i]);
        harts_ipi(&harts, this->order[i]);
    }
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts.outcomes[2].count, 2);
    harts.outcomes[2].count--;
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        outcome_check_error(&harts.outcomes[i], NVME_ERR_TIMEOUT);
    }
    assert_false(nvme_queue_arm(harts.fixture.queues[1], NVME_WAIT_BLOCKED));
    assert_int_equal(fixture_mask_writes(&harts.fixture), writes); /* nothing opens the line */
    assert_int_equal(nvme_controller_close(harts.fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&harts.fixture);
}

int main(void)
{
    struct CMUnitTest tests[6 + COUNT_OF(lost_cases) + COUNT_OF(failure_cases)] = {
        cmocka_unit_test(entry_behind_a_slow_owner_is_late),
        cmocka_unit_test(lost_interrupt_is_missed_by_each_that_asked),
        cmocka_unit_test(missed_interrupt_is_forgotten_at_close),
        cmocka_unit_test(interrupt_that_irq_hart_takes_late_is_not_missed),
        cmocka_unit_test(entry_that_the_end_of_a_cycle_announces_is_not_missed),
        cmocka_unit_test(deadline_is_no_missed_interrupt),
    };
    size_t count = 6;

    ADD_CASES(tests, &count, lost_interrupt_is_missed_once_and_an_edge_is_made, lost_cases);
    ADD_CASES(tests, &count, failure_amid_a_cycle_ends_each_request_once, failure_cases);
    return fixture_run("shared line", tests, count);
}
