// SPDX-License-Identifier: MIT
/*
 * Private to the engine: interrupt sources, their masks and modes. Included by nvme_internal.h.
 *
 * Masks are written here and in the files named below, and by nobody else.
 */
#ifndef NVME_SOURCE_INTERNAL_H
#define NVME_SOURCE_INTERNAL_H

#include "nvme_internal.h"

/* ---- Masks ---------------------------------------------------------------------------- */

/*
 * Masks a source at the device, or opens it again. INTMC makes a fresh edge if the line has a
 * reason to be high; a vector sends the message that it held back. On a controller that is not live
 * nothing opens.
 */
static inline void nvme_source_write_mask(struct nvme_source *source, bool masked)
{
    const struct nvme_config *config = &source->controller->config;

    /* Whoever disables a controller masks its line; only the hart that has it opens it. */
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
 * The set of reasons changes, and with it the mask if it was empty or is now. On the hart that
 * takes the interrupt, with that hart's interrupts off.
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

/* Adds reasons to the set: bits, so twice is as once. */
static inline void nvme_source_close(struct nvme_source *source, uint32_t reasons)
{
    nvme_source_change(source, source->closed | reasons);
}

/* Takes them off. */
static inline void nvme_source_open(struct nvme_source *source, uint32_t reasons)
{
    nvme_source_change(source, source->closed & ~reasons);
}

/* A fresh edge, or nothing where the source is closed. */
static inline void nvme_source_pulse(struct nvme_source *source, uint32_t reason)
{
    nvme_source_close(source, reason);
    nvme_source_open(source, reason);
}

/* ---- Queues on a source --------------------------------------------------------------- */

/* nvme_queue_mode() without a call. */
static inline enum nvme_mode nvme_queue_mode_load(const struct nvme_queue *queue)
{
    return queue->interrupts ? (enum nvme_mode)NVME_PEEK(&queue->source->mode) : NVME_MODE_POLL;
}

/* True if its interrupts come over a line that several harts share. */
static inline bool nvme_queue_shares(const struct nvme_queue *queue)
{
    return queue->controller->config.shared && queue->interrupts;
}

/*
 * True if it stands on its source's list while completions may come. The handler that masks has no
 * list, so that the other one finds nothing and ends in it: neither has to ask which one it is.
 */
static inline bool nvme_queue_listed(const struct nvme_queue *queue)
{
    return queue->interrupts && (queue->source->message || !queue->controller->config.mask_line);
}

/* The queue in the sets of struct nvme_cycle. */
static inline uint64_t nvme_queue_bit(const struct nvme_queue *queue)
{
    return UINT64_C(1) << (queue->id - 1);
}

/*
 * For an interrupt of the source. An admin command turns its hart's interrupts off: who meets one
 * here is on another hart.
 */
static inline void nvme_source_check_admin(const struct nvme_source *source)
{
    if ((source->closed & NVME_CLOSED_ADMIN) != 0) {
        hal_panic("a controller is administered on a hart without its interrupt (R6)");
    }
}

/* The owner is awake: it no longer stands among the sleepers of a shared line. */
static inline void nvme_source_wake(struct nvme_queue *queue)
{
    if (queue->wait.listed) {
        __atomic_fetch_and(&queue->controller->cycle.sleepers, ~nvme_queue_bit(queue),
                           __ATOMIC_RELAXED);
        queue->wait.listed = false;
    }
}

/* ---- source.c -------------------------------------------------------------------------- */

/* NVME_ERR_CONFIG: no such mode. NVME_ERR_INTERRUPT: the embedder cannot mask vectors. */
enum nvme_error nvme_source_check_mode(const struct nvme_controller *controller,
                                       enum nvme_mode mode);

/*
 * Puts an interrupt queue on its source, in this mode, and off again; it counts the source's
 * interrupts in between. Interrupts off, on the hart that takes them, a line masked.
 */
void nvme_source_connect(struct nvme_queue *queue, uint16_t vector, enum nvme_mode mode);
void nvme_source_disconnect(struct nvme_queue *queue);

/* Interrupts before now are no steps towards a storm. */
static inline void nvme_source_end_streak(struct nvme_source *source)
{
    source->checks &= (uint32_t)(NVME_CHECK_HYBRID | NVME_CHECK_ADMIN);
}

/* The end of an interrupt that was handled, if the source has checks. */
NVME_COLD void nvme_source_handled(struct nvme_source *source);

/*
 * The end of an empty interrupt. Normal now and then, and where the queues progressed by
 * themselves; a storm when it goes on.
 */
NVME_COLD void nvme_source_empty(struct nvme_source *source, uint16_t queue_id, bool progressed);

/* Whether `useful`, completions of its queues, has changed since this was asked last. */
NVME_COLD bool nvme_source_moved(struct nvme_source *source, uint64_t useful);

/* Whether the queues of a line have ended commands, in whatever way, since this was asked last. */
NVME_COLD bool nvme_line_progressed(struct nvme_controller *controller);

/* Ends a storm if its time is over; the mode that was asked for is in force again. */
NVME_COLD void nvme_source_pardon(struct nvme_source *source, uint64_t now_ns);

/* ---- quirk.c -------------------------------------------------------------------------- */

/*
 * At bring-up, the admin queue being empty: a line that is still high after 1 ms is given up, so
 * that the queues poll, with an event. Where a quirk of the device is known to hold it up, it is
 * repaired before, with an event likewise.
 */
void nvme_quirk_check_line(struct nvme_controller *controller);

/* ---- hybrid.c ------------------------------------------------------------------------- */

/* Forgets what the queue has learned. */
void nvme_hybrid_begin(struct nvme_queue *queue);

/* True if requests are outstanding: the device owes completions. */
bool nvme_hybrid_outstanding(const struct nvme_queue *queue);

/* True if the next wait is worth being awake. */
bool nvme_hybrid_worth(const struct nvme_queue *queue);

/*
 * Whether an owner that has found nothing should look again instead of sleeping. Begins a wait if
 * anything was consumed or posted since the last call.
 */
bool nvme_hybrid_spin(struct nvme_queue *queue);

/* ---- shared.c: one line, several harts -------------------------------------------------- */

/*
 * An interrupt of a shared line, on the IRQ hart: begins a cycle, unless one is under way. Returns
 * the completions found on the IRQ hart's own queues. nvme_shared_end() behind it, when all
 * controllers of the line have begun theirs: ends the cycle if nobody is waited for any more.
 */
NVME_COLD uint32_t nvme_shared_begin(struct nvme_controller *controller);
NVME_COLD void nvme_shared_end(struct nvme_controller *controller);

/* Answers the cycle that waits for the queue, if one does. Returns the completions found. */
uint32_t nvme_shared_answer(struct nvme_queue *queue);

/* An owner has something for the IRQ hart to do: the IRQ hart does it here, others interrupt it. */
void nvme_shared_turn(const struct nvme_queue *queue);

#endif
