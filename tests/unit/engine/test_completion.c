// SPDX-License-Identifier: MIT
/*
 * queue.c: what a device may write into a completion ring, and the raw ring.
 */
#include "fixture.h"
#include "nvme_bench.h"

/* ---- Entries that the device should not have written ------------------------------------ */

struct hostile_case {
    const char *name;
    uint32_t sq; /* SQHD and SQID of the entry */
    uint32_t cid;
    bool malformed;
};

static const struct hostile_case hostile_cases[] = {
    {"cid_of_an_idle_slot_is_stale", 1U << 16 | 1, 5, false},
    {"cid_of_a_slot_beyond_the_depth_is_stale", 1U << 16 | 1, FIXTURE_DEPTH - 1, false},
    {"cid_0xffff_is_stale", 1U << 16 | 1, 0xffff, false},
    {"cid_of_another_generation_is_stale", 1U << 16 | 1, 0xaaa0, false},
    {"cid_of_an_idle_slot_with_status_bit_3_is_stale", 1U << 16 | 1, 5 | 1U << 20, false},
    {"cid_of_an_idle_slot_with_all_status_bits_is_stale", 1U << 16 | 1, 5 | 0xfffe0000, false},
    {"stale_cid_of_another_sq_is_both", 2U << 16 | 1, 5, true},
};

/* The device has not answered yet. */
static void post_one(struct fixture *fixture, struct outcome *outcome)
{
    fixture_poll_queue(fixture);
    fixture->model->on_demand = true;
    fixture_submit(fixture, 0, outcome);
}

static void hostile_entry_is_counted_and_ends_nobody(void **state)
{
    const struct hostile_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_counters counters;

    post_one(&fixture, &outcome);
    model_post_entry(fixture.model, 1,
                     (struct nvme_completion){.sq = this->sq, .status = this->cid});
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 10), 0);
    assert_int_equal(outcome.count, 0);
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.malformed, this->malformed);
    assert_int_equal(counters.stale, 1);
    model_step(fixture.model, 1);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 10), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

struct bent_case {
    const char *name;
    uint32_t sq;     /* SQHD and SQID of the entry, 0: as they should be */
    uint16_t status; /* the status field */
    enum nvme_error error;
};

static const struct bent_case bent_cases[] = {
    {"sqid_of_another_queue", 2U << 16 | 1, 0, NVME_OK},
    {"sqid_of_the_admin_queue", 1, 0, NVME_OK},
    {"sqid_of_all_ones", 0xffff0001, 0, NVME_OK},
    {"sqhd_equal_to_the_depth", 1U << 16 | FIXTURE_DEPTH, 0, NVME_OK},
    {"sqhd_of_all_ones", 1U << 16 | 0xffff, 0, NVME_OK},
    {"sqid_off_and_a_media_error", 2U << 16 | 1, 0x281, NVME_ERR_DEVICE},
    {"success_with_more_is_success", 0, 0x2000, NVME_OK},
    {"success_with_a_retry_delay_is_success", 0, 0x1800, NVME_OK},
    {"success_with_do_not_retry_is_success", 0, 0x4000, NVME_OK},
    {"success_with_all_of_them_is_success", 0, 0x7800, NVME_OK},
    {"code_1_is_an_error", 0, 0x7801, NVME_ERR_DEVICE},
    {"type_1_with_code_0_is_an_error", 0, 0x0100, NVME_ERR_DEVICE},
};

static const struct bent_case *bent;

static void bend(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    (void)model;
    (void)cqid;
    entry->dw0 = 0x1234;
    entry->sq = bent->sq != 0 ? bent->sq : entry->sq;
    entry->status |= (uint32_t)NVME_PUT(NVME_CQE_STATUS, bent->status);
}

/* Slot and generation prove which request it is, its type and code what has become of it. */
static void bent_entry_ends_its_request(void **state)
{
    const struct bent_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_counters counters;

    post_one(&fixture, &outcome);
    bent = this;
    fixture.model->bend = bend;
    model_step(fixture.model, 1);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 10), 1);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.result.error, this->error);
    assert_int_equal(outcome.result.status, this->error == NVME_OK ? 0 : this->status);
    assert_int_equal(outcome.result.bytes_done, this->error == NVME_OK ? BLOCK : 0);
    assert_int_equal(outcome.result.dw0, 0x1234);
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.malformed, this->sq != 0);
    assert_int_equal(counters.stale, 0);
    fixture_finish(&fixture);
}

static void duplicate_entry_ends_its_request_once(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture_submit(&fixture, 0, &outcome);
    model_post_entry(fixture.model, 1,
                     (struct nvme_completion){
                         .sq = 1U << 16 | 1,
                         .status = fixture.model->last.cdw0 >> 16,
                     });
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 10), 1);
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
    fixture_submit(&fixture, 0, &first);
    old = fixture.model->last.cdw0 >> 16;
    nvme_queue_reap(fixture.queues[0], 10);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &second);
    model_post_entry(fixture.model, 1, (struct nvme_completion){.sq = 1U << 16, .status = old});
    nvme_queue_reap(fixture.queues[0], 10);
    assert_int_equal(second.count, 0);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[0], 10);
    outcome_check_ok(&first, BLOCK);
    outcome_check_ok(&second, BLOCK);
    fixture_finish(&fixture);
}

static void out_of_order_completions_find_their_requests(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[6] = {0};
    static const uint32_t order[] = {3, 0, 3, 1, 1, 0}; /* indices into what is left */
    static uint8_t buffer[COUNT_OF(outcomes) * BLOCK] __attribute__((aligned(4)));

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        assert_int_equal(nvme_read(fixture.queues[0], &fixture.ns, i, (uint32_t)i + 1, buffer,
                                   outcome_callback(&outcomes[i])),
                         NVME_OK);
    }
    nvme_queue_submit(fixture.queues[0]);
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        model_step_one(fixture.model, order[i]);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 10), 1);
    }
    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        outcome_check_ok(&outcomes[i], (uint32_t)(i + 1) * BLOCK);
    }
    fixture_finish(&fixture);
}

/* ---- Raw ring --------------------------------------------------------------------------- */

static void raw_queue_tells_where_to_begin_and_can_only_be_closed(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_ring ring = {0};
    struct nvme_queue *queue = fixture_poll_queue(&fixture);

    (void)state;
    for (uint32_t i = 0; i < FIXTURE_DEPTH + 3; i++) {
        fixture_post(&fixture, 0, &outcome);
        nvme_queue_submit(queue);
        nvme_queue_reap(queue, 1);
    }
    assert_int_equal(nvme_queue_enter_raw(queue, &ring), NVME_OK);
    assert_int_equal(ring.depth_entries, FIXTURE_DEPTH);
    assert_int_equal(ring.sq_tail, 3);
    assert_int_equal(ring.cq_head, 3);
    assert_int_equal(ring.phase, 0);
    assert_ptr_equal(ring.sq_doorbell, fixture.model->bar + NVME_REG_DOORBELLS + 8);
    assert_ptr_equal(ring.cq_doorbell, fixture.model->bar + NVME_REG_DOORBELLS + 12);
    assert_int_equal(nvme_queue_enter_raw(queue, &ring), NVME_ERR_STATE);
    assert_int_equal(nvme_read(queue, &fixture.ns, 0, 1, fixture_block, outcome_callback(&outcome)),
                     NVME_ERR_STATE);
    assert_int_equal(nvme_queue_reap(queue, 1), 0);
    assert_int_equal(nvme_queue_close(queue), NVME_OK);
    fixture_finish(&fixture);
}

static void queue_with_requests_gives_no_raw_ring(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_ring ring = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture_post(&fixture, 0, &outcome);
    assert_int_equal(nvme_queue_enter_raw(fixture.queues[0], &ring), NVME_ERR_STATE);
    nvme_queue_submit(fixture.queues[0]);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void hybrid_queue_gives_no_raw_ring(void **state)
{
    struct fixture fixture;
    struct nvme_ring ring = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_HYBRID);
    assert_int_equal(nvme_queue_enter_raw(fixture.queues[0], &ring), NVME_ERR_STATE);
    fixture_finish(&fixture);
}

static void raw_interrupt_queue_is_open_and_left_alone(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_ring ring = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(nvme_queue_enter_raw(fixture.queues[0], &ring), NVME_OK);
    assert_int_equal(nvme_queue_closed(fixture.queues[0]), 0);
    assert_int_equal(ring.cq_head, 1);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[7 + COUNT_OF(hostile_cases) + COUNT_OF(bent_cases)] = {
        cmocka_unit_test(duplicate_entry_ends_its_request_once),
        cmocka_unit_test(late_entry_does_not_end_the_slots_next_request),
        cmocka_unit_test(out_of_order_completions_find_their_requests),
        cmocka_unit_test(raw_queue_tells_where_to_begin_and_can_only_be_closed),
        cmocka_unit_test(queue_with_requests_gives_no_raw_ring),
        cmocka_unit_test(hybrid_queue_gives_no_raw_ring),
        cmocka_unit_test(raw_interrupt_queue_is_open_and_left_alone),
    };
    size_t count = 7;

    ADD_CASES(tests, &count, hostile_entry_is_counted_and_ends_nobody, hostile_cases);
    ADD_CASES(tests, &count, bent_entry_ends_its_request, bent_cases);
    return fixture_run("completion", tests, count);
}
