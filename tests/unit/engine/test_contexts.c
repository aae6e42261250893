// SPDX-License-Identifier: MIT
/*
 * admin.c, queue.c, source.c, shared.c: calls in a context where they may not be made, which end in
 * a panic.
 */
#include "harts.h"
#include "nvme_internal.h"

enum {
    QUEUES = 2,
};

/* Fails unless body() ends in a panic whose reason has this word in it. */
static void expect_panic(void (*body)(void *), void *arg, const char *word)
{
    const char *reason = world_catch_panic(body, arg);

    assert_non_null(reason);
    assert_non_null(strstr(reason, word));
    world.irq_depth = 0; /* of the frames that were left */
    world.meanwhile[WORLD_AT_DOORBELL] = NULL;
}

/* ---- Administration that meets the handler of its line ----------------------------------- */

static void take_interrupt(void *arg)
{
    struct fixture *fixture = arg;

    nvme_irq_handle(&fixture->controller, 1);
}

static void take_bracket(void *arg)
{
    struct fixture *fixture = arg;

    nvme_irq_enter(fixture->controller);
}

static void administer(void *arg)
{
    struct fixture *fixture = arg;
    uint32_t nsid;

    (void)!nvme_namespace_next(fixture->controller, 0, &nsid);
}

static void open_pair(void *arg)
{
    struct fixture *fixture = arg;
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL};

    (void)!nvme_queue_open(fixture->controller, QUEUES, &config, &fixture->queues[QUEUES]);
}

struct meeting_case {
    const char *name;
    void (*administration)(void *arg);
    void (*handler)(void *arg); /* on another hart, in the midst of it */
    bool shared;
    bool mask_line;
    bool finds; /* a completion is there: the handler's short way */
};

static const struct meeting_case meeting_cases[] = {
    {"empty_interrupt", administer, take_interrupt, false, false, false},
    {"interrupt_that_finds", administer, take_interrupt, false, false, true},
    {"interrupt_while_a_queue_opens", open_pair, take_interrupt, false, false, true},
    {"masking_handler", administer, take_interrupt, false, true, true},
    {"bracket", administer, take_bracket, false, false, false},
    {"shared_empty_interrupt", administer, take_interrupt, true, false, false},
    {"shared_interrupt_that_finds", administer, take_interrupt, true, false, true},
};

static void interrupt_amid_administration_panics(void **state)
{
    const struct meeting_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_init(&fixture);
    fixture.config.shared = this->shared;
    fixture.config.mask_line = this->mask_line;
    fixture_start(&fixture, QUEUES, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    if (this->finds) {
        fixture_submit(&fixture, 0, &outcome);
    }
    world.meanwhile_arg = &fixture;
    world.meanwhile[WORLD_AT_DOORBELL] = this->handler;
    expect_panic(this->administration, &fixture, "administered on a hart");
    fixture_drop(&fixture);
}

static void administration_amid_administration_panics(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    world.meanwhile_arg = &fixture;
    world.meanwhile[WORLD_AT_DOORBELL] = administer;
    expect_panic(administer, &fixture, "twice at a time");
    fixture_drop(&fixture);
}

/* The same calls one after the other. */
static void interrupts_around_administration_are_normal(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, QUEUES, NVME_MODE_INTERRUPT);
    for (uint32_t i = 0; i < 3; i++) {
        struct outcome outcome = {0};

        administer(&fixture);
        fixture_submit(&fixture, 0, &outcome);
        assert_true(fixture_interrupts(&fixture) != 0);
        outcome_check_ok(&outcome, BLOCK);
        assert_int_equal(fixture.controller->line.checks, 0); /* an interrupt stays short */
    }
    fixture_finish(&fixture);
}

/* ---- Who may call, and with interrupts off ----------------------------------------------- */

static void post_and_ring(void *arg)
{
    static struct outcome ignored;
    struct fixture *fixture = arg;

    (void)!nvme_flush(fixture->queues[0], &fixture->ns, outcome_callback(&ignored));
    nvme_queue_submit(fixture->queues[0]);
}

static void reap(void *arg)
{
    struct fixture *fixture = arg;

    nvme_queue_reap(fixture->queues[0], 1);
}

static void run_watchdog(void *arg)
{
    struct fixture *fixture = arg;

    nvme_queue_watchdog(fixture->queues[0], world.now_ns);
}

static void set_mode(void *arg)
{
    struct fixture *fixture = arg;

    (void)!nvme_queue_set_mode(fixture->queues[0], NVME_MODE_POLL);
}

static void close_pair(void *arg)
{
    struct fixture *fixture = arg;

    (void)!nvme_queue_close(fixture->queues[0]);
}

struct context_case {
    const char *name;
    void (*call)(void *arg);
    const char *panic;
    uint32_t hart;
    bool posted; /* a request is outstanding */
    bool irq_on;
    bool shared; /* the IRQ hart is hart 1, the owner hart 0 */
};

#define ON_OTHER "does not own"

static const struct context_case context_cases[] = {
    {"first_doorbell", post_and_ring, ON_OTHER, 1, false, false, false},
    {"first_reap", reap, ON_OTHER, 1, false, false, false},
    {"first_reap_with_interrupts_on", reap, "interrupts on", 0, false, true, false},
    {"watchdog", run_watchdog, ON_OTHER, 1, true, false, false},
    {"watchdog_with_interrupts_on", run_watchdog, "interrupts on", 0, true, true, false},
    {"mode", set_mode, ON_OTHER, 1, false, false, false},
    {"mode_of_a_shared_line", set_mode, ON_OTHER, 0, false, false, true},
    {"close_with_requests", close_pair, ON_OTHER, 1, true, false, false},
    {"bracket_with_interrupts_on", take_bracket, "interrupts on", 0, false, true, false},
    {"own_first_doorbell", post_and_ring, NULL, 0, false, true, false},
    {"own_first_reap", reap, NULL, 0, false, false, false},
    {"own_watchdog", run_watchdog, NULL, 0, true, false, false},
    {"own_mode", set_mode, NULL, 0, false, true, false},
    {"own_close_with_requests", close_pair, NULL, 0, true, true, false},
    {"mode_of_a_shared_line_by_irq_hart", set_mode, NULL, 1, false, true, true},
    {"close_without_requests", close_pair, NULL, 1, false, true, false},
};

static void call_in_a_wrong_context_panics(void **state)
{
    const struct context_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_init(&fixture);
    fixture.config.shared = this->shared;
    fixture.config.irq_hart = this->shared;
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    world.knows_hart = true;
    world.knows_irq = true;
    if (this->posted) {
        fixture.model->on_demand = true;
        assert_int_equal(nvme_flush(fixture.queues[0], &fixture.ns, outcome_callback(&outcome)),
                         NVME_OK);
        nvme_queue_submit(fixture.queues[0]);
    }
    world.hart = this->hart;
    world.irq_depth = !this->irq_on;
    if (this->panic != NULL) {
        expect_panic(this->call, &fixture, this->panic);
    } else {
        assert_null(world_catch_panic(this->call, &fixture));
    }
    world.irq_depth = 0;
    fixture_drop(&fixture);
}

static void administer_in_done(void *arg, struct nvme_result result)
{
    (void)result;
    administer(arg);
}

/* Of any queue of this hart. */
static void administration_in_done_panics(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, QUEUES, NVME_MODE_POLL);
    world.knows_hart = true;
    assert_int_equal(nvme_flush(fixture.queues[0], &fixture.ns,
                                (struct nvme_callback){administer_in_done, &fixture}),
                     NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    expect_panic(reap, &fixture, "in done()");
    fixture_drop(&fixture);
}

/* ---- A reap inside a reap --------------------------------------------------------------- */

struct nesting {
    struct nvme_queue *queue;
    uint32_t outer;
    uint32_t inner;
};

static void reap_again(void *arg)
{
    struct nesting *nesting = arg;

    nvme_queue_reap(nesting->queue, nesting->inner);
}

static void reap_in_done(void *arg, struct nvme_result result)
{
    (void)result;
    reap_again(arg);
}

static void reap_outer(void *arg)
{
    struct nesting *nesting = arg;

    nvme_queue_reap(nesting->queue, nesting->outer);
}

/* In done(), and in a trap that comes when the first entry was seen. */
static void nested_reap_of_any_budget_panics(void **state)
{
    static const uint32_t budgets[] = {1, FIXTURE_DEPTH, UINT32_MAX - 1, UINT32_MAX};
    struct outcome outcome = {0};

    (void)state;
    for (uint32_t i = 0; i < 2 * COUNT_OF(budgets) * COUNT_OF(budgets); i++) {
        bool trap = i % 2 == 0;
        struct fixture fixture;
        struct nesting nesting = {
            .outer = budgets[i / 2 % COUNT_OF(budgets)],
            .inner = budgets[i / 2 / COUNT_OF(budgets)],
        };
        struct nvme_callback callback = {reap_in_done, &nesting};

        nesting.queue = fixture_poll_queue(&fixture);
        assert_int_equal(nvme_read(nesting.queue, &fixture.ns, 0, 1, fixture_block,
                                   trap ? outcome_callback(&outcome) : callback),
                         NVME_OK);
        nvme_queue_submit(nesting.queue);
        world.meanwhile_arg = &nesting;
        world.meanwhile[WORLD_AT_PHASE] = trap ? reap_again : NULL;
        expect_panic(reap_outer, &nesting, "nested");
        fixture_drop(&fixture);
    }
}

/* A queue that is away is reaped, or not, whatever the budget. */
static void any_budget_is_one(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    for (uint32_t i = 1; i <= 2 * FIXTURE_DEPTH; i++) {
        assert_int_equal(nvme_queue_reap(fixture.queues[0], UINT32_MAX), 0);
        fixture_submit(&fixture, 0, &outcome);
        nvme_queue_leave(fixture.queues[0]);
        assert_int_equal(nvme_queue_reap(fixture.queues[0], UINT32_MAX), 1);
        assert_int_equal(outcome.count, i);
    }
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], UINT32_MAX), 0);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(meeting_cases) + COUNT_OF(context_cases)] = {
        cmocka_unit_test(administration_amid_administration_panics),
        cmocka_unit_test(interrupts_around_administration_are_normal),
        cmocka_unit_test(nested_reap_of_any_budget_panics),
        cmocka_unit_test(any_budget_is_one),
        cmocka_unit_test(administration_in_done_panics),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, interrupt_amid_administration_panics, meeting_cases);
    ADD_CASES(tests, &count, call_in_a_wrong_context_panics, context_cases);
    return fixture_run("contexts", tests, count);
}
