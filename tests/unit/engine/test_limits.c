// SPDX-License-Identifier: MIT
/*
 * controller.c, pair.c: devices that give less than others, and say so: queues, doorbells, times,
 * lists.
 */
#include "fixture.h"

/* ---- Queues ----------------------------------------------------------------------------- */

struct queues_case {
    const char *name;
    uint32_t granted;      /* 0: the command is refused */
    uint32_t stride;       /* DSTRD */
    size_t doorbell_bytes; /* 0: enough */
    uint32_t queues;       /* expected */
};

static const struct queues_case queues_cases[] = {
    {"number_of_queues_is_refused", 0, 0, 0, 0},
    {"doorbells_of_all", 64, 0, 9 * 4 + 4, 4},
    {"doorbells_of_all_but_a_byte", 64, 0, 9 * 4 + 3, 3},
    {"doorbells_of_one", 64, 0, 3 * 4 + 4, 1},
    {"doorbells_of_one_but_a_byte", 64, 0, 3 * 4 + 3, 0},
    {"doorbells_of_the_admin_queue_alone", 64, 0, 4 + 4, 0},
    {"doorbells_of_what_is_granted", 2, 0, 5 * 4 + 4, 2},
    {"doorbells_far_apart", 64, 4, 5 * 64 + 4, 2},
    {"doorbells_far_apart_but_a_byte", 64, 4, 5 * 64 + 3, 1},
};

static void queues_are_what_is_given_and_reachable(void **state)
{
    const struct queues_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};

    fixture_init(&fixture);
    fixture.model->cap.stride = this->stride;
    if (this->granted == 0) {
        fixture.model->admin_status[NVME_ADMIN_SET_FEATURES] = 0x002;
    } else {
        fixture.model->granted = this->granted;
    }
    if (this->doorbell_bytes != 0) {
        fixture.config.registers_size_bytes = NVME_REG_DOORBELLS + this->doorbell_bytes;
    }
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.queue_count, this->queues);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_QUEUES_REDUCED),
                     this->queues < FIXTURE_QUEUES);
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        assert_int_equal(nvme_queue_open(fixture.controller, i, &config, &fixture.queues[i]),
                         i < this->queues ? NVME_OK : NVME_ERR_QUEUES);
    }
    assert_int_equal(
        nvme_queue_open(fixture.controller, FIXTURE_QUEUES, &config, &fixture.queues[0]),
        NVME_ERR_CONFIG);
    /* Administration goes on. */
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), NVME_OK);
    fixture_finish(&fixture);
}

/* ---- Formats ---------------------------------------------------------------------------- */

struct more_case {
    const char *name;
    uint8_t formats; /* NLBAF */
    uint8_t more;    /* NULBAF */
    uint8_t format;
    enum nvme_error error;
};

static const struct more_case more_cases[] = {
    {"first_format_behind_nlbaf", 1, 2, 2, NVME_OK},
    {"last_format_behind_nlbaf", 1, 2, 3, NVME_OK},
    {"format_behind_the_last_of_both", 1, 2, 4, NVME_ERR_IDENTIFY},
    {"seventeenth_format_of_both_uses_the_high_bits", 14, 2, 16, NVME_OK},
    {"last_of_64_formats_of_both", 15, 48, 63, NVME_OK},
    {"more_formats_than_fit", 255, 255, 63, NVME_OK},
};

static void formats_behind_nlbaf_are_formats_too(void **state)
{
    const struct more_case *this = *state;
    struct fixture fixture;
    struct nvme_namespace ns;
    struct model_namespace *model;

    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    model = &fixture.model->namespaces[0];
    model->block_shift = 12;
    model->format_count = this->formats;
    model->format_more = this->more;
    model->format = this->format;
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), this->error);
    fixture_finish(&fixture);
}

/* ---- Lists and times --------------------------------------------------------------------- */

static void without_the_list_identifiers_are_tried(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 0;

    (void)state;
    fixture_init(&fixture);
    fixture.model->list_refused = true;
    fixture.model->namespaces[0].active = false;
    model_set_namespace(fixture.model, 3, 9, 8);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_OK);
    assert_int_equal(nsid, 3);
    assert_int_equal(nvme_namespace_next(fixture.controller, 3, &nsid), NVME_ERR_NAMESPACE);
    assert_int_equal(nsid, 3);
    fixture_finish(&fixture);
}

static void tries_are_bounded(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 0;
    uint32_t before;

    (void)state;
    fixture_init(&fixture);
    fixture.model->list_refused = true;
    fixture.model->namespaces[0].active = false;
    fixture.model->namespace_count = UINT32_MAX;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    before = fixture.model->admin_commands[NVME_ADMIN_IDENTIFY];
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_NAMESPACE);
    assert_int_equal(fixture.model->admin_commands[NVME_ADMIN_IDENTIFY], before + 1 + 1024);
    fixture_finish(&fixture);
}

struct time_case {
    const char *name;
    uint32_t rtd3e_us;
    uint16_t crto;
    uint32_t shutdown_ms;
    uint32_t ready_ms;
};

static const struct time_case time_cases[] = {
    {"nothing_is_told", 0, 0, 30000, 7500},
    {"shutdown_of_40_s", 40000000, 0, 40000, 7500},
    {"shutdown_below_the_least", 1, 0, 1000, 7500},
    {"shutdown_above_the_most", UINT32_MAX, 0, 127500, 7500},
    {"crto_above_cap_to", 0, 300, 30000, 150000},
    {"crto_below_cap_to", 0, 3, 30000, 7500},
    {"crto_of_all_ones", 0, 0xffff, 30000, 600000},
};

static void times_of_the_device_are_waited(void **state)
{
    const struct time_case *this = *state;
    struct fixture fixture;
    struct nvme_controller_info info;
    uint64_t began;

    fixture_init(&fixture);
    fixture.model->rtd3e = this->rtd3e_us;
    fixture.model->crto = this->crto;
    fixture.model->ready_delay_ns = ((uint64_t)this->ready_ms - 100) * 1000000;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    nvme_controller_describe(fixture.controller, &info);
    assert_int_equal(info.shutdown_timeout_ms, this->shutdown_ms);
    assert_int_equal(info.ready_timeout_ms, this->ready_ms);
    fixture.model->ready_delay_ns = 0;
    fixture.model->shutdown_never = true;
    began = world.now_ns;
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    assert_true(world.now_ns - began >= (uint64_t)this->shutdown_ms * 1000000);
    assert_true(world.now_ns - began < (uint64_t)this->shutdown_ms * 1000000 + 1000000000);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest
        tests[2 + COUNT_OF(time_cases) + COUNT_OF(queues_cases) + COUNT_OF(more_cases)] = {
            cmocka_unit_test(without_the_list_identifiers_are_tried),
            cmocka_unit_test(tries_are_bounded),
        };
    size_t count = 2;

    ADD_CASES(tests, &count, queues_are_what_is_given_and_reachable, queues_cases);
    ADD_CASES(tests, &count, formats_behind_nlbaf_are_formats_too, more_cases);
    ADD_CASES(tests, &count, times_of_the_device_are_waited, time_cases);
    return fixture_run("limits", tests, count);
}
