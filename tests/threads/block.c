// SPDX-License-Identifier: MIT
/*
 * The callers, the interrupt and the timer: see block.h.
 */
#define _POSIX_C_SOURCE 200809L

#include "block.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "block_device.h"
#include "device.h"
#include "hart.h"
#include "nvme.h"
#include "pattern.h"

enum {
    CALLERS = 3,
    HELPERS = 3,      /* threads: two take interrupts, one the timer */
    BLOCKS_EACH = 64, /* of the namespace are a caller's own */
    BLOCKS_MOST = 20, /* of one call */
    STRAY_TURNS = 4,
    TIMER_NS = 1000000,
    NS_PER_MS = 1000000,
    MS_PER_S = 1000,
};

/* The kernel. Its sleeping threads wait for one condition, under the lock that wake takes. */
static struct kernel {
    struct block_device block;
    struct device *device;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    uint32_t stop;      /* atomic: of the callers */
    uint32_t stop_last; /* atomic: of the others, after them */
} kernel = {.mutex = PTHREAD_MUTEX_INITIALIZER, .condition = PTHREAD_COND_INITIALIZER};

struct caller {
    pthread_t thread;
    uint32_t index;
    struct random random;
    uint64_t calls;
};

static void sleep_for(void *arg, const uint32_t *event)
{
    (void)arg;
    pthread_mutex_lock(&kernel.mutex);
    while (__atomic_load_n(event, __ATOMIC_RELAXED) == 0) {
        pthread_cond_wait(&kernel.condition, &kernel.mutex);
    }
    pthread_mutex_unlock(&kernel.mutex);
}

static void wake(void *arg, const uint32_t *event)
{
    (void)arg;
    (void)event;
    pthread_mutex_lock(&kernel.mutex);
    pthread_cond_broadcast(&kernel.condition);
    pthread_mutex_unlock(&kernel.mutex);
}

static void pause_ns(long ns)
{
    struct timespec time = {.tv_nsec = ns};

    nanosleep(&time, NULL);
}

static bool is_stopped(const uint32_t *stop)
{
    return __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

/* Some are another device's on the line: the handler finds nothing, or is early. */
static void *take_interrupts(void *arg)
{
    for (uint32_t turn = 0; !is_stopped(&kernel.stop_last); turn++) {
        if (device_claim(kernel.device) || turn % STRAY_TURNS == 0) {
            block_interrupt(&kernel.block);
        } else {
            sched_yield();
        }
    }
    return arg;
}

static void *take_ticks(void *arg)
{
    while (!is_stopped(&kernel.stop_last)) {
        pause_ns(TIMER_NS);
        block_watchdog(&kernel.block);
    }
    return arg;
}

static void check(int32_t error, const char *what)
{
    if (error != 0) {
        hart_fail("block device: %s: %s", what, block_error_text(error));
    }
}

/* Writes blocks of its own at any address, reads them back into another and compares. */
static void *call(void *arg)
{
    struct caller *caller = arg;
    uint8_t *memory = aligned_alloc(64, (BLOCKS_MOST + 1) * BLOCK_BYTES);

    while (!is_stopped(&kernel.stop)) {
        uint32_t count = random_between(&caller->random, 1, BLOCKS_MOST);
        uint64_t first = caller->index * (uint64_t)BLOCKS_EACH +
                         random_below(&caller->random, BLOCKS_EACH - count + 1);
        uint8_t *buffer = memory + random_below(&caller->random, 9);
        uint64_t pattern = random_next(&caller->random);

        pattern_fill(pattern, buffer, (size_t)count * BLOCK_BYTES);
        check(block_write(&kernel.block, first, count, buffer), "write");
        buffer = memory + random_below(&caller->random, 9);
        memset(buffer, 0, (size_t)count * BLOCK_BYTES);
        check(block_read(&kernel.block, first, count, buffer), "read");
        if (!pattern_is(pattern, buffer, (size_t)count * BLOCK_BYTES)) {
            hart_fail("block device: caller %u reads other data", caller->index);
        }
        caller->calls += 2;
    }
    free(memory);
    return NULL;
}

static void open_block(struct block_config *config)
{
    check(block_memory_needed(config), "memory");
    config->ordinary = aligned_alloc(DEVICE_PAGE, (config->ordinary_bytes / 4096 + 1) * 4096);
    config->dma = aligned_alloc(65536, (config->dma_bytes / 65536 + 1) * 65536);
    check(block_open(&kernel.block, config), "open");
}

static void start(pthread_t *thread, void *(*function)(void *arg), void *arg)
{
    if (pthread_create(thread, NULL, function, arg) != 0) {
        abort();
    }
}

static uint64_t play(uint32_t ms, uint64_t seed)
{
    struct caller callers[CALLERS];
    pthread_t helpers[HELPERS];
    uint64_t calls = 0;

    start(&helpers[0], take_interrupts, NULL);
    start(&helpers[1], take_interrupts, NULL);
    start(&helpers[2], take_ticks, NULL);
    for (uint32_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.index = i, .random = {seed + i}};
        start(&callers[i].thread, call, &callers[i]);
    }
    for (uint32_t i = 0; i < ms; i++) {
        pause_ns(NS_PER_MS);
    }
    __atomic_store_n(&kernel.stop, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        calls += callers[i].calls;
    }
    __atomic_store_n(&kernel.stop_last, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < HELPERS; i++) {
        pthread_join(helpers[i], NULL);
    }
    return calls;
}

void block_run(uint32_t seconds, uint64_t seed)
{
    struct block_config config = {.hooks = {NULL, sleep_for, wake}, .alignment = 4};
    uint64_t calls;

    kernel.device = device_start();
    config.registers = kernel.device->registers;
    config.registers_bytes = DEVICE_REGISTER_BYTES;
    open_block(&config);
    calls = play(seconds * MS_PER_S / 10, seed);
    check(block_close(&kernel.block), "close");
    device_stop(kernel.device);
    free(config.ordinary);
    free(config.dma);
    if (calls == 0) {
        hart_fail("block device: no call returned");
    }
    printf("ok    %-36s %4u callers %6llu calls\n", "a block device, threads that sleep", CALLERS,
           (unsigned long long)calls);
    fflush(stdout);
}
