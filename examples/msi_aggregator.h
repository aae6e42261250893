// SPDX-License-Identifier: MIT
/*
 * MSI-X where a PCI host collects the messages of all functions and raises one line of the PLIC, as
 * DesignWare's and PLDA's do: which queues a line is for. It is for kernels to copy, and knows the
 * engine and its port alone.
 *
 * A message is a write of its number to one address. It sets a bit of a status register. A bit that
 * is enabled and not masked keeps the line high, and writing a one clears it. The line is a level,
 * so a message that comes while the handler runs interrupts again.
 */
#ifndef MSI_AGGREGATOR_H
#define MSI_AGGREGATOR_H

#include <stdbool.h>
#include <stdint.h>

struct nvme_queue;

enum { MSI_NUMBERS = 32 };

struct msi_aggregator {
    /* Its registers, mapped uncached. DesignWare: ENABLE, MASK and STATUS of INTR0. PLDA: a status
       register alone, and above it one with a bit for all messages, which is cleared first. */
    volatile uint32_t *status;
    volatile uint32_t *enable;    /* or NULL: all are */
    volatile uint32_t *mask;      /* or NULL: see msi_mask */
    volatile uint32_t *collected; /* or NULL */
    uint32_t collected_bit;
    uint32_t hart; /* takes the line, numbered as owners */
    /* As nvme_config.send_ipi. Its handler calls msi_take_ipi too. NULL: one owner, `hart`. */
    void (*send_ipi)(void *arg, uint32_t hart);
    void *arg;

    /* Its own, 0 at first. */
    struct {
        struct nvme_queue *queue; /* NULL: not connected */
        uint32_t owner;
        uint32_t forwarded; /* the owner has to look */
    } numbers[MSI_NUMBERS];
    uint32_t enabled, masked;
};

/*
 * A number becomes that of a queue, whose vector sends it; NULL: of none. While the queue is open.
 * Context: `hart`, or the line is not routed.
 */
void msi_connect(struct msi_aggregator *msi, uint32_t number, struct nvme_queue *queue,
                 uint32_t owner);

/* The handler of the line, between claim and complete, on `hart`. False: it was not for us. */
bool msi_handle(struct msi_aggregator *msi);

/* In the IPI of an owner. */
void msi_take_ipi(struct msi_aggregator *msi, uint32_t owner);

/*
 * For nvme_config.vector_mask, if `hart` owns all queues. Harts would overwrite each other's bits:
 * then, and without a mask register, mask in the MSI-X table of the function.
 */
void msi_mask(struct msi_aggregator *msi, uint32_t number, bool masked);

#endif
