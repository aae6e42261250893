// SPDX-License-Identifier: MIT
/*
 * Shared delivery: one INTx line for the queues of several harts.
 *
 * The IRQ hart takes the line. An interrupt begins a cycle: the IRQ hart masks the line, chooses
 * the members (the active queues) and sends IPIs to their owners. Each owner reaps its
 * own queue and clears its bit in the set `waiting`. The last one sends an IPI to the IRQ hart,
 * which opens the line: an edge, if anything is left. No hart looks at another hart's ring. Only
 * the IRQ hart writes INTMS and INTMC, because an interrupt may come just before the last answer.
 * tests/spin/shared.pml is the model.
 */
#include "nvme_internal.h"

/*
 * A word in which each six bits in a row differ: times the lowest bit of a set, its top six bits
 * tell the bit's index. RV64 without Zbb cannot count zeros, and a cycle of few costs as much
 * wherever they stand.
 */
#define EACH_SIX_BITS UINT64_C(0x0218a392cd3d5dbf)
static const uint8_t index_of_six_bits[64] = {
    0,  1,  2,  7,  3,  13, 8,  19, 4,  25, 14, 28, 9,  34, 20, 40, 5,  17, 26, 38, 15, 46,
    29, 48, 10, 31, 35, 54, 21, 50, 41, 57, 63, 6,  12, 18, 24, 27, 33, 39, 16, 37, 45, 47,
    30, 53, 49, 56, 62, 11, 23, 32, 36, 44, 52, 55, 61, 22, 43, 51, 60, 42, 59, 58};

/* The queue of the lowest bit of a set, which is not empty. */
static NVME_INLINE struct nvme_queue *first_queue(const struct nvme_controller *controller,
                                                  uint64_t set)
{
    uint64_t lowest = set & (~set + 1);

    return &controller->queues[index_of_six_bits[lowest * EACH_SIX_BITS >> 58]];
}

/* Reaps a member's queue and clears its bit. True: the set is empty now. */
static NVME_INLINE bool answer_cycle(struct nvme_queue *queue, uint32_t *found)
{
    uint64_t bit = nvme_queue_bit(queue);
    uint32_t reaped = 0;
    uint64_t useful;

    if (nvme_queue_ready(queue)) {
        reaped = nvme_queue_reap(queue, queue->depth_entries);
    }
    useful = nvme_queue_useful(queue);
    queue->cycle_progress = useful - queue->cycle_useful;
    queue->cycle_useful = useful;
    queue->counters.interrupts++;
    queue->counters.spurious += reaped == 0;
    *found += reaped;
    /* The reap is complete when the IRQ hart sees the bit; pairs with end_cycle(). */
    return __atomic_fetch_and(&queue->controller->cycle.waiting, ~bit, __ATOMIC_ACQ_REL) == bit;
}

static bool is_waited_for(const struct nvme_queue *queue)
{
    /* Pairs with the store in nvme_shared_begin(): the cycle's mask comes before our reap. */
    uint64_t waiting = __atomic_load_n(&queue->controller->cycle.waiting, __ATOMIC_ACQUIRE);

    return (waiting >> (queue->id - 1) & 1) != 0;
}

/* The queues whose owners have come, and answer. */
static uint64_t find_answering(const struct nvme_controller *controller)
{
    uint64_t found = 0;

    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        found |= (uint64_t)!NVME_PEEK(&controller->queues[i].yet_to_come) << i;
    }
    return found & controller->cycle.open;
}

/*
 * The members of the next cycle: queues with a submission doorbell since they joined the active
 * list. After an empty cycle all queues, admin too: an unrequested entry keeps the line asserted.
 * But nobody waits for a hart that has not started yet.
 */
static uint64_t choose_members(struct nvme_controller *controller)
{
    struct nvme_cycle *cycle = &controller->cycle;
    struct nvme_queue *admin = &controller->admin;

    if (NVME_GET(NVME_CHECK_EMPTY_STREAK, controller->line.checks) == 0) {
        return __atomic_load_n(&cycle->active, __ATOMIC_RELAXED);
    }
    if (nvme_queue_ready(admin)) {
        nvme_queue_reap(admin, NVME_ADMIN_DEPTH);
    }
    return find_answering(controller);
}

uint32_t nvme_shared_begin(struct nvme_controller *controller)
{
    const struct nvme_config *config = &controller->config;
    struct nvme_cycle *cycle = &controller->cycle;
    uint64_t own = 0;
    uint32_t found = 0;

    nvme_source_check_admin(&controller->line);
    if ((controller->line.closed & NVME_CLOSED_CYCLE) != 0) {
        /* The end of the cycle opens the line, which makes a new edge. */
        return 0;
    }
    nvme_source_close(&controller->line, NVME_CLOSED_CYCLE);
    /* The claim, a device read, before the look at who is active: nvme_queue_activate(). */
    hal_after_mmio_read();
    cycle->members = choose_members(controller);
    __atomic_store_n(&cycle->waiting, cycle->members, __ATOMIC_RELEASE);
    for (uint64_t left = cycle->members; left != 0; left &= left - 1) {
        const struct nvme_queue *queue = first_queue(controller, left);

        if (queue->owner != config->irq_hart) {
            config->send_ipi(config->hook_arg, queue->owner);
        } else {
            own |= nvme_queue_bit(queue);
        }
    }
    /* After the IPIs, so that the others work meanwhile. */
    for (; own != 0; own &= own - 1) {
        answer_cycle(first_queue(controller, own), &found);
    }
    return found;
}

/* True if a member progressed since the cycle before: in its answer, or by its own polling. */
static bool has_progress(const struct nvme_controller *controller)
{
    for (uint64_t left = controller->cycle.members; left != 0; left &= left - 1) {
        if (first_queue(controller, left)->cycle_progress != 0) {
            return true;
        }
    }
    return false;
}

static void end_cycle(struct nvme_controller *controller)
{
    struct nvme_source *line = &controller->line;

    if (has_progress(controller)) {
        nvme_source_handled(line);
        controller->cycle.progressed = true;
    } else {
        nvme_source_empty(line, 0, false);
    }
    nvme_source_open(line, NVME_CLOSED_CYCLE);
}

void nvme_shared_end(struct nvme_controller *controller)
{
    if ((controller->line.closed & NVME_CLOSED_CYCLE) != 0 &&
        __atomic_load_n(&controller->cycle.waiting, __ATOMIC_ACQUIRE) == 0) {
        end_cycle(controller);
    }
}

/*
 * Decides for owners that found an overdue entry. If the line was open all the time, no interrupt
 * came: it is missed. Else the IRQ hart was only slow, which the owner cannot know. If anything is
 * left, the line gets an edge. An owner asks again after its bit was cleared.
 */
static void answer_overdue(struct nvme_controller *controller)
{
    struct nvme_source *line = &controller->line;
    struct nvme_cycle *cycle = &controller->cycle;
    uint64_t asked = __atomic_load_n(&cycle->overdue, __ATOMIC_ACQUIRE);
    uint64_t missed = 0;

    if (asked == 0) {
        return;
    }
    for (uint64_t left = asked; left != 0; left &= left - 1) {
        const struct nvme_queue *queue = first_queue(controller, left);

        if (queue->asked_openings == line->openings) {
            missed |= nvme_queue_bit(queue);
        }
    }
    __atomic_fetch_or(&cycle->missed, missed, __ATOMIC_RELAXED);
    __atomic_fetch_and(&cycle->overdue, ~asked, __ATOMIC_RELEASE);
    if (nvme_controller_live(controller)) {
        nvme_source_pulse(line, NVME_CLOSED_WATCHDOG);
    }
    nvme_controller_step(controller);
}

/* Ends a cycle that all members have answered, and a storm whose time is over. */
static void finish_cycle(struct nvme_controller *controller)
{
    struct nvme_source *line = &controller->line;

    nvme_shared_end(controller);
    if ((line->closed & NVME_CLOSED_STORM) != 0) {
        nvme_source_end_storm(line, hal_now_ns());
    }
}

void nvme_irq_take_ipi(struct nvme_controller *controller)
{
    struct nvme_cycle *cycle = &controller->cycle;

    if (controller->line.closed == 0) {
        answer_overdue(controller);
        return;
    }
    finish_cycle(controller);
    /* The opening makes an edge for what owners have found meanwhile: nothing is missed yet. */
    if (NVME_PEEK(&cycle->overdue) != 0) {
        __atomic_store_n(&cycle->overdue, 0, __ATOMIC_RELEASE);
        nvme_controller_step(controller);
    }
}

void nvme_shared_ask(struct nvme_queue *queue)
{
    struct nvme_controller *controller = queue->controller;
    uint64_t bit = nvme_queue_bit(queue);

    if ((__atomic_load_n(&controller->cycle.overdue, __ATOMIC_ACQUIRE) & bit) == 0) {
        queue->asked_openings = queue->seen_openings;
        __atomic_fetch_or(&controller->cycle.overdue, bit, __ATOMIC_RELEASE);
    }
    if (queue->owner == controller->config.irq_hart) {
        nvme_irq_take_ipi(controller);
    } else {
        controller->config.send_ipi(controller->config.hook_arg, controller->config.irq_hart);
    }
}

void nvme_shared_turn(const struct nvme_queue *queue)
{
    struct nvme_controller *controller = queue->controller;
    const struct nvme_config *config = &controller->config;

    if (queue->owner == config->irq_hart) {
        finish_cycle(controller);
    } else {
        config->send_ipi(config->hook_arg, config->irq_hart);
    }
}

static NVME_NOINLINE uint32_t answer_and_turn(struct nvme_queue *queue)
{
    uint32_t found = 0;

    if (answer_cycle(queue, &found)) {
        nvme_shared_turn(queue);
    }
    return found;
}

uint32_t nvme_shared_answer(struct nvme_queue *queue)
{
    if (is_waited_for(queue)) {
        return answer_and_turn(queue);
    }
    NVME_POKE(&queue->yet_to_come, false);
    return 0;
}
