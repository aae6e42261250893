// SPDX-License-Identifier: MIT
// A medium that is far slower than the deadline: every request ends once, with a reason, and the
// device can be used again. Wants a throttled backing.
#include <inttypes.h>
#include <stdio.h>

#include "selftest.h"
#include "timer.h"

enum { REQUESTS = 24 };
#define LIMIT_NS (8 * NS_PER_S) // deadline, its coarse scan, the reset, and a busy host

static struct request requests[REQUESTS];

static void post_all(struct storage_queue *queue, uint8_t *buffer)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        requests[i] = (struct request){0};
        check(nvme_read(queue->engine, queue->ns, i, 1, buffer + (size_t)i * PAGE_BYTES,
                        request_callback(&requests[i])) == NVME_OK,
              "post %" PRIu32, i);
    }
    nvme_submit(queue->engine);
}

// How many ended with a time-out; each must have ended once, with that or well.
static uint32_t count_timeouts(void)
{
    uint32_t timeouts = 0;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        enum nvme_error error = requests[i].result.error;

        check(requests[i].ends == 1 && (error == NVME_OK || error == NVME_ERR_TIMEOUT),
              "request %" PRIu32 " ended %" PRIu32 " times: %s", i, requests[i].ends,
              nvme_error_text(error));
        timeouts += error == NVME_ERR_TIMEOUT;
    }
    return timeouts;
}

static void expire(struct storage_queue *queue)
{
    uint8_t *buffer = take_pages((size_t)(REQUESTS + 1) * PAGE_BYTES);
    uint64_t start_ns = time_now_ns();
    enum nvme_error error;
    uint32_t timeouts;

    post_all(queue, buffer);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        wait_count(queue, &requests[i].ends, 1);
    }
    start_ns = time_now_ns() - start_ns;
    timeouts = count_timeouts();
    printf("note timeout: %" PRIu32 " of %d after %" PRIu64 " ms\n", timeouts, REQUESTS,
           start_ns / NS_PER_MS);
    check(timeouts != 0, "nothing timed out: is the backing throttled?");
    check(start_ns >= NS_PER_S && start_ns < LIMIT_NS, "it took %" PRIu64 " ms",
          start_ns / NS_PER_MS);
    check(event_seen(NVME_EVENT_COMMAND_TIMEOUT) && event_seen(NVME_EVENT_DISABLED), "not said");
    check(nvme_queue_outstanding(queue->engine) == 0, "requests are left");
    error = nvme_flush(queue->engine, queue->ns, request_callback(&requests[0]));
    check(error == NVME_ERR_STATE, "posted on a failed controller: %s", nvme_error_text(error));
}

static void test_timeout(void)
{
    struct storage_config config = {.depth_entries = REQUESTS + 1, .timeout_ns = NS_PER_S};

    if (!open_storage(&config)) {
        return;
    }
    expire(&selftest.storage.queues[0]);
    close_broken_storage();
    config.timeout_ns = 0;
    if (!open_storage(&config)) {
        return;
    }
    transfer(&selftest.storage.queues[0], NVME_CMD_READ, 0, 1, take_pages(PAGE_BYTES));
    close_storage();
}

const struct test timeout_tests[] = {
    {"timeout", test_timeout, MODE_BOTH, true},
    {NULL, NULL, 0, false},
};
