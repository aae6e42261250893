// SPDX-License-Identifier: MIT
/* hybrid.c: whether to be awake or asleep, learned from what completions cost under each. */
#include "owner.h"

#define US OWNER_US

/* Share of `count` completions that were slept for, in per cent. */
static uint64_t slept_share(struct owner *owner, uint32_t count)
{
    return owner_interrupts(owner, count) * 100 / count;
}

struct policy_case {
    const char *name;
    uint64_t latency_ns;
    uint64_t wake_ns;
    uint64_t drag_ns;
    uint64_t least; /* per cent that are slept for */
    uint64_t most;
};

static const struct policy_case policy_cases[] = {
    {"awake_where_waking_is_dear", 20 * US, 30 * US, 0, 0, 3},
    {"asleep_where_the_hart_is_in_the_devices_way", 20 * US, 10 * US, 100 * US, 95, 100},
    {"asleep_where_both_cost_the_same", 50 * US, 0, 0, 95, 100},
    {"asleep_where_awake_gains_too_little_to_be_taken_up", 100 * US, 2 * US, 2 * US, 95, 100},
};

static void cheaper_policy_is_kept(void **state)
{
    const struct policy_case *this = *state;
    struct owner owner;

    owner_start(&owner, &fixture_deliveries[FIXTURE_LINE], this->latency_ns);
    owner.wake_ns = this->wake_ns;
    owner.drag_ns = this->drag_ns;
    owner.depth = 1;
    owner_run(&owner, 3000);
    assert_in_range(slept_share(&owner, 20000), this->least, this->most);
    owner_finish(&owner);
}

/* The host becomes busy and quiet again: the owner follows. */
static void policy_follows_its_cost(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    for (uint32_t i = 0; i < 3; i++) {
        owner.drag_ns = 100 * US;
        owner_run(&owner, 4000);
        assert_in_range(slept_share(&owner, 4000), 90, 100);
        owner.drag_ns = 0;
        owner_run(&owner, 20000);
        assert_in_range(slept_share(&owner, 4000), 0, 10);
    }
    owner_finish(&owner);
}

/* Each probe that changes nothing makes the next one rarer. */
static void probes_become_rarer(void **state)
{
    struct owner owner;
    uint64_t first, later;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    first = owner_interrupts(&owner, 10000);
    owner_run(&owner, 100000);
    later = owner_interrupts(&owner, 10000);
    assert_true(first > 0);
    assert_true(later < first);
    owner_finish(&owner);
}

/* A pause is no part of an interval: it would be taken for the cost of the policy. */
static void pauses_teach_nothing(void **state)
{
    struct owner owner;
    uint64_t interrupts = 0;

    owner_start(&owner, *state, 20 * US);
    for (uint32_t i = 0; i < 200; i++) {
        owner.depth = 1;
        interrupts += owner_interrupts(&owner, 20);
        owner.depth = 0;
        owner_run(&owner, 1);
        (void)nvme_queue_arm(owner.queue);
        world_advance(5000 * US);
    }
    assert_true(interrupts <= 200);
    owner_finish(&owner);
}

int main(void)
{
    struct CMUnitTest tests[3 * COUNT_OF(fixture_deliveries) + COUNT_OF(policy_cases)] = {0};
    static const CMUnitTestFunction on_each[] = {
        policy_follows_its_cost,
        probes_become_rarer,
        pauses_teach_nothing,
    };
    size_t count = 0;

    ADD_CASES_OF_EACH(tests, &count, on_each, fixture_deliveries);
    ADD_CASES(tests, &count, cheaper_policy_is_kept, policy_cases);
    return fixture_run("policy", tests, count);
}
