// SPDX-License-Identifier: MIT
/*
 * A counted window holds no wfi, no waiting and no armed timer: the device is waited for between
 * the windows, by looking into the completion ring, which is why this test knows the engine's
 * private structs. Each figure is the smallest of WINDOWS windows; unless the median is the same,
 * something else ran in between and the figure is contaminated.
 */
#include "measure.h"

#include <inttypes.h>
#include <stdio.h>

#include "csr.h"
#include "harts.h"
#include "irq.h"
#include "nvme_internal.h"
#include "timer.h"

enum {
    PAGE_OFFSET = 4096, /* buffers begin on a page, but not on one of the largest size */
};

#define DEVICE_TIMEOUT_NS UINT64_C(5000000000)

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

struct storage storage;
static struct slot slots[BATCH_MAX + 1]; /* the last is the other owner's */
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

/*
 * Waits until an interrupt of this kind is pending. Uncounted. QEMU (7.2) shows it in sip a moment
 * before it would be taken; a read of a device waits for that moment to be over.
 */
static bool wait_for_interrupt(uint64_t kind)
{
    uint64_t deadline = time_now_ns() + DEVICE_TIMEOUT_NS;

    while ((csr_read(sip) & kind) == 0) {
        if (time_now_ns() > deadline) {
            printf("error: no interrupt in 5 s\n");
            return false;
        }
    }
    (void)pci_config_read16(storage.controllers[0].function, PCI_STATUS);
    return true;
}

/* Waits until the last of `count` completions stands in the ring. Uncounted. */
static bool wait_for_device(const struct storage_queue *queue, uint32_t count)
{
    const struct nvme_queue *engine = queue->engine;
    uint32_t last = nvme_queue_head(engine) + count - 1;
    uint32_t phase = (uint32_t)(engine->expected >> 32);
    uint64_t deadline = time_now_ns() + DEVICE_TIMEOUT_NS;

    if (last >= engine->cq_depth_entries) {
        last -= engine->cq_depth_entries;
        phase ^= (uint32_t)NVME_CQE_PHASE;
    }
    while ((hal_dma_load32(&engine->cq[last].status) & NVME_CQE_PHASE) != phase) {
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
    nvme_queue_submit(queue->engine);
    return count_instructions() - before;
}

/* A completion is there. An owner in hybrid mode has stayed awake, asks once more and finds it. */
static uint64_t count_reap(const struct storage_queue *queue, enum nvme_mode mode)
{
    uint64_t before = count_instructions();

    if (mode == NVME_MODE_HYBRID && nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED)) {
        record.errors++;
    }
    nvme_queue_reap(queue->engine, NVME_DEPTH_MAX);
    return count_instructions() - before;
}

/* Interrupts on: the trap is taken here, reaps the queue and returns here. */
static uint64_t count_interrupt(void)
{
    uint64_t before = count_instructions();

    irq_enable();
    irq_disable();
    return count_instructions() - before;
}

/*
 * Hybrid mode: the owner asks before its wait, and is told what the last waits have taught. To the
 * question all is rung: a clocked doorbell would be rung by it, and the device might answer.
 */
static uint64_t count_arm(const struct storage_queue *queue, bool *asleep)
{
    uint32_t rung = queue->engine->sq_tail_rung;
    uint64_t count;

    queue->engine->sq_tail_rung = (uint32_t)queue->engine->sq_tail;
    count = count_instructions();
    *asleep = nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED);
    count = count_instructions() - count;
    queue->engine->sq_tail_rung = rung;
    return count;
}

/* The requests of a batch: what a program has at hand when it posts. */
static void fill_ios(const struct setup *setup, const struct nvme_namespace *ns)
{
    uint32_t blocks = setup->bytes >> ns->block_shift;

    slots[BATCH_MAX] = (struct slot){.record = &record};
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

/* Waits for the completions and takes their interrupt; returns what that took, 0: failed. */
static uint64_t take_interrupt(const struct storage_queue *queue, uint32_t batch)
{
    if (!wait_for_device(queue, batch) || !wait_for_interrupt(CSR_SIE_EXTERNAL)) {
        return 0;
    }
    return count_interrupt();
}

bool measure_plain(const struct setup *setup)
{
    const struct storage_queue *queue = &storage.queues[0];
    bool interrupts = setup->mode == NVME_MODE_INTERRUPT;

    record.errors = 0;
    fill_ios(setup, queue->ns);
    for (uint32_t window = 0; window < windows; window++) {
        record.finished = NULL;
        figures[SUBMIT][window] = count_submit(queue, setup->batch);
        if (interrupts) {
            figures[INTERRUPT][window] = take_interrupt(queue, setup->batch);
        } else if (wait_for_device(queue, setup->batch)) {
            figures[REAP][window] = count_reap(queue, setup->mode);
        }
        if (!check_record(setup->batch)) {
            return false;
        }
    }
    return true;
}

/* What has been posted completes; uncounted. */
static bool finish(const struct storage_queue *queue, const struct setup *setup)
{
    if (!wait_for_device(queue, setup->batch) ||
        (setup->asleep && !wait_for_interrupt(CSR_SIE_EXTERNAL))) {
        return false;
    }
    if (setup->asleep) {
        irq_enable();
        irq_disable();
    } else {
        nvme_queue_reap(queue->engine, NVME_DEPTH_MAX);
    }
    return check_record(setup->batch);
}

/* Posts a batch without ringing. The policy is the setup's: no window ends. */
static void prepare_wait(const struct storage_queue *queue, const struct setup *setup)
{
    struct nvme_wait *wait = &queue->engine->wait;
    uint32_t posted;

    wait->awake = !setup->asleep;
    wait->from_ns = 0;
    record.finished = NULL;
    record.errors +=
        nvme_post_many(queue->engine, queue->ns, ios, setup->batch, &posted) != NVME_OK;
}

bool measure_hybrid(const struct setup *setup)
{
    const struct storage_queue *queue = &storage.queues[0];
    bool asleep;

    record.errors = 0;
    fill_ios(setup, queue->ns);
    /* Two waits are not counted: the first is not timed, nor is the second one awake. */
    for (unsigned i = 0; i < 2; i++) {
        prepare_wait(queue, setup);
        (void)nvme_queue_arm(queue->engine, NVME_WAIT_BLOCKED);
        nvme_queue_submit(queue->engine);
        if (!finish(queue, setup)) {
            return false;
        }
    }
    for (uint32_t window = 0; window < windows; window++) {
        record.finished = NULL;
        figures[SUBMIT][window] = count_submit(queue, setup->batch);
        if (!finish(queue, setup)) {
            return false;
        }
        prepare_wait(queue, setup);
        figures[ARM][window] = count_arm(queue, &asleep);
        record.errors += asleep != setup->asleep;
        nvme_queue_submit(queue->engine);
        if (setup->asleep) {
            figures[INTERRUPT][window] = take_interrupt(queue, setup->batch);
        } else if (wait_for_device(queue, setup->batch)) {
            figures[REAP][window] = count_reap(queue, setup->mode);
        }
        if (!check_record(setup->batch)) {
            return false;
        }
    }
    return true;
}

bool measure_shared(const struct setup *setup)
{
    const struct storage_queue *own = &storage.queues[0];
    const struct storage_queue *other = &storage.queues[storage.controller_count];

    record.errors = 0;
    fill_ios(setup, own->ns);
    for (uint32_t window = 0; window < windows; window++) {
        uint64_t before;

        record.finished = NULL;
        figures[SUBMIT][window] = count_submit(own, setup->batch);
        /* There is one hart, which plays the other one. */
        hart_self()->index = other->hart;
        record.errors += nvme_read(other->engine, other->ns, 0, ios[0].block_count, memory,
                                   (struct nvme_callback){done, &slots[BATCH_MAX]}) != NVME_OK;
        nvme_queue_submit(other->engine);
        hart_self()->index = own->hart;
        if (!wait_for_device(own, setup->batch) || !wait_for_device(other, 1) ||
            !wait_for_interrupt(CSR_SIE_EXTERNAL)) {
            return false;
        }
        figures[INTERRUPT][window] = count_interrupt();
        before = count_instructions();
        nvme_queue_take_ipi(other->engine);
        figures[ANSWER][window] = count_instructions() - before;
        if (!wait_for_interrupt(CSR_SIE_SOFTWARE)) {
            return false;
        }
        figures[END][window] = count_interrupt();
        if (!check_record(setup->batch + 1)) {
            return false;
        }
    }
    return true;
}
