// SPDX-License-Identifier: MIT
/*
 * Hybrid mode's decision for a blocked owner: it waits for the next completion awake or asleep.
 * Windows are measured, in time per completion; a *probe* is a window of the other way. DESIGN.md.
 */
#include "nvme_internal.h"

enum {
    LOOKS_PER_CLOCK = 16, /* awake; the others are polling: no clock, no decision */
    WINDOW_COMPLETIONS = 4,
    WINDOWS_KEPT = 8, /* the weight of what is known, against a new window */
    WINDOWS_ODD = 3,  /* in a row, until they are no chance */
    WINDOWS_PER_PROBE = 32,
};

#define WINDOW_NS UINT64_C(500000) /* at least: devices and hosts fluctuate */

/* True if a completion costs more here than there, by more than an n-th. */
static bool costs_more(const struct nvme_learned *here, const struct nvme_learned *there,
                       uint64_t n)
{
    return here->time_ns * there->completions * n > there->time_ns * here->completions * (n + 1);
}

/*
 * A window that costs half as much again, or two thirds, is chance; several are a new load. After a
 * probe the cheaper way is the policy. A hart that spins is lost to others: awake must gain a 32nd.
 */
static void end_window(struct nvme_queue *queue, const struct nvme_learned *window)
{
    struct nvme_wait *wait = &queue->wait;
    struct nvme_learned *way = &wait->ways[nvme_hybrid_awake(wait)];

    if (costs_more(window, way, 2) || costs_more(way, window, 2)) {
        if (++wait->odd < WINDOWS_ODD) {
            return;
        }
        *way = (struct nvme_learned){0};
        wait->until_probe = 1;
    }
    wait->odd = 0;
    way->time_ns += window->time_ns - way->time_ns / WINDOWS_KEPT;
    way->completions += window->completions - way->completions / WINDOWS_KEPT;
    if (!wait->probe) {
        wait->probe = --wait->until_probe == 0;
        return;
    }
    wait->probe = false;
    wait->until_probe = WINDOWS_PER_PROBE;
    if (costs_more(&wait->ways[false], &wait->ways[true], 32) != wait->awake) {
        wait->awake = !wait->awake;
        queue->counters.policy_switches++;
    }
}

/*
 * Reads the clock: true if the owner should spin. The first reading of a wait begins a window or
 * ends it. The wait in between is in none: its requests may have been posted in the other way.
 */
static NVME_COLD bool time_wait(struct nvme_queue *queue)
{
    struct nvme_wait *wait = &queue->wait;
    uint64_t now_ns = hal_now_ns();
    struct nvme_learned window = {now_ns - wait->from_ns, wait->consumed - wait->from_consumed};

    if (wait->until_ns == 0) {
        wait->until_ns = now_ns + queue->controller->config.hybrid_spin_max_ns;
        if (wait->from_ns == 0) {
            wait->from_ns = now_ns;
            wait->from_consumed = wait->consumed;
        } else if (window.completions >= WINDOW_COMPLETIONS &&
                   (window.time_ns >= WINDOW_NS ||
                    (wait->probe && costs_more(&window, &wait->ways[wait->awake], 2)))) {
            wait->from_ns = 0;
            end_window(queue, &window);
        }
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
