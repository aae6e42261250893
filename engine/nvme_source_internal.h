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
 * reason to be high; a vector sends the message that it held back.
 */
static inline void nvme_source_mask(struct nvme_source *source, bool masked)
{
    const struct nvme_config *config = &source->controller->config;

    if (source->message) {
        config->vector_mask(config->hook_arg, source->vector, masked);
    } else {
        /* Whoever disables a controller masks its line; only the hart that has it opens it. */
        if (!masked) {
            NVME_POKE(&source->openings, source->openings + 1);
        }
        nvme_register_write(config, masked ? NVME_REG_INTMS : NVME_REG_INTMC, 1);
    }
}

/*
 * Whether nothing speaks against interrupts of this source. A round of a shared line keeps it
 * masked as an admin command does, until its end.
 */
static inline bool nvme_source_may_open(const struct nvme_source *source)
{
    return source->queues != 0 && source->mask_depth == 0 && !source->masked && !source->shut &&
           !source->controller->round.under_way && nvme_controller_live(source->controller);
}

/*
 * Masks the INTx source for a while, in nested pairs, on the hart that takes its interrupt and with
 * that hart's interrupts off.
 */
static inline void nvme_interrupt_mask(struct nvme_controller *controller)
{
    struct nvme_source *line = &controller->line;

    NVME_POKE(&line->mask_depth, line->mask_depth + 1);
    if (line->mask_depth == 1 && line->queues != 0) {
        nvme_source_mask(line, true);
    }
}

/* The other half of the pair; writes INTMC when the outermost one ends. */
static inline void nvme_interrupt_unmask(struct nvme_controller *controller)
{
    struct nvme_source *line = &controller->line;

    NVME_POKE(&line->mask_depth, line->mask_depth - 1);
    if (nvme_source_may_open(line)) {
        nvme_source_mask(line, false);
    }
}

/* ---- Queues on a source --------------------------------------------------------------- */

/* True if its interrupts come: it has a source, which is neither masked for good nor shut. */
static inline bool nvme_queue_interrupts(const struct nvme_queue *queue)
{
    return queue->interrupts && !NVME_PEEK(&queue->source->masked) &&
           !NVME_PEEK(&queue->source->shut);
}

/* True if its interrupts come over a line that several harts share. */
static inline bool nvme_queue_shares(const struct nvme_queue *queue)
{
    return queue->controller->config.shared && queue->interrupts;
}

/* The queue in the sets of struct nvme_round. */
static inline uint64_t nvme_queue_bit(const struct nvme_queue *queue)
{
    return UINT64_C(1) << (queue->id - 1);
}

/* ---- source.c -------------------------------------------------------------------------- */

/* NVME_ERR_CONFIG: no such mode. NVME_ERR_INTERRUPT: the embedder cannot mask vectors. */
enum nvme_error nvme_source_check_mode(const struct nvme_controller *controller,
                                       enum nvme_mode mode);

/*
 * Puts an interrupt queue on its source, in this mode, and off again; it counts the source's claims
 * in between. Interrupts off, on the hart that takes them, a line masked.
 */
void nvme_source_connect(struct nvme_queue *queue, uint16_t vector, enum nvme_mode mode);
void nvme_source_disconnect(struct nvme_queue *queue);

/* Masks the source where its queues are polled; opens it again if nothing else is against it. */
void nvme_source_shut(struct nvme_source *source);
void nvme_source_open(struct nvme_source *source);

/* The end of a claim that found completions, if the source has notes. */
NVME_COLD void nvme_source_served(struct nvme_source *source);

/* The end of a claim that found nothing: normal now and then, a storm when it goes on. */
NVME_COLD void nvme_source_served_empty(struct nvme_source *source, uint16_t queue_id);

/* ---- quirk.c -------------------------------------------------------------------------- */

/*
 * At bring-up, the admin queue being drained: a line that is still high after 1 ms is given up, so
 * that the queues poll, with an event. Where a quirk of the device is known to hold it up, it is
 * repaired before, with an event likewise.
 */
void nvme_quirk_check_line(struct nvme_controller *controller);

/* ---- hybrid.c ------------------------------------------------------------------------- */

/* Forgets what the queue has learned. */
void nvme_hybrid_begin(struct nvme_queue *queue);

/* The owner is awake: it no longer stands among the sleepers of a shared line. */
void nvme_source_wake(struct nvme_queue *queue);

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
 * A claim of a shared line, on home: begins a round, unless one is under way. Returns the
 * completions found on home's own queues. nvme_shared_end() behind it, when all controllers of the
 * line have begun theirs: ends the round if nobody is waited for any more.
 */
NVME_COLD uint32_t nvme_shared_begin(struct nvme_controller *controller);
NVME_COLD void nvme_shared_end(struct nvme_controller *controller);

/* An owner has something for home to do: home does it here, others kick it. */
void nvme_shared_turn(const struct nvme_queue *queue);

#endif
