/* SPDX-License-Identifier: MIT */
/* The counted windows of one configuration, on open queues and with interrupts off. */
#ifndef INSTRUCTIONS_MEASURE_H
#define INSTRUCTIONS_MEASURE_H

#include <stdbool.h>

#include "figures.h"
#include "storage.h"

enum {
    BATCH_MAX = 32,
    BUFFER_BYTES = 128 * 1024,
};

/* Whose queue 0 is counted; of a shared line the next queue of its controller takes part. */
extern struct storage storage;

/* These fill `figures`. False: a request failed, or did not complete in 5 s; printed. */

/* Polling, and interrupts on a source of one hart. */
bool measure_plain(const struct setup *setup);

/*
 * Hybrid mode with one wait for each batch, awake or asleep. The question is counted before the
 * doorbell, lest the device answer it, and so not in the same pass as the post.
 */
bool measure_hybrid(const struct setup *setup);

/* Interrupts, a request on each of two queues of a shared line; this hart is all harts of it. */
bool measure_shared(const struct setup *setup);

#endif
