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
#include "iommu.h"
#include "irq.h"
#include "start.h"
#include "storage_internal.h"
#include "timer.h"
#include "trap.h"

/* Polls per clock reading for the watchdog. */
enum { POLLS_PER_CLOCK = 256 };

/* Polls after which pending interrupts are taken. */
enum { POLLS_PER_INTERRUPT_CHECK = 16 };

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

enum storage_step storage_open_queue(struct storage *storage, uint32_t index)
{
    uint32_t controllers = storage->controller_count;
    struct storage_controller *controller = &storage->controllers[index % controllers];
    struct storage_queue *queue = &storage->queues[index];
    struct nvme_queue_config config = {
        .mode = storage->config.mode,
        .clocked = storage->config.clocked,
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
            return STORAGE_FAILED;
        }
        config.vector = queue->vector;
    }
    error = nvme_queue_open(controller->engine, index / controllers, &config, &queue->engine);
    if (error != NVME_OK) {
        storage_print_events(storage);
        storage_pass(storage, controller, index / controllers, error);
        storage_disconnect_vector(queue);
        queue->engine = NULL;
        return STORAGE_PASSED;
    }
    return STORAGE_TAKEN;
}

/* How many queues all controllers have together, at most the number wanted. */
static uint32_t queues_granted(const struct storage *storage)
{
    uint32_t wanted = storage->config.harts;
    uint32_t smallest = UINT32_MAX;
    bool lacks_vectors = false;

    for (uint32_t i = 0; i < storage->controller_count; i++) {
        const struct storage_controller *controller = &storage->controllers[i];
        uint32_t queues = storage_queues_of(storage, controller);

        if (queues < smallest) {
            smallest = queues;
            lacks_vectors = storage->config.mode != NVME_MODE_POLL &&
                            queues + 1 == controller->msix.vector_count;
        }
    }
    if (smallest * storage->controller_count < wanted) {
        printf("note: %" PRIu32 " queues wanted, %" PRIu32 " %s: only that many harts do I/O\n",
               wanted, smallest * storage->controller_count,
               lacks_vectors ? "with an MSI-X vector" : "granted");
        return smallest * storage->controller_count;
    }
    return wanted;
}

/* For polled queues, the delivery that interrupts would have. */
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

/* Called last: from here on handlers may run, and this hart no longer administers. */
static bool connect_lines(struct storage *storage)
{
    if (storage->config.mode == NVME_MODE_POLL) {
        return true;
    }
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        if (storage->controllers[i].msix.vector_count == 0 &&
            !storage_connect_line(storage, &storage->controllers[i])) {
            return false;
        }
    }
    storage_route_lines(storage);
    return true;
}

/* STORAGE_PASSED: a controller does not give what it granted, and is marked. */
static enum storage_step open_queues(struct storage *storage)
{
    enum storage_step step = STORAGE_TAKEN;
    uint32_t wanted = queues_granted(storage);

    while (step == STORAGE_TAKEN && storage->queue_count < wanted) {
        step = storage_open_queue(storage, storage->queue_count);
        storage->queue_count += step == STORAGE_TAKEN;
    }
    return step;
}

/* Each turn opens what the turn before has not passed over. */
static bool open_all(struct storage *storage)
{
    enum storage_step step;

    do {
        if (!storage_open_controllers(storage)) {
            return false;
        }
        storage->delivery = delivery_word(storage);
        step = open_queues(storage);
        if (step == STORAGE_PASSED) {
            (void)storage_close(storage);
        }
    } while (step == STORAGE_PASSED);
    return step == STORAGE_TAKEN && connect_lines(storage) && storage_start_irq_harts(storage);
}

/* Resets the storage and scans PCI once. False: an error was printed. */
static bool begin_open(struct storage *storage, const struct storage_config *config)
{
    const uint32_t capacity = sizeof(storage->functions) / sizeof(storage->functions[0]);
    static bool scanned;

    storage->config = *config;
    storage->controller_count = 0;
    storage->queue_count = 0;
    storage->line_count = 0;
    memset(storage->queues, 0, sizeof(storage->queues));
    memset(storage->passed, 0, sizeof(storage->passed));
    storage->delivery = "none";
    storage->heap_mark = heap_mark();
    if (!check_config(config)) {
        return false;
    }
    if (!scanned) {
        storage->function_count = pci_scan(machine_get(), storage->functions, capacity);
        scanned = true;
        if (storage->function_count > capacity) {
            printf("note: %" PRIu32 " PCI functions, the first %" PRIu32 " are used\n",
                   storage->function_count, capacity);
            storage->function_count = capacity;
        }
    }
    return iommu_open(machine_get(), storage->functions, storage->function_count);
}

bool storage_open(struct storage *storage, const struct storage_config *config)
{
    bool opened;

    if (!begin_open(storage, config)) {
        return false;
    }
    opened = open_all(storage);
    storage_print_events(storage);
    if (!opened) {
        storage_close(storage);
    }
    return opened;
}

bool storage_survey(struct storage *storage, const struct storage_config *config,
                    storage_visit *visit, void *arg)
{
    return begin_open(storage, config) && storage_visit_controllers(storage, visit, arg);
}

/* Runs a function in a thread of every hart that may take a trap for the storage. */
static void run_on_harts(struct storage *storage, void (*function)(void *arg, unsigned index))
{
    if (!harts_run(storage_harts(storage), function, storage)) {
        panic("a hart did not return");
    }
}

static void leave_sources(void *arg, unsigned index)
{
    storage_detach_hart(arg, index);
}

/* Every owner answers a cycle of a shared line that has begun, without waiting for its IPI. */
static void answer_cycle(void *arg, unsigned index)
{
    (void)index;
    storage_answer(arg);
}

static void leave_ipis(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    hart_attach_ipi(NULL, NULL);
}

static bool close_queues(struct storage *storage)
{
    bool clean = true;

    for (uint32_t i = 0; i < storage->queue_count; i++) {
        struct nvme_queue *queue = storage->queues[i].engine;
        enum nvme_error error = queue != NULL ? nvme_queue_close(queue) : NVME_OK;

        storage->queues[i].engine = NULL;
        if (error != NVME_OK) {
            printf("error: closing queue %" PRIu32 ": %s\n", i, nvme_error_text(error));
            clean = false;
        }
    }
    return clean;
}

static bool close_controller(struct storage *storage, uint32_t index)
{
    struct storage_controller *controller = &storage->controllers[index];
    enum nvme_error error;

    if (controller->engine == NULL) {
        return true; /* dropped */
    }
    error = storage_close_engine(storage, controller);
    if (error != NVME_OK) {
        printf("error: closing controller %" PRIu32 ": %s\n", index, nvme_error_text(error));
    }
    msix_disable(controller->function);
    pci_disable(controller->function);
    return error == NVME_OK;
}

/*
 * This hart administers the controllers of every hart, so first the handlers of all harts are
 * detached. Each owner answers a cycle that has begun, so that it ends without a time-out.
 */
bool storage_close(struct storage *storage)
{
    bool clean;

    storage_mask_vectors(storage);
    run_on_harts(storage, leave_sources);
    run_on_harts(storage, answer_cycle);
    clean = close_queues(storage);
    /* From now on a late IPI finds no queue, and after the next step no handler. */
    __atomic_store_n(&storage->line_count, 0, __ATOMIC_RELEASE);
    run_on_harts(storage, leave_ipis);
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        clean = close_controller(storage, i) && clean;
    }
    storage_print_events(storage);
    storage->queue_count = 0;
    storage->controller_count = 0;
    heap_release(storage->heap_mark);
    return clean;
}

/* ---- A hart at work ------------------------------------------------------------------- */

static void watch_tick(void *arg)
{
    struct storage_queue *queue = arg;

    nvme_queue_watchdog(queue->engine, time_now_ns());
    if (queue->storage->config.events) {
        storage_poll_events(queue->storage);
    }
}

/* True also while the queue polls for a time: by nvme_queue_set_mode or in a storm. */
static bool has_interrupts(const struct storage_queue *queue)
{
    return (nvme_queue_closed(queue->engine) & NVME_CLOSED_IDLE) == 0;
}

void storage_hart_start(struct storage_queue *queue)
{
    if (has_interrupts(queue)) {
        storage_line_start(queue->storage);
        timer_start(NVME_WATCHDOG_PERIOD_NS, watch_tick, queue);
    }
}

void storage_hart_stop(struct storage_queue *queue)
{
    (void)queue;
    timer_stop();
}

/* One poll. It reads the clock now and then, even if completions come all the time. */
static void poll_queue(struct storage_queue *queue)
{
    nvme_queue_reap(queue->engine, NVME_DEPTH_MAX);
    if (++queue->polls >= POLLS_PER_CLOCK) {
        queue->polls = 0;
        watch_tick(queue);
    }
}

/* Pending interrupts are taken here. */
static void take_interrupts(void)
{
    irq_enable();
    irq_disable();
}

static inline void sleep_once(void)
{
    timer_wait();
    take_interrupts();
}

void storage_sleep(void)
{
    sleep_once();
}

/* True if the owner is awake in hybrid mode: what is ready has no interrupt. */
static bool owner_spins(const struct storage_queue *queue)
{
    return (nvme_queue_closed(queue->engine) & NVME_CLOSED_POLLED) != 0;
}

/*
 * tests/spin/wait.pml is the model. A poll of an owner that is awake accesses no CSR: one access
 * costs as much as the rest of the poll (QEMU 7.2). It looks before it asks, as polling does.
 */
void storage_wait(struct storage_queue *queue, enum nvme_wait_kind kind)
{
    enum nvme_mode mode = nvme_queue_mode(queue->engine);

    if (mode == NVME_MODE_POLL) {
        /* Interrupts stay off: in a storm the watchdog's tick reaps the queue too. */
        poll_queue(queue);
    } else if (!owner_spins(queue) || nvme_queue_reap(queue->engine, NVME_DEPTH_MAX) == 0) {
        if (nvme_queue_arm(queue->engine, kind)) {
            sleep_once();
            return;
        }
        if (nvme_queue_closed(queue->engine) == 0 && !queue->controller->shared) {
            take_interrupts(); /* one is pending */
            return;
        }
        if (!owner_spins(queue)) {
            nvme_queue_reap(queue->engine, NVME_DEPTH_MAX);
        }
    }
    if (mode == NVME_MODE_INTERRUPT || ++queue->waits % POLLS_PER_INTERRUPT_CHECK == 0) {
        take_interrupts();
    }
}
