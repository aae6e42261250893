// SPDX-License-Identifier: MIT
/* hybrid.c: whether to wait awake or asleep, learned from what completions cost either way. */
#include "nvme_internal.h"
#include "owner.h"

#define US OWNER_US

/* Share of `count` waits that were slept for, in per cent. */
static uint64_t slept_share(struct owner *owner, uint32_t count)
{
    uint32_t before = owner->sleeps;

    owner_run(owner, count);
    return (uint64_t)(owner->sleeps - before) * 100 / count;
}

/* How long `count` completions take, the requests in flight ended before. */
static uint64_t time_in_mode(struct owner *owner, enum nvme_mode mode, uint32_t count)
{
    uint64_t from;

    assert_int_equal(nvme_queue_set_mode(owner->queue, mode), NVME_OK);
    owner_run(owner, owner->depth);
    from = world.now_ns;
    owner_run(owner, count);
    return world.now_ns - from;
}

struct policy_case {
    const char *name;
    uint32_t depth;
    uint64_t latency_ns;
    uint64_t wake_ns;
    uint64_t drag_ns;
    uint64_t least; /* per cent of the waits that are slept for */
    uint64_t most;
};

/* "hart in the device's way": the device is a thread of an emulator, as with a file on tmpfs. */
static const struct policy_case policy_cases[] = {
    {"awake_where_waking_is_dear", 1, 20 * US, 30 * US, 0, 0, 4},
    {"asleep_where_the_hart_is_in_the_devices_way", 1, 20 * US, 10 * US, 100 * US, 96, 100},
    {"asleep_at_depth_4_where_the_hart_is_in_the_devices_way", 4, 60 * US, 10 * US, 300 * US, 20,
     100},
    {"asleep_at_depth_8_where_the_hart_is_in_the_devices_way", 8, 120 * US, 10 * US, 400 * US, 10,
     100},
    {"asleep_where_both_cost_the_same", 1, 50 * US, 0, 0, 96, 100},
    {"asleep_where_awake_gains_too_little", 1, 100 * US, 2 * US, 0, 96, 100},
    {"asleep_for_a_slow_device", 1, 5000 * US, 30 * US, 0, 96, 100},
};

/* And hybrid mode keeps up with the better one of the others. */
static void cheaper_policy_is_kept(void **state)
{
    const struct policy_case *this = *state;
    /* Polling a slow device is many looks. */
    uint32_t count = this->latency_ns < 1000 * US ? 10000 : 400;
    uint64_t poll, interrupt, hybrid;
    struct owner owner;

    owner_start(&owner, &fixture_deliveries[FIXTURE_LINE], this->latency_ns);
    owner.wake_ns = this->wake_ns;
    owner.drag_ns = this->drag_ns;
    owner.depth = this->depth;
    owner_run(&owner, 4000);
    assert_in_range(slept_share(&owner, count), this->least, this->most);
    hybrid = time_in_mode(&owner, NVME_MODE_HYBRID, count);
    poll = time_in_mode(&owner, NVME_MODE_POLL, count);
    interrupt = time_in_mode(&owner, NVME_MODE_INTERRUPT, count);
    assert_true(hybrid * 97 / 100 <= (poll < interrupt ? poll : interrupt));
    owner_finish(&owner);
}

/* The host becomes busy and quiet again: within 20 ms the owner is back. */
static void policy_follows_its_cost(void **state)
{
    static const uint64_t drags_ns[] = {0, 100 * US};
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t share;

        owner.drag_ns = drags_ns[i % 2];
        for (uint64_t from_ns = world.now_ns; world.now_ns - from_ns < 20000 * US;) {
            owner_run(&owner, 1);
        }
        share = slept_share(&owner, 1000);
        assert_in_range(share, owner.drag_ns == 0 ? 0 : 90, owner.drag_ns == 0 ? 10 : 100);
    }
    assert_true(fixture_counters(owner.queue).policy_switches >= 5);
    owner_finish(&owner);
}

/* A 33rd of the time is a probe; and one that is lost ends after a few waits. */
static void probes_are_rare_and_short(void **state)
{
    struct owner owner;
    uint64_t probes;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 1000);
    probes = owner_interrupts(&owner, 24000); /* 0.5 s, 30 of 0.5 ms asleep */
    assert_in_range(probes, 120, 360);
    /* Five times as long awake. */
    owner.drag_ns = 200 * US;
    owner_run(&owner, 4000);
    probes = 12000 - owner_interrupts(&owner, 12000); /* 0.6 s, 35 awake */
    assert_in_range(probes, 35 * 2, 35 * 6);
    owner_finish(&owner);
}

/* The host stood still: one wait is chance, whatever it has cost. */
static void one_wait_is_chance(void **state)
{
    struct owner owner;
    uint64_t switches;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 1000);
    switches = fixture_counters(owner.queue).policy_switches;
    for (uint32_t i = 0; i < 100; i++) {
        owner_run(&owner, 100);
        world_advance(5000 * US);
    }
    assert_int_equal(fixture_counters(owner.queue).policy_switches, switches);
    assert_in_range(slept_share(&owner, 1000), 0, 4);
    owner_finish(&owner);
}

/* The policy itself costs more: 20 ms later it is another, wherever that was between two probes. */
static void new_load_is_answered_in_time(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t from_ns;

        owner.drag_ns = 0;
        owner_run(&owner, 4000 + 100 * i);
        assert_in_range(slept_share(&owner, 1000), 0, 4);
        owner.drag_ns = 200 * US;
        from_ns = world.now_ns;
        while (world.now_ns - from_ns < 20000 * US) {
            owner_run(&owner, 1);
        }
        assert_in_range(slept_share(&owner, 200), 95, 100);
    }
    owner_finish(&owner);
}

/* A pause is no part of a wait: it would be taken for the cost of the policy. */
static void pauses_teach_nothing(void **state)
{
    struct owner owner;
    const struct nvme_learned *awake;

    owner_start(&owner, *state, 20 * US);
    awake = &owner.queue->wait.ways[true];
    for (uint32_t i = 0; i < 1000; i++) {
        owner.depth = 1;
        owner.kind = NVME_WAIT_BLOCKED;
        owner_run(&owner, 4);
        owner.depth = 0;
        owner_run(&owner, 1);
        (void)nvme_queue_arm(owner.queue, NVME_WAIT_IDLE);
        world_advance(5000 * US);
    }
    assert_in_range(awake->time_ns / awake->completions, 20 * US, 25 * US);
    assert_true(owner.sleeps <= 500); /* of 5000 */
    owner_finish(&owner);
}

/* One long wait is one sample: an hour in another mode, or of a host that slept. */
static void hour_in_another_mode_is_soon_forgotten(void **state)
{
    struct owner owner;

    owner_start(&owner, *state, 20 * US);
    owner.depth = 1;
    owner_run(&owner, 3000);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(nvme_queue_set_mode(owner.queue, NVME_MODE_INTERRUPT), NVME_OK);
        world_advance(UINT64_C(3600000000) * US);
        assert_int_equal(nvme_queue_set_mode(owner.queue, NVME_MODE_HYBRID), NVME_OK);
        owner_run(&owner, 12);
        assert_in_range(slept_share(&owner, 500), 0, 10);
    }
    owner_finish(&owner);
}

/* Short waits are not timed, but their completions and their time count. */
static void short_waits_count(void **state)
{
    struct owner owner;
    const struct nvme_learned *awake;

    owner_start(&owner, *state, 20 * US);
    awake = &owner.queue->wait.ways[true];
    owner.depth = 1;
    for (uint32_t i = 0; i < 2000; i++) {
        owner.latency_ns = 0;
        owner_run(&owner, 9);
        owner.latency_ns = 20 * US;
        owner_run(&owner, 1);
    }
    assert_in_range(awake->time_ns / awake->completions, 2 * US, 3 * US);
    owner_finish(&owner);
}

int main(void)
{
    struct CMUnitTest tests[7 * COUNT_OF(fixture_deliveries) + COUNT_OF(policy_cases)] = {0};
    static const CMUnitTestFunction on_each[] = {
        policy_follows_its_cost, probes_are_rare_and_short,
        one_wait_is_chance,      new_load_is_answered_in_time,
        pauses_teach_nothing,    hour_in_another_mode_is_soon_forgotten,
        short_waits_count,
    };
    size_t count = 0;

    ADD_CASES_OF_EACH(tests, &count, on_each, fixture_deliveries);
    ADD_CASES(tests, &count, cheaper_policy_is_kept, policy_cases);
    return fixture_run("policy", tests, count);
}
