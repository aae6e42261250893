// SPDX-License-Identifier: MIT
/*
 * io.c: validation, data in both directions and both address spaces, batches, pass-through.
 * The split above MDTS is in test_split.c.
 */
#include <stdlib.h>

#include "fixture.h"

enum {
    BLOCKS = 2048,
    PAGE = 4096,
};

/* ---- Validation: a failed post changes nothing ------------------------------------------- */

struct refusal_case {
    const char *name;
    uint64_t lba;
    uint32_t count;
    uint32_t offset; /* of the buffer from a page; UINT32_MAX: NULL */
    enum nvme_error error;
};

static const struct refusal_case refusal_cases[] = {
    {"no_blocks", 0, 0, 0, NVME_ERR_LENGTH},
    {"no_blocks_beyond_the_end", BLOCKS, 0, 0, NVME_ERR_LENGTH},
    {"four_gibibytes", 0, UINT32_C(1) << 23, 0, NVME_ERR_LENGTH},
    {"most_blocks_a_count_can_say", 0, UINT32_MAX, 0, NVME_ERR_LENGTH},
    {"four_gibibytes_less_a_block_is_a_range", 0, (UINT32_C(1) << 23) - 1, 0, NVME_ERR_RANGE},
    {"first_block_behind_the_end", BLOCKS, 1, 0, NVME_ERR_RANGE},
    {"last_block_and_one_more", BLOCKS - 1, 2, 0, NVME_ERR_RANGE},
    {"one_block_more_than_all", 0, BLOCKS + 1, 0, NVME_ERR_RANGE},
    {"lba_that_wraps_with_its_count", UINT64_MAX, 1, 0, NVME_ERR_RANGE},
    {"lba_that_wraps_to_inside", UINT64_MAX - 1, 4, 0, NVME_ERR_RANGE},
    {"buffer_at_1", 0, 1, 1, NVME_ERR_ALIGNMENT},
    {"buffer_at_2", 0, 1, 2, NVME_ERR_ALIGNMENT},
    {"buffer_at_4095", 0, 1, 4095, NVME_ERR_ALIGNMENT},
    {"buffer_of_a_split_at_2", 0, BLOCKS, 2, NVME_ERR_ALIGNMENT},
    {"no_buffer", 0, 1, UINT32_MAX, NVME_ERR_ALIGNMENT},
};

static void refused_post_changes_nothing(void **state)
{
    const struct refusal_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue *queue = fixture_poll_queue(&fixture);
    uint8_t *pages = fixture_buffer(PAGE);
    uint8_t *buffer = this->offset == UINT32_MAX ? NULL : pages + this->offset;

    assert_int_equal(
        nvme_read(queue, &fixture.ns, this->lba, this->count, buffer, outcome_callback(&outcome)),
        this->error);
    assert_int_equal(
        nvme_write(queue, &fixture.ns, this->lba, this->count, buffer, outcome_callback(&outcome)),
        this->error);
    assert_int_equal(nvme_queue_outstanding(queue), 0);
    nvme_queue_submit(queue);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), 0);
    assert_int_equal(fixture_counters(queue).posts, 0);
    assert_int_equal(outcome.count, 0);
    fixture_free(pages);
    fixture_finish(&fixture);
}

static void namespace_of_another_controller_is_refused(void **state)
{
    struct fixture fixture;
    struct fixture other;
    struct outcome outcome = {0};
    uint8_t *buffer = fixture_buffer(PAGE);
    struct nvme_queue *queue = fixture_poll_queue(&fixture);

    (void)state;
    fixture_init_more(&other);
    fixture_start(&other, 1, NVME_MODE_POLL);
    assert_int_equal(nvme_read(queue, &other.ns, 0, 1, buffer, outcome_callback(&outcome)),
                     NVME_ERR_NAMESPACE);
    assert_int_equal(nvme_flush(queue, &other.ns, outcome_callback(&outcome)), NVME_ERR_NAMESPACE);
    assert_int_equal(outcome.count, 0);
    fixture_free(buffer);
    assert_int_equal(nvme_controller_close(other.controller), NVME_OK);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_OK);
    fixture_drop(&other);
    fixture_drop(&fixture);
}

static void closed_queue_takes_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_command command = {.cdw0 = NVME_CMD_FLUSH};
    uint8_t *buffer = fixture_buffer(PAGE);
    struct nvme_queue *queue = fixture_poll_queue(&fixture);
    struct nvme_io io = {.buffer = buffer, .block_count = 1, .opcode = NVME_CMD_READ};
    uint32_t posted = 99;

    (void)state;
    assert_int_equal(nvme_queue_close(queue), NVME_OK);
    assert_int_equal(nvme_read(queue, &fixture.ns, 0, 1, buffer, outcome_callback(&outcome)),
                     NVME_ERR_STATE);
    assert_int_equal(nvme_flush(queue, &fixture.ns, outcome_callback(&outcome)), NVME_ERR_STATE);
    assert_int_equal(nvme_post_many(queue, &fixture.ns, &io, 1, &posted), NVME_ERR_STATE);
    assert_int_equal(posted, 0);
    assert_int_equal(nvme_passthrough(queue, &command, NULL, 0, outcome_callback(&outcome)),
                     NVME_ERR_STATE);
    nvme_queue_submit(queue);
    assert_int_equal(nvme_queue_reap(queue, 1), 0);
    nvme_queue_watchdog(queue, world.now_ns);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

struct opcode_case {
    const char *name;
    uint8_t opcode;
    uint32_t before; /* good requests in the batch, the odd one after them */
};

static const struct opcode_case opcode_cases[] = {
    {"compare_alone", 0x05, 0},
    {"compare_behind_two", 0x05, 2},
    {"write_uncorrectable_behind_one", 0x04, 1},
    {"dataset_management_behind_three", 0x09, 3},
    {"read_with_a_high_bit", 0x80 | NVME_CMD_READ, 1},
    {"all_ones", 0xff, 2},
};

static void batch_ends_before_an_opcode_that_is_none_of_its_own(void **state)
{
    const struct opcode_case *this = *state;
    static const uint8_t good[] = {NVME_CMD_READ, NVME_CMD_FLUSH, NVME_CMD_WRITE};
    struct fixture fixture;
    struct outcome stands = {0};
    struct outcome refused = {0};
    struct nvme_io ios[5];
    uint8_t *buffer = fixture_buffer(PAGE);
    struct nvme_queue *queue = fixture_poll_queue(&fixture);
    uint32_t posted = 99;

    for (uint32_t i = 0; i < COUNT_OF(ios); i++) {
        ios[i] = (struct nvme_io){
            .buffer = buffer,
            .block_count = 1,
            .opcode = i == this->before ? this->opcode : good[i % COUNT_OF(good)],
            .callback = outcome_callback(i < this->before ? &stands : &refused),
        };
    }
    assert_int_equal(nvme_post_many(queue, &fixture.ns, ios, COUNT_OF(ios), &posted),
                     NVME_ERR_UNSUPPORTED);
    assert_int_equal(posted, this->before);
    assert_int_equal(nvme_queue_outstanding(queue), this->before);
    nvme_queue_submit(queue);
    assert_int_equal(fixture.model->sqs[1].fetched, this->before);
    nvme_queue_reap(queue, FIXTURE_DEPTH);
    assert_int_equal(stands.count, this->before);
    assert_int_equal(stands.result.error, NVME_OK);
    assert_int_equal(refused.count, 0);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

/* ---- Data ------------------------------------------------------------------------------- */

struct data_case {
    const char *name;
    uint32_t offset;
    uint32_t blocks;
    uint8_t block_shift;
    enum world_paging paging;
};

static const struct data_case data_cases[] = {
    {"block_at_page_start", 0, 1, 9, WORLD_IDENTITY},
    {"block_at_4", 4, 1, 9, WORLD_PAGED},
    {"block_at_508", 508, 1, 9, WORLD_PAGED},
    {"block_across_a_page", 4092, 1, 9, WORLD_PAGED},
    {"page_at_0", 0, 8, 9, WORLD_PAGED},
    {"page_at_4", 4, 8, 9, WORLD_PAGED},
    {"page_and_a_block", 0, 9, 9, WORLD_PAGED},
    {"three_pages_at_4092", 4092, 24, 9, WORLD_PAGED},
    {"all_that_mdts_allows_at_508", 508, 1024, 9, WORLD_PAGED},
    {"one_block_more_than_mdts", 508, 1025, 9, WORLD_PAGED},
    {"the_whole_namespace_at_4", 4, BLOCKS, 9, WORLD_PAGED},
    {"the_whole_namespace_with_identity", 4092, BLOCKS, 9, WORLD_IDENTITY},
    {"block_of_4096_at_0", 0, 1, 12, WORLD_PAGED},
    {"block_of_4096_at_4", 4, 1, 12, WORLD_PAGED},
    {"blocks_of_4096_above_mdts", 4, 129, 12, WORLD_PAGED},
    {"blocks_of_64_kib", 4, 9, 16, WORLD_PAGED},
};

static void submit_and_wait(struct nvme_queue *queue, const struct outcome *outcome)
{
    nvme_queue_submit(queue);
    for (int i = 0; i < 100 && outcome->count == 0; i++) {
        nvme_queue_reap(queue, 100);
    }
}

/* Reads at block 1, then writes that back, changed: the backing is compared byte by byte. */
static void move_data(const struct data_case *this, bool maps)
{
    struct fixture fixture;
    struct outcome read = {0};
    struct outcome write = {0};
    uint32_t bytes = this->blocks << this->block_shift;
    uint8_t *pages = fixture_buffer(bytes + 3 * PAGE);
    uint8_t *buffer = pages + PAGE + this->offset;
    uint64_t lba = this->blocks < BLOCKS ? 1 : 0;
    uint64_t start = lba << this->block_shift;
    const uint8_t *backing;

    fixture_init(&fixture);
    world.maps = maps;
    world.paging = this->paging;
    model_set_namespace(fixture.model, 1, this->block_shift, this->blocks + lba + 1);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    backing = fixture.model->namespaces[0].backing;
    assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, lba, this->blocks, buffer,
                               outcome_callback(&read)),
                     NVME_OK);
    submit_and_wait(fixture.queues[0], &read);
    outcome_check_ok(&read, bytes);
    assert_memory_equal(buffer, backing + start, bytes);
    assert_int_equal(buffer[-1], 0xee);
    assert_int_equal(buffer[bytes], 0xee);
    for (uint32_t i = 0; i < bytes; i++) {
        buffer[i] = (uint8_t)(buffer[i] + i / 97 + 1);
    }
    world.keep = buffer;
    world.keep_bytes = bytes;
    assert_int_equal(nvme_write(fixture.queues[0], &fixture.ns, lba, this->blocks, buffer,
                                outcome_callback(&write)),
                     NVME_OK);
    submit_and_wait(fixture.queues[0], &write);
    outcome_check_ok(&write, bytes);
    assert_memory_equal(buffer, backing + start, bytes);
    assert_true(lba == 0 || backing[start - 1] == model_pattern(start - 1));
    assert_int_equal(backing[start + bytes], model_pattern(start + bytes));
    fixture_free(pages);
    fixture_finish(&fixture);
}

/* Through a port that maps them, and one that does not. */
static void data_is_moved_byte_by_byte_and_nothing_beside_it(void **state)
{
    move_data(*state, false);
    move_data(*state, true);
}

static void lba_above_32_bits_travels_whole(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint8_t *buffer = fixture_buffer(PAGE);
    uint64_t lba = UINT64_C(0x123456789ab);

    (void)state;
    fixture_init(&fixture);
    fixture.model->namespaces[0].block_count = lba + 1;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    model_add_fault(fixture.model, NVME_CMD_READ, lba, 0x281);
    assert_int_equal(
        nvme_read(fixture.queues[0], &fixture.ns, lba, 1, buffer, outcome_callback(&outcome)),
        NVME_OK);
    submit_and_wait(fixture.queues[0], &outcome);
    outcome_check_error(&outcome, NVME_ERR_DEVICE);
    assert_int_equal(outcome.result.status, 0x281);
    assert_int_equal(fixture.model->last.cdw10, 0x456789ab);
    assert_int_equal(fixture.model->last.cdw11, 0x123);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

struct status_case {
    const char *name;
    uint16_t status;
};

static const struct status_case status_cases[] = {
    {"media_error_is_passed_on", 0x281},
    {"do_not_retry_is_passed_on", 0x4281},
    {"vendor_status_is_passed_on", 0x7ff},
    {"every_bit_of_the_status_is_passed_on", 0x7fff},
};

static void device_status_reaches_done_unchanged(void **state)
{
    const struct status_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint8_t *buffer = fixture_buffer(PAGE);

    fixture_poll_queue(&fixture);
    model_add_fault(fixture.model, NVME_CMD_WRITE, 7, this->status);
    assert_int_equal(
        nvme_write(fixture.queues[0], &fixture.ns, 5, 4, buffer, outcome_callback(&outcome)),
        NVME_OK);
    submit_and_wait(fixture.queues[0], &outcome);
    outcome_check_error(&outcome, NVME_ERR_DEVICE);
    assert_int_equal(outcome.result.status, this->status);
    assert_int_equal(outcome.result.bytes_done, 0);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

static void flush_reaches_its_namespace_and_moves_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    assert_int_equal(nvme_flush(fixture.queues[0], &fixture.ns, outcome_callback(&outcome)),
                     NVME_OK);
    submit_and_wait(fixture.queues[0], &outcome);
    outcome_check_ok(&outcome, 0);
    assert_int_equal(fixture.model->namespaces[0].flushes, 1);
    assert_int_equal(fixture.model->last.prp1, 0);
    assert_int_equal(fixture.model->last.prp2, 0);
    fixture_finish(&fixture);
}

/* 768 pages: the device follows the list to a second page, which it must not find in a cache. */
static void every_page_of_a_list_is_cleaned(void **state)
{
    enum { PAGES = 768, BYTES = PAGES * FIXTURE_PAGE };
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *memory;

    (void)state;
    fixture_init(&fixture);
    fixture.model->mdts = 0;
    fixture.config.max_transfer_bytes = BYTES;
    fixture.config.depth_entries = 2;
    fixture.config.queue_count = 1;
    model_set_namespace(fixture.model, 1, 12, 1024);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    memory = fixture_buffer(BYTES);
    assert_int_equal(
        nvme_read(fixture.queues[0], &fixture.ns, 0, PAGES, memory, outcome_callback(&outcome)),
        NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BYTES);
    assert_memory_equal(fixture.model->namespaces[0].backing, memory, BYTES);
    fixture_finish(&fixture);
    fixture_free(memory);
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(refusal_cases) + COUNT_OF(opcode_cases) +
                            COUNT_OF(data_cases) + COUNT_OF(status_cases)] = {
        cmocka_unit_test(namespace_of_another_controller_is_refused),
        cmocka_unit_test(closed_queue_takes_nothing),
        cmocka_unit_test(lba_above_32_bits_travels_whole),
        cmocka_unit_test(flush_reaches_its_namespace_and_moves_nothing),
        cmocka_unit_test(every_page_of_a_list_is_cleaned),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, refused_post_changes_nothing, refusal_cases);
    ADD_CASES(tests, &count, batch_ends_before_an_opcode_that_is_none_of_its_own, opcode_cases);
    ADD_CASES(tests, &count, data_is_moved_byte_by_byte_and_nothing_beside_it, data_cases);
    ADD_CASES(tests, &count, device_status_reaches_done_unchanged, status_cases);
    return fixture_run("io", tests, count);
}
