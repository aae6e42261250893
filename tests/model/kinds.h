// SPDX-License-Identifier: MIT
/*
 * A request of each kind that moves data, with what it does for tests of what is kept for data.
 */
#ifndef KINDS_H
#define KINDS_H

#include "fixture.h"

enum {
    KIND_PART = 2 * FIXTURE_PAGE, /* max_transfer_bytes of the controller */
    KIND_PARTS = 5,               /* of a split request */
    KIND_SEGMENTS = 3,            /* of a list, which PRPs carry */
    KIND_SPLIT_BYTES = KIND_PARTS * KIND_PART,
};

enum kind {
    KIND_READ,
    KIND_WRITE,
    KIND_READ_FUA,
    KIND_READV,
    KIND_WRITEV,
    KIND_SEND, /* pass-through of a write */
    KIND_SPLIT_READ,
    KIND_SPLIT_WRITE,
    KINDS,
};

/* The data of all of them: KIND_SPLIT_BYTES. */
extern uint8_t kind_buffer[];

/* How many pieces of memory each has. */
extern const uint32_t kind_pieces[KINDS];

/* Posts one of block 0 and what follows, on queue 0. */
enum nvme_error kind_post(struct fixture *fixture, enum kind kind, struct nvme_callback callback);

/* The end of one, and what was mapped when done() ran, beside the DMA region. */
struct kind_end {
    struct outcome outcome;
    uint32_t mapped;
};

/* The same with a callback that fills *end, which is cleared first. */
enum nvme_error kind_watch(struct fixture *fixture, enum kind kind, struct kind_end *end);

#endif
