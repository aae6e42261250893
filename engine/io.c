// SPDX-License-Identifier: MIT
/*
 * Read, write, flush, any other command: validate, fill, post; and the split above MDTS.
 *
 * Nothing here rings a doorbell. A part of a split request is a request like any other whose
 * callback is part_done(), so the drain knows nothing of splits. NVM Command Set 1.0.
 */
#include "nvme_internal.h"

/* The common start of every post: a slot for a request. `to` is where the device writes. */
static inline struct nvme_request *begin(struct nvme_queue *queue, void *to, uint64_t size_bytes,
                                         struct nvme_callback callback)
{
    struct nvme_request *request = nvme_request_acquire(queue);

    request->done = callback.done;
    request->arg = callback.arg;
    request->buffer = to;
    request->size_bytes = size_bytes;
    return request;
}

/* The buffer if a command of this opcode fills it, else NULL. */
static inline void *filled(void *buffer, uint32_t opcode)
{
    return (opcode & NVME_TRANSFER_FROM_DEVICE) != 0 ? buffer : NULL;
}

/* The data pointer of a transfer that leaves its first page. */
static NVME_COLD void fill_pages(const struct nvme_queue *queue, struct nvme_command *entry,
                                 const struct nvme_request *request, const void *buffer)
{
    size_t slot = request->cid & queue->slot_mask;
    struct nvme_prp_build build = {
        .dma_context = queue->controller->config.dma_context,
        .buffer = buffer,
        .size_bytes = (uint32_t)request->size_bytes,
        .page_bytes = queue->controller->info.page_bytes,
        .list = queue->lists + slot * queue->list_stride_bytes,
    };

    nvme_prp_fill(entry, &build);
}

/* The common end: the data pointer, and the command counts as posted. size_bytes is not 0. */
static inline void finish(struct nvme_queue *queue, struct nvme_command *entry,
                          const struct nvme_request *request, const void *buffer)
{
    void *context = queue->controller->config.dma_context;
    uint64_t size_bytes = request->size_bytes;

    if (nvme_prp_one_page(buffer, size_bytes, queue->page_mask)) {
        entry->prp1 = hal_dma_address(context, buffer);
        entry->prp2 = 0;
    } else {
        fill_pages(queue, entry, request, buffer);
    }
    /* Before a read too: a dirty line must not be written back over the device's data. */
    hal_dma_clean(context, buffer, size_bytes);
    hal_dma_clean(context, entry, sizeof(*entry));
    nvme_queue_advance(queue);
}

void nvme_io_put(struct nvme_queue *queue, const struct nvme_command *command, void *buffer,
                 uint32_t size_bytes, struct nvme_callback callback)
{
    struct nvme_request *request =
        begin(queue, filled(buffer, command->cdw0), size_bytes, callback);
    struct nvme_command *entry = nvme_queue_next(queue);

    *entry = *command;
    entry->cdw0 = command->cdw0 | (uint32_t)request->cid << 16;
    if (size_bytes != 0) {
        finish(queue, entry, request, buffer);
        return;
    }
    hal_dma_clean(queue->controller->config.dma_context, entry, sizeof(*entry));
    nvme_queue_advance(queue);
}

/* One read or write that fits into one command. NVM Command Set 1.0, Read and Write. */
static inline void put_transfer(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                const struct nvme_io *io, uint8_t opcode,
                                struct nvme_callback callback)
{
    uint64_t count = io->block_count;
    uint64_t size_bytes = count << ns->block_shift;
    struct nvme_request *request = begin(queue, filled(io->buffer, opcode), size_bytes, callback);
    struct nvme_command *next = nvme_queue_next(queue);
    struct nvme_transfer_command *entry = (struct nvme_transfer_command *)(void *)next;

    entry->cdw0_nsid = (uint64_t)ns->nsid << 32 | request->cid << 16 | opcode;
    entry->cdw2_3 = 0;
    entry->mptr = 0;
    entry->slba = io->lba;
    entry->cdw12_13 = count - 1;
    entry->cdw14_15 = 0;
    finish(queue, next, request, io->buffer);
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
    put_transfer(split->queue, split->ns, &part, part.opcode,
                 (struct nvme_callback){part_done, split});
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
        split->next_free = queue->free_split;
        queue->free_split = split;
        callback.done(callback.arg, whole);
    }
}

/* Starts as many parts as the window and the free slots allow; one is enough. */
static void put_split(struct nvme_queue *queue, const struct nvme_namespace *ns,
                      const struct nvme_io *io)
{
    struct nvme_split *split = queue->free_split;

    queue->free_split = split->next_free;
    *split = (struct nvme_split){.queue = queue, .ns = ns, .rest = *io};
    while (split->rest.block_count != 0 && split->in_flight < NVME_SPLIT_WINDOW &&
           queue->free != NULL) {
        put_part(split);
    }
}

/*
 * Where the data come from and go to. The caller has seen that the blocks are not more than the
 * namespace has.
 */
static inline enum nvme_error check_place(const struct nvme_namespace *ns, const struct nvme_io *io)
{
    if (io->lba > ns->block_count - io->block_count) {
        return NVME_ERR_RANGE;
    }
    return ((uintptr_t)io->buffer & 3) == 0 && io->buffer != NULL ? NVME_OK : NVME_ERR_ALIGNMENT;
}

/* A length that is not that of one command: zero, too large, or to be split. */
static NVME_COLD enum nvme_error
post_odd_length(struct nvme_queue *queue, const struct nvme_namespace *ns, const struct nvme_io *io)
{
    enum nvme_error error;

    if (io->block_count == 0 || ((uint64_t)io->block_count << ns->block_shift) > UINT32_MAX) {
        return NVME_ERR_LENGTH;
    }
    if (io->block_count > ns->block_count) {
        return NVME_ERR_RANGE;
    }
    error = check_place(ns, io);
    if (error == NVME_OK) {
        put_split(queue, ns, io);
    }
    return error;
}

/* A read or a write. Zero blocks wrap around and are odd too. */
static inline enum nvme_error post_transfer(struct nvme_queue *queue,
                                            const struct nvme_namespace *ns,
                                            const struct nvme_io *io, uint8_t opcode)
{
    enum nvme_error error;

    if ((uint64_t)io->block_count - 1 >= ns->max_blocks) {
        /* A copy member by member, so that the short path may keep its request in registers. */
        struct nvme_io whole = {
            .lba = io->lba,
            .buffer = io->buffer,
            .block_count = io->block_count,
            .opcode = opcode,
            .callback = io->callback,
        };

        return post_odd_length(queue, ns, &whole);
    }
    error = check_place(ns, io);
    if (error == NVME_OK) {
        put_transfer(queue, ns, io, opcode, io->callback);
    }
    return error;
}

static NVME_COLD void put_flush(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                struct nvme_callback callback)
{
    struct nvme_command command = {.cdw0 = NVME_CMD_FLUSH, .nsid = ns->nsid};

    nvme_io_put(queue, &command, NULL, 0, callback);
}

/* Whether the queue takes requests for this namespace. */
static inline enum nvme_error check_queue(const struct nvme_queue *queue,
                                          const struct nvme_namespace *ns)
{
    if (queue->state != NVME_QUEUE_OPEN) {
        return NVME_ERR_STATE;
    }
    return ns->controller == queue->controller ? NVME_OK : NVME_ERR_NAMESPACE;
}

/*
 * One request of any kind: the path of every public post but the pass-through. The opcode is apart
 * from the rest, so that where it is known nothing is left to choose.
 */
static inline enum nvme_error post(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                   const struct nvme_io *io, uint8_t opcode)
{
    if (queue->free == NULL) {
        return NVME_ERR_BUSY;
    }
    /* Each with its constant, reads first. */
    if (opcode == NVME_CMD_READ) {
        return post_transfer(queue, ns, io, NVME_CMD_READ);
    }
    if (opcode == NVME_CMD_WRITE) {
        return post_transfer(queue, ns, io, NVME_CMD_WRITE);
    }
    if (opcode != NVME_CMD_FLUSH) {
        return NVME_ERR_UNSUPPORTED;
    }
    put_flush(queue, ns, io->callback);
    return NVME_OK;
}

/* Slot to tail with the queue's interrupts off; a poll-only queue has none. */
static inline enum nvme_error post_bracketed(struct nvme_queue *queue,
                                             const struct nvme_namespace *ns,
                                             const struct nvme_io *io, uint8_t opcode)
{
    unsigned long irq = queue->interrupts ? hal_irq_save() : 0;
    enum nvme_error error = check_queue(queue, ns);

    if (error == NVME_OK) {
        error = post(queue, ns, io, opcode);
    }
    if (queue->interrupts) {
        hal_irq_restore(irq);
    }
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

    return post_bracketed(queue, ns, &io, NVME_CMD_READ);
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

    return post_bracketed(queue, ns, &io, NVME_CMD_WRITE);
}

enum nvme_error nvme_flush(struct nvme_queue *queue, const struct nvme_namespace *ns,
                           struct nvme_callback callback)
{
    struct nvme_io io = {.opcode = NVME_CMD_FLUSH, .callback = callback};

    return post_bracketed(queue, ns, &io, NVME_CMD_FLUSH);
}

enum nvme_error nvme_post_many(struct nvme_queue *queue, const struct nvme_namespace *ns,
                               const struct nvme_io *ios, uint32_t count, uint32_t *posted)
{
    unsigned long irq = queue->interrupts ? hal_irq_save() : 0;
    enum nvme_error error = check_queue(queue, ns);
    const struct nvme_io *io = ios;
    const struct nvme_io *end = ios + count;

    while (error == NVME_OK && io != end) {
        error = post(queue, ns, io, io->opcode);
        if (error == NVME_OK) {
            io++;
        }
    }
    if (queue->interrupts) {
        hal_irq_restore(irq);
    }
    *posted = (uint32_t)(io - ios);
    return error;
}

enum nvme_error nvme_passthrough(struct nvme_queue *queue, const struct nvme_command *command,
                                 void *buffer, uint32_t size_bytes, struct nvme_callback callback)
{
    enum nvme_error error = NVME_ERR_BUSY;
    bool transfers = NVME_GET(NVME_OPCODE_TRANSFER, command->cdw0) != NVME_TRANSFER_NONE;
    struct nvme_command clean = *command;
    unsigned long irq;

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
    /* Inside the bracket: a handler may end the queue before it. */
    if (queue->state != NVME_QUEUE_OPEN) {
        error = NVME_ERR_STATE;
    } else if (queue->free != NULL) {
        nvme_io_put(queue, &clean, buffer, size_bytes, callback);
        error = NVME_OK;
    }
    if (queue->interrupts) {
        hal_irq_restore(irq);
    }
    return error;
}
