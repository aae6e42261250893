// SPDX-License-Identifier: MIT
/*
 * io.c: options of a request: forced unit access, its own deadline, whether it is tried again.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)

enum {
    TIMEOUT_MS = 2000,
    STEP_MS = 10,
    STATUS_INTERNAL = 0x006,
    FUA = 1 << 30, /* dword 12 */
};

static void start(struct fixture *fixture)
{
    fixture_init(fixture);
    fixture->config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture->config.retries_max = 2;
    fixture->model->repeats = true;
    fixture_start(fixture, 1, NVME_MODE_POLL);
}

static enum nvme_error post(struct fixture *fixture, struct nvme_io io, struct outcome *outcome)
{
    uint32_t posted = 7;
    enum nvme_error error;

    io.callback = outcome_callback(outcome);
    io.buffer = io.buffer != NULL ? io.buffer : fixture_block;
    io.block_count = io.block_count != 0 ? io.block_count : 1;
    error = nvme_post_many(fixture->queues[0], &fixture->ns, &io, 1, &posted);
    assert_int_equal(posted, error == NVME_OK);
    nvme_queue_submit(fixture->queues[0]);
    return error;
}

/* ---- Forced unit access ----------------------------------------------------------------- */

struct fua_case {
    const char *name;
    uint8_t opcode;
    uint8_t flags;
    uint32_t control;
};

static const struct fua_case fua_cases[] = {
    {"read", NVME_CMD_READ, 0, 0},
    {"write", NVME_CMD_WRITE, 0, 0},
    {"forced_read", NVME_CMD_READ, NVME_POST_FUA, FUA},
    {"forced_write", NVME_CMD_WRITE, NVME_POST_FUA, FUA},
    {"other_options", NVME_CMD_WRITE, NVME_POST_RETRY, 0},
};

static void fua_is_in_the_command(void **state)
{
    const struct fua_case *this = *state;
    struct outcome outcome = {0};
    struct fixture fixture;

    start(&fixture);
    assert_int_equal(post(&fixture,
                          (struct nvme_io){.opcode = this->opcode, .flags = this->flags, .lba = 5},
                          &outcome),
                     NVME_OK);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture.model->last.cdw12, this->control);
    assert_int_equal(fixture.model->last.cdw10, 5);
    fixture_finish(&fixture);
}

static void every_part_of_a_long_request_has_its_options(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *buffer;

    (void)state;
    start(&fixture);
    buffer = fixture_buffer(2 * (size_t)fixture.ns.max_blocks * BLOCK);
    fixture.model->on_demand = true;
    assert_int_equal(post(&fixture,
                          (struct nvme_io){.opcode = NVME_CMD_READ,
                                           .buffer = buffer,
                                           .block_count = fixture.ns.max_blocks + 1,
                                           .flags = NVME_POST_FUA,
                                           .timeout_100ms = 3},
                          &outcome),
                     NVME_OK);
    assert_int_equal(fixture.model->pending_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(fixture.model->pending[i].command.cdw12 & FUA, FUA);
    }
    model_step(fixture.model, 1);
    for (uint32_t ms = 0; ms < 600 && outcome.count == 0; ms += STEP_MS) {
        world_advance(STEP_MS * MS);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_COMMAND_TIMEOUT).limit, 300);
    fixture_drop(&fixture);
    fixture_free(buffer);
}

static void what_is_no_option_is_refused(void **state)
{
    static const struct nvme_io refused[] = {
        {.opcode = NVME_CMD_READ, .flags = NVME_POST_ALL + 1},
        {.opcode = NVME_CMD_FLUSH, .flags = 0x80},
        {.opcode = 0x05, .flags = NVME_POST_FUA},
        {.opcode = 0x05, .timeout_100ms = 1},
    };
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    start(&fixture);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_int_equal(post(&fixture, refused[i], &outcome), NVME_ERR_UNSUPPORTED);
    }
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    assert_int_equal(post(&fixture,
                          (struct nvme_io){.opcode = NVME_CMD_WRITE,
                                           .lba = fixture.ns.block_count,
                                           .flags = NVME_POST_FUA},
                          &outcome),
                     NVME_ERR_RANGE);
    assert_int_equal(outcome.count, 0);
    fixture_finish(&fixture);
}

/* ---- Deadlines -------------------------------------------------------------------------- */

struct deadline_case {
    const char *name;
    uint8_t opcode;
    uint16_t timeout_100ms;
    uint32_t ms; /* that is in force */
};

static const struct deadline_case deadline_cases[] = {
    {"of_the_controller", NVME_CMD_READ, 0, TIMEOUT_MS},
    {"shorter", NVME_CMD_READ, 3, 300},
    {"shortest", NVME_CMD_WRITE, 1, 100},
    {"longer", NVME_CMD_READ, 50, 5000},
    {"of_a_flush", NVME_CMD_FLUSH, 7, 700},
};

/* A step of the clock, a walk over the slots in ten per deadline, two calls. */
static uint32_t latest_ms(uint32_t ms)
{
    return ms + 200 + (ms < TIMEOUT_MS ? ms : TIMEOUT_MS) / 10 + 2 * STEP_MS;
}

static void request_has_its_own_deadline(void **state)
{
    const struct deadline_case *this = *state;
    struct outcome outcome = {0};
    struct fixture fixture;
    uint64_t began_ns;

    start(&fixture);
    fixture.model->hang_next = 1;
    began_ns = world.now_ns;
    assert_int_equal(
        post(&fixture,
             (struct nvme_io){.opcode = this->opcode, .timeout_100ms = this->timeout_100ms},
             &outcome),
        NVME_OK);
    while (outcome.count == 0 && world.now_ns - began_ns < 10000 * MS) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_COMMAND_TIMEOUT).limit, this->ms);
    assert_in_range((world.now_ns - began_ns) / MS, this->ms, latest_ms(this->ms));
    fixture_drop(&fixture);
}

/* However seldom the controller's own deadline would make it look. */
static void short_deadline_is_noticed_in_time(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;
    uint64_t began_ns;

    (void)state;
    fixture_init(&fixture);
    fixture.config.command_timeout_ns = 100 * TIMEOUT_MS * MS;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->hang_next = 1;
    began_ns = world.now_ns;
    assert_int_equal(
        post(&fixture, (struct nvme_io){.opcode = NVME_CMD_READ, .timeout_100ms = 3}, &outcome),
        NVME_OK);
    while (outcome.count == 0 && (world.now_ns - began_ns) / MS <= latest_ms(300)) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

/* A slot that had options has none in its next request. */
static void options_end_with_their_request(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    start(&fixture);
    for (uint32_t i = 0; i < FIXTURE_DEPTH; i++) {
        assert_int_equal(post(&fixture,
                              (struct nvme_io){.opcode = NVME_CMD_READ,
                                               .flags = NVME_POST_NO_RETRY,
                                               .timeout_100ms = 1},
                              &outcome),
                         NVME_OK);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    }
    outcome = (struct outcome){0};
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 0, &outcome);
    for (uint32_t ms = 0; ms < TIMEOUT_MS; ms += STEP_MS) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_int_equal(outcome.count, 0);
    fixture_drop(&fixture);
}

/* ---- Retries ---------------------------------------------------------------------------- */

struct retry_case {
    const char *name;
    uint8_t opcode;
    uint8_t flags;
    bool again;
};

static const struct retry_case retry_cases[] = {
    {"read", NVME_CMD_READ, 0, true},
    {"read_not_again", NVME_CMD_READ, NVME_POST_NO_RETRY, false},
    {"write", NVME_CMD_WRITE, 0, false},
    {"write_again", NVME_CMD_WRITE, NVME_POST_RETRY, true},
    {"both", NVME_CMD_WRITE, NVME_POST_RETRY | NVME_POST_NO_RETRY, false},
    {"flush_not_again", NVME_CMD_FLUSH, NVME_POST_NO_RETRY, false},
};

static void caller_says_what_is_tried_again(void **state)
{
    const struct retry_case *this = *state;
    struct outcome outcome = {0};
    struct fixture fixture;

    start(&fixture);
    fixture.model->on_demand = true;
    assert_int_equal(
        post(&fixture, (struct nvme_io){.opcode = this->opcode, .flags = this->flags}, &outcome),
        NVME_OK);
    model_fail_one(fixture.model, 0, STATUS_INTERNAL);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    assert_int_equal(outcome.count, !this->again);
    world_advance(STEP_MS * MS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.result.error, this->again ? NVME_OK : NVME_ERR_DEVICE);
    assert_int_equal(fixture_counters(fixture.queues[0]).retries, this->again);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest
        tests[4 + COUNT_OF(fua_cases) + COUNT_OF(deadline_cases) + COUNT_OF(retry_cases)] = {
            cmocka_unit_test(every_part_of_a_long_request_has_its_options),
            cmocka_unit_test(what_is_no_option_is_refused),
            cmocka_unit_test(options_end_with_their_request),
            cmocka_unit_test(short_deadline_is_noticed_in_time),
        };
    size_t count = 4;

    ADD_CASES(tests, &count, fua_is_in_the_command, fua_cases);
    ADD_CASES(tests, &count, request_has_its_own_deadline, deadline_cases);
    ADD_CASES(tests, &count, caller_says_what_is_tried_again, retry_cases);
    return fixture_run("options of io", tests, count);
}
