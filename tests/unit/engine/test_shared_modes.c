// SPDX-License-Identifier: MIT
/*
 * source.c, shared.c: modes of a shared line: polled, and hybrid, where the one mask of the line is
 * kept closed while no owner sleeps.
 */
#include "harts.h"

enum {
    LOOK_NS = 50000,
    LOOKS_MAX = 100,
};

static bool arm(struct harts *harts, uint32_t queue)
{
    world.hart = harts->owners[queue];
    return nvme_queue_arm(harts->fixture.queues[queue]);
}

/* The owner spins until it may sleep. */
static void sleep_on(struct harts *harts, uint32_t queue)
{
    uint32_t looks = 0;

    while (!arm(harts, queue)) {
        world_advance(LOOK_NS);
        assert_true(++looks < LOOKS_MAX);
    }
}

static uint32_t poll(struct harts *harts, uint32_t queue)
{
    world.hart = harts->owners[queue];
    return nvme_queue_reap(harts->fixture.queues[queue], FIXTURE_DEPTH);
}

/* One cycle with one member; how many writes of the mask it took. */
static uint32_t cycle_of(struct harts *harts, uint32_t queue)
{
    uint32_t writes = fixture_mask_writes(&harts->fixture);

    harts_answer(harts);
    assert_true(harts_claim(harts));
    assert_int_equal(harts_ipi(harts, queue), harts->owners[queue] != harts->irq_hart);
    harts_ipi_irq_hart(harts);
    harts_ipis(harts);
    return fixture_mask_writes(&harts->fixture) - writes;
}

/* ---- Polled ----------------------------------------------------------------------------- */

static void polled_line_stays_masked_and_opens_with_what_waits(void **state)
{
    struct harts harts;
    uint32_t writes;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_post(&harts, 1);
    harts_set_mode(&harts, NVME_MODE_POLL);
    assert_true(harts_masked(&harts));
    assert_int_equal(harts_ipis(&harts), 111);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        assert_int_equal(nvme_queue_mode(harts.fixture.queues[i]), NVME_MODE_POLL);
        assert_false(arm(&harts, i));
    }
    writes = fixture_mask_writes(&harts.fixture);
    harts_answer(&harts);
    assert_false(harts_claim(&harts));
    harts_ipi(&harts, 1);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(poll(&harts, 1), 1);
    harts_watchdog(&harts, 1, 10);
    assert_int_equal(fixture_mask_writes(&harts.fixture), writes);
    harts_complete(&harts, 2);
    harts_set_mode(&harts, NVME_MODE_INTERRUPT);
    assert_int_equal(harts_ipis(&harts), 111);
    assert_int_equal(fixture_mask_writes(&harts.fixture) - writes, 1);
    assert_int_equal(harts_settle(&harts), 1);
    outcome_check_ok(&harts.outcomes[2], BLOCK);
    harts_finish(&harts);
}

struct change_case {
    const char *name;
    enum nvme_mode from;
    enum nvme_mode to;
    bool masked; /* after the cycle */
};

static const struct change_case change_cases[] = {
    {"interrupt_to_poll", NVME_MODE_INTERRUPT, NVME_MODE_POLL, true},
    {"interrupt_to_hybrid_nobody_sleeps", NVME_MODE_INTERRUPT, NVME_MODE_HYBRID, true},
    {"hybrid_to_poll", NVME_MODE_HYBRID, NVME_MODE_POLL, true},
    {"hybrid_to_interrupt", NVME_MODE_HYBRID, NVME_MODE_INTERRUPT, false},
};

/* It is not opened amid the cycle, and at its end as the new mode wants it. */
static void change_amid_a_cycle_takes_effect_at_its_end(void **state)
{
    const struct change_case *this = *state;
    struct harts harts;

    harts_start_three(&harts, this->from);
    harts_complete(&harts, 1);
    harts_claim(&harts);
    harts_set_mode(&harts, this->to);
    assert_true(harts_masked(&harts));
    /* There and back. */
    harts_set_mode(&harts, NVME_MODE_POLL);
    harts_set_mode(&harts, this->to);
    assert_true(harts_masked(&harts));
    assert_int_equal(harts_ipi(&harts, 1), 1);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts_masked(&harts), this->masked);
    outcome_check_ok(&harts.outcomes[1], BLOCK);
    harts_finish(&harts);
}

/* ---- Hybrid ----------------------------------------------------------------------------- */

static void line_is_shut_while_nobody_sleeps_and_opened_for_who_does(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts_post(&harts, 1);
    assert_false(arm(&harts, 1));
    assert_int_equal(cycle_of(&harts, 1), 1); /* INTMS, and it stays so */
    assert_true(harts_masked(&harts));
    harts_complete(&harts, 1);
    assert_false(harts_claim(&harts));
    assert_false(arm(&harts, 1));
    assert_int_equal(poll(&harts, 1), 1);
    harts_ipi_irq_hart(&harts);
    assert_true(harts_masked(&harts)); /* nobody sleeps: no reason to open */
    harts_post(&harts, 1);
    sleep_on(&harts, 1);
    assert_int_equal(harts_ipis(&harts), 1);
    assert_true(harts_masked(&harts));
    harts_ipi_irq_hart(&harts);
    assert_false(harts_masked(&harts));
    assert_int_equal(cycle_of(&harts, 1), 1); /* awake by its answer: closed again */
    assert_true(harts_masked(&harts));
    assert_int_equal(harts.outcomes[1].count, 3);
    harts_finish(&harts);
}

static void entry_that_the_opening_for_a_sleeper_announces_is_not_missed(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts_post(&harts, 1);
    cycle_of(&harts, 1);
    harts_post(&harts, 1);
    sleep_on(&harts, 1);
    assert_true(harts_masked(&harts));
    harts_answer(&harts);
    harts_open_slowly(&harts, 1);
    harts_ipi_irq_hart(&harts);
    assert_null(harts.fixture.line.raised);
    harts_watchdog(&harts, 1, 10);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).missed, 0);
    (void)harts_settle(&harts);
    assert_int_equal(harts.outcomes[1].count, 2);
    harts_finish(&harts);
}

static void irq_hart_that_sleeps_opens_the_line_itself(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts_post(&harts, 1);
    cycle_of(&harts, 1);
    assert_true(harts_masked(&harts));
    harts_post(&harts, 0);
    sleep_on(&harts, 0);
    assert_int_equal(harts_ipis(&harts), 0);
    assert_false(harts_masked(&harts));
    harts_answer(&harts);
    assert_int_equal(harts_settle(&harts), 1);
    outcome_check_ok(&harts.outcomes[0], BLOCK);
    harts_finish(&harts);
}

/* The others poll, and are interrupted for the one that sleeps. */
static void one_that_sleeps_keeps_the_line_open_for_all(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts.fixture.model->hang_next = 1;
    harts_post(&harts, 1);
    sleep_on(&harts, 1);
    assert_int_equal(harts_ipis(&harts), 0); /* open since the start */
    for (int i = 0; i < 3; i++) {
        harts_post(&harts, 2);
        harts_answer(&harts);
        assert_true(harts_claim(&harts));
        assert_int_equal(harts_ipis(&harts), 110);
        assert_int_equal(harts_ipi(&harts, 2), 1);
        /* Still asleep when the IRQ hart looks: only an IPI wakes it. */
        if (i != 2) {
            harts_ipi(&harts, 1);
            sleep_on(&harts, 1);
        } else {
            harts_ipi(&harts, 1);
        }
        harts_ipi_irq_hart(&harts);
        assert_int_equal(harts_masked(&harts), i == 2);
        harts_ipis(&harts);
    }
    harts.fixture.model->pending[0].hangs = false;
    harts_answer(&harts);
    assert_int_equal(poll(&harts, 1), 1);
    harts_finish(&harts);
}

static void owner_without_requests_sleeps_and_keeps_nobody_from_polling(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts_post(&harts, 1);
    cycle_of(&harts, 1);
    assert_true(arm(&harts, 2));
    assert_true(arm(&harts, 0));
    assert_int_equal(harts_ipis(&harts), 0);
    harts_ipi_irq_hart(&harts);
    assert_true(harts_masked(&harts));
    harts_finish(&harts);
}

/* A latched interrupt begins a cycle of the closed line; who sleeps meanwhile is not forgotten. */
static void owner_that_sleeps_amid_a_cycle_is_seen_at_its_end(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts_post(&harts, 1);
    cycle_of(&harts, 1);
    harts_post(&harts, 1);
    harts_post(&harts, 2);
    harts.fixture.line.pending = true;
    harts_claim(&harts);
    harts_ipi(&harts, 2);
    sleep_on(&harts, 2);
    harts_ipi_irq_hart(&harts);
    assert_true(harts_masked(&harts));
    harts_ipi(&harts, 1);
    harts_ipi_irq_hart(&harts);
    assert_false(harts_masked(&harts));
    harts_answer(&harts);
    assert_int_equal(harts_settle(&harts), 1);
    outcome_check_ok(&harts.outcomes[2], BLOCK);
    harts_finish(&harts);
}

static void lie_down_now(void *arg)
{
    struct harts *harts = arg;

    harts_post(harts, 2);
    sleep_on(harts, 2);
    world.hart = harts->irq_hart;
}

/*
 * The cycle has the IRQ hart alone for a member, and the line was open when the other one looked.
 */
static void owner_that_sleeps_amid_the_interrupt_is_seen_at_its_end(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts_complete(&harts, 0);
    world.meanwhile[WORLD_AT_PHASE] = lie_down_now;
    world.meanwhile_arg = &harts;
    assert_true(harts_claim(&harts));
    outcome_check_ok(&harts.outcomes[0], BLOCK);
    assert_int_equal(harts_ipis(&harts), 0);
    assert_false(harts_masked(&harts));
    harts_answer(&harts);
    assert_int_equal(harts_settle(&harts), 1);
    outcome_check_ok(&harts.outcomes[2], BLOCK);
    harts_finish(&harts);
}

static void complete_now(void *arg)
{
    harts_answer(arg);
}

/* Between the decision to sleep and the sleep. */
static void entry_that_comes_while_it_lies_down_keeps_it_awake(void **state)
{
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    harts.fixture.config.hybrid_spin_max_ns = 1; /* the first look at the clock ends it */
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_HYBRID);
    harts_post(&harts, 1);
    world.meanwhile[WORLD_AT_NOW] = complete_now;
    world.meanwhile_arg = &harts;
    while (harts.fixture.model->pending_count != 0) {
        assert_false(arm(&harts, 1));
    }
    assert_int_equal(poll(&harts, 1), 1);
    harts_finish(&harts);
}

/* Who lay down in hybrid mode has no interrupt on a line that is polled, nor when it is closed. */
static void sleeper_of_another_mode_opens_nothing(void **state)
{
    struct nvme_queue_config config = {.owner = 2, .mode = NVME_MODE_HYBRID};
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    harts.fixture.model->hang_next = 1;
    harts_post(&harts, 2);
    sleep_on(&harts, 2);
    harts_set_mode(&harts, NVME_MODE_POLL);
    harts_ipi_irq_hart(&harts);
    assert_true(harts_masked(&harts));
    harts.fixture.model->pending[0].hangs = false;
    harts_answer(&harts);
    assert_int_equal(poll(&harts, 2), 1);
    world.hart = 0;
    assert_int_equal(nvme_queue_close(harts.fixture.queues[2]), NVME_OK);
    assert_int_equal(
        nvme_queue_open(harts.fixture.controller, 2, &config, &harts.fixture.queues[2]), NVME_OK);
    assert_false(harts_masked(&harts));
    harts_post(&harts, 1);
    cycle_of(&harts, 1);
    assert_true(harts_masked(&harts));
    harts_finish(&harts);
}

int main(void)
{
    struct CMUnitTest tests[10 + COUNT_OF(change_cases)] = {
        cmocka_unit_test(polled_line_stays_masked_and_opens_with_what_waits),
        cmocka_unit_test(line_is_shut_while_nobody_sleeps_and_opened_for_who_does),
        cmocka_unit_test(entry_that_the_opening_for_a_sleeper_announces_is_not_missed),
        cmocka_unit_test(irq_hart_that_sleeps_opens_the_line_itself),
        cmocka_unit_test(one_that_sleeps_keeps_the_line_open_for_all),
        cmocka_unit_test(owner_without_requests_sleeps_and_keeps_nobody_from_polling),
        cmocka_unit_test(owner_that_sleeps_amid_a_cycle_is_seen_at_its_end),
        cmocka_unit_test(owner_that_sleeps_amid_the_interrupt_is_seen_at_its_end),
        cmocka_unit_test(entry_that_comes_while_it_lies_down_keeps_it_awake),
        cmocka_unit_test(sleeper_of_another_mode_opens_nothing),
    };
    size_t count = 10;

    ADD_CASES(tests, &count, change_amid_a_cycle_takes_effect_at_its_end, change_cases);
    return fixture_run("shared modes", tests, count);
}
