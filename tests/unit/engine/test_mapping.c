// SPDX-License-Identifier: MIT
/*
 * nvme_data_internal.h and its users: what a port maps for a request, and when it is unmapped. The
 * model's device checks what it may reach.
 */
#include "fixture_reset.h"
#include "kinds.h"
#include "nvme_hal.h"

#define MS UINT64_C(1000000)

enum {
    STATUS_WRITE_FAULT = 0x280,
    STATUS_INTERNAL = 0x006,
    STATUS_DNR = 0x4000,
};

static void start(struct fixture *fixture, uint8_t retries)
{
    fixture_init_reset(fixture, false);
    fixture->config.max_transfer_bytes = KIND_PART;
    fixture->config.resets_max = 0;
    fixture->config.retries_max = retries;
    fixture->config.retry_writes = true;
    fixture->model->repeats = retries != 0;
    fixture_start(fixture, 1, NVME_MODE_POLL);
    fixture->model->on_demand = true;
    assert_int_equal(world.mapped, 1);
}

/* The device answers all that it has, and the owner reaps, as long as that goes on. */
static void serve(struct fixture *fixture)
{
    nvme_queue_submit(fixture->queues[0]);
    while (model_step(fixture->model, UINT32_MAX) != 0) {
        nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
    }
}

/* ---- Ends --------------------------------------------------------------------------------- */

enum end { GOOD, REFUSED, EXPIRED, REMOVED, CLOSED, CLOSED_UNTOLD };

struct end_case {
    const char *name;
    enum end end;
    enum nvme_error error;
};

static const struct end_case end_cases[] = {
    {"unmapped_at_a_good_end", GOOD, NVME_OK},
    {"unmapped_at_an_error_of_the_device", REFUSED, NVME_ERR_DEVICE},
    {"unmapped_at_a_deadline", EXPIRED, NVME_ERR_TIMEOUT},
    {"unmapped_at_a_removal", REMOVED, NVME_ERR_REMOVED},
    {"unmapped_at_a_close", CLOSED, NVME_ERR_DEVICE},
    {"unmapped_at_a_close_without_answers", CLOSED_UNTOLD, NVME_ERR_ABORTED},
};

static void watch_until_ended(struct fixture *fixture, const struct kind_end *ended)
{
    for (int i = 0; i < FIXTURE_WATCHES_MAX && ended->outcome.count == 0; i++) {
        /* Until RDY = 0 is seen, the device has everything. */
        assert_true(world.mapped > 1);
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(fixture->queues[0], world.now_ns);
    }
}

static void make_end(struct fixture *fixture, enum end end, const struct kind_end *ended)
{
    struct model *model = fixture->model;

    nvme_queue_submit(fixture->queues[0]);
    if (end == REFUSED) {
        while (model->pending_count != 0) {
            model_fail_one(model, 0, STATUS_WRITE_FAULT | STATUS_DNR);
        }
        nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
    } else if (end == EXPIRED) {
        model->stops_late = true;
        model->ready_delay_ns = 100 * MS;
        watch_until_ended(fixture, ended);
    } else if (end == REMOVED) {
        model->gone = true;
        watch_until_ended(fixture, ended);
    } else if (end == CLOSED || end == CLOSED_UNTOLD) {
        model->delete_drops = end == CLOSED_UNTOLD;
        assert_int_equal(nvme_queue_close(fixture->queues[0]), NVME_OK);
    } else {
        serve(fixture);
    }
}

static void each_piece_is_unmapped_before_done(void **state)
{
    const struct end_case *this = *state;

    for (enum kind kind = KIND_READ; kind < KINDS; kind++) {
        struct fixture fixture;
        struct kind_end ended;

        start(&fixture, 0);
        assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_OK);
        assert_int_equal(world.mapped, 1 + kind_pieces[kind]);
        make_end(&fixture, this->end, &ended);
        assert_int_equal(ended.outcome.count, 1);
        assert_int_equal(ended.outcome.result.error, this->error);
        assert_int_equal(ended.mapped, 0);
        assert_int_equal(world.map_calls, 1 + kind_pieces[kind]);
        if (this->end == EXPIRED || this->end == REMOVED) {
            assert_int_not_equal(nvme_controller_close(fixture.controller), NVME_ERR_STUCK);
            assert_int_equal(world.mapped, 1);
            fixture_drop(&fixture);
        } else {
            fixture_finish(&fixture);
        }
    }
}

static void device_that_never_stops_keeps_the_mapping(void **state)
{
    struct fixture fixture;
    struct kind_end ended;

    (void)state;
    start(&fixture, 0);
    fixture.model->stop_never = true;
    assert_int_equal(kind_watch(&fixture, KIND_WRITE, &ended), NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    for (int i = 0; i < FIXTURE_WATCHES_MAX && !fixture_saw(&fixture, NVME_EVENT_DISABLE_TIMEOUT);
         i++) {
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_STUCK);
    assert_int_equal(ended.outcome.count, 0);
    assert_true(world_is_mapped(kind_buffer, BLOCK, NVME_DMA_TO_DEVICE));
    fixture_drop(&fixture);
}

/* ---- Retries and resets ------------------------------------------------------------------- */

static void retry_keeps_the_mapping(void **state)
{
    (void)state;
    for (enum kind kind = KIND_READ; kind < KINDS; kind++) {
        struct fixture fixture;
        struct kind_end ended;

        start(&fixture, 2);
        assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
        model_fail_one(fixture.model, 0, STATUS_INTERNAL);
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
        assert_int_equal(world.mapped, 1 + kind_pieces[kind]);
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        serve(&fixture);
        assert_int_equal(ended.outcome.count, 1);
        assert_int_equal(ended.outcome.result.error, NVME_OK);
        assert_int_equal(ended.mapped, 0);
        assert_int_equal(world.map_calls, 1 + kind_pieces[kind]);
        assert_int_equal(fixture_counters(fixture.queues[0]).retries, 1);
        fixture_finish(&fixture);
    }
}

/* Without retries a reset ends it; with them it goes on in its mapping. */
static void reset_unmaps_what_ends_and_keeps_what_goes_on(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 2 * KINDS; run++) {
        enum kind kind = (enum kind)(run / 2);
        bool retries = run % 2 != 0;
        struct fixture fixture;
        struct kind_end ended;

        fixture_init_reset(&fixture, false);
        fixture.config.max_transfer_bytes = KIND_PART;
        fixture.config.retries_max = retries;
        fixture.config.retry_writes = true;
        fixture.model->repeats = true;
        fixture.model->stops_late = true;
        fixture_start(&fixture, 1, NVME_MODE_POLL);
        fixture.model->on_demand = true;
        assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
        fixture_watch_until_reset(&fixture, 1);
        assert_int_equal(world.mapped, retries ? 1 + kind_pieces[kind] : 1);
        serve(&fixture);
        assert_int_equal(ended.outcome.count, 1);
        assert_int_equal(ended.outcome.result.error, retries ? NVME_OK : NVME_ERR_RESET);
        assert_int_equal(ended.mapped, 0);
        assert_int_equal(world.map_calls, 1 + kind_pieces[kind]);
        fixture_finish(&fixture);
    }
}

static void one_buffer_may_be_mapped_for_several_requests(void **state)
{
    struct fixture fixture;
    struct kind_end ended[3];

    (void)state;
    start(&fixture, 0);
    assert_int_equal(kind_watch(&fixture, KIND_WRITE, &ended[0]), NVME_OK);
    assert_int_equal(kind_watch(&fixture, KIND_WRITE, &ended[1]), NVME_OK);
    assert_int_equal(kind_watch(&fixture, KIND_SPLIT_WRITE, &ended[2]), NVME_OK);
    assert_int_equal(world.mapped, 3 + KIND_PARTS);
    serve(&fixture);
    assert_int_equal(ended[0].outcome.count + ended[1].outcome.count + ended[2].outcome.count, 3);
    fixture_finish(&fixture);
}

static void port_without_maps_is_not_asked(void **state)
{
    struct fixture fixture;
    struct kind_end ended;

    (void)state;
    start(&fixture, 0);
    assert_string_not_equal(nvme_error_text(NVME_ERR_MAP), "unknown error");
    world.maps = false;
    for (enum kind kind = KIND_READ; kind < KINDS; kind++) {
        world.map_fails_in = 1;
        assert_int_equal(kind_watch(&fixture, kind, &ended), NVME_OK);
        serve(&fixture);
        assert_int_equal(ended.outcome.result.error, NVME_OK);
    }
    assert_int_equal(world.map_calls, 1);
    assert_int_equal(nvme_error_text(NVME_ERR_MAP)[0], 'u');
    world.maps = true;
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(end_cases)] = {
        cmocka_unit_test(device_that_never_stops_keeps_the_mapping),
        cmocka_unit_test(retry_keeps_the_mapping),
        cmocka_unit_test(reset_unmaps_what_ends_and_keeps_what_goes_on),
        cmocka_unit_test(one_buffer_may_be_mapped_for_several_requests),
        cmocka_unit_test(port_without_maps_is_not_asked),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, each_piece_is_unmapped_before_done, end_cases);
    return fixture_run("mapping", tests, count);
}
