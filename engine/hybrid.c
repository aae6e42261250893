// SPDX-License-Identifier: MIT
/*
 * Hybrid mode's decision for one queue: wait for the next completion awake, and for how long, or
 * asleep. engine/DESIGN.md gives the reasons.
 *
 * A *wait* lasts from an empty queue to the next completion. An *interval* is a number of
 * completions under one *policy*, awake or asleep. *Probes* measure the cost of a completion under
 * the other policy. It depends on the host: a hart that spins may delay the device (a thread of an
 * emulator) or its own sibling, and one that sleeps takes time to wake.
 */
#include "nvme_internal.h"

enum {
    LOOKS_PER_CLOCK = 8, /* looks of a spinning owner between two clock readings */
    LEARN_SHIFT = 3,     /* a new sample counts for an eighth */
    SHARE_ALL = 1024,    /* closed_loop_share: the share of completions that led to a post */
    SHARE_MIN = 768,     /* fewer: requests arrive by themselves, some at the same moment */
    INTERVAL_MIN_COMPLETIONS = 32, /* at least; one clock reading for so many */
    INTERVALS_TO_PROBE_MIN = 8,    /* under the policy, then one probe */
    INTERVALS_TO_PROBE_MAX = 512,  /* doubled up to this while probes change nothing */
    COST_SHIFT = 4,                /* costs are in sixteenths of a nanosecond per completion */
    TAKE_UP_SHIFT = 4,             /* awake is taken up if better by a sixteenth */
    KEEP_SHIFT = 5,                /* and kept if better by a thirty-second */
};

/* The shortest interval: the host needs time to settle after a change of policy. */
#define INTERVAL_MIN_NS UINT64_C(2000000)

static uint64_t clamp_value(uint64_t low, uint64_t value, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Moves a mean towards a sample. */
static uint64_t update_mean(uint64_t mean, uint64_t sample)
{
    return mean - (mean >> LEARN_SHIFT) + (sample >> LEARN_SHIFT);
}

void nvme_hybrid_begin(struct nvme_queue *queue)
{
    queue->wait = (struct nvme_wait){
        .mean_ns = queue->controller->config.hybrid_spin_max_ns / 2,
        .closed_loop_share = SHARE_ALL,
        .intervals_to_probe = INTERVALS_TO_PROBE_MIN,
        .probe_spacing = INTERVALS_TO_PROBE_MIN,
        .awake = true,
    };
}

bool nvme_hybrid_outstanding(const struct nvme_queue *queue)
{
    return nvme_queue_posted(queue) != nvme_queue_useful(queue);
}

/*
 * True if completions come soon, if they lead to new posts, and if the policy is to be awake. If
 * they lead to no posts, requests arrive by themselves, and sleeping delays none.
 */
bool nvme_hybrid_worth(const struct nvme_queue *queue)
{
    const struct nvme_wait *wait = &queue->wait;

    return wait->awake != wait->probe && wait->closed_loop_share >= SHARE_MIN &&
           wait->mean_ns <= queue->controller->config.hybrid_spin_max_ns;
}

/*
 * The better policy by these costs; 0 is not known. Awake takes the whole hart: it must be clearly
 * better to be chosen, and somewhat better to be kept.
 */
static bool prefers_awake(bool policy, uint64_t awake, uint64_t asleep)
{
    if (awake == 0 || asleep == 0) {
        return policy;
    }
    return awake + (awake >> (policy ? KEEP_SHIFT : TAKE_UP_SHIFT)) < asleep;
}

/*
 * Chooses the policy and the time of the next probe. One good probe may be chance, so the next
 * comes soon. After a bad one the next comes later than the last time.
 */
static void choose_policy(struct nvme_wait *wait, uint64_t sample)
{
    bool policy = wait->awake;
    bool awake = prefers_awake(policy, wait->cost[true], wait->cost[false]);
    bool promised = wait->probe && prefers_awake(policy, policy ? wait->cost[true] : sample,
                                                 policy ? sample : wait->cost[false]) != policy;

    if (awake != policy || promised) {
        wait->awake = awake;
        wait->probe_spacing = INTERVALS_TO_PROBE_MIN;
    } else if (wait->probe) {
        wait->probe_spacing =
            (uint32_t)clamp_value(0, (uint64_t)wait->probe_spacing * 2, INTERVALS_TO_PROBE_MAX);
    } else {
        return;
    }
    wait->intervals_to_probe = wait->probe_spacing;
}

static NVME_COLD void end_interval(struct nvme_wait *wait, uint64_t consumed, uint64_t now_ns)
{
    uint64_t *cost = &wait->cost[wait->awake != wait->probe];
    uint64_t sample =
        ((now_ns - wait->interval_start_ns) << COST_SHIFT) / (consumed - wait->interval_consumed);
    uint64_t known = *cost != 0 ? *cost : sample;

    /* Bounded: the hart may have been stopped meanwhile. */
    sample = clamp_value(1, sample, 2 * known);
    *cost = wait->probe ? (known + sample + 1) / 2 : update_mean(known, sample) + 1;
    choose_policy(wait, sample);
    if (wait->probe) {
        wait->probe = false;
    } else if (--wait->intervals_to_probe == 0) {
        wait->probe = true;
        wait->intervals_to_probe = wait->probe_spacing;
    }
    wait->interval_start_ns = now_ns;
    wait->interval_consumed = consumed;
}

/* True if a probe has taken twice as long as the policy would: it has lost. */
static bool is_lost(const struct nvme_wait *wait, uint64_t completions, uint64_t interval_ns)
{
    return wait->probe && interval_ns > INTERVAL_MIN_NS / 2 &&
           interval_ns << COST_SHIFT > 2 * completions * wait->cost[wait->awake];
}

/*
 * Counts a wait that has ended with completions. An interval is work without a pause.
 */
static void count_interval(struct nvme_queue *queue, uint64_t consumed)
{
    struct nvme_wait *wait = &queue->wait;
    uint64_t completions = consumed - wait->interval_consumed;
    uint64_t now_ns;

    if (wait->interval_start_ns != 0 && completions < wait->interval_look) {
        return;
    }
    now_ns = hal_now_ns();
    if (wait->interval_start_ns == 0) {
        wait->interval_start_ns = now_ns;
        wait->interval_consumed = consumed;
    } else if (now_ns - wait->interval_start_ns >= INTERVAL_MIN_NS ||
               is_lost(wait, completions, now_ns - wait->interval_start_ns)) {
        end_interval(wait, consumed, now_ns);
    } else {
        wait->interval_look = completions + INTERVAL_MIN_COMPLETIONS;
        return;
    }
    /* A bad probe is expensive: look at it early. */
    wait->interval_look = wait->probe ? INTERVAL_MIN_COMPLETIONS / 4 : INTERVAL_MIN_COMPLETIONS;
}

/*
 * Begins a wait after something was consumed or posted. The earlier waits decide if it spins, and
 * for how long.
 */
static void begin_wait(struct nvme_queue *queue, uint64_t consumed, uint64_t posted)
{
    uint64_t max_ns = queue->controller->config.hybrid_spin_max_ns;
    struct nvme_wait *wait = &queue->wait;
    bool outstanding = nvme_hybrid_outstanding(queue);

    if (consumed != wait->consumed) {
        if (wait->from_ns != 0) {
            uint64_t end_ns = wait->slept ? hal_now_ns() : wait->look_ns;

            /* Bounded: a wait may have lasted through another mode, or a host that slept. */
            wait->mean_ns =
                update_mean(wait->mean_ns, clamp_value(0, end_ns - wait->from_ns, 2 * max_ns));
        }
        wait->closed_loop_share =
            update_mean(wait->closed_loop_share, posted != wait->posted ? SHARE_ALL : 0);
        count_interval(queue, consumed);
    }
    if (!outstanding) {
        wait->interval_start_ns = 0;
    }
    wait->consumed = consumed;
    wait->posted = posted;
    wait->looks = 0;
    wait->slept = false;
    wait->spins = outstanding && nvme_hybrid_worth(queue);
    /* Not shorter than a sleep costs; longer than the mean, so that most waits end in it. */
    wait->budget_ns = clamp_value(max_ns / 4, 4 * wait->mean_ns, max_ns);
    wait->from_ns = outstanding && !wait->spins ? hal_now_ns() : 0;
}

bool nvme_hybrid_spin(struct nvme_queue *queue)
{
    struct nvme_wait *wait = &queue->wait;
    uint64_t consumed = nvme_queue_consumed(queue);
    uint64_t posted = nvme_queue_posted(queue);
    uint64_t now_ns;

    if (consumed != wait->consumed || posted != wait->posted) {
        begin_wait(queue, consumed, posted);
    }
    /* After a sleep, which a tick may have ended too, the budget is spent. */
    if (!wait->spins || wait->slept) {
        return false;
    }
    if (++wait->looks % LOOKS_PER_CLOCK != 0) {
        return true;
    }
    now_ns = hal_now_ns();
    if (wait->from_ns == 0) {
        wait->from_ns = now_ns;
    }
    wait->look_ns = now_ns;
    return now_ns - wait->from_ns < wait->budget_ns;
}
