// SPDX-License-Identifier: MIT
/*
 * A controller without the engine: registers, the admin queue, the PLIC's claim register. For
 * probes of what the machine does, where the engine would do the right thing.
 */
#ifndef HARTQ_RAW_H
#define HARTQ_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme_spec.h"
#include "pci.h"

enum { RAW_DEPTH = 16 };

/* A controller driven by hand. Interrupts of the hart are off while it is. */
struct raw {
    const struct pci_function *function;
    volatile uint8_t *registers;
    struct nvme_command *sq;
    volatile struct nvme_completion *cq;
    uint8_t *page; /* for data */
    uint32_t tail, head, phase;
    uint16_t cid;
};

/* The first NVMe function of the machine, or NULL. Scans the buses the first time. */
const struct pci_function *raw_find(void);

/*
 * Resets the controller and enables it with an admin queue of RAW_DEPTH entries. Its memory is from
 * the heap. False: it did not become ready in time.
 */
bool raw_open(struct raw *raw, const struct pci_function *function);

/* CC.EN = 0, whatever is in the queue, and waits for RDY = 0. */
bool raw_disable(struct raw *raw);

/* Reads and writes a register by its offset. */
uint32_t raw_read(const struct raw *raw, uint32_t offset);
void raw_write(const struct raw *raw, uint32_t offset, uint32_t value);

/*
 * Posts and rings an Identify Controller. raw_await waits until `count` completions are ready
 * behind the head, and a little longer, so that the interrupt of the last has been raised.
 */
void raw_identify(struct raw *raw);
bool raw_await(const struct raw *raw, uint32_t count);

/* Moves the head over `count` completions and rings its doorbell; 0 rings it unchanged. */
void raw_consume(struct raw *raw, uint32_t count);

/* PCI status bit 3: the INTx signal. */
bool raw_level(const struct raw *raw);

/* The PLIC by hand, for hart 0 with interrupts off: claims (0: nothing), completes. */
uint32_t raw_claim(void);
void raw_complete(uint32_t source);

#endif
