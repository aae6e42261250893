// SPDX-License-Identifier: MIT
/*
 * Finding NVMe controllers on the PCI buses and bringing them up with memory from the heap.
 *
 * Several controllers are used together only if they show the same namespace of one subsystem:
 * same serial number, same namespace identifier and size.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harts.h"
#include "heap.h"
#include "start.h"
#include "storage_internal.h"

#define NVME_CLASS 0x010802u /* mass storage, NVM, NVM Express */

enum { DMA_PAGE = 65536 };

/* PCI Local Bus 3.0, status register bit 3: the function's INTx signal is asserted. */
static bool intx_level(void *arg)
{
    const struct storage_controller *controller = arg;

    return (pci_config_read16(controller->function, PCI_STATUS) & PCI_STATUS_INTERRUPT) != 0;
}

static void bus_master(void *arg)
{
    const struct storage_controller *controller = arg;

    pci_enable(controller->function);
}

static void kick(void *arg, uint32_t owner)
{
    (void)arg;
    hart_send_ipi(owner);
}

/*
 * Kept for storage_print_events: a trap does not print. A device that interrupts although it is
 * masked loses its pin, lest the line keep this hart in the trap.
 */
static void keep_event(void *arg, const struct nvme_event *event)
{
    struct storage_controller *controller = arg;
    uint32_t place = __atomic_fetch_add(&controller->event_count, 1, __ATOMIC_RELAXED);

    if (place < STORAGE_EVENTS_MAX) {
        controller->events[place] = *event;
    }
    if (event->kind == NVME_EVENT_INTERRUPT_STORM) {
        uint16_t command = pci_config_read16(controller->function, PCI_COMMAND);

        pci_config_write16(controller->function, PCI_COMMAND,
                           (uint16_t)(command | PCI_COMMAND_INTX_OFF));
    }
}

static void vector_mask(void *arg, uint16_t vector, bool masked)
{
    const struct storage_controller *controller = arg;

    msix_mask(&controller->msix, vector, masked);
}

static void print_error(const struct storage_controller *controller, const char *what,
                        enum nvme_error error)
{
    const struct pci_function *function = controller->function;

    printf("error: nvme at %02x:%02x.%u: %s: %s (%d)\n", function->bus, function->device,
           function->function, what, nvme_error_text(error), (int)error);
}

/* How many queues each controller must give. */
static uint32_t queues_each(const struct storage *storage, uint32_t controllers)
{
    uint32_t each = 1;

    while (each * controllers < storage->config.harts && each < NVME_QUEUES_MAX) {
        each++;
    }
    return each;
}

/* One of `controllers` that are to share the work. */
static bool open_engine(struct storage *storage, struct storage_controller *controller,
                        uint32_t controllers)
{
    const struct pci_bar *bar = &controller->function->bars[0];
    uint32_t queue_count = queues_each(storage, controllers);
    struct nvme_config config = {
        .registers = (volatile void *)(uintptr_t)bar->base,
        .registers_size_bytes = bar->size,
        .pci_vendor = controller->function->vendor,
        .pci_device = controller->function->device_id,
        .page_bytes = DMA_PAGE,
        .queue_count = queue_count,
        .depth_entries = storage->config.depth_entries,
        .max_transfer_bytes = storage->config.max_transfer_bytes,
        .command_timeout_ns = storage->config.timeout_ns,
        .hook_arg = controller,
        .kick = kick,
        .vector_mask = vector_mask,
        .bus_master = bus_master,
        .intx_level = intx_level,
        .event = keep_event,
    };
    struct nvme_memory memory = {0};
    enum nvme_error error;

    if (bar->size == 0) {
        printf("error: nvme at %02x:%02x.%u has no memory BAR\n", controller->function->bus,
               controller->function->device, controller->function->function);
        return false;
    }
    pci_decode(controller->function);
    config.msix = imsic_present() && msix_enable(controller->function, &controller->msix);
    storage_plan_line(storage, storage->controller_count, controllers);
    config.shared = controller->shared;
    config.home = controller->home;
    error = nvme_memory_needed(&config, &memory);
    if (error == NVME_OK) {
        memory.ordinary = heap_take(memory.ordinary_bytes, NVME_ORDINARY_ALIGNMENT);
        memory.dma = heap_take(memory.dma_bytes, DMA_PAGE);
        if (memory.ordinary == NULL || memory.dma == NULL) {
            printf("error: out of memory: %zu bytes needed for %" PRIu32 " queues of %" PRIu32
                   " entries, %zu left; hint: --memory, or a smaller iodepth\n",
                   memory.ordinary_bytes + memory.dma_bytes, queue_count,
                   storage->config.depth_entries, heap_left());
            return false;
        }
        error = nvme_controller_open(&config, &memory, &controller->engine);
    }
    if (error != NVME_OK) {
        print_error(controller, "bring-up failed", error);
        storage->stuck = storage->stuck || error == NVME_ERR_STUCK;
        controller->engine = NULL;
        pci_disable(controller->function);
        return false;
    }
    return true;
}

static bool open_namespace(struct storage *storage, struct storage_controller *controller)
{
    uint32_t nsid = storage->config.nsid;
    enum nvme_error error = NVME_OK;

    if (nsid == 0) {
        error = nvme_namespace_next(controller->engine, 0, &nsid);
        if (error == NVME_ERR_NAMESPACE) {
            printf("error: the controller has no active namespace; hint: -device nvme-ns\n");
            return false;
        }
    }
    if (error == NVME_OK) {
        error = nvme_namespace_open(controller->engine, nsid, &controller->ns);
    }
    if (error != NVME_OK) {
        printf("error: namespace %" PRIu32 ": %s\n", nsid, nvme_error_text(error));
        return false;
    }
    return true;
}

/* True if both controllers are doors to the same medium. */
static bool same_medium(const struct storage_controller *a, const struct storage_controller *b)
{
    struct nvme_controller_info info_a;
    struct nvme_controller_info info_b;

    nvme_controller_describe(a->engine, &info_a);
    nvme_controller_describe(b->engine, &info_b);
    return strcmp(info_a.serial, info_b.serial) == 0 && a->ns.nsid == b->ns.nsid &&
           a->ns.block_count == b->ns.block_count && a->ns.block_bytes == b->ns.block_bytes;
}

/* Nothing of it is in use yet. */
static bool close_last(struct storage *storage)
{
    const struct storage_controller *last = &storage->controllers[--storage->controller_count];
    enum nvme_error error = nvme_controller_close(last->engine);

    msix_disable(last->function);
    storage->stuck = storage->stuck || error == NVME_ERR_STUCK;
    if (error != NVME_OK) {
        print_error(last, "closing failed", error);
    }
    return error == NVME_OK;
}

/*
 * Adds the controller of one PCI function, unless it shows another medium than the first. One of
 * `controllers` that are to share the work.
 */
static bool add_controller(struct storage *storage, const struct pci_function *function,
                           uint32_t controllers)
{
    struct storage_controller *controller = &storage->controllers[storage->controller_count];
    struct storage_controller *first = &storage->controllers[0];

    memset(controller, 0, sizeof(*controller));
    controller->function = function;
    if (!open_engine(storage, controller, controllers)) {
        return false;
    }
    storage->controller_count++;
    if (!open_namespace(storage, controller)) {
        return false;
    }
    if (controller != first && !same_medium(first, controller)) {
        return close_last(storage);
    }
    return true;
}

/* Up to `limit` controllers. False: said why. */
static bool add_controllers(struct storage *storage, uint32_t limit)
{
    for (uint32_t i = 0; i < storage->function_count && storage->controller_count < limit; i++) {
        if (storage->functions[i].class_code == NVME_CLASS &&
            !add_controller(storage, &storage->functions[i], limit)) {
            return false;
        }
    }
    return true;
}

bool storage_open_controllers(struct storage *storage)
{
    uint32_t limit = storage->config.controllers_max;
    uint32_t found = 0;

    limit = limit == 0 || limit > STORAGE_CONTROLLERS_MAX ? STORAGE_CONTROLLERS_MAX : limit;
    for (uint32_t i = 0; i < storage->function_count; i++) {
        found += storage->functions[i].class_code == NVME_CLASS;
    }
    if (found == 0) {
        printf("error: no NVMe controller among %" PRIu32
               " PCI functions; hint: -device nvme, or run.py without --no-disk\n",
               storage->function_count);
        return false;
    }
    limit = found < limit ? found : limit;
    limit = storage->config.harts < limit ? storage->config.harts : limit;
    if (!add_controllers(storage, limit)) {
        return false;
    }
    if (storage->controller_count == limit) {
        return true;
    }
    /* Some show another medium: the rest share queues and lines in another way than was planned. */
    limit = storage->controller_count;
    while (storage->controller_count != 0) {
        if (!close_last(storage)) {
            return false;
        }
    }
    heap_release(storage->heap_mark);
    return add_controllers(storage, limit);
}
