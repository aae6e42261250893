// SPDX-License-Identifier: MIT
/*
 * bounce_bytes: data that the device cannot take as they are pass through the memory of their slot.
 */
#include "fixture_reset.h"
#include "nvme_segments.h"

#define MS UINT64_C(1000000)

enum {
    PAGE = FIXTURE_PAGE,
    MAX = 16 * PAGE, /* of a command */
    BOUNCE = 4 * PAGE,
    PAGES = 40,
    TINY = 64, /* segments */
    STATUS_INTERNAL = 0x006,
    STATUS_READ_ERROR = 0x281,
    STATUS_DNR = 0x4000,
    FUA = 1 << 30, /* dword 12 */
    SGL = 1 << 14, /* dword 0 */
};

static uint8_t *start(struct fixture *fixture, uint32_t bounce_bytes, uint32_t sgls)
{
    fixture_init_reset(fixture, false);
    fixture->config.max_transfer_bytes = MAX;
    fixture->config.bounce_bytes = bounce_bytes;
    fixture->model->sgls = sgls;
    fixture_start(fixture, 1, NVME_MODE_POLL);
    return fixture_buffer(PAGES * PAGE);
}

static void finish(struct fixture *fixture, uint8_t *buffer)
{
    assert_int_equal(nvme_queue_outstanding(fixture->queues[0]), 0);
    fixture_finish(fixture);
    fixture_free(buffer);
}

static void serve(struct fixture *fixture)
{
    nvme_queue_submit(fixture->queues[0]);
    model_step(fixture->model, UINT32_MAX);
    nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
}

static uint64_t bounces(const struct fixture *fixture)
{
    return fixture_counters(fixture->queues[0]).bounces;
}

static void fill(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8));
    }
}

/* ---- Lists ------------------------------------------------------------------------------ */

struct list_case {
    const char *name;
    uint32_t bounce_bytes;
    uint32_t sgls;
    uint32_t at[3];
    uint32_t bytes[3];
    enum nvme_error error;
    bool copied;
};

static const struct list_case list_cases[] = {
    {"odd_list_is_refused_without_memory", 0, 0, {1}, {BLOCK}, NVME_ERR_ALIGNMENT, false},
    {"odd_block", 1, 0, {1}, {BLOCK}, NVME_OK, true},
    {"page_of_bounce", 1, 0, {1}, {PAGE}, NVME_OK, true},
    {"block_above_the_page", PAGE, 0, {1}, {PAGE + BLOCK}, NVME_ERR_ALIGNMENT, false},
    {"rounded_up", PAGE + 1, 0, {1}, {2 * PAGE}, NVME_OK, true},
    {"holes", BOUNCE, 0, {7, 777, 3 * PAGE + 3}, {100, 412, BLOCK}, NVME_OK, true},
    {"whole_memory", BOUNCE, 0, {3, 6 * PAGE + 1}, {PAGE + 1, 3 * PAGE - 1}, NVME_OK, true},
    {"one_block_too_long",
     BOUNCE,
     0,
     {3, 6 * PAGE + 1},
     {PAGE + 1, 3 * PAGE + BLOCK - 1},
     NVME_ERR_ALIGNMENT,
     false},
    {"prps_carry", BOUNCE, 0, {4, 2 * PAGE}, {PAGE - 4, BLOCK + 4}, NVME_OK, false},
    {"sgl_carries", BOUNCE, 1, {1}, {BLOCK}, NVME_OK, false},
    {"sgl_of_dwords_does_not", BOUNCE, 2, {1}, {BLOCK}, NVME_OK, true},
    {"no_whole_block", BOUNCE, 0, {1}, {BLOCK + 4}, NVME_ERR_LENGTH, false},
    {"empty_segment", BOUNCE, 0, {1, 2 * PAGE, 4 * PAGE}, {100, 0, 412}, NVME_ERR_LENGTH, false},
};

static uint32_t make_list(const struct list_case *this, uint8_t *buffer,
                          struct nvme_segment *segments)
{
    uint32_t count = 0;

    while (count < 3 && (this->bytes[count] != 0 || (count < 2 && this->bytes[count + 1] != 0))) {
        segments[count] = (struct nvme_segment){buffer + this->at[count], this->bytes[count]};
        count++;
    }
    return count;
}

static void list_passes_through_the_slot(void **state)
{
    const struct list_case *this = *state;
    struct nvme_segment segments[3];
    struct outcome outcomes[2] = {0};
    struct fixture fixture;
    uint8_t *buffer = start(&fixture, this->bounce_bytes, this->sgls);
    struct nvme_queue *queue = fixture.queues[0];
    uint8_t *backing = fixture.model->namespaces[0].backing + 8 * BLOCK;
    uint32_t count = make_list(this, buffer, segments);
    uint32_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        fill(segments[i].pointer, segments[i].bytes, i);
    }
    assert_int_equal(
        nvme_writev(queue, &fixture.ns, 8, segments, count, outcome_callback(&outcomes[0])),
        this->error);
    assert_int_equal(world.mapped == 1, this->copied || this->error != NVME_OK);
    serve(&fixture);
    for (uint32_t i = 0; i < count && this->error == NVME_OK; i++) {
        assert_memory_equal(segments[i].pointer, backing + at, segments[i].bytes);
        at += segments[i].bytes;
    }
    fill(backing, at, 99);
    assert_int_equal(
        nvme_readv(queue, &fixture.ns, 8, segments, count, outcome_callback(&outcomes[1])),
        this->error);
    serve(&fixture);
    at = 0;
    if (this->error == NVME_OK) {
        for (uint32_t i = 0; i < count; i++) {
            assert_memory_equal(segments[i].pointer, backing + at, segments[i].bytes);
            memset(segments[i].pointer, 0xee, segments[i].bytes);
            at += segments[i].bytes;
        }
        outcome_check_ok(&outcomes[0], at);
        outcome_check_ok(&outcomes[1], at);
        for (uint32_t i = 0; i < PAGES * PAGE; i++) {
            assert_int_equal(buffer[i], 0xee); /* nothing beside them */
        }
    }
    assert_int_equal(bounces(&fixture), this->copied ? 2 : 0);
    finish(&fixture, buffer);
}

/* More pieces than a list of PRPs or of an SGL has room for. */
static void many_tiny_segments_are_copied(void **state)
{
    (void)state;
    for (uint32_t sgls = 0; sgls < 2; sgls++) {
        struct nvme_segment segments[TINY];
        struct outcome outcome = {0};
        struct fixture fixture;
        uint8_t *buffer = start(&fixture, BOUNCE, sgls);

        for (uint32_t i = 0; i < TINY; i++) {
            segments[i] = (struct nvme_segment){buffer + (size_t)i * 100, 8};
        }
        assert_int_equal(nvme_readv(fixture.queues[0], &fixture.ns, 0, segments, TINY,
                                    outcome_callback(&outcome)),
                         NVME_OK);
        serve(&fixture);
        outcome_check_ok(&outcome, TINY * 8);
        for (uint32_t i = 0; i < TINY; i++) {
            assert_memory_equal(segments[i].pointer, fixture.model->namespaces[0].backing + i * 8,
                                8);
        }
        assert_int_equal(bounces(&fixture), 1);
        finish(&fixture, buffer);
    }
}

/* ---- Buffers ---------------------------------------------------------------------------- */

struct buffer_case {
    const char *name;
    uint32_t bounce_bytes;
    uint32_t sgls;
    uint32_t blocks;
    uint64_t lba;
    bool none; /* no buffer */
    enum nvme_error error;
};

static const struct buffer_case buffer_cases[] = {
    {"odd_buffer_is_refused_without_memory", 0, 1, 1, 0, false, NVME_ERR_ALIGNMENT},
    {"odd_buffer", PAGE, 0, 1, 0, false, NVME_OK},
    {"odd_buffer_by_an_sgl", PAGE, 1, 1, 0, false, NVME_OK},
    {"odd_buffer_of_the_slots_memory", BOUNCE, 0, BOUNCE / BLOCK, 0, false, NVME_OK},
    {"odd_buffer_one_block_too_long", BOUNCE, 0, BOUNCE / BLOCK + 1, 0, false, NVME_ERR_ALIGNMENT},
    {"odd_buffer_to_be_split", BOUNCE, 0, MAX / BLOCK + 1, 0, false, NVME_ERR_ALIGNMENT},
    {"odd_buffer_to_be_split_with_sgls", BOUNCE, 1, MAX / BLOCK + 1, 0, false, NVME_ERR_ALIGNMENT},
    {"odd_buffer_beyond_the_end", BOUNCE, 0, 1, UINT64_MAX, false, NVME_ERR_RANGE},
    {"no_blocks", BOUNCE, 0, 0, 0, false, NVME_ERR_LENGTH},
    {"no_buffer", BOUNCE, 0, 1, 0, true, NVME_ERR_ALIGNMENT},
};

static void any_buffer_is_taken_if_it_fits(void **state)
{
    const struct buffer_case *this = *state;
    struct outcome outcomes[2] = {0};
    struct fixture fixture;
    uint8_t *memory = start(&fixture, this->bounce_bytes, this->sgls);
    struct nvme_queue *queue = fixture.queues[0];
    uint8_t *buffer = this->none ? NULL : memory + PAGE + 3;
    uint32_t bytes = this->blocks * BLOCK;
    uint8_t *backing = fixture.model->namespaces[0].backing;

    fill(memory + PAGE + 3, bytes, 5);
    assert_int_equal(nvme_write(queue, &fixture.ns, this->lba, this->blocks, buffer,
                                outcome_callback(&outcomes[0])),
                     this->error);
    serve(&fixture);
    if (this->error == NVME_OK) {
        outcome_check_ok(&outcomes[0], bytes);
        assert_memory_equal(buffer, backing, bytes);
        fill(backing, bytes, 6);
    }
    assert_int_equal(nvme_read(queue, &fixture.ns, this->lba, this->blocks, buffer,
                               outcome_callback(&outcomes[1])),
                     this->error);
    serve(&fixture);
    if (this->error == NVME_OK) {
        outcome_check_ok(&outcomes[1], bytes);
        assert_memory_equal(buffer, backing, bytes);
        assert_int_equal(buffer[-1], 0xee);
        assert_int_equal(buffer[bytes], 0xee);
        assert_int_equal((fixture.model->last.cdw0 & SGL) != 0, this->sgls != 0);
    }
    assert_int_equal(bounces(&fixture), this->error == NVME_OK && this->sgls == 0 ? 2 : 0);
    finish(&fixture, memory);
}

static void options_go_with_the_copy(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *memory = start(&fixture, BOUNCE, 0);
    struct nvme_io io = {.lba = 3,
                         .buffer = memory + 1,
                         .block_count = 2,
                         .opcode = NVME_CMD_WRITE,
                         .flags = NVME_POST_FUA,
                         .timeout_100ms = 3,
                         .callback = outcome_callback(&outcome)};
    uint32_t posted;

    (void)state;
    fixture.model->hang_next = 1;
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, &io, 1, &posted), NVME_OK);
    assert_int_equal(posted, 1);
    serve(&fixture);
    assert_int_equal(fixture.model->sqs[1].shadow[0].cdw12, (uint32_t)FUA | 1);
    /* Its own deadline: 300 ms, and 100 because it may be younger. */
    for (uint64_t ms = 0; ms < 500; ms += 10) {
        world_advance(10 * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_true(fixture_saw(&fixture, NVME_EVENT_COMMAND_TIMEOUT));
    fixture_watch_until_reset(&fixture, 1);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    finish(&fixture, memory);
}

/* ---- Ends ------------------------------------------------------------------------------- */

static void failed_read_leaves_the_buffer(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *memory = start(&fixture, BOUNCE, 0);

    (void)state;
    model_add_fault(fixture.model, NVME_CMD_READ, 0, STATUS_READ_ERROR | STATUS_DNR);
    assert_int_equal(
        nvme_read(fixture.queues[0], &fixture.ns, 0, 1, memory + 1, outcome_callback(&outcome)),
        NVME_OK);
    serve(&fixture);
    outcome_check_error(&outcome, NVME_ERR_DEVICE);
    for (uint32_t i = 0; i < PAGE; i++) {
        assert_int_equal(memory[i], 0xee);
    }
    finish(&fixture, memory);
}

/* A retry has the slot's copy, whatever became of the caller's. */
static void repeated_write_has_the_same_data(void **state)
{
    (void)state;
    for (uint32_t resets = 0; resets < 2; resets++) {
        struct outcome outcome = {0};
        uint8_t expected[2 * BLOCK];
        struct fixture fixture;
        uint8_t *memory;

        fixture_init_reset(&fixture, false);
        fixture.config.bounce_bytes = BOUNCE;
        fixture.config.retries_max = 2;
        fixture.config.retry_writes = true;
        fixture.model->repeats = true;
        fixture_start(&fixture, 1, NVME_MODE_POLL);
        fixture.model->on_demand = true;
        memory = fixture_buffer(PAGE);
        fill(expected, sizeof(expected), 8);
        memcpy(memory + 1, expected, sizeof(expected));
        assert_int_equal(nvme_write(fixture.queues[0], &fixture.ns, 0, 2, memory + 1,
                                    outcome_callback(&outcome)),
                         NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
        if (resets != 0) {
            fixture_watch_until_reset(&fixture, 1);
        } else {
            model_fail_one(fixture.model, 0, STATUS_INTERNAL);
            nvme_queue_reap(fixture.queues[0], 1);
            world_advance(10 * MS);
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
        assert_int_equal(outcome.count, 0);
        serve(&fixture);
        outcome_check_ok(&outcome, sizeof(expected));
        assert_memory_equal(fixture.model->namespaces[0].backing, expected, sizeof(expected));
        assert_int_equal(bounces(&fixture), 1);
        finish(&fixture, memory);
    }
}

/* Each slot has its own memory: all in flight at once. */
static void slots_do_not_share_memory(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *memory = start(&fixture, 2 * PAGE, 0);
    struct nvme_queue *queue = fixture.queues[0];

    (void)state;
    fixture.model->on_demand = true;
    for (uint32_t i = 0; i < FIXTURE_DEPTH - 1; i++) {
        fill(memory + (size_t)i * 2 * PAGE + 1, 2 * PAGE - BLOCK, i);
        assert_int_equal(nvme_write(queue, &fixture.ns, (uint64_t)i * 16, 15,
                                    memory + (size_t)i * 2 * PAGE + 1, outcome_callback(&outcome)),
                         NVME_OK);
    }
    assert_int_equal(nvme_write(queue, &fixture.ns, 0, 1, memory + 1, outcome_callback(&outcome)),
                     NVME_ERR_BUSY);
    serve(&fixture);
    assert_int_equal(outcome.count, FIXTURE_DEPTH - 1);
    for (uint32_t i = 0; i < FIXTURE_DEPTH - 1; i++) {
        assert_memory_equal(fixture.model->namespaces[0].backing + (size_t)i * 16 * BLOCK,
                            memory + (size_t)i * 2 * PAGE + 1, 15 * BLOCK);
    }
    assert_int_equal(bounces(&fixture), FIXTURE_DEPTH - 1);
    finish(&fixture, memory);
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(list_cases) + COUNT_OF(buffer_cases)] = {
        cmocka_unit_test(many_tiny_segments_are_copied),
        cmocka_unit_test(options_go_with_the_copy),
        cmocka_unit_test(failed_read_leaves_the_buffer),
        cmocka_unit_test(repeated_write_has_the_same_data),
        cmocka_unit_test(slots_do_not_share_memory),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, list_passes_through_the_slot, list_cases);
    ADD_CASES(tests, &count, any_buffer_is_taken_if_it_fits, buffer_cases);
    return fixture_run("bounce", tests, count);
}
