// SPDX-License-Identifier: MIT
/*
 * One I/O command at a time, on the queue of hart 0, and io-passthru, which is any command.
 */
#include <inttypes.h>
#include <stdio.h>

#include "heap.h"
#include "irq.h"
#include "nvme_tool.h"
#include "timer.h"

static struct io io;
static volatile bool ended;
static struct nvme_result answer;

/* ---- One command ---------------------------------------------------------------------- */

struct io *io_begin(const struct options *options, uint64_t data_bytes)
{
    if (!job_open(&io.job, options)) {
        return NULL;
    }
    io.ns = &io.job.storage.controllers[0].ns;
    io.data = heap_take(data_bytes != 0 ? data_bytes : NVME_PAGE_DEFAULT, NVME_PAGE_DEFAULT);
    if (io.data == NULL) {
        printf("error: %" PRIu64 " bytes of data do not fit into memory\n", data_bytes);
        (void)storage_close(&io.job.storage);
        return NULL;
    }
    storage_hart_start(&io.job.storage.queues[0]);
    return &io;
}

int io_finish(bool good)
{
    storage_hart_stop(&io.job.storage.queues[0]);
    return storage_close(&io.job.storage) && good ? 0 : 1;
}

static void command_done(void *arg, struct nvme_result result)
{
    (void)arg;
    answer = result;
    ended = true;
}

static enum nvme_error command_wait(struct storage_queue *queue)
{
    uint64_t begin_ns = time_now_ns();

    while (!ended) {
        irq_disable();
        if (!ended) {
            storage_wait(queue, NVME_WAIT_BLOCKED);
        }
        irq_enable();
        if (time_now_ns() - begin_ns > io.job.give_up_ns) {
            return NVME_ERR_STUCK;
        }
    }
    return answer.error;
}

bool io_run(const struct nvme_command *command, uint32_t bytes, const char *name, uint64_t lba,
            uint32_t count)
{
    struct storage_queue *queue = &io.job.storage.queues[0];
    struct nvme_callback callback = {command_done, NULL};
    enum nvme_error error;

    ended = false;
    answer = (struct nvme_result){0};
    error = nvme_passthrough(queue->engine, command, bytes != 0 ? io.data : NULL, bytes, callback);
    if (error == NVME_OK) {
        nvme_queue_submit(queue->engine);
        error = command_wait(queue);
    }
    if (error != NVME_OK) {
        printf("error: %s", name);
        if (count != 0) {
            printf(" of %" PRIu32 " blocks from LBA %" PRIu64, count, lba);
        }
        printf(": %s", nvme_error_text(error));
        if (error == NVME_ERR_DEVICE) {
            printf(", status 0x%x %s", answer.status, nvme_status_text(answer.status));
        }
        printf("\n");
    }
    return error == NVME_OK;
}

/* ---- Any command ---------------------------------------------------------------------- */

static void print_answer(const struct options *options)
{
    static struct json json;
    char digits[12];

    if (options->format != FORMAT_JSON) {
        printf("NVMe command result:%08" PRIx32 "\n", answer.dw0);
        hex_print(io.data, options->read ? options->data_len : 0, 0);
        return;
    }
    json_begin(&json);
    snprintf(digits, sizeof(digits), "%" PRIu32, answer.dw0);
    json_number(&json, "result", digits);
    if (options->read) {
        hex_print_json(&json, "data", io.data, options->data_len);
    }
    json_end(&json);
}

int run_io_passthru(const struct options *options)
{
    struct nvme_command command = passthru_command(options);
    bool good;

    if (!passthru_check(options, options->max_transfer) ||
        io_begin(options, options->data_len) == NULL) {
        return 1;
    }
    command.nsid = command.nsid != 0 ? command.nsid : io.ns->nsid;
    pattern_fill(io.data, options->write ? options->data_len : 0, options->seed, 0);
    good = io_run(&command, (uint32_t)options->data_len, "io-passthru", 0, 0);
    if (good) {
        print_answer(options);
    }
    return io_finish(good);
}
