// SPDX-License-Identifier: MIT
/*
 * A controller that is a thread: it looks at its registers and at memory as a real one does, at
 * the same time as the harts, and shares nothing else with them.
 *
 * It is no judge: the rules of the protocol are the model's (tests/model), which is one thread.
 * Here the thread sanitizer judges who touches what without an order.
 */
#ifndef THREADS_DEVICE_H
#define THREADS_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DEVICE_QUEUES = 10, /* admin and I/O */
    DEVICE_BLOCKS = 4096,
    DEVICE_BLOCK_SHIFT = 9,
    DEVICE_PAGE = 4096,
    DEVICE_HUNG = 512,
    DEVICE_MESSAGES = 1024,
    DEVICE_DOORBELLS = 2 * DEVICE_QUEUES,
    DEVICE_REGISTER_BYTES = 0x1000 + DEVICE_DOORBELLS * 4,
};

/* What the device does wrong from now on. */
enum device_fault {
    DEVICE_GOOD,
    DEVICE_SILENT, /* moves data, answers nothing */
    DEVICE_FATAL,  /* the same, and CSTS.CFS */
};

/* One ring, as the device sees it; both of a pair have the same number. */
struct device_ring {
    uint8_t *entries; /* NULL: there is none */
    uint32_t count;
    uint32_t at; /* next to fetch, or to write */
    uint32_t phase;
    bool interrupts;
    uint32_t vector;
    uint32_t writes_seen; /* of its doorbell register */
    bool awake;           /* the device looks at the shadow doorbell */
};

/* The state of an MSI-X vector, one word: the order of its changes is all that counts. */
enum device_vector {
    DEVICE_MASKED = 1,
    DEVICE_HELD = 2,    /* an interrupt that the mask holds back */
    DEVICE_PENDING = 4, /* a message that nobody has claimed */
};

struct nvme_command;

struct device {
    /* Shared with the harts: atomic. */
    uint32_t registers[DEVICE_REGISTER_BYTES / 4];
    uint32_t mask;    /* INTMS */
    uint32_t unmasks; /* writes of INTMC: each makes a fresh edge if there is a reason */
    uint32_t pending; /* the line's latch at the interrupt controller */
    uint32_t fault;   /* enum device_fault */
    uint32_t heals;   /* a disable ends the fault */
    uint32_t vectors[DEVICE_QUEUES];   /* enum device_vector */
    uint32_t msix;                     /* messages instead of the line; set before it is enabled */
    uint32_t lose;                     /* so many in a row of DEVICE_MESSAGES are not sent */
    uint32_t shadow;                   /* Doorbell Buffer Config is offered; set before, too */
    uint32_t writes[DEVICE_DOORBELLS]; /* of each doorbell register: its value may stay the same */
    uint32_t stop;                     /* ends the thread */

    /* The device's own. */
    pthread_t thread;
    uint8_t *backing;
    struct device_ring sqs[DEVICE_QUEUES];
    struct device_ring cqs[DEVICE_QUEUES];
    uint32_t *shadow_page; /* NULL: doorbells are registers */
    uint32_t *event_page;
    struct nvme_command *hung; /* not answered: touched once more before RDY falls */
    uint32_t hung_count;
    bool enabled;
    bool high;
    uint32_t unmasks_seen;
    uint32_t messages;
};

/* Starts and ends a device. At most eight exist. */
struct device *device_start(void);
void device_stop(struct device *device);

/* A register write by a hart: a release if memory was ordered before it. */
void device_write(volatile void *address, uint32_t value, bool release);

/* Takes the latched edge, if there is one. */
bool device_claim(struct device *device);

/* Masks a vector, or opens it and sends what was held back; takes its message if there is one. */
void device_mask_vector(struct device *device, uint32_t vector, bool masked);
bool device_claim_vector(struct device *device, uint32_t vector);

/* The device's side: the line follows what has happened; a message is sent, or held back. */
void device_follow_line(struct device *device);
void device_send(struct device *device, uint32_t vector);

/* The registers of a queue's doorbells, and their numbers. */
uint32_t device_sq_doorbell(uint32_t id);
uint32_t device_cq_doorbell(uint32_t id);

/* Doorbells as the device knows them now: from the shadow doorbell, if the queue has one. */
uint32_t device_sq_tail(struct device *device, uint32_t id);
uint32_t device_cq_head(struct device *device, uint32_t id);

#endif
