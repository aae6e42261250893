// SPDX-License-Identifier: MIT
/*
 * shared.c: cycles of a shared line that find nothing, and storms; queues that are closed and
 * opened amid cycles; what a shared line needs.
 */
#include "harts.h"

#define MS UINT64_C(1000000)

/* ---- Cycles that find nothing ------------------------------------------------------------ */

static uint32_t empty_cycle(struct harts *harts)
{
    uint32_t ipis;

    harts->fixture.line.pending = true;
    assert_true(harts_claim(harts));
    ipis = harts_ipis(harts);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        harts_ipi(harts, i);
    }
    harts_ipis(harts);
    harts_ipi_irq_hart(harts);
    return ipis;
}

/* A queue without a doorbell that keeps the line asserted is found by the next cycle. */
static void empty_cycle_is_followed_by_one_that_asks_all(void **state)
{
    struct nvme_completion entry = {.status = 0x7777};
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_post(&harts, 1);
    assert_int_equal(empty_cycle(&harts), 10);
    assert_int_equal(empty_cycle(&harts), 110);
    harts_answer(&harts);
    assert_int_equal(empty_cycle(&harts), 110);
    outcome_check_ok(&harts.outcomes[1], BLOCK);
    /* It found something: back to the active ones. */
    assert_int_equal(empty_cycle(&harts), 10);
    assert_int_equal(empty_cycle(&harts), 110);
    model_post_entry(harts.fixture.model, 0, entry);
    assert_true(model_level(harts.fixture.model));
    assert_int_equal(empty_cycle(&harts), 110);
    assert_false(model_level(harts.fixture.model));
    harts_finish(&harts);
}

static void stale_entry_of_an_idle_queue_is_found_by_its_owner(void **state)
{
    struct nvme_completion entry = {.sq = 3 << 16, .status = 0x7777};
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    model_post_entry(harts.fixture.model, 3, entry);
    assert_int_equal(harts_settle(&harts), 2);
    assert_false(model_level(harts.fixture.model));
    assert_int_equal(fixture_counters(harts.fixture.queues[2]).stale, 1);
    harts_finish(&harts);
}

static void storm_masks_the_line_and_wakes_all_owners(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_post(&harts, 1);
    for (uint32_t i = 1; i < NVME_STORM_INTERRUPTS; i++) {
        empty_cycle(&harts);
        assert_false(harts_masked(&harts));
    }
    assert_false(fixture_saw(&harts.fixture, NVME_EVENT_INTERRUPT_STORM));
    harts.fixture.line.pending = true;
    harts_claim(&harts);
    harts_ipi(&harts, 1);
    harts_ipi(&harts, 2);
    harts_ipis(&harts);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts_ipis(&harts), 111);
    assert_true(harts_masked(&harts));
    assert_int_equal(fixture_event(&harts.fixture, NVME_EVENT_INTERRUPT_STORM).value,
                     NVME_STORM_INTERRUPTS);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        assert_int_equal(nvme_queue_mode(harts.fixture.queues[i]), NVME_MODE_POLL);
        assert_false(nvme_queue_arm(harts.fixture.queues[i], NVME_WAIT_BLOCKED));
    }
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).spurious, NVME_STORM_INTERRUPTS);
    empty_cycle(&harts); /* one that was pending: stays masked, says nothing more */
    assert_true(harts_masked(&harts));
    assert_int_equal(harts.fixture.event_count, 1);
    harts_answer(&harts);
    world.hart = 1;
    assert_int_equal(nvme_queue_reap(harts.fixture.queues[1], 1), 1);
    harts_finish(&harts);
}

struct storm_case {
    const char *name;
    uint32_t watcher;
};

static const struct storm_case storm_cases[] = {
    {"watchdog_of_irq_hart", 0},
    {"watchdog_of_an_owner", 1},
};

/* The line is the IRQ hart's to open, whoever's watchdog finds that the time is over. */
static void irq_hart_ends_a_storm(void **state)
{
    const struct storm_case *this = *state;
    struct harts harts;
    uint64_t waited_ms = 0;

    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < NVME_STORM_INTERRUPTS; i++) {
        empty_cycle(&harts);
    }
    harts_ipis(&harts);
    assert_int_equal(nvme_queue_closed(harts.fixture.queues[1]), NVME_CLOSED_STORM);
    while (nvme_queue_closed(harts.fixture.queues[1]) != 0) {
        assert_true(waited_ms < NVME_STORM_FIRST_NS / MS);
        harts_watchdog(&harts, this->watcher, 10);
        harts_deliver(&harts, harts.irq_hart);
        waited_ms += 10;
    }
    assert_int_equal(waited_ms, NVME_STORM_FIRST_NS / MS);
    assert_false(harts_masked(&harts));
    assert_true(fixture_saw(&harts.fixture, NVME_EVENT_STORM_OVER));
    harts_settle(&harts);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        assert_int_equal(nvme_queue_mode(harts.fixture.queues[i]), NVME_MODE_INTERRUPT);
        harts_complete(&harts, i);
        assert_int_equal(harts_settle(&harts), 1);
        outcome_check_ok(&harts.outcomes[i], BLOCK);
    }
    harts_finish(&harts);
}

/* As in hybrid mode, where owners poll while the line is open for others. */
static void owners_that_get_on_by_themselves_are_no_storm(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 2 * NVME_STORM_INTERRUPTS; i++) {
        harts_complete(&harts, 1);
        world.hart = 1;
        assert_int_equal(nvme_queue_reap(harts.fixture.queues[1], 1), 1);
        assert_int_equal(empty_cycle(&harts), 10);
    }
    assert_int_equal(harts.fixture.event_count, 0);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).spurious, 2 * NVME_STORM_INTERRUPTS);
    harts_finish(&harts);
}

/* ---- Close and open ---------------------------------------------------------------------- */

static void close_waits_for_the_owners_answer(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    harts_complete(&harts, 2);
    harts_claim(&harts);
    world.hart = 0;
    assert_int_equal(nvme_queue_close(harts.fixture.queues[1]), NVME_ERR_BUSY);
    assert_int_equal(nvme_queue_close(harts.fixture.queues[2]), NVME_ERR_BUSY);
    assert_int_equal(nvme_controller_close(harts.fixture.controller), NVME_ERR_BUSY);
    harts_ipi(&harts, 1);
    world.hart = 0;
    assert_int_equal(nvme_queue_close(harts.fixture.queues[1]), NVME_OK);
    assert_true(harts_masked(&harts)); /* the cycle goes on */
    assert_int_equal(nvme_queue_close(harts.fixture.queues[2]), NVME_ERR_BUSY);
    assert_int_equal(harts_ipi(&harts, 2), 1);
    world.hart = 0;
    assert_int_equal(nvme_controller_close(harts.fixture.controller), NVME_OK);
    outcome_check_ok(&harts.outcomes[1], BLOCK);
    outcome_check_ok(&harts.outcomes[2], BLOCK);
    fixture_drop(&harts.fixture);
}

/* Nothing outstanding, but an answer is owed. */
static void controller_is_not_closed_amid_a_cycle(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    world.hart = 1;
    assert_int_equal(nvme_queue_reap(harts.fixture.queues[1], 1), 1);
    harts.fixture.line.pending = true;
    harts_claim(&harts);
    world.hart = 0;
    assert_int_equal(nvme_queue_close(harts.fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_controller_close(harts.fixture.controller), NVME_ERR_BUSY);
    assert_int_equal(nvme_queue_mode(harts.fixture.queues[1]), NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_mode(harts.fixture.queues[2]), NVME_MODE_INTERRUPT);
    harts_ipi(&harts, 1);
    harts_finish(&harts);
}

/* A pair that is opened again begins anew: counts, cycles, and who is asked. */
static void reopened_queue_begins_anew(void **state)
{
    struct nvme_queue_config config = {.owner = 3, .mode = NVME_MODE_INTERRUPT};
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    harts_settle(&harts);
    world.hart = 0;
    assert_int_equal(nvme_queue_close(harts.fixture.queues[1]), NVME_OK);
    assert_int_equal(empty_cycle(&harts), 0); /* nobody is active */
    assert_int_equal(empty_cycle(&harts), 100);
    world.hart = 0;
    assert_int_equal(
        nvme_queue_open(harts.fixture.controller, 1, &config, &harts.fixture.queues[1]), NVME_OK);
    assert_int_equal(harts_ipis(&harts), 1101);
    harts.owners[1] = 3;
    harts_complete(&harts, 1);
    harts_claim(&harts);
    assert_int_equal(harts_ipis(&harts), 1000);
    assert_int_equal(harts_ipi(&harts, 1), 1);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).interrupts, 1);
    assert_int_equal(harts.outcomes[1].count, 2);
    harts_finish(&harts);
}

/* A poll queue on the same controller has no part in it. */
static void poll_queue_is_neither_asked_nor_waited_for(void **state)
{
    struct nvme_queue_config config = {.owner = 2, .mode = NVME_MODE_POLL};
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    harts_start(&harts, 2, NULL, NVME_MODE_INTERRUPT);
    assert_int_equal(
        nvme_queue_open(harts.fixture.controller, 2, &config, &harts.fixture.queues[2]), NVME_OK);
    harts_ipis(&harts);
    harts.owners[2] = 2;
    harts_complete(&harts, 2);
    assert_int_equal(empty_cycle(&harts), 0);
    assert_int_equal(empty_cycle(&harts), 10);
    assert_int_equal(harts.outcomes[2].count, 0);
    world.hart = 2;
    assert_int_equal(nvme_queue_reap(harts.fixture.queues[2], 1), 1);
    assert_int_equal(fixture_counters(harts.fixture.queues[2]).interrupts, 0);
    harts_finish(&harts);
}

/* Two cycles without a cause: the second one asks all who have come, but for queue 2's owner. */
static void check_not_waited_for(struct harts *harts)
{
    for (uint32_t i = 0; i < 2; i++) {
        harts->fixture.line.pending = true;
        assert_true(harts_claim(harts));
        assert_in_range(harts_ipis(harts), 0, 11); /* harts 0 and 1 at most */
        harts_ipi(harts, 1);
        harts_ipi_irq_hart(harts);
        assert_false(harts_masked(harts));
        harts_ipis(harts);
    }
    harts_complete(harts, 1);
    harts_settle(harts);
}

static void open_third(struct harts *harts)
{
    struct nvme_queue_config config = {.owner = 2, .mode = NVME_MODE_INTERRUPT};
    struct fixture *fixture = &harts->fixture;

    world.hart = 0;
    assert_int_equal(nvme_queue_open(fixture->controller, 2, &config, &fixture->queues[2]),
                     NVME_OK);
    harts->owners[2] = 2;
    harts->count = 3;
    harts_ipis(harts);
}

/* A hart that starts late, or never, has no handler for an IPI. Its own first one tells. */
static void owner_that_has_not_come_is_not_waited_for(void **state)
{
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    harts_start(&harts, 2, NULL, NVME_MODE_INTERRUPT);
    open_third(&harts);
    check_not_waited_for(&harts);
    assert_int_equal(harts_ipi(&harts, 2), 0); /* from itself */
    empty_cycle(&harts);
    assert_int_equal(empty_cycle(&harts), 110);
    world.hart = 0;
    assert_int_equal(nvme_queue_close(harts.fixture.queues[2]), NVME_OK);
    open_third(&harts); /* for another one, which has not come */
    check_not_waited_for(&harts);
    harts_complete(&harts, 2); /* a request tells, too */
    harts_settle(&harts);
    assert_int_equal(harts.outcomes[2].count, 1);
    empty_cycle(&harts);
    assert_int_equal(empty_cycle(&harts), 110);
    harts_finish(&harts);
}

static void shared_line_needs_ipis_and_excludes_vectors(void **state)
{
    struct fixture fixture;
    struct nvme_memory needed;

    (void)state;
    fixture_init(&fixture);
    fixture.config.shared = true;
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_OK);
    fixture.config.msix = true;
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_ERR_CONFIG);
    fixture.config.msix = false;
    fixture.config.send_ipi = NULL;
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_ERR_CONFIG);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[10 + COUNT_OF(storm_cases)] = {
        cmocka_unit_test(empty_cycle_is_followed_by_one_that_asks_all),
        cmocka_unit_test(stale_entry_of_an_idle_queue_is_found_by_its_owner),
        cmocka_unit_test(storm_masks_the_line_and_wakes_all_owners),
        cmocka_unit_test(owners_that_get_on_by_themselves_are_no_storm),
        cmocka_unit_test(close_waits_for_the_owners_answer),
        cmocka_unit_test(controller_is_not_closed_amid_a_cycle),
        cmocka_unit_test(reopened_queue_begins_anew),
        cmocka_unit_test(poll_queue_is_neither_asked_nor_waited_for),
        cmocka_unit_test(owner_that_has_not_come_is_not_waited_for),
        cmocka_unit_test(shared_line_needs_ipis_and_excludes_vectors),
    };
    size_t count = 10;

    ADD_CASES(tests, &count, irq_hart_ends_a_storm, storm_cases);
    return fixture_run("shared cycles", tests, count);
}
