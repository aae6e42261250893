// SPDX-License-Identifier: MIT
/* Opening and closing, again and again: nothing is lost, nothing leaks, closed is closed. */
#include <inttypes.h>

#include "heap.h"
#include "irq.h"
#include "selftest.h"

enum { TURNS = 20, DEPTH = 8 };
/* What a device may say of a command whose queue is deleted; type and code. */
enum { STATUS_MASK = 0x7ff, STATUS_SQ_DELETED = 0x008 };

static bool write_and_read(uint32_t key)
{
    struct storage_queue *queue = &selftest.storage.queues[0];
    size_t mark = heap_mark();
    uint8_t *buffer = take_pages((size_t)17 * PAGE_BYTES);
    uint32_t bytes = queue->ns->block_bytes;
    bool ok;

    pattern_fill(buffer, bytes, key);
    ok = transfer(queue, NVME_CMD_WRITE, key, 1, buffer) &&
         transfer(queue, NVME_CMD_READ, key, 1, buffer) &&
         check(pattern_check(buffer, bytes, key) == bytes, "turn %" PRIu32, key);
    heap_release(mark);
    return ok;
}

/* Controllers: the storage's close checks the heap each time. */
static void test_controllers(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH};

    for (uint32_t turn = 0; turn < TURNS; turn++) {
        if (!open_storage(&config)) {
            return;
        }
        write_and_read(turn);
        close_storage();
    }
}

/* Closes hart 0's queue and opens it again with another depth. */
static bool reopen(struct storage_queue *queue, uint32_t depth_entries)
{
    struct nvme_queue_config config = {
        .depth_entries = depth_entries, .mode = selftest.mode, .vector = queue->vector};
    enum nvme_error error;

    /* The watchdog's tick may not come while the handle is between two lives. */
    storage_hart_stop(queue);
    error = nvme_queue_close(queue->engine);
    if (!check(error == NVME_OK, "close: %s", nvme_error_text(error))) {
        return false;
    }
    error = nvme_queue_close(queue->engine);
    check(error == NVME_ERR_STATE, "closed twice: %s", nvme_error_text(error));
    error = nvme_flush(queue->engine, queue->ns, (struct nvme_callback){NULL, NULL});
    check(error == NVME_ERR_STATE, "posted on a closed queue: %s", nvme_error_text(error));
    error = nvme_queue_open(queue->controller->engine, 0, &config, &queue->engine);
    if (!check(error == NVME_OK, "open: %s", nvme_error_text(error))) {
        return false;
    }
    error = nvme_queue_open(queue->controller->engine, 0, &config, &queue->engine);
    check(error == NVME_ERR_STATE, "opened twice: %s", nvme_error_text(error));
    storage_hart_start(queue);
    return true;
}

static void test_queues(void)
{
    struct storage_config config = {.depth_entries = DEPTH};

    if (!open_storage(&config)) {
        return;
    }
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        if (!reopen(&selftest.storage.queues[0], NVME_DEPTH_MIN + turn % (DEPTH - 1))) {
            break;
        }
        write_and_read(turn);
    }
    close_storage();
}

/* A queue that is closed with requests outstanding ends each of them once. */
static void test_close_busy(void)
{
    static struct request requests[DEPTH - 1];
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    uint8_t *buffer;
    uint64_t saved;

    if (!open_storage(&config)) {
        return;
    }
    buffer = take_pages((size_t)DEPTH * PAGE_BYTES);
    saved = irq_save();
    for (uint32_t i = 0; i < DEPTH - 1; i++) {
        requests[i] = (struct request){0};
        check(nvme_read(queue->engine, queue->ns, i, 1, buffer + (size_t)i * PAGE_BYTES,
                        request_callback(&requests[i])) == NVME_OK,
              "post %" PRIu32, i);
        /* Half of them are not rung for: the device does not know them. */
        if (i < DEPTH / 2) {
            nvme_queue_submit(queue->engine);
        }
    }
    irq_restore(saved);
    close_storage();
    for (uint32_t i = 0; i < DEPTH - 1; i++) {
        struct nvme_result result = requests[i].result;
        bool deleted =
            result.error == NVME_ERR_DEVICE && (result.status & STATUS_MASK) == STATUS_SQ_DELETED;

        check(requests[i].ends == 1 &&
                  (result.error == NVME_OK || result.error == NVME_ERR_ABORTED || deleted),
              "request %" PRIu32 " ended %" PRIu32 " times: %s, status 0x%x", i, requests[i].ends,
              nvme_error_text(result.error), (unsigned)result.status);
    }
}

/* A controller with requests outstanding is not closed; when they have ended it is. */
static void test_controller_busy(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct request request = {0};
    enum nvme_error error;
    uint64_t saved;

    if (!open_storage(&config)) {
        return;
    }
    saved = irq_save();
    check(nvme_flush(queue->engine, queue->ns, request_callback(&request)) == NVME_OK, "post");
    error = nvme_controller_close(queue->controller->engine);
    check(error == NVME_ERR_BUSY, "closed with a request outstanding: %s", nvme_error_text(error));
    nvme_queue_submit(queue->engine);
    irq_restore(saved);
    wait_count(queue, &request.ends, 1);
    check(request.result.error == NVME_OK, "the request: %s",
          nvme_error_text(request.result.error));
    write_and_read(1);
    close_storage();
}

/* Two owners cannot share one line: refused in words, and the first one goes on. */
static void test_second_owner(void)
{
    struct storage_config config = {.depth_entries = DEPTH};
    struct nvme_queue_config second = {.owner = 1, .mode = NVME_MODE_INTERRUPT};
    struct nvme_queue *none = NULL;
    enum nvme_error error;

    /* Spread over one controller: it has two queues, of which this opens the second itself. */
    config.harts = 2;
    config.spread = true;
    config.controllers_max = 1;
    if (!open_storage(&config)) {
        return;
    }
    check(nvme_queue_close(selftest.storage.queues[1].engine) == NVME_OK, "close");
    error = nvme_queue_open(selftest.storage.controllers[0].engine, 1, &second, &none);
    check(error == NVME_ERR_INTERRUPT && none == NULL, "a second owner: %s",
          nvme_error_text(error));
    second.owner = 0;
    error = nvme_queue_open(selftest.storage.controllers[0].engine, 1, &second, &none);
    check(error == NVME_OK, "the same owner: %s", nvme_error_text(error));
    write_and_read(3);
    close_storage();
}

const struct test life_tests[] = {
    {"life.controllers", test_controllers, MODE_ALL, 0},
    {"life.queues", test_queues, MODE_ALL, 0},
    {"life.close-busy", test_close_busy, MODE_ALL, 0},
    {"life.controller-busy", test_controller_busy, MODE_ALL, 0},
    {"life.second-owner", test_second_owner, MODE_IRQ, WANTS_LINE},
    {NULL, NULL, 0, 0},
};
