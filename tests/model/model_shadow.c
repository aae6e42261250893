// SPDX-License-Identifier: MIT
/*
 * Shadow doorbells: what Doorbell Buffer Config makes of a device. It looks at the values in memory
 * when its register is written, when it posts an entry, and all the time while it is awake. Asleep,
 * its event indexes ask for the register.
 */
#include "model_internal.h"

enum { STATUS_INVALID_FIELD = 0x002 };

static volatile uint32_t *place(const struct model *model, uint64_t page, uint32_t id, bool is_cq)
{
    size_t offset = (2 * (size_t)id + is_cq) * (4U << model->cap.stride);

    return (volatile uint32_t *)(void *)((uint8_t *)world_host(page) + offset);
}

bool model_has_shadow(const struct model *model, uint32_t id)
{
    return model->shadow_page != 0 && id != 0;
}

uint32_t model_shadow_value(const struct model *model, uint32_t id, bool is_cq)
{
    return *place(model, model->shadow_page, id, is_cq);
}

static void tell(struct model *model, uint32_t id, bool is_cq, uint32_t value)
{
    if (!model->shadow_deaf) {
        *place(model, model->event_page, id, is_cq) = value;
    }
}

bool model_is_event_index(const struct model *model, const volatile void *address)
{
    uintptr_t page = model->event_page != 0 ? (uintptr_t)world_host(model->event_page) : 0;

    return page != 0 && (uintptr_t)address >= page && (uintptr_t)address - page < model->page_bytes;
}

struct model_answer model_configure_shadow(struct model *model, const struct nvme_command *command)
{
    if (command->prp1 % model->page_bytes != 0 || command->prp2 % model->page_bytes != 0 ||
        command->prp1 == 0 || command->prp2 == 0 || command->prp1 == command->prp2) {
        world_find("shadow doorbells at %#llx and %#llx, which are not two pages",
                   (unsigned long long)command->prp1, (unsigned long long)command->prp2);
        return (struct model_answer){.status = STATUS_INVALID_FIELD};
    }
    model->shadow_page = command->prp1;
    model->event_page = command->prp2;
    return (struct model_answer){0};
}

void model_check_shadow_emptied(const struct model *model, uint32_t id, bool is_cq)
{
    if (model_has_shadow(model, id) && (*place(model, model->shadow_page, id, is_cq) != 0 ||
                                        *place(model, model->event_page, id, is_cq) != 0)) {
        world_find("a queue is created with an old shadow doorbell or event index");
    }
}

static void tell_tail(struct model *model, uint32_t id)
{
    if (!model->shadow_awake) {
        tell(model, id, false, model->sqs[id].tail);
    }
}

void model_look_at_tail(struct model *model, uint32_t id)
{
    struct model_sq *sq = &model->sqs[id];
    uint32_t value;

    if (!model_has_shadow(model, id) || model->shadow_deaf) {
        return;
    }
    value = model_shadow_value(model, id, false);
    if (value >= sq->entries) {
        world_find("SQ %u: shadow tail %u of %u entries", id, value, sq->entries);
        return;
    }
    if (value != sq->tail) {
        model_move_tail(model, id, value);
    }
    tell_tail(model, id);
}

void model_look_at_head(struct model *model, uint32_t id)
{
    struct model_cq *cq = &model->cqs[id];
    uint32_t value;

    if (!model_has_shadow(model, id) || model->shadow_deaf) {
        return;
    }
    value = model_shadow_value(model, id, true);
    if (value >= cq->entries || (value + cq->entries - cq->head) % cq->entries >
                                    (cq->tail + cq->entries - cq->head) % cq->entries) {
        world_find("CQ %u: shadow head %u gives back entries that were not posted", id, value);
    } else if (value != cq->head) {
        model_move_head(cq, value);
    }
}

static void look_at_all(struct model *model)
{
    for (uint32_t id = 1; id < MODEL_QUEUES && model->shadow_page != 0; id++) {
        /* QEMU looks at a head only when it posts an entry: its count of busy queues needs that. */
        if (model->cqs[id].exists && !model->counts_pending) {
            model_look_at_head(model, id);
        }
        if (model->sqs[id].exists) {
            model_look_at_tail(model, id);
        }
    }
}

void model_shadow_set_awake(struct model *model, bool awake)
{
    model->shadow_awake = awake;
    /* Asleep: first what it asks for, then the last look. */
    for (uint32_t id = 1; id < MODEL_QUEUES && model->shadow_page != 0 && !awake; id++) {
        if (model->sqs[id].exists) {
            tell(model, id, false, model->sqs[id].tail);
        }
    }
    look_at_all(model);
}

void model_shadow_stored(struct model *model)
{
    if (model->shadow_wakes.state != 0 && random_chance(&model->shadow_wakes, 300)) {
        model_shadow_set_awake(model, !model->shadow_awake);
    } else if (model->shadow_awake) {
        look_at_all(model);
    }
}

void model_shadow_tell_head(struct model *model, uint32_t id)
{
    tell(model, id, true, model->cqs[id].head);
}
