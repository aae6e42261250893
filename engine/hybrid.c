// SPDX-License-Identifier: MIT
/*
 * Hybrid mode's decision for a blocked owner: it waits for the next completion awake or asleep.
 * Waits are measured, in time per completion; a *probe* measures the other way. DESIGN.md.
 */
#include "nvme_internal.h"

enum {
    LOOKS_PER_CLOCK = 16, /* awake; the others are polling: no clock, no decision */
    LEARNED_MAX = 64,     /* waits; then each of them counts half */
    WAITS_MIN = 4,        /* of a probe, and between two */
};

/* True if a completion costs more here than there, by more than an n-th. */
static bool costs_more(const struct nvme_learned *here, const struct nvme_learned *there,
                       uint64_t n)
{
    return here->time_ns * there->completions * n > there->time_ns * here->completions * (n + 1);
}

static void forget_part(struct nvme_learned *way, uint32_t shift)
{
    way->time_ns >>= shift;
    way->completions >>= shift;
    way->waits >>= shift;
}

/* Ends a probe, or begins one. A hart that spins is lost to others: a 32nd must be gained by it. */
static void change_phase(struct nvme_queue *queue)
{
    struct nvme_wait *wait = &queue->wait;

    wait->probe = !wait->probe;
    if (wait->probe) {
        forget_part(&wait->ways[!wait->awake], 3);
    } else if (costs_more(&wait->ways[false], &wait->ways[true], 32) != wait->awake) {
        wait->awake = !wait->awake;
        queue->counters.policy_switches++;
    }
    wait->phase_ns = 0;
    wait->waits = 0;
}

/* One wait counts at most thrice the mean: it may have lasted through another mode, or a pause. */
static void learn_wait(struct nvme_queue *queue, uint64_t time_ns, uint64_t completions)
{
    struct nvme_wait *wait = &queue->wait;
    struct nvme_learned *way = &wait->ways[nvme_hybrid_awake(wait)];
    uint64_t bound_ns =
        way->completions != 0 ? (3 * way->time_ns / way->completions + 1) * completions : time_ns;

    way->time_ns += time_ns < bound_ns ? time_ns : bound_ns;
    way->completions += completions;
    if (++way->waits == LEARNED_MAX) {
        forget_part(way, 1);
    }
    wait->phase_ns += time_ns;
    if (wait->waits > WAITS_MIN &&
        (wait->phase_ns >= (wait->probe ? NVME_PROBE_NS : NVME_POLICY_NS) ||
         (wait->probe && costs_more(way, &wait->ways[wait->awake], 2)))) {
        change_phase(queue);
    }
}

/* Reads the clock: true if the owner should spin. The first reading of a wait ends the last one. */
static NVME_COLD bool time_wait(struct nvme_queue *queue)
{
    struct nvme_wait *wait = &queue->wait;
    uint64_t now_ns = hal_now_ns();

    if (wait->until_ns == 0) {
        wait->until_ns = now_ns + queue->controller->config.hybrid_spin_max_ns;
        /* The first wait of a phase has the work of the last one. */
        if (wait->from_ns != 0 && wait->waits++ != 0) {
            learn_wait(queue, now_ns - wait->from_ns, wait->consumed - wait->from_consumed);
        }
        wait->from_ns = now_ns;
        wait->from_consumed = wait->consumed;
        queue->counters.waits_spun += nvme_hybrid_awake(wait);
    }
    return nvme_hybrid_awake(wait) && now_ns < wait->until_ns;
}

bool nvme_hybrid_spin(struct nvme_queue *queue)
{
    struct nvme_wait *wait = &queue->wait;
    uint64_t consumed = nvme_queue_consumed(queue);

    if (consumed != wait->consumed) {
        queue->counters.empty_looks += wait->looks;
        wait->consumed = consumed;
        wait->looks = 0;
        wait->until_ns = 0;
        wait->slept = false;
    }
    if (wait->slept || (nvme_hybrid_awake(wait) && ++wait->looks % LOOKS_PER_CLOCK != 0)) {
        return !wait->slept;
    }
    return time_wait(queue);
}
