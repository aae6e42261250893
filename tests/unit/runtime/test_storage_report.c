// SPDX-License-Identifier: MIT
/*
 * storage_report.c: the line about missed interrupts, with the state of the queue's source; events
 * that are kept until they are printed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "fixture.h"
#include "host_board.h"
#include "nvme_internal.h"
#include "storage_internal.h"

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

/* ---- Events ------------------------------------------------------------------------------ */

static void keep_events(struct storage_controller *controller, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct nvme_event event = {.kind = NVME_EVENT_RESET, .value = first + i};

        storage_keep_event(controller, &event);
    }
}

/* The numbers of these events, in order, and the note about those without a place. */
static void check_printed(struct storage_controller *controller, uint32_t first, uint32_t count,
                          uint32_t dropped)
{
    const char *heard;
    char expected[80];

    board_listen();
    storage_print_controller_events(controller, 3);
    heard = board_heard();
    for (uint32_t i = 0; i < count; i++) {
        snprintf(expected, sizeof(expected), "resets so far %" PRIu32 ", ", first + i);
        assert_true(strncmp(heard, "note: nvme 3 queue 0: ", 22) == 0);
        assert_ptr_equal(strstr(heard, "resets so far "), strstr(heard, expected));
        heard = strchr(heard, '\n') + 1;
    }
    expected[0] = '\0';
    if (dropped != 0) {
        snprintf(expected, sizeof(expected),
                 "note: nvme 3: %" PRIu32 " more events; at most 16 are kept\n", dropped);
    }
    assert_string_equal(heard, expected);
}

static void events_are_printed_once_and_in_order(void **state)
{
    struct storage_controller controller = {0};

    (void)state;
    for (uint32_t first = 0; first < 5 * STORAGE_EVENTS_MAX; first += 5) {
        keep_events(&controller, first, 5);
        check_printed(&controller, first, 5, 0);
        check_printed(&controller, first, 0, 0);
    }
}

static void events_without_a_place_are_counted(void **state)
{
    struct storage_controller controller = {0};

    (void)state;
    keep_events(&controller, 0, 3);
    check_printed(&controller, 0, 3, 0);
    for (uint32_t turn = 0; turn < 3; turn++) {
        keep_events(&controller, 100, STORAGE_EVENTS_MAX + 7);
        check_printed(&controller, 100, STORAGE_EVENTS_MAX, 7);
    }
}

/* As in a hart that was interrupted between the two: what comes after waits for it. */
static void event_that_is_being_written_is_not_printed(void **state)
{
    struct storage_controller controller = {0};

    (void)state;
    controller.event_count = 1;
    keep_events(&controller, 1, 1);
    check_printed(&controller, 0, 0, 0);
    controller.events[0] = (struct nvme_event){.kind = NVME_EVENT_RESET, .value = 0};
    controller.events_ready[0] = 1;
    check_printed(&controller, 0, 2, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_missed_prints_nothing),
        cmocka_unit_test(missed_interrupt_is_told_of_its_hart_alone),
        cmocka_unit_test(closed_source_is_told_with_every_reason),
        cmocka_unit_test(events_are_printed_once_and_in_order),
        cmocka_unit_test(events_without_a_place_are_counted),
        cmocka_unit_test(event_that_is_being_written_is_not_printed),
    };

    return fixture_run("storage_report", tests, COUNT_OF(tests));
}
