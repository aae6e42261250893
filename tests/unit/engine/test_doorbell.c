// SPDX-License-Identifier: MIT
/*
 * queue.c, sleep.c: a clocked submission doorbell. The model fetches as soon as it is rung, and the
 * driver learns of it by the SQHD of an entry.
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
    fixture_submit_each(&fixture, REQUESTS, &outcome);
    assert_int_equal(doorbells(&fixture), REQUESTS);
    model_step(fixture.model, UINT32_MAX);
    assert_int_equal(fixture_reap(&fixture), REQUESTS);
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
        fixture_submit_each(&fixture, REQUESTS, &outcome);
        assert_int_equal(doorbells(&fixture), 2 * turn - 1);
        assert_int_equal(fetched(&fixture), (turn - 1) * REQUESTS + 1);
        assert_int_equal(fixture_counters(fixture.queues[0]).posts, fetched(&fixture));
        assert_int_equal(fixture_reap(&fixture), 0);
        assert_int_equal(doorbells(&fixture), 2 * turn);
        assert_int_equal(fetched(&fixture), turn * REQUESTS);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(fixture_reap(&fixture), REQUESTS);
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
        fixture_submit_each(&fixture, 1, &outcome);
        assert_int_equal(doorbells(&fixture), turn);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(fixture_reap(&fixture), 1);
    }
    fixture_finish(&fixture);
}

static void entry_that_tells_of_the_fetch_lets_the_next_submit_ring(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, NVME_MODE_POLL, true);
    fixture_submit_each(&fixture, REQUESTS, &outcome);
    assert_int_equal(fixture_reap(&fixture), 0);
    for (uint32_t turn = 1; turn <= 3 * FIXTURE_DEPTH; turn++) {
        model_step(fixture.model, 1);
        assert_int_equal(fixture_reap(&fixture), 1);
        fixture_submit_each(&fixture, 1, &outcome);
        assert_int_equal(doorbells(&fixture), 2 + turn);
        assert_int_equal(fetched(&fixture), REQUESTS + turn);
    }
    fixture_submit_each(&fixture, 1, &outcome);
    assert_int_equal(fetched(&fixture), REQUESTS + 3 * FIXTURE_DEPTH);
    assert_int_equal(fixture_reap(&fixture), 0);
    assert_int_equal(fetched(&fixture), REQUESTS + 3 * FIXTURE_DEPTH + 1);
    model_step(fixture.model, UINT32_MAX);
    assert_int_equal(fixture_reap(&fixture), REQUESTS + 1);
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
    fixture_submit_each(&fixture, REQUESTS, &outcome);
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
    fixture_submit_each(&fixture, REQUESTS, &outcome);
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
            fixture_submit_each(&fixture, 3, &outcome);
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

int main(void)
{
    static enum nvme_mode interrupt = NVME_MODE_INTERRUPT;
    static enum nvme_mode hybrid = NVME_MODE_HYBRID;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_submit_rings_at_once),
        cmocka_unit_test(clocked_submits_wait_for_the_reap),
        cmocka_unit_test(clocked_submit_of_one_request_rings_at_once),
        cmocka_unit_test(entry_that_tells_of_the_fetch_lets_the_next_submit_ring),
        {"arm_rings_in_interrupt_mode", arm_rings, NULL, NULL, &interrupt},
        {"arm_rings_in_hybrid_mode", arm_rings, NULL, NULL, &hybrid},
        cmocka_unit_test(handler_rings),
        cmocka_unit_test(wrong_head_stops_nothing),
    };

    return fixture_run("doorbell", tests, COUNT_OF(tests));
}
