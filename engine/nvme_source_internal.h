// SPDX-License-Identifier: MIT
/*
 * Private to the engine: interrupt sources, their masks and modes. Included by nvme_internal.h.
 *
 * Only this file and the files named below write masks.
 */
#ifndef NVME_SOURCE_INTERNAL_H
#define NVME_SOURCE_INTERNAL_H

#include "nvme_internal.h"

/* ---- Masks ---------------------------------------------------------------------------- */

/*
 * Masks a source at the device, or unmasks it. INTMC makes an edge if the line has a reason to be
 * high; a vector sends the message that it held back. On a controller that is not live nothing is
 * unmasked.
 */
static inline void nvme_source_write_mask(struct nvme_source *source, bool masked)
{
    const struct nvme_config *config = &source->controller->config;

    /* Any hart that disables a controller masks its line; only the hart of the line opens it. */
    if (!masked) {
        if (!nvme_controller_live(source->controller)) {
            return;
        }
        NVME_POKE(&source->openings, source->openings + 1);
    }
    if (!source->message) {
        nvme_register_write(config, masked ? NVME_REG_INTMS : NVME_REG_INTMC, 1);
    } else if (config->vector_mask != NULL) {
        config->vector_mask(config->hook_arg, source->vector, masked);
    }
}

/*
 * Changes the set of reasons, and the mask if the set was empty or is now. Context: the hart that
 * takes the interrupt, interrupts off.
 */
static inline void nvme_source_change(struct nvme_source *source, uint32_t closed)
{
    uint32_t before = source->closed;

    NVME_POKE(&source->closed, closed);
    if (before == 0 && closed != 0) {
        nvme_source_write_mask(source, true);
    } else if (before != 0 && closed == 0) {
        nvme_source_write_mask(source, false);
    }
}

/* Adds reasons to the set. They are bits, so adding one twice changes nothing. */
static inline void nvme_source_close(struct nvme_source *source, uint32_t reasons)
{
    nvme_source_change(source, source->closed | reasons);
}

/* Removes reasons from the set. */
static inline void nvme_source_open(struct nvme_source *source, uint32_t reasons)
{
    nvme_source_change(source, source->closed & ~reasons);
}

/*
 * Head doorbells may be late, or not. A queue may owe entries only while its source is closed: they
 * hold a line high, and a controller may hold a message back for them. tests/spin/owed.pml.
 */
static inline void nvme_source_set_late(struct nvme_queue *queue, bool late)
{
    if (queue->head_left != queue->head_late) {
        nvme_queue_give_back(queue);
    }
    queue->head_late = late ? (queue->cq_depth_entries - queue->depth_entries) / 2 : 0;
    queue->head_left = queue->head_late;
}

/* Makes an edge if an entry is left. Nothing if the source is closed for another reason. */
static inline void nvme_source_pulse(struct nvme_source *source, uint32_t reason)
{
    nvme_source_close(source, reason);
    nvme_source_open(source, reason);
}

/* ---- Queues on a source --------------------------------------------------------------- */

/* nvme_queue_mode() without a call. */
static inline enum nvme_mode nvme_queue_mode_load(const struct nvme_queue *queue)
{
    return queue->ien ? (enum nvme_mode)NVME_PEEK(&queue->source->mode) : NVME_MODE_POLL;
}

/* True if the queue interrupts by a line that several harts share. */
static inline bool nvme_queue_shares(const struct nvme_queue *queue)
{
    return queue->controller->config.shared && queue->ien;
}

/*
 * True if the queue joins its source's list while completions may come. With mask_line the list
 * stays empty: the common handler finds nothing and continues in the one that masks.
 */
static inline bool nvme_queue_listed(const struct nvme_queue *queue)
{
    return queue->ien && (queue->source->message || !queue->controller->config.mask_line);
}

/* The queue's bit in the sets of struct nvme_cycle. */
static inline uint64_t nvme_queue_bit(const struct nvme_queue *queue)
{
    return UINT64_C(1) << (queue->id - 1);
}

/*
 * Called in an interrupt of the source. An admin command turns its hart's interrupts off, so a
 * handler that finds one is on another hart.
 */
static inline void nvme_source_check_admin(const struct nvme_source *source)
{
    if ((source->closed & NVME_CLOSED_ADMIN) != 0) {
        hal_panic("a controller is administered on a hart without its interrupt (R6)");
    }
}

/* ---- source.c -------------------------------------------------------------------------- */

/* NVME_ERR_CONFIG: no such mode. NVME_ERR_INTERRUPT: the embedder cannot mask vectors. */
enum nvme_error nvme_source_check_mode(const struct nvme_controller *controller,
                                       enum nvme_mode mode);

/*
 * Connect an interrupt queue to its source, in this mode, and disconnect it. The queue counts the
 * source's interrupts in between. Context: the hart that takes them, interrupts off, a line masked.
 */
void nvme_source_connect(struct nvme_queue *queue, enum nvme_mode mode);
void nvme_source_disconnect(struct nvme_queue *queue);

/* Closes a source whose owner polls, and opens it again. Not for a shared line. */
void nvme_source_poll(struct nvme_source *source);
void nvme_source_unpoll(struct nvme_source *source);

/* Ends the empty streak: earlier interrupts no longer count towards a storm. */
static inline void nvme_source_end_streak(struct nvme_source *source)
{
    source->checks &= (uint32_t)NVME_CHECK_ADMIN;
}

/* The end of an interrupt that was handled, if the source has checks. */
NVME_COLD void nvme_source_handled(struct nvme_source *source);

/*
 * The end of an empty interrupt. Some are normal, also after the queues progressed by themselves;
 * too many in a row are a storm.
 */
NVME_COLD void nvme_source_empty(struct nvme_source *source, uint16_t queue_id, bool progressed);

/* True if `useful`, the completions of its queues, has changed since the last call. */
NVME_COLD bool nvme_source_progressed(struct nvme_source *source, uint64_t useful);

/* True if the queues of a line have ended commands, in any way, since the last call. */
NVME_COLD bool nvme_line_progressed(struct nvme_controller *controller);

/* Ends a storm if its time is over; then the wanted mode is in force again. */
NVME_COLD void nvme_source_end_storm(struct nvme_source *source, uint64_t now_ns);

/* ---- quirk.c -------------------------------------------------------------------------- */

/*
 * Checks at bring-up and in a reset, with an empty admin queue, that the line is low within 1 ms.
 * If a known quirk of the device holds it high, it is repaired, with an event. Else the queues
 * poll, with an event.
 */
void nvme_quirk_check_line(struct nvme_controller *controller);

/* ---- hybrid.c ------------------------------------------------------------------------- */

/* A probe lasts so long, at least, and the time between two. Devices and hosts fluctuate. */
#define NVME_PROBE_NS UINT64_C(500000)
#define NVME_POLICY_NS (32 * NVME_PROBE_NS)

/* True if the owner stays awake in this wait. */
static inline bool nvme_hybrid_awake(const struct nvme_wait *wait)
{
    return wait->awake != wait->probe;
}

/*
 * True if a blocked owner that has found nothing should look again and not sleep. Begins a wait if
 * anything was consumed since the last call.
 */
bool nvme_hybrid_spin(struct nvme_queue *queue);

/* ---- shared.c: one line, several harts -------------------------------------------------- */

/*
 * nvme_shared_begin() begins a cycle, unless one is under way, and returns the completions found on
 * the IRQ hart's own queues. nvme_shared_end() ends the cycle if all members have answered. It
 * comes after all controllers of the line have begun theirs. Context: the IRQ hart, interrupts off.
 */
NVME_COLD uint32_t nvme_shared_begin(struct nvme_controller *controller);
NVME_COLD void nvme_shared_end(struct nvme_controller *controller);

/* Answers a cycle that waits for the queue. Returns the completions found. */
uint32_t nvme_shared_answer(struct nvme_queue *queue);

/*
 * Only the IRQ hart can tell whether a shared line's interrupt was missed, and it makes the steps
 * of a reset: asks it.
 */
void nvme_shared_ask(struct nvme_queue *queue);

/* Does the IRQ hart's part of a cycle, or sends it an IPI if this is another hart. */
void nvme_shared_turn(const struct nvme_queue *queue);

#endif
