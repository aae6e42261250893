// SPDX-License-Identifier: MIT
/*
 * The null device: completions are posted in memory by the bench itself, a few instructions per
 * command, so that what is measured is the engine and the loop around it alone. The engine posts,
 * rings and reaps as ever; only its doorbells go to memory: see nvme_queue_enter_loopback().
 */
#ifndef HARTQ_BENCH_NULL_H
#define HARTQ_BENCH_NULL_H

#include "nvme_bench.h"

/* Of one hart's queue. Written by that hart only. */
struct null_device {
    struct nvme_ring ring;          /* cq_head and phase are those of the next completion */
    volatile uint32_t doorbells[2]; /* submission tail, completion head */
    uint32_t sq_head;
};

/* Takes the place of the device of an idle poll queue, until that is closed. */
enum nvme_error null_start(struct null_device *device, struct nvme_queue *queue);

/* Completes all that has been rung for, with success and in order; no data moves. */
void null_answer(struct null_device *device);

#endif
