// SPDX-License-Identifier: MIT
/*
 * io.c: requests above MDTS are split; batches; pass-through.
 */
#include "fixture.h"

enum {
    PAGE = 4096,
    PART_BLOCKS = PAGE / BLOCK, /* MDTS 0 is no limit: max_transfer_bytes of one page is the part */
    PART = PART_BLOCKS * BLOCK,
};

static uint8_t *open_small_parts(struct fixture *fixture, uint32_t depth)
{
    fixture_init(fixture);
    fixture->config.max_transfer_bytes = PART;
    fixture->config.depth_entries = depth;
    fixture_start(fixture, 1, NVME_MODE_POLL);
    fixture->model->on_demand = true;
    return fixture_buffer(64 * PAGE);
}

struct split_case {
    const char *name;
    uint32_t depth;
    uint32_t occupied; /* slots taken by other requests at the start */
    uint32_t blocks;
    uint32_t window; /* parts that must be in flight after the post */
};

static const struct split_case split_cases[] = {
    {"exactly_mdts_is_not_split", 16, 0, PART_BLOCKS, 1},
    {"one_block_more_takes_two_parts", 16, 0, PART_BLOCKS + 1, 2},
    {"window_less_one", 16, 0, 7 * PART_BLOCKS, 7},
    {"window_exactly", 16, 0, 8 * PART_BLOCKS, 8},
    {"window_and_one_block", 16, 0, 8 * PART_BLOCKS + 1, 8},
    {"window_twice", 16, 0, 16 * PART_BLOCKS, 8},
    {"many_laps_of_the_ring", 16, 0, 61 * PART_BLOCKS + 3, 8},
    {"queue_shallower_than_the_window", 4, 0, 20 * PART_BLOCKS, 3},
    {"depth_2_one_part_at_a_time", 2, 0, 20 * PART_BLOCKS + 5, 1},
    {"one_free_slot_is_enough", 16, 14, 20 * PART_BLOCKS, 1},
    {"two_free_slots", 16, 13, 20 * PART_BLOCKS, 2},
    {"seven_free_slots", 16, 8, 20 * PART_BLOCKS, 7},
    {"eight_free_slots", 16, 7, 20 * PART_BLOCKS, 8},
};

/* One request of `blocks` on a queue with other requests: parts in flight, data, one done(). */
static void split_keeps_its_window_and_ends_once(void **state)
{
    const struct split_case *this = *state;
    struct fixture fixture;
    struct outcome others = {0};
    struct outcome outcome = {0};
    uint8_t *buffer = open_small_parts(&fixture, this->depth);
    uint32_t bytes = this->blocks * BLOCK;
    uint32_t in_flight = 0;

    for (uint32_t i = 0; i < this->occupied; i++) {
        assert_int_equal(nvme_flush(fixture.queues[0], &fixture.ns, outcome_callback(&others)),
                         NVME_OK);
    }
    assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, 3, this->blocks, buffer + 4,
                               outcome_callback(&outcome)),
                     NVME_OK);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), this->occupied + this->window);
    nvme_queue_submit(fixture.queues[0]);
    while (fixture.model->pending_count != 0) {
        /* The last one first, so that parts end out of order. */
        model_step_one(fixture.model, fixture.model->pending_count - 1);
        nvme_queue_reap(fixture.queues[0], 1);
        in_flight = nvme_queue_outstanding(fixture.queues[0]);
        assert_true(in_flight <= this->occupied + this->window);
        assert_int_equal(outcome.count != 0, in_flight + others.count == this->occupied);
    }
    outcome_check_ok(&outcome, bytes);
    assert_int_equal(others.count, this->occupied);
    assert_memory_equal(buffer + 4, fixture.model->namespaces[0].backing + 3 * BLOCK, bytes);
    assert_int_equal(buffer[4 + bytes], 0xee);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

static void first_error_stops_further_parts_and_done_waits_for_all(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint8_t *buffer = open_small_parts(&fixture, 16);

    (void)state;
    model_add_fault(fixture.model, NVME_CMD_READ, 2 * PART_BLOCKS, 0x281);
    model_add_fault(fixture.model, NVME_CMD_READ, 5 * PART_BLOCKS, 0x280);
    assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, 0, 30 * PART_BLOCKS, buffer,
                               outcome_callback(&outcome)),
                     NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    model_step_one(fixture.model, 2); /* part 2 fails first */
    nvme_queue_reap(fixture.queues[0], 1);
    assert_int_equal(fixture.model->sqs[1].fetched, 8);
    for (uint32_t i = 7; i > 0; i--) {
        assert_int_equal(outcome.count, 0);
        assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), i);
        model_step_one(fixture.model, 0);
        nvme_queue_reap(fixture.queues[0], 1);
    }
    outcome_check_error(&outcome, NVME_ERR_DEVICE);
    assert_int_equal(outcome.result.status, 0x281);
    assert_int_equal(outcome.result.bytes_done, 6 * PART);
    assert_int_equal(fixture.model->sqs[1].fetched, 8);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

/* Three parts, each failing or not, completing in every order. */
static void parts_that_fail_in_any_order_end_the_request_once(void **state)
{
    static const uint8_t orders[6][3] = {{0, 0, 0}, {0, 1, 0}, {1, 0, 0},
                                         {1, 1, 0}, {2, 0, 0}, {2, 1, 0}};

    (void)state;
    for (uint32_t run = 0; run < 6 * 8; run++) {
        struct fixture fixture;
        struct outcome outcome = {0};
        uint8_t *buffer = open_small_parts(&fixture, 16);
        uint32_t failing = run % 8;
        uint32_t good = 3;

        for (uint32_t part = 0; part < 3; part++) {
            if ((failing >> part & 1) != 0) {
                model_add_fault(fixture.model, NVME_CMD_WRITE, (uint64_t)part * PART_BLOCKS,
                                (uint16_t)(0x280 + part));
                good--;
            }
        }
        assert_int_equal(nvme_write(fixture.queues[0], &fixture.ns, 0, 3 * PART_BLOCKS, buffer,
                                    outcome_callback(&outcome)),
                         NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
        for (uint32_t step = 0; step < 3; step++) {
            assert_int_equal(outcome.count, 0);
            model_step_one(fixture.model, orders[run / 8][step]);
            nvme_queue_reap(fixture.queues[0], 1);
        }
        assert_int_equal(outcome.count, 1);
        assert_int_equal(outcome.result.error, failing != 0 ? NVME_ERR_DEVICE : NVME_OK);
        assert_int_equal(outcome.result.bytes_done, good * PART);
        fixture_free(buffer);
        fixture_finish(&fixture);
    }
}

static void splits_as_many_as_slots_all_end(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[15] = {0};
    uint8_t *buffer = open_small_parts(&fixture, 16);

    (void)state;
    /* Fourteen flushes hold all slots but one; each that ends makes room for one split. */
    for (int i = 0; i < 14; i++) {
        assert_int_equal(
            nvme_flush(fixture.queues[0], &fixture.ns, outcome_callback(&outcomes[14])), NVME_OK);
    }
    nvme_queue_submit(fixture.queues[0]);
    for (size_t i = 0; i < 14; i++) {
        assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, 0, 3 * PART_BLOCKS,
                                   buffer + i * PAGE * 3, outcome_callback(&outcomes[i])),
                         NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
        model_step_one(fixture.model, 0); /* a flush */
        nvme_queue_reap(fixture.queues[0], 1);
    }
    assert_int_equal(outcomes[14].count, 14);
    fixture.model->on_demand = false;
    model_step(fixture.model, UINT32_MAX);
    while (nvme_queue_reap(fixture.queues[0], 100) != 0) {
    }
    for (size_t i = 0; i < 14; i++) {
        outcome_check_ok(&outcomes[i], 3 * PART);
    }
    fixture_free(buffer);
    fixture_finish(&fixture);
}

/* Posts the same split again from its done(), while `left` is not 0. */
struct again {
    struct fixture *fixture;
    uint8_t *buffer;
    uint32_t left;
};

static void split_again(void *arg, struct nvme_result result)
{
    struct again *again = arg;

    assert_int_equal(result.error, NVME_OK);
    if (again->left-- != 0) {
        assert_int_equal(nvme_read(again->fixture->queues[0], &again->fixture->ns, 0,
                                   3 * PART_BLOCKS, again->buffer,
                                   (struct nvme_callback){split_again, again}),
                         NVME_OK);
    }
}

static void done_of_the_only_split_finds_its_own_record_free(void **state)
{
    struct fixture fixture;
    struct again again = {&fixture, open_small_parts(&fixture, 2), 5};

    (void)state;
    split_again(&again, (struct nvme_result){.error = NVME_OK});
    nvme_queue_submit(fixture.queues[0]);
    while (model_step(fixture.model, 1) != 0) {
        nvme_queue_reap(fixture.queues[0], 1);
    }
    assert_int_equal(again.left, UINT32_MAX);
    fixture_free(again.buffer);
    fixture_finish(&fixture);
}

static void closing_ends_a_half_done_split_once(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint8_t *buffer = open_small_parts(&fixture, 16);

    (void)state;
    fixture.model->delete_drops = true;
    assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, 0, 30 * PART_BLOCKS, buffer,
                               outcome_callback(&outcome)),
                     NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    model_step_one(fixture.model, 0);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    outcome_check_error(&outcome, NVME_ERR_ABORTED);
    assert_int_equal(outcome.result.bytes_done, PART);
    assert_int_equal(fixture.model->sqs[1].fetched, 0);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

/* ---- Batches ---------------------------------------------------------------------------- */

static void batch_stops_at_its_first_error_and_says_where(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_io ios[20];
    uint32_t posted = 99;
    uint8_t *buffer = open_small_parts(&fixture, 8);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ios); i++) {
        ios[i] = (struct nvme_io){
            .lba = i,
            .buffer = buffer,
            .block_count = 1,
            .opcode = i % 3 == 2 ? NVME_CMD_FLUSH : NVME_CMD_READ,
            .callback = outcome_callback(&outcome),
        };
    }
    ios[4].block_count = 0;
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, ios, 20, &posted),
                     NVME_ERR_LENGTH);
    assert_int_equal(posted, 4);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 4);
    ios[4].block_count = 1;
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, ios, 20, &posted),
                     NVME_ERR_BUSY);
    assert_int_equal(posted, 3);
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, ios, 0, &posted), NVME_OK);
    assert_int_equal(posted, 0);
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), 1);
    model_step(fixture.model, 100);
    nvme_queue_reap(fixture.queues[0], 100);
    assert_int_equal(outcome.count, 7);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

/* ---- Pass-through ----------------------------------------------------------------------- */

struct passthrough_case {
    const char *name;
    uint8_t opcode;
    bool has_buffer;
    uint32_t size;
    uint32_t offset;
    enum nvme_error error;
};

static const struct passthrough_case passthrough_cases[] = {
    {"read_of_a_block", NVME_CMD_READ, true, BLOCK, 0, NVME_OK},
    {"read_across_a_page", NVME_CMD_READ, true, BLOCK, PAGE - 256, NVME_OK},
    {"write_of_a_block", NVME_CMD_WRITE, true, BLOCK, 4, NVME_OK},
    {"flush_moves_nothing", NVME_CMD_FLUSH, false, 0, 0, NVME_OK},
    {"largest_transfer", NVME_CMD_READ, true, PART, 4, NVME_OK},
    {"one_byte_above_the_largest", NVME_CMD_READ, true, PART + 1, 0, NVME_ERR_LENGTH},
    {"most_bytes_a_size_can_say", NVME_CMD_READ, true, UINT32_MAX, 0, NVME_ERR_LENGTH},
    {"buffer_for_a_flush", NVME_CMD_FLUSH, true, BLOCK, 0, NVME_ERR_LENGTH},
    {"read_without_a_buffer", NVME_CMD_READ, false, 0, 0, NVME_ERR_LENGTH},
    {"read_of_no_bytes", NVME_CMD_READ, true, 0, 0, NVME_ERR_LENGTH},
    {"size_without_a_buffer", NVME_CMD_READ, false, BLOCK, 0, NVME_ERR_LENGTH},
    {"buffer_at_2", NVME_CMD_READ, true, BLOCK, 2, NVME_ERR_ALIGNMENT},
};

static void passthrough_is_checked_and_keeps_the_callers_dwords(void **state)
{
    const struct passthrough_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint8_t *buffer = open_small_parts(&fixture, 16);
    uint32_t blocks = this->size / BLOCK;
    struct nvme_command command = {
        .cdw0 = UINT32_C(0xabcdc300) | this->opcode,
        .nsid = 1,
        .cdw2 = 2,
        .cdw3 = 3,
        .mptr = 4,
        .prp1 = 5,
        .prp2 = 6,
        .cdw10 = 10,
        .cdw12 = blocks != 0 ? blocks - 1 : 0,
        .cdw13 = 13,
        .cdw14 = 14,
        .cdw15 = 15,
    };

    assert_int_equal(nvme_passthrough(fixture.queues[0], &command,
                                      this->has_buffer ? buffer + this->offset : NULL, this->size,
                                      outcome_callback(&outcome)),
                     this->error);
    nvme_queue_submit(fixture.queues[0]);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[0], 1);
    if (this->error == NVME_OK) {
        outcome_check_ok(&outcome, this->size);
        assert_int_equal(fixture.model->last.cdw2, 2);
        assert_int_equal(fixture.model->last.cdw3, 3);
        assert_int_equal(fixture.model->last.cdw10, 10);
        assert_int_equal(fixture.model->last.cdw13, 13);
        assert_int_equal(fixture.model->last.cdw14, 14);
        assert_int_equal(fixture.model->last.cdw15, 15);
    } else {
        assert_int_equal(outcome.count, 0);
        assert_int_equal(fixture.model->sqs[1].fetched, 0);
    }
    fixture_free(buffer);
    fixture_finish(&fixture);
}

static void passthrough_on_a_full_queue_is_busy(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_command command = {.cdw0 = NVME_CMD_FLUSH, .nsid = 1};
    uint8_t *buffer = open_small_parts(&fixture, 2);

    (void)state;
    assert_int_equal(
        nvme_passthrough(fixture.queues[0], &command, NULL, 0, outcome_callback(&outcome)),
        NVME_OK);
    assert_int_equal(
        nvme_passthrough(fixture.queues[0], &command, NULL, 0, outcome_callback(&outcome)),
        NVME_ERR_BUSY);
    nvme_queue_submit(fixture.queues[0]);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, 0);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[7 + COUNT_OF(split_cases) + COUNT_OF(passthrough_cases)] = {
        cmocka_unit_test(first_error_stops_further_parts_and_done_waits_for_all),
        cmocka_unit_test(parts_that_fail_in_any_order_end_the_request_once),
        cmocka_unit_test(splits_as_many_as_slots_all_end),
        cmocka_unit_test(done_of_the_only_split_finds_its_own_record_free),
        cmocka_unit_test(closing_ends_a_half_done_split_once),
        cmocka_unit_test(batch_stops_at_its_first_error_and_says_where),
        cmocka_unit_test(passthrough_on_a_full_queue_is_busy),
    };
    size_t count = 7;

    ADD_CASES(tests, &count, split_keeps_its_window_and_ends_once, split_cases);
    ADD_CASES(tests, &count, passthrough_is_checked_and_keeps_the_callers_dwords,
              passthrough_cases);
    return fixture_run("split", tests, count);
}
