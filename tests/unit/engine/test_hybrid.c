// SPDX-License-Identifier: MIT
/*
 * hybrid.c, sleep.c: one wait of an owner in hybrid mode: its looks, its clock, its source. What
 * many waits teach is in test_policy.c.
 */
#include "owner.h"

#define US OWNER_US

enum {
    LOOK_NS = OWNER_LOOK_NS,
    LOOKS_PER_CLOCK = 16,
    FIRST_WINDOW = 20, /* waits of 20 us that end before the first probe */
};

static uint32_t clock_reads;

static void count_reading(void *arg)
{
    clock_reads++;
    world.meanwhile[WORLD_AT_NOW] = count_reading;
    (void)arg;
}

static void count_clock(void)
{
    clock_reads = 0;
    world.meanwhile[WORLD_AT_NOW] = count_reading;
}

/* Posts a request that a silent device never answers. */
static void post_in_vain(struct owner *owner)
{
    owner->depth = 0;
    owner_run(owner, owner->posted - owner->ended);
    owner->depth = 1;
    owner->latency_ns = UINT64_MAX / 4;
    owner_post(owner);
    nvme_queue_submit(owner->queue);
}

/* How often the owner looks before it sleeps, if nothing comes. */
static uint32_t looks_in_vain(struct owner *owner)
{
    uint32_t looks = 0;

    while (!nvme_queue_arm(owner->queue, NVME_WAIT_BLOCKED)) {
        world_advance(LOOK_NS);
        assert_true(++looks < 10000);
    }
    return looks;
}

/* Until the first probe is over: awake, then asleep; and awake again. */
static void learn(struct owner *owner)
{
    owner->depth = 1;
    owner_run(owner, 100);
    assert_true(owner->sleeps > 0);
}

static void completions_of_the_first_looks_are_polled(void **state)
{
    struct owner owner;
    uint32_t writes;

    owner_start(&owner, *state, 1 * US);
    owner.depth = 1;
    owner_run(&owner, 2);
    writes = fixture_mask_writes(&owner.fixture);
    count_clock();
    assert_int_equal(owner_interrupts(&owner, 1000), 0);
    world.meanwhile[WORLD_AT_NOW] = NULL;
    assert_int_equal(clock_reads, 0);
    assert_int_equal(fixture_mask_writes(&owner.fixture), writes);
    assert_int_equal(fixture_counters(owner.queue).waits_spun, 0);
    owner_finish(&owner);
}

static void first_looks_read_no_clock(void **state)
{
    struct owner owner;
    uint32_t looks;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 4);
    post_in_vain(&owner);
    count_clock();
    for (uint32_t i = 1; i < LOOKS_PER_CLOCK; i++) {
        assert_false(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    }
    assert_int_equal(clock_reads, 0);
    looks = looks_in_vain(&owner);
    assert_true(looks > 100);
    assert_in_range(clock_reads, looks / LOOKS_PER_CLOCK, looks / LOOKS_PER_CLOCK + 2);
    /* Asleep with a request out: no more of them. */
    clock_reads = 0;
    assert_true(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    assert_int_equal(clock_reads, 0);
    world.meanwhile[WORLD_AT_NOW] = NULL;
    owner_finish(&owner);
}

static void source_is_closed_awake_and_open_asleep(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    assert_false(fixture_masked(&owner.fixture, 0));
    owner_run(&owner, FIRST_WINDOW);
    assert_int_equal(owner.sleeps, 0);
    assert_true(fixture_masked(&owner.fixture, 0));
    post_in_vain(&owner);
    looks_in_vain(&owner);
    assert_false(fixture_masked(&owner.fixture, 0));
    owner_finish(&owner);
}

static void idle_owner_sleeps_at_once(void **state)
{
    struct owner owner;
    uint32_t writes;

    owner_start(&owner, *state, 20 * US);
    owner.kind = NVME_WAIT_IDLE;
    owner.depth = 1;
    writes = fixture_mask_writes(&owner.fixture);
    count_clock();
    assert_int_equal(owner_interrupts(&owner, 200), 200);
    world.meanwhile[WORLD_AT_NOW] = NULL;
    assert_int_equal(clock_reads, 0);
    assert_int_equal(owner.looks, 200);
    assert_int_equal(fixture_mask_writes(&owner.fixture), writes);
    owner_finish(&owner);
}

/* A pause is no wait of a blocked owner: without a completion in between it still spins. */
static void owner_that_turns_blocked_spins(void **state)
{
    struct owner owner;
    struct nvme_counters counters;

    owner_start(&owner, *state, 20 * US);
    learn(&owner);
    post_in_vain(&owner);
    assert_false(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    counters = fixture_counters(owner.queue);
    assert_true(nvme_queue_arm(owner.queue, NVME_WAIT_IDLE));
    assert_false(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    assert_int_equal(fixture_counters(owner.queue).waits_slept, counters.waits_slept);
    assert_in_range(looks_in_vain(&owner), LOOKS_PER_CLOCK, 10000);
    owner_finish(&owner);
}

/* Who stops being blocked opens the source that it has closed. */
static void idle_after_blocked_opens_the_source(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 4);
    assert_false(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    assert_true(fixture_masked(&owner.fixture, 0));
    assert_true(nvme_queue_arm(owner.queue, NVME_WAIT_IDLE));
    assert_false(fixture_masked(&owner.fixture, 0));
    owner_finish(&owner);
}

/* Asleep, an entry that is ready has its interrupt: no mask, and the caller may take it. */
static void entry_at_the_last_look_has_its_interrupt(void **state)
{
    struct owner owner;
    uint32_t writes;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, FIRST_WINDOW);
    while (owner.sleeps == 0) {
        owner_run(&owner, 1);
    }
    owner_run(&owner, 2);
    writes = fixture_mask_writes(&owner.fixture);
    world.now_ns = owner.due_ns[owner.answered % FIXTURE_DEPTH];
    owner_answer(&owner);
    assert_false(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    assert_int_equal(nvme_queue_closed(owner.queue), 0);
    assert_int_equal(fixture_interrupts(&owner.fixture), 1);
    assert_true(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    assert_int_equal(fixture_mask_writes(&owner.fixture), writes);
    owner_finish(&owner);
}

static void counters_tell_how_waits_ended(void **state)
{
    struct nvme_counters before;
    struct nvme_counters after;
    struct owner owner;
    uint32_t sleeps;
    uint32_t looks;

    owner_start(&owner, *state, 20 * US);
    learn(&owner);
    before = fixture_counters(owner.queue);
    sleeps = owner.sleeps;
    looks = owner.looks;
    owner_run(&owner, 1000);
    after = fixture_counters(owner.queue);
    assert_int_equal(after.waits_spun - before.waits_spun + after.waits_slept - before.waits_slept,
                     1000);
    assert_int_equal(after.waits_slept - before.waits_slept, owner.sleeps - sleeps);
    assert_in_range(after.empty_looks - before.empty_looks, (owner.looks - looks) / 2,
                    owner.looks - looks);
    owner_finish(&owner);
}

/* ---- For how long ----------------------------------------------------------------------- */

struct budget_case {
    const char *name;
    uint64_t max_ns; /* hybrid_spin_max_ns */
    uint64_t latency_ns;
    uint32_t waits;
    uint64_t low_ns;
    uint64_t high_ns;
};

/* Asleep a wait takes 30 us longer. */
static const struct budget_case budget_cases[] = {
    {"at_most_the_bound", 0, 20 * US, 4, 200 * US, 206 * US},
    {"bound_is_the_users_to_choose", 40 * US, 20 * US, 4, 40 * US, 46 * US},
    {"bound_of_nothing_is_a_few_looks", 1, 5 * US, 4, 0, 4 * US},
    {"same_bound_after_many_waits", 0, 20 * US, 400, 200 * US, 206 * US},
};

static void owner_spins_within_bounds(void **state)
{
    const struct budget_case *this = *state;
    struct owner owner;

    memset(&owner, 0, sizeof(owner));
    fixture_init(&owner.fixture);
    owner.fixture.config.hybrid_spin_max_ns = this->max_ns;
    owner_start_prepared(&owner, this->latency_ns);
    owner.depth = 1;
    owner_run(&owner, this->waits);
    post_in_vain(&owner);
    assert_in_range(looks_in_vain(&owner) * LOOK_NS, this->low_ns, this->high_ns);
    /* Asleep it stays, unless something ends. */
    assert_true(nvme_queue_arm(owner.queue, NVME_WAIT_BLOCKED));
    owner_finish(&owner);
}

int main(void)
{
    struct CMUnitTest tests[8 * COUNT_OF(fixture_deliveries) + COUNT_OF(budget_cases)] = {0};
    static const CMUnitTestFunction on_each[] = {
        completions_of_the_first_looks_are_polled,
        first_looks_read_no_clock,
        source_is_closed_awake_and_open_asleep,
        idle_owner_sleeps_at_once,
        owner_that_turns_blocked_spins,
        idle_after_blocked_opens_the_source,
        entry_at_the_last_look_has_its_interrupt,
        counters_tell_how_waits_ended,
    };
    size_t count = 0;

    ADD_CASES_OF_EACH(tests, &count, on_each, fixture_deliveries);
    ADD_CASES(tests, &count, owner_spins_within_bounds, budget_cases);
    return fixture_run("hybrid", tests, count);
}
