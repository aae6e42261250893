// SPDX-License-Identifier: MIT
/*
 * storage_report.c: the line about missed interrupts, with the state of the queue's source.
 */
#include <stdio.h>

#include "fixture.h"
#include "host_board.h"
#include "nvme_internal.h"
#include "storage.h"

static struct storage storage;

static void watch(struct fixture *fixture)
{
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    nvme_queue_watchdog(fixture->queues[0], world.now_ns);
}

/* The edge comes, nobody claims it, and the watchdog finds the entry twice. */
static void miss_an_interrupt(struct fixture *fixture)
{
    struct outcome outcome = {0};

    fixture_submit(fixture, 0, &outcome);
    watch(fixture);
    watch(fixture);
    outcome_check_ok(&outcome, BLOCK);
    fixture->line.pending = false;
}

/* What is printed of queue 0 as hart 3's and queue 1 as hart 5's. */
static const char *report(const struct fixture *fixture)
{
    storage.queue_count = 2;
    storage.queues[0].engine = fixture->queues[0];
    storage.queues[0].hart = 3;
    storage.queues[1].engine = fixture->queues[1];
    storage.queues[1].hart = 5;
    board_listen();
    storage_print_missed(&storage);
    return board_heard();
}

static void nothing_missed_prints_nothing(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    assert_string_equal(report(&fixture), "");
    fixture_finish(&fixture);
}

static void missed_interrupt_is_told_of_its_hart_alone(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    miss_an_interrupt(&fixture);
    assert_string_equal(report(&fixture),
                        "note: hart 3: missed interrupts 1, late 0; interrupt source open\n");
    fixture_finish(&fixture);
}

static void closed_source_is_told_with_every_reason(void **state)
{
    struct fixture fixture;
    char expected[160];

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    miss_an_interrupt(&fixture);
    assert_int_equal(nvme_queue_set_mode(fixture.queues[0], NVME_MODE_POLL), NVME_OK);
    nvme_irq_enter(fixture.controller);
    snprintf(expected, sizeof(expected),
             "note: hart 3: missed interrupts 1, late 0; interrupt source closed: %s, %s\n",
             nvme_closed_text(NVME_CLOSED_POLLED), nvme_closed_text(NVME_CLOSED_ENTERED));
    assert_string_equal(report(&fixture), expected);
    nvme_irq_exit(fixture.controller, 0);
    fixture_finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_missed_prints_nothing),
        cmocka_unit_test(missed_interrupt_is_told_of_its_hart_alone),
        cmocka_unit_test(closed_source_is_told_with_every_reason),
    };

    return fixture_run("storage_report", tests, COUNT_OF(tests));
}
