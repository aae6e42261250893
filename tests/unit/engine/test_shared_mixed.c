// SPDX-License-Identifier: MIT
/*
 * interrupt.c, shared.c: several controllers on a line, of which some are shared by several harts.
 */
#include "harts.h"

enum {
    STEPS = 3000,
    BUSY_REQUESTS = 14,
    UNPOSTED = 8, /* the first cases */
};

struct mixed_case {
    const char *name;
    enum model_line_kind kind;
    bool both_shared;
    bool posted; /* writes arrive later, and handlers mask */
};

static const struct mixed_case mixed_cases[] = {
    {"shared_and_private_level", MODEL_LINE_LEVEL, false, false},
    {"shared_and_private_edge", MODEL_LINE_EDGE, false, false},
    {"shared_and_private_edge_that_a_fall_clears", MODEL_LINE_EDGE_CLEARS, false, false},
    {"shared_and_private_edge_of_the_wire", MODEL_LINE_EDGE_WIRE, false, false},
    {"both_shared_level", MODEL_LINE_LEVEL, true, false},
    {"both_shared_edge", MODEL_LINE_EDGE, true, false},
    {"both_shared_edge_that_a_fall_clears", MODEL_LINE_EDGE_CLEARS, true, false},
    {"both_shared_edge_of_the_wire", MODEL_LINE_EDGE_WIRE, true, false},
    {"posted_shared_and_private_level", MODEL_LINE_LEVEL, false, true},
    {"posted_shared_and_private_edge", MODEL_LINE_EDGE, false, true},
    {"posted_shared_and_private_edge_that_a_fall_clears", MODEL_LINE_EDGE_CLEARS, false, true},
    {"posted_shared_and_private_edge_of_the_wire", MODEL_LINE_EDGE_WIRE, false, true},
};

/* The second one is the IRQ hart's alone unless both are shared. */
static void start_mixed(struct harts both[2], const struct mixed_case *on)
{
    static const uint32_t private_owners[HARTS_QUEUES] = {0};

    harts_init(&both[0], on->kind, 0);
    harts_init_more(&both[1], &both[0].fixture.line, 0);
    both[1].fixture.config.shared = on->both_shared;
    for (uint32_t i = 0; i < 2; i++) {
        both[i].fixture.config.mask_line = on->posted;
        both[i].fixture.model->posted = on->posted;
    }
    harts_start(&both[0], HARTS_QUEUES, NULL, NVME_MODE_INTERRUPT);
    harts_start(&both[1], HARTS_QUEUES, on->both_shared ? NULL : private_owners,
                NVME_MODE_INTERRUPT);
}

static void finish_mixed(struct harts both[2])
{
    world.hart = 0;
    assert_int_equal(nvme_controller_close(both[0].fixture.controller), NVME_OK);
    assert_int_equal(nvme_controller_close(both[1].fixture.controller), NVME_OK);
    fixture_drop(&both[1].fixture);
    fixture_drop(&both[0].fixture);
}

/* Interrupts and IPIs until nothing is owed. */
static void settle_mixed(struct harts both[2])
{
    bool again = true;

    for (uint32_t turns = 0; again; turns++) {
        again = harts_claim_both(&both[0], both[1].fixture.controller);
        for (uint32_t i = 0; i < 2 * FIXTURE_QUEUES; i++) {
            again |= harts_deliver(&both[i / FIXTURE_QUEUES], i % FIXTURE_QUEUES);
        }
        world_arrive();
        again |= both[0].fixture.line.pending;
        assert_true(turns < 100);
    }
}

static struct harts *device_goes_on;

static void device_meanwhile(void *arg)
{
    (void)arg;
    model_step(device_goes_on->fixture.model, 1);
}

/* Without a watchdog: an entry that no edge tells of stays. */
static void no_entry_of_two_controllers_is_lost(void **state)
{
    const struct mixed_case *this = *state;
    struct harts both[2];
    uint32_t posted[2][HARTS_QUEUES] = {{0}};
    uint32_t seed = 1;

    start_mixed(both, this);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct harts *harts = &both[seed >> 16 & 1];
        uint32_t queue = (seed >> 17) % HARTS_QUEUES;

        device_goes_on = &both[seed >> 24 & 1];
        world.meanwhile[WORLD_AT_DOORBELL] = (seed >> 25 & 1) != 0 ? device_meanwhile : NULL;
        switch ((seed >> 20) % 4) {
        case 0:
            if (harts->outcomes[queue].count + 8 > posted[harts - both][queue]) {
                posted[harts - both][queue]++;
                harts_post(harts, queue);
            }
            break;
        case 1:
            model_step(harts->fixture.model, 1);
            break;
        case 2:
            harts_claim_both(&both[0], both[1].fixture.controller);
            break;
        default:
            harts_deliver(harts, queue);
        }
        if (seed >> 30 == 0) {
            world_arrive();
        }
        if (i % 100 == 99) {
            world.meanwhile[WORLD_AT_DOORBELL] = NULL;
            world_arrive();
            harts_answer(&both[0]);
            harts_answer(&both[1]);
            settle_mixed(both);
        }
        for (uint32_t k = 0; i % 100 == 99 && k < 2 * HARTS_QUEUES; k++) {
            assert_int_equal(both[k / HARTS_QUEUES].outcomes[k % HARTS_QUEUES].count,
                             posted[k / HARTS_QUEUES][k % HARTS_QUEUES]);
        }
        seed = seed * 1664525 + 1013904223;
    }
    assert_int_equal(both[0].fixture.event_count + both[1].fixture.event_count, 0);
    finish_mixed(both);
}

/* A cycle holds nobody else up: the other controller is served meanwhile. */
static void controller_of_irq_hart_is_served_amid_a_cycle(void **state)
{
    struct harts both[2];
    uint32_t writes;

    (void)state;
    start_mixed(both, &mixed_cases[1]);
    harts_complete(&both[0], 1);
    assert_true(harts_claim_both(&both[0], both[1].fixture.controller));
    writes = fixture_mask_writes(&both[0].fixture) + fixture_mask_writes(&both[1].fixture);
    harts_complete(&both[1], 0);
    assert_true(harts_claim_both(&both[0], both[1].fixture.controller));
    outcome_check_ok(&both[1].outcomes[0], BLOCK);
    assert_int_equal(fixture_mask_writes(&both[0].fixture) + fixture_mask_writes(&both[1].fixture),
                     writes);
    settle_mixed(both);
    outcome_check_ok(&both[0].outcomes[1], BLOCK);
    finish_mixed(both);
}

/* Just before a head is rung the other queue gets an entry, so the line never falls. */
static void one_more(void *arg)
{
    struct harts *harts = arg;

    model_step(harts->fixture.model, 1);
    world.meanwhile[WORLD_AT_DOORBELL] = one_more;
}

/*
 * The IRQ hart's own controller never stops: the rest of the hart gets a turn, and the edge is not
 * lost.
 */
static void busy_controller_of_irq_hart_does_not_hold_up_the_cycle(void **state)
{
    struct harts both[2];
    uint32_t interrupts = 0;

    (void)state;
    start_mixed(both, &mixed_cases[1]);
    harts_complete(&both[0], 1);
    for (uint32_t i = 0; i < 2 * BUSY_REQUESTS; i++) {
        harts_post(&both[1], i % 2);
    }
    model_step(both[1].fixture.model, 1);
    world.meanwhile[WORLD_AT_DOORBELL] = one_more;
    world.meanwhile_arg = &both[1];
    while (harts_claim_both(&both[0], both[1].fixture.controller)) {
        interrupts++;
        assert_true(harts_masked(&both[0]));
        assert_true(interrupts < 2 * BUSY_REQUESTS);
    }
    world.meanwhile[WORLD_AT_DOORBELL] = NULL;
    assert_true(interrupts > 1);
    assert_int_equal(both[1].outcomes[0].count + both[1].outcomes[1].count, 2 * BUSY_REQUESTS);
    settle_mixed(both);
    outcome_check_ok(&both[0].outcomes[1], BLOCK);
    finish_mixed(both);
}

/*
 * Its cycles find nothing, but the interrupts are for the other one: no storm, in either direction.
 */
static void idle_controller_beside_a_busy_one_is_no_storm(void **state)
{
    const struct mixed_case *this = *state;
    struct harts both[2];

    start_mixed(both, this);
    for (uint32_t busy_one = 0; busy_one < 2; busy_one++) {
        for (uint32_t i = 0; i < 2 * NVME_STORM_INTERRUPTS; i++) {
            harts_complete(&both[busy_one], i % HARTS_QUEUES);
            settle_mixed(both);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(both[i].fixture.event_count, 0);
        assert_int_equal(nvme_queue_mode(both[i].fixture.queues[0]), NVME_MODE_INTERRUPT);
        assert_int_equal(both[i].outcomes[0].count + both[i].outcomes[1].count +
                             both[i].outcomes[2].count,
                         2 * NVME_STORM_INTERRUPTS);
    }
    finish_mixed(both);
}

/*
 * The interrupt was for the other one: it is no step towards a storm, its cycle being empty or not.
 */
static void interrupt_for_a_private_neighbour_is_no_step(void **state)
{
    struct harts both[2];
    struct nvme_controller *controllers[2];

    (void)state;
    start_mixed(both, &mixed_cases[1]);
    for (uint32_t i = 0; i < 2; i++) {
        controllers[i] = both[i].fixture.controller;
    }
    for (uint32_t i = 1; i < NVME_STORM_INTERRUPTS; i++) {
        world.hart = 0;
        assert_int_equal(nvme_irq_handle(controllers, 2), 0);
        settle_mixed(both);
    }
    harts_complete(&both[1], 0);
    settle_mixed(both);
    assert_int_equal(both[0].fixture.event_count, 0);
    assert_int_equal(both[1].outcomes[0].count, 1);
    finish_mixed(both);
}

/* Interrupts for nothing: the shared controller's cycles count them, the private one does not. */
static void private_neighbour_counts_no_empty_interrupt(void **state)
{
    const struct mixed_case *this = *state;
    struct harts both[2];
    struct nvme_controller *controllers[2];

    start_mixed(both, this);
    for (uint32_t i = 0; i < 2; i++) {
        controllers[i] = both[i].fixture.controller;
    }
    for (uint32_t i = 0; i < 2 * NVME_STORM_INTERRUPTS; i++) {
        world.hart = 0;
        nvme_irq_handle(controllers, 2);
        settle_mixed(both);
    }
    assert_true(fixture_saw(&both[0].fixture, NVME_EVENT_INTERRUPT_STORM));
    assert_int_equal(both[1].fixture.event_count, 0);
    finish_mixed(both);
}

int main(void)
{
    struct CMUnitTest tests[5 + 2 * COUNT_OF(mixed_cases)] = {
        cmocka_unit_test(controller_of_irq_hart_is_served_amid_a_cycle),
        cmocka_unit_test(busy_controller_of_irq_hart_does_not_hold_up_the_cycle),
        cmocka_unit_test(interrupt_for_a_private_neighbour_is_no_step),
        cmocka_unit_test_prestate(private_neighbour_counts_no_empty_interrupt,
                                  (void *)(uintptr_t)&mixed_cases[1]),
        cmocka_unit_test_prestate(private_neighbour_counts_no_empty_interrupt,
                                  (void *)(uintptr_t)&mixed_cases[UNPOSTED + 1]),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, no_entry_of_two_controllers_is_lost, mixed_cases);
    fixture_add_cases(tests, &count, idle_controller_beside_a_busy_one_is_no_storm, mixed_cases,
                      UNPOSTED, sizeof(mixed_cases[0]));
    return fixture_run("shared mixed", tests, count);
}
