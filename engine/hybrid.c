// SPDX-License-Identifier: MIT
/*
 * Hybrid mode's decision for a blocked owner: it waits for the next completion awake or asleep.
 * Longer waits are measured, in time per completion; a *probe* measures the other way. DESIGN.md.
 */
#include "nvme_internal.h"

enum {
    LOOKS_FREE = 16,     /* of a wait awake, without clock and decision; of the later ones */
    LOOKS_PER_CLOCK = 8, /* one in so many reads the clock */
    LEARNED_MAX = 128,   /* waits; then each of them counts half */
    WAITS_MIN = 4,       /* to see that a way is lost */
    PHASE_WAITS = 16,    /* of a probe, and of the time between two, at least */
    SPACING_MAX = 256,   /* probes that would fit between two, doubled while they change nothing */
};

#define PROBE_NS UINT64_C(500000) /* at least: devices and hosts fluctuate */

/* True if a completion costs more than numerator / denominator of what it costs there. */
static bool costs_more(const struct nvme_learned *here, const struct nvme_learned *there,
                       uint64_t numerator, uint64_t denominator)
{
    return here->time_ns * there->completions * denominator >
           there->time_ns * here->completions * numerator;
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
        wait->phase_min_ns = PROBE_NS;
        forget_part(&wait->ways[nvme_hybrid_awake(wait)], 2);
    } else {
        wait->spacing = wait->spacing < SPACING_MAX ? 2 * wait->spacing : SPACING_MAX;
        if (costs_more(&wait->ways[false], &wait->ways[true], 33, 32) != wait->awake) {
            wait->awake = !wait->awake;
            wait->spacing = wait->spacing / 8 + 1;
            queue->counters.policy_switches++;
        }
        wait->phase_min_ns = wait->phase_ns * wait->spacing;
    }
    wait->reference = wait->ways[wait->awake];
    wait->phase_ns = 0;
    wait->waits = 0;
}

/* True if the way costs much more than the other one, or something else than it did. */
static bool is_over(const struct nvme_wait *wait, const struct nvme_learned *way)
{
    return (wait->waits >= PHASE_WAITS && wait->phase_ns >= wait->phase_min_ns) ||
           (wait->waits >= WAITS_MIN &&
            (costs_more(way, &wait->reference, 3, 2) ||
             (!wait->probe && costs_more(&wait->reference, way, 3, 2))));
}

/* A wait has ended that was asleep or had more than the free looks. */
static NVME_COLD void end_wait(struct nvme_queue *queue, uint64_t consumed)
{
    struct nvme_wait *wait = &queue->wait;
    bool awake = nvme_hybrid_awake(wait);
    struct nvme_learned *way = &wait->ways[awake];
    uint64_t now_ns = hal_now_ns();
    uint64_t time_ns = now_ns - wait->from_ns;
    uint64_t completions = consumed - wait->from_consumed;
    uint64_t bound_ns =
        way->completions != 0 ? (4 * way->time_ns / way->completions + 1) * completions : time_ns;

    queue->counters.waits_slept += wait->slept;
    queue->counters.waits_spun += awake && !wait->slept;
    if (wait->from_ns != 0) {
        /* It may have lasted through another mode, or a host that slept. */
        time_ns = time_ns < bound_ns ? time_ns : bound_ns;
        way->time_ns += time_ns;
        way->completions += completions;
        if (++way->waits == LEARNED_MAX) {
            forget_part(way, 1);
        }
        wait->waits++;
        wait->phase_ns += time_ns;
        if (is_over(wait, way)) {
            change_phase(queue);
            now_ns = 0; /* the first wait of a phase has the work of the last one */
        }
    }
    wait->from_ns = now_ns;
    wait->from_consumed = consumed;
}

/* True while the owner should spin: at most twice as long as a wait asleep. */
static NVME_COLD bool spin_longer(struct nvme_queue *queue)
{
    const struct nvme_learned *asleep = &queue->wait.ways[false];
    uint64_t max_ns = queue->controller->config.hybrid_spin_max_ns;
    uint64_t twice_ns = asleep->waits != 0 ? 2 * asleep->time_ns / asleep->waits : max_ns;
    uint64_t now_ns = hal_now_ns();

    if (queue->wait.until_ns == 0) {
        queue->wait.until_ns = now_ns + (twice_ns < max_ns ? twice_ns : max_ns);
    }
    return now_ns < queue->wait.until_ns;
}

bool nvme_hybrid_spin(struct nvme_queue *queue)
{
    struct nvme_wait *wait = &queue->wait;
    uint64_t consumed = nvme_queue_consumed(queue);

    if (consumed != wait->consumed) {
        queue->counters.empty_looks += wait->looks;
        if (wait->looks > LOOKS_FREE || !nvme_hybrid_awake(wait)) {
            end_wait(queue, consumed);
        }
        wait->consumed = consumed;
        wait->looks = 0;
        wait->until_ns = 0;
        wait->slept = false;
    }
    if (!nvme_hybrid_awake(wait) || wait->slept) {
        return false;
    }
    return ++wait->looks <= LOOKS_FREE || wait->looks % LOOKS_PER_CLOCK != 0 || spin_longer(queue);
}
