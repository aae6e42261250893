// SPDX-License-Identifier: MIT
/*
 * Scatter lists: segments -> PRPs where their alignment allows it, else SGLs, else a copy.
 *
 * A piece is a part of a segment inside one page, because the port keeps no more contiguous. PRPs
 * and SGL descriptors go to the slot's PRP list. The record of a split request keeps the segments,
 * mapped if the port maps, until the end. NVMe Base 2.0 §4.1.1, and Scatter Gather List there.
 */
#include "nvme_segments.h"

#include "nvme_internal.h"

/* A walk over the pieces of segments. */
struct walk {
    const struct nvme_segment *segment;
    const struct nvme_segment *end;
    uint32_t done; /* bytes of this segment */
    uint32_t page_bytes;
};

/* The next piece; false at the end. */
static NVME_NOINLINE bool next_piece(struct walk *walk, const uint8_t **piece, uint32_t *bytes)
{
    uint32_t room;

    if (walk->segment == walk->end) {
        return false;
    }
    *piece = (const uint8_t *)walk->segment->pointer + walk->done;
    *bytes = walk->segment->bytes - walk->done;
    room = walk->page_bytes - ((uint32_t)(uintptr_t)*piece & (walk->page_bytes - 1));
    if (*bytes > room) {
        *bytes = room;
    }
    walk->done += *bytes;
    if (walk->done == walk->segment->bytes) {
        walk->segment++;
        walk->done = 0;
    }
    return true;
}

/* What segments come to. */
struct shape {
    uint64_t bytes;
    uint32_t pieces;
    uint32_t places; /* all their starts and lengths, one OR the other */
    bool pages;      /* PRPs carry them, if they are dword aligned */
    bool empty;      /* a piece stands for nothing: no entry may */
};

/* Stops at more than any list or copy holds: a hostile length costs no time. */
static struct shape measure_shape(struct walk walk, uint32_t most, uint32_t bounce_bytes)
{
    struct shape shape = {.pages = true};
    const uint8_t *piece;
    uint32_t bytes;
    bool ended = true;

    while ((shape.pieces <= most || shape.bytes <= bounce_bytes) && !shape.empty &&
           next_piece(&walk, &piece, &bytes)) {
        bool starts = ((uintptr_t)piece & (walk.page_bytes - 1)) == 0;

        shape.pages = shape.pages && ended && (shape.pieces == 0 || starts);
        ended = (((uintptr_t)piece + bytes) & (walk.page_bytes - 1)) == 0;
        shape.places |= (uint32_t)(uintptr_t)piece | bytes;
        shape.bytes += bytes;
        shape.pieces++;
        shape.empty = bytes == 0;
    }
    return shape;
}

/* PRP1 is the first piece; PRP2 the second, or the list of all further ones. */
static void fill_prps(struct walk walk, void *dma_context, struct nvme_command *command, void *room)
{
    uint64_t *list = room;
    const uint8_t *piece = NULL;
    uint32_t bytes = 0;
    size_t entries = 0;

    next_piece(&walk, &piece, &bytes);
    command->prp1 = hal_dma_address(dma_context, piece);
    while (next_piece(&walk, &piece, &bytes)) {
        list[entries] = hal_dma_address(dma_context, piece);
        entries++;
    }
    if (entries > 1) {
        hal_dma_clean(dma_context, list, entries * sizeof(*list));
        command->prp2 = hal_dma_address(dma_context, list);
    } else if (entries == 1) {
        command->prp2 = list[0];
    }
}

static void fill_sgl(struct walk walk, void *dma_context, struct nvme_command *command, void *room)
{
    struct nvme_sgl_descriptor *list = room;
    const uint8_t *piece;
    uint32_t bytes;
    size_t entries = 0;

    while (next_piece(&walk, &piece, &bytes)) {
        list[entries] = (struct nvme_sgl_descriptor){
            .address = hal_dma_address(dma_context, piece),
            .length_type =
                NVME_PUT(NVME_SGL_LENGTH, bytes) | NVME_PUT(NVME_SGL_TYPE, NVME_SGL_DATA_BLOCK),
        };
        entries++;
    }
    hal_dma_clean(dma_context, list, entries * sizeof(*list));
    command->cdw0 |= (uint32_t)NVME_PUT(NVME_CDW0_PSDT, NVME_PSDT_SGL);
    /* One descriptor is in the command itself; PRP1 and PRP2 are its place. */
    command->prp1 = entries == 1 ? list[0].address : hal_dma_address(dma_context, list);
    command->prp2 = entries == 1 ? list[0].length_type
                                 : NVME_PUT(NVME_SGL_LENGTH, entries * sizeof(*list)) |
                                       NVME_PUT(NVME_SGL_TYPE, NVME_SGL_LAST_SEGMENT);
}

/* How the data of a list reach the device. */
struct carrier {
    uint64_t size_bytes;
    bool copy;
    bool sgl; /* else PRPs, of a copy too */
};

/* Chooses what carries the data, or says why nothing does. */
static enum nvme_error choose_carrier(const struct nvme_queue *queue, struct walk walk,
                                      struct carrier *carrier)
{
    uint32_t alignment = queue->controller->info.sgl_alignment;
    /* No chained lists: what a page holds is enough for 2 MiB of pages of 4 KiB. */
    size_t room =
        queue->list_stride_bytes < walk.page_bytes ? queue->list_stride_bytes : walk.page_bytes;
    uint32_t most = (uint32_t)(room / sizeof(uint64_t)) + 1;
    struct shape shape = measure_shape(walk, most, queue->bounce_bytes);
    bool prps = shape.pages && ((uintptr_t)walk.segment->pointer & 3) == 0;
    bool odd = !prps && (alignment == 0 || (shape.places & (alignment - 1)) != 0);

    if (shape.pieces == 0 || shape.empty) {
        return NVME_ERR_LENGTH;
    }
    carrier->size_bytes = shape.bytes;
    if (!odd && shape.pieces <= (prps ? most : room / sizeof(struct nvme_sgl_descriptor))) {
        carrier->sgl = !prps;
        return NVME_OK;
    }
    carrier->copy = shape.bytes <= queue->bounce_bytes;
    if (carrier->copy) {
        return NVME_OK;
    }
    return odd && shape.pieces <= most ? NVME_ERR_ALIGNMENT : NVME_ERR_LENGTH;
}

/* Copies the data of a list into the slot's memory, or out of it. */
static void copy_data(const struct nvme_io *io, uint8_t *bounce, bool in)
{
    const struct nvme_segment *segments = io->buffer;

    for (uint32_t i = 0; i < io->block_count; i++) {
        nvme_memcpy(in ? bounce : segments[i].pointer, in ? segments[i].pointer : bounce,
                    segments[i].bytes);
        bounce += segments[i].bytes;
    }
}

/* Unmaps the first `count` of the segments. */
static void unmap_segments(void *dma_context, const struct nvme_io *io, uint32_t count)
{
    for (uint32_t i = 0; NVME_PORT_MAPS_DMA && i < count; i++) {
        const struct nvme_segment *segment = (const struct nvme_segment *)io->buffer + i;

        hal_dma_unmap(dma_context, segment->pointer, segment->bytes,
                      (enum nvme_dma_direction)(io->opcode & NVME_DMA_BOTH));
    }
}

/* Maps each of the segments, or none. */
static enum nvme_error map_segments(const struct nvme_queue *queue, const struct nvme_io *io)
{
    for (uint32_t i = 0; NVME_PORT_MAPS_DMA && i < io->block_count; i++) {
        const struct nvme_segment *segment = (const struct nvme_segment *)io->buffer + i;

        if (nvme_data_map(queue, segment->pointer, segment->bytes, io->opcode) != NVME_OK) {
            unmap_segments(queue->controller->config.dma_context, io, i);
            return NVME_ERR_MAP;
        }
    }
    return NVME_OK;
}

/* What the device has of a record: its segments, or their copy, which is made one of its own. */
static struct nvme_io data_of(const struct nvme_split *record, struct nvme_segment *copy)
{
    struct nvme_io data = record->rest;

    if (record->bounce != NULL) {
        *copy = (struct nvme_segment){record->bounce, record->bounce_bytes};
        data.buffer = copy;
        data.block_count = 1;
    }
    return data;
}

/* The callback of the command: the record is free before the caller's done() runs. */
static void segments_done(void *arg, struct nvme_result result)
{
    struct nvme_split *record = arg;
    struct nvme_queue *queue = record->queue;
    void *dma_context = queue->controller->config.dma_context;
    struct nvme_callback callback = record->rest.callback;
    struct nvme_segment copy;
    struct nvme_io data = data_of(record, &copy);
    const struct nvme_segment *segments = data.buffer;

    for (uint32_t i = 0; data.opcode == NVME_CMD_READ && i < data.block_count; i++) {
        hal_dma_invalidate(dma_context, segments[i].pointer, segments[i].bytes);
    }
    if (record->bounce == NULL) {
        unmap_segments(dma_context, &data, data.block_count);
    } else if (data.opcode == NVME_CMD_READ && result.error == NVME_OK) {
        copy_data(&record->rest, record->bounce, false);
    }
    record->next_free = queue->free_split;
    queue->free_split = record;
    callback.done(callback.arg, result);
}

/* Decides where the data of the record are, and tells the command. */
static void fill_data(struct nvme_queue *queue, struct nvme_split *record, size_t slot,
                      struct carrier carrier, struct nvme_command *command)
{
    void *dma_context = queue->controller->config.dma_context;
    void *list = queue->lists + slot * queue->list_stride_bytes;
    struct walk walk = {.page_bytes = queue->controller->info.page_bytes};
    struct nvme_segment copy;
    struct nvme_io data;

    if (carrier.copy) {
        record->bounce = queue->bounces + slot * queue->bounce_bytes;
        record->bounce_bytes = (uint32_t)carrier.size_bytes;
        queue->counters.bounces++;
        if (record->rest.opcode == NVME_CMD_WRITE) {
            copy_data(&record->rest, record->bounce, true);
        }
    }
    data = data_of(record, &copy);
    walk.segment = data.buffer;
    walk.end = walk.segment + data.block_count;
    (carrier.sgl ? fill_sgl : fill_prps)(walk, dma_context, command, list);
    for (; walk.segment != walk.end; walk.segment++) {
        /* For a read too: a dirty line must not be written back over the device's data. */
        hal_dma_clean(dma_context, walk.segment->pointer, walk.segment->bytes);
    }
}

/* Posts it; `io` has the segments as its buffer, and their count. */
static void put_segments(struct nvme_queue *queue, const struct nvme_io *io,
                         struct nvme_command *command, struct carrier carrier)
{
    struct nvme_split *record = queue->free_split;
    struct nvme_request *request = queue->free;

    queue->free_split = record->next_free;
    *record = (struct nvme_split){.queue = queue, .rest = *io, .in_flight = 1};
    fill_data(queue, record, (size_t)(request - queue->requests), carrier, command);
    nvme_io_put(queue, command, NULL, 0, (struct nvme_callback){segments_done, record});
    request->size_bytes = (uint32_t)carrier.size_bytes;
}

/* Fills in the blocks of the command, or says why there are none. */
static enum nvme_error fill_blocks(struct nvme_command *command, const struct nvme_namespace *ns,
                                   const struct nvme_io *io, uint64_t size_bytes)
{
    uint64_t block_count = size_bytes >> ns->block_shift;

    if (block_count == 0 || block_count > ns->max_blocks ||
        block_count << ns->block_shift != size_bytes) {
        return NVME_ERR_LENGTH;
    }
    command->cdw10 = (uint32_t)io->lba;
    command->cdw11 = (uint32_t)(io->lba >> 32);
    command->cdw12 = (uint32_t)block_count - 1;
    if ((io->flags & NVME_POST_FUA) != 0) {
        command->cdw12 |= (uint32_t)NVME_IO_FUA;
    }
    return io->lba <= ns->block_count - block_count ? NVME_OK : NVME_ERR_RANGE;
}

/* Posts a list on a queue that has a free slot; as many records as slots are enough. */
static enum nvme_error post_list(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                 const struct nvme_io *io)
{
    const struct nvme_segment *segments = io->buffer;
    struct walk walk = {segments, segments + io->block_count, 0,
                        queue->controller->info.page_bytes};
    struct nvme_command command = {.cdw0 = io->opcode, .nsid = ns->nsid};
    struct carrier carrier = {0};
    enum nvme_error error = choose_carrier(queue, walk, &carrier);

    if (error == NVME_OK) {
        error = fill_blocks(&command, ns, io, carrier.size_bytes);
    }
    if (error == NVME_OK && !carrier.copy) {
        error = map_segments(queue, io);
    }
    if (error == NVME_OK) {
        put_segments(queue, io, &command, carrier);
    }
    return error;
}

enum nvme_error nvme_segments_post_buffer(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                          const struct nvme_io *io)
{
    struct nvme_segment whole = {io->buffer, io->block_count << ns->block_shift};
    struct nvme_split *record = queue->free_split;
    struct nvme_request *request = queue->free;
    struct nvme_io list = *io;
    enum nvme_error error;

    if (queue->bounce_bytes == 0 || io->buffer == NULL) {
        return NVME_ERR_ALIGNMENT;
    }
    list.buffer = &whole;
    list.block_count = 1;
    error = post_list(queue, ns, &list);
    if (error == NVME_OK) {
        record->buffer = whole;
        record->rest.buffer = &record->buffer;
        nvme_io_set_options(queue, request, io);
    }
    return error == NVME_ERR_LENGTH ? NVME_ERR_ALIGNMENT : error;
}

/* `io`: the segments are its buffer. */
static NVME_NOINLINE enum nvme_error
post_segments(struct nvme_queue *queue, const struct nvme_namespace *ns, const struct nvme_io *io)
{
    unsigned long irq = queue->irq_protect ? hal_irq_save() : 0;
    enum nvme_error error = nvme_io_check_queue(queue, ns);

    if (error == NVME_OK) {
        error = queue->free != NULL ? post_list(queue, ns, io) : NVME_ERR_BUSY;
    }
    if (queue->irq_protect) {
        hal_irq_restore(irq);
    }
    return error;
}

enum nvme_error nvme_readv(struct nvme_queue *queue, const struct nvme_namespace *ns, uint64_t lba,
                           const struct nvme_segment *segments, uint32_t count,
                           struct nvme_callback callback)
{
    struct nvme_io io = {.lba = lba,
                         .buffer = (void *)(uintptr_t)segments,
                         .block_count = count,
                         .opcode = NVME_CMD_READ,
                         .callback = callback};

    return post_segments(queue, ns, &io);
}

enum nvme_error nvme_writev(struct nvme_queue *queue, const struct nvme_namespace *ns, uint64_t lba,
                            const struct nvme_segment *segments, uint32_t count,
                            struct nvme_callback callback)
{
    struct nvme_io io = {.lba = lba,
                         .buffer = (void *)(uintptr_t)segments,
                         .block_count = count,
                         .opcode = NVME_CMD_WRITE,
                         .callback = callback};

    return post_segments(queue, ns, &io);
}
