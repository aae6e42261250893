// SPDX-License-Identifier: MIT
/*
 * Read, write, flush, pass-through: validate, fill, post. This file rings no doorbell. split.c
 * has those that are longer than a command, not aligned, or wrong. NVM Command Set 1.0.
 */
#include "nvme_internal.h"

/*
 * Values that are the same for all requests of a call, read once, into registers. The compiler
 * cannot know that the stores to slots and entries do not change them.
 */
struct post_context {
    uint64_t block_count; /* of the namespace */
    uint64_t max_blocks;
    uint64_t nsid;
    uint64_t page_mask;
    uint64_t clock_ms;
    uint64_t depth_entries;
    struct nvme_command *sq;
    uint32_t block_shift;
};

static inline struct post_context read_queue_context(const struct nvme_queue *queue)
{
    return (struct post_context){
        .page_mask = queue->page_mask,
        .clock_ms = queue->clock_ms,
        .depth_entries = queue->depth_entries,
        .sq = queue->sq,
    };
}

static inline struct post_context read_post_context(const struct nvme_queue *queue,
                                                    const struct nvme_namespace *ns)
{
    struct post_context context = read_queue_context(queue);

    context.block_count = ns->block_count;
    context.max_blocks = ns->max_blocks;
    context.nsid = ns->nsid;
    context.block_shift = ns->block_shift;
    return context;
}

/* The start of every post: takes a slot. `to` is where the device writes. */
static inline struct nvme_request *begin_request(struct nvme_queue *queue,
                                                 const struct post_context *context, void *to,
                                                 uint64_t size_bytes, struct nvme_callback callback)
{
    struct nvme_request *request = nvme_request_acquire(queue, context->clock_ms);

    request->done = callback.done;
    request->arg = callback.arg;
    request->buffer = to;
    request->fresh = size_bytes;
    if (NVME_PORT_MAPS_DMA) {
        request->mapped = 0;
    }
    return request;
}

/* The buffer if a command of this opcode fills it, else NULL. */
static inline void *filled_buffer(void *buffer, uint32_t opcode)
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
        .size_bytes = request->size_bytes,
        .page_bytes = queue->controller->info.page_bytes,
        .list = queue->lists + slot * queue->list_stride_bytes,
    };

    nvme_prp_fill(entry, &build);
}

/* The end of every post: data pointer, and the tail advances. size_bytes is not 0. */
static inline void finish_command(struct nvme_queue *queue, const struct post_context *context,
                                  struct nvme_command *entry, const struct nvme_request *request,
                                  const void *buffer, uint64_t size_bytes)
{
    void *dma_context = queue->controller->config.dma_context;

    if (nvme_prp_one_page(buffer, size_bytes, context->page_mask)) {
        entry->prp1 = hal_dma_address(dma_context, buffer);
        entry->prp2 = 0;
    } else {
        fill_pages(queue, entry, request, buffer);
    }
    /* For a read too: a dirty line must not be written back over the device's data. */
    hal_dma_clean(dma_context, buffer, size_bytes);
    hal_dma_clean(dma_context, entry, sizeof(*entry));
    nvme_queue_advance(queue, context->depth_entries);
}

void nvme_io_put(struct nvme_queue *queue, const struct nvme_command *command, void *buffer,
                 uint32_t size_bytes, struct nvme_callback callback)
{
    const struct post_context context = read_queue_context(queue);
    struct nvme_request *request =
        begin_request(queue, &context, filled_buffer(buffer, command->cdw0), size_bytes, callback);
    struct nvme_command *entry = &context.sq[queue->sq_tail];

    *entry = *command;
    entry->cdw0 = command->cdw0 | (uint32_t)request->cid << 16;
    if (size_bytes != 0) {
        finish_command(queue, &context, entry, request, buffer, size_bytes);
        return;
    }
    hal_dma_clean(queue->controller->config.dma_context, entry, sizeof(*entry));
    nvme_queue_advance(queue, context.depth_entries);
}

/* Posts a read or write of one command, mapped already. NVM Command Set 1.0, Read and Write. */
static NVME_INLINE void put_transfer(struct nvme_queue *queue, const struct post_context *context,
                                     const struct nvme_io *io, uint8_t opcode, uint64_t control,
                                     struct nvme_callback callback)
{
    uint64_t count = io->block_count;
    uint64_t size_bytes = count << context->block_shift;
    struct nvme_request *request =
        begin_request(queue, context, filled_buffer(io->buffer, opcode), size_bytes, callback);
    struct nvme_command *next = &context->sq[queue->sq_tail];
    struct nvme_transfer_command *entry = (struct nvme_transfer_command *)(void *)next;

    nvme_data_keep(request, io->buffer, opcode);
    entry->cdw0_nsid = context->nsid << 32 | request->cid << 16 | opcode;
    entry->cdw2_3 = 0;
    entry->mptr = 0;
    entry->slba = io->lba;
    entry->cdw12_13 = (count - 1) | control;
    entry->cdw14_15 = 0;
    finish_command(queue, context, next, request, io->buffer, size_bytes);
}

/* ---- Requests with options ------------------------------------------------------------- */

/* Before the doorbell: nobody looks at a slot earlier. */
void nvme_io_set_options(struct nvme_queue *queue, struct nvme_request *request,
                         const struct nvme_io *io)
{
    uint64_t timeout_ms = io->timeout_100ms * UINT64_C(100);

    request->flags = io->flags;
    request->timeout_100ms = io->timeout_100ms;
    if (io->timeout_100ms != 0 && timeout_ms < queue->timeout_min_ms) {
        queue->timeout_min_ms = timeout_ms;
    }
}

void nvme_io_put_part(struct nvme_queue *queue, const struct nvme_namespace *ns,
                      const struct nvme_io *part)
{
    const struct post_context context = read_post_context(queue, ns);
    uint64_t control = (part->flags & NVME_POST_FUA) != 0 ? NVME_IO_FUA : 0;
    struct nvme_request *request = queue->free;

    put_transfer(queue, &context, part, part->opcode, control, part->callback);
    nvme_io_set_options(queue, request, part);
}

/* Posts a read or a write. Zero blocks wrap around; split.c refuses what is wrong. */
static NVME_INLINE enum nvme_error post_transfer(struct nvme_queue *queue,
                                                 const struct nvme_namespace *ns,
                                                 const struct post_context *context,
                                                 const struct nvme_io *io, uint8_t opcode)
{
    const uint64_t count = io->block_count;

    if (count - 1 >= context->max_blocks || io->lba > context->block_count - count ||
        !nvme_io_is_aligned(io->buffer)) {
        struct nvme_io whole = {
            .lba = io->lba,
            .buffer = io->buffer,
            .opcode = opcode,
            .callback = io->callback,
        };

        return nvme_split_post(queue, ns, &whole, count);
    }
    if (NVME_PORT_MAPS_DMA &&
        nvme_data_map(queue, io->buffer, count << context->block_shift, opcode) != NVME_OK) {
        return NVME_ERR_MAP;
    }
    put_transfer(queue, context, io, opcode, 0, io->callback);
    return NVME_OK;
}

static NVME_COLD void put_flush(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                struct nvme_callback callback)
{
    struct nvme_command command = {.cdw0 = NVME_CMD_FLUSH, .nsid = ns->nsid};

    nvme_io_put(queue, &command, NULL, 0, callback);
}

/* Posts what has options, or an opcode that is none of ours. */
static NVME_COLD enum nvme_error post_with_options(struct nvme_queue *queue,
                                                   const struct nvme_namespace *ns,
                                                   const struct nvme_io *io)
{
    struct nvme_request *request = queue->free;
    uint64_t count = io->block_count;

    if ((io->flags & ~NVME_POST_ALL) != 0) {
        return NVME_ERR_UNSUPPORTED;
    }
    if (io->opcode == NVME_CMD_FLUSH) {
        put_flush(queue, ns, io->callback);
        nvme_io_set_options(queue, request, io);
        return NVME_OK;
    }
    if (io->opcode != NVME_CMD_READ && io->opcode != NVME_CMD_WRITE) {
        return NVME_ERR_UNSUPPORTED;
    }
    if (count - 1 >= ns->max_blocks || io->lba > ns->block_count - count ||
        !nvme_io_is_aligned(io->buffer)) {
        return nvme_split_post(queue, ns, io, count);
    }
    if (NVME_PORT_MAPS_DMA &&
        nvme_data_map(queue, io->buffer, count << ns->block_shift, io->opcode) != NVME_OK) {
        return NVME_ERR_MAP;
    }
    nvme_io_put_part(queue, ns, io);
    return NVME_OK;
}

/* The opcode of a request without options; with options, a value above every opcode. */
static inline uint32_t kind_of(const struct nvme_io *io)
{
    typedef uint32_t __attribute__((may_alias)) word;

    _Static_assert(offsetof(struct nvme_io, opcode) % sizeof(word) == 0 &&
                       offsetof(struct nvme_io, timeout_100ms) ==
                           offsetof(struct nvme_io, opcode) + 2,
                   "opcode, flags and deadline are one word");
    return *(const word *)(const void *)&io->opcode;
}

/*
 * Posts a request of any kind: the path of every public post but the pass-through. `kind` is a
 * parameter, so that a constant opcode leaves no branch.
 */
static NVME_INLINE enum nvme_error post_one(struct nvme_queue *queue,
                                            const struct nvme_namespace *ns,
                                            const struct post_context *context,
                                            const struct nvme_io *io, uint32_t kind)
{
    if (queue->free == NULL) {
        return NVME_ERR_BUSY;
    }
    /* Each call has a constant opcode, reads first. */
    if (kind == NVME_CMD_READ) {
        return post_transfer(queue, ns, context, io, NVME_CMD_READ);
    }
    if (kind == NVME_CMD_WRITE) {
        return post_transfer(queue, ns, context, io, NVME_CMD_WRITE);
    }
    if (kind == NVME_CMD_FLUSH) {
        put_flush(queue, ns, io->callback);
        return NVME_OK;
    }
    return post_with_options(queue, ns, io);
}

/* Posts with the hart's interrupts off, from slot to tail; a poll queue needs no irq_protect. */
static NVME_INLINE enum nvme_error post_protected(struct nvme_queue *queue,
                                                  const struct nvme_namespace *ns,
                                                  const struct nvme_io *io, uint8_t opcode)
{
    unsigned long irq = queue->irq_protect ? hal_irq_save() : 0;
    enum nvme_error error = nvme_io_check_queue(queue, ns);

    if (error == NVME_OK) {
        const struct post_context context = read_post_context(queue, ns);

        error = post_one(queue, ns, &context, io, opcode);
    }
    if (queue->irq_protect) {
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

    return post_protected(queue, ns, &io, NVME_CMD_READ);
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

    return post_protected(queue, ns, &io, NVME_CMD_WRITE);
}

enum nvme_error nvme_flush(struct nvme_queue *queue, const struct nvme_namespace *ns,
                           struct nvme_callback callback)
{
    struct nvme_io io = {.opcode = NVME_CMD_FLUSH, .callback = callback};

    return post_protected(queue, ns, &io, NVME_CMD_FLUSH);
}

enum nvme_error nvme_post_many(struct nvme_queue *queue, const struct nvme_namespace *ns,
                               const struct nvme_io *ios, uint32_t count, uint32_t *posted)
{
    unsigned long irq = queue->irq_protect ? hal_irq_save() : 0;
    enum nvme_error error = nvme_io_check_queue(queue, ns);
    const struct nvme_io *io = ios;
    const struct nvme_io *end = ios + count;
    const struct post_context context = read_post_context(queue, ns);

    while (error == NVME_OK && io != end) {
        error = post_one(queue, ns, &context, io, kind_of(io));
        if (error == NVME_OK) {
            io++;
        }
    }
    if (queue->irq_protect) {
        hal_irq_restore(irq);
    }
    *posted = (uint32_t)(io - ios);
    return error;
}

enum nvme_error nvme_passthrough(struct nvme_queue *queue, const struct nvme_command *command,
                                 void *buffer, uint32_t size_bytes, struct nvme_callback callback)
{
    enum nvme_error error = NVME_ERR_BUSY;
    struct nvme_request *request;
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
    irq = queue->irq_protect ? hal_irq_save() : 0;
    request = queue->free;
    /* With interrupts off, because a handler may end the queue. */
    if (queue->state != NVME_QUEUE_OPEN) {
        error = NVME_ERR_STATE;
    } else if (request != NULL) {
        error = nvme_data_map(queue, buffer, size_bytes, clean.cdw0);
        if (error == NVME_OK) {
            nvme_io_put(queue, &clean, buffer, size_bytes, callback);
            nvme_data_keep(request, buffer, clean.cdw0);
        }
    }
    if (queue->irq_protect) {
        hal_irq_restore(irq);
    }
    return error;
}
