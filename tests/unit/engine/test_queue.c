// SPDX-License-Identifier: MIT
/*
 * queue.c: ring arithmetic, phase, doorbells, the reap.
 */
#include "fixture.h"

/* ---- Laps ------------------------------------------------------------------------------- */

struct lap_case {
    const char *name;
    uint32_t depth;
    uint32_t batch; /* requests per doorbell */
    uint32_t requests;
};

static const struct lap_case lap_cases[] = {
    {"depth_2_one_by_one_for_many_laps", 2, 1, 50},
    {"depth_3_batches_of_2_wrap_inside", 3, 2, 60},
    {"depth_5_batches_of_4_wrap_inside", 5, 4, 100},
    {"depth_7_batches_of_3", 7, 3, 99},
    {"depth_16_batches_of_15", 16, 15, 300},
    {"depth_17_batches_of_16", 17, 16, 320},
    {"depth_1023_batches_of_1000", 1023, 1000, 5000},
    {"depth_2048_full_batches", 2048, 2047, 10235},
};

/* Posts, rings and reaps batches until `requests` are done: one doorbell of each kind a batch. */
static void laps_keep_phase_and_ring_once(void **state)
{
    const struct lap_case *this = *state;
    struct fixture fixture;
    struct nvme_counters counters;
    uint32_t batches = this->requests / this->batch;
    struct outcome outcome = {0};

    fixture_init(&fixture);
    fixture.config.depth_entries = this->depth;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    for (uint32_t batch = 1; batch <= batches; batch++) {
        for (uint32_t i = 0; i < this->batch; i++) {
            fixture_post(&fixture, 0, &outcome);
        }
        nvme_queue_submit(fixture.queues[0]);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], this->depth), this->batch);
        assert_int_equal(outcome.count, batch * this->batch);
        assert_int_equal(outcome.result.error, NVME_OK);
        assert_int_equal(model_doorbell_count(fixture.model, 1, false), batch);
        assert_int_equal(model_doorbell_count(fixture.model, 1, true), batch);
        assert_int_equal(model_doorbell_last(fixture.model, 1, false),
                         batch * this->batch % this->depth);
        assert_int_equal(model_doorbell_last(fixture.model, 1, true),
                         batch * this->batch % this->depth);
    }
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.posts, batches * this->batch);
    assert_int_equal(counters.completions, batches * this->batch);
    assert_int_equal(counters.reaps, batches);
    assert_int_equal(counters.sq_doorbells, batches);
    assert_int_equal(counters.cq_doorbells, batches);
    assert_int_equal(counters.stale + counters.malformed, 0);
    fixture_finish(&fixture);
}

/* ---- Doorbells -------------------------------------------------------------------------- */

/* Waiting ones are none: neither the ones before the wrap nor those after it. */
static void posts_count_what_was_rung_for_over_every_wrap(void **state)
{
    static const uint32_t depths[] = {2, 3, 5, 16};

    (void)state;
    for (size_t d = 0; d < COUNT_OF(depths); d++) {
        struct fixture fixture;
        struct outcome outcome = {0};
        uint32_t rung = 0;

        fixture_init(&fixture);
        fixture.config.depth_entries = depths[d];
        fixture_start(&fixture, 1, NVME_MODE_POLL);
        for (uint32_t turn = 0; turn < 6 * depths[d]; turn++) {
            uint32_t batch = 1 + turn % (depths[d] - 1);

            for (uint32_t i = 0; i < batch; i++) {
                fixture_post(&fixture, 0, &outcome);
                assert_int_equal(fixture_counters(fixture.queues[0]).posts, rung);
            }
            nvme_queue_submit(fixture.queues[0]);
            rung += batch;
            assert_int_equal(fixture_counters(fixture.queues[0]).posts, rung);
            assert_int_equal(fixture.model->sqs[1].fetched, rung);
            nvme_queue_reap(fixture.queues[0], depths[d]);
        }
        assert_int_equal(outcome.count, rung);
        fixture_finish(&fixture);
    }
}

static void post_alone_reaches_no_device(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture_post(&fixture, 0, &outcome);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 1);
    nvme_queue_submit(fixture.queues[0]);
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), 1);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void reap_that_consumes_nothing_rings_nothing(void **state)
{
    struct fixture fixture;
    struct nvme_counters counters;
    uint32_t doorbells;

    (void)state;
    fixture_poll_queue(&fixture);
    doorbells = fixture.model->doorbell_count;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 10), 0);
    }
    assert_int_equal(fixture.model->doorbell_count, doorbells);
    counters = fixture_counters(fixture.queues[0]);
    assert_int_equal(counters.reap_calls, 3);
    assert_int_equal(counters.reaps, 0);
    fixture_finish(&fixture);
}

static void budget_bounds_a_reap_and_the_rest_comes_later(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    for (int i = 0; i < 10; i++) {
        fixture_post(&fixture, 0, &outcome);
    }
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    assert_int_equal(model_doorbell_last(fixture.model, 1, true), 1);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 4), 4);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 100), 5);
    assert_int_equal(outcome.count, 10);
    assert_int_equal(model_doorbell_count(fixture.model, 1, true), 3);
    fixture_finish(&fixture);
}

static void full_queue_is_busy_and_changes_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct outcome refused = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    for (uint32_t i = 0; i < FIXTURE_DEPTH - 1; i++) {
        fixture_post(&fixture, 0, &outcome);
    }
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), FIXTURE_DEPTH - 1);
    assert_int_equal(
        nvme_read(fixture.queues[0], &fixture.ns, 0, 1, fixture_block, outcome_callback(&refused)),
        NVME_ERR_BUSY);
    assert_int_equal(nvme_flush(fixture.queues[0], &fixture.ns, outcome_callback(&refused)),
                     NVME_ERR_BUSY);
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(fixture.model->sqs[1].fetched, FIXTURE_DEPTH - 1);
    nvme_queue_reap(fixture.queues[0], 1);
    fixture_submit(&fixture, 0, &outcome);
    nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    assert_int_equal(outcome.count, FIXTURE_DEPTH);
    assert_int_equal(refused.count, 0);
    fixture_finish(&fixture);
}

/* ---- done() ----------------------------------------------------------------------------- */

/* Posts again from done() until `left` is 0, and tries to ring there. */
struct chain {
    struct fixture *fixture;
    uint32_t left;
    uint32_t done;
    uint32_t doorbells_inside; /* seen to change inside done() */
};

static void chain_done(void *arg, struct nvme_result result)
{
    struct chain *chain = arg;
    struct nvme_queue *queue = chain->fixture->queues[0];
    uint32_t before = chain->fixture->model->doorbell_count;

    assert_int_equal(result.error, NVME_OK);
    chain->done++;
    if (chain->left != 0) {
        chain->left--;
        assert_int_equal(nvme_read(queue, &chain->fixture->ns, 1, 1, fixture_block,
                                   (struct nvme_callback){chain_done, chain}),
                         NVME_OK);
        nvme_queue_submit(queue);
    }
    chain->doorbells_inside += chain->fixture->model->doorbell_count - before;
}

static void submit_inside_done_rings_once_after_the_head(void **state)
{
    struct fixture fixture;
    struct chain chain = {.fixture = &fixture, .left = 5};
    const struct model_write *log;

    (void)state;
    fixture_poll_queue(&fixture);
    for (int i = 0; i < 5; i++) {
        fixture_post_with(&fixture, 0, (struct nvme_callback){chain_done, &chain});
    }
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 5), 5);
    assert_int_equal(chain.doorbells_inside, 0);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), 2);
    assert_int_equal(model_doorbell_count(fixture.model, 1, true), 1);
    log = &fixture.model->doorbells[fixture.model->doorbell_count - 2];
    assert_int_equal(log[0].offset, NVME_REG_DOORBELLS + 3 * 4);
    assert_int_equal(log[0].value, 5);
    assert_int_equal(log[1].offset, NVME_REG_DOORBELLS + 2 * 4);
    assert_int_equal(log[1].value, 10);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 100), 5);
    assert_int_equal(chain.done, 10);
    fixture_finish(&fixture);
}

static void done_in_a_full_queue_finds_its_own_slot_free(void **state)
{
    struct fixture fixture;
    struct chain chain = {.fixture = &fixture, .left = 100};

    (void)state;
    fixture_init(&fixture);
    fixture.config.depth_entries = 2;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture_post_with(&fixture, 0, (struct nvme_callback){chain_done, &chain});
    nvme_queue_submit(fixture.queues[0]);
    for (int i = 0; i < 101; i++) {
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    }
    assert_int_equal(chain.done, 101);
    fixture_finish(&fixture);
}

/* ---- Contexts --------------------------------------------------------------------------- */

static void poll_queue_never_turns_interrupts_off(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t saves;

    (void)state;
    fixture_poll_queue(&fixture);
    saves = world.irq_saves;
    fixture_submit(&fixture, 0, &outcome);
    nvme_queue_reap(fixture.queues[0], 1);
    assert_int_equal(world.irq_saves, saves);
    fixture_finish(&fixture);
}

static void interrupt_queue_brackets_each_call_once(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_io ios[3];
    uint32_t posted = 0;
    uint64_t saves;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    for (size_t i = 0; i < COUNT_OF(ios); i++) {
        ios[i] = (struct nvme_io){
            .buffer = fixture_block,
            .block_count = 1,
            .opcode = NVME_CMD_READ,
            .callback = outcome_callback(&outcome),
        };
    }
    saves = world.irq_saves;
    fixture_post(&fixture, 0, &outcome);
    assert_int_equal(world.irq_saves, saves + 1);
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, ios, 3, &posted), NVME_OK);
    assert_int_equal(world.irq_saves, saves + 2);
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(world.irq_saves, saves + 3);
    assert_int_equal(world.irq_depth, 0);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(outcome.count, 4);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[9 + COUNT_OF(lap_cases)] = {
        cmocka_unit_test(posts_count_what_was_rung_for_over_every_wrap),
        cmocka_unit_test(post_alone_reaches_no_device),
        cmocka_unit_test(reap_that_consumes_nothing_rings_nothing),
        cmocka_unit_test(budget_bounds_a_reap_and_the_rest_comes_later),
        cmocka_unit_test(full_queue_is_busy_and_changes_nothing),
        cmocka_unit_test(submit_inside_done_rings_once_after_the_head),
        cmocka_unit_test(done_in_a_full_queue_finds_its_own_slot_free),
        cmocka_unit_test(poll_queue_never_turns_interrupts_off),
        cmocka_unit_test(interrupt_queue_brackets_each_call_once),
    };
    size_t count = 9;

    ADD_CASES(tests, &count, laps_keep_phase_and_ring_once, lap_cases);
    return fixture_run("queue", tests, count);
}
