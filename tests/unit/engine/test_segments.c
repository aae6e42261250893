// SPDX-License-Identifier: MIT
/*
 * segments.c: scatter lists by PRPs and by SGLs; what neither can carry.
 */
#include "fixture.h"
#include "nvme_segments.h"
#include "random.h"

enum {
    PAGE = FIXTURE_PAGE,
    PAGES = 40,
    MAX = 16 * PAGE, /* of a command */
    SEGMENTS = 12,
    RANDOM_LISTS = 3000,
    PSDT = 3 << 14, /* dword 0 */
    SGL = 1 << 14,
};

/* A place in the buffer. */
struct part {
    uint32_t at;
    uint32_t bytes;
};

static uint8_t *start(struct fixture *fixture, uint32_t sgls)
{
    fixture_init(fixture);
    fixture->config.max_transfer_bytes = MAX;
    fixture->model->sgls = sgls;
    fixture_start(fixture, 1, NVME_MODE_POLL);
    return fixture_buffer(PAGES * PAGE);
}

static uint32_t make_segments(uint8_t *buffer, const struct part *parts,
                              struct nvme_segment *segments)
{
    uint32_t count = 0;

    while (count < SEGMENTS && parts[count].bytes != 0) {
        segments[count] = (struct nvme_segment){buffer + parts[count].at, parts[count].bytes};
        count++;
    }
    return count;
}

static uint32_t sum(const struct nvme_segment *segments, uint32_t count)
{
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += segments[i].bytes;
    }
    return bytes;
}

/* ---- Shapes ----------------------------------------------------------------------------- */

struct shape_case {
    const char *name;
    uint32_t sgls;
    struct part parts[SEGMENTS + 1];
    enum nvme_error error;
    uint32_t psdt;
};

static const struct shape_case shape_cases[] = {
    {"one_page", 0, {{0, PAGE}}, NVME_OK, 0},
    {"one_that_leaves_its_page", 0, {{2048, PAGE}}, NVME_OK, 0},
    {"pages_in_any_order", 0, {{5 * PAGE, PAGE}, {0, PAGE}, {9 * PAGE, PAGE}}, NVME_OK, 0},
    {"first_ends_its_page", 0, {{PAGE - 512, 512}, {3 * PAGE, PAGE}, {0, 1024}}, NVME_OK, 0},
    {"two_pages_each", 0, {{8 * PAGE, 2 * PAGE}, {2 * PAGE, 2 * PAGE}}, NVME_OK, 0},
    {"prps_where_there_are_sgls", 1, {{5 * PAGE, PAGE}, {0, PAGE}}, NVME_OK, 0},
    {"hole_before_the_second", 0, {{0, PAGE}, {PAGE + 512, 512}}, NVME_ERR_ALIGNMENT, 0},
    {"hole_behind_the_first", 0, {{0, 512}, {3 * PAGE, 512}}, NVME_ERR_ALIGNMENT, 0},
    {"odd_first", 0, {{1, 512}}, NVME_ERR_ALIGNMENT, 0},
    {"sgl_of_one", 1, {{1, 512}}, NVME_OK, SGL},
    {"sgl_of_many", 1, {{0, 100}, {777, 412}, {3 * PAGE + 3, 2 * PAGE}}, NVME_OK, SGL},
    {"sgl_of_bytes", 1, {{0, 17}, {18, 1}, {20, 494}}, NVME_OK, SGL},
    {"dword_sgl", 2, {{4, 508}, {PAGE, 4}}, NVME_OK, SGL},
    {"dword_sgl_of_an_odd_start", 2, {{6, 512}}, NVME_ERR_ALIGNMENT, 0},
    {"dword_sgl_of_an_odd_length", 2, {{4, 510}, {PAGE, 2}}, NVME_ERR_ALIGNMENT, 0},
    {"reserved_value_is_no_sgl", 3, {{1, 512}}, NVME_ERR_ALIGNMENT, 0},
    {"sgl_too_long_for_its_list",
     1,
     {{0, 1}, {2, 1}, {4, 1}, {6, 1}, {8, 1}, {10, 1}, {12, 1}, {14, 1}, {16, 504}},
     NVME_ERR_LENGTH,
     0},
};

static void segments_are_read_and_written(void **state)
{
    const struct shape_case *this = *state;
    struct nvme_segment segments[SEGMENTS];
    struct outcome outcome = {0};
    struct fixture fixture;
    uint8_t *buffer = start(&fixture, this->sgls);
    const uint8_t *backing = fixture.model->namespaces[0].backing;
    uint32_t count = make_segments(buffer, this->parts, segments);
    uint32_t blocks = sum(segments, count) / BLOCK;
    uint32_t at = 8 * BLOCK;

    assert_int_equal(blocks * BLOCK, sum(segments, count));
    assert_int_equal(
        nvme_readv(fixture.queues[0], &fixture.ns, 8, segments, count, outcome_callback(&outcome)),
        this->error);
    if (this->error == NVME_OK) {
        fixture_reap(&fixture);
        nvme_queue_submit(fixture.queues[0]);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
        outcome_check_ok(&outcome, blocks * BLOCK);
        assert_int_equal(fixture.model->last.cdw0 & PSDT, this->psdt);
        for (uint32_t i = 0; i < count; i++) {
            assert_memory_equal(segments[i].pointer, backing + at, segments[i].bytes);
            at += segments[i].bytes;
        }
        /* Nothing beside them. */
        for (uint32_t i = 0; i < count; i++) {
            memset(segments[i].pointer, 0xee, segments[i].bytes);
        }
        for (uint32_t i = 0; i < PAGES * PAGE; i++) {
            assert_int_equal(buffer[i], 0xee);
        }
    }
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    fixture_finish(&fixture);
    fixture_free(buffer);
}

/* ---- Any list --------------------------------------------------------------------------- */

/* Said again from the specification's words, not from the code. */
static bool prps_carry(const struct nvme_segment *segments, uint32_t count)
{
    bool carry = (uintptr_t)segments[0].pointer % 4 == 0;

    for (uint32_t i = 0; i < count; i++) {
        uintptr_t first = (uintptr_t)segments[i].pointer;

        carry = carry && (i == 0 || first % PAGE == 0) &&
                (i + 1 == count || (first + segments[i].bytes) % PAGE == 0);
    }
    return carry;
}

/* So many segments in pages of their own, of whole blocks together. */
static uint32_t random_segments(struct random *random, uint8_t *buffer,
                                struct nvme_segment *segments)
{
    uint32_t count = random_between(random, 1, 4);
    uint32_t rest;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = random_chance(random, 500) ? 0 : random_below(random, PAGE);
        uint32_t bytes = random_chance(random, 600) ? random_between(random, 1, 2) * PAGE - at
                                                    : random_between(random, 1, PAGE);

        at &= random_chance(random, 700) ? ~UINT32_C(3) : UINT32_MAX;
        segments[i] = (struct nvme_segment){buffer + (size_t)i * 4 * PAGE + at, bytes};
    }
    rest = sum(segments, count) % BLOCK;
    segments[count - 1].bytes += rest == 0 ? 0 : BLOCK - rest;
    return count;
}

static void any_list_is_carried_or_refused(void **state)
{
    struct random random = {.state = 1};
    struct nvme_segment segments[SEGMENTS];
    uint8_t expected[MAX];
    uint32_t carried[3] = {0};
    struct fixture fixture;
    uint8_t *buffer;

    (void)state;
    world.paging = WORLD_PAGED;
    for (uint32_t sgls = 0; sgls < 2; sgls++) {
        buffer = start(&fixture, sgls);
        for (uint32_t i = 0; i < RANDOM_LISTS; i++) {
            uint32_t count = random_segments(&random, buffer, segments);
            uint32_t bytes = sum(segments, count);
            uint32_t lba = random_below(&random, 1000);
            struct outcome outcome = {0};
            bool prps = prps_carry(segments, count);
            uint32_t at = 0;
            enum nvme_error error;

            for (uint32_t s = 0; s < count; s++) {
                memset(segments[s].pointer, (int)random_next(&random), segments[s].bytes);
                memcpy(expected + at, segments[s].pointer, segments[s].bytes);
                at += segments[s].bytes;
            }
            error = nvme_writev(fixture.queues[0], &fixture.ns, lba, segments, count,
                                outcome_callback(&outcome));
            if (!prps && sgls == 0) {
                assert_int_equal(error, NVME_ERR_ALIGNMENT);
                carried[0]++;
                continue;
            }
            if (error == NVME_ERR_LENGTH) {
                continue; /* more pieces than the list has room for */
            }
            assert_int_equal(error, NVME_OK);
            nvme_queue_submit(fixture.queues[0]);
            nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
            outcome_check_ok(&outcome, bytes);
            assert_int_equal(fixture.model->last.cdw0 & PSDT, prps ? 0 : SGL);
            assert_memory_equal(fixture.model->namespaces[0].backing + (size_t)lba * BLOCK,
                                expected, bytes);
            carried[prps ? 1 : 2]++;
        }
        fixture_finish(&fixture);
        fixture_free(buffer);
    }
    for (size_t i = 0; i < COUNT_OF(carried); i++) {
        assert_true(carried[i] > 100);
    }
}

/* ---- Limits ----------------------------------------------------------------------------- */

static void limits_are_those_of_a_read(void **state)
{
    struct nvme_segment whole;
    struct nvme_segment one;
    struct nvme_segment long_one;
    struct nvme_segment above;
    struct nvme_segment part;
    struct nvme_segment none[2];
    struct outcome outcome = {0};
    struct fixture fixture;
    struct nvme_callback callback = outcome_callback(&outcome);
    struct nvme_namespace other;
    struct nvme_queue *queue;
    uint8_t *buffer = start(&fixture, 1);

    (void)state;
    queue = fixture.queues[0];
    one = (struct nvme_segment){buffer, BLOCK};
    whole = (struct nvme_segment){buffer, MAX};
    above = (struct nvme_segment){buffer, MAX + BLOCK};
    long_one = (struct nvme_segment){buffer, UINT32_MAX};
    part = (struct nvme_segment){buffer, BLOCK + 4};
    none[0] = (struct nvme_segment){buffer + PAGE, 0};
    none[1] = (struct nvme_segment){buffer, BLOCK};
    other = fixture.ns;
    other.controller = NULL;
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &one, 0, callback), NVME_ERR_LENGTH);
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &part, 1, callback), NVME_ERR_LENGTH);
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, none, 2, callback), NVME_ERR_LENGTH);
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &long_one, 1, callback), NVME_ERR_LENGTH);
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &above, 1, callback), NVME_ERR_LENGTH);
    assert_int_equal(nvme_readv(queue, &fixture.ns, fixture.ns.block_count, &one, 1, callback),
                     NVME_ERR_RANGE);
    assert_int_equal(nvme_writev(queue, &other, 0, &one, 1, callback), NVME_ERR_NAMESPACE);
    for (uint32_t i = 0; i < FIXTURE_DEPTH - 1; i++) {
        assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &whole, 1, callback), NVME_OK);
    }
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &one, 1, callback), NVME_ERR_BUSY);
    nvme_queue_submit(queue);
    nvme_queue_reap(queue, FIXTURE_DEPTH);
    assert_int_equal(outcome.count, FIXTURE_DEPTH - 1);
    assert_int_equal(nvme_queue_close(queue), NVME_OK);
    assert_int_equal(nvme_readv(queue, &fixture.ns, 0, &one, 1, callback), NVME_ERR_STATE);
    fixture_finish(&fixture);
    fixture_free(buffer);
}

int main(void)
{
    struct CMUnitTest tests[2 + COUNT_OF(shape_cases)] = {
        cmocka_unit_test(any_list_is_carried_or_refused),
        cmocka_unit_test(limits_are_those_of_a_read),
    };
    size_t count = 2;

    ADD_CASES(tests, &count, segments_are_read_and_written, shape_cases);
    return fixture_run("segments", tests, count);
}
