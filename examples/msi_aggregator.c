// SPDX-License-Identifier: MIT
/*
 * The messages of a PCI host: see msi_aggregator.h.
 *
 * A message means: look at the queue. So each step forgets a message before somebody looks, never
 * afterwards: the bits, the status, the flag of an owner. One that comes after that is kept.
 */
#include "msi_aggregator.h"

#include <stddef.h>

#include "nvme.h"
#include "nvme_hal.h"

void msi_connect(struct msi_aggregator *msi, uint32_t number, struct nvme_queue *queue,
                 uint32_t owner)
{
    uint32_t bit = UINT32_C(1) << number;

    msi->numbers[number].queue = queue;
    msi->numbers[number].owner = owner;
    msi->enabled = queue != NULL ? msi->enabled | bit : msi->enabled & ~bit;
    if (msi->enable != NULL) {
        hal_before_doorbell(); /* `numbers`, before the handler of another hart */
        hal_mmio_write32(msi->enable, msi->enabled);
    }
}

void msi_mask(struct msi_aggregator *msi, uint32_t number, bool masked)
{
    uint32_t bit = UINT32_C(1) << number;

    msi->masked = masked ? msi->masked | bit : msi->masked & ~bit;
    hal_mmio_write32(msi->mask, msi->masked);
}

static void hand_over(struct msi_aggregator *msi, uint32_t number)
{
    uint32_t owner = msi->numbers[number].owner;

    if (owner == msi->hart) {
        nvme_vector_handle(msi->numbers[number].queue);
        return;
    }
    /* Pairs with msi_take_ipi. */
    __atomic_store_n(&msi->numbers[number].forwarded, 1, __ATOMIC_RELEASE);
    msi->send_ipi(msi->arg, owner);
}

bool msi_handle(struct msi_aggregator *msi)
{
    uint32_t found;

    if (msi->collected != NULL) {
        hal_mmio_write32(msi->collected, msi->collected_bit);
    }
    /* The status shows masked bits too. They stay: unmasking raises the line for them. */
    found = hal_mmio_read32(msi->status) & msi->enabled & ~msi->masked;
    if (found == 0) {
        return false;
    }
    hal_mmio_write32(msi->status, found);
    /* Writes are posted: one that arrived after our look would clear a later message's bit. */
    hal_arm_before_look(msi->status);
    for (uint32_t number = 0; number < MSI_NUMBERS; number++) {
        if ((found >> number & 1) != 0) {
            hand_over(msi, number);
        }
    }
    return true;
}

void msi_take_ipi(struct msi_aggregator *msi, uint32_t owner)
{
    for (uint32_t number = 0; number < MSI_NUMBERS; number++) {
        if (msi->numbers[number].owner == owner &&
            __atomic_exchange_n(&msi->numbers[number].forwarded, 0, __ATOMIC_ACQUIRE) != 0) {
            nvme_vector_handle(msi->numbers[number].queue);
        }
    }
}
