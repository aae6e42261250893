// SPDX-License-Identifier: MIT
/*
 * The identify command: what controllers and namespaces say of themselves, in plain words.
 */
#include <inttypes.h>
#include <stdio.h>

#include "nvme_tool.h"
#include "plic.h"

static struct storage storage;

/* Every namespace that is active; its geometry, or why the engine cannot use it. */
static bool print_namespaces(struct nvme_controller *controller)
{
    uint32_t nsid = 0;
    uint32_t count = 0;
    enum nvme_error error;

    while ((error = nvme_namespace_next(controller, nsid, &nsid)) == NVME_OK) {
        struct nvme_namespace ns;
        enum nvme_error unusable = nvme_namespace_open(controller, nsid, &ns);

        count++;
        if (unusable != NVME_OK) {
            printf("  namespace %-6" PRIu32 " not usable: %s\n", nsid, nvme_error_text(unusable));
            continue;
        }
        printf("  namespace %-6" PRIu32 " %" PRIu64 " blocks of %" PRIu32 " bytes, %" PRIu64
               " MiB; at most %" PRIu32 " blocks per command\n",
               nsid, ns.block_count, ns.block_bytes, ns.block_count << ns.block_shift >> 20,
               ns.max_blocks);
    }
    if (error != NVME_ERR_NAMESPACE) {
        printf("error: list of namespaces: %s\n", nvme_error_text(error));
    }
    printf("  namespaces       %" PRIu32 " active\n", count);
    return error == NVME_ERR_NAMESPACE;
}

static void print_identity(const struct nvme_controller_info *info)
{
    printf("  model            %s\n", info->model);
    printf("  serial           %s\n", info->serial);
    printf("  firmware         %s\n", info->firmware);
    printf("  PCI vendor       0x%04x\n", info->pci_vendor);
    printf("  NVMe version     %" PRIu32 ".%" PRIu32 ".%" PRIu32 "\n", info->version >> 16,
           info->version >> 8 & 255, info->version & 255);
}

static void print_limits(const struct nvme_controller_info *info)
{
    if (info->mdts_bytes == 0) {
        printf("  largest command  no limit of the device (MDTS)");
    } else {
        printf("  largest command  %" PRIu32 " KiB of the device (MDTS)", info->mdts_bytes >> 10);
    }
    printf(", %" PRIu32 " KiB in force\n", info->max_transfer_bytes >> 10);
    printf("  queue entries    %" PRIu32 " of the device (MQES), %" PRIu32 " in use\n",
           info->depth_entries_limit, info->depth_entries);
    printf("  queue pairs      %" PRIu32 " granted of those wanted, %d of the engine\n",
           info->queue_count, NVME_QUEUES_MAX);
    printf("  memory page      %" PRIu32 " KiB\n", info->page_bytes >> 10);
    printf("  ready within     %" PRIu32 " ms\n", info->ready_timeout_ms);
    printf("  write cache      %s\n",
           info->volatile_write_cache ? "volatile: flush matters" : "no");
}

/* What one more queue of this depth takes: the difference between two and one. */
static void print_memory(const struct storage_controller *controller,
                         const struct nvme_controller_info *info)
{
    const struct pci_bar *bar = &controller->function->bars[0];
    struct nvme_config config = {
        .registers = (volatile void *)(uintptr_t)bar->base,
        .registers_size_bytes = bar->size,
        .queue_count = 1,
        .depth_entries = info->depth_entries,
        .max_transfer_bytes = info->max_transfer_bytes,
    };
    struct nvme_memory one = {0};
    struct nvme_memory two = {0};
    enum nvme_error error = nvme_memory_needed(&config, &one);

    config.queue_count = 2;
    if (error == NVME_OK) {
        error = nvme_memory_needed(&config, &two);
    }
    printf("  memory           %zu bytes, %zu of them for DMA\n",
           info->memory_bytes.ordinary_bytes + info->memory_bytes.dma_bytes,
           info->memory_bytes.dma_bytes);
    if (error == NVME_OK) {
        printf("  memory per queue %zu bytes, %zu of them for DMA\n",
               two.ordinary_bytes - one.ordinary_bytes + two.dma_bytes - one.dma_bytes,
               two.dma_bytes - one.dma_bytes);
    }
}

static void print_interrupt(const struct storage_controller *controller,
                            const struct nvme_controller_info *info)
{
    uint32_t source = controller->function->irq_source;

    if (controller->msix.vector_count != 0) {
        printf("  interrupt        MSI-X, %" PRIu32 " vectors; delivery %s\n",
               controller->msix.vector_count, storage.delivery);
    } else if (source == 0 || !plic_present()) {
        printf("  interrupt        none usable: completion=poll\n");
    } else if (info->line_stuck) {
        printf("  interrupt        source %" PRIu32 ", its line is stuck: queues poll\n", source);
    } else {
        printf("  interrupt        INTx, source %" PRIu32 "; delivery %s\n", source,
               storage.delivery);
    }
    if (info->line_repairs != 0) {
        printf("  line repairs     %" PRIu32 "\n", info->line_repairs);
    }
}

static bool print_controller(const struct storage_controller *controller, uint32_t index)
{
    const struct pci_function *function = controller->function;
    struct nvme_controller_info info;

    nvme_controller_describe(controller->engine, &info);
    printf("controller %" PRIu32 " at PCI %02x:%02x.%u\n", index, function->bus, function->device,
           function->function);
    print_identity(&info);
    print_limits(&info);
    print_memory(controller, &info);
    print_interrupt(controller, &info);
    return print_namespaces(controller->engine);
}

int run_identify(const struct options *options)
{
    struct storage_config config = {
        .harts = (uint32_t)options->harts,
        .depth_entries = (uint32_t)options->iodepth + 1,
        .max_transfer_bytes = (uint32_t)options->max_transfer,
        .timeout_ns = options->timeout,
        .nsid = (uint32_t)options->nsid,
    };
    bool good = true;

    if (!storage_open(&storage, &config)) {
        return 1;
    }
    for (uint32_t i = 0; i < storage.controller_count; i++) {
        good = print_controller(&storage.controllers[i], i) && good;
    }
    return storage_close(&storage) && good ? 0 : 1;
}
