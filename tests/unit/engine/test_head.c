// SPDX-License-Identifier: MIT
/*
 * queue.c, source.c, active.c: a late completion doorbell. The model finds a ring that is too
 * small, and a head that gives nothing back.
 */
#include "fixture.h"

#define LOOK_NS UINT64_C(1000000)

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

        fixture_submit_each(&fixture, count, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(fixture_reap(&fixture), count);
        owed += count;
        if (owed > LATE) {
            owed = 0;
            rung++;
        }
        assert_int_equal(head_doorbells(&fixture), rung);
        assert_int_equal(fixture_reap(&fixture), 0);
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
        fixture_submit_each(&fixture, LATE, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(fixture_reap(&fixture), LATE);
        assert_int_equal(head_doorbells(&fixture), turn - 1);
        fixture_submit_each(&fixture, FIXTURE_DEPTH - 1, &outcome);
        model_step(fixture.model, UINT32_MAX);
        assert_int_equal(fixture_reap(&fixture), FIXTURE_DEPTH - 1);
        assert_int_equal(head_doorbells(&fixture), turn);
    }
    fixture_finish(&fixture);
}

struct late_case {
    const char *name;
    bool vectors;
    bool shadow; /* doorbells */
};

static const struct late_case late_cases[] = {
    {"line", false, false},
    {"vector", true, false},
    {"line_with_shadow_doorbells", false, true},
    {"vector_with_shadow_doorbells", true, true},
};

static struct nvme_queue *start_late(struct fixture *fixture, const struct late_case *this,
                                     enum nvme_mode mode)
{
    fixture_init(fixture);
    if (this->vectors) {
        fixture_use_vectors(fixture);
    }
    fixture->model->shadow_offered = this->shadow;
    fixture->config.shadow_doorbells = this->shadow;
    fixture->config.cq_depth_entries = FIXTURE_DEPTH + SURPLUS;
    fixture_start(fixture, 1, mode);
    return fixture->queues[0];
}

/* The register of a head may be left out if the device reads it from memory. */
static void check_heads(const struct fixture *fixture, const struct late_case *this, uint64_t count)
{
    if (!this->shadow) {
        assert_int_equal(head_doorbells(fixture), count);
        assert_int_equal(fixture->model->cqs[1].head, fixture->model->cqs[1].tail);
    }
}

/*
 * A queue that may interrupt owes entries only while its source is closed because the owner polls.
 * `end` opens it, or takes the queue off the list; then the line is low and nothing is owed.
 */
static void nothing_is_owed(const struct late_case *this, void (*end)(struct nvme_queue *))
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue *queue = start_late(&fixture, this, NVME_MODE_INTERRUPT);

    assert_int_equal(nvme_queue_set_mode(queue, NVME_MODE_POLL), NVME_OK);
    for (uint32_t turn = 1; turn <= 3 * FIXTURE_DEPTH; turn++) {
        fixture_submit(&fixture, 0, &outcome);
        assert_int_equal(fixture_reap(&fixture), 1);
        if (!this->shadow) {
            assert_int_equal(head_doorbells(&fixture), turn - 1);
        }
        end(queue);
        check_heads(&fixture, this, turn);
        end(queue);
        check_heads(&fixture, this, turn);
        assert_int_equal(nvme_queue_set_mode(queue, NVME_MODE_INTERRUPT), NVME_OK);
        assert_int_equal(fixture_counters(queue).reaps, turn);
        /* A vector sends the message that it held back; a line is low. */
        assert_true(fixture_interrupts(&fixture) <= this->vectors);
        assert_int_equal(nvme_queue_set_mode(queue, NVME_MODE_POLL), NVME_OK);
    }
    fixture_finish(&fixture);
}

static void end_by_mode(struct nvme_queue *queue)
{
    assert_int_equal(nvme_queue_set_mode(queue, NVME_MODE_HYBRID), NVME_OK);
}

/* Without requests the watchdog takes it off the list. */
static void end_by_watchdog(struct nvme_queue *queue)
{
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    nvme_queue_watchdog(queue, world.now_ns);
}

static void queue_gives_back_before_its_source_opens(void **state)
{
    nothing_is_owed(*state, end_by_mode);
}

static void queue_gives_back_before_it_leaves_the_list(void **state)
{
    nothing_is_owed(*state, end_by_watchdog);
}

/* A hybrid owner that is awake owes entries, and gives them back when it arms. */
static void hybrid_owner_gives_back_before_it_sleeps(void **state)
{
    const struct late_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue *queue = start_late(&fixture, this, NVME_MODE_HYBRID);
    uint32_t looks = 0;

    fixture.model->on_demand = true;
    fixture_submit_each(&fixture, 2, &outcome);
    assert_false(nvme_queue_arm(queue, NVME_WAIT_BLOCKED));
    model_step(fixture.model, 1);
    assert_int_equal(fixture_reap(&fixture), 1);
    while (!nvme_queue_arm(queue, NVME_WAIT_BLOCKED)) {
        world_advance(LOOK_NS);
        assert_true(++looks < 100);
    }
    check_heads(&fixture, this, 1);
    model_step(fixture.model, UINT32_MAX);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    assert_int_equal(outcome.count, 2);
    assert_int_equal(fixture_counters(queue).reaps, 2);
    fixture_finish(&fixture);
}

/* Mode and requests may change in any order: what completes behind an opening is given back. */
static void open_source_owes_nothing(void **state)
{
    const struct late_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue *queue = start_late(&fixture, this, NVME_MODE_INTERRUPT);

    fixture.model->on_demand = true;
    assert_int_equal(nvme_queue_set_mode(queue, NVME_MODE_POLL), NVME_OK);
    fixture_submit_each(&fixture, 2, &outcome);
    assert_int_equal(nvme_queue_set_mode(queue, NVME_MODE_INTERRUPT), NVME_OK);
    for (uint32_t i = 1; i <= 2; i++) {
        model_step(fixture.model, 1);
        assert_int_equal(fixture_interrupts(&fixture), 1);
        check_heads(&fixture, this, i);
    }
    assert_int_equal(outcome.count, 2);
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
        assert_int_equal(fixture_reap(&fixture), 1);
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
        assert_int_equal(fixture_reap(&fixture), 1);
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
    struct CMUnitTest tests[4 + COUNT_OF(head_cases) + 4 * COUNT_OF(late_cases)] = {
        cmocka_unit_test(poll_queue_rings_its_head_late),
        cmocka_unit_test(full_queue_has_room_behind_a_late_head),
        cmocka_unit_test(shallower_queue_keeps_the_surplus),
        cmocka_unit_test(completion_ring_of_a_wrong_size_is_refused),
    };
    size_t count = 4;

    ADD_CASES(tests, &count, head_is_late_by_half_of_the_surplus, head_cases);
    ADD_CASES(tests, &count, queue_gives_back_before_its_source_opens, late_cases);
    ADD_CASES(tests, &count, queue_gives_back_before_it_leaves_the_list, late_cases);
    ADD_CASES(tests, &count, hybrid_owner_gives_back_before_it_sleeps, late_cases);
    ADD_CASES(tests, &count, open_source_owes_nothing, late_cases);
    return fixture_run("head", tests, count);
}
