// SPDX-License-Identifier: MIT
/*
 * Requests of each kind: see kinds.h.
 */
#include "kinds.h"

#include "nvme_segments.h"

enum { PAGE = FIXTURE_PAGE };

uint8_t kind_buffer[KIND_SPLIT_BYTES] __attribute__((aligned(FIXTURE_PAGE)));

const uint32_t kind_pieces[KINDS] = {
    [KIND_READ] = 1,
    [KIND_WRITE] = 1,
    [KIND_READ_FUA] = 1,
    [KIND_READV] = KIND_SEGMENTS,
    [KIND_WRITEV] = KIND_SEGMENTS,
    [KIND_SEND] = 1,
    [KIND_SPLIT_READ] = KIND_PARTS,
    [KIND_SPLIT_WRITE] = KIND_PARTS,
};

/* Two blocks at the end of a page, a page, a block. */
static const struct nvme_segment segments[KIND_SEGMENTS] = {
    {kind_buffer + PAGE - 2 * BLOCK, 2 * BLOCK},
    {kind_buffer + 4 * PAGE, PAGE},
    {kind_buffer + 2 * PAGE, BLOCK},
};

enum nvme_error kind_post(struct fixture *fixture, enum kind kind, struct nvme_callback callback)
{
    struct nvme_queue *queue = fixture->queues[0];
    const struct nvme_namespace *ns = &fixture->ns;
    struct nvme_command command = {.cdw0 = NVME_CMD_WRITE, .nsid = 1};
    struct nvme_io io = {.buffer = kind_buffer,
                         .block_count = 1,
                         .opcode = NVME_CMD_READ,
                         .flags = NVME_POST_FUA,
                         .callback = callback};
    uint32_t posted;

    switch (kind) {
    case KIND_READ:
        return nvme_read(queue, ns, 0, 1, kind_buffer, callback);
    case KIND_WRITE:
        return nvme_write(queue, ns, 0, 1, kind_buffer, callback);
    case KIND_READ_FUA:
        return nvme_post_many(queue, ns, &io, 1, &posted);
    case KIND_READV:
        return nvme_readv(queue, ns, 0, segments, KIND_SEGMENTS, callback);
    case KIND_WRITEV:
        return nvme_writev(queue, ns, 0, segments, KIND_SEGMENTS, callback);
    case KIND_SEND:
        return nvme_passthrough(queue, &command, kind_buffer, BLOCK, callback);
    case KIND_SPLIT_READ:
        return nvme_read(queue, ns, 0, KIND_SPLIT_BYTES / BLOCK, kind_buffer, callback);
    default:
        return nvme_write(queue, ns, 0, KIND_SPLIT_BYTES / BLOCK, kind_buffer, callback);
    }
}

static void note_end(void *arg, struct nvme_result result)
{
    struct kind_end *end = arg;

    end->outcome.count++;
    end->outcome.result = result;
    end->mapped = world.mapped - 1;
}

enum nvme_error kind_watch(struct fixture *fixture, enum kind kind, struct kind_end *end)
{
    *end = (struct kind_end){0};
    return kind_post(fixture, kind, (struct nvme_callback){note_end, end});
}
