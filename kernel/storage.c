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

/* Polls between two looks at the clock for the watch. */
enum { POLLS_PER_CLOCK = 256 };

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
    struct nvme_queue_config config = {.mode = storage->config.mode};
    enum nvme_error error;

    queue->hart = storage->config.spread ? 0 : index;
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
    if (error == NVME_ERR_INTERRUPT) {
        printf("error: interrupt mode with %" PRIu32 " harts on %" PRIu32
               " controllers: a controller has one interrupt line, for one hart; ",
               storage->config.harts, controllers);
        storage_print_line_hint(storage);
    } else if (error != NVME_OK) {
        printf("error: queue %" PRIu32 ": %s (%d)\n", index, nvme_error_text(error), (int)error);
    }
    if (error != NVME_OK) {
        storage_disconnect_vector(queue);
        return false;
    }
    storage->queue_count++;
    /* Last: from here on the handler may run, and this hart's work on the controller is done. */
    return config.mode == NVME_MODE_POLL || queue->vector != 0 ||
           storage_connect_line(storage, controller, queue->hart);
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

static bool open_all(struct storage *storage)
{
    uint32_t wanted;

    if (!storage_open_controllers(storage)) {
        return false;
    }
    storage->delivery = storage->controllers[0].msix.vector_count != 0       ? "msix"
                        : storage->controller_count >= storage->config.harts ? "per-hart"
                                                                             : "shared";
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

bool storage_close(struct storage *storage)
{
    bool clean = true;

    /* First: closing is administration, done here for every hart's controller. */
    storage_disconnect_lines(storage);
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        enum nvme_error error = nvme_queue_close(storage->queues[i].engine);

        if (error != NVME_OK) {
            printf("error: closing queue %" PRIu32 ": %s\n", i, nvme_error_text(error));
            clean = false;
        }
        storage_disconnect_vector(&storage->queues[i]);
    }
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
        /* A kick: a failed controller ends this queue's requests here, not at the next tick. */
        hart_attach_ipi(watch_tick, queue);
        timer_start(NVME_WATCH_PERIOD_NS, watch_tick, queue);
    }
}

void storage_hart_stop(struct storage_queue *queue)
{
    (void)queue;
    timer_stop();
    hart_attach_ipi(NULL, NULL);
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

/* Modelled in tests/spin/wait.pml. */
void storage_wait(struct storage_queue *queue)
{
    uint64_t irq = irq_save();
    enum nvme_mode mode = nvme_queue_mode(queue->engine);

    if (mode == NVME_MODE_POLL) {
        /* Still off: the queue of a line that went bad is also serviced by the watch's tick. */
        poll(queue);
    } else if (nvme_queue_arm(queue->engine)) {
        timer_wait();
    } else if (mode == NVME_MODE_HYBRID) {
        nvme_queue_service(queue->engine, NVME_DEPTH_MAX);
    }
    /* What is pending is taken here. */
    irq_enable();
    if (irq == 0) {
        irq_disable();
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
