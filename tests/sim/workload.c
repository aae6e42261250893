// SPDX-License-Identifier: MIT
/*
 * Requests of every kind, size and alignment, and the judgement of what ends: each once, with the
 * data of the shadow copy, and nothing touched around them or after them.
 *
 * Requests in flight never meet on a block that one of them writes, so each outcome is known. After
 * a write that failed each block holds the old data or the new.
 */
#include <stdlib.h>
#include <string.h>

#include "pattern.h"
#include "sim.h"

enum {
    PAGE = 4096,
    POISON = 0xdd,
    BLOCK_WRITTEN = 0xff,
    READERS_MAX = 0xf0,
    TRIES = 4,
    STATUS_ABORTED_SQ_DELETION = 0x008,
    BATCH = 8,
};

bool sim_is_poison(const uint8_t *bytes, size_t count)
{
    return count == 0 || (bytes[0] == POISON && memcmp(bytes, bytes + 1, count - 1) == 0);
}

void sim_poison(struct sim_request *request)
{
    memset(request->memory, POISON, request->memory_bytes);
}

void sim_requests_prepare(struct sim *sim)
{
    bool large = sim->block_count << sim->block_shift > SIM_LARGE_BYTES;

    for (uint32_t i = 0; i < SIM_REQUESTS; i++) {
        struct sim_request *request = &sim->requests[i];
        size_t bytes = large && i == 0 ? SIM_LARGE_BYTES : SIM_BUFFER_BYTES;

        request->sim = sim;
        if (request->memory_bytes != bytes + 3 * PAGE) {
            free(request->memory);
            request->memory_bytes = bytes + 3 * PAGE;
            request->memory = aligned_alloc(PAGE, request->memory_bytes);
            if (request->memory == NULL) {
                abort();
            }
            sim_poison(request);
        }
    }
}

void sim_requests_free(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_REQUESTS; i++) {
        free(sim->requests[i].memory);
        sim->requests[i].memory = NULL;
    }
}

/* Marks the blocks of a request, or takes the marks away. False: another one is in the way. */
static bool claim_blocks(struct sim_controller *controller, const struct sim_request *request)
{
    bool writes = request->opcode == NVME_CMD_WRITE;
    uint8_t *busy = &controller->busy[request->lba];

    for (uint32_t i = 0; i < request->blocks; i++) {
        if (writes ? busy[i] != 0 : busy[i] >= READERS_MAX) {
            return false;
        }
    }
    for (uint32_t i = 0; i < request->blocks; i++) {
        busy[i] = writes ? BLOCK_WRITTEN : (uint8_t)(busy[i] + 1);
    }
    return true;
}

static void release_blocks(struct sim_controller *controller, const struct sim_request *request)
{
    uint8_t *busy = &controller->busy[request->lba];

    for (uint32_t i = 0; i < request->blocks; i++) {
        busy[i] = request->opcode == NVME_CMD_WRITE ? 0 : (uint8_t)(busy[i] - 1);
    }
}

static uint32_t choose_blocks(struct sim *sim, const struct sim_request *request)
{
    uint32_t kind = random_below(&sim->random, 100);
    uint32_t most = (uint32_t)((request->memory_bytes - 3 * PAGE) >> sim->block_shift);
    uint32_t blocks = random_between(&sim->random, 1, 8);

    if (request->memory_bytes > SIM_LARGE_BYTES && kind < 50) {
        blocks = random_between(&sim->random, most * 3 / 4, most);
    } else if (kind < 4) {
        blocks = random_between(&sim->random, 1, most);
    } else if (kind < 20) {
        blocks = random_between(&sim->random, 1, most / 8);
    }
    return blocks < sim->block_count ? blocks : (uint32_t)sim->block_count;
}

/* Decides what an idle request does; false if it meets others wherever it tries. */
static bool choose(struct sim_controller *controller, struct sim_request *request)
{
    static const uint32_t offsets[] = {0, 0, 0, 4, 508, 512, 2048, 4092};
    struct sim *sim = controller->sim;
    uint32_t kind = random_below(&sim->random, 100);
    uint32_t offset = random_chance(&sim->random, 300) ? random_below(&sim->random, PAGE / 4) * 4
                                                       : RANDOM_ONE(&sim->random, offsets);

    request->opcode = kind < 5 ? NVME_CMD_FLUSH : kind < 40 ? NVME_CMD_WRITE : NVME_CMD_READ;
    request->buffer = request->memory + PAGE + offset;
    for (int i = 0; i < TRIES && request->opcode != NVME_CMD_FLUSH; i++) {
        request->blocks = choose_blocks(sim, request);
        request->lba =
            random_below(&sim->random, (uint32_t)(sim->block_count - request->blocks) + 1);
        request->size_bytes = request->blocks << sim->block_shift;
        if (claim_blocks(controller, request)) {
            sim_shift_buffer(controller, request);
            return true;
        }
    }
    request->blocks = 0;
    request->lba = 0;
    request->size_bytes = 0;
    return request->opcode == NVME_CMD_FLUSH;
}

/* An idle request, checked to be untouched since it ended, with its data in place. */
static struct sim_request *take(struct sim_queue *queue)
{
    struct sim *sim = queue->controller->sim;
    uint32_t first = random_below(&sim->random, SIM_REQUESTS);

    for (uint32_t i = 0; i < SIM_REQUESTS; i++) {
        struct sim_request *request = &sim->requests[(first + i) % SIM_REQUESTS];

        if (request->queue != NULL) {
            continue;
        }
        if (!sim_is_poison(request->buffer, request->size_bytes)) {
            sim_touched(sim, "a buffer was written to after its request had ended");
        }
        if (!choose(queue->controller, request)) {
            return NULL;
        }
        if (request->opcode == NVME_CMD_WRITE) {
            request->pattern = random_next(&sim->random);
            pattern_fill(request->pattern, request->buffer, request->size_bytes);
        }
        request->queue = queue;
        queue->outstanding++;
        sim_note_post(request);
        return request;
    }
    return NULL;
}

/* The request is idle, its buffer poison. */
static void put(struct sim_request *request)
{
    release_blocks(request->queue->controller, request);
    memset(request->buffer, POISON, request->size_bytes);
    request->queue->outstanding--;
    request->queue = NULL;
}

static void check_data(struct sim_request *request)
{
    struct sim *sim = request->sim;
    struct sim_controller *controller = request->queue->controller;
    size_t at = (size_t)request->lba << sim->block_shift;
    const uint8_t *backing = controller->model->namespaces[0].backing + at;

    sim->bytes += request->size_bytes;
    if (request->opcode == NVME_CMD_READ) {
        if (memcmp(request->buffer, controller->shadow + at, request->size_bytes) != 0) {
            sim_wrong(sim, "wrong data read at block %llu", (unsigned long long)request->lba);
        }
    } else if (request->opcode == NVME_CMD_WRITE) {
        memcpy(controller->shadow + at, request->buffer, request->size_bytes);
        if (memcmp(backing, request->buffer, request->size_bytes) != 0) {
            sim_wrong(sim, "a write that ended is not on the backing: block %llu",
                      (unsigned long long)request->lba);
        }
    }
}

/* A write that failed: block by block the old data or the new. */
static void check_failed_write(struct sim_request *request)
{
    struct sim *sim = request->sim;
    struct sim_controller *controller = request->queue->controller;
    size_t block_bytes = (size_t)1 << sim->block_shift;
    size_t at = (size_t)request->lba << sim->block_shift;

    for (size_t i = 0; i < request->size_bytes; i += block_bytes) {
        const uint8_t *now = controller->model->namespaces[0].backing + at + i;

        if (memcmp(now, request->buffer + i, block_bytes) != 0 &&
            memcmp(now, controller->shadow + at + i, block_bytes) != 0) {
            sim_wrong(sim, "a failed write left neither the old data nor the new");
        }
        memcpy(controller->shadow + at + i, now, block_bytes);
    }
}

/* Whether a request may end like this. */
static bool is_expected(const struct sim_request *request, struct nvme_result result)
{
    const struct sim_queue *queue = request->queue;
    bool media = sim_fault_on(request->sim, 19) || sim_fault_on(request->sim, 22);

    switch (result.error) {
    case NVME_OK:
        return result.bytes_done == request->size_bytes && result.status == 0;
    case NVME_ERR_DEVICE:
        return result.bytes_done <= request->size_bytes && result.status != 0 &&
               (media || queue->controller->may_fail ||
                (queue->closing && (result.status & 0x7ff) == STATUS_ABORTED_SQ_DELETION));
    case NVME_ERR_ABORTED:
        return queue->closing;
    case NVME_ERR_MAP: /* of a split request */
        return world.map_failing != 0 && result.bytes_done < request->size_bytes;
    default:
        return queue->controller->may_fail &&
               (result.error == NVME_ERR_TIMEOUT || result.error == NVME_ERR_FATAL ||
                result.error == NVME_ERR_REMOVED ||
                (queue->controller->config.resets_max != 0 &&
                 (result.error == NVME_ERR_RESET || result.error == NVME_ERR_IDENTIFY ||
                  result.error == NVME_ERR_QUEUES || result.error == NVME_ERR_UNSUPPORTED)));
    }
}

static void done(void *arg, struct nvme_result result)
{
    struct sim_request *request = arg;
    struct sim *sim = request->sim;
    struct sim_queue *queue = request->queue;
    /* What the device itself has ended before it was lost is no longer its own. */
    bool answered = result.error == NVME_OK || result.error == NVME_ERR_DEVICE;

    if (queue == NULL || (queue->controller->lost && !answered)) {
        sim_fail(sim, "a request ended that %s", queue == NULL ? "had ended" : "the device owns");
        return;
    }
    sim->ios++;
    if (!is_expected(request, result)) {
        sim_fail(sim, "a request ended with %s, status %#x, %u of %u bytes",
                 nvme_error_text(result.error), result.status, result.bytes_done,
                 request->size_bytes);
    }
    if (result.error == NVME_OK) {
        check_data(request);
    } else if (request->opcode == NVME_CMD_WRITE) {
        check_failed_write(request);
    }
    if (request->opcode == NVME_CMD_WRITE &&
        !pattern_is(request->pattern, request->buffer, request->size_bytes)) {
        sim_wrong(sim, "the data of a write were changed");
    }
    if (!sim_is_poison(request->buffer - SIM_GUARD_BYTES, SIM_GUARD_BYTES) ||
        !sim_is_poison(request->buffer + request->size_bytes, SIM_GUARD_BYTES)) {
        sim_touched(sim, "memory beside a buffer was written to");
    }
    sim_note_end(request, result.error == NVME_OK);
    put(request);
    if (!queue->closing && random_chance(&sim->random, 20)) {
        sim_change_mode(queue);
    }
    if (!queue->closing && !sim->quiet && random_chance(&sim->random, 300)) {
        sim_post(queue, 1);
    }
}

/* Not posted: it never was. The queue must have had a reason. */
static void refused(struct sim_request *request, enum nvme_error error)
{
    struct sim_queue *queue = request->queue;
    bool full = nvme_queue_outstanding(queue->engine) + 1 == queue->depth_entries;

    if (!(error == NVME_ERR_BUSY && full) &&
        !(error == NVME_ERR_STATE && queue->controller->may_fail) &&
        !(error == NVME_ERR_MAP && world.map_failing != 0) &&
        !(error == NVME_ERR_RANGE && sim_fault_on(request->sim, 15))) {
        sim_fail(request->sim, "a post is refused with %s, %u of %u slots in use",
                 nvme_error_text(error), nvme_queue_outstanding(queue->engine),
                 queue->depth_entries - 1);
    }
    put(request);
}

static enum nvme_error post_one(const struct sim_queue *queue, struct sim_request *request)
{
    const struct nvme_namespace *ns = &queue->controller->ns;
    struct nvme_callback callback = {done, request};
    enum nvme_error error = NVME_ERR_LENGTH;

    if (request->opcode != NVME_CMD_FLUSH && random_chance(&queue->controller->sim->bus, 200)) {
        error = sim_post_segments(queue, request, callback);
    }
    if (error != NVME_ERR_LENGTH) {
        return error; /* else it is split, or has no cut */
    }
    switch (request->opcode) {
    case NVME_CMD_READ:
        return nvme_read(queue->engine, ns, request->lba, request->blocks, request->buffer,
                         callback);
    case NVME_CMD_WRITE:
        return nvme_write(queue->engine, ns, request->lba, request->blocks, request->buffer,
                          callback);
    default:
        return nvme_flush(queue->engine, ns, callback);
    }
}

static void post_many(const struct sim_queue *queue, struct sim_request *const *requests,
                      uint32_t count)
{
    struct nvme_io ios[BATCH];
    uint32_t posted = 0;
    enum nvme_error error;

    for (uint32_t i = 0; i < count; i++) {
        ios[i] = (struct nvme_io){
            .lba = requests[i]->lba,
            .buffer = requests[i]->buffer,
            .block_count = requests[i]->blocks,
            .opcode = requests[i]->opcode,
            .callback = {done, requests[i]},
        };
    }
    error = nvme_post_many(queue->engine, &queue->controller->ns, ios, count, &posted);
    if ((error == NVME_OK) != (posted == count)) {
        sim_fail(queue->controller->sim, "nvme_post_many: %u of %u posted, %s", posted, count,
                 nvme_error_text(error));
    }
    for (uint32_t i = posted; i < count; i++) {
        refused(requests[i], error);
    }
}

void sim_post(struct sim_queue *queue, uint32_t count)
{
    struct sim *sim = queue->controller->sim;
    struct sim_request *requests[BATCH];
    uint32_t taken = 0;

    while (taken < count && taken < BATCH && sim_good(sim)) {
        requests[taken] = take(queue);
        if (requests[taken] == NULL) {
            break;
        }
        taken++;
    }
    queue->submitted = false;
    sim_moments(sim);
    world.hart = queue->owner;
    world_note(queue->controller->model, "post: queue, count", queue->index, taken, 0);
    if (taken > 1) {
        post_many(queue, requests, taken);
    } else if (taken == 1) {
        enum nvme_error error = post_one(queue, requests[0]);

        if (error != NVME_OK) {
            refused(requests[0], error);
        }
    }
}

void sim_submit(struct sim_queue *queue)
{
    sim_moments(queue->controller->sim);
    world.hart = queue->owner;
    nvme_queue_submit(queue->engine);
    queue->submitted = true;
}

void sim_forget(struct sim_controller *controller)
{
    for (uint32_t i = 0; i < SIM_QUEUES; i++) {
        controller->queues[i].open = false;
    }
    controller->engine = NULL;
}
