// SPDX-License-Identifier: MIT
/*
 * Queues for harts, interrupt lines, waiting. See storage.h.
 */
#include "storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "heap.h"
#include "irq.h"
#include "start.h"
#include "storage_internal.h"
#include "timer.h"
#include "trap.h"

/* Polls between two looks at the clock for the watch. */
enum { POLLS_PER_CLOCK = 256 };

/* Polls between two moments at which interrupts are taken. */
enum { POLLS_PER_DOOR = 16 };

/* How long an idle hart may take to answer in a round, and how often that is looked at. */
#define ROUND_TIMEOUT_NS UINT64_C(1000000000)
#define ROUND_LOOK_NS UINT64_C(100000)

/* ---- Queues --------------------------------------------------------------------------- */

static bool check_config(const struct storage_config *config)
{
    if (config->harts == 0 || config->harts > STORAGE_HARTS_MAX ||
        (!config->spread && config->harts > hart_count())) {
        printf("error: harts=%" PRIu32 ": 1 to %u; hint: run.py --harts\n", config->harts,
               hart_count());
        return false;
    }
    return true;
}

static bool open_queue(struct storage *storage, uint32_t index)
{
    uint32_t controllers = storage->controller_count;
    struct storage_controller *controller = &storage->controllers[index % controllers];
    struct storage_queue *queue = &storage->queues[index];
    struct nvme_queue_config config = {
        .mode = storage->config.mode,
        .irq_off = storage->config.irq_off,
    };
    enum nvme_error error;

    queue->hart = storage->config.spread ? 0 : index;
    queue->storage = storage;
    queue->controller = controller;
    queue->ns = &controller->ns;
    queue->polls = 0;
    queue->vector = 0;
    config.owner = queue->hart;
    if (config.mode != NVME_MODE_POLL && controller->msix.vector_count != 0) {
        if (!storage_connect_vector(queue, (uint16_t)(index / controllers + 1))) {
            return false;
        }
        config.vector = queue->vector;
    }
    error = nvme_queue_open(controller->engine, index / controllers, &config, &queue->engine);
    if (error != NVME_OK) {
        printf("error: queue %" PRIu32 ": %s (%d)\n", index, nvme_error_text(error), (int)error);
    }
    if (error != NVME_OK) {
        queue->engine = NULL;
        storage_disconnect_vector(queue);
        return false;
    }
    storage->queue_count++;
    /* Last: from here on the handler may run, and this hart's work on the controller is done. */
    return config.mode == NVME_MODE_POLL || queue->vector != 0 ||
           storage_connect_line(storage, controller);
}

/* How many queues the controllers have granted together, at most what was wanted. */
static uint32_t queues_granted(const struct storage *storage)
{
    uint32_t wanted = storage->config.harts;
    uint32_t smallest = UINT32_MAX;

    for (uint32_t i = 0; i < storage->controller_count; i++) {
        struct nvme_controller_info info;

        nvme_controller_describe(storage->controllers[i].engine, &info);
        smallest = info.queue_count < smallest ? info.queue_count : smallest;
    }
    if (smallest * storage->controller_count < wanted) {
        printf("note: %" PRIu32 " queues wanted, %" PRIu32
               " granted: that many harts do the work\n",
               wanted, smallest * storage->controller_count);
        return smallest * storage->controller_count;
    }
    return wanted;
}

/* Polled queues are named after what they would get. */
static const char *delivery_word(const struct storage *storage)
{
    bool shared = storage->controller_count < storage->config.harts && !storage->config.spread;

    if (storage->controllers[0].msix.vector_count != 0) {
        return "msix";
    }
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        shared = shared || storage->controllers[i].shared;
    }
    return shared ? "shared" : "per-hart";
}

static bool open_all(struct storage *storage)
{
    uint32_t wanted;

    if (!storage_open_controllers(storage)) {
        return false;
    }
    storage->delivery = delivery_word(storage);
    wanted = queues_granted(storage);
    while (storage->queue_count < wanted) {
        if (!open_queue(storage, storage->queue_count)) {
            return false;
        }
    }
    return true;
}

bool storage_open(struct storage *storage, const struct storage_config *config)
{
    const uint32_t capacity = sizeof(storage->functions) / sizeof(storage->functions[0]);
    static bool scanned;
    bool opened;

    storage->config = *config;
    storage->controller_count = 0;
    storage->queue_count = 0;
    storage->line_count = 0;
    memset(storage->queues, 0, sizeof(storage->queues));
    storage->delivery = "none";
    storage->heap_mark = heap_mark();
    storage->stuck = false;
    if (!check_config(config)) {
        return false;
    }
    if (!scanned) {
        storage->function_count = pci_scan(&machine_get()->pci, storage->functions, capacity);
        scanned = true;
        if (storage->function_count > capacity) {
            printf("note: %" PRIu32 " PCI functions, the first %" PRIu32 " are used\n",
                   storage->function_count, capacity);
            storage->function_count = capacity;
        }
    }
    opened = open_all(storage);
    storage_print_events(storage);
    if (!opened) {
        storage_close(storage);
    }
    return opened;
}

static void do_nothing(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
}

/* Every hart that may be in a trap on behalf of a shared line has left it: each comes by once. */
static void settle_harts(const struct storage *storage)
{
    uint32_t count = storage->queue_count;

    count = storage->config.line_hart > count ? storage->config.line_hart : count;
    if (strcmp(storage->delivery, "shared") == 0 && count > 1 &&
        harts_run(count, do_nothing, NULL) != 0) {
        panic("harts that worked do not come back");
    }
}

/* A round of a shared line that is still under way ends: its owners are idle and answer. */
static enum nvme_error close_queue(struct storage_queue *queue)
{
    uint64_t start_ns = time_now_ns();
    enum nvme_error error = nvme_queue_close(queue->engine);

    while (error == NVME_ERR_BUSY && time_now_ns() - start_ns < ROUND_TIMEOUT_NS) {
        timer_pause(ROUND_LOOK_NS);
        error = nvme_queue_close(queue->engine);
    }
    storage_disconnect_vector(queue);
    queue->engine = NULL;
    return error;
}

bool storage_close(struct storage *storage)
{
    bool clean = true;

    /* First: closing is administration, done here for every hart's controller. */
    settle_harts(storage);
    storage_detach_lines(storage);
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        enum nvme_error error = close_queue(&storage->queues[i]);

        if (error != NVME_OK) {
            printf("error: closing queue %" PRIu32 ": %s\n", i, nvme_error_text(error));
            clean = false;
        }
    }
    /* A late kick finds no queue from now on. */
    storage->line_count = 0;
    settle_harts(storage);
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        enum nvme_error error = nvme_controller_close(storage->controllers[i].engine);

        if (error != NVME_OK) {
            printf("error: closing controller %" PRIu32 ": %s\n", i, nvme_error_text(error));
            clean = false;
        }
        storage->stuck = storage->stuck || error == NVME_ERR_STUCK;
        msix_disable(storage->controllers[i].function);
        pci_disable(storage->controllers[i].function);
    }
    storage_print_events(storage);
    storage->queue_count = 0;
    storage->controller_count = 0;
    /* A device that cannot be stopped keeps its memory. */
    if (!storage->stuck) {
        heap_release(storage->heap_mark);
    }
    return clean;
}

/* ---- A hart at work ------------------------------------------------------------------- */

static void watch_tick(void *arg)
{
    struct storage_queue *queue = arg;

    nvme_queue_watch(queue->engine, time_now_ns());
}

void storage_hart_start(struct storage_queue *queue)
{
    if (nvme_queue_mode(queue->engine) != NVME_MODE_POLL) {
        storage_line_start(queue->storage);
        timer_start(NVME_WATCH_PERIOD_NS, watch_tick, queue);
    }
}

void storage_hart_stop(struct storage_queue *queue)
{
    timer_stop();
    if (!queue->controller->shared) {
        hart_attach_ipi(NULL, NULL);
    }
}

/*
 * A kick that came before had no handler, and a round that waits for this hart would wait for ever:
 * one more, as an IPI, for it must be taken behind an interrupt that is pending.
 */
void storage_line_start(struct storage *storage)
{
    hart_attach_ipi(storage_kicked, storage);
    hart_send_ipi(hart_index());
}

/* One poll; the clock is looked at now and then, also if the device never falls silent. */
static void poll(struct storage_queue *queue)
{
    nvme_queue_service(queue->engine, NVME_DEPTH_MAX);
    if (++queue->polls >= POLLS_PER_CLOCK) {
        queue->polls = 0;
        nvme_queue_watch(queue->engine, time_now_ns());
    }
}

/* What is pending is taken here. */
static void take_interrupts(void)
{
    irq_enable();
    irq_disable();
}

/*
 * Modelled in tests/spin/wait.pml. A poll of an owner that is awake touches no interrupt state:
 * each access of a CSR would cost it as much as the rest (QEMU 7.2).
 */
void storage_wait(struct storage_queue *queue)
{
    enum nvme_mode mode = nvme_queue_mode(queue->engine);

    if (mode == NVME_MODE_POLL) {
        /* Still off: the queue of a line that went bad is also serviced by the watch's tick. */
        poll(queue);
    } else if (nvme_queue_arm(queue->engine)) {
        timer_wait();
        take_interrupts();
        return;
    } else if (mode == NVME_MODE_HYBRID || queue->controller->shared) {
        nvme_queue_service(queue->engine, NVME_DEPTH_MAX);
    }
    if (mode == NVME_MODE_INTERRUPT || ++queue->waits % POLLS_PER_DOOR == 0) {
        take_interrupts();
    }
}

/* ---- Telling -------------------------------------------------------------------------- */

/* The engine's text is "what: value's name, limit's name"; the numbers go behind the names. */
static void print_event(uint32_t controller, const struct nvme_event *event)
{
    const char *text = nvme_event_text(event->kind);
    const char *names = strstr(text, ": ");
    const char *second = names != NULL ? strstr(names, ", ") : NULL;

    printf("note: nvme %" PRIu32 " queue %u: ", controller, event->queue_id);
    if (names == NULL) {
        printf("%s\n", text);
    } else if (second == NULL) {
        printf("%s %" PRIu64 "\n", text, event->value);
    } else {
        printf("%.*s %" PRIu64 "%s %" PRIu64 "\n", (int)(second - text), text, event->value, second,
               event->limit);
    }
}

void storage_print_events(struct storage *storage)
{
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        struct storage_controller *controller = &storage->controllers[i];
        uint32_t count = controller->event_count;
        uint32_t kept = count < STORAGE_EVENTS_MAX ? count : STORAGE_EVENTS_MAX;

        for (; controller->events_printed < kept; controller->events_printed++) {
            print_event(i, &controller->events[controller->events_printed]);
        }
    }
}

void storage_print_banner(const struct storage *storage)
{
    const struct nvme_namespace *ns = &storage->controllers[0].ns;
    static const char *const modes[] = {"poll", "irq", "hybrid"};
    struct nvme_controller_info info;

    nvme_controller_describe(storage->controllers[0].engine, &info);
    printf("nvme: %s %s, %" PRIu32 " controller%s, namespace %" PRIu32 ": %" PRIu64
           " blocks of %" PRIu32 " bytes, %" PRIu32 " queue%s of %" PRIu32
           " entries, completion %s, delivery %s\n",
           info.model, info.firmware, storage->controller_count,
           storage->controller_count == 1 ? "" : "s", ns->nsid, ns->block_count, ns->block_bytes,
           storage->queue_count, storage->queue_count == 1 ? "" : "s", info.depth_entries,
           modes[nvme_queue_mode(storage->queues[0].engine)], storage->delivery);
}

void storage_count(const struct storage *storage, struct nvme_counters *sum)
{
    *sum = (struct nvme_counters){0};
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        struct nvme_counters one;

        nvme_queue_count(storage->queues[i].engine, &one);
        sum->posts += one.posts;
        sum->completions += one.completions;
        sum->drains += one.drains;
        sum->services += one.services;
        sum->sq_doorbells += one.sq_doorbells;
        sum->cq_doorbells += one.cq_doorbells;
        sum->interrupts += one.interrupts;
        sum->spurious += one.spurious;
        sum->late += one.late;
        sum->missed += one.missed;
        sum->stale += one.stale;
        sum->malformed += one.malformed;
    }
}
