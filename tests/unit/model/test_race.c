// SPDX-License-Identifier: MIT
/*
 * Another owner, a handler or a long sleep between two steps of a call: the call goes on from what
 * it finds then, and no request ends before the device has stopped.
 */
#include "fixture.h"
#include "nvme_internal.h"

#define MS UINT64_C(1000000)

enum {
    OUTSTANDING = 3,
};

/* The other owner, and what done() finds. */
struct race {
    struct fixture fixture;
    uint32_t turns; /* until the other owner goes on */
    bool went_on;
    struct outcome outcome;
};

static bool stopped(const struct model *model)
{
    return (model->cc & NVME_CC_EN) == 0 && !model->ready;
}

/* done() of a request that no device has completed. */
static void ended(void *arg, struct nvme_result result)
{
    struct race *race = arg;

    assert_true(stopped(race->fixture.model));
    race->outcome.count++;
    race->outcome.result = result;
}

static void post_requests(struct race *race, uint32_t queue)
{
    for (uint32_t i = 0; i < OUTSTANDING; i++) {
        fixture_post_with(&race->fixture, queue, (struct nvme_callback){ended, race});
    }
    nvme_queue_submit(race->fixture.queues[queue]);
}

static void start(struct race *race, enum nvme_mode mode)
{
    memset(race, 0, sizeof(*race));
    fixture_init(&race->fixture);
    fixture_start(&race->fixture, 2, mode);
    fixture_interrupts(&race->fixture);
    race->fixture.model->on_demand = true;
    race->fixture.model->ready_delay_ns = 300 * MS;
    world.meanwhile_arg = race;
}

/* ---- Two owners find a cause at once ---------------------------------------------------- */

enum call {
    CLOSE_QUEUE,
    CLOSE_CONTROLLER,
};

struct owners_case {
    const char *name;
    enum call call;
    uint32_t turns;
    bool at_barrier; /* also between a look at CSTS and what is made of it */
    enum nvme_error error;
};

static const struct owners_case owners_cases[] = {
    {"queue_closed_one_turn_ahead", CLOSE_QUEUE, 0, false, NVME_ERR_DEVICE},
    {"queue_closed_many_turns_ahead", CLOSE_QUEUE, 50, false, NVME_ERR_DEVICE},
    {"queue_closed_amid_a_look", CLOSE_QUEUE, 0, true, NVME_ERR_DEVICE},
    {"controller_closed_one_turn_ahead", CLOSE_CONTROLLER, 0, false, NVME_ERR_FATAL},
    {"controller_closed_many_turns_ahead", CLOSE_CONTROLLER, 50, false, NVME_ERR_FATAL},
    {"controller_closed_amid_a_look", CLOSE_CONTROLLER, 0, true, NVME_ERR_FATAL},
};

/* The first to set `failure` has done no more; now it writes INTMS, CC and the state. */
static void other_owner_goes_on(void *arg)
{
    struct race *race = arg;

    if (race->went_on) {
        return;
    }
    if (race->turns != 0) {
        race->turns--;
        world.meanwhile[WORLD_AT_RELAX] = other_owner_goes_on;
        return;
    }
    race->went_on = true;
    race->fixture.controller->failure = NVME_OK;
    nvme_controller_disable(race->fixture.controller, NVME_ERR_FATAL);
}

static void owner_that_lost_the_race_waits_for_the_winners_disabling(void **state)
{
    const struct owners_case *this = *state;
    struct race race;
    struct nvme_controller *controller;

    start(&race, NVME_MODE_POLL);
    controller = race.fixture.controller;
    race.turns = this->turns;
    if (this->call == CLOSE_QUEUE) {
        post_requests(&race, 0);
        race.fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = 0x101;
    }
    controller->failure = NVME_ERR_FATAL;
    world.meanwhile[WORLD_AT_RELAX] = other_owner_goes_on;
    if (this->at_barrier) {
        world.meanwhile[WORLD_AT_REGISTER_BARRIER] = other_owner_goes_on;
    }
    assert_int_equal(this->call == CLOSE_QUEUE ? nvme_queue_close(race.fixture.queues[0])
                                               : nvme_controller_close(controller),
                     this->error);
    assert_true(race.went_on);
    assert_true(stopped(race.fixture.model));
    assert_false(fixture_saw(&race.fixture, NVME_EVENT_DISABLE_TIMEOUT));
    assert_int_equal(race.outcome.count, this->call == CLOSE_QUEUE ? OUTSTANDING : 0);
    if (this->call == CLOSE_QUEUE) {
        assert_int_equal(race.outcome.result.error, NVME_ERR_FATAL);
        assert_int_equal(nvme_controller_close(controller), NVME_ERR_FATAL);
    }
    fixture_drop(&race.fixture);
}

/* ---- Another owner disables the controller in the midst of a close ----------------------- */

struct close_case {
    const char *name;
    bool by_done; /* between the two deletions; else before the first */
    enum nvme_mode mode;
    enum nvme_error cause;
    enum nvme_error left; /* how the requests end that no device has completed */
};

static const struct close_case close_cases[] = {
    {"before_the_first_deletion", false, NVME_MODE_POLL, NVME_ERR_TIMEOUT, NVME_ERR_TIMEOUT},
    {"before_the_first_deletion_removed", false, NVME_MODE_POLL, NVME_ERR_REMOVED,
     NVME_ERR_REMOVED},
    {"before_the_first_deletion_with_interrupts", false, NVME_MODE_INTERRUPT, NVME_ERR_FATAL,
     NVME_ERR_FATAL},
    {"between_the_deletions", true, NVME_MODE_POLL, NVME_ERR_FATAL, NVME_ERR_ABORTED},
    {"between_the_deletions_with_interrupts", true, NVME_MODE_INTERRUPT, NVME_ERR_TIMEOUT,
     NVME_ERR_ABORTED},
};

static const struct close_case *closing;

static void disable(void *arg)
{
    struct race *race = arg;

    nvme_controller_disable(race->fixture.controller, closing->cause);
}

static void disable_from_done(void *arg, struct nvme_result result)
{
    assert_int_equal(result.error, NVME_OK);
    disable(arg);
}

static void close_on_a_controller_disabled_meanwhile_returns_the_cause(void **state)
{
    struct race race;
    struct outcome left[OUTSTANDING] = {0};
    struct nvme_queue *queue;

    closing = *state;
    start(&race, closing->mode);
    queue = race.fixture.queues[0];
    race.fixture.model->delete_drops = true;
    if (closing->by_done) {
        assert_int_equal(nvme_read(queue, &race.fixture.ns, 0, 1, fixture_block,
                                   (struct nvme_callback){disable_from_done, &race}),
                         NVME_OK);
        for (uint32_t i = 0; i < OUTSTANDING; i++) {
            assert_int_equal(
                nvme_read(queue, &race.fixture.ns, 0, 1, fixture_block, outcome_callback(&left[i])),
                NVME_OK);
        }
        nvme_queue_submit(queue);
        model_step(race.fixture.model, 1);
    } else {
        post_requests(&race, 0);
        world.meanwhile[WORLD_AT_DOORBELL] = disable; /* the queue takes no more posts */
    }
    assert_int_equal(nvme_queue_close(queue), closing->cause);
    assert_true(stopped(race.fixture.model));
    assert_int_equal(race.outcome.count, closing->by_done ? 0 : OUTSTANDING);
    assert_int_equal(race.outcome.result.error, closing->by_done ? NVME_OK : closing->left);
    for (uint32_t i = 0; closing->by_done && i < OUTSTANDING; i++) {
        outcome_check_error(&left[i], closing->left);
    }
    assert_int_equal(nvme_queue_close(queue), NVME_ERR_STATE);
    assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 0);
    assert_int_equal(nvme_controller_close(race.fixture.controller), closing->cause);
    fixture_drop(&race.fixture);
}

/* ---- A handler between a call and its bracket -------------------------------------------- */

enum poster {
    READ,
    WRITE,
    FLUSH,
    BATCH,
    PASS_DATA,
    PASS_NOTHING,
};

struct poster_case {
    const char *name;
    enum poster poster;
};

static const struct poster_case poster_cases[] = {
    {"read", READ},
    {"write", WRITE},
    {"flush", FLUSH},
    {"batch", BATCH},
    {"pass_through", PASS_DATA},
    {"pass_through_without_data", PASS_NOTHING},
};

static enum nvme_error post_by(struct fixture *fixture, enum poster poster,
                               struct nvme_callback callback)
{
    struct nvme_queue *queue = fixture->queues[0];
    struct nvme_command read = {.cdw0 = NVME_CMD_READ, .nsid = 1};
    struct nvme_command flush = {.cdw0 = NVME_CMD_FLUSH, .nsid = 1};
    struct nvme_io io = {.opcode = NVME_CMD_FLUSH, .callback = callback};
    uint32_t posted = 99;
    enum nvme_error error = NVME_OK;

    switch (poster) {
    case READ:
        return nvme_read(queue, &fixture->ns, 0, 1, fixture_block, callback);
    case WRITE:
        return nvme_write(queue, &fixture->ns, 0, 1, fixture_block, callback);
    case FLUSH:
        return nvme_flush(queue, &fixture->ns, callback);
    case BATCH:
        error = nvme_post_many(queue, &fixture->ns, &io, 1, &posted);
        assert_int_equal(posted, 0);
        return error;
    case PASS_DATA:
        return nvme_passthrough(queue, &read, fixture_block, BLOCK, callback);
    case PASS_NOTHING:
        return nvme_passthrough(queue, &flush, NULL, 0, callback);
    }
    return error;
}

/* The watchdog of a timer's trap: RDY has fallen, the queue ends. */
static void handler_ends_the_queue(void *arg)
{
    struct race *race = arg;

    world_advance(1000 * MS);
    nvme_queue_watchdog(race->fixture.queues[0], world.now_ns);
    assert_int_equal(race->outcome.count, OUTSTANDING);
}

static void post_on_a_queue_that_a_handler_has_just_ended_is_refused(void **state)
{
    const struct poster_case *this = *state;
    struct race race;
    struct outcome refused = {0};
    struct nvme_queue *queue;

    start(&race, NVME_MODE_INTERRUPT);
    queue = race.fixture.queues[0];
    post_requests(&race, 0);
    race.fixture.model->fatal = true;
    nvme_queue_watchdog(queue, world.now_ns);
    assert_int_equal(race.outcome.count, 0);
    world.meanwhile[WORLD_AT_IRQ_SAVE] = handler_ends_the_queue;
    assert_int_equal(post_by(&race.fixture, this->poster, outcome_callback(&refused)),
                     NVME_ERR_STATE);
    assert_int_equal(race.outcome.count, OUTSTANDING);
    assert_int_equal(race.outcome.result.error, NVME_ERR_FATAL);
    assert_int_equal(nvme_queue_outstanding(queue), 0);
    nvme_queue_submit(queue);
    nvme_queue_reap(queue, FIXTURE_DEPTH);
    assert_int_equal(nvme_controller_close(race.fixture.controller), NVME_ERR_FATAL);
    assert_int_equal(refused.count, 0);
    fixture_drop(&race.fixture);
}

/* ---- A hart that sleeps past a deadline --------------------------------------------------- */

/* Behind the look that found nothing: the command ends, and time passes its deadline. */
static void sleep_until_answered(void *arg)
{
    struct race *race = arg;

    if (race->turns != 0) {
        race->turns--;
        world.meanwhile[WORLD_AT_NOW] = sleep_until_answered;
        return;
    }
    race->went_on = true;
    model_step_one(race->fixture.model, 0);
    world_advance(2 * NVME_COMMAND_TIMEOUT_DEFAULT_NS);
}

static void admin_completion_in_the_ring_counts_though_its_deadline_is_over(void **state)
{
    struct race race;
    uint32_t nsid;

    (void)state;
    for (uint32_t turns = 1; turns < 5; turns++) {
        start(&race, NVME_MODE_POLL);
        race.fixture.model->admin_silent = true;
        race.turns = turns; /* the first reading of the clock is the command's start */
        world.meanwhile[WORLD_AT_NOW] = sleep_until_answered;
        nsid = 0;
        assert_int_equal(nvme_namespace_next(race.fixture.controller, 0, &nsid), NVME_OK);
        assert_true(race.went_on);
        assert_int_equal(nsid, 1);
        assert_int_equal(race.fixture.event_count, 0);
        race.fixture.model->admin_silent = false;
        fixture_finish(&race.fixture);
    }
}

int main(void)
{
    struct CMUnitTest
        tests[1 + COUNT_OF(owners_cases) + COUNT_OF(close_cases) + COUNT_OF(poster_cases)] = {
            cmocka_unit_test(admin_completion_in_the_ring_counts_though_its_deadline_is_over),
        };
    size_t count = 1;

    ADD_CASES(tests, &count, owner_that_lost_the_race_waits_for_the_winners_disabling,
              owners_cases);
    ADD_CASES(tests, &count, close_on_a_controller_disabled_meanwhile_returns_the_cause,
              close_cases);
    ADD_CASES(tests, &count, post_on_a_queue_that_a_handler_has_just_ended_is_refused,
              poster_cases);
    return fixture_run("race", tests, count);
}
