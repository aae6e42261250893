// SPDX-License-Identifier: MIT
/*
 * See beside.h.
 */
#include "beside.h"

#include "flow.h"

/* Posts one request of either kind, with its doorbell. */
static enum nvme_error post_request(struct worker *worker, struct request *request)
{
    struct pattern *pattern =
        request->is_writer ? &worker->loop.writer_pattern : &worker->loop.pattern;
    struct nvme_queue *queue = worker->queue->engine;
    struct nvme_callback callback = {flow_done, request};
    uint32_t blocks = (uint32_t)pattern->blocks;
    uint64_t lba = pattern_next_lba(pattern);
    enum nvme_error error;

    request->start_ticks = worker->loop.stamp_ticks;
    request->write = request->is_writer;
    error = request->write
                ? nvme_write(queue, worker->queue->ns, lba, blocks, request->buffer, callback)
                : nvme_read(queue, worker->queue->ns, lba, blocks, request->buffer, callback);
    if (error == NVME_OK) {
        nvme_queue_submit(queue);
        worker->loop.in_flight++;
    }
    return error;
}

static void post_free(struct worker *worker)
{
    if (worker->loop.stamp_ticks == 0) {
        worker->loop.stamp_ticks = csr_time();
    }
    while (worker->loop.free != NULL) {
        struct request *request = worker->loop.free;
        struct request *next = request->next;
        enum nvme_error error = post_request(worker, request);

        if (error != NVME_OK) {
            flow_post_failed(worker, error);
            return;
        }
        worker->loop.free = next;
    }
}

void beside_run(struct worker *worker)
{
    flow_wait_function *wait = flow_wait_of(worker);

    worker->loop.complete_min = 1;
    while (!worker->window.stop) {
        post_free(worker);
        if (worker->loop.in_flight != 0) {
            wait(worker);
            flow_collect(worker);
        }
    }
}
