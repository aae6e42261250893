// SPDX-License-Identifier: MIT
/*
 * interrupt.c where register writes are posted: an entry that comes between the last look and the
 * arrival of the head doorbell raises no edge. Which handler is right for which interrupt
 * controller, with one controller on the line and with two.
 */
#include "fixture.h"

enum {
    READS = 8,
    CUTS_MAX = 8, /* more than the writes of a handler */
};

struct line_case {
    const char *name;
    enum model_line_kind kind;
    bool posted;
    bool mask_line;
    bool loses;
};

static const struct line_case line_cases[] = {
    {"look_again_level", MODEL_LINE_LEVEL, false, false, false},
    {"look_again_edge", MODEL_LINE_EDGE, false, false, false},
    {"look_again_edge_clears", MODEL_LINE_EDGE_CLEARS, false, false, false},
    {"look_again_wire", MODEL_LINE_EDGE_WIRE, false, false, false},
    {"look_again_posted_level", MODEL_LINE_LEVEL, true, false, false},
    {"look_again_posted_edge", MODEL_LINE_EDGE, true, false, true},
    {"look_again_posted_edge_clears", MODEL_LINE_EDGE_CLEARS, true, false, true},
    {"look_again_posted_wire", MODEL_LINE_EDGE_WIRE, true, false, true},
    {"masks_level", MODEL_LINE_LEVEL, false, true, false},
    {"masks_edge", MODEL_LINE_EDGE, false, true, false},
    {"masks_edge_clears", MODEL_LINE_EDGE_CLEARS, false, true, false},
    {"masks_wire", MODEL_LINE_EDGE_WIRE, false, true, false},
    {"masks_posted_level", MODEL_LINE_LEVEL, true, true, false},
    {"masks_posted_edge", MODEL_LINE_EDGE, true, true, false},
    {"masks_posted_edge_clears", MODEL_LINE_EDGE_CLEARS, true, true, false},
    {"masks_posted_wire", MODEL_LINE_EDGE_WIRE, true, true, false},
};

static void start(struct fixture *fixture, const struct line_case *this, uint32_t queues)
{
    fixture->line.kind = this->kind;
    fixture->config.mask_line = this->mask_line;
    fixture->model->posted = this->posted;
    fixture_start(fixture, queues, NVME_MODE_INTERRUPT);
    world_arrive();
    fixture_interrupts(fixture);
    fixture->model->on_demand = true;
}

/* Interrupts until the source is quiet and every write has arrived. */
static void take_all(struct fixture *fixture)
{
    do {
        fixture_interrupts(fixture);
        world_arrive();
    } while (fixture->line.pending);
}

/* An entry comes when `cut` of the writes of the handler have arrived: has it been told of? */
static bool is_told(const struct line_case *this, uint32_t cut)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    bool told;

    fixture_init(&fixture);
    start(&fixture, this, 1);
    fixture_submit(&fixture, 0, &outcome);
    fixture_submit(&fixture, 0, &outcome);
    world_arrive();
    model_step(fixture.model, 1);
    assert_true(model_line_claim(&fixture.line));
    nvme_irq_handle(&fixture.controller, 1);
    assert_int_equal(outcome.count, 1);
    model_arrive(fixture.model, cut);
    model_step(fixture.model, 1);
    world_arrive();
    model_line_complete(&fixture.line);
    take_all(&fixture);
    told = outcome.count == 2;
    if (!told) {
        nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH);
    }
    fixture_finish(&fixture);
    return told;
}

static void entry_behind_the_last_look_is_told_of(void **state)
{
    const struct line_case *this = *state;
    uint32_t lost = 0;

    for (uint32_t cut = 0; cut < CUTS_MAX; cut++) {
        lost += !is_told(this, cut);
    }
    assert_int_equal(lost != 0, this->loses);
}

/* ---- Two controllers on a line: their writes arrive in no order --------------------------- */

static const struct line_case pair_cases[] = {
    {"two_mask_level", MODEL_LINE_LEVEL, true, true, false},
    {"two_mask_edge", MODEL_LINE_EDGE, true, true, false},
    {"two_mask_edge_clears", MODEL_LINE_EDGE_CLEARS, true, true, false},
    {"two_mask_wire", MODEL_LINE_EDGE_WIRE, true, true, false},
};

/* Those of the first controller arrive before those of the second, or after them. */
static void line_of_two_is_masked_as_a_whole(void **state)
{
    const struct line_case *this = *state;

    for (uint32_t first = 0; first < 2; first++) {
        struct fixture pair[2];
        struct outcome outcomes[2] = {0};
        struct nvme_controller *controllers[2];

        fixture_init(&pair[0]);
        fixture_init_more(&pair[1]);
        pair[1].model->line = &pair[0].line;
        for (uint32_t i = 0; i < 2; i++) {
            start(&pair[i], this, 1);
            pair[0].line.kind = this->kind;
            controllers[i] = pair[i].controller;
            fixture_submit(&pair[i], 0, &outcomes[i]);
            fixture_submit(&pair[i], 0, &outcomes[i]);
        }
        world_arrive();
        for (uint32_t i = 0; i < 100 && outcomes[0].count + outcomes[1].count < 4; i++) {
            model_step(pair[0].model, 1);
            model_step(pair[1].model, 1);
            if (model_line_claim(&pair[0].line)) {
                nvme_irq_handle(controllers, 2);
                model_step(pair[first].model, 1);
                model_arrive(pair[first].model, UINT32_MAX);
                model_step(pair[1 - first].model, 1);
                world_arrive();
                model_line_complete(&pair[0].line);
            }
        }
        assert_int_equal(outcomes[0].count, 2);
        assert_int_equal(outcomes[1].count, 2);
        fixture_finish(&pair[1]);
        fixture_finish(&pair[0]);
    }
}

int main(void)
{
    struct CMUnitTest tests[32] = {0};
    size_t count = 0;

    ADD_CASES(tests, &count, entry_behind_the_last_look_is_told_of, line_cases);
    ADD_CASES(tests, &count, line_of_two_is_masked_as_a_whole, pair_cases);
    return fixture_run("posted", tests, count);
}
