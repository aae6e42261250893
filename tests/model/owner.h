// SPDX-License-Identifier: MIT
/*
 * An owner hart in hybrid mode and its device, for the tests of what it learns.
 *
 * The owner looks every OWNER_LOOK_NS; the device ends each request after a latency, several at
 * once at equal distances. A sleep ends late by what waking takes; a device that the spinning hart
 * is in the way of ends its requests later. Nothing but these moves the clock.
 */
#ifndef OWNER_H
#define OWNER_H

#include "fixture.h"

#define OWNER_US UINT64_C(1000)

enum {
    OWNER_LOOK_NS = 100,
    OWNER_LOOKS_MAX = 100000, /* of one wait */
};

/* A queue in hybrid mode, its owner and its device. Tests set the knobs at will. */
struct owner {
    struct fixture fixture;
    struct nvme_queue *queue;
    uint64_t latency_ns;            /* knob */
    uint64_t wake_ns;               /* knob: what a sleep adds; 30 us */
    uint64_t drag_ns;               /* knob: what each request is later if the hart spins */
    uint32_t depth;                 /* knob: what done() keeps in flight; 0: it posts nothing */
    enum nvme_wait_kind kind;       /* knob: NVME_WAIT_BLOCKED */
    uint64_t due_ns[FIXTURE_DEPTH]; /* of each request, a ring */
    uint32_t posted;
    uint32_t answered;
    uint32_t ended;
    uint32_t looks;
    uint32_t sleeps;
    bool spun; /* since the last sleep */
};

/* Opens one queue on this source. */
void owner_start(struct owner *owner, const struct fixture_source *source, uint64_t latency_ns);

/* The same, fixture_init() and changes to its configuration being done. */
void owner_start_prepared(struct owner *owner, uint64_t latency_ns);

/* Posts one request, which nobody has rung for yet. */
void owner_post(struct owner *owner);

/* The device answers what is due by now. */
void owner_answer(struct owner *owner);

/* Goes on until `count` more have ended. */
void owner_run(struct owner *owner, uint32_t count);

/* The same; how many interrupts it took. */
uint64_t owner_interrupts(struct owner *owner, uint32_t count);

/* Ends what is in flight and everything. No interrupt was missed. */
void owner_finish(struct owner *owner);

#endif
