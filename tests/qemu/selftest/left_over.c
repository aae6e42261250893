// SPDX-License-Identifier: MIT
/*
 * Bring-up on a controller that somebody else left behind: enabled, with completions that nobody
 * took, and with memory full of old phase bits. Interrupt mode must work afterwards, or be given up
 * in words.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "heap.h"
#include "irq.h"
#include "raw.h"
#include "selftest.h"
#include "start.h"
#include "timer.h"
#include "wired.h"

enum { DEPTH = 16, READS = 200, REGION_ALIGNMENT = 65536 };

/* ---- After a reset with completions left over ----------------------------------------------- */

/* Interrupt-mode I/O on a freshly opened queue, and what bring-up said of the line. */
static void check_interrupts(struct storage_queue *queue, const char *what)
{
    struct nvme_controller_info info;
    struct nvme_counters counters;
    uint8_t *buffer = take_pages(PAGE_BYTES);

    nvme_controller_describe(queue->ns->controller, &info);
    for (uint32_t i = 0; i < READS; i++) {
        transfer(queue, NVME_CMD_READ, i, 1, buffer);
    }
    nvme_queue_count(queue->engine, &counters);
    printf("note %s: %" PRIu32 " repairs, line %s, %" PRIu64 " interrupts, %" PRIu64 " empty\n",
           what, info.line_repairs, info.line_stuck ? "stuck" : "free", counters.interrupts,
           counters.spurious);
    check(!info.line_stuck, "%s: the line is stuck after %" PRIu32 " repairs", what,
          info.line_repairs);
    check(nvme_queue_mode(queue->engine) == NVME_MODE_INTERRUPT, "%s: the queue polls", what);
    check(counters.missed == 0, "%s: %" PRIu64 " missed", what, counters.missed);
    check(counters.spurious <= counters.completions, "%s: %" PRIu64 " empty interrupts", what,
          counters.spurious);
}

/* Leaves `count` admin completions in the ring and clears CC.EN. */
static bool leave_over(uint32_t count)
{
    const struct pci_function *function = raw_find();
    struct raw raw;
    bool ok;

    ok = check(function != NULL && raw_open(&raw, function), "no controller");
    for (uint32_t i = 0; ok && i < count; i++) {
        raw_identify(&raw);
        ok = check(raw_await(&raw, i + 1), "no completion");
    }
    return ok && check(raw_disable(&raw), "the controller did not stop");
}

static void test_reset(void)
{
    static const uint32_t counts[] = {1, 5};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct storage_config config = {.depth_entries = DEPTH};
        size_t mark = heap_mark();
        bool left = leave_over(counts[i]);

        heap_release(mark);
        if (!left || !open_storage(&config)) {
            return;
        }
        check_interrupts(&selftest.storage.queues[0], "left over at CC.EN = 0");
        close_storage();
    }
}

/* ---- A warm boot: enabled, completions untaken, old phase bits ------------------------------- */

/* A controller opened without the kernel's storage, so that it can be opened over itself. */
static struct {
    const struct pci_function *function;
    struct nvme_config config;
    struct nvme_memory memory;
    struct nvme_controller *controller;
    struct nvme_namespace ns;
    struct storage_controller place; /* not shared */
    struct storage_queue queue;      /* as the helpers want it */
} warm;

static void warm_bus_master(void *arg)
{
    pci_enable(arg);
}

static bool warm_level(void *arg)
{
    const struct pci_function *function = arg;

    return (pci_config_read16(function, PCI_STATUS) & PCI_STATUS_INTERRUPT) != 0;
}

static void warm_handler(void *arg)
{
    (void)arg;
    nvme_irq_handle(&warm.controller, 1);
}

/* Regions full of ones: every phase bit is set. */
static bool warm_prepare(void)
{
    warm.function = raw_find();
    if (!check(warm.function != NULL, "no controller")) {
        return false;
    }
    warm.config = (struct nvme_config){
        .registers = (volatile void *)(uintptr_t)warm.function->bars[0].base,
        .registers_size_bytes = warm.function->bars[0].size,
        .pci_vendor = warm.function->vendor,
        .pci_device = warm.function->device_id,
        .queue_count = 1,
        .depth_entries = DEPTH,
        .hook_arg = (void *)(uintptr_t)warm.function,
        .bus_master = warm_bus_master,
        .intx_level = warm_level,
    };
    pci_decode(warm.function);
    if (!check(nvme_memory_needed(&warm.config, &warm.memory) == NVME_OK, "memory needed")) {
        return false;
    }
    warm.memory.ordinary = heap_take(warm.memory.ordinary_bytes, NVME_ORDINARY_ALIGNMENT);
    warm.memory.dma = heap_take(warm.memory.dma_bytes, REGION_ALIGNMENT);
    if (!check(warm.memory.ordinary != NULL && warm.memory.dma != NULL, "out of memory")) {
        return false;
    }
    memset(warm.memory.ordinary, 0xff, warm.memory.ordinary_bytes);
    memset(warm.memory.dma, 0xff, warm.memory.dma_bytes);
    return true;
}

static bool warm_open(void)
{
    struct nvme_queue_config queue = {.mode = selftest.mode};
    enum nvme_error error;
    uint32_t nsid = 0;

    /* As a boot's scan does: a controller that runs is cut off from memory. */
    pci_disable(warm.function);
    pci_decode(warm.function);
    error = nvme_controller_open(&warm.config, &warm.memory, &warm.controller);

    if (error == NVME_OK) {
        error = nvme_namespace_next(warm.controller, 0, &nsid);
    }
    if (error == NVME_OK) {
        error = nvme_namespace_open(warm.controller, nsid, &warm.ns);
    }
    if (error == NVME_OK) {
        error = nvme_queue_open(warm.controller, 0, &queue, &warm.queue.engine);
    }
    warm.queue.ns = &warm.ns;
    warm.queue.controller = &warm.place;
    warm.queue.storage = &selftest.storage; /* closed: IPIs find nothing */
    if (check(error == NVME_OK, "open: %s", nvme_error_text(error)) &&
        selftest.mode == NVME_MODE_INTERRUPT) {
        wired_attach(warm.function->irq, warm_handler, NULL);
        wired_route(warm.function->irq, 0);
    }
    storage_hart_start(&warm.queue);
    return error == NVME_OK;
}

/* Completions arrive that nobody takes; then the program forgets the controller. */
static void warm_abandon(struct request *requests, uint8_t *buffer)
{
    uint64_t start_ns = time_now_ns();

    irq_disable();
    storage_hart_stop(&warm.queue);
    for (uint32_t i = 0; i < DEPTH - 1; i++) {
        check(nvme_read(warm.queue.engine, &warm.ns, i, 1, buffer + (size_t)i * PAGE_BYTES,
                        request_callback(&requests[i])) == NVME_OK,
              "post");
    }
    nvme_queue_submit(warm.queue.engine);
    while (time_now_ns() - start_ns < 50 * NS_PER_MS) {
    }
    if (selftest.mode == NVME_MODE_INTERRUPT) {
        wired_detach(warm.function->irq);
    }
    irq_enable();
}

/* Opened over itself several times; the ring's memory is never cleaned by the test. */
static void test_warm(void)
{
    static struct request requests[DEPTH];
    size_t mark = heap_mark();
    uint8_t *buffer = take_pages((size_t)DEPTH * PAGE_BYTES);
    bool ok = warm_prepare() && warm_open();

    memset(requests, 0, sizeof(requests));
    for (uint32_t turn = 0; ok && turn < 3; turn++) {
        warm_abandon(requests, buffer);
        ok = warm_open();
        if (ok && selftest.mode == NVME_MODE_INTERRUPT) {
            check_interrupts(&warm.queue, "warm boot");
        }
        for (uint32_t i = 0; ok && i < READS; i++) {
            transfer(&warm.queue, NVME_CMD_READ, i, 1, buffer);
        }
    }
    for (uint32_t i = 0; i < DEPTH; i++) {
        check(requests[i].ends == 0, "a request of the former life was ended");
    }
    if (ok) {
        storage_hart_stop(&warm.queue);
        check(nvme_queue_close(warm.queue.engine) == NVME_OK, "close");
        if (selftest.mode == NVME_MODE_INTERRUPT) {
            wired_detach(warm.function->irq);
        }
        check(nvme_controller_close(warm.controller) == NVME_OK, "close the controller");
    }
    heap_release(mark);
}

/* ---- PCI functions that an earlier user left on ------------------------------------------- */

enum { POWER = 0x01, MSI = 0x05, MSIX = 0x11, POWER_STATUS = 4 };

static const struct {
    uint8_t capability;
    uint8_t offset;
    uint32_t on;
} leftovers[] = {{MSI, 0, 0x00010000}, {MSIX, 0, 0x80000000}, {POWER, POWER_STATUS, 0x0003}};

enum { LEFTOVERS = sizeof(leftovers) / sizeof(leftovers[0]) };

/* Everything on; the power state last. */
static void leave_on(const struct pci_function *f)
{
    pci_config_write32(f, PCI_COMMAND, 0x0007);
    if (f->header_type == 1) {
        pci_config_write32(f, PCI_BRIDGE_BUSES, 0x00ff0100);
        pci_config_write32(f, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, 0xff);
        pci_config_write32(f, PCI_BRIDGE_IO, 0xf000);
        pci_config_write32(f, PCI_BRIDGE_IO_UPPER, 0xffff0000);
    }
    for (size_t i = 0; i < LEFTOVERS; i++) {
        unsigned at = pci_find_capability(f, leftovers[i].capability);

        if (at != 0) {
            pci_config_write32(f, at + leftovers[i].offset, leftovers[i].on);
        }
    }
}

static void check_taken_over(const struct pci_function *f)
{
    for (size_t i = 0; i < LEFTOVERS; i++) {
        unsigned at = pci_find_capability(f, leftovers[i].capability);
        uint32_t bits =
            at != 0 ? pci_config_read32(f, at + leftovers[i].offset) & leftovers[i].on : 0;

        check(bits == 0, "%02x:%02x.%u: capability %u still on (%" PRIx32 ")", f->bus, f->device,
              f->function, leftovers[i].capability, bits);
    }
    check((pci_config_read16(f, PCI_COMMAND) & 1) == 0, "I/O is decoded");
    if (f->header_type == 1) {
        check(pci_config_read8(f, PCI_BRIDGE_SECONDARY) != 0, "a bridge without a bus");
        check(pci_config_read32(f, PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER) == 0, "upper half stays");
        check((pci_config_read16(f, PCI_BRIDGE_IO) & 0xf0f0) == 0x00f0, "an I/O window is open");
        check(pci_config_read32(f, PCI_BRIDGE_IO_UPPER) == 0, "upper half of I/O stays");
    } else {
        check((pci_config_read16(f, PCI_COMMAND) & 6) == 0, "decoding or mastering");
    }
}

/* The same place, device and BARs. */
static bool is_same(const struct pci_function *a, const struct pci_function *b)
{
    for (uint32_t i = 0; i < PCI_BAR_COUNT; i++) {
        if (a->bars[i].base != b->bars[i].base || a->bars[i].size != b->bars[i].size) {
            return false;
        }
    }
    return a->at.place == b->at.place && a->vendor == b->vendor && a->device_id == b->device_id &&
           a->irq.source == b->irq.source;
}

static void test_functions(void)
{
    static struct pci_function found[STORAGE_FUNCTIONS_MAX];
    struct storage_config config = {.depth_entries = DEPTH};
    uint32_t count;

    if (!open_storage(&config)) {
        return;
    }
    close_storage();
    count = selftest.storage.function_count;
    for (uint32_t i = count; i-- != 0;) { /* what lies behind a bridge before the bridge */
        leave_on(&selftest.storage.functions[i]);
    }
    check(pci_scan(machine_get(), found, STORAGE_FUNCTIONS_MAX) == count, "other functions");
    for (uint32_t i = 0; i < count; i++) {
        check(is_same(&found[i], &selftest.storage.functions[i]), "function %" PRIu32 " is another",
              i);
        check_taken_over(&found[i]);
    }
    if (open_storage(&config)) {
        check_interrupts(&selftest.storage.queues[0], "left on");
        close_storage();
    }
}

const struct test left_over_tests[] = {
    {"left-over.functions", test_functions, MODE_IRQ, WANTS_LINE},
    {"left-over.reset", test_reset, MODE_IRQ, 0},
    {"left-over.warm", test_warm, MODE_BOTH, WANTS_LINE},
    {NULL, NULL, 0, 0},
};
