// SPDX-License-Identifier: MIT
/*
 * Prints how much memory the engine asks for: the bytes that one more queue of a depth costs.
 */
#include <stdio.h>

#include "nvme.h"

/* A controller as QEMU 7.2 describes itself: MQES 2048, TO 7.5 s, pages of 4 KiB, NVM commands. */
static const uint32_t cap[2] = {0x0f0107ff, 0x00004020};

static struct nvme_memory needed(uint32_t queues, uint32_t depth, uint32_t transfer)
{
    static uint32_t registers[(NVME_REG_DOORBELLS + 4096) / 4];
    struct nvme_config config = {
        .registers = registers,
        .registers_size_bytes = sizeof(registers),
        .queue_count = queues,
        .depth_entries = depth,
        .max_transfer_bytes = transfer,
    };
    struct nvme_memory memory = {0};
    enum nvme_error error;

    registers[0] = cap[0];
    registers[1] = cap[1];
    error = nvme_memory_needed(&config, &memory);
    if (error != NVME_OK) {
        printf("error: %s\n", nvme_error_text(error));
    }
    return memory;
}

int main(void)
{
    static const uint32_t depths[] = {33, 129, 1024};
    static const uint32_t transfers[] = {128 * 1024, 1024 * 1024};

    printf("%-8s %-14s %12s %12s %12s\n", "depth", "max transfer", "ordinary", "DMA",
           "bytes/queue");
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 2; j++) {
            struct nvme_memory one = needed(1, depths[i], transfers[j]);
            struct nvme_memory two = needed(2, depths[i], transfers[j]);
            size_t ordinary = two.ordinary_bytes - one.ordinary_bytes;
            size_t dma = two.dma_bytes - one.dma_bytes;

            printf("%-8u %-14u %12zu %12zu %12zu\n", (unsigned)depths[i], (unsigned)transfers[j],
                   ordinary, dma, ordinary + dma);
            if (ordinary == 0 || dma == 0) {
                return 1;
            }
        }
    }
    return 0;
}
