// SPDX-License-Identifier: MIT
/*
 * The bring-up of a block device that owns its controller: see block_device.h.
 */
#include "block_device.h"
#include "nvme.h"

enum { DEPTH = 2 * NVME_SPLIT_WINDOW };

/* What block_open() keeps at the front of the ordinary memory. */
struct kept {
    _Alignas(NVME_ORDINARY_ALIGNMENT) struct nvme_namespace ns;
};

static struct nvme_config engine_config(const struct block_config *config)
{
    return (struct nvme_config){
        .registers = config->registers,
        .registers_size_bytes = config->registers_bytes,
        .dma_context = config->dma_context,
        .pci_vendor = config->pci_vendor,
        .pci_device = config->pci_device,
        .queue_count = 1,
        .depth_entries = DEPTH,
        .msix = config->vector != 0,
        .bus_master = config->bus_master,
        .intx_level = config->intx_level,
        .hook_arg = config->hooks.arg,
    };
}

int32_t block_memory_needed(struct block_config *config)
{
    struct nvme_config engine = engine_config(config);
    struct nvme_memory memory = {0};
    enum nvme_error error = nvme_memory_needed(&engine, &memory);

    if (error == NVME_OK) {
        config->ordinary_bytes = sizeof(struct kept) + memory.ordinary_bytes;
        config->dma_bytes = memory.dma_bytes;
    }
    return error;
}

/* The namespace that is asked for, or the first that can be used. */
static enum nvme_error namespace_find(struct nvme_controller *controller, uint32_t nsid,
                                      struct nvme_namespace *ns)
{
    enum nvme_error error = NVME_ERR_NAMESPACE;
    uint32_t next = 0;

    if (nsid != 0) {
        return nvme_namespace_open(controller, nsid, ns);
    }
    while (error == NVME_ERR_NAMESPACE || error == NVME_ERR_UNSUPPORTED) {
        enum nvme_error none = nvme_namespace_next(controller, next, &next);

        if (none != NVME_OK) {
            return none == NVME_ERR_NAMESPACE ? error : none;
        }
        error = nvme_namespace_open(controller, next, ns);
        if (error == NVME_OK && ns->block_bytes > BLOCK_COPY_BYTES) {
            error = NVME_ERR_UNSUPPORTED;
        }
    }
    return error;
}

/* What comes after the controller. */
static int32_t device_open(struct block_device *device, const struct block_config *config,
                           struct nvme_controller *controller)
{
    struct nvme_namespace *ns = &((struct kept *)config->ordinary)->ns;
    bool polled = config->hooks.sleep == NULL;
    struct nvme_queue_config queue_config = {
        .owner = config->hart,
        .mode = polled ? NVME_MODE_POLL : NVME_MODE_INTERRUPT,
        .irq_off = true,
        .vector = polled ? 0 : config->vector,
    };
    struct nvme_queue *queue;
    enum nvme_error error = namespace_find(controller, config->nsid, ns);

    if (error == NVME_OK) {
        error = nvme_queue_open(controller, 0, &queue_config, &queue);
    }
    if (error != NVME_OK) {
        return error;
    }
    return block_attach(device, queue, ns, &config->hooks, config->alignment);
}

int32_t block_open(struct block_device *device, const struct block_config *config)
{
    struct nvme_config engine = engine_config(config);
    struct nvme_controller *controller;
    struct nvme_memory memory = {
        .ordinary = (struct kept *)config->ordinary + 1,
        .dma = config->dma,
        .dma_bytes = config->dma_bytes,
    };
    int32_t error;

    if (config->ordinary_bytes < sizeof(struct kept)) {
        return NVME_ERR_MEMORY;
    }
    memory.ordinary_bytes = config->ordinary_bytes - sizeof(struct kept);
    error = nvme_controller_open(&engine, &memory, &controller);
    if (error != NVME_OK) {
        return error;
    }
    error = device_open(device, config, controller);
    if (error != NVME_OK) {
        return nvme_controller_close(controller) == NVME_ERR_STUCK ? NVME_ERR_STUCK : error;
    }
    device->controller = controller;
    device->vector = config->vector;
    return NVME_OK;
}

int32_t block_close(struct block_device *device)
{
    return nvme_controller_close(device->controller);
}
