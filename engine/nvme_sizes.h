// SPDX-License-Identifier: MIT
/*
 * Sizes of the two regions at compile time, for kernels that keep them in static arrays. They are
 * upper bounds of what nvme_memory_needed asks for, whatever else the configuration wants, if
 * nvme_config.page_bytes is 0 or NVME_PAGE_DEFAULT. With larger pages ask nvme_memory_needed.
 *
 *     static _Alignas(NVME_ORDINARY_ALIGNMENT) uint8_t ordinary[NVME_ORDINARY_BYTES(1, 64)];
 *     static _Alignas(NVME_PAGE_DEFAULT) uint8_t dma[NVME_DMA_BYTES(1, 64)];
 */
#ifndef NVME_SIZES_H
#define NVME_SIZES_H

/*
 * Bytes of nvme_memory.ordinary and nvme_memory.dma.
 * Parameters: queues: nvme_config.queue_count. depth: depth_entries, which is cq_depth_entries too;
 *   max_transfer_bytes and bounce_bytes are 0.
 */
#define NVME_ORDINARY_BYTES(queues, depth)                                                         \
    (NVME_SIZE_CONTROLLER + NVME_SIZE_SLOTS(NVME_ADMIN_DEPTH) +                                    \
     (size_t)(queues) * (NVME_SIZE_QUEUE + NVME_SIZE_SLOTS(depth)))
#define NVME_DMA_BYTES(queues, depth)                                                              \
    NVME_DMA_BYTES_FOR(queues, depth, depth, NVME_TRANSFER_DEFAULT)

/* The same for other values of cq_depth_entries and max_transfer_bytes, of which none is 0. */
#define NVME_DMA_BYTES_FOR(queues, depth, cq_depth, transfer)                                      \
    (4 * (size_t)NVME_PAGE_DEFAULT +                                                               \
     NVME_SIZE_RINGS(NVME_ADMIN_DEPTH, NVME_ADMIN_DEPTH, transfer) +                               \
     (size_t)(queues)*NVME_SIZE_RINGS(depth, cq_depth, transfer))

/* What bounce_bytes needs more of nvme_memory.dma. */
#define NVME_DMA_BYTES_BOUNCE(queues, depth, bounce)                                               \
    ((size_t)(queues) * ((size_t)(depth)-1) * NVME_SIZE_PAGES(bounce))

/* ---- Parts: not for the caller ------------------------------------------------------------ */

/* At least the engine's structures, which memory.c compares. */
#define NVME_SIZE_CONTROLLER ((size_t)2560)
#define NVME_SIZE_QUEUE ((size_t)1024)
#define NVME_SIZE_REQUEST ((size_t)64)
#define NVME_SIZE_SPLIT ((size_t)128)
#define NVME_SIZE_COMMAND ((size_t)64)
#define NVME_SIZE_COMPLETION ((size_t)16)

#define NVME_SIZE_POWER(n)                                                                         \
    ((size_t)((n) <= 1      ? 1                                                                    \
              : (n) <= 2    ? 2                                                                    \
              : (n) <= 4    ? 4                                                                    \
              : (n) <= 8    ? 8                                                                    \
              : (n) <= 16   ? 16                                                                   \
              : (n) <= 32   ? 32                                                                   \
              : (n) <= 64   ? 64                                                                   \
              : (n) <= 128  ? 128                                                                  \
              : (n) <= 256  ? 256                                                                  \
              : (n) <= 512  ? 512                                                                  \
              : (n) <= 1024 ? 1024                                                                 \
              : (n) <= 2048 ? 2048                                                                 \
                            : 4096))
#define NVME_SIZE_PAGES(bytes)                                                                     \
    (((size_t)(bytes) + NVME_PAGE_DEFAULT - 1) / NVME_PAGE_DEFAULT * NVME_PAGE_DEFAULT)
#define NVME_SIZE_SLOTS(depth)                                                                     \
    (NVME_SIZE_POWER(depth) * NVME_SIZE_REQUEST +                                                  \
     (size_t)(depth) * (NVME_SIZE_SPLIT + NVME_SIZE_COMMAND))
/* A PRP list: an entry of 8 bytes for each page; in several pages the last entry is a link. */
#define NVME_SIZE_LIST(transfer)                                                                   \
    ((transfer) <= 512 * NVME_PAGE_DEFAULT                                                         \
         ? NVME_SIZE_POWER(NVME_SIZE_PAGES(transfer) / NVME_PAGE_DEFAULT) * 8                      \
         : NVME_SIZE_PAGES((NVME_SIZE_PAGES(transfer) / NVME_PAGE_DEFAULT + 509) / 511 * 4096))
#define NVME_SIZE_RINGS(depth, cq_depth, transfer)                                                 \
    (NVME_SIZE_PAGES((depth)*NVME_SIZE_COMMAND) +                                                  \
     NVME_SIZE_PAGES((cq_depth)*NVME_SIZE_COMPLETION) +                                            \
     NVME_SIZE_PAGES(((size_t)(depth)-1) * NVME_SIZE_LIST(transfer)))

#endif
