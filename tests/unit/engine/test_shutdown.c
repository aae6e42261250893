// SPDX-License-Identifier: MIT
/*
 * Opening and closing queue pairs, closing controllers: order on the device, and what becomes of
 * requests that are left.
 */
#include "fixture.h"

enum {
    MANY = 5,
};

/* ---- Opening ---------------------------------------------------------------------------- */

struct open_case {
    const char *name;
    uint32_t index;
    uint32_t depth;
    uint32_t mode;
    uint16_t vector;
    enum nvme_error error;
};

static const struct open_case open_cases[] = {
    {"first_queue_of_the_default_depth", 0, 0, NVME_MODE_POLL, 0, NVME_OK},
    {"last_queue", FIXTURE_QUEUES - 1, 0, NVME_MODE_POLL, 0, NVME_OK},
    {"shallowest_queue", 0, 2, NVME_MODE_POLL, 0, NVME_OK},
    {"deepest_queue", 0, FIXTURE_DEPTH, NVME_MODE_POLL, 0, NVME_OK},
    {"interrupt_queue", 0, 0, NVME_MODE_INTERRUPT, 0, NVME_OK},
    {"one_queue_too_many", FIXTURE_QUEUES, 0, NVME_MODE_POLL, 0, NVME_ERR_CONFIG},
    {"depth_1", 0, 1, NVME_MODE_POLL, 0, NVME_ERR_CONFIG},
    {"one_entry_too_deep", 0, FIXTURE_DEPTH + 1, NVME_MODE_POLL, 0, NVME_ERR_CONFIG},
    {"mode_that_is_none", 0, 0, 3, 0, NVME_ERR_CONFIG},
    {"vector_that_intx_has_not", 0, 0, NVME_MODE_INTERRUPT, 1, NVME_ERR_DEVICE},
};

static void queue_opens_within_its_limits(void **state)
{
    const struct open_case *this = *state;
    struct fixture fixture;
    struct nvme_queue *queue = NULL;
    struct nvme_queue_config config = {
        .depth_entries = this->depth,
        .mode = (enum nvme_mode)this->mode,
        .vector = this->vector,
    };
    uint32_t id = this->index + 1;

    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_queue_open(fixture.controller, this->index, &config, &queue),
                     this->error);
    assert_int_equal(queue != NULL, this->error == NVME_OK);
    if (this->error == NVME_OK) {
        assert_int_equal(fixture.model->sqs[id].entries,
                         this->depth != 0 ? this->depth : FIXTURE_DEPTH);
        assert_int_equal(fixture.model->sqs[id].cqid, id);
        assert_int_equal(fixture.model->cqs[id].interrupts, this->mode == NVME_MODE_INTERRUPT);
        assert_int_equal(nvme_queue_mode(queue), this->mode);
        assert_int_equal(nvme_queue_open(fixture.controller, this->index, &config, &queue),
                         NVME_ERR_STATE);
    }
    assert_int_equal(fixture.model->interrupt_mask & 1,
                     this->error != NVME_OK || this->mode == NVME_MODE_POLL);
    fixture_finish(&fixture);
}

static void queue_whose_sq_is_refused_leaves_no_cq_behind(void **state)
{
    struct fixture fixture;
    struct nvme_queue *queue = NULL;
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    fixture.model->admin_status[NVME_ADMIN_CREATE_SQ] = 0x101;
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &queue), NVME_ERR_DEVICE);
    assert_null(queue);
    assert_false(fixture.model->cqs[1].exists);
    fixture.model->admin_status[NVME_ADMIN_CREATE_SQ] = 0;
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &queue), NVME_OK);
    fixture_finish(&fixture);
}

static void queue_that_is_never_answered_for_disables_the_controller(void **state)
{
    struct fixture fixture;
    struct nvme_queue *queue = NULL;
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    fixture.model->admin_silent = true;
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &queue), NVME_ERR_TIMEOUT);
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &queue), NVME_ERR_STATE);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), NVME_ERR_STATE);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

static void reopened_queue_works_at_another_depth_and_phase(void **state)
{
    struct fixture fixture;
    struct nvme_queue *queue;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    queue = fixture.queues[0];
    for (uint32_t turn = 0; turn < 6; turn++) {
        struct nvme_queue_config config = {.mode = NVME_MODE_POLL, .depth_entries = 2 + turn};
        struct outcome outcome = {0};

        for (uint32_t i = 0; i < turn * 3 + 1; i++) {
            fixture_post(&fixture, 0, &outcome);
            nvme_queue_submit(queue);
            assert_int_equal(nvme_queue_reap(queue, 10), 1);
        }
        assert_int_equal(nvme_queue_close(queue), NVME_OK);
        assert_int_equal(nvme_queue_close(queue), NVME_ERR_STATE);
        assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &queue), NVME_OK);
        assert_int_equal(fixture_counters(queue).posts, 0);
    }
    fixture_finish(&fixture);
}

/* ---- Closing a queue with requests ------------------------------------------------------ */

struct close_case {
    const char *name;
    bool rung;
    bool drops;
    bool finishes;
    bool hangs;
    uint32_t completed; /* before the close, not reaped */
    enum nvme_error error;
    uint16_t status;
    enum nvme_mode mode;
};

static const struct close_case close_cases[] = {
    {"device_drops_them", true, true, false, false, 0, NVME_ERR_ABORTED, 0, NVME_MODE_POLL},
    {"device_aborts_them", true, false, false, false, 0, NVME_ERR_DEVICE, 0x008, NVME_MODE_POLL},
    {"device_finishes_them", true, false, true, false, 0, NVME_OK, 0, NVME_MODE_POLL},
    {"device_never_answers", true, false, false, true, 0, NVME_ERR_ABORTED, 0, NVME_MODE_POLL},
    {"never_rung_for", false, true, false, false, 0, NVME_ERR_ABORTED, 0, NVME_MODE_POLL},
    {"done_but_not_reaped", true, true, false, false, MANY, NVME_OK, 0, NVME_MODE_POLL},
    {"drops_with_interrupts", true, true, false, false, 0, NVME_ERR_ABORTED, 0,
     NVME_MODE_INTERRUPT},
    {"aborts_with_interrupts", true, false, false, false, 0, NVME_ERR_DEVICE, 0x008,
     NVME_MODE_INTERRUPT},
    {"done_with_interrupts", true, true, false, false, MANY, NVME_OK, 0, NVME_MODE_INTERRUPT},
    {"never_rung_for_with_interrupts", false, true, false, false, 0, NVME_ERR_ABORTED, 0,
     NVME_MODE_INTERRUPT},
};

static void closed_queue_ends_each_request_once(void **state)
{
    const struct close_case *this = *state;
    struct fixture fixture;
    struct outcome outcomes[MANY] = {0};
    uint32_t doorbells;

    fixture_init(&fixture);
    fixture_start(&fixture, 2, this->mode);
    fixture.model->on_demand = true;
    fixture.model->delete_drops = this->drops;
    fixture.model->delete_finishes = this->finishes;
    fixture.model->hang_next = this->hangs ? MANY : 0;
    for (uint32_t i = 0; i < MANY; i++) {
        fixture_post(&fixture, 0, &outcomes[i]);
    }
    if (this->rung) {
        nvme_queue_submit(fixture.queues[0]);
    }
    doorbells = model_doorbell_count(fixture.model, 1, false);
    model_step(fixture.model, this->completed);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].result.error, this->error);
        assert_int_equal(outcomes[i].result.status, this->status);
    }
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), doorbells);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    assert_false(fixture.model->cqs[1].exists);
    assert_false(model_level(fixture.model));
    fixture_finish(&fixture);
}

/* Tries to post from done() while the queue closes. */
static void post_again(void *arg, struct nvme_result result)
{
    struct fixture *fixture = arg;

    assert_int_equal(result.error, NVME_ERR_ABORTED);
    fixture->level_looks += 100;
    assert_int_equal(nvme_read(fixture->queues[0], &fixture->ns, 0, 1, fixture_block,
                               (struct nvme_callback){post_again, fixture}),
                     NVME_ERR_STATE);
}

static void done_finds_a_closing_queue_closed_for_posts(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture.model->delete_drops = true;
    fixture_post_with(&fixture, 0, (struct nvme_callback){post_again, &fixture});
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_true(fixture.level_looks >= 100 && fixture.level_looks < 200);
    fixture_finish(&fixture);
}

static void refused_deletion_disables_the_controller_and_ends_all(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct outcome other = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = 0x101;
    fixture_submit(&fixture, 0, &outcome);
    fixture_submit(&fixture, 1, &other);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_DEVICE);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(outcome.result.status, 0); /* the refusal is no status of the request's */
    assert_int_equal(fixture.ipis[0], 0);       /* a poll queue's owner finds out by itself */
    assert_int_equal(fixture.model->cc & NVME_CC_EN, 0);
    assert_int_equal(other.count, 0);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_BUSY);
    nvme_queue_reap(fixture.queues[1], 10);
    outcome_check_error(&other, NVME_ERR_FATAL);
    assert_int_equal(other.result.status, 0);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

/* ---- Closing a controller --------------------------------------------------------------- */

static void close_with_requests_is_busy_and_does_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t writes;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 1, &outcome);
    writes = fixture.model->write_count;
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_BUSY);
    assert_int_equal(fixture.model->write_count, writes);
    assert_true(fixture.model->sqs[1].exists);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[1], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void shutdown_deletes_queues_then_says_shn_then_disables(void **state)
{
    struct fixture fixture;
    const struct model *model;
    uint32_t shn = UINT32_MAX;
    uint32_t disable = UINT32_MAX;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 2, NVME_MODE_INTERRUPT);
    model = fixture.model;
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_OK);
    for (uint32_t i = 0; i < model->write_count; i++) {
        if (model->writes[i].offset == NVME_REG_CC) {
            shn = shn == UINT32_MAX && NVME_GET(NVME_CC_SHN, model->writes[i].value) != 0 ? i : shn;
            disable = (model->writes[i].value & NVME_CC_EN) == 0 ? i : disable;
        }
    }
    assert_true(shn < disable);
    assert_int_equal(NVME_GET(NVME_CC_EN, model->writes[shn].value), 1);
    assert_int_equal(model->admin_commands[NVME_ADMIN_DELETE_SQ], 2);
    assert_int_equal(model->admin_commands[NVME_ADMIN_DELETE_CQ], 2);
    assert_int_equal(fixture.event_count, 0);
    fixture_drop(&fixture);
}

struct end_case {
    const char *name;
    bool shutdown_never;
    bool stop_never;
    bool gone;
    bool fatal;
    enum nvme_error error;
};

static const struct end_case end_cases[] = {
    {"shst_never_completes", true, false, false, false, NVME_ERR_TIMEOUT},
    {"rdy_never_falls", false, true, false, false, NVME_ERR_STUCK},
    {"device_is_gone", false, false, true, false, NVME_ERR_REMOVED},
    {"device_is_dead", false, false, false, true, NVME_ERR_FATAL},
};

static void disorderly_shutdown_is_bounded_and_named(void **state)
{
    const struct end_case *this = *state;
    struct fixture fixture;

    fixture_init(&fixture);
    fixture_start(&fixture, 0, NVME_MODE_POLL);
    fixture.model->shutdown_never = this->shutdown_never;
    fixture.model->stop_never = this->stop_never;
    fixture.model->gone = this->gone;
    fixture.model->fatal = this->fatal;
    assert_int_equal(nvme_controller_close(fixture.controller), this->error);
    assert_true(world.now_ns < 2 * NVME_COMMAND_TIMEOUT_DEFAULT_NS);
    assert_int_equal(fixture_saw(&fixture, NVME_EVENT_DISABLE_TIMEOUT), this->stop_never);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest
        tests[7 + COUNT_OF(open_cases) + COUNT_OF(close_cases) + COUNT_OF(end_cases)] = {
            cmocka_unit_test(queue_whose_sq_is_refused_leaves_no_cq_behind),
            cmocka_unit_test(queue_that_is_never_answered_for_disables_the_controller),
            cmocka_unit_test(reopened_queue_works_at_another_depth_and_phase),
            cmocka_unit_test(done_finds_a_closing_queue_closed_for_posts),
            cmocka_unit_test(refused_deletion_disables_the_controller_and_ends_all),
            cmocka_unit_test(close_with_requests_is_busy_and_does_nothing),
            cmocka_unit_test(shutdown_deletes_queues_then_says_shn_then_disables),
        };
    size_t count = 7;

    ADD_CASES(tests, &count, queue_opens_within_its_limits, open_cases);
    ADD_CASES(tests, &count, closed_queue_ends_each_request_once, close_cases);
    ADD_CASES(tests, &count, disorderly_shutdown_is_bounded_and_named, end_cases);
    return fixture_run("shutdown", tests, count);
}
