// SPDX-License-Identifier: MIT
/*
 * Devices that lack, refuse or garble something and are used all the same: lists of namespaces, the
 * fields of an entry that prove nothing, a shutdown that takes longer than a command.
 */
#include "fixture.h"
#include "nvme_internal.h"

enum {
    BLOCKS = 64,
    LAPS = 3 * FIXTURE_DEPTH,
    LATE = 8, /* entries of the completion ring beyond the submission ring's */
};

#define SECOND UINT64_C(1000000000)

/* ---- Namespaces -------------------------------------------------------------------------- */

/* Before 1.1 CNS is one bit: the list would read as Identify Namespace. */
static void device_before_1_1_is_not_asked_for_the_list(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 0;

    (void)state;
    fixture_init(&fixture);
    fixture.model->version = 0x00010000;
    model_set_namespace(fixture.model, 3, 9, BLOCKS);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_OK);
    assert_int_equal(nsid, 1);
    assert_int_equal(nvme_namespace_next(fixture.controller, 1, &nsid), NVME_OK);
    assert_int_equal(nsid, 3);
    assert_int_equal(nvme_namespace_next(fixture.controller, 3, &nsid), NVME_ERR_NAMESPACE);
    assert_false(fixture_saw(&fixture, NVME_EVENT_ADMIN_FAILED));
    fixture_finish(&fixture);
}

struct front_case {
    const char *name;
    bool list_refused;
    uint8_t block_shift; /* of namespace 1 */
    uint16_t metadata_bytes;
    uint64_t block_count;
    enum nvme_error error;
};

static const struct front_case front_cases[] = {
    {"no_blocks", false, 9, 0, 0, NVME_ERR_NAMESPACE},
    {"metadata", false, 9, 8, BLOCKS, NVME_ERR_UNSUPPORTED},
    {"blocks_too_small", false, 8, 0, BLOCKS, NVME_ERR_IDENTIFY},
    {"blocks_too_large", false, 20, 0, BLOCKS, NVME_ERR_UNSUPPORTED},
    {"metadata_without_the_list", true, 9, 8, BLOCKS, NVME_ERR_UNSUPPORTED},
    {"no_blocks_without_the_list", true, 9, 0, 0, NVME_ERR_NAMESPACE},
};

static void unusable_namespace_does_not_hide_the_next(void **state)
{
    const struct front_case *this = *state;
    struct fixture fixture;
    struct model_namespace *first;
    struct nvme_namespace ns = {0};
    struct outcome outcome = {0};
    uint32_t nsid = 0;

    fixture_init(&fixture);
    fixture.model->list_refused = this->list_refused;
    first = &fixture.model->namespaces[0];
    first->block_shift = this->block_shift;
    first->metadata_bytes = this->metadata_bytes;
    first->block_count = this->block_count;
    model_set_namespace(fixture.model, 2, 9, BLOCKS);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), this->error);
    do {
        assert_int_equal(nvme_namespace_next(fixture.controller, nsid, &nsid), NVME_OK);
    } while (nvme_namespace_open(fixture.controller, nsid, &fixture.ns) != NVME_OK);
    assert_int_equal(nsid, 2);
    assert_int_equal(nvme_queue_open(fixture.controller, 0,
                                     &(struct nvme_queue_config){.mode = NVME_MODE_POLL},
                                     &fixture.queues[0]),
                     NVME_OK);
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(nvme_queue_reap(fixture.queues[0], 1), 1);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static uint32_t refusals(const struct fixture *fixture)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fixture->event_count; i++) {
        count += fixture->events[i].kind == NVME_EVENT_ADMIN_FAILED;
    }
    return count;
}

/* The hook's other events are not drowned, whatever a program does again and again. */
static void equal_refusals_are_told_once(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 0;

    (void)state;
    fixture_init(&fixture);
    fixture.model->list_refused = true;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_OK);
    }
    assert_int_equal(refusals(&fixture), 1);
    fixture.model->admin_status[NVME_ADMIN_IDENTIFY] = 0x006; /* another status */
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), NVME_ERR_DEVICE);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &fixture.ns), NVME_ERR_DEVICE);
    assert_int_equal(refusals(&fixture), 2);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_ADMIN_FAILED).limit, 0x006);
    fixture_finish(&fixture);
}

/* ---- SQHD and SQID ----------------------------------------------------------------------- */

struct garbled_case {
    const char *name;
    enum nvme_mode mode;
    bool vectors;
    bool clocked;
    bool late; /* the completion doorbell */
    bool shadow;
};

static const struct garbled_case garbled_cases[] = {
    {"poll", NVME_MODE_POLL, false, false, false, false},
    {"poll_clocked", NVME_MODE_POLL, false, true, false, false},
    {"poll_late", NVME_MODE_POLL, false, false, true, false},
    {"poll_clocked_late", NVME_MODE_POLL, false, true, true, false},
    {"poll_shadow", NVME_MODE_POLL, false, false, false, true},
    {"poll_shadow_clocked", NVME_MODE_POLL, false, true, false, true},
    {"poll_shadow_clocked_late", NVME_MODE_POLL, false, true, true, true},
    {"line", NVME_MODE_INTERRUPT, false, false, false, false},
    {"line_clocked", NVME_MODE_INTERRUPT, false, true, false, false},
    {"line_shadow_clocked", NVME_MODE_INTERRUPT, false, true, false, true},
    {"vector", NVME_MODE_INTERRUPT, true, false, false, false},
    {"vector_clocked", NVME_MODE_INTERRUPT, true, true, false, false},
    {"vector_shadow", NVME_MODE_INTERRUPT, true, false, false, true},
    {"vector_shadow_clocked", NVME_MODE_INTERRUPT, true, true, false, true},
    {"hybrid", NVME_MODE_HYBRID, true, false, false, false},
    {"hybrid_clocked_late", NVME_MODE_HYBRID, true, true, true, false},
    {"hybrid_shadow_clocked_late", NVME_MODE_HYBRID, true, true, true, true},
};

/* Dword 2 of entries, by turns: SQHD, SQID or both are wrong; the last one is as it should be. */
static const uint32_t garbled[] = {
    2U << 16 | 1,      0,          0xffffffff, 1U << 16 | FIXTURE_DEPTH,
    1U << 16 | 0xffff, 0xffff0001, 0x8000fffe, 1U << 16,
};

static uint32_t garbled_entries;

/* It changes every entry: the model takes the hook away after each. */
static void garble(struct model *model, uint32_t cqid, struct nvme_completion *entry)
{
    (void)cqid;
    model->bend = garble;
    entry->sq = garbled[garbled_entries++ % COUNT_OF(garbled)];
}

static void start_garbled(struct fixture *fixture, const struct garbled_case *this)
{
    fixture_init(fixture);
    if (this->vectors) {
        fixture_use_vectors(fixture);
    }
    fixture->clocked = this->clocked;
    fixture->model->shadow_offered = this->shadow;
    fixture->config.shadow_doorbells = this->shadow;
    fixture->config.cq_depth_entries = this->late ? FIXTURE_DEPTH + LATE : 0;
    fixture_start(fixture, 1, this->mode);
    fixture_interrupts(fixture);
    fixture->model->on_demand = true;
    fixture->model->bend = garble;
    garbled_entries = 0;
}

/* Waits as a program does: reaps, or sleeps and takes the interrupt. */
static void wait_once(struct fixture *fixture, enum nvme_mode mode)
{
    if (mode == NVME_MODE_POLL || !nvme_queue_arm(fixture->queues[0], NVME_WAIT_BLOCKED)) {
        nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
    }
    model_step(fixture->model, UINT32_MAX);
    fixture_interrupts(fixture);
    world_advance(1000);
}

/* Slot and generation prove the request. Every one ends, at once, with any doorbell. */
static void garbled_entry_loses_no_request(void **state)
{
    const struct garbled_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    uint32_t posted = 0;

    start_garbled(&fixture, this);
    for (uint32_t turn = 0; turn < LAPS; turn++) {
        uint32_t count = 1 + turn % (FIXTURE_DEPTH - 1);

        posted += count;
        fixture_submit_each(&fixture, count, &outcome);
        for (uint32_t i = 0; outcome.count != posted; i++) {
            assert_true(i < 100);
            wait_once(&fixture, this->mode);
        }
        assert_int_equal(outcome.result.error, NVME_OK);
    }
    assert_int_equal(fixture_counters(fixture.queues[0]).malformed,
                     garbled_entries - garbled_entries / COUNT_OF(garbled));
    assert_int_equal(fixture_counters(fixture.queues[0]).stale, 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    fixture_finish(&fixture);
}

/* Of the admin queue too: every command of a bring-up, and those behind it. */
static void garbled_admin_entry_ends_its_command(void **state)
{
    struct fixture fixture;
    uint64_t malformed;

    (void)state;
    fixture_init(&fixture);
    fixture.model->bends_admin = true;
    fixture.model->bend = garble;
    garbled_entries = 0;
    fixture_start(&fixture, FIXTURE_QUEUES, NVME_MODE_POLL);
    assert_true(garbled_entries > 2 * FIXTURE_QUEUES);
    malformed = fixture.controller->admin.counters.malformed;
    assert_in_range(malformed, garbled_entries / 2, garbled_entries);
    fixture_finish(&fixture);
}

/* ---- Shutdown ---------------------------------------------------------------------------- */

struct shutdown_case {
    const char *name;
    uint64_t takes_ns;
    enum nvme_error error;
};

/* RTD3E is 10 s, a command may take 1 s. */
static const struct shutdown_case shutdown_cases[] = {
    {"slower_than_a_command", 9 * SECOND, NVME_OK},
    {"slower_than_rtd3e", 11 * SECOND, NVME_ERR_TIMEOUT},
};

static void shutdown_may_take_what_rtd3e_says(void **state)
{
    const struct shutdown_case *this = *state;
    struct fixture fixture;
    uint64_t began;

    fixture_init(&fixture);
    fixture.config.command_timeout_ns = SECOND;
    fixture.model->rtd3e = 10 * 1000 * 1000;
    fixture.model->shutdown_delay_ns = this->takes_ns;
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    began = world.now_ns;
    assert_int_equal(nvme_controller_close(fixture.controller), this->error);
    assert_in_range(world.now_ns - began, 9 * SECOND, 10 * SECOND + SECOND / 10);
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest
        tests[3 + COUNT_OF(front_cases) + COUNT_OF(garbled_cases) + COUNT_OF(shutdown_cases)] = {
            cmocka_unit_test(device_before_1_1_is_not_asked_for_the_list),
            cmocka_unit_test(equal_refusals_are_told_once),
            cmocka_unit_test(garbled_admin_entry_ends_its_command),
        };
    size_t count = 3;

    ADD_CASES(tests, &count, unusable_namespace_does_not_hide_the_next, front_cases);
    ADD_CASES(tests, &count, garbled_entry_loses_no_request, garbled_cases);
    ADD_CASES(tests, &count, shutdown_may_take_what_rtd3e_says, shutdown_cases);
    return fixture_run("degraded", tests, count);
}
