// SPDX-License-Identifier: MIT
/*
 * passthrough.c: admin commands of a tool. What is kept out, and what the device gets.
 */
#include "fixture.h"
#include "nvme_admin.h"

static uint8_t page[NVME_ADMIN_PASSTHROUGH_MAX + 4] __attribute__((aligned(4096)));

/* An Identify Controller with what a careless tool leaves in the engine's fields. */
static const struct nvme_command identify = {
    .cdw0 = 0xffffff00 | NVME_ADMIN_IDENTIFY,
    .mptr = UINT64_MAX,
    .prp1 = UINT64_MAX,
    .prp2 = UINT64_MAX,
    .cdw10 = NVME_CNS_CONTROLLER,
};

static void data_arrive_at_any_dword(void **state)
{
    struct fixture fixture;
    struct nvme_result result;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    for (uint32_t offset = 0; offset <= 4; offset += 4) {
        struct nvme_identify_controller found;

        memset(page, 0xee, sizeof(page));
        assert_int_equal(nvme_admin_passthrough(fixture.controller, &identify, page + offset,
                                                NVME_IDENTIFY_BYTES, &result),
                         NVME_OK);
        assert_int_equal(result.error, NVME_OK);
        memcpy(&found, page + offset, sizeof(found));
        assert_int_equal(found.vid, 0x1b36);
        assert_int_equal(page[offset == 0 ? NVME_IDENTIFY_BYTES : 0], 0xee);
    }
    fixture_finish(&fixture);
}

struct kept_case {
    const char *name;
    uint8_t opcode;
    uint32_t cdw10;
    uint32_t size_bytes;
    uint32_t offset; /* of the buffer; 9: none */
    enum nvme_error error;
};

static const struct kept_case kept_cases[] = {
    {"delete_sq", NVME_ADMIN_DELETE_SQ, 1, 0, 9, NVME_ERR_UNSUPPORTED},
    {"create_sq", NVME_ADMIN_CREATE_SQ, 1, 0, 9, NVME_ERR_UNSUPPORTED},
    {"delete_cq", NVME_ADMIN_DELETE_CQ, 1, 0, 9, NVME_ERR_UNSUPPORTED},
    {"create_cq", NVME_ADMIN_CREATE_CQ, 1, 0, 9, NVME_ERR_UNSUPPORTED},
    {"event_request", NVME_ADMIN_ASYNC_EVENT_REQUEST, 0, 0, 9, NVME_ERR_UNSUPPORTED},
    {"doorbell_buffers", NVME_ADMIN_DOORBELL_BUFFER_CONFIG, 0, 0, 9, NVME_ERR_UNSUPPORTED},
    {"number_of_queues", NVME_ADMIN_SET_FEATURES, NVME_FEATURE_NUMBER_OF_QUEUES, 0, 9,
     NVME_ERR_UNSUPPORTED},
    {"number_of_queues_to_be_saved", NVME_ADMIN_SET_FEATURES,
     1U << 31 | NVME_FEATURE_NUMBER_OF_QUEUES, 0, 9, NVME_ERR_UNSUPPORTED},
    {"asynchronous_events", NVME_ADMIN_SET_FEATURES, NVME_FEATURE_ASYNC_EVENTS, 0, 9,
     NVME_ERR_UNSUPPORTED},
    {"host_behavior", NVME_ADMIN_SET_FEATURES, NVME_FEATURE_HOST_BEHAVIOR, 512, 0,
     NVME_ERR_UNSUPPORTED},
    {"another_feature_goes_to_the_device", NVME_ADMIN_SET_FEATURES, 0x99, 0, 9, NVME_ERR_DEVICE},
    {"unknown_command_goes_to_the_device", 0xc0, 0, 0, 9, NVME_ERR_DEVICE},
    {"more_than_a_page", NVME_ADMIN_IDENTIFY, 1, NVME_ADMIN_PASSTHROUGH_MAX + 4, 0,
     NVME_ERR_LENGTH},
    {"data_of_a_command_without", 0xc0, 0, 4, 0, NVME_ERR_LENGTH},
    {"buffer_off_a_dword", NVME_ADMIN_IDENTIFY, 1, 4096, 2, NVME_ERR_ALIGNMENT},
    {"no_buffer", NVME_ADMIN_IDENTIFY, 1, 4096, 9, NVME_ERR_ALIGNMENT},
};

static void what_the_engine_relies_on_is_kept(void **state)
{
    const struct kept_case *this = *state;
    struct nvme_command command = {.cdw0 = this->opcode, .cdw10 = this->cdw10};
    bool reaches = this->error == NVME_ERR_DEVICE;
    struct fixture fixture;
    struct nvme_result result;
    uint32_t before;

    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    before = fixture.model->admin_commands[this->opcode];
    assert_int_equal(nvme_admin_passthrough(fixture.controller, &command,
                                            this->offset == 9 ? NULL : page + this->offset,
                                            this->size_bytes, &result),
                     this->error);
    assert_int_equal(result.error, this->error);
    assert_int_equal(result.status != 0, reaches);
    assert_int_equal(fixture.model->admin_commands[this->opcode], before + reaches);
    fixture_finish(&fixture);
}

/* As any administration: the device is disabled, and the memory is the caller's again. */
static void silent_device_is_disabled(void **state)
{
    struct fixture fixture;
    struct nvme_result result;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    fixture.model->admin_silent = true;
    assert_int_equal(
        nvme_admin_passthrough(fixture.controller, &identify, page, NVME_IDENTIFY_BYTES, &result),
        NVME_ERR_TIMEOUT);
    assert_int_equal(result.error, NVME_ERR_TIMEOUT);
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    assert_int_equal(
        nvme_admin_passthrough(fixture.controller, &identify, page, NVME_IDENTIFY_BYTES, &result),
        NVME_ERR_STATE);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

static void result_tells_that_the_device_is_stuck(void **state)
{
    struct fixture fixture;
    struct nvme_result result;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    fixture.model->admin_silent = true;
    fixture.model->stop_never = true;
    assert_int_equal(
        nvme_admin_passthrough(fixture.controller, &identify, page, NVME_IDENTIFY_BYTES, &result),
        NVME_ERR_STUCK);
    assert_int_equal(result.error, NVME_ERR_STUCK);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_STUCK);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[3 + COUNT_OF(kept_cases)] = {
        cmocka_unit_test(data_arrive_at_any_dword),
        cmocka_unit_test(silent_device_is_disabled),
        cmocka_unit_test(result_tells_that_the_device_is_stuck),
    };
    size_t count = 3;

    ADD_CASES(tests, &count, what_the_engine_relies_on_is_kept, kept_cases);
    return fixture_run("passthrough", tests, count);
}
