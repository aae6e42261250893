// SPDX-License-Identifier: MIT
/*
 * source.c: hybrid mode: when an owner spins, for how long, what it learns, what it costs.
 */
#include "owner.h"

#define US OWNER_US
#define SPIN_MAX_NS (200 * US)

enum {
    LOOK_NS = OWNER_LOOK_NS,
    LOOKS_PER_CLOCK = 8,
    UNPROBED = 800,      /* completions 20 us apart, before the other policy is probed first */
    PROBE_OF_LATE = 128, /* completions 62 us apart that a probe takes at most */
};

/* How long the owner looks before it sleeps, with a device that is silent from now on. */
static uint64_t spin_time(struct owner *owner)
{
    uint64_t from;

    owner->depth = 1;
    owner->latency_ns = UINT64_MAX / 4;
    owner_post(owner);
    nvme_queue_submit(owner->queue);
    from = world.now_ns;
    while (!nvme_queue_arm(owner->queue)) {
        world_advance(LOOK_NS);
        assert_true(world.now_ns - from < 2 * SPIN_MAX_NS);
    }
    return world.now_ns - from;
}

/* ---- Whether ---------------------------------------------------------------------------- */

static void completions_that_come_soon_are_polled(void **state)
{
    struct owner owner;
    uint32_t writes;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    writes = fixture_mask_writes(&owner.fixture);
    assert_int_equal(owner_interrupts(&owner, UNPROBED), 0);
    assert_int_equal(owner.sleeps, 0);
    assert_int_equal(fixture_mask_writes(&owner.fixture) - writes, 1);
    owner_finish(&owner);
}

static void completions_that_come_late_are_slept_for(void **state)
{
    struct owner owner;
    uint32_t writes;
    uint32_t looks;

    owner_start(&owner, *state, 500 * US);
    owner.depth = 1;
    owner_run(&owner, 20);
    writes = fixture_mask_writes(&owner.fixture);
    looks = owner.looks;
    assert_int_equal(owner_interrupts(&owner, 100), 100);
    assert_int_equal(owner.looks - looks, 100);
    assert_int_equal(fixture_mask_writes(&owner.fixture), writes);
    owner_finish(&owner);
}

/* A device that changes: the owner follows within a few waits, both ways. */
static void owner_learns_again(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    for (uint32_t i = 0; i < 2; i++) {
        owner.latency_ns = 500 * US;
        owner_run(&owner, 8);
        assert_int_equal(owner_interrupts(&owner, 50), 50);
        owner.latency_ns = 20 * US;
        owner_run(&owner, 12);
        assert_int_equal(owner_interrupts(&owner, 50), 0);
    }
    owner_finish(&owner);
}

/* One long wait is one sample: an hour in another mode, or of a host that slept. */
static void hour_in_another_mode_is_soon_forgotten(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 100);
    while (!nvme_queue_arm(owner.queue)) {
        world_advance(LOOK_NS);
    }
    assert_int_equal(nvme_queue_set_mode(owner.queue, NVME_MODE_INTERRUPT), NVME_OK);
    world_advance(UINT64_C(3600000000) * US);
    assert_int_equal(nvme_queue_set_mode(owner.queue, NVME_MODE_HYBRID), NVME_OK);
    owner_run(&owner, 12);
    assert_int_equal(owner_interrupts(&owner, 500), 0);
    owner_finish(&owner);
}

static void nothing_outstanding_is_nothing_to_spin_for(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    assert_true(nvme_queue_arm(owner.queue));
    owner.depth = 1;
    owner_run(&owner, 10);
    owner.depth = 0;
    owner_run(&owner, 1);
    assert_true(fixture_masked(&owner.fixture, 0));
    assert_true(nvme_queue_arm(owner.queue));
    assert_false(fixture_masked(&owner.fixture, 0));
    owner_finish(&owner);
}

/* An unmatched entry ends no request: it does not count for one, nor against one. */
static void unmatched_entry_does_not_look_like_an_end(void **state)
{
    struct owner owner;
    struct nvme_completion entry = {.sq = 1 << 16, .status = 0x7777};

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 10);
    model_post_entry(owner.fixture.model, 1, entry);
    nvme_queue_reap(owner.queue, 1);
    assert_false(nvme_queue_arm(owner.queue));
    entry.sq = 2 << 16; /* of another queue */
    model_post_entry(owner.fixture.model, 1, entry);
    nvme_queue_reap(owner.queue, 1);
    assert_false(nvme_queue_arm(owner.queue));
    owner.depth = 0;
    owner_run(&owner, 1);
    assert_true(nvme_queue_arm(owner.queue));
    owner_finish(&owner);
}

/* Requests that arrive by themselves, as from a clock: nobody waits for their completions. */
static void completions_that_lead_to_no_posts_are_slept_for(void **state)
{
    struct owner owner;
    uint64_t before = 0;

    owner_start(&owner, *state, 20 * US);
    for (uint32_t i = 0; i < 40; i++) {
        if (i == 10) {
            before = fixture_counters(owner.queue).interrupts;
        }
        owner_post(&owner);
        nvme_queue_submit(owner.queue);
        owner_run(&owner, 1);
        assert_true(nvme_queue_arm(owner.queue));
        fixture_interrupts(&owner.fixture);
        world_advance(1000 * US);
    }
    assert_int_equal(fixture_counters(owner.queue).interrupts - before, 30);
    /* Once they do, it spins again. */
    owner.depth = 1;
    owner_run(&owner, 24);
    assert_int_equal(owner_interrupts(&owner, 50), 0);
    owner_finish(&owner);
}

/* One reap may find several, and between several in flight the waits are short. */
static void interrupts_for_each_request_fall_as_load_rises(void **state)
{
    uint64_t last = 1000;

    for (uint32_t depth = 1; depth <= 8; depth *= 2) {
        struct owner owner;
        uint64_t interrupts;

        owner_start(&owner, *state, 500 * US);
        owner.depth = depth;
        owner_run(&owner, 100);
        interrupts = owner_interrupts(&owner, 400);
        assert_true(interrupts <= (depth == 1 ? 400 : last));
        assert_true(depth != 1 || interrupts == 400);
        assert_true(depth != 8 || interrupts <= PROBE_OF_LATE);
        last = interrupts;
        owner_finish(&owner);
    }
}

/* ---- For how long ----------------------------------------------------------------------- */

struct budget_case {
    const char *name;
    uint64_t max_ns; /* hybrid_spin_max_ns */
    uint64_t latency_ns;
    uint64_t low_ns;
    uint64_t high_ns;
};

static const struct budget_case budget_cases[] = {
    {"at_least_a_quarter_of_the_bound", 0, 2 * US, 50 * US, 52 * US},
    {"four_times_the_mean", 0, 20 * US, 70 * US, 84 * US},
    {"at_most_the_bound", 0, 150 * US, 200 * US, 202 * US},
    {"bound_is_the_users_to_choose", 40 * US, 30 * US, 40 * US, 42 * US},
    {"bound_of_nothing_is_a_few_looks", 1, 0, 0, 2 * US},
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
    owner_run(&owner, 100);
    owner.depth = 0;
    owner_run(&owner, 1);
    assert_in_range(spin_time(&owner), this->low_ns, this->high_ns);
    /* Asleep it stays, unless something ends. */
    assert_true(nvme_queue_arm(owner.queue));
    owner_finish(&owner);
}

static uint32_t clock_reads;

static void count_reading(void *arg)
{
    clock_reads++;
    world.meanwhile[WORLD_AT_NOW] = count_reading;
    (void)arg;
}

static void one_look_in_eight_reads_the_clock(void **state)
{
    struct owner owner;
    uint32_t looks = 0;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 10);
    clock_reads = 0;
    world.meanwhile[WORLD_AT_NOW] = count_reading;
    owner.depth = 0;
    owner_run(&owner, 1);
    clock_reads = 0;
    owner.latency_ns = UINT64_MAX / 4;
    owner_post(&owner);
    nvme_queue_submit(owner.queue);
    while (!nvme_queue_arm(owner.queue)) {
        world_advance(LOOK_NS);
        looks++;
    }
    assert_true(looks > 100);
    assert_int_equal(clock_reads, looks / LOOKS_PER_CLOCK + 1);
    /* Asleep with a request out: no more of them. */
    clock_reads = 0;
    assert_true(nvme_queue_arm(owner.queue));
    assert_true(clock_reads <= 1);
    world.meanwhile[WORLD_AT_NOW] = NULL;
    owner_finish(&owner);
}

/* An entry that is there is polled for, whatever was learned; the next wait opens the source. */
static void entry_at_the_last_look_is_taken_awake(void **state)
{
    struct owner owner;
    uint32_t writes;

    owner_start(&owner, *state, 500 * US);
    owner.depth = 1;
    owner_run(&owner, 20);
    writes = fixture_mask_writes(&owner.fixture);
    world.now_ns = owner.due_ns[owner.answered % FIXTURE_DEPTH];
    owner_answer(&owner);
    assert_false(nvme_queue_arm(owner.queue));
    assert_true(fixture_masked(&owner.fixture, 0));
    assert_int_equal(nvme_queue_reap(owner.queue, 1), 1);
    assert_true(nvme_queue_arm(owner.queue));
    assert_int_equal(fixture_mask_writes(&owner.fixture) - writes, 2);
    owner_finish(&owner);
}

int main(void)
{
    struct CMUnitTest tests[10 * COUNT_OF(fixture_deliveries) + COUNT_OF(budget_cases)] = {0};
    static const CMUnitTestFunction on_each[] = {
        completions_that_come_soon_are_polled,
        completions_that_come_late_are_slept_for,
        owner_learns_again,
        hour_in_another_mode_is_soon_forgotten,
        nothing_outstanding_is_nothing_to_spin_for,
        unmatched_entry_does_not_look_like_an_end,
        completions_that_lead_to_no_posts_are_slept_for,
        interrupts_for_each_request_fall_as_load_rises,
        one_look_in_eight_reads_the_clock,
        entry_at_the_last_look_is_taken_awake,
    };
    size_t count = 0;

    ADD_CASES_OF_EACH(tests, &count, on_each, fixture_deliveries);
    ADD_CASES(tests, &count, owner_spins_within_bounds, budget_cases);
    return fixture_run("hybrid", tests, count);
}
