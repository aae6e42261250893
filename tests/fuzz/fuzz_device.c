// SPDX-License-Identifier: MIT
/*
 * A hostile device: registers, Identify data and completion entries are the fuzzer's whenever it
 * likes. The engine reads and writes nothing but its own memory, panics never, ends every request
 * exactly once and gives the controller up in bounded time.
 *
 * This is the driver's side; hostile.c is the device.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>

#include "hostile.h"
#include "nvme.h"
#include "nvme_hal.h"
#include "tape.h"

#define MS UINT64_C(1000000)

enum {
    QUEUES = 3,
    REQUESTS = 24,
    BUFFER_BYTES = 32768,
    PAGE = 4096,
    ACTIONS = 256,
    END_STEPS = 4000,        /* watchdogs until everything has ended */
    ORDINARY_MAX = 64 << 20, /* bytes of a region: more is not given */
    DMA_ALIGNMENT = 65536,
};

struct fuzz;

struct request {
    struct fuzz *fuzz;
    bool busy;
};

/* One run. */
struct fuzz {
    struct tape tape;
    struct nvme_config config;
    struct nvme_memory memory;
    struct nvme_controller *controller;
    struct nvme_namespace ns;
    bool ns_open;
    struct nvme_queue *queues[QUEUES]; /* NULL: closed */
    bool has_vector[QUEUES];
    struct request requests[REQUESTS];
    uint8_t *buffer;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *why)
{
    fprintf(stderr, "fuzz_device: %s\n", why);
    abort();
}

/* ---- The driver ----------------------------------------------------------------------- */

static void done(void *arg, struct nvme_result result)
{
    struct request *request = arg;

    (void)nvme_error_text(result.error);
    (void)nvme_status_text(result.status);
    if (!request->busy) {
        fail("a request ends twice");
    }
    request->busy = false;
}

static struct request *idle_request(struct fuzz *fuzz)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        if (!fuzz->requests[i].busy) {
            return &fuzz->requests[i];
        }
    }
    return NULL;
}

static void post(struct fuzz *fuzz, struct nvme_queue *queue)
{
    struct request *request = idle_request(fuzz);
    uint32_t how = tape_word(&fuzz->tape);
    uint32_t offset = (how >> 8 & 0x3ff) * 4;
    uint32_t most = fuzz->ns_open ? (BUFFER_BYTES - PAGE) >> fuzz->ns.block_shift : 0;
    uint32_t blocks = most != 0 ? 1 + (how >> 18) % most : 0;
    struct nvme_callback callback = {done, request};
    struct nvme_command command = {
        .cdw0 = NVME_CMD_READ, .nsid = how >> 4 & 15, .cdw12 = how >> 20};
    enum nvme_error error;

    if (request == NULL || !fuzz->ns_open) {
        return;
    }
    request->busy = true;
    switch (how & 3) {
    case 0:
        error = nvme_read(queue, &fuzz->ns, how >> 20, blocks, fuzz->buffer + offset, callback);
        break;
    case 1:
        error = nvme_write(queue, &fuzz->ns, how >> 20, blocks, fuzz->buffer + offset, callback);
        break;
    case 2:
        error = nvme_flush(queue, &fuzz->ns, callback);
        break;
    default:
        error = nvme_passthrough(queue, &command, fuzz->buffer + offset, PAGE, callback);
    }
    if (error != NVME_OK) {
        request->busy = false;
    }
}

static void open_namespace(struct fuzz *fuzz)
{
    uint32_t nsid;

    fuzz->ns_open |= nvme_namespace_next(fuzz->controller, 0, &nsid) == NVME_OK &&
                     nvme_namespace_open(fuzz->controller, nsid, &fuzz->ns) == NVME_OK;
    if (fuzz->ns_open && (fuzz->ns.block_bytes < 512 || fuzz->ns.block_count == 0 ||
                          fuzz->ns.block_bytes != 1U << fuzz->ns.block_shift)) {
        fail("a namespace that cannot be");
    }
}

static enum nvme_mode choose_mode(uint8_t how)
{
    if ((how & 1) == 0) {
        return NVME_MODE_POLL;
    }
    return (how & 2) != 0 ? NVME_MODE_HYBRID : NVME_MODE_INTERRUPT;
}

/* Opens a closed queue, closes an open one. */
static void toggle_queue(struct fuzz *fuzz, uint32_t index)
{
    uint8_t depth_entries = tape_byte(&fuzz->tape) % 20;
    uint8_t how = tape_byte(&fuzz->tape);
    struct nvme_queue_config config = {
        .depth_entries = depth_entries,
        .mode = choose_mode(how),
        .clocked = (how & 4) != 0,
    };
    enum nvme_error error;

    if (fuzz->config.msix && config.mode != NVME_MODE_POLL) {
        config.vector = (uint16_t)(index + 1);
    }
    if (fuzz->queues[index] == NULL) {
        if (nvme_queue_open(fuzz->controller, index, &config, &fuzz->queues[index]) != NVME_OK) {
            fuzz->queues[index] = NULL;
        }
        fuzz->has_vector[index] = config.vector != 0;
        return;
    }
    error = nvme_queue_close(fuzz->queues[index]);
    if (error != NVME_ERR_STATE && error != NVME_ERR_STUCK) {
        fuzz->queues[index] = NULL;
    }
}

static void act(struct fuzz *fuzz)
{
    uint8_t how = tape_byte(&fuzz->tape);
    uint32_t index = (how >> 4) % QUEUES;
    struct nvme_queue *queue = fuzz->queues[index];
    struct nvme_counters counters;

    switch (how & 15) {
    case 0:
        toggle_queue(fuzz, index);
        return;
    case 1:
        open_namespace(fuzz);
        return;
    case 2:
        nvme_irq_handle(&fuzz->controller, 1);
        return;
    case 3:
        hostile_meddle();
        return;
    default:
        break;
    }
    if (queue == NULL) {
        return;
    }
    switch (how & 15) {
    case 4:
        nvme_queue_submit(queue);
        break;
    case 5:
    case 6:
        nvme_queue_reap(queue, 1 + tape_byte(&fuzz->tape));
        break;
    case 7:
        world_advance((uint64_t)tape_byte(&fuzz->tape) * MS);
        nvme_queue_watchdog(queue, world.now_ns);
        break;
    case 8:
        nvme_queue_count(queue, &counters);
        (void)nvme_queue_arm(queue, NVME_WAIT_BLOCKED);
        break;
    case 9:
        (void)!nvme_queue_set_mode(queue, choose_mode(tape_byte(&fuzz->tape)));
        (void)nvme_queue_mode(queue);
        break;
    case 10:
        if (fuzz->has_vector[index]) {
            nvme_vector_handle(queue);
        }
        break;
    default:
        post(fuzz, queue);
    }
}

/* Everything ends: of itself, at its deadline, or with the controller. */
static void end(struct fuzz *fuzz)
{
    enum nvme_error error = nvme_controller_close(fuzz->controller);

    for (uint32_t i = 0; error == NVME_ERR_BUSY; i++) {
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        for (uint32_t q = 0; q < QUEUES; q++) {
            if (fuzz->queues[q] != NULL) {
                nvme_queue_submit(fuzz->queues[q]);
                nvme_queue_reap(fuzz->queues[q], NVME_DEPTH_MAX);
                nvme_queue_watchdog(fuzz->queues[q], world.now_ns);
            }
        }
        if (i == END_STEPS) {
            fail("requests never end");
        }
        error = nvme_controller_close(fuzz->controller);
    }
    for (uint32_t i = 0; i < REQUESTS && error != NVME_ERR_STUCK; i++) {
        if (fuzz->requests[i].busy) {
            fail("a request has not ended with its controller");
        }
    }
    if (world.mapped != 1 && error != NVME_ERR_STUCK) {
        fail("data of a request are left mapped");
    }
}

static void run(void *arg)
{
    struct fuzz *fuzz = arg;

    if (nvme_memory_needed(&fuzz->config, &fuzz->memory) != NVME_OK ||
        fuzz->memory.ordinary_bytes > ORDINARY_MAX || fuzz->memory.dma_bytes > ORDINARY_MAX) {
        return;
    }
    /* The sanitizer watchdogs the end of both: the last bytes are used. */
    if (posix_memalign(&fuzz->memory.ordinary, 64, fuzz->memory.ordinary_bytes) != 0 ||
        posix_memalign(&fuzz->memory.dma, DMA_ALIGNMENT, fuzz->memory.dma_bytes) != 0) {
        fail("no memory");
    }
    world.maps = true;
    world_dma_map(fuzz->memory.dma, fuzz->memory.dma_bytes, NVME_DMA_BOTH);
    if (nvme_controller_open(&fuzz->config, &fuzz->memory, &fuzz->controller) != NVME_OK) {
        return;
    }
    open_namespace(fuzz);
    for (uint32_t i = 0; i < ACTIONS && fuzz->tape.left != 0; i++) {
        act(fuzz);
    }
    end(fuzz);
}

static void mask_vector(void *arg, uint16_t vector, bool masked)
{
    const struct fuzz *fuzz = arg;

    if (!fuzz->config.msix || vector == 0 || vector > QUEUES) {
        fail("a vector is masked that no queue has");
    }
    (void)masked;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;
    struct model *model;
    const char *panic;
    uint8_t queues;

    fuzz = (struct fuzz){.tape = {data, size}};
    model = hostile_start(&fuzz.tape);
    fuzz.buffer = aligned_alloc(PAGE, BUFFER_BYTES);
    queues = tape_byte(&fuzz.tape);
    fuzz.config = (struct nvme_config){
        .registers = model->bar,
        .registers_size_bytes = model->bar_bytes,
        .queue_count = 1 + queues % QUEUES,
        .depth_entries = 2 + tape_byte(&fuzz.tape) % 20,
        .max_transfer_bytes = 4096U << tape_byte(&fuzz.tape) % 5,
        .command_timeout_ns = 1000 * MS,
        .msix = (queues & 0x80) != 0,
        .shadow_doorbells = (queues & 0x40) != 0,
        .aborts = (queues & 4) != 0,
        .resets_max = queues >> 3 & 3,
        .retries_max = queues >> 5 & 1,
        .retry_writes = true,
        .hook_arg = &fuzz,
        .vector_mask = mask_vector,
    };
    model->shadow_offered = fuzz.config.shadow_doorbells;
    model->repeats = true;
    model->abort_ends = (queues & 1) != 0;
    model->abort_agrees = (queues & 2) != 0;
    if (queues % 2 != 0) {
        fuzz.config.cq_depth_entries = fuzz.config.depth_entries + 10;
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        fuzz.requests[i].fuzz = &fuzz;
    }
    panic = world_catch_panic(run, &fuzz);
    if (panic != NULL) {
        fail(panic);
    }
    free(fuzz.memory.ordinary);
    free(fuzz.memory.dma);
    free(fuzz.buffer);
    return 0;
}
