// SPDX-License-Identifier: MIT
/*
 * queue.c, sleep.c: a clocked submission doorbell, and a late completion doorbell. The model
 * fetches as soon as it is rung, and the driver learns of it by the SQHD of an entry.
 */
#include "fixture.h"

#define LOOK_NS UINT64_C(1000000)

enum { REQUESTS = 4 };

/* A queue with this doorbell; the device answers when the test says so. */
static void start(struct fixture *fixture, enum nvme_mode mode, bool clocked)
{
    fixture_init(fixture);
    fixture->clocked = clocked;
    fixture_start(fixture, 1, mode);
    fixture->model->on_demand = true;
}

static void submit_one_by_one(struct fixture *fixture, uint32_t count, struct outcome *outcome)
{
    for (uint32_t i = 0; i < count; i++) {
        fixture_submit(fixture, 0, outcome);
    }
}

static uint32_t reap(struct fixture *fixture)
{
    return nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
}

static uint64_t doorbells(const struct fixture *fixture)
{
    return model_doorbell_count(fixture->model, 1, false);
}

static uint64_t fetched(const struct fixture *fixture)
{
    return fixture->model->sqs[1].fetched;
}

/* ---- When it rings ---------------------------------------------------------------------- */

static void each_submit_rings_at_once(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, NVME_MODE_POLL, false);
    submit_one_by_one(&fixture, REQUESTS, &outcome);
    assert_int_equal(doorbells(&fixture), REQUESTS);
    model_step(fixture.model, UINT32_MAX);
    assert_int_equal(reap(&fixture), REQUESTS);
    fixture_finish(&fixture);
}

/* The first rings, the reap rings for the others. Then all is known to be fetched. */
static void clocked_submits_wait_for_the_reap(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, NVME_MODE_POLL, true);
    for (uint32_t turn = 1; turn <= 3 * FIXTURE_DEPTH; turn++) {
        submit_one_by_one(&fixture, REQUESTS, &outcome);
        assert_int_equal(doorbells(&fixture), 2 * turn - 1);
        assert_int_equal(fetched(&fixture), (turn - 1) * REQUESTS + 1);
        assert_int_equal(fixture_counters(fixture.queues[0]).posts, fetched(&fixture));
        assert_int_equal(reap(&fixture), 0);
        assert_int_equal(doorbells(&fixture), 2 * turn);
        assert_int_equal(fetched(&fixture), turn * REQUESTS);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(reap(&fixture), REQUESTS);
        assert_int_equal(doorbells(&fixture), 2 * turn);
        assert_int_equal(outcome.count, turn * REQUESTS);
    }
    fixture_finish(&fixture);
}

/* Without others in flight nothing waits: depth 1 has the doorbells of false. */
static void clocked_submit_of_one_request_rings_at_once(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, NVME_MODE_POLL, true);
    for (uint32_t turn = 1; turn <= 3 * FIXTURE_DEPTH; turn++) {
        submit_one_by_one(&fixture, 1, &outcome);
        assert_int_equal(doorbells(&fixture), turn);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(reap(&fixture), 1);
    }
    fixture_finish(&fixture);
}

static void entry_that_tells_of_the_fetch_lets_the_next_submit_ring(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, NVME_MODE_POLL, true);
    submit_one_by_one(&fixture, REQUESTS, &outcome);
    assert_int_equal(reap(&fixture), 0);
    for (uint32_t turn = 1; turn <= 3 * FIXTURE_DEPTH; turn++) {
        model_step(fixture.model, 1);
        assert_int_equal(reap(&fixture), 1);
        submit_one_by_one(&fixture, 1, &outcome);
        assert_int_equal(doorbells(&fixture), 2 + turn);
        assert_int_equal(fetched(&fixture), REQUESTS + turn);
    }
    submit_one_by_one(&fixture, 1, &outcome);
    assert_int_equal(fetched(&fixture), REQUESTS + 3 * FIXTURE_DEPTH);
    assert_int_equal(reap(&fixture), 0);
    assert_int_equal(fetched(&fixture), REQUESTS + 3 * FIXTURE_DEPTH + 1);
    model_step(fixture.model, UINT32_MAX);
    assert_int_equal(reap(&fixture), REQUESTS + 1);
    fixture_finish(&fixture);
}

/* ---- Nothing stays unrung ---------------------------------------------------------------- */

/* The owner rings before it sleeps. */
static void arm_rings(void **state)
{
    const enum nvme_mode *mode = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t looks = 0;

    start(&fixture, *mode, true);
    submit_one_by_one(&fixture, REQUESTS, &outcome);
    assert_int_equal(fetched(&fixture), 1);
    while (!nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED)) {
        world_advance(LOOK_NS);
        assert_true(++looks < 100);
    }
    assert_int_equal(fetched(&fixture), REQUESTS);
    assert_int_equal(doorbells(&fixture), 2);
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    assert_int_equal(outcome.count, REQUESTS);
    fixture_finish(&fixture);
}

/* An owner that does not ask is woken by the first command. */
static void handler_rings(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, NVME_MODE_INTERRUPT, true);
    submit_one_by_one(&fixture, REQUESTS, &outcome);
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(fetched(&fixture), REQUESTS);
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    assert_int_equal(outcome.count, REQUESTS);
    fixture_finish(&fixture);
}

/* A device that always says that it has fetched nothing, or something else that is wrong. */
static void tell_wrong_head(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    (void)cqid;
    entry->sq = (entry->sq & 0xffff0000U) | *(const uint16_t *)model->bend_arg;
    model->bend = tell_wrong_head;
}

static void wrong_head_stops_nothing(void **state)
{
    static const uint16_t heads[] = {0, FIXTURE_DEPTH - 1, UINT16_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct fixture fixture;
        struct outcome outcome = {0};
        uint16_t head = heads[i];

        start(&fixture, NVME_MODE_INTERRUPT, true);
        fixture.model->bend = tell_wrong_head;
        fixture.model->bend_arg = &head;
        for (uint32_t turn = 1; turn <= 2 * FIXTURE_DEPTH; turn++) {
            submit_one_by_one(&fixture, 3, &outcome);
            model_step(fixture.model, UINT32_MAX);
            fixture_interrupts(&fixture);
            model_step(fixture.model, UINT32_MAX);
            fixture_interrupts(&fixture);
            assert_int_equal(outcome.count, 3 * turn);
        }
        fixture.model->bend = NULL;
        fixture_finish(&fixture);
    }
}

/* ---- A late completion doorbell ------------------------------------------------------------ */

enum { SURPLUS = 8, LATE = SURPLUS / 2 };

/* A queue whose completion ring has `entries`, with the model's limit as it is. */
static void start_with_entries(struct fixture *fixture, uint32_t entries, enum nvme_mode mode)
{
    fixture_init(fixture);
    fixture->config.cq_depth_entries = entries;
    fixture_start(fixture, 1, mode);
    fixture->model->on_demand = true;
}

static uint64_t head_doorbells(const struct fixture *fixture)
{
    return model_doorbell_count(fixture->model, 1, true);
}

/* Over many laps: the head is rung for the first entry that half of the surplus has no room for. */
static void poll_queue_rings_its_head_late(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t owed = 0;
    uint64_t rung = 0;

    (void)state;
    start_with_entries(&fixture, FIXTURE_DEPTH + SURPLUS, NVME_MODE_POLL);
    for (uint32_t turn = 0; turn < 20 * FIXTURE_DEPTH; turn++) {
        uint32_t count = 1 + turn % (FIXTURE_DEPTH - 1);

        submit_one_by_one(&fixture, count, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(reap(&fixture), count);
        owed += count;
        if (owed > LATE) {
            owed = 0;
            rung++;
        }
        assert_int_equal(head_doorbells(&fixture), rung);
        assert_int_equal(reap(&fixture), 0);
        assert_int_equal(head_doorbells(&fixture), rung);
    }
    assert_int_equal(fixture_counters(fixture.queues[0]).reaps, 20 * FIXTURE_DEPTH);
    assert_int_equal(fixture_counters(fixture.queues[0]).reap_calls, 40 * FIXTURE_DEPTH);
    fixture_finish(&fixture);
}

/* As many entries as can be owed, and a full queue: the model finds a ring that is too small. */
static void full_queue_has_room_behind_a_late_head(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_with_entries(&fixture, FIXTURE_DEPTH + SURPLUS, NVME_MODE_POLL);
    for (uint32_t turn = 1; turn <= 3 * FIXTURE_DEPTH; turn++) {
        submit_one_by_one(&fixture, LATE, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(reap(&fixture), LATE);
        assert_int_equal(head_doorbells(&fixture), turn - 1);
        submit_one_by_one(&fixture, FIXTURE_DEPTH - 1, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(reap(&fixture), FIXTURE_DEPTH - 1);
        assert_int_equal(head_doorbells(&fixture), turn);
    }
    fixture_finish(&fixture);
}

struct head_case {
    const char *name;
    uint32_t entries;
    uint32_t mqes; /* 0's based */
    enum nvme_mode mode;
    uint32_t late; /* entries consumed without a doorbell */
};

static const struct head_case head_cases[] = {
    {"without_a_surplus_each_reap_rings", 0, 255, NVME_MODE_POLL, 0},
    {"equal_rings_ring_each", FIXTURE_DEPTH, 255, NVME_MODE_POLL, 0},
    {"surplus_of_one_is_no_use", FIXTURE_DEPTH + 1, 255, NVME_MODE_POLL, 0},
    {"surplus_of_two_is_one_reap", FIXTURE_DEPTH + 2, 255, NVME_MODE_POLL, 1},
    {"large_surplus", 4 * FIXTURE_DEPTH, 255, NVME_MODE_POLL, 24},
    {"surplus_is_cut_to_mqes", 4 * FIXTURE_DEPTH, FIXTURE_DEPTH + 3, NVME_MODE_POLL, 2},
    {"no_surplus_is_left", 4 * FIXTURE_DEPTH, FIXTURE_DEPTH - 1, NVME_MODE_POLL, 0},
    {"depth_is_cut_too", 4 * FIXTURE_DEPTH, FIXTURE_DEPTH - 2, NVME_MODE_POLL, 0},
    {"interrupt_queue_rings_each", 4 * FIXTURE_DEPTH, 255, NVME_MODE_INTERRUPT, 0},
    {"hybrid_queue_rings_each", 4 * FIXTURE_DEPTH, 255, NVME_MODE_HYBRID, 0},
};

static void head_is_late_by_half_of_the_surplus(void **state)
{
    const struct head_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_init(&fixture);
    fixture.model->cap.mqes = this->mqes;
    fixture.config.cq_depth_entries = this->entries;
    fixture_start(&fixture, 1, this->mode);
    for (uint32_t entry = 1; entry <= 10 * FIXTURE_DEPTH; entry++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(reap(&fixture), 1);
        assert_int_equal(head_doorbells(&fixture), entry / (this->late + 1));
    }
    fixture_finish(&fixture);
}

static void shallower_queue_keeps_the_surplus(void **state)
{
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL, .depth_entries = 2};
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_with_entries(&fixture, FIXTURE_DEPTH + SURPLUS, NVME_MODE_POLL);
    fixture.model->on_demand = false;
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]), NVME_OK);
    assert_int_equal(fixture.model->cqs[1].entries, 2 + SURPLUS);
    for (uint32_t entry = 1; entry <= 3 * FIXTURE_DEPTH; entry++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(reap(&fixture), 1);
    }
    fixture_finish(&fixture);
}

static void completion_ring_of_a_wrong_size_is_refused(void **state)
{
    static const uint32_t wrong[] = {1, FIXTURE_DEPTH - 1, NVME_CQ_DEPTH_MAX + 1, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct fixture fixture;
        struct nvme_memory needed;

        fixture_init(&fixture);
        fixture.config.cq_depth_entries = wrong[i];
        assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_ERR_CONFIG);
        fixture_drop(&fixture);
    }
}

int main(void)
{
    static enum nvme_mode interrupt = NVME_MODE_INTERRUPT;
    static enum nvme_mode hybrid = NVME_MODE_HYBRID;
    struct CMUnitTest tests[12 + COUNT_OF(head_cases)] = {
        cmocka_unit_test(each_submit_rings_at_once),
        cmocka_unit_test(clocked_submits_wait_for_the_reap),
        cmocka_unit_test(clocked_submit_of_one_request_rings_at_once),
        cmocka_unit_test(entry_that_tells_of_the_fetch_lets_the_next_submit_ring),
        {"arm_rings_in_interrupt_mode", arm_rings, NULL, NULL, &interrupt},
        {"arm_rings_in_hybrid_mode", arm_rings, NULL, NULL, &hybrid},
        cmocka_unit_test(handler_rings),
        cmocka_unit_test(wrong_head_stops_nothing),
        cmocka_unit_test(poll_queue_rings_its_head_late),
        cmocka_unit_test(full_queue_has_room_behind_a_late_head),
        cmocka_unit_test(shallower_queue_keeps_the_surplus),
        cmocka_unit_test(completion_ring_of_a_wrong_size_is_refused),
    };
    size_t count = 12;

    ADD_CASES(tests, &count, head_is_late_by_half_of_the_surplus, head_cases);
    return fixture_run("doorbell", tests, count);
}
