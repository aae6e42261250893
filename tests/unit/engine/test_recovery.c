// SPDX-License-Identifier: MIT
/*
 * recovery.c: deadlines, dead and removed controllers. Missed interrupts are in test_watchdog.c.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)
#define TIMEOUT_MS 1000

enum {
    PER_QUEUE = 3,
    STEP_MS = 10,
};

static void start(struct fixture *fixture, uint32_t queues, enum nvme_mode mode)
{
    fixture_init(fixture);
    fixture->config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture_start(fixture, 0, mode);
    for (uint32_t i = 0; i < queues; i++) {
        struct nvme_queue_config config = {
            .owner = mode == NVME_MODE_POLL ? i : 0,
            .mode = mode,
        };

        assert_int_equal(nvme_queue_open(fixture->controller, i, &config, &fixture->queues[i]),
                         NVME_OK);
    }
    fixture_interrupts(fixture);
}

/* Watches a queue every `step_ms` for `ms`; stops early once the outcome is there. */
static void watch_for(struct fixture *fixture, uint32_t queue, uint64_t ms, uint64_t step_ms,
                      const struct outcome *outcome)
{
    for (uint64_t passed = 0; passed < ms && outcome->count == 0; passed += step_ms) {
        world_advance(step_ms * MS);
        nvme_queue_watchdog(fixture->queues[queue], world.now_ns);
    }
}

static uint64_t now_ms(void)
{
    return world.now_ns / MS;
}

/* ---- A controller that fails with requests on several queues ---------------------------- */

enum cause {
    HANGS,
    DIES,
    VANISHES,
};

struct fail_case {
    const char *name;
    enum cause cause;
    enum nvme_mode mode;
    uint64_t stop_delay_ms; /* until RDY falls */
    enum nvme_error error;
    enum nvme_event_kind event;
};

static const struct fail_case fail_cases[] = {
    {"command_hangs", HANGS, NVME_MODE_POLL, 0, NVME_ERR_TIMEOUT, NVME_EVENT_COMMAND_TIMEOUT},
    {"command_hangs_with_interrupts", HANGS, NVME_MODE_INTERRUPT, 0, NVME_ERR_TIMEOUT,
     NVME_EVENT_COMMAND_TIMEOUT},
    {"command_hangs_and_rdy_falls_late", HANGS, NVME_MODE_POLL, 300, NVME_ERR_TIMEOUT,
     NVME_EVENT_COMMAND_TIMEOUT},
    {"controller_dies", DIES, NVME_MODE_POLL, 0, NVME_ERR_FATAL, NVME_EVENT_CONTROLLER_FATAL},
    {"controller_dies_and_rdy_falls_late", DIES, NVME_MODE_INTERRUPT, 300, NVME_ERR_FATAL,
     NVME_EVENT_CONTROLLER_FATAL},
    {"device_vanishes", VANISHES, NVME_MODE_POLL, 0, NVME_ERR_REMOVED, NVME_EVENT_REMOVED},
    {"device_vanishes_with_interrupts", VANISHES, NVME_MODE_INTERRUPT, 0, NVME_ERR_REMOVED,
     NVME_EVENT_REMOVED},
};

static void cause_trouble(struct fixture *fixture, enum cause cause)
{
    fixture->model->fatal = cause == DIES;
    fixture->model->gone = cause == VANISHES;
}

/* INTMS, then CC.EN = 0, and no request ended before RDY fell. */
static void check_disabled(const struct fixture *fixture, uint32_t writes)
{
    const struct model *model = fixture->model;

    if (model->gone) {
        return;
    }
    /* Before them, with interrupts: masked and opened around the last look at the queue. */
    assert_true(model->write_count == writes + 2 || model->write_count == writes + 4);
    writes = model->write_count - 2;
    assert_int_equal(model->writes[writes].offset, NVME_REG_INTMS);
    assert_int_equal(model->writes[writes + 1].offset, NVME_REG_CC);
    assert_int_equal(model->writes[writes + 1].value & NVME_CC_EN, 0);
}

static void every_request_of_every_queue_ends_once_on_its_owner(void **state)
{
    const struct fail_case *this = *state;
    struct fixture fixture;
    struct outcome outcomes[FIXTURE_QUEUES] = {0};
    uint64_t barriers;
    uint64_t began;
    uint32_t writes;

    start(&fixture, FIXTURE_QUEUES, this->mode);
    fixture.model->on_demand = true;
    fixture.model->ready_delay_ns = this->stop_delay_ms * MS;
    for (uint32_t i = 0; i < FIXTURE_QUEUES * PER_QUEUE; i++) {
        fixture_post(&fixture, i % FIXTURE_QUEUES, &outcomes[i % FIXTURE_QUEUES]);
        nvme_queue_submit(fixture.queues[i % FIXTURE_QUEUES]);
    }
    cause_trouble(&fixture, this->cause);
    writes = fixture.model->write_count;
    began = now_ms();
    for (int i = 0; i < 1000 && !fixture_saw(&fixture, this->event); i++) {
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    check_disabled(&fixture, writes);
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        assert_int_equal(outcomes[i].count, 0);
    }
    nvme_queue_submit(fixture.queues[1]); /* no doorbell goes to it any more */
    barriers = world.register_barriers;
    watch_for(&fixture, 0, 1000, STEP_MS, &outcomes[0]);
    assert_true(world.register_barriers > barriers); /* RDY = 0 before the requests' memory */
    assert_true(now_ms() >= began + this->stop_delay_ms);
    assert_int_equal(outcomes[0].count, PER_QUEUE);
    assert_true(fixture_saw(&fixture, NVME_EVENT_DISABLED));
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        /* Who polls looks anyway; the interrupt queues are all of hart 0. */
        assert_int_equal(fixture.ipis[i],
                         this->mode != NVME_MODE_POLL && i == 0 ? FIXTURE_QUEUES : 0);
        assert_int_equal(outcomes[i].count, i == 0 ? PER_QUEUE : 0);
        nvme_queue_reap(fixture.queues[i], FIXTURE_DEPTH);
        nvme_queue_reap(fixture.queues[i], FIXTURE_DEPTH);
        nvme_queue_watchdog(fixture.queues[i], world.now_ns);
        assert_int_equal(outcomes[i].count, PER_QUEUE);
        assert_int_equal(outcomes[i].result.error, this->error);
        assert_int_equal(nvme_queue_outstanding(fixture.queues[i]), 0);
        assert_int_equal(nvme_flush(fixture.queues[i], &fixture.ns, outcome_callback(&outcomes[i])),
                         NVME_ERR_STATE);
    }
    assert_int_equal(nvme_queue_close(fixture.queues[2]), NVME_OK);
    assert_int_equal(nvme_controller_close(fixture.controller), this->error);
    fixture_drop(&fixture);
}

/* A command without a doorbell before the failure gets none after it. */
static void failed_controller_takes_no_doorbell(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->ready_delay_ns = MS;
    fixture_post(&fixture, 0, &outcome);
    fixture.model->fatal = true;
    world_advance(STEP_MS * MS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    nvme_queue_submit(fixture.queues[0]);
    assert_int_equal(model_doorbell_count(fixture.model, 1, false), 0);
    watch_for(&fixture, 0, 100, STEP_MS, &outcome);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

/* ---- Deadlines -------------------------------------------------------------------------- */

struct deadline_case {
    const char *name;
    uint64_t pause_ms; /* without a watchdog before the post */
    uint64_t step_ms;  /* between two watchdogs */
    uint64_t timeout_ms;
    enum nvme_mode mode;
};

static const struct deadline_case deadline_cases[] = {
    {"watched_all_along", 0, 10, 1000, NVME_MODE_POLL},
    {"watched_all_along_with_interrupts", 0, 10, 1000, NVME_MODE_INTERRUPT},
    {"posted_after_a_long_pause", 3600000, 10, 1000, NVME_MODE_POLL},
    {"posted_after_a_pause_of_one_step", 100, 10, 1000, NVME_MODE_POLL},
    {"posted_just_before_the_first_watch", 0, 1, 1000, NVME_MODE_POLL},
    {"watched_every_millisecond", 500, 1, 1000, NVME_MODE_POLL},
    {"watched_every_99_ms", 50, 99, 2000, NVME_MODE_POLL},
    {"longer_deadline", 0, 10, 10000, NVME_MODE_INTERRUPT},
};

static void request_expires_after_its_deadline_and_never_before(void **state)
{
    const struct deadline_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_event event;
    uint32_t interrupts;
    uint32_t command_id;
    uint64_t posted_ms;
    uint64_t age_max_ms = this->timeout_ms * 12 / 10 + 200;

    fixture_init(&fixture);
    fixture.config.command_timeout_ns = this->timeout_ms * MS;
    fixture_start(&fixture, 1, this->mode);
    fixture_interrupts(&fixture);
    fixture_submit(&fixture, 0, &outcome);
    interrupts = fixture_interrupts(&fixture);
    fixture_reap(&fixture);
    outcome_check_ok(&outcome, BLOCK);
    outcome = (struct outcome){0};
    fixture.model->on_demand = true;
    if (this->pause_ms != 0) {
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        world_advance(this->pause_ms * MS);
    }
    fixture_submit(&fixture, 0, &outcome);
    command_id = (uint32_t)NVME_GET(NVME_CDW0_CID, fixture.model->sqs[1].shadow[1].cdw0);
    posted_ms = now_ms();
    while (!fixture_saw(&fixture, NVME_EVENT_COMMAND_TIMEOUT) && now_ms() < posted_ms + 100000) {
        world_advance(this->step_ms * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_in_range(now_ms() - posted_ms, this->timeout_ms, age_max_ms);
    event = fixture_event(&fixture, NVME_EVENT_COMMAND_TIMEOUT);
    assert_int_equal(event.limit, this->timeout_ms);
    assert_int_equal(event.queue_id, 1);
    assert_int_equal(event.value, command_id);
    assert_in_range(event.age_ms, this->timeout_ms, age_max_ms);
    assert_in_range(event.quiet_ms, this->timeout_ms, age_max_ms);
    assert_int_equal(event.outstanding, 1);
    assert_int_equal(event.head, 1);
    assert_true(event.phase);
    assert_int_equal(interrupts, this->mode != NVME_MODE_POLL);
    assert_int_equal(event.interrupts, interrupts);
    watch_for(&fixture, 0, 1000, 10, &outcome);
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

static void watcher_that_slept_for_an_hour_expires_nothing(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    fixture_submit(&fixture, 0, &outcome);
    for (int i = 0; i < 8; i++) {
        world_advance(3600 * 1000 * MS);
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    }
    assert_int_equal(fixture.event_count, 0);
    model_step(fixture.model, 1);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void longest_deadline_never_comes(void **state)
{
    static const uint64_t timeouts[] = {UINT64_MAX, UINT64_C(4294967296) * MS,
                                        UINT64_C(4294967297) * MS};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(timeouts); i++) {
        struct fixture fixture;
        struct outcome outcome = {0};

        fixture_init(&fixture);
        fixture.config.command_timeout_ns = timeouts[i];
        fixture_start(&fixture, 1, NVME_MODE_POLL);
        fixture.model->on_demand = true;
        fixture_submit(&fixture, 0, &outcome);
        watch_for(&fixture, 0, 100000, 50, &outcome);
        assert_int_equal(outcome.count, 0);
        model_step(fixture.model, 1);
        nvme_queue_reap(fixture.queues[0], 1);
        outcome_check_ok(&outcome, BLOCK);
        fixture_finish(&fixture);
    }
}

static void completion_that_nobody_looked_at_is_no_timeout(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture_post(&fixture, 0, &outcome);
    nvme_queue_submit(fixture.queues[0]); /* completes at once; its owner only watchdogs */
    watch_for(&fixture, 0, 5 * TIMEOUT_MS, STEP_MS, &outcome);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(fixture.event_count, 0);
    fixture_finish(&fixture);
}

static void idle_queue_watches_no_register(void **state)
{
    struct fixture fixture;
    uint64_t reads;

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    reads = world.register_reads;
    world_advance(STEP_MS * MS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    assert_int_equal(world.register_reads, reads);
    fixture_finish(&fixture);
}

/* ---- A device that cannot be stopped ---------------------------------------------------- */

static void slots_of_a_device_that_cannot_be_stopped_stay_its_own(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture.model->stop_never = true;
    fixture_submit(&fixture, 0, &outcome);
    watch_for(&fixture, 0, 20000, STEP_MS, &outcome);
    assert_true(fixture_saw(&fixture, NVME_EVENT_DISABLE_TIMEOUT));
    nvme_queue_reap(fixture.queues[0], 1);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 1);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_STUCK);
    assert_int_equal(nvme_queue_close(fixture.queues[1]), NVME_ERR_STUCK);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_STUCK);
    assert_int_equal(outcome.count, 0);
    fixture_drop(&fixture);
}

static void queue_is_not_closed_while_its_controller_is_being_disabled(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture.model->ready_delay_ns = 500 * MS;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->fatal = true;
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_STATE);
    watch_for(&fixture, 0, 1000, STEP_MS, &outcome);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

static void closing_the_controller_waits_for_rdy_and_is_busy_with_requests(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture.model->ready_delay_ns = 500 * MS;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->fatal = true;
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_BUSY);
    assert_int_equal(outcome.count, 0);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_error(&outcome, NVME_ERR_FATAL);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[8 + COUNT_OF(fail_cases) + COUNT_OF(deadline_cases)] = {
        cmocka_unit_test(failed_controller_takes_no_doorbell),
        cmocka_unit_test(watcher_that_slept_for_an_hour_expires_nothing),
        cmocka_unit_test(longest_deadline_never_comes),
        cmocka_unit_test(completion_that_nobody_looked_at_is_no_timeout),
        cmocka_unit_test(idle_queue_watches_no_register),
        cmocka_unit_test(slots_of_a_device_that_cannot_be_stopped_stay_its_own),
        cmocka_unit_test(queue_is_not_closed_while_its_controller_is_being_disabled),
        cmocka_unit_test(closing_the_controller_waits_for_rdy_and_is_busy_with_requests),
    };
    size_t count = 8;

    ADD_CASES(tests, &count, every_request_of_every_queue_ends_once_on_its_owner, fail_cases);
    ADD_CASES(tests, &count, request_expires_after_its_deadline_and_never_before, deadline_cases);
    return fixture_run("recovery", tests, count);
}
