// SPDX-License-Identifier: MIT
/*
 * Private to the engine, and part of nvme_internal.h: what is done with the data of a request
 * beside its command, up to its end. Without a port that maps DMA only hal_dma_invalidate is left.
 */
#ifndef NVME_DATA_INTERNAL_H
#define NVME_DATA_INTERNAL_H

#include "nvme_internal.h"

_Static_assert((int)NVME_DMA_TO_DEVICE == (int)NVME_TRANSFER_TO_DEVICE &&
                   (int)NVME_DMA_FROM_DEVICE == (int)NVME_TRANSFER_FROM_DEVICE,
               "a direction is the transfer bits of an opcode");

/* Maps data before a command of this opcode is posted. NVME_ERR_MAP: nothing is mapped. */
static inline enum nvme_error nvme_data_map(const struct nvme_queue *queue, void *buffer,
                                            uint64_t size_bytes, uint32_t opcode)
{
    return !NVME_PORT_MAPS_DMA || size_bytes == 0 ||
                   hal_dma_map(queue->controller->config.dma_context, buffer, size_bytes,
                               (enum nvme_dma_direction)(opcode & NVME_DMA_BOTH))
               ? NVME_OK
               : NVME_ERR_MAP;
}

/* The slot of the command has them from here on: nvme_request_end() unmaps them. */
static inline void nvme_data_keep(struct nvme_request *request, void *buffer, uint32_t opcode)
{
    if (NVME_PORT_MAPS_DMA) {
        request->buffer = buffer;
        request->mapped = opcode & NVME_DMA_BOTH;
    }
}

/* Before done(). Not for a write: its buffer may share a cache line with data of the hart. */
static inline void nvme_request_take_data(const struct nvme_queue *queue,
                                          const struct nvme_request *request)
{
    if (request->buffer != NULL && !(NVME_PORT_MAPS_DMA && request->mapped == NVME_DMA_TO_DEVICE)) {
        hal_dma_invalidate(queue->controller->config.dma_context, request->buffer,
                           request->size_bytes);
    }
}

/* The device no longer touches the data: they are unmapped, whatever the end. */
static inline void nvme_request_end(struct nvme_queue *queue, struct nvme_request *request,
                                    struct nvme_result result)
{
    if (NVME_PORT_MAPS_DMA && request->mapped != 0) {
        hal_dma_unmap(queue->controller->config.dma_context, request->buffer, request->size_bytes,
                      (enum nvme_dma_direction)request->mapped);
    }
    /* The slot before done(): it may post again, and then finds it free. */
    nvme_request_release(queue, request);
    request->done(request->arg, result);
}

#endif
