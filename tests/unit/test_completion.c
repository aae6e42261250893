// SPDX-License-Identifier: MIT
/*
 * queue.c: what a device may write into a completion ring, and lending the rings.
 */
#include "fixture.h"

enum {
    BLOCK = 512,
    ENTRY_MALFORMED = 0x7777,
};

static uint8_t buffer[8 * BLOCK] __attribute__((aligned(4096)));

static void post_read(struct fixture *fixture, struct outcome *outcome)
{
    assert_int_equal(
        nvme_read(fixture->queues[0], &fixture->ns, 0, 1, buffer, outcome_callback(outcome)),
        NVME_OK);
}

/* ---- Entries that the device should not have written ------------------------------------ */

struct hostile_case {
    const char *name;
    uint32_t sq;  /* SQHD and SQID of the entry */
    uint32_t cid; /* ENTRY_MALFORMED: of the request in flight */
    bool malformed;
};

static const struct hostile_case hostile_cases[] = {
    {"entry_of_another_sq_is_malformed", 2U << 16 | 1, ENTRY_MALFORMED, true},
    {"entry_of_the_admin_sq_is_malformed", 1, ENTRY_MALFORMED, true},
    {"sqid_of_all_ones_is_malformed", 0xffff0001, ENTRY_MALFORMED, true},
    {"sqhd_equal_to_the_depth_is_malformed", 1U << 16 | FIXTURE_DEPTH, ENTRY_MALFORMED, true},
    {"sqhd_of_all_ones_is_malformed", 1U << 16 | 0xffff, ENTRY_MALFORMED, true},
    {"cid_of_an_idle_slot_is_stale", 1U << 16 | 1, 5, false},
    {"cid_of_a_slot_beyond_the_depth_is_stale", 1U << 16 | 1, FIXTURE_DEPTH - 1, false},
    {"cid_0xffff_is_stale", 1U << 16 | 1, 0xffff, false},
    {"cid_of_another_generation_is_stale", 1U << 16 | 1, 0xaaa0, false},
};

static void hostile_entry_is_counted_and_ends_nobody(void **state)
{
    const struct hostile_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_counters counters;
    uint32_t cid;

    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    post_read(&fixture, &outcome);
    nvme_submit(fixture.queues[0]);
    cid = fixture.model->pending[0].command.cdw0 >> 16;
    model_post_entry(fixture.model, 1,
                     (struct nvme_completion){
                         .sq = this->sq,
                         .status = this->cid == ENTRY_MALFORMED ? cid : this->cid,
                     });
    assert_int_equal(nvme_queue_service(fixture.queues[0], 10), 0);
    assert_int_equal(outcome.count, 0);
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.malformed, this->malformed);
    assert_int_equal(counters.stale, !this->malformed);
    model_step(fixture.model, 1);
    assert_int_equal(nvme_queue_service(fixture.queues[0], 10), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void duplicate_entry_ends_its_request_once(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    post_read(&fixture, &outcome);
    nvme_submit(fixture.queues[0]);
    model_post_entry(fixture.model, 1,
                     (struct nvme_completion){
                         .sq = 1U << 16 | 1,
                         .status = fixture.model->last.cdw0 >> 16,
                     });
    assert_int_equal(nvme_queue_service(fixture.queues[0], 10), 1);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture_counters(fixture.queues[0]).stale, 1);
    fixture_finish(&fixture);
}

static void late_entry_does_not_end_the_slots_next_request(void **state)
{
    struct fixture fixture;
    struct outcome first = {0};
    struct outcome second = {0};
    uint32_t old;

    (void)state;
    fixture_init(&fixture);
    fixture.config.depth_entries = 2; /* one slot */
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    post_read(&fixture, &first);
    nvme_submit(fixture.queues[0]);
    old = fixture.model->last.cdw0 >> 16;
    nvme_queue_service(fixture.queues[0], 10);
    fixture.model->on_demand = true;
    post_read(&fixture, &second);
    nvme_submit(fixture.queues[0]);
    model_post_entry(fixture.model, 1, (struct nvme_completion){.sq = 1U << 16, .status = old});
    nvme_queue_service(fixture.queues[0], 10);
    assert_int_equal(second.count, 0);
    model_step(fixture.model, 1);
    nvme_queue_service(fixture.queues[0], 10);
    outcome_check_ok(&first, BLOCK);
    outcome_check_ok(&second, BLOCK);
    fixture_finish(&fixture);
}

static void out_of_order_completions_find_their_requests(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[6] = {0};
    static const uint32_t order[] = {3, 0, 3, 1, 1, 0}; /* indices into what is left */

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, i, (uint32_t)i + 1, buffer,
                                   outcome_callback(&outcomes[i])),
                         NVME_OK);
    }
    nvme_submit(fixture.queues[0]);
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        model_step_one(fixture.model, order[i]);
        assert_int_equal(nvme_queue_service(fixture.queues[0], 10), 1);
    }
    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        outcome_check_ok(&outcomes[i], (uint32_t)(i + 1) * BLOCK);
    }
    fixture_finish(&fixture);
}

/* ---- Lending ---------------------------------------------------------------------------- */

static void lent_queue_tells_where_to_begin_and_can_only_be_closed(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_ring ring = {0};
    struct nvme_queue *queue = fixture_poll_queue(&fixture);

    (void)state;
    for (uint32_t i = 0; i < FIXTURE_DEPTH + 3; i++) {
        post_read(&fixture, &outcome);
        nvme_submit(queue);
        nvme_queue_service(queue, 1);
    }
    assert_int_equal(nvme_queue_lend(queue, &ring), NVME_OK);
    assert_int_equal(ring.depth_entries, FIXTURE_DEPTH);
    assert_int_equal(ring.sq_tail, 3);
    assert_int_equal(ring.cq_head, 3);
    assert_int_equal(ring.phase, 0);
    assert_ptr_equal(ring.sq_doorbell, fixture.model->bar + NVME_REG_DOORBELLS + 8);
    assert_ptr_equal(ring.cq_doorbell, fixture.model->bar + NVME_REG_DOORBELLS + 12);
    assert_int_equal(nvme_queue_lend(queue, &ring), NVME_ERR_STATE);
    assert_int_equal(nvme_read(queue, &fixture.ns, 0, 1, buffer, outcome_callback(&outcome)),
                     NVME_ERR_STATE);
    assert_int_equal(nvme_queue_service(queue, 1), 0);
    assert_int_equal(nvme_queue_close(queue), NVME_OK);
    fixture_finish(&fixture);
}

static void queue_with_requests_is_not_lent(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_ring ring = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    post_read(&fixture, &outcome);
    assert_int_equal(nvme_queue_lend(fixture.queues[0], &ring), NVME_ERR_STATE);
    nvme_submit(fixture.queues[0]);
    nvme_queue_service(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void interrupt_queue_is_not_lent(void **state)
{
    struct fixture fixture;
    struct nvme_ring ring = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    assert_int_equal(nvme_queue_lend(fixture.queues[0], &ring), NVME_ERR_STATE);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[6 + COUNT_OF(hostile_cases)] = {
        cmocka_unit_test(duplicate_entry_ends_its_request_once),
        cmocka_unit_test(late_entry_does_not_end_the_slots_next_request),
        cmocka_unit_test(out_of_order_completions_find_their_requests),
        cmocka_unit_test(lent_queue_tells_where_to_begin_and_can_only_be_closed),
        cmocka_unit_test(queue_with_requests_is_not_lent),
        cmocka_unit_test(interrupt_queue_is_not_lent),
    };
    size_t count = 6;

    fixture_add_cases(tests, &count, hostile_entry_is_counted_and_ends_nobody, hostile_cases,
                      COUNT_OF(hostile_cases), sizeof(hostile_cases[0]));
    return fixture_run("completion", tests, count);
}
