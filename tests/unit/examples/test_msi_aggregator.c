// SPDX-License-Identifier: MIT
/*
 * examples/msi_aggregator.c on a model of such a host.
 *
 * A search lets a completion come at each step of the handlers, and nothing may be left when the
 * line is low. The same search finds what handlers lose that forget a message too late.
 */
#include "msi_board.h"
#include "nvme_hal.h"

enum { STEPS_MIN = 5 }; /* that the search must have seen */

static const struct board_kind kinds[] = {
    {"designware", false, false, true, false},
    {"designware_two_owners", false, true, false, true},
    {"plda", true, false, false, false},
    {"plda_two_owners", true, true, false, false},
};

/* ---- A completion at each step ------------------------------------------------------------ */

/*
 * Queue `first` interrupts, and queue `second` completes a command at this step. False: there is no
 * such step. What was lost is counted, and reaped for the close.
 */
static bool try_step(uint32_t first, uint32_t second, uint32_t at, uint32_t *lost)
{
    board_post(first);
    board_complete(first);
    board_post(second);
    board.completes = second;
    board.step_of_completion = at;
    board.steps = 0;
    board_step(NULL);
    board_interrupts();
    if (board.steps <= at) {
        board_complete(second);
        board_interrupts();
        assert_int_equal(board_ended(), 2);
        return false;
    }
    if (board_ended() != 2) {
        *lost += 1;
        world.knows_hart = false;
        nvme_vector_handle(board_queue(second));
    }
    assert_int_equal(board_ended(), 2);
    return true;
}

static uint32_t count_lost(const struct board_kind *kind,
                           bool (*handle)(struct msi_aggregator *msi))
{
    uint32_t lost = 0;

    for (uint32_t pair = 0; pair < BOARD_QUEUES * BOARD_QUEUES; pair++) {
        uint32_t at = 0;

        for (bool more = true; more; at++) {
            board_open(kind);
            board.handle = handle;
            more = try_step(pair % BOARD_QUEUES, pair / BOARD_QUEUES, at, &lost);
            board_close();
        }
        assert_true(at > STEPS_MIN);
    }
    return lost;
}

static void completion_at_any_step_is_handled(void **state)
{
    assert_int_equal(count_lost(*state, msi_handle), 0);
}

static void look_at(struct msi_aggregator *msi, uint32_t found)
{
    for (uint32_t number = 0; number < MSI_NUMBERS; number++) {
        if ((found >> number & 1) != 0) {
            nvme_vector_handle(msi->numbers[number].queue);
        }
    }
}

static bool clear_after_the_look(struct msi_aggregator *msi)
{
    uint32_t found = hal_mmio_read32(msi->status);

    look_at(msi, found);
    hal_mmio_write32(msi->status, found);
    return true;
}

static bool clear_without_a_push(struct msi_aggregator *msi)
{
    uint32_t found = hal_mmio_read32(msi->status);

    hal_mmio_write32(msi->status, found);
    look_at(msi, found);
    return true;
}

static bool clear_what_was_not_read(struct msi_aggregator *msi)
{
    uint32_t found = hal_mmio_read32(msi->status);

    hal_mmio_write32(msi->status, UINT32_MAX);
    hal_arm_before_look(msi->status);
    look_at(msi, found);
    return true;
}

static void search_finds_what_other_orders_lose(void **state)
{
    (void)state;
    assert_int_not_equal(count_lost(&kinds[0], clear_after_the_look), 0);
    assert_int_not_equal(count_lost(&kinds[0], clear_without_a_push), 0);
    assert_int_not_equal(count_lost(&kinds[0], clear_what_was_not_read), 0);
}

/* ---- Masks, several messages, none -------------------------------------------------------- */

/* The message of another queue is handled meanwhile, and does not take it along. */
static void message_of_a_masked_vector_is_kept(void **state)
{
    board_open(*state);
    board_set_mode(1, NVME_MODE_POLL);
    board_post(1);
    board_complete(1);
    assert_false(board_line());
    board_post(2);
    board_complete(2);
    board_interrupts();
    outcome_check_ok(&board.outcomes[2], BLOCK);
    assert_int_equal(board.outcomes[1].count, 0);
    board_set_mode(1, NVME_MODE_INTERRUPT);
    assert_true(board_line());
    board_interrupts();
    outcome_check_ok(&board.outcomes[1], BLOCK);
    board_close();
}

static void messages_of_all_queues_are_one_interrupt(void **state)
{
    board_open(*state);
    for (uint32_t i = 0; i < BOARD_QUEUES; i++) {
        board_post(i);
        board_complete(i);
    }
    assert_int_equal(board_interrupts(), 1);
    assert_int_equal(board_ended(), BOARD_QUEUES);
    board_close();
}

static void line_without_a_message_is_not_ours(void **state)
{
    board_open(*state);
    assert_false(msi_handle(&board.msi));
    for (uint32_t i = 0; i < BOARD_QUEUES; i++) {
        assert_int_equal(fixture_counters(board_queue(i)).interrupts, 0);
    }
    board_close();
}

/* Its vector is masked, and the other queues go on. */
static void storm_of_one_number_is_closed(void **state)
{
    board_open(*state);
    for (uint32_t i = 0; i < NVME_STORM_INTERRUPTS; i++) {
        model_vector_send(board.functions[0].model, 1);
        assert_int_equal(board_interrupts(), 1);
    }
    assert_true(fixture_saw(&board.functions[0], NVME_EVENT_INTERRUPT_STORM));
    model_vector_send(board.functions[0].model, 1);
    board_arrive();
    assert_false(board_line());
    board_post(3);
    board_complete(3);
    board_interrupts();
    outcome_check_ok(&board.outcomes[3], BLOCK);
    board_close();
}

static void message_of_a_number_without_a_queue_is_nobodys(void **state)
{
    board_open(*state);
    msi_connect(&board.msi, board_number(0), NULL, 0);
    board_arrive();
    model_vector_send(board.functions[0].model, 1);
    board_interrupts();
    assert_int_equal(fixture_counters(board_queue(0)).interrupts, 0);
    board_close();
}

int main(void)
{
    static void (*const of_each_kind[])(void **) = {
        completion_at_any_step_is_handled,
        message_of_a_masked_vector_is_kept,
        messages_of_all_queues_are_one_interrupt,
        line_without_a_message_is_not_ours,
        storm_of_one_number_is_closed,
        message_of_a_number_without_a_queue_is_nobodys,
    };
    struct CMUnitTest tests[32] = {cmocka_unit_test(search_finds_what_other_orders_lose)};
    size_t count = 1;

    ADD_CASES_OF_EACH(tests, &count, of_each_kind, kinds);
    return fixture_run("msi_aggregator", tests, count);
}
