// SPDX-License-Identifier: MIT
/*
 * Physical Region Pages: buffers -> PRP1, PRP2, PRP lists.
 *
 * Pure: it touches only the command and the list memory. PRP1 may start anywhere in a page; every
 * further entry is the start of one. If a list does not fit into a page, the last entry of the page
 * points to the next page of the list. NVMe Base 2.0 §4.1.1.
 */
#include "nvme_internal.h"

enum { PRP_BYTES = 8 };

size_t nvme_prp_list_bytes(uint32_t max_transfer_bytes, uint32_t page_bytes)
{
    /* An unaligned buffer touches one page more than its size fills; PRP1 is not in the list. */
    size_t entries = ((size_t)max_transfer_bytes + page_bytes - 1) / page_bytes;
    size_t per_page = page_bytes / PRP_BYTES;
    size_t bytes = PRP_BYTES;

    if (entries > per_page) {
        return (entries - 1 + per_page - 2) / (per_page - 1) * page_bytes;
    }
    while (bytes < entries * PRP_BYTES) {
        bytes *= 2;
    }
    return bytes;
}

/* Fills the list, chaining at the end of each page. `page` is the first page of data in it. */
static void fill_list(const struct nvme_prp_build *build, const uint8_t *page, size_t count)
{
    uint8_t *list = build->list;
    size_t index = 0;
    size_t per_page = build->page_bytes / PRP_BYTES;

    for (size_t left = count; left > 0; left--) {
        if (index == per_page - 1 && left > 1) {
            uint8_t *next = list + build->page_bytes;

            ((uint64_t *)(void *)list)[index] = hal_dma_address(build->dma_context, next);
            hal_dma_clean(build->dma_context, list, build->page_bytes);
            list = next;
            index = 0;
        }
        ((uint64_t *)(void *)list)[index] = hal_dma_address(build->dma_context, page);
        page += build->page_bytes;
        index++;
    }
    hal_dma_clean(build->dma_context, list, index * PRP_BYTES);
}

void nvme_prp_fill(struct nvme_command *command, const struct nvme_prp_build *build)
{
    uint32_t offset = (uint32_t)(uintptr_t)build->buffer & (build->page_bytes - 1);
    uint32_t first = build->page_bytes - offset;
    const uint8_t *page = (const uint8_t *)build->buffer + first;
    size_t rest;

    command->prp1 = hal_dma_address(build->dma_context, build->buffer);
    command->prp2 = 0;
    if (build->size_bytes <= first) {
        return;
    }
    rest = build->size_bytes - first;
    if (rest <= build->page_bytes) {
        command->prp2 = hal_dma_address(build->dma_context, page);
        return;
    }
    fill_list(build, page, (rest + build->page_bytes - 1) / build->page_bytes);
    command->prp2 = hal_dma_address(build->dma_context, build->list);
}
