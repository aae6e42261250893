// SPDX-License-Identifier: MIT
/*
 * controller.c: bring-up, in order and against devices that do not play along. What ends again is
 * in test_shutdown.c.
 */
#include "fixture.h"

/* Position of the first write of a register with the given bits in it, after `from`. */
static uint32_t find_write(const struct model *model, uint32_t from, uint32_t offset, uint32_t bits)
{
    for (uint32_t i = from; i < model->write_count && i < MODEL_LOG; i++) {
        if (model->writes[i].offset == offset && (model->writes[i].value & bits) == bits) {
            return i;
        }
    }
    fail_msg("register %#x is not written with %#x", offset, bits);
    return 0;
}

static void bring_up_writes_registers_in_the_specifications_order(void **state)
{
    struct fixture fixture;
    const struct model *model;
    uint32_t enable;
    uint32_t value;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    model = fixture.model;
    enable = find_write(model, 0, NVME_REG_CC, NVME_CC_EN);
    assert_true(find_write(model, 0, NVME_REG_AQA, 0) < enable);
    assert_true(find_write(model, 0, NVME_REG_ASQ, 0) < enable);
    assert_true(find_write(model, 0, NVME_REG_ASQ + 4, 0) < enable);
    assert_true(find_write(model, 0, NVME_REG_ACQ, 0) < enable);
    assert_true(find_write(model, 0, NVME_REG_ACQ + 4, 0) < enable);
    assert_true(find_write(model, 0, NVME_REG_INTMS, 1) < enable);
    value = model->writes[enable].value;
    assert_int_equal(NVME_GET(NVME_CC_IOSQES, value), 6);
    assert_int_equal(NVME_GET(NVME_CC_IOCQES, value), 4);
    assert_int_equal(NVME_GET(NVME_CC_MPS, value), 0);
    assert_int_equal(model->aqa, (NVME_ADMIN_DEPTH - 1) << 16 | (NVME_ADMIN_DEPTH - 1));
    assert_int_equal(model->interrupt_mask, 1); /* until an interrupt queue is opened */
    assert_int_equal(fixture.event_count, 0);
    fixture_finish(&fixture);
}

static void admin_rings_are_given_as_device_addresses_of_64_bits(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    world.paging = WORLD_PAGED;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(fixture.model->asq >> 62, 1);
    assert_int_equal(fixture.model->acq >> 62, 1);
    fixture_finish(&fixture);
}

static void what_the_device_says_is_described_in_plain_units(void **state)
{
    struct fixture fixture;
    struct nvme_controller_info info;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cmic = 0x2;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    nvme_controller_describe(fixture.controller, &info);
    assert_string_equal(info.serial, "model-1");
    assert_string_equal(info.subsystem, "nqn.2026-11.model:1");
    assert_true(info.more_controllers);
    assert_int_equal(info.controller_id, 0x1234);
    assert_string_equal(info.model, "A controller in memory");
    assert_string_equal(info.firmware, "1.0");
    assert_int_equal(info.version, 0x10400);
    assert_int_equal(info.queue_count, FIXTURE_QUEUES);
    assert_int_equal(info.depth_entries, FIXTURE_DEPTH);
    assert_int_equal(info.depth_entries_limit, 2048);
    assert_int_equal(info.mdts_bytes, 512 * 1024);
    assert_int_equal(info.max_transfer_bytes, 512 * 1024);
    assert_int_equal(info.page_bytes, 4096);
    assert_int_equal(info.ready_timeout_ms, 7500);
    assert_true(info.volatile_write_cache);
    assert_false(info.line_stuck);
    assert_int_equal(info.line_repairs, 0);
    assert_int_equal(info.memory_bytes.dma_bytes, fixture.memory.dma_bytes);
    fixture_finish(&fixture);
}

/* ---- Warm start ------------------------------------------------------------------------- */

static void running_controller_of_a_warm_boot_is_reset_first(void **state)
{
    struct fixture fixture;
    const struct model *model;
    uint32_t disable;

    (void)state;
    fixture_init(&fixture);
    model = fixture.model;
    fixture.model->cc = (uint32_t)NVME_CC_EN | 0x460000;
    fixture.model->ready = true;
    fixture.model->ready_delay_ns = 50000000;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(fixture.bus_masters, 1); /* the model judges the moment */
    disable = find_write(model, 0, NVME_REG_CC, 0);
    assert_int_equal(model->writes[disable].value & NVME_CC_EN, 0);
    assert_true(disable < find_write(model, 0, NVME_REG_AQA, 0));
    fixture_finish(&fixture);
}

static void warm_boot_amid_a_change_of_rdy_waits_for_it(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cc = (uint32_t)NVME_CC_EN | 0x460000; /* enabled, not ready yet */
    fixture.model->change_at_ns = world.now_ns + 300000000;
    fixture.model->ready_delay_ns = 100000000;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_true(world.now_ns >= UINT64_C(1500000000)); /* 300, then 100 and 100 ms */
    fixture_finish(&fixture);
}

static void warm_boot_with_a_dead_controller_resets_it_all_the_same(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cc = (uint32_t)NVME_CC_EN | 0x460000;
    fixture.model->ready_never = true;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_TIMEOUT);
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    fixture_drop(&fixture);
}

/* What nobody could stop may still write to memory. */
static void controller_that_does_not_stop_gets_no_bus_mastering(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->cc = (uint32_t)NVME_CC_EN | 0x460000;
    fixture.model->ready = true;
    fixture.model->stop_never = true;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_TIMEOUT);
    assert_int_equal(fixture.bus_masters, 0);
    fixture_drop(&fixture);
}

static void embedder_without_the_hook_has_turned_bus_mastering_on(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.config.bus_master = NULL;
    fixture.model->bus_master = true;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    fixture_finish(&fixture);
}

/* ---- Devices that do not play along ----------------------------------------------------- */

enum trouble {
    READY_NEVER,
    STOP_NEVER,
    FATAL,
    FATAL_WHEN_READY,
    GONE,
    GONE_AFTER_ENABLE,
    SILENT,
    SILENT_AND_STOP_NEVER,
    SQES_TOO_LARGE,
    SQES_TOO_SMALL,
    CQES_TOO_LARGE,
    CQES_TOO_SMALL,
    IDENTIFY_REFUSED,
    BAR_TOO_SMALL,
};

struct trouble_case {
    const char *name;
    enum trouble trouble;
    enum nvme_error error;
    bool disabled; /* EN must be 0 afterwards */
};

static const struct trouble_case trouble_cases[] = {
    {"rdy_never_rises", READY_NEVER, NVME_ERR_TIMEOUT, true},
    {"rdy_never_falls_after_a_warm_boot", STOP_NEVER, NVME_ERR_TIMEOUT, true},
    {"silent_and_rdy_never_falls", SILENT_AND_STOP_NEVER, NVME_ERR_STUCK, true},
    {"cfs_while_rdy_is_awaited", FATAL, NVME_ERR_FATAL, true},
    {"cfs_with_rdy_is_not_taken_for_ready", FATAL_WHEN_READY, NVME_ERR_FATAL, true},
    {"all_ones_from_the_start", GONE, NVME_ERR_REMOVED, false},
    {"all_ones_after_enable", GONE_AFTER_ENABLE, NVME_ERR_REMOVED, false},
    {"admin_commands_are_never_answered", SILENT, NVME_ERR_TIMEOUT, true},
    {"smallest_submission_entry_above_64", SQES_TOO_LARGE, NVME_ERR_IDENTIFY, true},
    {"largest_submission_entry_below_64", SQES_TOO_SMALL, NVME_ERR_IDENTIFY, true},
    {"smallest_completion_entry_above_16", CQES_TOO_LARGE, NVME_ERR_IDENTIFY, true},
    {"largest_completion_entry_below_16", CQES_TOO_SMALL, NVME_ERR_IDENTIFY, true},
    {"identify_is_refused", IDENTIFY_REFUSED, NVME_ERR_DEVICE, true},
    {"admin_doorbells_beyond_the_bar", BAR_TOO_SMALL, NVME_ERR_IDENTIFY, true},
};

static void make_trouble(struct fixture *fixture, enum trouble trouble)
{
    struct model *model = fixture->model;

    model->ready_never = trouble == READY_NEVER;
    model->fatal = trouble == FATAL;
    model->admin_silent = trouble == SILENT || trouble == SILENT_AND_STOP_NEVER;
    model->stop_never = trouble == STOP_NEVER || trouble == SILENT_AND_STOP_NEVER;
    if (trouble == STOP_NEVER) {
        model->cc = (uint32_t)NVME_CC_EN | 0x460000;
        model->ready = true;
    }
    model->fatal_when_ready = trouble == FATAL_WHEN_READY;
    model->gone_when_enabled = trouble == GONE_AFTER_ENABLE;
    model->gone = trouble == GONE;
    model->sqes = trouble == SQES_TOO_LARGE ? 0x77 : (trouble == SQES_TOO_SMALL ? 0x55 : 0x66);
    model->cqes = trouble == CQES_TOO_LARGE ? 0x55 : (trouble == CQES_TOO_SMALL ? 0x33 : 0x44);
    model->admin_status[NVME_ADMIN_IDENTIFY] = trouble == IDENTIFY_REFUSED ? 0x002 : 0;
    if (trouble == BAR_TOO_SMALL) {
        fixture->config.registers_size_bytes = NVME_REG_DOORBELLS + 4 + 4 + 4;
        fixture->model->cap.stride = 2;
    }
}

static void trouble_ends_bring_up_in_bounded_time_with_its_name(void **state)
{
    const struct trouble_case *this = *state;
    struct fixture fixture;

    fixture_init(&fixture);
    make_trouble(&fixture, this->trouble);
    assert_int_equal(fixture_open(&fixture), this->error);
    assert_null(fixture.controller);
    assert_true(world.now_ns < 2 * NVME_COMMAND_TIMEOUT_DEFAULT_NS);
    if (this->disabled) {
        assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    }
    if (this->error == NVME_ERR_DEVICE) {
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_ADMIN_FAILED).limit, 0x002);
    }
    fixture_drop(&fixture);
}

struct silence_case {
    const char *name;
    bool fatal;
    bool gone;
    enum nvme_error error;
    enum nvme_event_kind event;
};

static const struct silence_case silence_cases[] = {
    {"device_dies_amid_a_command", true, false, NVME_ERR_FATAL, NVME_EVENT_CONTROLLER_FATAL},
    {"device_vanishes_amid_a_command", false, true, NVME_ERR_REMOVED, NVME_EVENT_REMOVED},
    {"device_never_answers_a_command", false, false, NVME_ERR_TIMEOUT, NVME_EVENT_COMMAND_TIMEOUT},
};

/* A dead device is noticed long before the deadline of its command. */
static void admin_command_is_not_awaited_longer_than_needed(void **state)
{
    const struct silence_case *this = *state;
    struct fixture fixture;
    uint64_t began;

    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    fixture.model->admin_silent = true;
    fixture.model->fatal = this->fatal;
    fixture.model->gone = this->gone;
    began = world.now_ns;
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), this->error);
    assert_true(fixture_saw(&fixture, this->event));
    if (this->error != NVME_ERR_TIMEOUT) {
        assert_true(world.now_ns - began < UINT64_C(10000000));
    }
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), NVME_ERR_STATE);
    assert_int_equal(nvme_controller_close(fixture.controller), this->error);
    fixture_drop(&fixture);
}

static void refused_device_can_be_opened_again_in_the_same_memory(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->admin_silent = true;
    assert_int_equal(fixture_open(&fixture), NVME_ERR_TIMEOUT);
    fixture.model->admin_silent = false;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture_finish(&fixture);
}

/* ---- Variants --------------------------------------------------------------------------- */

struct variant_case {
    const char *name;
    uint32_t stride;
    uint32_t granted;
    uint8_t mdts;
    uint32_t timeout_units;
    uint32_t transfer; /* expected */
};

static const struct variant_case variant_cases[] = {
    {"doorbells_4_bytes_apart", 0, 64, 7, 15, 512 * 1024},
    {"doorbells_8_bytes_apart", 1, 64, 7, 15, 512 * 1024},
    {"doorbells_64_bytes_apart", 4, 64, 7, 15, 512 * 1024},
    {"doorbells_512_bytes_apart", 7, 64, 7, 15, 512 * 1024},
    {"exactly_the_queues_wanted", 0, 4, 7, 15, 512 * 1024},
    {"one_queue_fewer", 0, 3, 7, 15, 512 * 1024},
    {"a_single_queue", 0, 1, 7, 15, 512 * 1024},
    {"more_queues_than_there_can_be", 0, 65536, 7, 15, 512 * 1024},
    {"mdts_of_no_limit", 0, 64, 0, 15, 1024 * 1024},
    {"mdts_of_one_page_twice", 0, 64, 1, 15, 8192},
    {"mdts_above_the_configuration", 0, 64, 9, 15, 1024 * 1024},
    {"mdts_of_4_gibibytes", 0, 64, 20, 15, 1024 * 1024},
    {"mdts_of_all_ones", 0, 64, 255, 15, 1024 * 1024},
    {"timeout_of_zero_units", 0, 64, 7, 0, 512 * 1024},
    {"timeout_of_255_units", 0, 64, 7, 255, 512 * 1024},
};

static void variant_works_and_is_said(void **state)
{
    const struct variant_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;
    struct outcome outcome = {0};
    uint32_t queues = this->granted < FIXTURE_QUEUES ? this->granted : FIXTURE_QUEUES;
    uint8_t *buffer = fixture_buffer(BLOCK);

    fixture_init(&fixture);
    fixture.model->cap.stride = this->stride;
    fixture.model->cap.timeout_units = this->timeout_units;
    fixture.model->granted = this->granted;
    fixture.model->mdts = this->mdts;
    fixture.model->ready_delay_ns = 100000000;
    fixture_start(&fixture, queues, NVME_MODE_POLL);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.queue_count, queues);
    assert_int_equal(info.max_transfer_bytes, this->transfer);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_QUEUES_REDUCED), queues < FIXTURE_QUEUES);
    for (uint32_t i = 0; i < queues; i++) {
        outcome = (struct outcome){0};
        assert_int_equal(
            nvme_read(fixture.queues[i], &fixture.ns, i, 1, buffer, outcome_callback(&outcome)),
            NVME_OK);
        nvme_queue_submit(fixture.queues[i]);
        assert_int_equal(fixture.model->sqs[i + 1].fetched, 1);
        nvme_queue_reap(fixture.queues[i], 1);
        outcome_check_ok(&outcome, BLOCK);
    }
    fixture_free(buffer);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest
        tests[9 + COUNT_OF(trouble_cases) + COUNT_OF(silence_cases) + COUNT_OF(variant_cases)] = {
            cmocka_unit_test(bring_up_writes_registers_in_the_specifications_order),
            cmocka_unit_test(admin_rings_are_given_as_device_addresses_of_64_bits),
            cmocka_unit_test(what_the_device_says_is_described_in_plain_units),
            cmocka_unit_test(running_controller_of_a_warm_boot_is_reset_first),
            cmocka_unit_test(warm_boot_amid_a_change_of_rdy_waits_for_it),
            cmocka_unit_test(warm_boot_with_a_dead_controller_resets_it_all_the_same),
            cmocka_unit_test(controller_that_does_not_stop_gets_no_bus_mastering),
            cmocka_unit_test(embedder_without_the_hook_has_turned_bus_mastering_on),
            cmocka_unit_test(refused_device_can_be_opened_again_in_the_same_memory),
        };
    size_t count = 9;

    ADD_CASES(tests, &count, trouble_ends_bring_up_in_bounded_time_with_its_name, trouble_cases);
    ADD_CASES(tests, &count, admin_command_is_not_awaited_longer_than_needed, silence_cases);
    ADD_CASES(tests, &count, variant_works_and_is_said, variant_cases);
    return fixture_run("controller", tests, count);
}
