// SPDX-License-Identifier: MIT
/*
 * An io_uring with 4 KiB reads by NVMe pass-through (io_uring_cmd), without a library.
 *
 * The file and the buffers are registered. What does not change from read to read is written into
 * every entry of the queue at the start, so a read takes five stores.
 */
#ifndef HARTQ_LOOP_RING_H
#define HARTQ_LOOP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/io_uring.h>
#include <linux/nvme_ioctl.h>

#include "job.h"

/* An entry of the submission queue (IORING_SETUP_SQE128), and one of the completion queue. */
union ring_sqe {
    struct io_uring_sqe sqe;
    struct {
        uint8_t head[offsetof(struct io_uring_sqe, cmd)];
        struct nvme_uring_cmd command;
    };
    uint8_t bytes[128];
};

struct ring_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
    uint64_t big[2];
};

struct ring {
    int fd;
    uint32_t sq_mask;
    uint32_t cq_mask;
    uint32_t sq_next; /* our copy of the tail */
    uint32_t *sq_tail;
    uint32_t *cq_head;
    uint32_t *cq_tail;
    union ring_sqe *sqes;
    struct ring_cqe *cqes;
    uint8_t *buffers;       /* a block for each slot */
    uint64_t positions;     /* blocks of JOB_BLOCK_BYTES on the device */
    uint64_t position_lbas; /* LBAs of each */
};

/*
 * Opens the job's device and a ring for it; false if the kernel has no hybrid polling. Ends the
 * program on any other failure.
 */
bool ring_open(struct ring *ring, const struct job *job);

/* Closes the ring and the device. */
void ring_close(struct ring *ring);

/* Writes the next entry: a read of the block at `position` into the buffer of `slot`. */
static inline void ring_post(struct ring *ring, uint32_t slot, uint64_t position)
{
    union ring_sqe *entry = &ring->sqes[ring->sq_next++ & ring->sq_mask];
    uint64_t lba = position * ring->position_lbas;

    entry->sqe.user_data = slot;
    entry->command.addr = (uint64_t)(uintptr_t)(ring->buffers + (size_t)slot * JOB_BLOCK_BYTES);
    entry->command.cdw10 = (uint32_t)lba;
    entry->command.cdw11 = (uint32_t)(lba >> 32);
}

/*
 * One system call: submits the last `count` entries and waits for `least` completions. Ends the
 * program if the kernel takes fewer.
 */
void ring_enter(struct ring *ring, uint32_t count, uint32_t least);

/* The next completion, NULL if there is none. It stays until ring_take(). */
static inline const struct ring_cqe *ring_look(const struct ring *ring)
{
    uint32_t head = *ring->cq_head; /* only we write it */

    if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
        return NULL;
    }
    return &ring->cqes[head & ring->cq_mask];
}

/* Frees the completion that ring_look() has shown. */
static inline void ring_take(struct ring *ring)
{
    __atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
}

#endif
