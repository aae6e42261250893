// SPDX-License-Identifier: MIT
/*
 * quirk.c: a line that is high at bring-up, because it falls late or because QEMU keeps it up for
 * entries that were left unconsumed. controller.c: none is left at shutdown.
 */
#include "fixture.h"

enum { REPAIRS_MAX = FIXTURE_QUEUES + 1 };

enum device { QEMU, QEMU_AS_INTEL, OTHER_OF_RED_HAT, OTHER_OF_INTEL, NOT_KNOWN };

static const struct {
    uint16_t vendor;
    uint16_t device;
} ids[] = {
    [QEMU] = {0x1b36, 0x0010},
    [QEMU_AS_INTEL] = {0x8086, 0x5845},
    [OTHER_OF_RED_HAT] = {0x1b36, 0x0011},
    [OTHER_OF_INTEL] = {0x8086, 0x0a54},
    [NOT_KNOWN] = {0, 0},
};

struct stuck_case {
    const char *name;
    enum device device;
    uint32_t extra;
    bool broken;
    bool has_hook;
    uint32_t repairs;
    bool stuck;
};

static const struct stuck_case stuck_cases[] = {
    {"line_that_is_low_gets_no_doorbell", QEMU, 0, false, true, 0, false},
    {"one_left_over_takes_one", QEMU, 1, false, true, 1, false},
    {"one_per_queue_and_admin", QEMU, REPAIRS_MAX, false, true, REPAIRS_MAX, false},
    {"one_more_than_that_is_given_up", QEMU, REPAIRS_MAX + 1, false, true, REPAIRS_MAX, true},
    {"line_that_nothing_lowers_is_given_up", QEMU, 1, true, true, REPAIRS_MAX, true},
    {"without_the_hook_nothing_is_tried", QEMU, 1, false, false, 0, false},
    {"qemu_with_the_id_of_intel_is_repaired", QEMU_AS_INTEL, 1, false, true, 1, false},
    {"other_device_of_the_vendor_gets_none", OTHER_OF_RED_HAT, 1, false, true, 0, true},
    {"ssd_of_intel_gets_none", OTHER_OF_INTEL, 1, false, true, 0, true},
    {"device_that_is_not_named_gets_none", NOT_KNOWN, 1, false, true, 0, true},
    {"device_that_is_not_named_and_low", NOT_KNOWN, 0, false, true, 0, false},
};

static void set_device(struct fixture *fixture, enum device device)
{
    fixture->config.pci_vendor = ids[device].vendor;
    fixture->config.pci_device = ids[device].device;
}

static void stuck_line_is_repaired_or_given_up(void **state)
{
    const struct stuck_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;
    struct nvme_queue_config config = {.mode = NVME_MODE_INTERRUPT};

    fixture_init(&fixture);
    set_device(&fixture, this->device);
    fixture.model->pending_extra = this->extra;
    fixture.model->line_broken = this->broken;
    fixture.model->empty_heads_allowed = this->repairs;
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

/* ---- A line that falls late ------------------------------------------------------------- */

#define US UINT64_C(1000)
#define HIGH_FOR_EVER UINT64_MAX

struct late_case {
    const char *name;
    enum device device;
    uint64_t falls_ns; /* after the first look */
    bool stuck;
};

static const struct late_case late_cases[] = {
    {"falls_within_100_us", QEMU, 100 * US, false},
    {"falls_within_900_us", QEMU, 900 * US, false},
    {"another_device_falls_within_900_us", NOT_KNOWN, 900 * US, false},
    {"another_device_stays_high_for_2_ms", NOT_KNOWN, 2000 * US, true},
    {"another_device_stays_high_for_ever", NOT_KNOWN, HIGH_FOR_EVER, true},
};

static uint64_t first_look_ns;
static uint64_t falls_after_ns;

static bool late_level(void *arg)
{
    (void)arg;
    first_look_ns = first_look_ns == 0 ? world.now_ns : first_look_ns;
    return world.now_ns - first_look_ns < falls_after_ns;
}

/* Nothing is wrong with it: no doorbell may say that there were. */
static void line_has_a_millisecond_to_fall(void **state)
{
    const struct late_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;

    fixture_init(&fixture);
    first_look_ns = 0;
    falls_after_ns = this->falls_ns;
    set_device(&fixture, this->device);
    fixture.config.intx_level = late_level;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(fixture.model->empty_heads, 0);
    assert_int_equal(info.line_repairs, 0);
    assert_int_equal(info.line_stuck, this->stuck);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_LINE_STUCK), this->stuck);
    if (this->stuck) {
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_LINE_STUCK).value, 0);
    }
    fixture_finish(&fixture);
}

/* ---- Shutdown --------------------------------------------------------------------------- */

/* QEMU counts entries that are left at EN = 0 for ever: shutdown must leave none. */
static void shutdown_leaves_no_entry_behind(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_interrupt_queues(&fixture, 2);
    fixture.model->stop_leaks = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture_interrupts(&fixture);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_OK);
    assert_int_equal(fixture.model->pending_extra, 0);
    outcome_check_ok(&outcome, BLOCK);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(stuck_cases) + COUNT_OF(late_cases)] = {
        cmocka_unit_test(shutdown_leaves_no_entry_behind),
    };
    size_t count = 1;

    ADD_CASES(tests, &count, stuck_line_is_repaired_or_given_up, stuck_cases);
    ADD_CASES(tests, &count, line_has_a_millisecond_to_fall, late_cases);
    return fixture_run("line", tests, count);
}
