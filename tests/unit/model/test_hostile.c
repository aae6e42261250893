// SPDX-License-Identifier: MIT
/*
 * Devices that fill the completion ring with unmatched entries, and what the last reap of a failed
 * controller makes of a ring that is full. Single ones are in test_completion.c.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)

enum {
    TIMEOUT_MS = 1000,
    FULL = FIXTURE_DEPTH - 1, /* entries that a ring can hold */
};

enum unmatched {
    STALE,
    MALFORMED,
    BOTH,
};

struct flood_case {
    const char *name;
    enum unmatched unmatched;
};

static const struct flood_case flood_cases[] = {
    {"flood_of_stale_ids", STALE},
    {"flood_of_malformed_entries", MALFORMED},
    {"flood_of_both", BOTH},
};
static const struct flood_case expiry_cases[] = {
    {"deadline_amid_stale_ids", STALE},
    {"deadline_amid_malformed_entries", MALFORMED},
    {"deadline_amid_both", BOTH},
};
static const struct flood_case storm_cases[] = {
    {"storm_of_stale_ids", STALE},
    {"storm_of_malformed_entries", MALFORMED},
    {"storm_of_both", BOTH},
};

static void flood(struct fixture *fixture, enum unmatched unmatched, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool stale = unmatched == STALE || (unmatched == BOTH && i % 2 == 0);
        struct nvme_completion entry = {
            .sq = (stale ? 1U : 2U) << 16 | 1,
            .status = 0xffff,
        };

        model_post_entry(fixture->model, 1, entry);
    }
}

static uint64_t unmatched_seen(const struct nvme_queue *queue)
{
    return fixture_counters(queue).stale;
}

/* ---- Floods ----------------------------------------------------------------------------- */

static void reap_reports_requests_only(void **state)
{
    const struct flood_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_queue *queue = fixture_poll_queue(&fixture);
    uint32_t doorbells;

    fixture.model->on_demand = true;
    for (uint32_t turn = 1; turn <= 10; turn++) {
        flood(&fixture, this->unmatched, FULL);
        doorbells = model_doorbell_count(fixture.model, 1, true);
        assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 0);
        assert_int_equal(unmatched_seen(queue), turn * FULL);
        /* Consumed all the same, or the ring would be full for ever. */
        assert_int_equal(model_doorbell_count(fixture.model, 1, true), doorbells + 1);
        assert_int_equal(fixture.model->cqs[1].head, fixture.model->cqs[1].tail);
    }
    fixture_post(&fixture, 0, &outcome);
    nvme_queue_submit(queue);
    flood(&fixture, this->unmatched, 5);
    model_step(fixture.model, 1);
    flood(&fixture, this->unmatched, 6);
    assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

/* The owner runs its watchdog only when its reap has found nothing. */
static void polled_request_expires_amid_a_flood(void **state)
{
    const struct flood_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint64_t began;

    fixture_init(&fixture);
    fixture.config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    began = world.now_ns;
    while (outcome.count == 0 && world.now_ns - began < 10 * TIMEOUT_MS * MS) {
        world_advance(MS);
        if (fixture.model->cqs[1].exists) {
            flood(&fixture, this->unmatched, FULL);
        }
        if (nvme_queue_reap(fixture.queues[0], FIXTURE_DEPTH) == 0) {
            nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        }
    }
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_in_range((world.now_ns - began) / MS, TIMEOUT_MS, TIMEOUT_MS * 12 / 10 + 200);
    assert_true(fixture_saw(&fixture, NVME_EVENT_COMMAND_TIMEOUT));
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

/* One interrupt of the line for entries that are there already. */
static uint32_t take_interrupt(struct fixture *fixture)
{
    uint32_t found;

    assert_true(model_line_claim(&fixture->line));
    found = nvme_irq_handle(&fixture->controller, 1);
    model_line_complete(&fixture->line);
    return found;
}

static void interrupts_of_unmatched_entries_are_spurious_and_reach_the_storm_bound(void **state)
{
    const struct flood_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    for (uint32_t i = 1; i < NVME_STORM_INTERRUPTS; i++) {
        flood(&fixture, this->unmatched, 1 + i % FULL);
        assert_int_equal(take_interrupt(&fixture), 0);
    }
    /* One request amid unmatched entries begins the count anew. */
    flood(&fixture, this->unmatched, 4);
    model_step(fixture.model, 1);
    flood(&fixture, this->unmatched, 4);
    assert_int_equal(take_interrupt(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    /* The first after a completion may have been for it. */
    for (uint32_t i = 0; i <= NVME_STORM_INTERRUPTS; i++) {
        uint64_t spurious = fixture_counters(fixture.queues[0]).spurious;

        assert_false(fixture_saw(&fixture, NVME_EVENT_INTERRUPT_STORM));
        flood(&fixture, this->unmatched, 1 + i % FULL);
        assert_int_equal(take_interrupt(&fixture), 0);
        assert_int_equal(fixture_counters(fixture.queues[0]).spurious, spurious + 1);
    }
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_INTERRUPT_STORM).value,
                     NVME_STORM_INTERRUPTS);
    assert_int_equal(fixture.model->interrupt_mask, 1);
    assert_int_equal(nvme_queue_mode(fixture.queues[0]), NVME_MODE_POLL);
    fixture_finish(&fixture);
}

/* ---- The last reap --------------------------------------------------------------------- */

struct last_case {
    const char *name;
    uint32_t budget;
    uint32_t unmatched; /* entries after the second completion */
    uint32_t found;     /* requests ended within the budget */
};

enum {
    POSTED = 8,
    COMPLETED = 6,
};

static const struct last_case last_cases[] = {
    {"budget_of_one", 1, 0, 1},
    {"budget_of_five", 5, 0, 5},
    {"budget_of_the_ring", FIXTURE_DEPTH, 0, COMPLETED},
    {"budget_of_one_and_unmatched_beyond", 1, 5, 1},
    {"budget_that_ends_amid_unmatched", 4, 5, 2},
    {"budget_of_the_ring_and_unmatched", FIXTURE_DEPTH, 5, COMPLETED},
};

/* Fails queue 1's controller; queue 0's owner has not looked since. */
static void fail_meanwhile(struct fixture *fixture, struct outcome *other)
{
    fixture_submit(fixture, 1, other);
    fixture->model->fatal = true;
    world_advance(10 * MS);
    nvme_queue_watchdog(fixture->queues[1], world.now_ns);
    assert_int_equal(other->count, 0);
    world_advance(10 * MS);
    nvme_queue_watchdog(fixture->queues[1], world.now_ns);
    outcome_check_error(other, NVME_ERR_FATAL);
}

static void completions_before_rdy_fell_are_successes_whatever_the_budget(void **state)
{
    const struct last_case *this = *state;
    struct fixture fixture;
    struct outcome outcomes[POSTED] = {0};
    struct outcome other = {0};
    struct nvme_queue *queue;

    fixture_init(&fixture);
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    queue = fixture.queues[0];
    for (uint32_t i = 0; i < POSTED; i++) {
        fixture_post(&fixture, 0, &outcomes[i]);
    }
    nvme_queue_submit(queue);
    model_step(fixture.model, 2);
    flood(&fixture, BOTH, this->unmatched);
    model_step(fixture.model, COMPLETED - 2);
    fail_meanwhile(&fixture, &other);
    assert_int_equal(nvme_queue_reap(queue, this->budget), this->found);
    for (uint32_t again = 0; again < 2; again++) {
        for (uint32_t i = 0; i < POSTED; i++) {
            if (i < COMPLETED) {
                outcome_check_ok(&outcomes[i], BLOCK);
            } else {
                outcome_check_error(&outcomes[i], NVME_ERR_FATAL);
            }
        }
        assert_int_equal(unmatched_seen(queue), this->unmatched);
        assert_int_equal(fixture_counters(queue).completions, COMPLETED + this->unmatched);
        assert_int_equal(nvme_queue_outstanding(queue), 0);
        assert_int_equal(nvme_queue_reap(queue, this->budget), 0);
    }
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

/* What done() posts in the last reap never reaches the device. */
struct successor {
    struct fixture *fixture;
    struct outcome first;
    struct outcome next;
};

static void find_the_queue_ended(void *arg, struct nvme_result result)
{
    struct successor *successor = arg;

    successor->next.count++;
    successor->next.result = result;
    assert_int_equal(nvme_flush(successor->fixture->queues[0], &successor->fixture->ns,
                                (struct nvme_callback){find_the_queue_ended, successor}),
                     NVME_ERR_STATE);
}

static void post_successor(void *arg, struct nvme_result result)
{
    struct successor *successor = arg;

    successor->first.count++;
    successor->first.result = result;
    fixture_post_with(successor->fixture, 0,
                      (struct nvme_callback){find_the_queue_ended, successor});
}

static void request_posted_by_done_of_the_last_reap_ends_with_the_cause(void **state)
{
    struct fixture fixture;
    struct successor successors[2] = {0};
    struct outcome other = {0};
    uint32_t doorbells;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    for (size_t i = 0; i < COUNT_OF(successors); i++) {
        successors[i].fixture = &fixture;
        fixture_post_with(&fixture, 0, (struct nvme_callback){post_successor, &successors[i]});
    }
    nvme_queue_submit(fixture.queues[0]);
    model_step(fixture.model, COUNT_OF(successors));
    fail_meanwhile(&fixture, &other);
    doorbells = fixture.model->doorbell_count;
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    for (size_t i = 0; i < COUNT_OF(successors); i++) {
        outcome_check_ok(&successors[i].first, BLOCK);
        outcome_check_error(&successors[i].next, NVME_ERR_FATAL);
    }
    assert_int_equal(fixture.model->doorbell_count, doorbells);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_FATAL);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(flood_cases) + COUNT_OF(expiry_cases) +
                            COUNT_OF(storm_cases) + COUNT_OF(last_cases)] = {
        cmocka_unit_test(request_posted_by_done_of_the_last_reap_ends_with_the_cause),
    };
    size_t count = 1;

    ADD_CASES(tests, &count, reap_reports_requests_only, flood_cases);
    ADD_CASES(tests, &count, polled_request_expires_amid_a_flood, expiry_cases);
    ADD_CASES(tests, &count, interrupts_of_unmatched_entries_are_spurious_and_reach_the_storm_bound,
              storm_cases);
    ADD_CASES(tests, &count, completions_before_rdy_fell_are_successes_whatever_the_budget,
              last_cases);
    return fixture_run("hostile", tests, count);
}
