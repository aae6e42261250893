// SPDX-License-Identifier: MIT
/* Closing while other harts are in handlers: then no handler of the storage runs. */
#include <inttypes.h>

#include "crew.h"
#include "harts.h"
#include "irq.h"
#include "selftest.h"
#include "timer.h"

enum { DEPTH = 8, OWNERS = 2 };
#define LINGER_NS (100 * NS_PER_MS)

/* ---- A handler of another hart ------------------------------------------------------------ */

/* The last hart's request. It lingers in done(), in the trap. */
static struct {
    void *buffer;
    volatile bool lingers;
    volatile bool ended;
} slow;

static void linger(void *arg, struct nvme_result result)
{
    struct storage_queue *queue = arg;
    uint64_t start_ns = time_now_ns();

    check(result.error == NVME_OK, "%s", nvme_error_text(result.error));
    slow.lingers = true;
    while (time_now_ns() - start_ns < LINGER_NS) {
    }
    check(__atomic_load_n(&queue->engine, __ATOMIC_ACQUIRE) != NULL,
          "the queue was closed under a handler of another hart");
    slow.ended = true;
}

/* Posts and goes away with interrupts off: the handler runs when this hart idles, out of cycles. */
static void post_and_leave(void *arg, unsigned index)
{
    struct storage_queue *queue = &selftest.storage.queues[index];

    (void)arg;
    if (index + 1 != selftest.storage.queue_count) {
        return;
    }
    storage_hart_start(queue);
    irq_disable();
    check(nvme_read(queue->engine, queue->ns, 0, 1, slow.buffer,
                    (struct nvme_callback){linger, queue}) == NVME_OK,
          "post");
    nvme_queue_submit(queue->engine);
    storage_hart_stop(queue);
}

static void test_waits(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH};
    uint64_t start_ns = time_now_ns();

    if (!open_storage(&config)) {
        return;
    }
    if (selftest.storage.queue_count < 2) {
        skip("one queue");
        close_storage();
        return;
    }
    slow.buffer = take_pages(PAGE_BYTES);
    slow.lingers = slow.ended = false;
    check(harts_run(selftest.storage.queue_count, post_and_leave, NULL), "harts did not run");
    while (!slow.lingers) {
        if (time_now_ns() - start_ns > WAIT_LIMIT_NS) {
            give_up("a request did not end");
        }
    }
    close_storage();
    check(slow.ended, "closing did not wait for the handler");
}

/* ---- An IPI that its owner does not take -------------------------------------------------- */

static void note_end(void *arg, struct nvme_result result)
{
    (void)arg;
    check(result.error == NVME_OK, "%s", nvme_error_text(result.error));
    check(!slow.ended, "ended twice");
    slow.ended = true;
}

/* Posts and takes no IPI from now on. */
static void post_and_be_deaf(void *arg, unsigned index)
{
    struct storage_queue *queue = &selftest.storage.queues[index];

    (void)arg;
    if (index + 1 != selftest.storage.queue_count) {
        return;
    }
    storage_hart_start(queue);
    hart_attach_ipi(NULL, NULL);
    check(nvme_read(queue->engine, queue->ns, 0, 1, slow.buffer,
                    (struct nvme_callback){note_end, NULL}) == NVME_OK,
          "post");
    nvme_queue_submit(queue->engine);
    storage_hart_stop(queue);
}

/* The cycle of a shared line waits for that hart; closing does not, and has no time limit. */
static void test_answers(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH};
    uint64_t start_ns = time_now_ns();
    const struct storage_queue *last;

    if (!open_storage(&config)) {
        return;
    }
    last = &selftest.storage.queues[selftest.storage.queue_count - 1];
    if (!last->controller->shared || last->hart == last->controller->irq_hart) {
        close_storage(); /* nobody takes an IPI here */
        return;
    }
    slow.buffer = take_pages(PAGE_BYTES);
    slow.ended = false;
    check(harts_run(selftest.storage.queue_count, post_and_be_deaf, NULL), "harts did not run");
    while ((nvme_queue_closed(last->engine) & NVME_CLOSED_CYCLE) == 0) {
        if (time_now_ns() - start_ns > WAIT_LIMIT_NS) {
            give_up("no cycle began");
        }
    }
    check(!slow.ended, "a hart without a handler took a ipi");
    close_storage();
    check(slow.ended, "closing left a request behind");
}

/* ---- What is left behind ------------------------------------------------------------------ */

static void test_forgets(void)
{
    struct storage_config config = {.harts = test_harts(), .depth_entries = DEPTH};

    if (!open_storage(&config)) {
        return;
    }
    crew_run(&(struct crew){.depth = 1, .requests = 20});
    close_storage();
    for (uint32_t i = 0; i < config.harts; i++) {
        check(harts[i].ipi_handler == NULL, "hart %" PRIu32 " still takes ipis", i);
    }
}

/* ---- A polled life after it --------------------------------------------------------------- */

static uint32_t indices[OWNERS];
static volatile uint32_t ended[OWNERS];
static void *buffers[OWNERS];

static void count_end(void *arg, struct nvme_result result)
{
    const uint32_t *index = arg;

    check(result.error == NVME_ERR_TIMEOUT, "%s", nvme_error_text(result.error));
    check(hart_index() == *index, "ended on hart %u", hart_index());
    ended[*index]++;
}

/* Polls with interrupts on. Hart 0 finds the deadline, disables the controller and IPIs. */
static void poll_dead_device(void *arg, unsigned index)
{
    struct storage_queue *queue = &selftest.storage.queues[index];

    (void)arg;
    storage_hart_start(queue);
    check(nvme_read(queue->engine, queue->ns, index, 1, buffers[index],
                    (struct nvme_callback){count_end, &indices[index]}) == NVME_OK,
          "post");
    nvme_queue_submit(queue->engine);
    while (ended[index] == 0) {
        nvme_queue_reap(queue->engine, NVME_DEPTH_MAX);
        if (index == 0) {
            nvme_queue_watchdog(queue->engine, time_now_ns());
        }
    }
    storage_hart_stop(queue);
}

/* A handler of the closed storage would reap hart 1's poll queue in a trap, amid its own reap. */
static void test_polled_after(void)
{
    struct storage_config config = {.harts = OWNERS,
                                    .depth_entries = DEPTH,
                                    .controllers_max = 1,
                                    .mode = NVME_MODE_POLL,
                                    .timeout_ns = NS_PER_S};
    volatile uint32_t *registers;

    test_forgets();
    if (!check(storage_open(&selftest.storage, &config), "storage_open failed")) {
        return;
    }
    for (uint32_t i = 0; i < OWNERS; i++) {
        indices[i] = i;
        ended[i] = 0;
        buffers[i] = take_pages(PAGE_BYTES);
    }
    registers =
        (volatile uint32_t *)(uintptr_t)selftest.storage.controllers[0].function->bars[0].base;
    registers[NVME_REG_CC / sizeof(uint32_t)] = 0; /* the device dies */
    check(harts_run(OWNERS, poll_dead_device, NULL), "harts did not run");
    check(ended[0] == 1 && ended[1] == 1, "requests ended %" PRIu32 " and %" PRIu32 " times",
          ended[0], ended[1]);
    (void)storage_close(&selftest.storage);
}

const struct test closing_tests[] = {
    {"closing.waits", test_waits, MODE_IRQ, WANTS_HARTS},
    {"closing.answers", test_answers, MODE_IRQ, WANTS_HARTS},
    {"closing.forgets", test_forgets, MODE_SLEEP, WANTS_HARTS},
    {"closing.polled-after", test_polled_after, MODE_IRQ, WANTS_HARTS | WANTS_NAMED},
    {NULL, NULL, MODE_NONE, 0},
};
