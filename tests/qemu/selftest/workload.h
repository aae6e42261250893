// SPDX-License-Identifier: MIT
/*
 * A random mix of reads, writes and flushes on one queue, checked against a shadow of the backing.
 *
 * A queue's workload owns a region of blocks. The shadow holds each block's generation; a block
 * takes one request at a time. Every callback checks its data and posts the next request, in the
 * trap where the queue interrupts.
 */
#ifndef HARTQ_WORKLOAD_H
#define HARTQ_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "storage.h"

enum {
    WORKLOAD_DEPTH_MAX = 64,
    WORKLOAD_BLOCKS = 256, /* of a region */
    WORKLOAD_SPAN_MAX = 4, /* blocks of one request */
};

struct workload;

/* Something that a test does in the midst of a workload, on its hart. */
typedef void workload_hook(struct workload *workload);

/* True when a workload that is out of time has had what the test judges. */
typedef bool workload_enough(const struct workload *workload);

/* What is known of the blocks of a region. A workload may begin with what another one left. */
struct workload_shadow {
    uint32_t generation[WORKLOAD_BLOCKS]; /* that was posted last; 0: never written */
    uint8_t busy[WORKLOAD_BLOCKS];        /* opcode of the request that has it; 0: none */
};

/* One request slot of a workload. */
struct workload_slot {
    struct workload *workload;
    uint8_t *buffer; /* WORKLOAD_SPAN_MAX blocks, at an odd dword offset */
    uint32_t first;  /* block of the region */
    uint32_t count;
    uint32_t ends; /* must grow by one per post */
    uint8_t opcode;
};

/* A workload. Written by the queue's owner hart only, once it runs. */
struct workload {
    struct storage_queue *queue;
    uint64_t region; /* its first LBA */
    uint64_t random;
    uint64_t end_ns;         /* posts nothing after this, unless it has yet to begin; 0: no limit */
    workload_enough *enough; /* goes on after that, too, until this is true; NULL: at once */
    uint32_t beyond;         /* posts after the end */
    uint64_t to_post;        /* requests left */
    volatile uint32_t in_flight;
    volatile uint64_t ended;
    uint64_t posted;
    uint64_t wrong; /* blocks with other data than the shadow's */
    uint64_t errors;
    uint64_t stray;      /* callbacks on another hart than the owner */
    workload_hook *done; /* in done(), before it posts again; NULL: nothing */
    workload_hook *turn; /* in the thread, interrupts on, after each step of waiting */
    uint32_t depth;
    struct workload_shadow *shadow;
    struct workload_shadow own_shadow; /* empty at first */
    struct workload_slot slots[WORKLOAD_DEPTH_MAX];
};

/*
 * Prepares a workload of `depth` requests in flight (1 .. WORKLOAD_DEPTH_MAX) on region number
 * `index`, with buffers from the heap. Hart 0, with the storage open.
 */
void workload_init(struct workload *workload, struct storage_queue *queue, uint32_t index,
                   uint32_t depth);

/* The words of a block of a region begin with this key (pattern_fill). */
uint32_t workload_key(uint64_t region, uint32_t block, uint32_t generation);

/* Posts the first requests, one doorbell each, with interrupts off. On the owner hart. */
void workload_start(struct workload *workload);

/* Waits until it has ended. On the owner hart, whose waiting serves only this queue. */
void workload_wait(struct workload *workload);

/* The hook between two steps of waiting; called with interrupts off, and returns so. */
void workload_turn(struct workload *workload);

/* Fails the running test unless every request ended once with the right data. */
void workload_check(const struct workload *workload);

#endif
