// SPDX-License-Identifier: MIT
/*
 * shared.c: cycles of a line that several harts share: who is asked, who ends it, what is none of
 * its business. Watches, modes and mixed lines are in test_shared_line.c, empty cycles in
 * test_shared_cycles.c.
 */
#include "harts.h"

/* ---- A cycle ---------------------------------------------------------------------------- */

struct cycle_case {
    const char *name;
    uint32_t irq_hart;
    uint32_t owners[HARTS_QUEUES];
    uint32_t count;
    uint32_t ipis;                /* of the interrupt, as harts_ipis() */
    uint32_t order[HARTS_QUEUES]; /* of the answers; the IRQ hart's own queues answer before */
    uint32_t answers;
};

static const struct cycle_case cycle_cases[] = {
    {"two_owners_one_is_irq_hart", 0, {0, 1}, 2, 10, {1}, 1},
    {"two_owners_irq_hart_has_no_queue", 3, {0, 1}, 2, 11, {0, 1}, 2},
    {"two_owners_the_other_way_round", 3, {0, 1}, 2, 11, {1, 0}, 2},
    {"three_owners_first_is_irq_hart", 0, {0, 1, 2}, 3, 110, {1, 2}, 2},
    {"three_owners_last_is_irq_hart", 2, {0, 1, 2}, 3, 11, {1, 0}, 2},
    {"three_owners_in_order", 3, {0, 1, 2}, 3, 111, {0, 1, 2}, 3},
    {"three_owners_backwards", 3, {0, 1, 2}, 3, 111, {2, 1, 0}, 3},
    {"three_owners_middle_last", 3, {0, 1, 2}, 3, 111, {2, 0, 1}, 3},
    {"two_queues_of_one_owner", 3, {1, 1, 2}, 3, 120, {0, 2, 1}, 3},
    {"two_queues_of_irq_hart", 1, {1, 1, 2}, 3, 100, {2}, 1},
    {"all_queues_of_irq_hart", 1, {1, 1, 1}, 3, 0, {0}, 0},
};

static void start_case(struct harts *harts, const struct cycle_case *on)
{
    harts_init(harts, MODEL_LINE_EDGE, on->irq_hart);
    harts_start(harts, on->count, on->owners, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < on->count; i++) {
        harts_complete(harts, i);
    }
}

/* The line is masked from the interrupt to the last answer, and the IRQ hart alone opens it. */
static void cycle_asks_each_owner_once_and_irq_hart_opens_the_line(void **state)
{
    const struct cycle_case *this = *state;
    struct harts harts;
    uint32_t writes;

    start_case(&harts, this);
    writes = fixture_mask_writes(&harts.fixture);
    assert_true(harts_claim(&harts));
    assert_int_equal(harts_ipis(&harts), this->ipis);
    for (uint32_t i = 0; i < this->answers; i++) {
        assert_true(harts_masked(&harts));
        assert_int_equal(harts_ipis(&harts), 0);
        harts_ipi_irq_hart(&harts); /* too early: somebody is waited for */
        assert_true(harts_masked(&harts));
        assert_int_equal(harts_ipi(&harts, this->order[i]), 1);
    }
    if (this->answers != 0) {
        assert_true(harts_masked(&harts));
        assert_int_equal(harts.fixture.ipis[this->irq_hart], 1);
        harts.fixture.ipis[this->irq_hart] = 0;
        harts_ipi_irq_hart(&harts);
    }
    assert_false(harts_masked(&harts));
    assert_int_equal(harts_ipis(&harts), 0);
    assert_int_equal(fixture_mask_writes(&harts.fixture) - writes, 2);
    for (uint32_t i = 0; i < this->count; i++) {
        struct nvme_counters counters = fixture_counters(harts.fixture.queues[i]);

        outcome_check_ok(&harts.outcomes[i], BLOCK);
        assert_int_equal(counters.interrupts, 1);
        assert_int_equal(counters.spurious, 0);
        assert_int_equal(counters.completions, 1);
    }
    assert_false(harts_claim(&harts));
    harts_finish(&harts);
}

/* An IPI is a hint: what it is for is in memory, and is done once. */
static void ipi_that_is_not_owed_does_nothing(void **state)
{
    struct harts harts;
    uint32_t writes;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    harts_post(&harts, 2);
    writes = fixture_mask_writes(&harts.fixture);
    assert_int_equal(harts_ipi(&harts, 1), 0); /* before the interrupt */
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts.outcomes[1].count, 0);
    assert_int_equal(fixture_mask_writes(&harts.fixture), writes);
    harts_claim(&harts);
    assert_int_equal(harts_ipis(&harts), 110);
    assert_int_equal(harts_ipi(&harts, 1), 1);
    harts_complete(&harts, 1);
    assert_int_equal(harts_ipi(&harts, 1), 0); /* a second time, with an entry there */
    assert_int_equal(harts_ipis(&harts), 0);
    assert_int_equal(harts_ipi(&harts, 2), 1);
    assert_int_equal(harts_ipis(&harts), 1);
    assert_int_equal(harts_ipi(&harts, 2), 0);
    assert_int_equal(harts_ipis(&harts), 0);
    harts_ipi_irq_hart(&harts);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(fixture_mask_writes(&harts.fixture) - writes, 2);
    assert_int_equal(harts_settle(&harts), 1);
    assert_int_equal(harts.outcomes[1].count, 2);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).interrupts, 2);
    assert_int_equal(nvme_queue_close(harts.fixture.queues[1]), NVME_OK);
    assert_int_equal(harts_ipi(&harts, 1), 0); /* after the close */
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).interrupts, 2);
    harts_finish(&harts);
}

static struct harts *quick;

static void answer_at_once(void *arg, uint32_t owner)
{
    uint32_t acting = world.hart;

    assert_ptr_equal(arg, &quick->fixture);
    if (quick->outcomes[1].count == 0 && owner == 1) {
        harts_ipi(quick, 1);
    } else {
        quick->fixture.ipis[owner]++;
    }
    world.hart = acting;
}

/* An owner that is faster than the IRQ hart: it is waited for before its IPI is there. */
static void answer_amid_the_interrupt_counts(void **state)
{
    struct harts harts;

    (void)state;
    harts_init(&harts, MODEL_LINE_EDGE, 0);
    harts.fixture.config.send_ipi = answer_at_once;
    quick = &harts;
    harts.outcomes[1].count = 1; /* nobody is quick while the queues open */
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    harts.outcomes[1].count = 0;
    harts_complete(&harts, 1);
    assert_true(harts_claim(&harts));
    outcome_check_ok(&harts.outcomes[1], BLOCK);
    assert_false(harts_masked(&harts)); /* the interrupt itself ends the cycle */
    harts_complete(&harts, 2);
    assert_true(harts_claim(&harts));
    assert_int_equal(harts_ipi(&harts, 1), 0);
    assert_int_equal(harts_ipi(&harts, 2), 1);
    harts_ipi_irq_hart(&harts);
    assert_false(harts_masked(&harts));
    harts_finish(&harts);
}

struct kind_case {
    const char *name;
    enum model_line_kind kind;
};

static const struct kind_case kind_cases[] = {
    {"level", MODEL_LINE_LEVEL},
    {"edge_that_a_fall_does_not_clear", MODEL_LINE_EDGE},
    {"edge_that_a_fall_clears", MODEL_LINE_EDGE_CLEARS},
};

/* An entry after an answer is announced by the edge at the end of the cycle. */
static void entry_behind_the_answer_has_an_edge(void **state)
{
    const struct kind_case *this = *state;
    struct harts harts;

    harts_init(&harts, this->kind, 0);
    harts_start(&harts, HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    harts_post(&harts, 2);
    assert_true(harts_claim(&harts));
    harts_ipi(&harts, 1);
    harts_complete(&harts, 1);
    harts_complete(&harts, 0);
    assert_false(harts_claim(&harts)); /* masked */
    harts_ipi(&harts, 2);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts_settle(&harts), 1);
    assert_int_equal(harts.outcomes[0].count, 1);
    assert_int_equal(harts.outcomes[1].count, 2);
    assert_int_equal(harts.outcomes[2].count, 1);
    harts_finish(&harts);
}

/* Another controller's interrupt, or one that is late: the cycle goes on as it was. */
static void interrupt_amid_a_cycle_changes_nothing(void **state)
{
    struct harts harts;
    uint32_t writes;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    harts_claim(&harts);
    harts_complete(&harts, 2); /* active from now on, but no member */
    harts_complete(&harts, 0);
    harts_ipis(&harts);
    writes = fixture_mask_writes(&harts.fixture);
    for (int i = 0; i < 3; i++) {
        harts.fixture.line.pending = true;
        assert_true(harts_claim(&harts));
    }
    assert_int_equal(harts_ipis(&harts), 0);
    assert_int_equal(fixture_mask_writes(&harts.fixture), writes);
    assert_int_equal(harts.outcomes[0].count, 0);
    assert_int_equal(harts_ipi(&harts, 2), 0);
    assert_int_equal(harts_ipi(&harts, 1), 1);
    harts_ipi_irq_hart(&harts);
    assert_int_equal(harts_settle(&harts), 1);
    assert_int_equal(harts.outcomes[0].count + harts.outcomes[2].count, 2);
    harts_finish(&harts);
}

/* Not from the start, and not when it has been idle for a while. */
static void queue_without_requests_is_not_asked(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    harts_claim(&harts);
    assert_int_equal(harts_ipis(&harts), 10);
    harts_ipi(&harts, 1);
    assert_int_equal(harts_ipis(&harts), 1);
    harts_ipi_irq_hart(&harts);
    harts_watchdog(&harts, 1, 10); /* idle: it leaves */
    harts_complete(&harts, 2);
    harts_claim(&harts);
    assert_int_equal(harts_ipis(&harts), 100);
    assert_int_equal(fixture_counters(harts.fixture.queues[0]).interrupts, 0);
    harts_ipi(&harts, 2);
    harts_ipi_irq_hart(&harts);
    harts_finish(&harts);
}

/* What it found by itself is no answer: it is still waited for, and the cycle is not empty. */
static void owner_that_was_faster_than_its_ipi_answers_empty(void **state)
{
    struct harts harts;

    (void)state;
    harts_start_three(&harts, NVME_MODE_INTERRUPT);
    harts_complete(&harts, 1);
    world.hart = 1;
    assert_int_equal(nvme_queue_reap(harts.fixture.queues[1], 1), 1);
    harts.fixture.line.pending = true;
    harts_claim(&harts);
    assert_true(harts_masked(&harts));
    assert_int_equal(harts_ipi(&harts, 1), 0);
    harts_ipi_irq_hart(&harts);
    assert_false(harts_masked(&harts));
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).interrupts, 1);
    assert_int_equal(fixture_counters(harts.fixture.queues[1]).spurious, 1);
    harts_ipis(&harts);
    harts.fixture.line.pending = true;
    harts_claim(&harts);
    assert_int_equal(harts_ipis(&harts), 10); /* not all */
    harts_ipi(&harts, 1);
    harts_ipi_irq_hart(&harts);
    harts_finish(&harts);
}

/* ---- As many queues as there may be -------------------------------------------------------- */

enum { MANY = NVME_QUEUES_MAX, MEMBERS = MANY - 1 };
#define MS UINT64_C(1000000)

static struct nvme_queue *many[MANY];
static uint32_t ipis_of_many[MANY + 1]; /* by owner: queue i's is i; the IRQ hart has none */

static void note_ipi(void *arg, uint32_t owner)
{
    (void)arg;
    ipis_of_many[owner]++;
}

static uint32_t take_ipis(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i <= MANY; i++) {
        count += ipis_of_many[i];
        ipis_of_many[i] = 0;
    }
    return count;
}

static void start_many(struct harts *harts)
{
    harts_init(harts, MODEL_LINE_EDGE, MANY);
    harts->fixture.config.queue_count = MANY;
    harts->fixture.config.send_ipi = note_ipi;
    harts_start(harts, 0, NULL, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < MANY; i++) {
        struct nvme_queue_config config = {.owner = i, .mode = NVME_MODE_INTERRUPT};

        assert_int_equal(nvme_queue_open(harts->fixture.controller, i, &config, &many[i]), NVME_OK);
        world.hart = i;
        nvme_queue_take_ipi(many[i]);
        world.hart = MANY;
    }
    take_ipis();
}

/* The test's first queue is this one. */
static void choose(struct harts *harts, uint32_t index)
{
    harts->owners[0] = index;
    harts->fixture.queues[0] = many[index];
}

/* Wherever it stands in the sets: it is asked, alone, and what it missed is told to it. */
static void one_of_64_queues_is_served_alone(void **state)
{
    struct harts harts;

    (void)state;
    start_many(&harts);
    for (uint32_t i = 0; i < MANY; i++) {
        choose(&harts, i);
        harts_complete(&harts, 0);
        assert_true(harts_claim(&harts));
        assert_int_equal(ipis_of_many[i], 1);
        assert_int_equal(take_ipis(), 1);
        assert_int_equal(harts_ipi(&harts, 0), 1);
        harts_ipi_irq_hart(&harts);
        assert_false(harts_masked(&harts));
        harts_complete(&harts, 0);
        harts.fixture.line.pending = false;
        harts_watchdog(&harts, 0, 10);
        harts_watchdog(&harts, 0, 10);
        assert_int_equal(ipis_of_many[MANY], 2); /* the end of the cycle, and a question */
        harts_ipi_irq_hart(&harts);
        assert_int_equal(fixture_counters(many[i]).missed, 1);
        assert_int_equal(harts.outcomes[0].count, 2 * (i + 1));
        harts_watchdog(&harts, 0, 10); /* idle: it leaves */
        take_ipis();
    }
    assert_int_equal(harts.fixture.event_count, 0);
    harts_finish(&harts);
}

/* All but one of them are asked and answer, in one cycle that lasts until the last. */
static void all_of_64_queues_but_one_share_a_cycle(void **state)
{
    struct harts harts;

    (void)state;
    start_many(&harts);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        choose(&harts, i);
        harts_complete(&harts, 0);
    }
    assert_true(harts_claim(&harts));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(ipis_of_many[i], 1);
    }
    assert_int_equal(take_ipis(), MEMBERS);
    for (uint32_t i = MEMBERS; i-- > 0;) {
        assert_true(harts_masked(&harts));
        choose(&harts, i);
        assert_int_equal(harts_ipi(&harts, 0), 1);
    }
    assert_int_equal(ipis_of_many[MANY], 1);
    harts_ipi_irq_hart(&harts);
    assert_false(harts_masked(&harts));
    assert_int_equal(harts.outcomes[0].count, MEMBERS);
    assert_int_equal(harts.fixture.event_count, 0);
    harts_finish(&harts);
}

int main(void)
{
    struct CMUnitTest tests[7 + COUNT_OF(cycle_cases) + COUNT_OF(kind_cases)] = {
        cmocka_unit_test(ipi_that_is_not_owed_does_nothing),
        cmocka_unit_test(answer_amid_the_interrupt_counts),
        cmocka_unit_test(interrupt_amid_a_cycle_changes_nothing),
        cmocka_unit_test(queue_without_requests_is_not_asked),
        cmocka_unit_test(owner_that_was_faster_than_its_ipi_answers_empty),
        cmocka_unit_test(one_of_64_queues_is_served_alone),
        cmocka_unit_test(all_of_64_queues_but_one_share_a_cycle),
    };
    size_t count = 7;

    ADD_CASES(tests, &count, cycle_asks_each_owner_once_and_irq_hart_opens_the_line, cycle_cases);
    ADD_CASES(tests, &count, entry_behind_the_answer_has_an_edge, kind_cases);
    return fixture_run("shared", tests, count);
}
