// SPDX-License-Identifier: MIT
/*
 * What tests of resets have in common: see fixture_reset.h.
 */
#include "fixture_reset.h"

#define MS UINT64_C(1000000)

void fixture_init_reset(struct fixture *fixture, bool vectors)
{
    fixture_init(fixture);
    if (vectors) {
        fixture_use_vectors(fixture);
    }
    fixture->config.command_timeout_ns = FIXTURE_TIMEOUT_MS * MS;
    fixture->config.resets_max = FIXTURE_RESETS_MAX;
}

void fixture_start_reset(struct fixture *fixture, uint32_t count, enum nvme_mode mode)
{
    fixture_init_reset(fixture, false);
    fixture_start(fixture, count, mode);
    fixture_interrupts(fixture);
}

void fixture_check_works(struct fixture *fixture, uint32_t queue)
{
    struct outcome outcome = {0};

    fixture_submit(fixture, queue, &outcome);
    model_step(fixture->model, UINT32_MAX);
    fixture_interrupts(fixture);
    nvme_queue_reap(fixture->queues[queue], FIXTURE_DEPTH);
    outcome_check_ok(&outcome, BLOCK);
}

static void watch(struct fixture *fixture)
{
    for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
        if (fixture->queues[i] != NULL) {
            nvme_queue_watchdog(fixture->queues[i], world.now_ns);
        }
    }
}

static bool is_over(const struct fixture *fixture, uint32_t resets)
{
    return fixture_count_events(fixture, NVME_EVENT_RESET) == resets ||
           fixture_saw(fixture, NVME_EVENT_DISABLED) ||
           fixture_saw(fixture, NVME_EVENT_DISABLE_TIMEOUT);
}

void fixture_watch_until_reset(struct fixture *fixture, uint32_t count)
{
    for (uint32_t i = 0; !is_over(fixture, count); i++) {
        assert_true(i < FIXTURE_WATCHES_MAX);
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        watch(fixture);
    }
    watch(fixture); /* the owners resume */
}
