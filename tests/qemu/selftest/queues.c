// SPDX-License-Identifier: MIT
/* A queue: batches, doorbells, back-pressure, depths, callbacks that post, refusals. */
#include <inttypes.h>

#include "irq.h"
#include "selftest.h"

enum { BATCH = 31, BAD_OPCODE = 0x7c };

/* A depth that leaves 6 bits of generation, and requests that use every value in each slot. */
enum { WRAP_DEPTH = 1024, WRAP_COUNT = 65536 + 4096 };

static struct storage_queue *queue;
static uint8_t *buffer; /* one block and more */

static bool begin(uint32_t depth_entries)
{
    struct storage_config config = {.depth_entries = depth_entries};

    if (!open_storage(&config)) {
        return false;
    }
    queue = &selftest.storage.queues[0];
    buffer = take_pages((size_t)(BATCH + 2) * PAGE_BYTES);
    return true;
}

static struct nvme_io read_of(uint64_t lba, void *to, struct nvme_callback callback)
{
    return (struct nvme_io){
        .opcode = NVME_CMD_READ, .lba = lba, .block_count = 1, .buffer = to, .callback = callback};
}

static struct nvme_counters count(void)
{
    struct nvme_counters counters;

    nvme_queue_count(queue->engine, &counters);
    return counters;
}

/* ---- Batches and back-pressure ------------------------------------------------------------ */

/* N posts, one doorbell; nothing reaches the device before it. */
static void test_batch(void)
{
    static struct request requests[BATCH];
    struct nvme_io ios[BATCH];
    uint32_t posted = 0;

    if (!begin(BATCH + 1)) {
        return;
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        requests[i] = (struct request){0};
        ios[i] = read_of(i, buffer + (size_t)i * PAGE_BYTES, request_callback(&requests[i]));
    }
    check(nvme_post_many(queue->engine, queue->ns, ios, BATCH, &posted) == NVME_OK &&
              posted == BATCH,
          "%" PRIu32 " of %d posted", posted, BATCH);
    check(count().sq_doorbells == 0, "a post rang the doorbell");
    check(nvme_queue_outstanding(queue->engine) == BATCH, "outstanding %" PRIu32,
          nvme_queue_outstanding(queue->engine));
    nvme_queue_submit(queue->engine);
    nvme_queue_submit(queue->engine);
    for (uint32_t i = 0; i < BATCH; i++) {
        wait_count(queue, &requests[i].ends, 1);
        check(requests[i].result.error == NVME_OK, "request %" PRIu32, i);
    }
    check(count().sq_doorbells == 1, "%" PRIu64 " doorbells for one batch", count().sq_doorbells);
    check(count().cq_doorbells == count().reaps, "%" PRIu64 " head doorbells, %" PRIu64 " reaps",
          count().cq_doorbells, count().reaps);
    close_storage();
}

/*
 * A queue of N entries takes N - 1 requests; the next is refused, runs no callback, and all is well
 * again when one has ended. With post_many the refused one is named.
 */
static void test_full(void)
{
    static struct request requests[BATCH + 1];
    struct nvme_io ios[BATCH + 1];
    uint32_t posted = 0;
    enum nvme_error error;

    if (!begin(BATCH)) {
        return;
    }
    for (uint32_t i = 0; i <= BATCH; i++) {
        requests[i] = (struct request){0};
        ios[i] = read_of(i, buffer + (size_t)i * PAGE_BYTES, request_callback(&requests[i]));
    }
    error = nvme_post_many(queue->engine, queue->ns, ios, BATCH + 1, &posted);
    check(error == NVME_ERR_BUSY && posted == BATCH - 1, "%s after %" PRIu32 " posts",
          nvme_error_text(error), posted);
    error = nvme_flush(queue->engine, queue->ns, request_callback(&requests[BATCH]));
    check(error == NVME_ERR_BUSY && nvme_queue_outstanding(queue->engine) == BATCH - 1,
          "a flush: %s", nvme_error_text(error));
    nvme_queue_submit(queue->engine);
    for (uint32_t i = 0; i < BATCH - 1; i++) {
        wait_count(queue, &requests[i].ends, 1);
    }
    check(requests[BATCH].ends == 0 && requests[BATCH - 1].ends == 0,
          "a refused request was ended");
    check(nvme_queue_outstanding(queue->engine) == 0, "slots were lost");
    transfer(queue, NVME_CMD_READ, 0, 1, buffer);
    close_storage();
}

/* ---- Depths and callbacks that post ------------------------------------------------------- */

/* Keeps `left` requests coming: each completion posts the next one. */
struct chain {
    uint32_t left; /* to be posted */
    volatile uint32_t ended;
    uint32_t errors;
};

static void chain_done(void *arg, struct nvme_result result)
{
    struct chain *chain = arg;

    chain->ended++;
    chain->errors += result.error != NVME_OK;
    if (chain->left != 0) {
        chain->left--;
        chain->errors += nvme_read(queue->engine, queue->ns, chain->ended % 4096, 1, buffer,
                                   (struct nvme_callback){chain_done, chain}) != NVME_OK;
        nvme_queue_submit(queue->engine); /* does nothing inside done(): the reap rings */
    }
}

/* Fills the queue and keeps it full for `total` requests. */
static void run_chain(uint32_t total)
{
    struct chain chain = {.left = total};
    uint64_t saved = irq_save(); /* no completion before all are posted */

    while (chain.left != 0) {
        if (nvme_read(queue->engine, queue->ns, 0, 1, buffer,
                      (struct nvme_callback){chain_done, &chain}) != NVME_OK) {
            break;
        }
        chain.left--;
    }
    nvme_queue_submit(queue->engine);
    irq_restore(saved);
    wait_count(queue, &chain.ended, total);
    check(chain.ended == total && chain.errors == 0,
          "%" PRIu32 " of %" PRIu32 " ended, %" PRIu32 " errors", chain.ended, total, chain.errors);
}

/* One depth, long enough to wrap both rings; MQES may cut it. */
static void run_depth(uint32_t depth)
{
    struct nvme_controller_info info;

    if (!begin(depth)) {
        return;
    }
    nvme_controller_describe(selftest.storage.controllers[0].engine, &info);
    check(info.depth_entries ==
              (depth < info.depth_entries_limit ? depth : info.depth_entries_limit),
          "depth %" PRIu32 " became %" PRIu32, depth, info.depth_entries);
    check((info.depth_entries < depth) == event_seen(NVME_EVENT_DEPTH_REDUCED),
          "depth %" PRIu32 ": reduced and not said, or said and not reduced", depth);
    run_chain(2 * info.depth_entries + 3);
    close_storage();
}

static void test_depths(void)
{
    static const uint32_t depths[] = {2, 3, 4, 5, 7, 32, 33, 100};

    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        run_depth(depths[i]);
    }
}

/* Wants a backing that answers at once: with a file, QEMU's threads take most of the time. */
static void test_deep(void)
{
    static const uint32_t depths[] = {1023, 1024, 1025, 2048, 4096};

    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        run_depth(depths[i]);
    }
}

/* The generations of the command ids wrap. */
static void test_generations(void)
{
    if (!begin(WRAP_DEPTH)) {
        return;
    }
    run_chain(WRAP_COUNT);
    close_storage();
}

static void test_flush(void)
{
    struct nvme_io flush = {.opcode = NVME_CMD_FLUSH};
    struct request request;

    if (!begin(8)) {
        return;
    }
    pattern_fill(buffer, queue->ns->block_bytes, 5);
    transfer(queue, NVME_CMD_WRITE, 9, 1, buffer);
    request = run_io(queue, flush);
    check(request.ends == 1 && request.result.error == NVME_OK, "flush: %s",
          nvme_error_text(request.result.error));
    close_storage();
}

/* ---- What is refused ---------------------------------------------------------------------- */

struct refusal {
    const char *what;
    uint64_t lba;
    uint32_t blocks;
    uint32_t offset; /* of the buffer */
    enum nvme_error error;
};

static void check_refused(const struct refusal *refusal, struct nvme_callback callback)
{
    void *at = refusal->offset == UINT32_MAX ? NULL : buffer + refusal->offset;
    enum nvme_error error =
        nvme_read(queue->engine, queue->ns, refusal->lba, refusal->blocks, at, callback);

    check(error == refusal->error, "read, %s: %s", refusal->what, nvme_error_text(error));
    error = nvme_write(queue->engine, queue->ns, refusal->lba, refusal->blocks, at, callback);
    check(error == refusal->error, "write, %s: %s", refusal->what, nvme_error_text(error));
}

/* What cannot be right is refused before it is posted, and no callback runs. */
static void test_validation(void)
{
    struct request request = {0};
    struct nvme_namespace foreign;
    uint64_t end;

    if (!begin(4)) {
        return;
    }
    end = queue->ns->block_count;
    const struct refusal refusals[] = {
        {"no blocks", 0, 0, 0, NVME_ERR_LENGTH},
        {"4 GiB and more", 0, UINT32_MAX, 0, NVME_ERR_LENGTH},
        {"begins at the end", end, 1, 0, NVME_ERR_RANGE},
        {"ends behind the end", end - 1, 2, 0, NVME_ERR_RANGE},
        {"the sum wraps", UINT64_MAX, 2, 0, NVME_ERR_RANGE},
        {"odd address", 0, 1, 1, NVME_ERR_ALIGNMENT},
        {"address of a halfword", 0, 1, 2, NVME_ERR_ALIGNMENT},
        {"no buffer", 0, 1, UINT32_MAX, NVME_ERR_ALIGNMENT},
    };

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        check_refused(&refusals[i], request_callback(&request));
    }
    foreign = *queue->ns;
    foreign.controller = NULL;
    check(nvme_read(queue->engine, &foreign, 0, 1, buffer, request_callback(&request)) ==
              NVME_ERR_NAMESPACE,
          "another controller's namespace");
    check(nvme_queue_outstanding(queue->engine) == 0 && request.ends == 0,
          "a refused request was posted");
    transfer(queue, NVME_CMD_READ, 0, 1, buffer);
    close_storage();
}

static void check_status(const struct nvme_command *command, void *data, uint16_t status,
                         const char *what)
{
    struct request request = {0};
    uint32_t bytes = data != NULL ? queue->ns->block_bytes : 0;
    enum nvme_error error =
        nvme_passthrough(queue->engine, command, data, bytes, request_callback(&request));

    if (!check(error == NVME_OK, "%s was not posted: %s", what, nvme_error_text(error))) {
        return;
    }
    nvme_queue_submit(queue->engine);
    wait_count(queue, &request.ends, 1);
    check(request.result.error == NVME_ERR_DEVICE && request.result.status == status,
          "%s: %s, status %x, not %x", what, nvme_error_text(request.result.error),
          request.result.status, status);
    check(request.result.bytes_done == 0, "%s moved %" PRIu32 " bytes", what,
          request.result.bytes_done);
}

/* The device's own refusals arrive with their status, and the queue goes on. */
static void test_status(void)
{
    struct nvme_command command = {.cdw0 = BAD_OPCODE};
    uint64_t end;

    if (!begin(4)) {
        return;
    }
    end = queue->ns->block_count;
    command.nsid = queue->ns->nsid;
    check_status(&command, NULL, 0x4001, "an invalid opcode");
    command.cdw0 = NVME_CMD_READ;
    command.cdw10 = (uint32_t)end;
    command.cdw11 = (uint32_t)(end >> 32);
    check_status(&command, buffer, 0x4080, "a read behind the end");
    command.cdw0 = NVME_CMD_WRITE;
    check_status(&command, buffer, 0x4080, "a write behind the end");
    command.nsid = 0xfffffffe;
    command.cdw10 = 0;
    command.cdw11 = 0;
    check_status(&command, buffer, 0x400b, "a namespace that is not there");
    transfer(queue, NVME_CMD_READ, 0, 1, buffer);
    close_storage();
}

const struct test queue_tests[] = {
    {"queue.batch", test_batch, MODE_ALL, 0},
    {"queue.full", test_full, MODE_ALL, 0},
    {"queue.depths", test_depths, MODE_ALL, 0},
    {"queue.deep", test_deep, MODE_ALL, WANTS_NAMED},
    {"queue.generations", test_generations, MODE_BOTH, WANTS_NAMED},
    {"queue.flush", test_flush, MODE_BOTH, 0},
    {"queue.validation", test_validation, MODE_BOTH, 0},
    {"queue.status", test_status, MODE_BOTH, 0},
    {NULL, NULL, 0, 0},
};
