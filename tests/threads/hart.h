// SPDX-License-Identifier: MIT
/*
 * Harts that are threads: each owns one queue, writes, reads back and compares until it is told to
 * stop. Interrupts are taken on the hart's own thread where they are on: when hal_irq_restore
 * turns them on, and while it waits.
 */
#ifndef THREADS_HART_H
#define THREADS_HART_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "nvme.h"
#include "random.h"

enum {
    HART_REQUESTS = 12,
    HART_BLOCKS = 512,          /* of the namespace are a hart's own */
    HART_REQUEST_BYTES = 16384, /* most of one request */
    HART_TRANSFER_BYTES = 8192, /* most of one command: larger requests are split */
};

struct device;
struct hart;

/* A request that goes round: write, read back, compare, write again. */
struct hart_request {
    struct hart *hart;
    uint8_t *memory;
    uint8_t *buffer;
    uint64_t lba;
    uint32_t blocks;
    uint64_t pattern;
    uint8_t opcode; /* in flight: NVME_CMD_WRITE or _READ; 0: idle */
};

struct hart {
    /* Set before the thread starts. */
    uint32_t index;
    struct device *device;
    struct nvme_controller *controller;
    struct nvme_queue *queue;
    struct nvme_namespace ns;
    bool interrupts;  /* this hart takes the device's line, or its queue's vector */
    bool changes;     /* it changes the mode of its queue now and then */
    uint32_t vector;  /* 0: the line */
    bool administers; /* and opens namespaces and another queue meanwhile */
    bool may_fail;
    bool may_reset;       /* as often as it likes; it goes on then */
    const uint32_t *stop; /* atomic: nothing more is posted */
    uint32_t *working;    /* atomic: harts that have requests left; a reset needs every owner */
    /* Held for all that a hart does: several have the same queue. NULL: each has its own. */
    pthread_mutex_t *lock;

    /* Atomic: an IPI. */
    uint32_t ipi_taken;

    /* The thread's own. */
    pthread_t thread;
    struct random random;
    struct hart_request requests[HART_REQUESTS];
    uint32_t outstanding;
    uint32_t steps;
    uint64_t watchdog_ns;
    uint64_t ends; /* of requests */
    uint64_t errors;
    bool irq_off;
    bool posting;
    bool finished;
};

/* Starts the thread of a hart, and waits for its end: every request has ended by then. */
void hart_start(struct hart *hart);
void hart_join(struct hart *hart);

/* Memory of a hart's requests. */
void hart_prepare(struct hart *hart, uint64_t seed);
void hart_free(struct hart *hart);

/* Says why, and ends the program with 1. */
_Noreturn void hart_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs the clock of hal_now_ns faster by this factor, for deadlines. Before threads start. */
void hart_set_clock(uint32_t factor);

/* The host's time, which no factor changes. What this thread has run for: a busy host, which runs
   others meanwhile, does not count. A pause of the thread. */
double hart_wall_s(void);
uint64_t hart_cpu_ns(void);
void hart_sleep_ms(uint32_t ms);

/* Behind nvme_port.h. */
unsigned long hart_irq_save(void);
void hart_irq_restore(unsigned long state);
uint64_t hart_now_ns(void);
void hart_relax(void);

#endif
