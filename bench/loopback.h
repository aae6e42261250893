// SPDX-License-Identifier: MIT
/*
 * Loopback: the bench writes completions in memory itself, with a few instructions per command. So
 * only the engine and its loop are measured. The engine posts, rings and reaps as usual; only its
 * doorbells go to memory: see nvme_queue_enter_loopback().
 */
#ifndef HARTQ_BENCH_LOOPBACK_H
#define HARTQ_BENCH_LOOPBACK_H

#include "nvme_bench.h"

/* Of one hart's queue. Written by that hart only. */
struct loopback {
    struct nvme_ring ring;          /* cq_head and phase are those of the next completion */
    volatile uint32_t doorbells[2]; /* submission tail, completion head */
    uint32_t sq_head;
};

/* Replaces the device of an idle poll queue, until the queue is closed. */
enum nvme_error loopback_start(struct loopback *device, struct nvme_queue *queue);

/* Completes all commands that were rung for, with success and in order; no data moves. */
void loopback_complete(struct loopback *device);

#endif
