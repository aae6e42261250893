// SPDX-License-Identifier: MIT
/*
 * The model's knobs that make a device lie, and what the engine makes of it.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)

static uint32_t lie_of_version(struct model *model, uint32_t offset, uint32_t value)
{
    (void)model;
    return offset == NVME_REG_VS ? 0x20100 : value;
}

static void device_lies_about_its_registers(void **state)
{
    struct fixture fixture;
    struct nvme_controller_info info;

    (void)state;
    fixture_init(&fixture);
    fixture.model->lie = lie_of_version;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.version, 0x20100);
    fixture_finish(&fixture);
}

static void break_first_byte(struct model *model, uint8_t *page)
{
    (void)model;
    page[0] ^= 0xff;
}

static void device_bends_its_identify_pages(void **state)
{
    struct fixture fixture;
    struct nvme_controller_info info;

    (void)state;
    fixture_init(&fixture);
    fixture.model->bend_page = break_first_byte;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.pci_vendor, 0x1b36 ^ 0xff);
    fixture_finish(&fixture);
}

static void fail_entry(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    (void)model;
    assert_int_equal(cqid, 1);
    entry->status |= 0x281U << 17;
}

static void device_bends_one_entry(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[2] = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->bend = fail_entry;
    fixture_post(&fixture, 0, &outcomes[0]);
    fixture_submit(&fixture, 0, &outcomes[1]);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH), 2);
    outcome_check_error(&outcomes[0], NVME_ERR_DEVICE);
    assert_int_equal(outcomes[0].result.status, 0x281);
    outcome_check_ok(&outcomes[1], BLOCK);
    fixture_finish(&fixture);
}

/* Behind EN = 0 the device still writes to the buffer; only then RDY falls and the request ends. */
static void device_stops_late(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    fixture.model->stops_late = true;
    fixture.model->ready_delay_ns = 100 * MS;
    fixture_submit(&fixture, 0, &outcome);
    memset(fixture_block, 0, BLOCK);
    fixture.model->fatal = true;
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    assert_int_equal(fixture.model->pending_count, 1);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(fixture_block[1], 0);
    world_advance(100 * MS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(fixture_block[1], model_pattern(1));
    assert_int_equal(fixture.model->pending_count, 0);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_lies_about_its_registers),
        cmocka_unit_test(device_bends_its_identify_pages),
        cmocka_unit_test(device_bends_one_entry),
        cmocka_unit_test(device_stops_late),
    };

    return fixture_run("knobs", tests, COUNT_OF(tests));
}
