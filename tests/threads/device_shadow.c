// SPDX-License-Identifier: MIT
/*
 * Shadow doorbells as the device sees them. It looks at a tail in memory while it is awake for the
 * queue. Before it falls asleep it sets the event index and looks once more. A write of the
 * register wakes it. A head is looked at whenever an entry is written.
 */
#include "device.h"
#include "nvme_spec.h"

static uint32_t number_of(uint32_t doorbell)
{
    return (doorbell - NVME_REG_DOORBELLS) / 4;
}

static uint32_t read_register(const struct device *device, uint32_t doorbell)
{
    return __atomic_load_n(&device->registers[doorbell / 4], __ATOMIC_ACQUIRE);
}

static uint32_t look(const struct device *device, uint32_t doorbell)
{
    return __atomic_load_n(&device->shadow_page[number_of(doorbell)], __ATOMIC_SEQ_CST);
}

/* Asks for the register when the doorbell passes `value`. */
static void ask(const struct device *device, uint32_t doorbell, uint32_t value)
{
    __atomic_store_n(&device->event_page[number_of(doorbell)], value, __ATOMIC_SEQ_CST);
}

static bool is_shadowed(const struct device *device, uint32_t id)
{
    return device->shadow_page != NULL && id != 0;
}

uint32_t device_sq_tail(struct device *device, uint32_t id)
{
    uint32_t doorbell = device_sq_doorbell(id);
    struct device_ring *sq = &device->sqs[id];
    uint32_t writes = __atomic_load_n(&device->writes[number_of(doorbell)], __ATOMIC_RELAXED);

    if (!is_shadowed(device, id)) {
        return read_register(device, doorbell);
    }
    if (writes != sq->writes_seen) {
        sq->writes_seen = writes;
        sq->awake = true;
    }
    if (sq->awake && look(device, doorbell) == sq->at) {
        ask(device, doorbell, sq->at);
        sq->awake = look(device, doorbell) != sq->at;
    }
    return sq->awake ? look(device, doorbell) : sq->at;
}

uint32_t device_cq_head(struct device *device, uint32_t id)
{
    uint32_t doorbell = device_cq_doorbell(id);
    uint32_t head;

    if (!is_shadowed(device, id)) {
        return read_register(device, doorbell);
    }
    head = look(device, doorbell);
    ask(device, doorbell, head);
    return head;
}
