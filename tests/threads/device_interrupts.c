// SPDX-License-Identifier: MIT
/*
 * How the device interrupts: a line with a latch of edges, or MSI-X vectors. All relaxed: an
 * interrupt orders nothing.
 */
#include "device.h"
#include "nvme_spec.h"

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

bool device_claim(struct device *device)
{
    return load(&device->pending) != 0 &&
           __atomic_exchange_n(&device->pending, 0, __ATOMIC_RELAXED) != 0;
}

/* High while a queue that interrupts holds entries; the latch takes rising edges. */
void device_follow_line(struct device *device)
{
    uint32_t unmasks = load(&device->unmasks);
    bool high = false;
    bool edge;

    for (uint32_t id = 1; id < DEVICE_QUEUES; id++) {
        const struct device_ring *cq = &device->cqs[id];

        high |= cq->entries != NULL && cq->interrupts &&
                cq->at != load(&device->registers[device_cq_doorbell(id) / 4]);
    }
    high &= load(&device->msix) == 0;
    /* Open for a moment that was not looked at, it rose then. */
    edge = high && unmasks != device->unmasks_seen;
    high &= load(&device->mask) == 0;
    if (edge || (high && !device->high)) {
        __atomic_store_n(&device->pending, 1, __ATOMIC_RELAXED);
    }
    device->high = high;
    device->unmasks_seen = unmasks;
}

void device_mask_vector(struct device *device, uint32_t vector, bool masked)
{
    uint32_t *word = &device->vectors[vector];
    uint32_t old = load(word);
    uint32_t next;

    do {
        next = old | DEVICE_MASKED;
        if (!masked) {
            next = (old & DEVICE_HELD) != 0 ? DEVICE_PENDING : old & DEVICE_PENDING;
        }
    } while (
        !__atomic_compare_exchange_n(word, &old, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

bool device_claim_vector(struct device *device, uint32_t vector)
{
    uint32_t *word = &device->vectors[vector];

    return (load(word) & DEVICE_PENDING) != 0 &&
           (__atomic_fetch_and(word, ~(uint32_t)DEVICE_PENDING, __ATOMIC_RELAXED) &
            DEVICE_PENDING) != 0;
}

void device_send(struct device *device, uint32_t vector)
{
    uint32_t *word = &device->vectors[vector];
    uint32_t old = load(word);
    uint32_t lose = load(&device->lose);

    if (++device->messages % DEVICE_MESSAGES < lose) {
        return;
    }
    while (!__atomic_compare_exchange_n(
        word, &old, old | ((old & DEVICE_MASKED) != 0 ? DEVICE_HELD : DEVICE_PENDING), false,
        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        /* The mask has changed meanwhile. */
    }
}
