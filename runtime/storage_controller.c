// SPDX-License-Identifier: MIT
/*
 * One controller: hooks, bring-up with memory from the heap, namespace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dma.h"
#include "harts.h"
#include "heap.h"
#include "iommu.h"
#include "namespace_view.h"
#include "start.h"
#include "storage_internal.h"

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

static void send_ipi(void *arg, uint32_t owner)
{
    (void)arg;
    hart_send_ipi(owner);
}

/*
 * A storm turns the function's INTx off until it is over. Otherwise a device that interrupts though
 * it is masked would keep this hart in the trap.
 */
static void take_event(void *arg, const struct nvme_event *event)
{
    struct storage_controller *controller = arg;

    storage_keep_event(controller, event);
    if (event->kind == NVME_EVENT_NAMESPACE_CHANGED) {
        __atomic_store_n(&controller->namespace_changed, 1, __ATOMIC_RELAXED);
    }
    if (event->kind == NVME_EVENT_INTERRUPT_STORM || event->kind == NVME_EVENT_STORM_OVER) {
        bool off = event->kind == NVME_EVENT_INTERRUPT_STORM;
        uint32_t command = pci_config_read16(controller->function, PCI_COMMAND);

        command &= ~PCI_COMMAND_INTX_OFF;
        pci_config_write32(controller->function, PCI_COMMAND,
                           off ? command | PCI_COMMAND_INTX_OFF : command);
    }
}

static void vector_mask(void *arg, uint16_t vector, bool masked)
{
    const struct storage_controller *controller = arg;

    msix_mask(&controller->msix, vector, masked);
}

/* The number of queues that each controller must have. */
static uint32_t queues_each(const struct storage *storage, uint32_t controllers)
{
    uint32_t each = 1;

    while (each * controllers < storage->config.harts && each < NVME_QUEUES_MAX) {
        each++;
    }
    return each;
}

/*
 * Once: a device that returns finds the memory of the one before. Only rings must be contiguous: if
 * each fits into what always is, the region need not be.
 */
static bool take_memory(struct storage_controller *controller, const struct nvme_memory *needed,
                        const struct nvme_config *config)
{
    struct nvme_memory *memory = &controller->memory;
    bool fits = config->depth_entries * sizeof(struct nvme_command) <= config->page_bytes &&
                config->cq_depth_entries * sizeof(struct nvme_completion) <= config->page_bytes;

    if (memory->ordinary == NULL) {
        *memory = *needed;
        memory->ordinary = heap_take(memory->ordinary_bytes, NVME_ORDINARY_ALIGNMENT);
        memory->dma = fits ? heap_take(memory->dma_bytes, config->page_bytes)
                           : heap_take_contiguous(memory->dma_bytes, config->page_bytes);
    }
    return memory->ordinary != NULL && memory->dma != NULL;
}

/* A device that was not stopped may use the memory for ever: it stays mapped and taken. */
static void leave_memory(struct storage *storage, struct storage_controller *controller,
                         enum nvme_error error)
{
    if (error == NVME_ERR_STUCK || error == NVME_ERR_BUSY) {
        storage->heap_mark = heap_mark();
        controller->memory.ordinary = NULL;
    } else {
        dma_unmap_pages(controller->memory.dma, controller->memory.dma_bytes, true);
    }
}

static enum nvme_error open_mapped(struct storage *storage, struct storage_controller *controller,
                                   const struct nvme_config *config)
{
    enum nvme_error error;

    if (!dma_map_pages(controller->memory.dma, controller->memory.dma_bytes, true)) {
        return NVME_ERR_MAP;
    }
    error = nvme_controller_open(config, &controller->memory, &controller->engine);
    if (error != NVME_OK) {
        leave_memory(storage, controller, error);
    }
    return error;
}

enum nvme_error storage_close_engine(struct storage *storage, struct storage_controller *controller)
{
    enum nvme_error error = nvme_controller_close(controller->engine);

    leave_memory(storage, controller, error);
    return error;
}

enum storage_step storage_open_engine(struct storage *storage,
                                      struct storage_controller *controller, uint32_t controllers)
{
    const struct pci_bar *bar = &controller->function->bars[0];
    size_t contiguous = heap_contiguous_bytes();
    struct nvme_config config = {
        .registers = (volatile void *)(uintptr_t)bar->base,
        .registers_size_bytes = bar->size,
        .pci_vendor = controller->function->vendor,
        .pci_device = controller->function->device_id,
        .page_bytes = contiguous < DMA_PAGE ? (uint32_t)contiguous : DMA_PAGE,
        .queue_count = queues_each(storage, controllers),
        .depth_entries = storage->config.depth_entries,
        .cq_depth_entries = storage->config.depth_entries + storage->config.cq_surplus,
        .max_transfer_bytes = storage->config.max_transfer_bytes,
        .command_timeout_ns = storage->config.timeout_ns,
        .aborts = storage->config.resets_max != 0,
        .resets_max = storage->config.resets_max,
        .retries_max = (uint8_t)(storage->config.resets_max < UINT8_MAX ? storage->config.resets_max
                                                                        : UINT8_MAX),
        .retry_writes = true,
        .shadow_doorbells = storage->config.shadow_doorbells && machine_get()->dma_coherent,
        .events = storage->config.events,
        .shared = controller->shared,
        .irq_hart = controller->irq_hart,
        .msix = controller->msix.vector_count != 0,
        .hook_arg = controller,
        .send_ipi = send_ipi,
        .vector_mask = vector_mask,
        .bus_master = bus_master,
        .intx_level = intx_level,
        .event = take_event,
    };
    struct nvme_memory memory = {0};
    enum nvme_error error = nvme_memory_needed(&config, &memory);

    if (error == NVME_OK) {
        if (!take_memory(controller, &memory, &config)) {
            printf("error: out of memory: %zu bytes needed for %" PRIu32 " queues of %" PRIu32
                   " entries, %zu left; hint: --memory, or a smaller iodepth\n",
                   memory.ordinary_bytes + memory.dma_bytes, config.queue_count,
                   storage->config.depth_entries, heap_left());
            return STORAGE_FAILED;
        }
        error = open_mapped(storage, controller, &config);
    }
    if (error == NVME_OK) {
        return STORAGE_TAKEN;
    }
    storage_print_controller_events(controller, storage->controller_count);
    storage_note(controller, "is not used: bring-up failed: %s (%d)%s", nvme_error_text(error),
                 (int)error,
                 error == NVME_ERR_FATAL
                     ? iommu_hint(machine_get(), storage->functions, storage->function_count)
                     : "");
    return STORAGE_PASSED;
}

enum storage_step storage_open_controller(struct storage *storage, uint32_t controllers)
{
    struct storage_controller *controller = &storage->controllers[storage->controller_count];
    const struct pci_function *function = controller->function;
    enum storage_step step;

    if (function->bars[0].size == 0) {
        storage_note(controller, "is not used: it has no memory BAR");
        return STORAGE_PASSED;
    }
    pci_decode(function);
    if (!imsic_present() || !msix_enable(function, &controller->msix)) {
        controller->msix.vector_count = 0;
    }
    step = storage_plan_line(storage, storage->controller_count, controllers)
               ? storage_open_engine(storage, controller, controllers)
               : STORAGE_PASSED;
    if (step == STORAGE_TAKEN) {
        storage->controller_count++;
    } else {
        msix_disable(function);
        pci_disable(function);
    }
    return step;
}

/* Opens a namespace and reads its identity. */
static enum nvme_error open_one_namespace(struct storage_controller *controller, uint32_t nsid)
{
    enum nvme_error error = nvme_namespace_open(controller->engine, nsid, &controller->ns);

    if (error == NVME_OK || error == NVME_ERR_UNSUPPORTED || error == NVME_ERR_IDENTIFY) {
        enum nvme_error described =
            nvme_namespace_describe(controller->engine, nsid, &controller->identity);

        error = described != NVME_OK ? described : error;
    }
    return error;
}

static void print_flaw(struct storage_controller *controller, uint32_t nsid, enum nvme_error error)
{
    char flaw[NAMESPACE_FLAW_BYTES];

    namespace_view_write_flaw(&controller->identity, error, flaw);
    storage_note(controller, "has a namespace %" PRIu32 " that is not used: %s", nsid, flaw);
}

bool storage_open_namespace(struct storage *storage, struct storage_controller *controller)
{
    uint32_t nsid = storage->config.nsid;
    enum nvme_error error;

    /* The other controllers show it under the same NSID. */
    if (nsid == 0 && controller != &storage->controllers[0]) {
        nsid = storage->controllers[0].ns.nsid;
    }
    if (nsid != 0) {
        error = open_one_namespace(controller, nsid);
        if (error != NVME_OK) {
            print_flaw(controller, nsid, error);
        }
        return error == NVME_OK;
    }
    while ((error = nvme_namespace_next(controller->engine, nsid, &nsid)) == NVME_OK) {
        error = open_one_namespace(controller, nsid);
        if (error == NVME_OK) {
            return true;
        }
        if (error == NVME_ERR_NAMESPACE) {
            storage_note(controller,
                         "has a namespace %" PRIu32 " that is not used: " NAMESPACE_WITHOUT_BLOCKS,
                         nsid);
        } else {
            print_flaw(controller, nsid, error);
        }
    }
    if (error == NVME_ERR_NAMESPACE) {
        storage_note(controller, "is not used: it has no %sactive namespace; hint: -device nvme-ns",
                     nsid != 0 ? "other " : "");
    } else {
        storage_note(controller, "is not used: list of namespaces: %s", nvme_error_text(error));
    }
    return false;
}

void storage_close_last(struct storage *storage)
{
    struct storage_controller *last = &storage->controllers[--storage->controller_count];
    enum nvme_error error = storage_close_engine(storage, last);

    storage_print_controller_events(last, storage->controller_count);
    if (error != NVME_OK) {
        storage_note(last, "did not close in order: %s (%d)", nvme_error_text(error), (int)error);
    }
    msix_disable(last->function);
    pci_disable(last->function);
}
