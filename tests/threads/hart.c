// SPDX-License-Identifier: MIT
/*
 * The hart's thread: posting, waiting, interrupts, the watchdog. See hart.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "hart.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device.h"
#include "nvme_hal.h"
#include "nvme_spec.h"
#include "pattern.h"

#define FINISH_CPU_NS (UINT64_C(60000000000))

enum {
    STEPS_PER_WATCH = 64,
    STEPS_PER_ADMIN = 32,
    STEPS_PER_CHANGE = 48,
    ENDS_PER_CHANGE = 37,
    WAIT_YIELDS = 200,
};

static _Thread_local struct hart *me;

/* ---- What the port asks of the machine ------------------------------------------------ */

void hart_fail(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "threads: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    _Exit(1);
}

void hart_relax(void)
{
    sched_yield();
}

/* Everything that is pending, with interrupts off. The trap. */
static void take_interrupts(struct hart *hart)
{
    hart->irq_off = true;
    while (hart->interrupts && hart->vector == 0 && device_claim(hart->device)) {
        nvme_irq_handle(&hart->controller, 1);
    }
    while (hart->vector != 0 && device_claim_vector(hart->device, hart->vector)) {
        nvme_vector_handle(hart->queue);
    }
    if (__atomic_exchange_n(&hart->ipi_taken, 0, __ATOMIC_RELAXED) != 0) {
        nvme_queue_watchdog(hart->queue, hart_now_ns());
    }
    hart->irq_off = false;
}

unsigned long hart_irq_save(void)
{
    bool off = me == NULL || me->irq_off;

    if (me != NULL) {
        me->irq_off = true;
    }
    return off;
}

void hart_irq_restore(unsigned long state)
{
    if (state == 0) {
        take_interrupts(me);
    }
}

/* ---- Requests ------------------------------------------------------------------------- */

static void done(void *arg, struct nvme_result result);

/* False if there is no room, or the controller has failed. */
static bool post(struct hart_request *request, uint8_t opcode)
{
    struct hart *hart = request->hart;
    struct nvme_callback callback = {done, request};
    enum nvme_error error = opcode == NVME_CMD_WRITE
                                ? nvme_write(hart->queue, &hart->ns, request->lba, request->blocks,
                                             request->buffer, callback)
                                : nvme_read(hart->queue, &hart->ns, request->lba, request->blocks,
                                            request->buffer, callback);

    request->opcode = error == NVME_OK ? opcode : 0;
    hart->outstanding += error == NVME_OK;
    if (error == NVME_ERR_STATE && hart->may_fail) {
        hart->posting = false;
    } else if (error != NVME_OK && error != NVME_ERR_BUSY) {
        hart_fail("hart %u: post: %s", hart->index, nvme_error_text(error));
    }
    return error == NVME_OK;
}

static uint32_t size_of(const struct hart_request *request)
{
    return request->blocks << DEVICE_BLOCK_SHIFT;
}

/* New data for new blocks of the request's own range. */
static void post_write(struct hart_request *request)
{
    const uint32_t range = HART_BLOCKS / HART_REQUESTS;
    struct hart *hart = request->hart;
    uint32_t place = (uint32_t)(request - hart->requests);
    uint32_t most = HART_REQUEST_BYTES >> DEVICE_BLOCK_SHIFT;

    request->blocks = random_between(&hart->random, 1, most);
    request->lba = (uint64_t)hart->index * HART_BLOCKS + place * range +
                   random_below(&hart->random, range - request->blocks + 1);
    request->buffer = request->memory + 4 * random_below(&hart->random, DEVICE_PAGE / 4);
    request->pattern = random_next(&hart->random);
    pattern_fill(request->pattern, request->buffer, size_of(request));
    post(request, NVME_CMD_WRITE);
}

/* Between requests, or amid them: in a thread, in done(), in the handler. */
static void change_mode(struct hart *hart)
{
    enum nvme_mode mode = (enum nvme_mode)random_below(&hart->random, NVME_MODE_HYBRID + 1);
    enum nvme_error error = nvme_queue_set_mode(hart->queue, mode);

    if (error != NVME_OK && !hart->may_fail && !hart->may_reset) {
        hart_fail("hart %u: mode %u: %s", hart->index, (unsigned)mode, nvme_error_text(error));
    }
}

static void done(void *arg, struct nvme_result result)
{
    struct hart_request *request = arg;
    struct hart *hart = request->hart;
    uint8_t opcode = request->opcode;

    if (hart != me && !hart->may_fail && hart->lock == NULL) {
        hart_fail("hart %u: a callback on another hart", hart->index);
    }
    if (opcode == 0) {
        hart_fail("hart %u: a request ends twice", hart->index);
    }
    request->opcode = 0;
    hart->outstanding--;
    hart->ends++;
    if (hart->changes && hart->ends % ENDS_PER_CHANGE == 0) {
        change_mode(hart);
    }
    if (result.error != NVME_OK) {
        if (!hart->may_fail && !(hart->may_reset && result.error == NVME_ERR_RESET)) {
            hart_fail("hart %u: a request ends with: %s", hart->index,
                      nvme_error_text(result.error));
        }
        /* Ours again: a device that still writes here is caught. */
        memset(request->buffer, 0, size_of(request));
        hart->errors++;
        hart->posting = hart->posting && hart->may_reset;
        return;
    }
    if (opcode == NVME_CMD_WRITE) {
        memset(request->buffer, 0, size_of(request));
        post(request, NVME_CMD_READ);
        return;
    }
    if (!pattern_is(request->pattern, request->buffer, size_of(request))) {
        hart_fail("hart %u: block %u: other data than were written", hart->index,
                  (unsigned)request->lba);
    }
    if (hart->posting) {
        post_write(request);
    }
}

/* What found no room before. */
static void post_idle(struct hart *hart)
{
    unsigned long irq = hart_irq_save();

    for (uint32_t i = 0; i < HART_REQUESTS && hart->posting; i++) {
        if (hart->requests[i].opcode == 0) {
            post_write(&hart->requests[i]);
        }
    }
    hart_irq_restore(irq);
    nvme_queue_submit(hart->queue);
}

/* ---- The thread ----------------------------------------------------------------------- */

static bool is_pending(const struct hart *hart)
{
    const struct device *device = hart->device;

    return (hart->vector != 0
                ? (__atomic_load_n(&device->vectors[hart->vector], __ATOMIC_RELAXED) &
                   DEVICE_PENDING) != 0
                : hart->interrupts && __atomic_load_n(&device->pending, __ATOMIC_RELAXED) != 0) ||
           __atomic_load_n(&hart->ipi_taken, __ATOMIC_RELAXED) != 0;
}

/* As storage_wait(): off from the look to the wait; a timer ends it too. */
static void wait_for_interrupt(struct hart *hart)
{
    enum nvme_mode mode = nvme_queue_mode(hart->queue);

    hart->irq_off = true;
    if (mode == NVME_MODE_POLL) {
        nvme_queue_reap(hart->queue, NVME_DEPTH_MAX);
    } else if (nvme_queue_arm(hart->queue, NVME_WAIT_BLOCKED)) {
        for (uint32_t i = 0; i < WAIT_YIELDS && !is_pending(hart); i++) {
            sched_yield();
        }
    } else if (mode == NVME_MODE_HYBRID) {
        nvme_queue_reap(hart->queue, NVME_DEPTH_MAX);
    }
    take_interrupts(hart);
}

static void run_watchdog(struct hart *hart)
{
    uint64_t now = hart_now_ns();
    unsigned long irq = hart_irq_save();

    if (now - hart->watchdog_ns >= NVME_WATCHDOG_PERIOD_NS) {
        hart->watchdog_ns = now;
        nvme_queue_watchdog(hart->queue, now);
    }
    hart_irq_restore(irq);
}

/* A reset that is under way waits for this hart, as the owner of both queues. */
static enum nvme_error close_extra(struct hart *hart, struct nvme_queue *extra)
{
    enum nvme_error error = nvme_queue_close(extra);

    while (error == NVME_ERR_STATE && hart->may_reset) {
        unsigned long irq = hart_irq_save();

        nvme_queue_watchdog(extra, hart_now_ns());
        nvme_queue_watchdog(hart->queue, hart_now_ns());
        hart_irq_restore(irq);
        sched_yield();
        error = nvme_queue_close(extra);
    }
    return error;
}

/* What the hart that administers does while the others are at work. */
static void administer(struct hart *hart)
{
    struct nvme_queue_config config = {.owner = hart->index, .depth_entries = 4};
    struct nvme_queue *extra;
    struct nvme_namespace ns;
    enum nvme_error error = nvme_namespace_open(hart->controller, 1, &ns);

    if (error == NVME_OK) {
        error = nvme_queue_open(hart->controller, DEVICE_QUEUES - 2, &config, &extra);
    }
    if (error == NVME_OK) {
        error = close_extra(hart, extra);
    }
    if (error != NVME_OK && !hart->may_fail && !hart->may_reset) {
        hart_fail("hart %u: administration: %s", hart->index, nvme_error_text(error));
    }
}

static void step(struct hart *hart)
{
    if (hart->interrupts) {
        wait_for_interrupt(hart);
    } else {
        nvme_queue_reap(hart->queue, random_between(&hart->random, 1, 32));
        take_interrupts(hart);
    }
    if (++hart->steps % STEPS_PER_WATCH == 0) {
        run_watchdog(hart);
    }
    if (hart->changes && hart->steps % STEPS_PER_CHANGE == 0) {
        change_mode(hart);
    }
    if (hart->administers && hart->posting && hart->steps % STEPS_PER_ADMIN == 0) {
        administer(hart);
    }
}

static void enter(const struct hart *hart)
{
    if (hart->lock != NULL) {
        pthread_mutex_lock(hart->lock);
    }
}

static void leave(const struct hart *hart)
{
    if (hart->lock != NULL) {
        pthread_mutex_unlock(hart->lock);
        sched_yield();
    }
}

/* False: nothing more is posted. */
static bool work(struct hart *hart)
{
    enter(hart);
    if (hart->posting && __atomic_load_n(hart->stop, __ATOMIC_RELAXED) == 0) {
        post_idle(hart);
        step(hart);
        leave(hart);
        return true;
    }
    hart->posting = false;
    nvme_queue_submit(hart->queue);
    leave(hart);
    return false;
}

/* False: all requests have ended; where there are resets, those of every hart. */
static bool finish(struct hart *hart)
{
    uint32_t outstanding;
    bool others;

    enter(hart);
    outstanding = hart->outstanding;
    if (outstanding == 0 && !hart->finished) {
        hart->finished = true;
        __atomic_fetch_sub(hart->working, 1, __ATOMIC_RELAXED);
    }
    others = hart->may_reset && __atomic_load_n(hart->working, __ATOMIC_RELAXED) != 0;
    if (outstanding != 0 || others) {
        step(hart);
    }
    leave(hart);
    return outstanding != 0 || others;
}

static void *run(void *arg)
{
    struct hart *hart = arg;
    uint64_t until;

    me = hart;
    while (work(hart)) {
    }
    until = hart_cpu_ns() + FINISH_CPU_NS;
    while (finish(hart)) {
        if (hart_cpu_ns() > until) {
            hart_fail("hart %u: its requests never end", hart->index);
        }
    }
    me = NULL;
    return NULL;
}

void hart_start(struct hart *hart)
{
    if (pthread_create(&hart->thread, NULL, run, hart) != 0) {
        abort();
    }
}

void hart_join(struct hart *hart)
{
    pthread_join(hart->thread, NULL);
}

void hart_prepare(struct hart *hart, uint64_t seed)
{
    hart->random.state = seed;
    for (uint32_t i = 0; i < HART_REQUESTS; i++) {
        hart->requests[i] = (struct hart_request){
            .hart = hart,
            .memory = aligned_alloc(DEVICE_PAGE, HART_REQUEST_BYTES + 2 * DEVICE_PAGE),
        };
        if (hart->requests[i].memory == NULL) {
            abort();
        }
    }
}

void hart_free(struct hart *hart)
{
    for (uint32_t i = 0; i < HART_REQUESTS; i++) {
        free(hart->requests[i].memory);
    }
}
