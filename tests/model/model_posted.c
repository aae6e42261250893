// SPDX-License-Identifier: MIT
/*
 * Posted writes: what lies between a hart's store and the device. A write to a PCI device is on its
 * way for a while. Writes to one device arrive in order, at the latest before a read of it comes
 * back; nothing orders writes to two devices.
 *
 * A write is judged as of its issue: by the hart and after the barriers that there were then.
 */
#include "model_internal.h"

static struct model_order order_now(void)
{
    return (struct model_order){
        .hart = world.hart,
        .loads = world.loads,
        .doorbell_barriers = world.doorbell_barriers,
        .register_barriers = world.register_barriers,
    };
}

static void set_order(struct model_order order)
{
    world.hart = order.hart;
    world.loads = order.loads;
    world.doorbell_barriers = order.doorbell_barriers;
    world.register_barriers = order.register_barriers;
}

static void arrive(struct model *model, const struct model_posted *write)
{
    if (write->is_vector) {
        model_vector_mask_now(model, (uint16_t)write->place, write->value != 0);
    } else {
        model_register_write_now(model, write->place, write->value);
    }
}

uint32_t model_arrive(struct model *model, uint32_t count)
{
    uint32_t arrived = 0;

    while (arrived < count && model->posted_count != 0) {
        struct model_posted write = model->posted_writes[model->posted_first];
        struct model_order now = order_now();

        model->posted_first = (model->posted_first + 1) % MODEL_POSTED;
        model->posted_count--;
        arrived++;
        set_order(write.order);
        arrive(model, &write);
        set_order(now);
    }
    return arrived;
}

static void post(struct model *model, struct model_posted write)
{
    if (!model->posted) {
        arrive(model, &write);
        return;
    }
    if (model->posted_count == MODEL_POSTED) {
        model_arrive(model, 1);
    }
    write.order = order_now();
    model->posted_writes[(model->posted_first + model->posted_count++) % MODEL_POSTED] = write;
}

void model_register_write(struct model *model, uint32_t offset, uint32_t value)
{
    post(model, (struct model_posted){.place = offset, .value = value});
}

void model_vector_mask(struct model *model, uint16_t vector, bool masked)
{
    post(model, (struct model_posted){.is_vector = true, .place = vector, .value = masked});
}

uint32_t model_register_read(struct model *model, uint32_t offset)
{
    model_arrive(model, UINT32_MAX);
    return model_register_read_now(model, offset);
}

bool model_level_read(struct model *model)
{
    model_arrive(model, UINT32_MAX);
    return model_level(model);
}
