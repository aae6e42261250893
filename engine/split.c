// SPDX-License-Identifier: MIT
/*
 * Requests above the limit of one command: posted in parts, a few of them in flight.
 *
 * A part is an ordinary request whose callback is part_done(), so queue.c knows nothing of splits.
 * A part that ends posts the next one into the slot that it has left.
 */
#include "nvme_internal.h"

static void part_done(void *arg, struct nvme_result result);

static uint32_t next_blocks(const struct nvme_split *split)
{
    return split->rest.block_count < split->ns->max_blocks ? split->rest.block_count
                                                           : split->ns->max_blocks;
}

/* Maps the data of the next part; false: the port has no room. */
static bool map_part(const struct nvme_split *split)
{
    return nvme_data_map(split->queue, split->rest.buffer,
                         (uint64_t)next_blocks(split) << split->ns->block_shift,
                         split->rest.opcode) == NVME_OK;
}

/* Posts the next part. The caller has found blocks and a free slot, and has mapped the data. */
static void put_part(struct nvme_split *split)
{
    struct nvme_io *rest = &split->rest;
    struct nvme_io part = *rest;

    part.block_count = next_blocks(split);
    rest->lba += part.block_count;
    rest->buffer = (uint8_t *)rest->buffer + ((size_t)part.block_count << split->ns->block_shift);
    rest->block_count -= part.block_count;
    split->in_flight++;
    part.callback = (struct nvme_callback){part_done, split};
    nvme_io_put_part(split->queue, split->ns, &part);
}

/* The callback of a part: posts the next one into the slot that it left, or ends the request. */
static void part_done(void *arg, struct nvme_result result)
{
    struct nvme_split *split = arg;
    struct nvme_queue *queue = split->queue;

    split->in_flight--;
    split->result.bytes_done += result.bytes_done;
    split->result.dw0 = result.dw0;
    if (split->result.error == NVME_OK && result.error != NVME_OK) {
        split->result.error = result.error;
        split->result.status = result.status;
    }
    if (split->result.error == NVME_OK && split->rest.block_count != 0) {
        if (queue->state != NVME_QUEUE_OPEN) {
            split->result.error = NVME_ERR_ABORTED;
        } else if (map_part(split)) {
            put_part(split);
        } else if (split->in_flight == 0) {
            split->result.error = NVME_ERR_MAP; /* else the end of another part tries again */
        }
    }
    if (split->in_flight == 0) {
        struct nvme_callback callback = split->rest.callback;
        struct nvme_result whole = split->result;

        /* The record first: done() may post again, and then finds it free. */
        split->next_free = queue->free_split;
        queue->free_split = split;
        callback.done(callback.arg, whole);
    }
}

/* Posts as many parts as the window, the free slots and the port allow, at least one. */
static enum nvme_error put_split(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                 const struct nvme_io *io)
{
    struct nvme_split *split = queue->free_split;

    queue->free_split = split->next_free;
    *split = (struct nvme_split){.queue = queue, .ns = ns, .rest = *io};
    while (split->rest.block_count != 0 && split->in_flight < NVME_SPLIT_WINDOW &&
           queue->free != NULL && map_part(split)) {
        put_part(split);
    }
    if (NVME_PORT_MAPS_DMA && split->in_flight == 0) {
        split->next_free = queue->free_split;
        queue->free_split = split;
        return NVME_ERR_MAP;
    }
    return NVME_OK;
}

enum nvme_error nvme_split_post(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                const struct nvme_io *io, uint64_t block_count)
{
    struct nvme_io whole = *io;

    if (block_count == 0 || (block_count << ns->block_shift) > UINT32_MAX) {
        return NVME_ERR_LENGTH;
    }
    if (block_count > ns->block_count || io->lba > ns->block_count - block_count) {
        return NVME_ERR_RANGE;
    }
    whole.block_count = (uint32_t)block_count;
    return nvme_io_is_aligned(io->buffer) ? put_split(queue, ns, &whole)
                                          : nvme_segments_post_buffer(queue, ns, &whole);
}
