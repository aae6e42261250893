// SPDX-License-Identifier: MIT
/*
 * See flow.h: what is rare, or called through a pointer.
 */
#include "flow.h"

void flow_done(void *arg, struct nvme_result result)
{
    struct request *request = arg;
    struct worker *worker = request->worker;

    request->next = worker->finished;
    worker->finished = request;
    if (result.error != NVME_OK) {
        worker_fail(worker, result.error, result.status);
    }
}

void flow_put_back(struct worker *worker, uint32_t posted, uint32_t count)
{
    for (uint32_t i = posted; i < count; i++) {
        struct request *request = worker->ios[i].callback.arg;

        request->next = worker->free;
        worker->free = request;
    }
}

void flow_post_failed(struct worker *worker, enum nvme_error error)
{
    if (error != NVME_ERR_BUSY || worker->in_flight == 0) {
        worker_fail(worker, error, 0);
        worker->stop = true;
    }
}
