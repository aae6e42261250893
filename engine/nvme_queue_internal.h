// SPDX-License-Identifier: MIT
/*
 * Private to the engine, and part of nvme_internal.h: the rings of a queue, and the active list.
 */
#ifndef NVME_QUEUE_INTERNAL_H
#define NVME_QUEUE_INTERNAL_H

#include "nvme_internal.h"

/* ---- queue.c: rings, doorbells, reaping ---------------------------------------------- */

/*
 * Empties the rings, zeroes the completion ring, sets phase, head and tail. The completion ring is
 * larger by the surplus that the ring memory holds.
 */
void nvme_queue_reset(struct nvme_queue *queue, uint32_t depth_entries);

/* The same for a queue that goes on after a reset: its depth, counters and slots stay. */
void nvme_queue_reset_rings(struct nvme_queue *queue);

/* Reaps a queue that is on no list: one that closes, or the admin queue in a reset. */
uint32_t nvme_queue_reap_away(struct nvme_queue *queue);

/* Writes the current completion head again. Only quirk.c uses it, for a device that needs it. */
void nvme_queue_ring_head_again(struct nvme_queue *queue);

/* Writes the completion doorbell of a live controller. Entries are owed. */
void nvme_queue_give_back(struct nvme_queue *queue);

/* Writes the submission doorbell of an active queue of a live controller. */
void nvme_queue_ring(struct nvme_queue *queue);

/* Publishes the state, and the owner with it, for a hart that sends IPIs to owners. */
void nvme_queue_enter_state(struct nvme_queue *queue, enum nvme_queue_state state);

/* The completion queue's head, 0 .. cq_depth_entries - 1. */
static inline uint32_t nvme_queue_head(const struct nvme_queue *queue)
{
    return (uint32_t)(queue->cq_next - queue->cq);
}

/* Entries consumed since open. */
static inline uint64_t nvme_queue_consumed(const struct nvme_queue *queue)
{
    return queue->cq_laps * queue->cq_depth_entries + nvme_queue_head(queue);
}

/* Those of them that ended a command. */
static inline uint64_t nvme_queue_useful(const struct nvme_queue *queue)
{
    return nvme_queue_consumed(queue) - queue->counters.stale;
}

/* Commands posted since open, announced by a doorbell or not. */
static inline uint64_t nvme_queue_posted(const struct nvme_queue *queue)
{
    return queue->sq_laps * queue->depth_entries + queue->sq_tail;
}

/* Those of them that a doorbell has announced. */
static inline uint64_t nvme_queue_rung(const struct nvme_queue *queue)
{
    uint64_t tail = queue->sq_tail;
    uint64_t rung = queue->sq_tail_rung;

    return nvme_queue_posted(queue) -
           (tail >= rung ? tail - rung : tail + queue->depth_entries - rung);
}

/* True while the queue is reaped: in done(), or in a trap during the reap. */
static inline bool nvme_queue_is_reaping(const struct nvme_queue *queue)
{
    return queue->activity == NVME_ACTIVITY_TAKEN && !queue->away && !queue->slow;
}

/* True if the queue may be reaped, and its doorbells may be rung. */
static inline bool nvme_queue_is_active(const struct nvme_queue *queue)
{
    return queue->activity == NVME_ACTIVITY_ACTIVE || queue->slow;
}

/* Makes it so. */
static inline void nvme_queue_set_active(struct nvme_queue *queue)
{
    queue->slow = queue->shadow_sq.place != NULL || queue->kept != NULL;
    queue->activity = queue->slow ? NVME_ACTIVITY_TAKEN : NVME_ACTIVITY_ACTIVE;
}

/* Dwords 2 and 3 of an entry: SQ head and id; command id, phase, status. One load. */
static inline uint64_t nvme_queue_load(const struct nvme_queue *queue,
                                       const volatile struct nvme_completion *entry)
{
    hal_dma_invalidate(queue->controller->config.dma_context, (const void *)(uintptr_t)entry,
                       sizeof(*entry));
    return hal_dma_load64(&entry->sq);
}

/* True if an entry is new: of its dwords, XOR queue->expected, the phase is 0. Two instructions. */
static inline bool nvme_entry_is_new(uint64_t dwords)
{
    return (int64_t)(dwords << 15) >= 0;
}
_Static_assert(NVME_CQE_IN_HIGH(NVME_CQE_PHASE) << 15 == UINT64_C(1) << 63,
               "the phase is the sign");

/* True if the entry at the head is new. */
static inline bool nvme_queue_ready(const struct nvme_queue *queue)
{
    return nvme_entry_is_new(nvme_queue_load(queue, queue->cq_next) ^ queue->expected);
}

/*
 * True if the device is known to have fetched all that was rung. SQHD is in the entry before the
 * head, which the device writes only after the next head doorbell.
 */
static inline bool nvme_queue_is_fetched(const struct nvme_queue *queue)
{
    const volatile struct nvme_completion *next =
        queue->cq_next == queue->cq ? queue->cq_end : queue->cq_next;

    return NVME_GET(NVME_CQE_SQHD, nvme_queue_load(queue, next - 1)) == queue->sq_tail_rung;
}

/*
 * Moves the tail: the command at sq[sq_tail] is complete, and a doorbell may announce it. The next
 * entry is free, because the command of a free slot was fetched long ago.
 */
static inline void nvme_queue_advance(struct nvme_queue *queue, uint64_t depth_entries)
{
    size_t tail = queue->sq_tail + 1;

    if (tail == depth_entries) {
        tail = 0;
        queue->sq_laps++;
    }
    queue->sq_tail = tail;
}

/* ---- shadow.c: shadow doorbells ------------------------------------------------------- */

/* Sets the two places of a queue that is being opened, with 0 in them; or none. */
void nvme_shadow_reset(struct nvme_queue *queue);

/* Ring as ring_sq() and ring_cq() in queue.c do, the latter after at least one completion. */
void nvme_shadow_ring_sq(struct nvme_queue *queue);
void nvme_shadow_ring_cq(struct nvme_queue *queue);

/*
 * For the watchdog, while commands are outstanding. If nothing was rung or completed since the last
 * call, writes the registers that the device has not asked for, and counts it.
 */
void nvme_shadow_ring_again(struct nvme_queue *queue);

/* True if the host must write the register: `event` is passed on the way from `from` to `to`. */
static inline bool nvme_shadow_passes(uint32_t event, uint32_t from, uint32_t to)
{
    /* Modulo 2^32: also for a ring that wraps. The same value again is a whole lap. */
    return event - from <= to - from - 1;
}

/* ---- active.c: the active list --------------------------------------------------------- */

/*
 * Panics on another hart than the owner, and with interrupts on for a queue that interrupts, as far
 * as the port can tell. For rare calls.
 */
void nvme_queue_check_context(const struct nvme_queue *queue);

/* Takes the queue off the active list, until its next doorbell. Then no line waits for its head. */
void nvme_queue_leave(struct nvme_queue *queue);

/*
 * Puts a queue on the active list, before its first doorbell. False: it is not open, so it has no
 * doorbell, and commands without a doorbell end without being fetched.
 */
bool nvme_queue_activate(struct nvme_queue *queue);

#endif
