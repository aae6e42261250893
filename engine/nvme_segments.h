// SPDX-License-Identifier: MIT
/*
 * Scatter lists: reads and writes whose data lie in several places. Part of the public API; nvme.h
 * has the rules, and this header is included by those who need it.
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
 * controller has SGLs (nvme_controller_info.sgl_alignment). Nothing is copied.
 * Parameters: lba: first block. segments: whole blocks together, at most ns->max_blocks of them: a
 *   request is not split. The array and the data are the engine's until done() runs (R9).
 * Context: as nvme_read.
 * Cost: a walk over the segments and their pages; no MMIO.
 * Errors: those of nvme_read. NVME_ERR_LENGTH: no whole blocks, more than ns->max_blocks, or more
 *   pieces than the slot's list has room for: max_transfer_bytes / page_bytes pages, or half as
 *   many pieces of an SGL. NVME_ERR_ALIGNMENT: PRPs cannot carry them, and the
 *   controller has no SGLs, or some that need dword alignment.
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
