// SPDX-License-Identifier: MIT
/*
 * retry.c: requests that are posted again, after an error that may pass or a reset.
 */
#include "fixture_reset.h"

#define MS UINT64_C(1000000)

enum {
    STATUS_INTERNAL = 0x006,
    STATUS_NOT_READY = 0x082,
    STATUS_DNR = 0x4000,
    STATUS_CRD_1 = 0x0800,
    TRIES = 2,
    SLOTS = FIXTURE_DEPTH - 1,
};

static void start_with(struct fixture *fixture, bool writes, const uint16_t crdt[3])
{
    fixture_init_reset(fixture, false);
    fixture->config.retries_max = TRIES;
    fixture->config.retry_writes = writes;
    fixture->model->repeats = true;
    memcpy(fixture->model->crdt, crdt, sizeof(fixture->model->crdt));
    fixture_start(fixture, 1, NVME_MODE_POLL);
    fixture->model->on_demand = true;
}

static void start(struct fixture *fixture, bool writes)
{
    start_with(fixture, writes, (const uint16_t[3]){1, 5, 0});
}

/* The owner reaps and watches for so long. */
static void go_on(struct fixture *fixture, uint32_t ms)
{
    for (uint32_t passed = 0; passed < ms; passed += 10) {
        nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
        world_advance(10 * MS);
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
    }
    nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
}

static void post_opcode(struct fixture *fixture, uint8_t opcode, void *buffer,
                        struct outcome *outcome)
{
    struct nvme_command other = {.cdw0 = 0x05, .nsid = 1}; /* Compare */
    struct nvme_callback callback = outcome_callback(outcome);
    struct nvme_io io = {.opcode = opcode, .block_count = 1, .callback = callback};
    uint32_t posted;

    io.buffer = buffer;
    if (opcode == 0x05) {
        assert_int_equal(nvme_passthrough(fixture->queues[0], &other, buffer, BLOCK, callback),
                         NVME_OK);
    } else {
        assert_int_equal(nvme_post_many(fixture->queues[0], &fixture->ns, &io, 1, &posted),
                         NVME_OK);
    }
    nvme_queue_submit(fixture->queues[0]);
}

/* ---- Errors ------------------------------------------------------------------------------ */

struct error_case {
    const char *name;
    uint8_t opcode;
    uint16_t status;
    bool writes;
    bool again;
};

static const struct error_case error_cases[] = {
    {"read", NVME_CMD_READ, STATUS_INTERNAL, false, true},
    {"read_of_a_namespace_that_is_not_ready", NVME_CMD_READ, STATUS_NOT_READY, false, true},
    {"read_that_is_not_to_be_retried", NVME_CMD_READ, STATUS_INTERNAL | STATUS_DNR, false, false},
    {"flush", NVME_CMD_FLUSH, STATUS_INTERNAL, false, true},
    {"write", NVME_CMD_WRITE, STATUS_INTERNAL, false, false},
    {"write_that_may_be_repeated", NVME_CMD_WRITE, STATUS_INTERNAL, true, true},
    {"another_command", 0x05, STATUS_INTERNAL, true, false},
};

static void error_is_tried_again_if_it_may_be(void **state)
{
    const struct error_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    start(&fixture, this->writes);
    post_opcode(&fixture, this->opcode, fixture_block, &outcome);
    model_fail_one(fixture.model, 0, this->status);
    go_on(&fixture, 20);
    if (this->again) {
        assert_int_equal(outcome.count, 0);
        assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 1);
        assert_int_equal(fixture.model->pending_count, 1);
        model_step(fixture.model, 1);
        go_on(&fixture, 10);
        outcome_check_ok(&outcome, this->opcode == NVME_CMD_FLUSH ? 0 : BLOCK);
    } else {
        outcome_check_error(&outcome, NVME_ERR_DEVICE);
        assert_int_equal(outcome.result.status, this->status);
    }
    assert_int_equal(fixture_counters(fixture.queues[0]).retries, this->again);
    fixture_finish(&fixture);
}

static void the_last_try_ends_the_request(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, false);
    for (int request = 0; request < 3; request++) {
        outcome = (struct outcome){0};
        post_opcode(&fixture, NVME_CMD_READ, fixture_block, &outcome);
        for (int i = 0; i <= TRIES; i++) {
            assert_int_equal(outcome.count, 0);
            assert_int_equal(fixture.model->pending_count, 1);
            model_fail_one(fixture.model, 0, STATUS_INTERNAL);
            go_on(&fixture, 20);
        }
        outcome_check_error(&outcome, NVME_ERR_DEVICE);
        assert_int_equal(outcome.result.status, STATUS_INTERNAL);
    }
    assert_int_equal(fixture_counters(fixture.queues[0]).retries, 3 * TRIES);
    fixture_finish(&fixture);
}

struct delay_case {
    const char *name;
    uint16_t crdt[3]; /* of Identify, in 100 ms */
    uint32_t crd;     /* of the status */
    uint32_t ms;
    bool reset; /* before it */
};

static const struct delay_case delay_cases[] = {
    {"no_delay", {1, 5, 7}, 0, 0, false},
    {"first_delay", {1, 5, 7}, 1, 100, false},
    {"second_delay", {1, 5, 7}, 2, 500, false},
    {"third_delay", {1, 5, 7}, 3, 700, false},
    {"delay_of_0", {1, 0, 7}, 2, 0, false},
    {"delay_above_the_deadline", {1, 5, UINT16_MAX}, 3, FIXTURE_TIMEOUT_MS, false},
    {"delays_of_a_device_that_is_not_asked", {0, 5, 7}, 2, 0, false},
    {"second_delay_behind_a_reset", {1, 5, 7}, 2, 500, true},
    {"device_that_is_not_asked_behind_a_reset", {0, 5, 7}, 3, 0, true},
};

static void device_says_how_long_to_wait(void **state)
{
    const struct delay_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    start_with(&fixture, false, this->crdt);
    if (this->reset) {
        fixture.model->hang_next = 1;
        post_opcode(&fixture, NVME_CMD_WRITE, fixture_block, &outcome);
        fixture_watch_until_reset(&fixture, 1);
        outcome_check_error(&outcome, NVME_ERR_RESET);
        outcome = (struct outcome){0};
    }
    assert_int_equal(fixture.model->acre, this->crdt[0] != 0);
    post_opcode(&fixture, NVME_CMD_READ, fixture_block, &outcome);
    go_on(&fixture, 20); /* the queue's clock moves */
    model_fail_one(fixture.model, 0, (uint16_t)(STATUS_INTERNAL | this->crd * STATUS_CRD_1));
    nvme_queue_reap(fixture.queues[0], 1);
    if (this->ms != 0) {
        go_on(&fixture, this->ms - 20);
        assert_int_equal(fixture.model->pending_count, 0);
    }
    go_on(&fixture, 40);
    assert_int_equal(fixture.model->pending_count, 1);
    model_step(fixture.model, 1);
    go_on(&fixture, 10);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void request_that_waits_ends_with_its_queue(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, false);
    post_opcode(&fixture, NVME_CMD_READ, fixture_block, &outcome);
    model_fail_one(fixture.model, 0, STATUS_INTERNAL | 2 * STATUS_CRD_1);
    nvme_queue_reap(fixture.queues[0], 1);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_BUSY);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    outcome_check_error(&outcome, NVME_ERR_ABORTED);
    fixture_finish(&fixture);
}

/* The slot waits: an entry with its old id ends nothing. */
static void late_entry_ends_no_request_that_waits(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t cid;

    (void)state;
    start(&fixture, false);
    post_opcode(&fixture, NVME_CMD_READ, fixture_block, &outcome);
    cid = (uint32_t)NVME_GET(NVME_CDW0_CID, fixture.model->pending[0].command.cdw0);
    model_fail_one(fixture.model, 0, STATUS_INTERNAL);
    nvme_queue_reap(fixture.queues[0], 1);
    model_post_entry(fixture.model, 1, (struct nvme_completion){.sq = 1 << 16 | 1, .status = cid});
    nvme_queue_reap(fixture.queues[0], 1);
    assert_int_equal(outcome.count, 0);
    go_on(&fixture, 20);
    assert_int_not_equal(NVME_GET(NVME_CDW0_CID, fixture.model->pending[0].command.cdw0), cid);
    model_post_entry(fixture.model, 1, (struct nvme_completion){.sq = 1 << 16 | 1, .status = cid});
    nvme_queue_reap(fixture.queues[0], 1);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(fixture_counters(fixture.queues[0]).stale, 2);
    model_step(fixture.model, 1);
    go_on(&fixture, 10);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* ---- Resets ------------------------------------------------------------------------------ */

/* The ring has gone round since: the command is not there any more. */
static void old_command_survives_the_ring_and_a_reset(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct outcome others = {0};
    uint8_t *buffer = fixture_buffer(4 * FIXTURE_PAGE);
    uint32_t blocks = 3 * FIXTURE_PAGE / BLOCK;

    (void)state;
    start(&fixture, false);
    fixture.model->hang_next = 1;
    assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, 100, blocks, buffer + 4,
                               outcome_callback(&outcome)),
                     NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    for (int i = 0; i < 5 * FIXTURE_DEPTH; i++) {
        post_opcode(&fixture, NVME_CMD_READ, fixture_block, &others);
        model_step(fixture.model, UINT32_MAX);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    }
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(outcome.count, 0);
    model_step(fixture.model, UINT32_MAX);
    go_on(&fixture, 10);
    outcome_check_ok(&outcome, blocks * BLOCK);
    assert_memory_equal(buffer + 4, fixture.model->namespaces[0].backing + 100 * BLOCK,
                        blocks * BLOCK);
    assert_int_equal(others.count, 5 * FIXTURE_DEPTH);
    fixture_finish(&fixture);
    fixture_free(buffer);
}

static void full_queue_is_replayed_as_far_as_it_may_be(void **state)
{
    static const bool may_write[] = {false, true};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(may_write); i++) {
        struct fixture fixture;
        struct outcome reads = {0};
        struct outcome writes = {0};

        start(&fixture, may_write[i]);
        fixture.model->hang_next = SLOTS;
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            post_opcode(&fixture, slot % 2 == 0 ? NVME_CMD_READ : NVME_CMD_WRITE, fixture_block,
                        slot % 2 == 0 ? &reads : &writes);
        }
        fixture_watch_until_reset(&fixture, 1);
        model_step(fixture.model, UINT32_MAX);
        go_on(&fixture, 10);
        assert_int_equal(reads.count, (SLOTS + 1) / 2);
        assert_int_equal(reads.result.error, NVME_OK);
        assert_int_equal(writes.count, SLOTS / 2);
        assert_int_equal(writes.result.error, may_write[i] ? NVME_OK : NVME_ERR_RESET);
        fixture_finish(&fixture);
    }
}

static void each_reset_is_a_try(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, false);
    fixture.model->hang_next = 100;
    post_opcode(&fixture, NVME_CMD_READ, fixture_block, &outcome);
    fixture_watch_until_reset(&fixture, TRIES);
    assert_int_equal(outcome.count, 0);
    fixture_watch_until_reset(&fixture, TRIES + 1);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[6 + COUNT_OF(error_cases) + COUNT_OF(delay_cases)] = {
        cmocka_unit_test(the_last_try_ends_the_request),
        cmocka_unit_test(request_that_waits_ends_with_its_queue),
        cmocka_unit_test(late_entry_ends_no_request_that_waits),
        cmocka_unit_test(old_command_survives_the_ring_and_a_reset),
        cmocka_unit_test(full_queue_is_replayed_as_far_as_it_may_be),
        cmocka_unit_test(each_reset_is_a_try),
    };
    size_t count = 6;

    ADD_CASES(tests, &count, error_is_tried_again_if_it_may_be, error_cases);
    ADD_CASES(tests, &count, device_says_how_long_to_wait, delay_cases);
    return fixture_run("retry", tests, count);
}
