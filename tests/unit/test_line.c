// SPDX-License-Identifier: MIT
/*
 * controller.c: a line that QEMU keeps high because entries were left unconsumed: at bring-up and
 * at shutdown.
 */
#include "fixture.h"

enum {
    BLOCK = 512,
};

static uint8_t buffer[BLOCK] __attribute__((aligned(4096)));

static void post(struct fixture *fixture, uint32_t queue, struct outcome *outcome)
{
    assert_int_equal(
        nvme_read(fixture->queues[queue], &fixture->ns, 0, 1, buffer, outcome_callback(outcome)),
        NVME_OK);
    nvme_submit(fixture->queues[queue]);
}

static void start(struct fixture *fixture, uint32_t queues)
{
    fixture_init(fixture);
    fixture_start(fixture, queues, NVME_MODE_INTERRUPT);
    /* Admin completions of the start were polled, but an edge was latched. */
    fixture_interrupts(fixture);
}

enum { REPAIRS_MAX = FIXTURE_QUEUES + 1 };

struct stuck_case {
    const char *name;
    uint32_t extra;
    bool broken;
    bool has_hook;
    uint32_t repairs;
    bool stuck;
};

static const struct stuck_case stuck_cases[] = {
    {"line_that_is_low_gets_no_doorbell", 0, false, true, 0, false},
    {"one_left_over_takes_one", 1, false, true, 1, false},
    {"one_per_queue_and_admin", REPAIRS_MAX, false, true, REPAIRS_MAX, false},
    {"one_more_than_that_is_given_up", REPAIRS_MAX + 1, false, true, REPAIRS_MAX, true},
    {"line_that_nothing_lowers_is_given_up", 1, true, true, REPAIRS_MAX, true},
    {"without_the_hook_nothing_is_tried", 1, false, false, 0, false},
};

static void stuck_line_is_repaired_or_given_up(void **state)
{
    const struct stuck_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;
    struct nvme_queue_config config = {.mode = NVME_MODE_INTERRUPT};

    fixture_init(&fixture);
    fixture.model->pending_extra = this->extra;
    fixture.model->line_broken = this->broken;
    fixture.model->empty_heads_allowed = REPAIRS_MAX;
    if (!this->has_hook) {
        fixture.config.intx_level = NULL;
    }
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(fixture.model->empty_heads, this->repairs);
    assert_int_equal(info.line_repairs, this->repairs);
    assert_int_equal(info.line_stuck, this->stuck);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_LINE_STUCK), this->stuck);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_LINE_REPAIRED),
                     this->repairs != 0 && !this->stuck);
    assert_int_equal(fixture.model->interrupt_mask, 1);
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]),
                     this->stuck ? NVME_MODE_POLL : NVME_MODE_INTERRUPT);
    assert_int_equal(fixture.model->interrupt_mask, this->stuck);
    fixture.model->pending_extra = 0;
    fixture_finish(&fixture);
}

/* QEMU counts entries that are left at EN = 0 for ever: shutdown must leave none. */
static void shutdown_leaves_no_entry_behind(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 2);
    fixture.model->stop_leaks = true;
    post(&fixture, 0, &outcome);
    fixture_interrupts(&fixture);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_OK);
    assert_int_equal(fixture.model->pending_extra, 0);
    outcome_check_ok(&outcome, BLOCK);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(stuck_cases)] = {
        cmocka_unit_test(shutdown_leaves_no_entry_behind),
    };
    size_t count = 1;

    fixture_add_cases(tests, &count, stuck_line_is_repaired_or_given_up, stuck_cases,
                      COUNT_OF(stuck_cases), sizeof(stuck_cases[0]));
    return fixture_run("line", tests, count);
}
