// SPDX-License-Identifier: MIT
/*
 * The blocking block device: see block_device.h.
 *
 * One command is under way at a time. A thread takes the device (`idle`), posts, and waits for
 * `ended`. The lock keeps the handler of another hart away from the queue meanwhile.
 */
#include "block_device.h"

#include "nvme.h"
#include "nvme_hal.h"

/* A part of a transfer that passes through the copy. */
struct part {
    uint64_t lba;
    uint32_t lba_count;
    uint32_t skip_bytes; /* of the logical blocks, before the caller's blocks */
    uint32_t bytes;      /* of the caller */
};

/* ---- Waiting -------------------------------------------------------------------------- */

static unsigned long queue_lock(struct block_device *device)
{
    unsigned long state = hal_irq_save();

    while (__atomic_exchange_n(&device->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        hal_relax();
    }
    return state;
}

static void queue_unlock(struct block_device *device, unsigned long state)
{
    __atomic_store_n(&device->lock, 0, __ATOMIC_RELEASE);
    hal_irq_restore(state);
}

static bool is_polled(const struct block_device *device)
{
    return device->hooks.sleep == NULL;
}

/* Both words that threads wait for. The release pairs with the thread's acquire. */
static void event_signal(struct block_device *device, uint32_t *event)
{
    __atomic_store_n(event, 1, __ATOMIC_RELEASE);
    if (!is_polled(device)) {
        device->hooks.wake(device->hooks.arg, event);
    }
}

static void device_take(struct block_device *device)
{
    while (__atomic_exchange_n(&device->idle, 0, __ATOMIC_ACQUIRE) == 0) {
        if (is_polled(device)) {
            hal_relax();
        } else {
            device->hooks.sleep(device->hooks.arg, &device->idle);
        }
    }
}

static void device_give(struct block_device *device)
{
    event_signal(device, &device->idle);
}

static void queue_poll(struct block_device *device)
{
    unsigned long state = queue_lock(device);

    nvme_queue_reap(device->queue, NVME_DEPTH_MAX);
    nvme_queue_watchdog(device->queue, hal_now_ns());
    queue_unlock(device, state);
    hal_relax();
}

static void command_wait(struct block_device *device)
{
    while (__atomic_load_n(&device->ended, __ATOMIC_ACQUIRE) == 0) {
        if (is_polled(device)) {
            queue_poll(device);
        } else {
            device->hooks.sleep(device->hooks.arg, &device->ended);
        }
    }
}

/* ---- Commands ------------------------------------------------------------------------- */

static void command_done(void *arg, struct nvme_result result)
{
    struct block_device *device = arg;

    device->error = result.error;
    if (result.error == NVME_ERR_DEVICE) {
        device->status = result.status;
    }
    event_signal(device, &device->ended);
}

static int32_t command_run(struct block_device *device, const struct nvme_io *io)
{
    unsigned long state = queue_lock(device);
    enum nvme_error error;
    uint32_t posted;

    device->ended = 0;
    error = nvme_post_many(device->queue, device->ns, io, 1, &posted);
    if (error == NVME_OK) {
        nvme_queue_submit(device->queue);
    }
    queue_unlock(device, state);
    if (error != NVME_OK) {
        return error;
    }
    command_wait(device);
    return device->error;
}

/* Logical blocks to or from memory that the device may use. */
static int32_t blocks_move(struct block_device *device, uint8_t opcode, uint64_t lba,
                           uint32_t lba_count, void *buffer)
{
    struct nvme_io io = {
        .opcode = opcode,
        .lba = lba,
        .block_count = lba_count,
        .buffer = buffer,
        .callback = {command_done, device},
    };

    return command_run(device, &io);
}

/* ---- Transfers ------------------------------------------------------------------------ */

/* The first part of `count` blocks: up to the end of the copy, which holds whole logical blocks. */
static struct part part_first(const struct block_device *device, uint64_t first, uint32_t count)
{
    uint32_t skip = (uint32_t)(first % device->ratio);
    uint32_t room = BLOCK_COPY_BYTES / BLOCK_BYTES - skip;
    uint32_t blocks = count < room ? count : room;

    return (struct part){
        .lba = first / device->ratio,
        .lba_count = (skip + blocks + device->ratio - 1) / device->ratio,
        .skip_bytes = skip * BLOCK_BYTES,
        .bytes = blocks * BLOCK_BYTES,
    };
}

static int32_t part_read(struct block_device *device, const struct part *part, uint8_t *buffer)
{
    int32_t error = blocks_move(device, NVME_CMD_READ, part->lba, part->lba_count, device->copy);

    if (error == NVME_OK) {
        nvme_memcpy(buffer, (uint8_t *)device->copy + part->skip_bytes, part->bytes);
    }
    return error;
}

/* What a logical block holds beside the caller's blocks is read and written again. */
static int32_t part_write(struct block_device *device, const struct part *part,
                          const uint8_t *buffer)
{
    bool whole = part->bytes == part->lba_count * device->ratio * BLOCK_BYTES;
    int32_t error = NVME_OK;

    if (!whole) {
        error = blocks_move(device, NVME_CMD_READ, part->lba, part->lba_count, device->copy);
    }
    if (error != NVME_OK) {
        return error;
    }
    nvme_memcpy((uint8_t *)device->copy + part->skip_bytes, buffer, part->bytes);
    return blocks_move(device, NVME_CMD_WRITE, part->lba, part->lba_count, device->copy);
}

static bool is_direct(const struct block_device *device, uint64_t first, uint32_t count,
                      const void *buffer)
{
    return device->alignment != 0 && ((uintptr_t)buffer & (device->alignment - 1)) == 0 &&
           first % device->ratio == 0 && count % device->ratio == 0;
}

static int32_t range_check(const struct block_device *device, uint64_t first, uint32_t count)
{
    if (count == 0 || count > UINT32_MAX / BLOCK_BYTES) {
        return NVME_ERR_LENGTH;
    }
    return first < device->block_count && count <= device->block_count - first ? NVME_OK
                                                                               : NVME_ERR_RANGE;
}

int32_t block_read(struct block_device *device, uint64_t first, uint32_t count, void *buffer)
{
    int32_t error = range_check(device, first, count);
    uint8_t *to = buffer;

    if (error != NVME_OK) {
        return error;
    }
    device_take(device);
    if (is_direct(device, first, count, buffer)) {
        error = blocks_move(device, NVME_CMD_READ, first / device->ratio, count / device->ratio,
                            buffer);
        count = 0;
    }
    while (count != 0 && error == NVME_OK) {
        struct part part = part_first(device, first, count);

        error = part_read(device, &part, to);
        to += part.bytes;
        first += part.bytes / BLOCK_BYTES;
        count -= part.bytes / BLOCK_BYTES;
    }
    device_give(device);
    return error;
}

int32_t block_write(struct block_device *device, uint64_t first, uint32_t count, const void *buffer)
{
    int32_t error = range_check(device, first, count);
    const uint8_t *from = buffer;

    if (error != NVME_OK) {
        return error;
    }
    device_take(device);
    if (is_direct(device, first, count, buffer)) {
        /* The engine only reads it. */
        error = blocks_move(device, NVME_CMD_WRITE, first / device->ratio, count / device->ratio,
                            (void *)(uintptr_t)buffer);
        count = 0;
    }
    while (count != 0 && error == NVME_OK) {
        struct part part = part_first(device, first, count);

        error = part_write(device, &part, from);
        from += part.bytes;
        first += part.bytes / BLOCK_BYTES;
        count -= part.bytes / BLOCK_BYTES;
    }
    device_give(device);
    return error;
}

int32_t block_flush(struct block_device *device)
{
    int32_t error;

    device_take(device);
    error = blocks_move(device, NVME_CMD_FLUSH, 0, 0, NULL);
    device_give(device);
    return error;
}

const char *block_error_text(int32_t error)
{
    return nvme_error_text((enum nvme_error)error);
}

int32_t block_attach(struct block_device *device, struct nvme_queue *queue,
                     const struct nvme_namespace *ns, const struct block_hooks *hooks,
                     uint32_t alignment)
{
    if (ns->block_bytes > BLOCK_COPY_BYTES) {
        return NVME_ERR_UNSUPPORTED;
    }
    if ((alignment & (alignment - 1)) != 0 || alignment == 1 || alignment == 2) {
        return NVME_ERR_CONFIG;
    }
    *device = (struct block_device){
        .block_count = ns->block_count * (ns->block_bytes / BLOCK_BYTES),
        .ratio = ns->block_bytes / BLOCK_BYTES,
        .alignment = alignment,
        .queue = queue,
        .ns = ns,
        .idle = 1,
    };
    if (hooks != NULL) {
        device->hooks = *hooks;
    }
    return NVME_OK;
}

void block_interrupt(struct block_device *device)
{
    unsigned long state = queue_lock(device);

    if (device->vector != 0) {
        nvme_vector_handle(device->queue);
    } else {
        nvme_irq_handle(&device->controller, 1);
    }
    queue_unlock(device, state);
}

void block_watchdog(struct block_device *device)
{
    unsigned long state = queue_lock(device);

    nvme_queue_watchdog(device->queue, hal_now_ns());
    queue_unlock(device, state);
}
