// SPDX-License-Identifier: MIT
/*
 * Scatter lists: reads and writes whose data lie in several places. Part of the public API; nvme.h
 * has the rules, and this header is included by those who need it.
 *
 * Bounce: nvme_config.bounce_bytes gives each slot of an I/O queue DMA memory of its own. It is
 * rounded up to pages, cut to max_transfer_bytes, and at most 2 MiB. A request of one command whose
 * data the device cannot take as they are passes through it, if they fit. The post copies what it
 * writes; what it reads is copied before done(), if it ended well. nvme_counters.bounces counts it.
 * nvme_read, nvme_write and nvme_post_many then take buffers that are not dword aligned, by an SGL
 * or by a copy. One that is longer than the slot's memory gets NVME_ERR_ALIGNMENT as ever.
 */
#ifndef NVME_SEGMENTS_H
#define NVME_SEGMENTS_H

#include "nvme.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A part of the data of a request. */
struct nvme_segment {
    void *pointer;  /* only read by a write */
    uint32_t bytes; /* 1 or more */
};

/*
 * Post a read or a write of one command whose data lie in `count` segments, in this order.
 * PRPs carry them if each segment but the first starts on a page (nvme_controller_info.page_bytes),
 * each but the last ends on one, and the first is dword aligned. Else an SGL does, if the
 * controller has SGLs (nvme_controller_info.sgl_alignment). Else they are copied, if they fit.
 * Parameters: lba: first block. segments: whole blocks together, at most ns->max_blocks of them: a
 *   request is not split. The array and the data are the engine's until done() runs (R9).
 * Context: as nvme_read.
 * Cost: a walk over the segments and their pages; no MMIO.
 * Errors: those of nvme_read. NVME_ERR_LENGTH: no whole blocks, more than ns->max_blocks, an empty
 *   segment, or more pieces than the slot's list has room for: max_transfer_bytes / page_bytes
 *   pages, or half as many pieces of an SGL. NVME_ERR_ALIGNMENT: PRPs cannot carry them, and the
 *   controller has no SGLs, or some that need dword alignment. A copy needs neither.
 */
NVME_WARN_UNUSED enum nvme_error nvme_readv(struct nvme_queue *queue,
                                            const struct nvme_namespace *ns, uint64_t lba,
                                            const struct nvme_segment *segments, uint32_t count,
                                            struct nvme_callback callback);
NVME_WARN_UNUSED enum nvme_error nvme_writev(struct nvme_queue *queue,
                                             const struct nvme_namespace *ns, uint64_t lba,
                                             const struct nvme_segment *segments, uint32_t count,
                                             struct nvme_callback callback);

#ifdef __cplusplus
}
#endif

#endif
