// SPDX-License-Identifier: MIT
/*
 * Read, write, flush, any other command: validate, fill, post; and the split above MDTS.
 *
 * Nothing here rings a doorbell. A part of a split request is a request like any other whose
 * callback is part_done(), so the drain knows nothing of splits. NVM Command Set 1.0.
 */
#include "nvme_internal.h"

/* The common end of every post: a slot, its request, the command in the ring. */
static inline void put(struct nvme_queue *queue, const struct nvme_command *command, void *buffer,
                       uint32_t size_bytes, struct nvme_callback callback)
{
    struct nvme_request *request = nvme_request_acquire(queue);
    struct nvme_command *entry = nvme_queue_next(queue);
    bool from_device = (command->cdw0 & NVME_TRANSFER_FROM_DEVICE) != 0;
    uint32_t slot = request->cid & queue->slot_mask;

    request->done = callback.done;
    request->arg = callback.arg;
    request->size_bytes = size_bytes;
    request->buffer = from_device ? buffer : NULL;

    *entry = *command;
    entry->cdw0 = command->cdw0 | request->cid << 16;
    if (size_bytes != 0) {
        struct nvme_prp_build build = {
            .dma_context = queue->controller->config.dma_context,
            .buffer = buffer,
            .size_bytes = size_bytes,
            .page_bytes = queue->controller->info.page_bytes,
            .list = queue->lists + slot * queue->list_stride_bytes,
        };

        nvme_prp_fill(entry, &build);
        /* Before a read too: a dirty line must not be written back over the device's data. */
        hal_dma_clean(build.dma_context, buffer, size_bytes);
    }
    hal_dma_clean(queue->controller->config.dma_context, entry, sizeof(*entry));
    nvme_queue_advance(queue);
}

void nvme_io_put(struct nvme_queue *queue, const struct nvme_command *command, void *buffer,
                 uint32_t size_bytes, struct nvme_callback callback)
{
    put(queue, command, buffer, size_bytes, callback);
}

/* One read or write that fits into one command. NVM Command Set 1.0, Read and Write. */
static inline void put_transfer(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                const struct nvme_io *io, struct nvme_callback callback)
{
    struct nvme_command command = {
        .cdw0 = io->opcode,
        .nsid = ns->nsid,
        .cdw10 = (uint32_t)io->lba,
        .cdw11 = (uint32_t)(io->lba >> 32),
        .cdw12 = io->block_count - 1,
    };

    put(queue, &command, io->buffer, io->block_count << ns->block_shift, callback);
}

static void part_done(void *arg, struct nvme_result result);

/* Posts the next part. The caller saw that blocks are left and a slot is free. */
static void put_part(struct nvme_split *split)
{
    struct nvme_io *rest = &split->rest;
    struct nvme_io part = *rest;

    if (part.block_count > split->ns->max_blocks) {
        part.block_count = split->ns->max_blocks;
    }
    rest->lba += part.block_count;
    rest->buffer = (uint8_t *)rest->buffer + ((size_t)part.block_count << split->ns->block_shift);
    rest->block_count -= part.block_count;
    split->in_flight++;
    put_transfer(split->queue, split->ns, &part, (struct nvme_callback){part_done, split});
}

/* A part has ended: post the next one into the slot that it left, or end the whole. */
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
        if (queue->state == NVME_QUEUE_OPEN) {
            put_part(split);
        } else {
            split->result.error = NVME_ERR_ABORTED;
        }
    }
    if (split->in_flight == 0) {
        struct nvme_callback callback = split->rest.callback;
        struct nvme_result whole = split->result;

        /* The record first: done() may post again, and then finds it free. */
        queue->free_splits[queue->free_split_count++] = (uint16_t)(split - queue->splits);
        callback.done(callback.arg, whole);
    }
}

/* Starts as many parts as the window and the free slots allow; one is enough. */
static void put_split(struct nvme_queue *queue, const struct nvme_namespace *ns,
                      const struct nvme_io *io)
{
    struct nvme_split *split = &queue->splits[queue->free_splits[--queue->free_split_count]];

    *split = (struct nvme_split){.queue = queue, .ns = ns, .rest = *io};
    while (split->rest.block_count != 0 && split->in_flight < NVME_SPLIT_WINDOW &&
           queue->free_count != 0) {
        put_part(split);
    }
}

static inline enum nvme_error check_queue(const struct nvme_queue *queue,
                                          const struct nvme_namespace *ns)
{
    if (queue->state != NVME_QUEUE_OPEN) {
        return NVME_ERR_STATE;
    }
    return ns->controller == queue->controller ? NVME_OK : NVME_ERR_NAMESPACE;
}

static inline enum nvme_error check_transfer(const struct nvme_namespace *ns,
                                             const struct nvme_io *io)
{
    uint64_t count = io->block_count;

    if (count == 0 || (count << ns->block_shift) > UINT32_MAX) {
        return NVME_ERR_LENGTH;
    }
    if (io->lba >= ns->block_count || count > ns->block_count - io->lba) {
        return NVME_ERR_RANGE;
    }
    return ((uintptr_t)io->buffer & 3) == 0 && io->buffer != NULL ? NVME_OK : NVME_ERR_ALIGNMENT;
}

static void put_flush(struct nvme_queue *queue, const struct nvme_namespace *ns,
                      struct nvme_callback callback)
{
    struct nvme_command command = {.cdw0 = NVME_CMD_FLUSH, .nsid = ns->nsid};

    put(queue, &command, NULL, 0, callback);
}

/* One request of any kind: the path of every public post but the pass-through. */
static inline enum nvme_error post(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                   const struct nvme_io *io)
{
    enum nvme_error error = check_queue(queue, ns);

    if (error == NVME_OK && io->opcode != NVME_CMD_FLUSH) {
        error = check_transfer(ns, io);
    }
    if (error != NVME_OK) {
        return error;
    }
    if (queue->free_count == 0) {
        return NVME_ERR_BUSY;
    }
    if (io->opcode == NVME_CMD_FLUSH) {
        put_flush(queue, ns, io->callback);
    } else if (io->block_count > ns->max_blocks) {
        put_split(queue, ns, io);
    } else {
        put_transfer(queue, ns, io, io->callback);
    }
    return NVME_OK;
}

/* Slot to tail with the queue's interrupts off; a poll-only queue has none. */
static inline enum nvme_error
post_bracketed(struct nvme_queue *queue, const struct nvme_namespace *ns, const struct nvme_io *io)
{
    enum nvme_error error;
    unsigned long irq;

    if (!queue->interrupts) {
        return post(queue, ns, io);
    }
    irq = hal_irq_save();
    error = post(queue, ns, io);
    hal_irq_restore(irq);
    return error;
}

enum nvme_error nvme_read(struct nvme_queue *queue, const struct nvme_namespace *ns, uint64_t lba,
                          uint32_t block_count, void *buffer, struct nvme_callback callback)
{
    struct nvme_io io = {
        .lba = lba,
        .buffer = buffer,
        .block_count = block_count,
        .opcode = NVME_CMD_READ,
        .callback = callback,
    };

    return post_bracketed(queue, ns, &io);
}

enum nvme_error nvme_write(struct nvme_queue *queue, const struct nvme_namespace *ns, uint64_t lba,
                           uint32_t block_count, const void *buffer, struct nvme_callback callback)
{
    struct nvme_io io = {
        .lba = lba,
        .buffer = (void *)(uintptr_t)buffer,
        .block_count = block_count,
        .opcode = NVME_CMD_WRITE,
        .callback = callback,
    };

    return post_bracketed(queue, ns, &io);
}

enum nvme_error nvme_flush(struct nvme_queue *queue, const struct nvme_namespace *ns,
                           struct nvme_callback callback)
{
    struct nvme_io io = {.opcode = NVME_CMD_FLUSH, .callback = callback};

    return post_bracketed(queue, ns, &io);
}

enum nvme_error nvme_post_many(struct nvme_queue *queue, const struct nvme_namespace *ns,
                               const struct nvme_io *ios, uint32_t count, uint32_t *posted)
{
    enum nvme_error error = NVME_OK;
    unsigned long irq = queue->interrupts ? hal_irq_save() : 0;
    uint32_t done = 0;

    while (done < count && (error = post(queue, ns, &ios[done])) == NVME_OK) {
        done++;
    }
    if (queue->interrupts) {
        hal_irq_restore(irq);
    }
    *posted = done;
    return error;
}

enum nvme_error nvme_passthrough(struct nvme_queue *queue, const struct nvme_command *command,
                                 void *buffer, uint32_t size_bytes, struct nvme_callback callback)
{
    enum nvme_error error = NVME_ERR_BUSY;
    bool transfers = NVME_GET(NVME_OPCODE_TRANSFER, command->cdw0) != NVME_TRANSFER_NONE;
    struct nvme_command clean = *command;
    unsigned long irq;

    if (queue->state != NVME_QUEUE_OPEN) {
        return NVME_ERR_STATE;
    }
    if (size_bytes > queue->controller->info.max_transfer_bytes || transfers != (size_bytes != 0) ||
        (buffer != NULL) != (size_bytes != 0)) {
        return NVME_ERR_LENGTH;
    }
    if (((uintptr_t)buffer & 3) != 0) {
        return NVME_ERR_ALIGNMENT;
    }
    clean.cdw0 &= (uint32_t)NVME_CDW0_OPCODE;
    clean.mptr = 0;
    clean.prp1 = 0;
    clean.prp2 = 0;
    irq = queue->interrupts ? hal_irq_save() : 0;
    if (queue->free_count != 0) {
        put(queue, &clean, buffer, size_bytes, callback);
        error = NVME_OK;
    }
    if (queue->interrupts) {
        hal_irq_restore(irq);
    }
    return error;
}
