// SPDX-License-Identifier: MIT
/*
 * source.c, shared.c: modes of a shared line. Hybrid mode is interrupt mode there.
 */
#include "harts.h"

static bool arm(struct harts *harts, uint32_t queue)
{
    world.hart = harts->owners[queue];
    return nvme_queue_arm(harts->fixture.queues[queue], NVME_WAIT_BLOCKED);
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
    {"interrupt_to_hybrid", NVME_MODE_INTERRUPT, NVME_MODE_HYBRID, false},
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

/* The line has one mask: no owner can close it for itself. */
static void hybrid_is_interrupt_mode(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_HYBRID);
    for (uint32_t i = 0; i < HARTS_QUEUES; i++) {
        assert_int_equal(nvme_queue_mode(harts.fixture.queues[i]), NVME_MODE_INTERRUPT);
        assert_true(arm(&harts, i));
    }
    for (uint32_t i = 0; i < 20; i++) {
        harts_post(&harts, 1);
        assert_true(arm(&harts, 1));
        assert_int_equal(cycle_of(&harts, 1), 2); /* INTMS and INTMC */
        assert_false(harts_masked(&harts));
    }
    harts_finish(&harts);
}

int main(void)
{
    struct CMUnitTest tests[2 + COUNT_OF(change_cases)] = {
        cmocka_unit_test(polled_line_stays_masked_and_opens_with_what_waits),
        cmocka_unit_test(hybrid_is_interrupt_mode),
    };
    size_t count = 2;

    ADD_CASES(tests, &count, change_amid_a_cycle_takes_effect_at_its_end, change_cases);
    return fixture_run("shared modes", tests, count);
}
