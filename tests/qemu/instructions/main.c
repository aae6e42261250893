// SPDX-License-Identifier: MIT
/*
 * Counts the instructions of the I/O path: submit, reap, and the whole interrupt path.
 *
 * Meant for QEMU's -icount shift=0, where rdinstret counts instructions exactly. A counted window
 * holds no wfi, no waiting and no armed timer: the device is waited for between the windows, by
 * looking into the completion ring, which is why this test knows the engine's private structs. Each
 * figure is the smallest of WINDOWS windows; unless the median is the same, something else ran in
 * between and the figure is contaminated. One JSON line per configuration.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "csr.h"
#include "harts.h"
#include "irq.h"
#include "nvme_internal.h"
#include "plic.h"
#include "storage.h"
#include "timer.h"

enum {
    WINDOWS = 100,
    BATCH_MAX = 32,
    BUFFER_BYTES = 128 * 1024,
    QUEUE_ENTRIES = 128, /* the rings wrap in fewer than half of the windows */
    PAGE_OFFSET = 4096,  /* buffers begin on a page, but not on one of the largest size */
};

#define DEVICE_TIMEOUT_NS UINT64_C(5000000000)

/* One configuration. */
struct setup {
    enum nvme_mode mode;
    uint32_t queues; /* configured; the first is measured */
    uint32_t batch;  /* requests posted, rung for and reaped at once */
    uint32_t bytes;  /* of each request */
};

/* The argument of a request's callback. */
struct slot {
    struct record *record;
    struct slot *next; /* in the list of those that have ended */
};

/* What the callbacks leave behind. */
struct record {
    struct slot *finished;
    uint32_t errors;
};

/* Instructions of each window. */
struct figures {
    uint64_t submit[WINDOWS];
    uint64_t reap[WINDOWS]; /* interrupt mode: from interrupts on to back from the trap */
};

static struct storage storage;
static struct figures figures;
static struct slot slots[BATCH_MAX];
static struct nvme_io ios[BATCH_MAX];
static struct record record;
static _Alignas(65536) uint8_t memory[PAGE_OFFSET + BATCH_MAX * BUFFER_BYTES];

static inline uint64_t count_instructions(void)
{
    return csr_read(instret);
}

/* What a program does at least: note which request has ended, and whether it failed. */
static void done(void *arg, struct nvme_result result)
{
    struct slot *slot = arg;
    struct record *mine = slot->record;

    slot->next = mine->finished;
    mine->finished = slot;
    if (result.error != NVME_OK) {
        mine->errors++;
    }
}

/* Waits until the last of `count` completions stands in the ring, in interrupt mode until the PLIC
   has seen the line too. Uncounted. */
static bool wait_for_device(const struct storage_queue *queue, uint32_t count)
{
    const struct nvme_queue *engine = queue->engine;
    uint32_t last = nvme_queue_head(engine) + count - 1;
    uint32_t phase = (uint32_t)(engine->phase >> 32);
    uint64_t deadline = time_now_ns() + DEVICE_TIMEOUT_NS;
    bool pending = engine->interrupts;

    if (last >= engine->depth_entries) {
        last -= engine->depth_entries;
        phase ^= (uint32_t)NVME_CQE_PHASE;
    }
    while ((hal_dma_load32(&engine->cq[last].status) & NVME_CQE_PHASE) != phase ||
           (pending && !plic_pending(queue->controller->function->irq_source))) {
        if (time_now_ns() > deadline) {
            printf("error: the device did not complete %" PRIu32 " reads in 5 s\n", count);
            return false;
        }
    }
    hal_after_phase();
    return true;
}

/* One request is posted by nvme_read, a batch by nvme_post_many: what a program would do. */
static uint64_t count_submit(const struct storage_queue *queue, uint32_t batch)
{
    const struct nvme_io *io = &ios[0];
    uint64_t before = count_instructions();
    enum nvme_error error;
    uint32_t posted;

    if (batch == 1) {
        error =
            nvme_read(queue->engine, queue->ns, io->lba, io->block_count, io->buffer, io->callback);
    } else {
        error = nvme_post_many(queue->engine, queue->ns, io, batch, &posted);
    }
    record.errors += error != NVME_OK;
    nvme_submit(queue->engine);
    return count_instructions() - before;
}

static uint64_t count_reap(const struct storage_queue *queue)
{
    uint64_t before = count_instructions();

    nvme_queue_service(queue->engine, NVME_DEPTH_MAX);
    return count_instructions() - before;
}

/* Interrupts on: the trap is taken here, drains the queue and returns here. */
static uint64_t count_interrupt(void)
{
    uint64_t before = count_instructions();

    irq_enable();
    irq_disable();
    return count_instructions() - before;
}

/* The requests of a batch: what a program has at hand when it posts. */
static void fill_ios(const struct setup *setup, const struct nvme_namespace *ns)
{
    uint32_t blocks = setup->bytes >> ns->block_shift;

    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        slots[i] = (struct slot){.record = &record};
        ios[i] = (struct nvme_io){
            .lba = (uint64_t)i * blocks,
            .buffer = memory + PAGE_OFFSET + (size_t)i * BUFFER_BYTES,
            .block_count = blocks,
            .opcode = NVME_CMD_READ,
            .callback = {done, &slots[i]},
        };
    }
}

/* Every request of the window has ended, without an error. */
static bool check_record(uint32_t batch)
{
    uint32_t count = 0;

    for (const struct slot *slot = record.finished; slot != NULL; slot = slot->next) {
        count++;
    }
    if (count != batch || record.errors != 0) {
        printf("error: %" PRIu32 " of %" PRIu32 " reads ended, %" PRIu32 " errors\n", count, batch,
               record.errors);
        return false;
    }
    return true;
}

static bool measure(const struct setup *setup)
{
    const struct storage_queue *queue = &storage.queues[0];
    bool interrupts = setup->mode == NVME_MODE_INTERRUPT;

    record.errors = 0;
    fill_ios(setup, queue->ns);
    for (uint32_t window = 0; window < WINDOWS; window++) {
        record.finished = NULL;
        figures.submit[window] = count_submit(queue, setup->batch);
        if (!wait_for_device(queue, setup->batch)) {
            return false;
        }
        figures.reap[window] = interrupts ? count_interrupt() : count_reap(queue);
        if (!check_record(setup->batch)) {
            return false;
        }
    }
    return true;
}

/* Sorts in place; the smallest comes first. */
static void sort(uint64_t *values)
{
    for (uint32_t i = 1; i < WINDOWS; i++) {
        uint64_t value = values[i];
        uint32_t at = i;

        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

static void print_figures(const struct setup *setup)
{
    bool interrupts = setup->mode == NVME_MODE_INTERRUPT;

    sort(figures.submit);
    sort(figures.reap);
    printf("{\"hartq_instructions\":1,\"completion\":\"%s\",\"queues\":%" PRIu32
           ",\"iodepth\":%" PRIu32 ",\"batch\":%" PRIu32 ",\"bs\":%" PRIu32 ",\"submit\":%" PRIu64
           ",\"submit_median\":%" PRIu64 ",\"%s\":%" PRIu64 ",\"%s_median\":%" PRIu64 "}\n",
           interrupts ? "irq" : "poll", setup->queues, setup->batch, setup->batch, setup->bytes,
           figures.submit[0], figures.submit[WINDOWS / 2], interrupts ? "interrupt" : "reap",
           figures.reap[0], interrupts ? "interrupt" : "reap", figures.reap[WINDOWS / 2]);
}

/* Opens, measures and closes with interrupts off but for the counted trap; no watch, no timer. */
static bool run(const struct setup *setup)
{
    struct storage_config config = {
        .harts = setup->queues,
        .depth_entries = QUEUE_ENTRIES,
        .mode = setup->mode,
        .controllers_max = 1,
        .spread = true,
    };
    bool measured;

    if (!storage_open(&storage, &config)) {
        return false;
    }
    if (storage.queue_count != setup->queues ||
        nvme_queue_mode(storage.queues[0].engine) != setup->mode) {
        printf("error: the machine does not give %" PRIu32 " queues in this mode\n", setup->queues);
        return false;
    }
    irq_disable();
    measured = measure(setup);
    irq_enable();
    if (measured) {
        print_figures(setup);
    }
    return storage_close(&storage) && measured;
}

int main(int argc, char **argv)
{
    static const enum nvme_mode modes[] = {NVME_MODE_POLL, NVME_MODE_INTERRUPT};
    static const uint32_t queues[] = {1, 8}, batches[] = {1, BATCH_MAX};
    static const uint32_t sizes[] = {4096, BUFFER_BYTES};

    if (argc != 1) {
        printf("error: '%s': this program takes no arguments\n", argv[1]);
        return 1;
    }
    printf("{\"hartq_instructions_banner\":1,\"compiler\":\"%s\",\"windows\":%d}\n",
#ifdef __clang__
           __VERSION__,
#else
           "GCC " __VERSION__,
#endif
           (int)WINDOWS);
    for (unsigned i = 0; i < 16; i++) {
        struct setup setup = {
            .mode = modes[i >> 3],
            .queues = queues[i >> 2 & 1],
            .batch = batches[i >> 1 & 1],
            .bytes = sizes[i & 1],
        };

        if (!run(&setup)) {
            return 1;
        }
    }
    return 0;
}
