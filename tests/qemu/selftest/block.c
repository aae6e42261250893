// SPDX-License-Identifier: MIT
/*
 * examples/block_device.h on the machine, polling and sleeping: on a queue of the runtime, and as a
 * kernel has it that knows nothing of the engine. What threads write at any address is read back,
 * and the engine reads the same from the medium.
 */
#include "block_device.h"

#include <string.h>

#include "dma.h"
#include "harts.h"
#include "heap.h"
#include "irq.h"
#include "raw.h"
#include "selftest.h"
#include "timer.h"
#include "wired.h"

enum { BLOCKS = 256, BYTES = BLOCKS * BLOCK_BYTES, MOST = 24, TURNS = 150 };

/* The device under test and what its blocks hold: BLOCKS of them from `first` on. */
static struct {
    struct block_device device;
    uint64_t first;
    uint64_t random;
    uint8_t *shadow, *arena;
} block;

static bool is_set(const uint32_t *event)
{
    return __atomic_load_n(event, __ATOMIC_ACQUIRE) != 0;
}

/* The address, the blocks and the direction are random; true while everything is right. */
static bool turn(void)
{
    uint32_t at = (uint32_t)(random_next(&block.random) % BLOCKS);
    uint32_t most = BLOCKS - at < MOST ? BLOCKS - at : MOST;
    uint32_t count = 1 + (uint32_t)(random_next(&block.random) % most);
    uint8_t *buffer = block.arena + random_next(&block.random) % PAGE_BYTES;
    uint8_t *shadow = block.shadow + at * BLOCK_BYTES;
    size_t bytes = (size_t)count * BLOCK_BYTES;
    int32_t error;

    memset(block.arena, 0xa5, MOST * BLOCK_BYTES + PAGE_BYTES);
    if (random_next(&block.random) % 2 == 0) {
        pattern_fill(shadow, bytes, (uint32_t)random_next(&block.random));
        memcpy(buffer, shadow, bytes);
        error = block_write(&block.device, block.first + at, count, buffer);
    } else {
        error = block_read(&block.device, block.first + at, count, buffer);
    }
    return check(error == 0 && memcmp(buffer, shadow, bytes) == 0 && buffer[bytes] == 0xa5,
                 "%u blocks from %u at offset %u: %s", count, at,
                 (unsigned)((uintptr_t)buffer % PAGE_BYTES), block_error_text(error));
}

/* All blocks are written once, so the shadow knows them. */
static void exercise(void)
{
    block.shadow = take_pages(BYTES);
    block.arena = take_pages(MOST * BLOCK_BYTES + 2 * PAGE_BYTES);
    block.random = selftest.seed;
    block.first = block.device.block_count / 2 / BLOCKS * BLOCKS;
    pattern_fill(block.shadow, BYTES, 1);
    check(block_write(&block.device, block.first, BLOCKS, block.shadow) == 0, "the first write");
    for (int i = 0; i < TURNS && turn(); i++) {
    }
    check(block_flush(&block.device) == 0, "the flush");
    check(block_read(&block.device, block.device.block_count, 1, block.arena) == NVME_ERR_RANGE,
          "a block behind the end was read");
}

/* ---- On a queue of the runtime ------------------------------------------------------------ */

static void storage_sleep_for(void *arg, const uint32_t *event)
{
    uint64_t saved = irq_save();

    if (!is_set(event)) {
        storage_wait(arg, NVME_WAIT_BLOCKED);
    }
    irq_restore(saved);
}

/* The sleep of this hart ends with the interrupt. */
static void wake_nobody(void *arg, const uint32_t *event)
{
    (void)arg;
    (void)event;
}

static void attached(uint32_t alignment)
{
    struct storage_config config = {0};
    struct storage_queue *queue = &selftest.storage.queues[0];
    struct block_hooks hooks = {queue, storage_sleep_for, wake_nobody};
    uint8_t *read;

    if (!open_storage(&config)) {
        return;
    }
    check(block_attach(&block.device, queue->engine, queue->ns, test_interrupts() ? &hooks : NULL,
                       alignment) == 0,
          "block_attach");
    exercise();
    read = take_pages(BYTES);
    transfer(queue, NVME_CMD_READ, block.first / block.device.ratio, BLOCKS / block.device.ratio,
             read);
    check(memcmp(read, block.shadow, BYTES) == 0, "the medium has something else");
    close_storage();
}

static void test_copied(void)
{
    attached(0);
}

static void test_direct(void)
{
    attached(4);
}

/* ---- A kernel of its own ------------------------------------------------------------------ */

static void sleep_for(void *arg, const uint32_t *event)
{
    (void)arg;
    irq_disable();
    if (!is_set(event)) {
        hart_wait();
    }
    irq_enable();
}

static void master_bus(void *function)
{
    pci_enable(function);
}

static bool line_level(void *function)
{
    return (pci_config_read16(function, PCI_STATUS) & PCI_STATUS_INTERRUPT) != 0;
}

static void handle_interrupt(void *device)
{
    block_interrupt(device);
}

static void tick(void *device)
{
    block_watchdog(device);
}

static bool own_open(struct pci_function *function, struct block_config *config)
{
    *config = (struct block_config){
        .registers = (volatile void *)function->bars[0].base,
        .registers_bytes = function->bars[0].size,
        .hooks = {function, test_interrupts() ? sleep_for : NULL, wake_nobody},
        .bus_master = master_bus,
        .intx_level = line_level,
        .alignment = 4,
        .pci_vendor = function->vendor,
        .pci_device = function->device_id,
    };

    if (!check(block_memory_needed(config) == 0, "block_memory_needed")) {
        return false;
    }
    config->ordinary = take_pages(config->ordinary_bytes);
    config->dma = take_pages(config->dma_bytes);
    return check(dma_map_pages(config->dma, config->dma_bytes, true), "dma_map_pages") &&
           check(block_open(&block.device, config) == 0, "block_open");
}

/* The first controller, INTx to this hart, a timer: nothing of runtime/. */
static void test_own(void)
{
    struct pci_function *function = (struct pci_function *)(uintptr_t)raw_find();
    struct block_config config;
    size_t mark = heap_mark();

    if (function == NULL) {
        skip("no controller");
        return;
    }
    pci_decode(function);
    if (own_open(function, &config)) {
        if (test_interrupts()) {
            wired_attach(function->irq, handle_interrupt, &block.device);
            wired_route(function->irq, 0);
            timer_start(NVME_WATCHDOG_PERIOD_NS, tick, &block.device);
        }
        exercise();
        if (test_interrupts()) {
            timer_stop();
            wired_detach(function->irq);
        }
        check(block_close(&block.device) == 0, "block_close");
        dma_unmap_pages(config.dma, config.dma_bytes, true);
    }
    pci_disable(function);
    heap_release(mark);
}

const struct test block_tests[] = {
    {"block.copied", test_copied, MODE_ALL, 0},
    {"block.direct", test_direct, MODE_ALL, 0},
    {"block.own", test_own, MODE_BOTH, WANTS_LINE},
    {NULL, NULL, 0, 0},
};
