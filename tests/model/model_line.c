// SPDX-License-Identifier: MIT
/*
 * INTx: one bit per controller, OR-ed on a line, seen by one of four interrupt controllers; and
 * MSI-X messages. The bit is what the specification says, or what QEMU's count of busy queues makes
 * of it (tests/qemu shows the real one).
 */
#include "event.h"
#include "model_internal.h"

/* True if there is an entry that an interrupt tells of. */
static bool has_told(const struct model_cq *cq)
{
    return cq->head != cq->tail &&
           (cq->held == 0 || (cq->tail + cq->entries - cq->head) % cq->entries > cq->held);
}

bool model_level(const struct model *model)
{
    bool high = model->counts_pending ? model->interrupt_status : model->pending_extra != 0;

    /* A device that was pulled out drives nothing: its port takes the line back for it. */
    if (model->msix || model->gone) {
        return false;
    }
    if ((model->interrupt_mask & 1) != 0 || (model->cc & NVME_CC_EN) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < model->cq_end && !high && !model->counts_pending; i++) {
        const struct model_cq *cq = &model->cqs[i];

        high = cq->exists && cq->interrupts && has_told(cq);
    }
    return high;
}

static void tell_line(struct model_line *line)
{
    if (line->pending && line->raised != NULL) {
        line->raised(line);
    }
}

void model_update_line(struct model *model)
{
    struct model_line *line = model->line;
    bool high = model_level(model);

    if (line == NULL || high == model->asserted) {
        return;
    }
    model->asserted = high;
    if (high) {
        line->pending |= line->kind != MODEL_LINE_EDGE_WIRE || line->high == 0;
        line->high++;
        line->asserts++;
        tell_line(line);
        return;
    }
    line->high--;
    if (line->high == 0 &&
        (line->kind == MODEL_LINE_LEVEL || line->kind == MODEL_LINE_EDGE_CLEARS)) {
        line->pending = false;
    }
}

void model_remove(struct model *model)
{
    model->gone = true;
    model_update_line(model);
}

void model_vector_send(struct model *model, uint16_t vector)
{
    struct model_vector *to = &model->vectors[vector];

    if (to->masked) {
        to->pending = true;
    } else {
        to->messages++;
        to->arrived = true;
        if (model->message != NULL) {
            model->message(model, vector);
        }
    }
}

void model_vector_mask_now(struct model *model, uint16_t vector, bool masked)
{
    struct model_vector *of = &model->vectors[vector];

    world_note(model, "vector, masked", vector, masked, of->pending);
    of->masked = masked;
    if (!masked && of->pending) {
        of->pending = false;
        model_vector_send(model, vector);
    }
}

bool model_vector_claim(struct model *model, uint16_t vector)
{
    bool arrived = model->vectors[vector].arrived;

    model->vectors[vector].arrived = false;
    if (arrived) {
        world_note(model, "claim: vector", vector, 0, 0);
    }
    return arrived;
}

/* An interrupt tells of all entries of the queue. */
static void send_interrupt(struct model *model, struct model_cq *cq)
{
    cq->held = 0;
    cq->holds++;
    if (model->msix) {
        model_vector_send(model, cq->vector);
    }
    model->interrupt_status = true;
    model_update_line(model);
}

/* What is held back for the queue goes out, if it has not gone meanwhile. */
static void end_hold(void *arg, uint64_t place)
{
    struct model *model = arg;
    struct model_cq *cq = &model->cqs[(uint32_t)place];

    if (cq->exists && cq->held != 0 && cq->holds == place >> 32) {
        send_interrupt(model, cq);
    }
}

/* Interrupt coalescing, as Set Features 08h has it. True: not yet. */
static bool holds_back(struct model *model, struct model_cq *cq)
{
    if (cq == &model->cqs[0] || model->timing.coalesce_entries <= 1) {
        return false;
    }
    if (++cq->held == 1) {
        event_add(world.now_ns + model->timing.coalesce_ns, end_hold, model,
                  (uint64_t)cq->holds << 32 | (uint64_t)(cq - model->cqs));
    }
    return cq->held < model->timing.coalesce_entries;
}

void model_interrupt_posted(struct model *model, struct model_cq *cq, bool was_empty)
{
    if (!cq->interrupts) {
        return;
    }
    if (was_empty) {
        model->pending_queues++;
    }
    if (!holds_back(model, cq)) {
        send_interrupt(model, cq);
    }
}

bool model_count_leaked(const struct model *model)
{
    int32_t busy = 0;

    for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
        const struct model_cq *cq = &model->cqs[i];

        busy += cq->exists && cq->interrupts && cq->head != cq->tail;
    }
    return model->counts_pending && model->pending_queues > busy;
}

/* QEMU counts a queue down whenever it is empty behind a doorbell, whether or not it was before. */
void model_interrupt_rung(struct model *model, const struct model_cq *cq)
{
    if (cq->interrupts && cq->head == cq->tail) {
        model->pending_queues--;
        if (model->pending_queues + (int32_t)model->pending_extra == 0) {
            model->interrupt_status = false;
        }
    }
    model_update_line(model);
}

bool model_line_claim(struct model_line *line)
{
    if (!line->pending || line->in_service) {
        return false;
    }
    line->pending = false;
    line->in_service = true;
    line->claims++;
    world_note(NULL, "claim: line high", line->high, 0, 0);
    return true;
}

void model_line_complete(struct model_line *line)
{
    line->in_service = false;
    if (line->kind == MODEL_LINE_LEVEL && line->high != 0) {
        line->pending = true;
        tell_line(line);
    }
}

void model_judge_mask(struct model *model, uint32_t offset, uint32_t value)
{
    bool other = model->irq_hart_masks && world.hart != model->irq_hart;

    if (model->masked_by_other && (offset != NVME_REG_CC || (value & NVME_CC_EN) != 0)) {
        world_find("hart %u masks a line that is not its own", world.hart);
    }
    if (other && offset == NVME_REG_INTMC) {
        world_find("hart %u opens a line that is not its own", world.hart);
    }
    model->masked_by_other = other && offset == NVME_REG_INTMS;
}
