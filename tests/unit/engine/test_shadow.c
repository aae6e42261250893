// SPDX-License-Identifier: MIT
/*
 * shadow.c, controller.c: shadow doorbells. The model looks at them while it is awake; asleep it
 * asks for the registers by its event indexes.
 */
#include "fixture.h"
#include "nvme_internal.h"

#define LOOK_NS UINT64_C(1000000)

enum { REQUESTS = 4, LAPS = 3 * FIXTURE_DEPTH };

static const struct fixture_source poll = {"poll", false, MODEL_LINE_EDGE};

static void start_wanted(struct fixture *fixture, const struct fixture_source *source,
                         enum nvme_mode mode, bool offered)
{
    fixture_init(fixture);
    fixture->line.kind = source->kind;
    if (source->vectors) {
        fixture_use_vectors(fixture);
    }
    fixture->model->shadow_offered = offered;
    fixture->config.shadow_doorbells = true;
    fixture_start(fixture, 1, mode);
    fixture_interrupts(fixture);
    fixture->model->on_demand = true;
}

static void start(struct fixture *fixture, const struct fixture_source *source, enum nvme_mode mode)
{
    start_wanted(fixture, source, mode, true);
}

static void start_poll(struct fixture *fixture)
{
    start(fixture, &poll, NVME_MODE_POLL);
}

static bool in_force(const struct fixture *fixture)
{
    struct nvme_controller_info info;

    nvme_controller_describe(fixture->controller, &info);
    return info.shadow_doorbells;
}

static uint32_t tails(const struct fixture *fixture)
{
    return model_doorbell_count(fixture->model, 1, false);
}

static uint32_t heads(const struct fixture *fixture)
{
    return model_doorbell_count(fixture->model, 1, true);
}

/* ---- The event index -------------------------------------------------------------------- */

/* The specification's words, step by step: the value passes the event index, or it does not. */
static bool passes_slowly(uint32_t event, uint32_t from, uint32_t to, uint32_t depth)
{
    uint32_t at = from;

    do {
        if (at == event) {
            return true;
        }
        at = (at + 1) % depth;
    } while (at != to);
    return false;
}

static void event_index_is_right_over_the_full_wrap(void **state)
{
    (void)state;
    for (uint32_t depth = 2; depth <= 33; depth++) {
        for (uint32_t from = 0; from < depth; from++) {
            for (uint32_t to = 0; to < depth; to++) {
                for (uint32_t event = 0; event < depth; event++) {
                    assert_int_equal(nvme_shadow_passes(event, from, to),
                                     passes_slowly(event, from, to, depth));
                }
            }
        }
    }
}

/* ---- Which rule is in force -------------------------------------------------------------- */

static void not_wanted_costs_no_memory_and_no_command(void **state)
{
    struct fixture fixture;
    struct nvme_memory without;
    struct nvme_memory with;

    (void)state;
    fixture_init(&fixture);
    fixture.model->shadow_offered = true;
    assert_int_equal(nvme_memory_needed(&fixture.config, &without), NVME_OK);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    assert_false(in_force(&fixture));
    assert_false(fixture_saw(&fixture, NVME_EVENT_NO_SHADOW));
    assert_int_equal(fixture.model->admin_commands[NVME_ADMIN_DOORBELL_BUFFER_CONFIG], 0);
    fixture.config.shadow_doorbells = true;
    assert_int_equal(nvme_memory_needed(&fixture.config, &with), NVME_OK);
    assert_int_equal(with.dma_bytes, without.dma_bytes + 2 * FIXTURE_PAGE);
    assert_int_equal(with.ordinary_bytes, without.ordinary_bytes);
    fixture_finish(&fixture);
}

static void works_as_without(struct fixture *fixture)
{
    struct outcome outcome = {0};

    assert_false(in_force(fixture));
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(fixture, 0, &outcome);
        model_step(fixture->model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH), 1);
        assert_int_equal(tails(fixture), turn);
        assert_int_equal(heads(fixture), turn);
    }
    fixture_finish(fixture);
}

static void device_without_them_gets_registers(void **state)
{
    struct fixture fixture;

    (void)state;
    start_wanted(&fixture, &poll, NVME_MODE_POLL, false);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_NO_SHADOW).value, 0);
    works_as_without(&fixture);
}

static void device_that_refuses_gets_registers(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->shadow_offered = true;
    fixture.model->admin_status[NVME_ADMIN_DOORBELL_BUFFER_CONFIG] = 0x002;
    fixture.config.shadow_doorbells = true;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_NO_SHADOW).value, 1);
    works_as_without(&fixture);
}

/* A page has places for (2 * queues + 1) * stride + 4 bytes. */
static void wide_stride_gets_registers(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->shadow_offered = true;
    fixture.model->cap.stride = 9;
    fixture.config.registers_size_bytes = fixture.model->bar_bytes;
    fixture.config.queue_count = 1;
    fixture.config.shadow_doorbells = true;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    assert_true(fixture_saw(&fixture, NVME_EVENT_NO_SHADOW));
    assert_int_equal(fixture.model->admin_commands[NVME_ADMIN_DOORBELL_BUFFER_CONFIG], 0);
    works_as_without(&fixture);
}

/* ---- Which doorbells the device gets ------------------------------------------------------ */

/* Asleep, it asks for each tail, and for each head that it did not know when it posted. */
static void sleeping_device_is_rung(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    assert_true(in_force(&fixture));
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(tails(&fixture), turn);
        assert_int_equal(fixture.model->sqs[1].fetched, turn);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH), 1);
        assert_int_equal(outcome.count, turn);
    }
    assert_int_equal(heads(&fixture), LAPS);
    assert_int_equal(fixture_counters(fixture.queues[0]).reaps, LAPS);
    assert_int_equal(fixture_counters(fixture.queues[0]).rerings, 0);
    fixture_finish(&fixture);
}

/* Awake, it gets at most one register a lap: its event indexes are old. */
static void device_that_is_awake_is_not_rung(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    model_shadow_set_awake(fixture.model, true);
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(fixture.model->sqs[1].fetched, turn);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH), 1);
    }
    assert_int_equal(tails(&fixture), 3);
    assert_int_equal(outcome.count, LAPS);
    assert_int_equal(fixture_counters(fixture.queues[0]).posts, LAPS);
    assert_int_equal(fixture_counters(fixture.queues[0]).sq_doorbells, 3);
    fixture_finish(&fixture);
}

static void fall_asleep(void *arg)
{
    model_shadow_set_awake(arg, false);
}

/* Just after the store it has looked last, and needs no ring. Just before, it asks for one. */
static void device_that_falls_asleep_misses_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        model_shadow_set_awake(fixture.model, true);
        fixture_submit(&fixture, 0, &outcome); /* its event index is old now */
        world.meanwhile[turn % 2 != 0 ? WORLD_AT_SHADOW : WORLD_AT_DOORBELL] = fall_asleep;
        world.meanwhile_arg = fixture.model;
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(fixture.model->sqs[1].fetched, 3 * turn - 1);
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(fixture.model->sqs[1].fetched, 3 * turn);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH), 3);
    }
    fixture_finish(&fixture);
}

/* The device asks for the first of several heads behind one entry. An empty reap rings nothing. */
static void later_heads_are_not_rung(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start_poll(&fixture);
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        fixture_submit(&fixture, 0, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 0);
        assert_true(heads(&fixture) <= turn + 1);
        assert_int_equal(fixture_counters(fixture.queues[0]).reaps, 2 * turn);
        assert_int_equal(fixture_counters(fixture.queues[0]).reap_calls, 3 * turn);
    }
    fixture_finish(&fixture);
}

/* A line falls by its register, whatever the device has read. */
static void line_gets_each_head(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    start(&fixture, *state, NVME_MODE_INTERRUPT);
    fixture.model->counts_pending = true;
    for (uint32_t turn = 1; turn <= LAPS; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        fixture_submit(&fixture, 0, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
        assert_int_equal(outcome.count, 2 * turn);
        assert_int_equal(heads(&fixture), 2 * turn);
        assert_false(model_level(fixture.model));
    }
    fixture_finish(&fixture);
}

/* The owner sleeps: the device has every command, in each mode and with a clocked doorbell too. */
static void nothing_stays_unrung(void **state)
{
    const enum nvme_mode *mode = *state;

    for (uint32_t clocked = 0; clocked < 2; clocked++) {
        struct fixture fixture;
        struct outcome outcome = {0};

        fixture_init(&fixture);
        fixture_use_vectors(&fixture);
        fixture.model->shadow_offered = true;
        fixture.config.shadow_doorbells = true;
        fixture.clocked = clocked != 0;
        fixture_start(&fixture, 1, *mode);
        fixture.model->on_demand = true;
        for (uint32_t turn = 1; turn <= LAPS; turn++) {
            uint32_t looks = 0;

            for (uint32_t i = 0; i < REQUESTS; i++) {
                fixture_submit(&fixture, 0, &outcome);
            }
            while (!nvme_queue_arm(fixture.queues[0], NVME_WAIT_BLOCKED)) {
                nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
                world_advance(LOOK_NS);
                assert_true(++looks < 100);
            }
            assert_int_equal(fixture.model->sqs[1].fetched, turn * REQUESTS);
            model_step(fixture.model, UINT32_MAX);
            fixture_interrupts(&fixture);
            nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
            assert_int_equal(outcome.count, turn * REQUESTS);
        }
        fixture_finish(&fixture);
    }
}

/* done() posts: the reap rings for it, as without shadow doorbells. */
struct again {
    struct fixture *fixture;
    uint32_t left;
    uint32_t ended;
};

static void post_again(void *arg, struct nvme_result result)
{
    struct again *again = arg;

    assert_int_equal(result.error, NVME_OK);
    again->ended++;
    if (again->left-- != 0) {
        fixture_post_with(again->fixture, 0, (struct nvme_callback){post_again, again});
        nvme_queue_submit(again->fixture->queues[0]);
    }
}

static void reap_rings_for_what_done_posts(void **state)
{
    struct fixture fixture;
    struct again again = {&fixture, LAPS, 0};

    (void)state;
    start_poll(&fixture);
    fixture_post_with(&fixture, 0, (struct nvme_callback){post_again, &again});
    nvme_queue_submit(fixture.queues[0]);
    for (uint32_t turn = 1; turn <= LAPS + 1; turn++) {
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], UINT32_MAX), 1);
        assert_int_equal(again.ended, turn);
    }
    fixture_finish(&fixture);
}

int main(void)
{
    static enum nvme_mode interrupt = NVME_MODE_INTERRUPT;
    static enum nvme_mode hybrid = NVME_MODE_HYBRID;
    struct CMUnitTest tests[12 + FIXTURE_LINES] = {
        cmocka_unit_test(event_index_is_right_over_the_full_wrap),
        cmocka_unit_test(not_wanted_costs_no_memory_and_no_command),
        cmocka_unit_test(device_without_them_gets_registers),
        cmocka_unit_test(device_that_refuses_gets_registers),
        cmocka_unit_test(wide_stride_gets_registers),
        cmocka_unit_test(sleeping_device_is_rung),
        cmocka_unit_test(device_that_is_awake_is_not_rung),
        cmocka_unit_test(device_that_falls_asleep_misses_nothing),
        {"nothing_stays_unrung_in_interrupt_mode", nothing_stays_unrung, NULL, NULL, &interrupt},
        {"nothing_stays_unrung_in_hybrid_mode", nothing_stays_unrung, NULL, NULL, &hybrid},
        cmocka_unit_test(reap_rings_for_what_done_posts),
        cmocka_unit_test(later_heads_are_not_rung),
    };
    size_t count = 12;

    fixture_add_cases(tests, &count, line_gets_each_head, fixture_sources, FIXTURE_LINES,
                      sizeof(fixture_sources[0]));
    return fixture_run("shadow", tests, count);
}
