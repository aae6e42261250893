// SPDX-License-Identifier: MIT
/*
 * recovery.c: interrupts that never came, told apart from those that are only late.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)

enum {
    BLOCK = 512,
};

static uint8_t buffer[BLOCK] __attribute__((aligned(4096)));

enum fate {
    LOST,         /* the interrupt never comes */
    CLAIMED,      /* it was only slow */
    SERVICED,     /* somebody consumed the entry */
    MASKED_BY_US, /* a bottom half has not come to it */
};

struct missed_case {
    const char *name;
    enum fate fate;
    uint64_t gap_ms; /* between the two watches */
    uint64_t missed;
    uint64_t late;
};

static const struct missed_case missed_cases[] = {
    {"same_entry_twice_without_a_claim_is_missed", LOST, 10, 1, 0},
    {"same_entry_after_less_than_a_period_is_not_yet", LOST, 9, 0, 0},
    {"claim_meanwhile_makes_it_late", CLAIMED, 10, 0, 1},
    {"consumed_meanwhile_makes_it_late", SERVICED, 10, 0, 1},
    {"masked_by_a_bottom_half_is_late", MASKED_BY_US, 10, 0, 1},
};

static void missed_and_late_are_told_apart(void **state)
{
    const struct missed_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_counters counters;

    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    if (this->fate == MASKED_BY_US) {
        nvme_irq_enter(fixture.controller);
    }
    assert_int_equal(
        nvme_read(fixture.queues[0], &fixture.ns, 0, 1, buffer, outcome_callback(&outcome)),
        NVME_OK);
    nvme_submit(fixture.queues[0]);
    nvme_queue_watch(fixture.queues[0], world.now_ns);
    if (this->fate == CLAIMED) {
        fixture_interrupts(&fixture);
    } else if (this->fate == SERVICED) {
        nvme_queue_service(fixture.queues[0], 1);
    }
    world_advance(this->gap_ms * MS);
    nvme_queue_watch(fixture.queues[0], world.now_ns);
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.missed, this->missed);
    assert_int_equal(counters.late, this->late);
    if (this->fate == LOST) {
        assert_int_equal(outcome.count, this->missed);
    }
    if (this->fate == MASKED_BY_US) {
        nvme_irq_exit(fixture.controller, nvme_queue_service(fixture.queues[0], 16));
    }
    fixture_interrupts(&fixture);
    nvme_queue_service(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(missed_cases)];
    size_t count = 0;

    fixture_add_cases(tests, &count, missed_and_late_are_told_apart, missed_cases,
                      COUNT_OF(missed_cases), sizeof(missed_cases[0]));
    return fixture_run("watch", tests, count);
}
