// SPDX-License-Identifier: MIT
/*
 * Scatter lists: segments -> PRPs where their alignment allows it, else SGLs.
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
static bool next_piece(struct walk *walk, const uint8_t **piece, uint32_t *bytes)
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
};

/* Stops at more pieces than any list holds: a hostile length costs no time. */
static struct shape measure_shape(struct walk walk, uint32_t most)
{
    struct shape shape = {.pages = true};
    const uint8_t *piece;
    uint32_t bytes;
    bool ended = true;

    while (shape.pieces <= most && next_piece(&walk, &piece, &bytes)) {
        bool starts = ((uintptr_t)piece & (walk.page_bytes - 1)) == 0;

        shape.pages = shape.pages && ended && (shape.pieces == 0 || starts);
        ended = (((uintptr_t)piece + bytes) & (walk.page_bytes - 1)) == 0;
        shape.places |= (uint32_t)(uintptr_t)piece | bytes;
        shape.bytes += bytes;
        shape.pieces += bytes != 0 ? 1 : most + 1; /* no entry may stand for nothing */
    }
    return shape;
}

/* PRP1 is the first piece; PRP2 the second, or the list of all further ones. */
static void fill_prps(struct walk walk, void *dma_context, struct nvme_command *command,
                      uint64_t *list)
{
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

static void fill_sgl(struct walk walk, void *dma_context, struct nvme_command *command,
                     struct nvme_sgl_descriptor *list)
{
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

/* What carries the data, or why nothing does. */
static enum nvme_error choose_carrier(const struct nvme_queue *queue, struct walk walk,
                                      uint64_t *size_bytes, bool *prps)
{
    uint32_t alignment = queue->controller->info.sgl_alignment;
    /* No chained lists: what a page holds is enough for 2 MiB of pages of 4 KiB. */
    size_t room =
        queue->list_stride_bytes < walk.page_bytes ? queue->list_stride_bytes : walk.page_bytes;
    uint32_t most = (uint32_t)(room / sizeof(uint64_t)) + 1;
    struct shape shape = measure_shape(walk, most);

    if (shape.pieces == 0 || shape.pieces > most) {
        return NVME_ERR_LENGTH;
    }
    *size_bytes = shape.bytes;
    *prps = shape.pages && ((uintptr_t)walk.segment->pointer & 3) == 0;
    if (!*prps && (alignment == 0 || (shape.places & (alignment - 1)) != 0)) {
        return NVME_ERR_ALIGNMENT;
    }
    return *prps || shape.pieces <= room / sizeof(struct nvme_sgl_descriptor) ? NVME_OK
                                                                              : NVME_ERR_LENGTH;
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

/* The callback of the command: the record is free before the caller's done() runs. */
static void segments_done(void *arg, struct nvme_result result)
{
    struct nvme_split *record = arg;
    struct nvme_queue *queue = record->queue;
    void *dma_context = queue->controller->config.dma_context;
    const struct nvme_segment *segments = record->rest.buffer;
    struct nvme_callback callback = record->rest.callback;

    for (uint32_t i = 0; record->rest.opcode == NVME_CMD_READ && i < record->rest.block_count;
         i++) {
        hal_dma_invalidate(dma_context, segments[i].pointer, segments[i].bytes);
    }
    unmap_segments(dma_context, &record->rest, record->rest.block_count);
    record->next_free = queue->free_split;
    queue->free_split = record;
    callback.done(callback.arg, result);
}

/* Posts it; `io` has the segments as its buffer, and their count. They are mapped. */
static void put_segments(struct nvme_queue *queue, const struct nvme_io *io,
                         struct nvme_command *command, uint64_t size_bytes, bool prps)
{
    void *dma_context = queue->controller->config.dma_context;
    const struct nvme_segment *segments = io->buffer;
    struct walk walk = {segments, segments + io->block_count, 0,
                        queue->controller->info.page_bytes};
    struct nvme_split *record = queue->free_split;
    struct nvme_request *request = queue->free;
    void *list = queue->lists + (size_t)(request - queue->requests) * queue->list_stride_bytes;

    if (prps) {
        fill_prps(walk, dma_context, command, list);
    } else {
        fill_sgl(walk, dma_context, command, list);
    }
    queue->free_split = record->next_free;
    *record = (struct nvme_split){.queue = queue, .rest = *io, .in_flight = 1};
    for (uint32_t i = 0; i < io->block_count; i++) {
        /* For a read too: a dirty line must not be written back over the device's data. */
        hal_dma_clean(dma_context, segments[i].pointer, segments[i].bytes);
    }
    nvme_io_put(queue, command, NULL, 0, (struct nvme_callback){segments_done, record});
    request->size_bytes = (uint32_t)size_bytes;
}

/* Fills in the blocks of the command, or says why there are none. */
static enum nvme_error fill_blocks(struct nvme_command *command, const struct nvme_namespace *ns,
                                   uint64_t lba, uint64_t size_bytes)
{
    uint64_t block_count = size_bytes >> ns->block_shift;

    if (block_count == 0 || block_count > ns->max_blocks ||
        block_count << ns->block_shift != size_bytes) {
        return NVME_ERR_LENGTH;
    }
    command->cdw10 = (uint32_t)lba;
    command->cdw11 = (uint32_t)(lba >> 32);
    command->cdw12 = (uint32_t)block_count - 1;
    return lba <= ns->block_count - block_count ? NVME_OK : NVME_ERR_RANGE;
}

/* `io`: the segments are its buffer. */
static enum nvme_error post_segments(struct nvme_queue *queue, const struct nvme_namespace *ns,
                                     const struct nvme_io *io)
{
    const struct nvme_segment *segments = io->buffer;
    struct walk walk = {segments, segments + io->block_count, 0,
                        queue->controller->info.page_bytes};
    struct nvme_command command = {.cdw0 = io->opcode, .nsid = ns->nsid};
    uint64_t size_bytes = 0;
    bool prps = false;
    unsigned long irq = queue->irq_protect ? hal_irq_save() : 0;
    enum nvme_error error = nvme_io_check_queue(queue, ns);

    /* A request needs a slot, and as many records as slots are enough. */
    if (error == NVME_OK && queue->free == NULL) {
        error = NVME_ERR_BUSY;
    }
    if (error == NVME_OK) {
        error = choose_carrier(queue, walk, &size_bytes, &prps);
    }
    if (error == NVME_OK) {
        error = fill_blocks(&command, ns, io->lba, size_bytes);
    }
    if (error == NVME_OK) {
        error = map_segments(queue, io);
    }
    if (error == NVME_OK) {
        put_segments(queue, io, &command, size_bytes, prps);
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
