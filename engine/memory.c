// SPDX-License-Identifier: MIT
/*
 * The two regions: their sizes and their layout.
 *
 * One walk allots every part in order. Without memory it measures, with the given regions it
 * assigns, so the two cannot disagree. Ordinary memory: controller, queues, slots, split records.
 * DMA memory: rings, pages for Identify and logs, shadow doorbells, PRP lists, bounce memory.
 */
#include "nvme_internal.h"

enum {
    PAGE_MIN = 4096,
    TRANSFER_MAX = 64 * 1024 * 1024,
    BOUNCE_MAX = 2 * 1024 * 1024, /* a PRP list of one page */
};
#define TIMEOUT_MIN_NS UINT64_C(1000000000)

_Static_assert(sizeof(struct nvme_controller) <= NVME_SIZE_CONTROLLER, "nvme_sizes.h");
_Static_assert(sizeof(struct nvme_queue) <= NVME_SIZE_QUEUE, "nvme_sizes.h");
_Static_assert(sizeof(struct nvme_request) <= NVME_SIZE_REQUEST, "nvme_sizes.h");
_Static_assert(sizeof(struct nvme_split) <= NVME_SIZE_SPLIT, "nvme_sizes.h");

/* The used part of a region. base is NULL while measuring. */
struct cursor {
    uint8_t *base;
    size_t used;
};

static void *take_bytes(struct cursor *cursor, size_t bytes, size_t alignment)
{
    size_t start = (cursor->used + alignment - 1) & ~(alignment - 1);

    cursor->used = start + bytes;
    return cursor->base != NULL ? cursor->base + start : NULL;
}

/* Allots the parts of one queue, for its largest depth. */
static struct nvme_queue take_queue(struct cursor *ordinary, struct cursor *dma,
                                    const struct nvme_layout *layout, uint32_t depth,
                                    uint32_t cq_depth)
{
    struct nvme_queue queue = {0};
    size_t slots = depth - 1;
    size_t table = (size_t)nvme_request_slot_mask(depth) + 1;
    size_t list = layout->list_stride_bytes;

    queue.depth_limit = depth;
    queue.cq_depth_limit = cq_depth;
    queue.list_stride_bytes = list;
    queue.requests =
        take_bytes(ordinary, table * sizeof(struct nvme_request), NVME_ORDINARY_ALIGNMENT);
    queue.splits = take_bytes(ordinary, slots * sizeof(struct nvme_split), NVME_ORDINARY_ALIGNMENT);
    queue.sq = take_bytes(dma, depth * sizeof(struct nvme_command), layout->page_bytes);
    queue.cq = take_bytes(dma, cq_depth * sizeof(struct nvme_completion), layout->page_bytes);
    queue.lists = take_bytes(dma, slots * list, layout->page_bytes);
    return queue;
}

/* Allots all parts of one controller, in order. The first is the controller itself. */
static void take_all(struct cursor *ordinary, struct cursor *dma, const struct nvme_config *config,
                     struct nvme_layout *layout)
{
    struct nvme_controller *controller =
        take_bytes(ordinary, sizeof(*controller), NVME_ORDINARY_ALIGNMENT);
    struct nvme_queue *queues =
        take_bytes(ordinary, config->queue_count * sizeof(*queues), NVME_ORDINARY_ALIGNMENT);
    uint8_t *page = take_bytes(dma, layout->page_bytes, layout->page_bytes);
    uint8_t *shadow = config->shadow_doorbells
                          ? take_bytes(dma, 2 * (size_t)layout->page_bytes, layout->page_bytes)
                          : NULL;
    uint8_t *log = config->events ? take_bytes(dma, layout->page_bytes, layout->page_bytes) : NULL;
    struct nvme_queue queue = take_queue(ordinary, dma, layout, NVME_ADMIN_DEPTH, NVME_ADMIN_DEPTH);

    if (controller != NULL) {
        controller->identify_page = page;
        controller->shadow_pages = shadow;
        controller->events.page = log;
        controller->queues = queues;
        controller->admin = queue;
    }
    for (uint32_t i = 0; i < config->queue_count; i++) {
        size_t ordinary_before = ordinary->used;
        size_t dma_before = dma->used;

        queue = take_queue(ordinary, dma, layout, layout->depth_entries, layout->cq_depth_entries);
        if (config->retries_max != 0) {
            queue.kept = take_bytes(ordinary, queue.depth_limit * sizeof(struct nvme_command),
                                    NVME_ORDINARY_ALIGNMENT);
        }
        queue.bounce_bytes = layout->bounce_bytes;
        queue.bounces = take_bytes(dma, ((size_t)queue.depth_limit - 1) * queue.bounce_bytes,
                                   layout->page_bytes);
        if (controller != NULL) {
            queues[i] = queue;
        }
        layout->queue_ordinary_bytes = ordinary->used - ordinary_before + sizeof(queue);
        layout->queue_dma_bytes = dma->used - dma_before;
    }
    take_bytes(dma, 0, layout->page_bytes);
}

/* Checks the ranges that nvme.h states. */
static enum nvme_error check_config(const struct nvme_config *config)
{
    uint32_t page = config->page_bytes;

    if (config->registers == NULL || (uintptr_t)config->registers % 4 != 0 ||
        config->registers_size_bytes < NVME_REG_DOORBELLS + 2 * sizeof(uint32_t)) {
        return NVME_ERR_CONFIG;
    }
    if (config->queue_count < 1 || config->queue_count > NVME_QUEUES_MAX ||
        config->depth_entries < NVME_DEPTH_MIN || config->depth_entries > NVME_DEPTH_MAX) {
        return NVME_ERR_CONFIG;
    }
    if (config->cq_depth_entries != 0 && (config->cq_depth_entries < config->depth_entries ||
                                          config->cq_depth_entries > NVME_CQ_DEPTH_MAX)) {
        return NVME_ERR_CONFIG;
    }
    if (page != 0 && (page < PAGE_MIN || (page & (page - 1)) != 0)) {
        return NVME_ERR_CONFIG;
    }
    if (config->max_transfer_bytes > TRANSFER_MAX || config->bounce_bytes > BOUNCE_MAX) {
        return NVME_ERR_CONFIG;
    }
    if (config->command_timeout_ns != 0 && config->command_timeout_ns < TIMEOUT_MIN_NS) {
        return NVME_ERR_CONFIG;
    }
    if (config->shared && (config->msix || config->send_ipi == NULL)) {
        return NVME_ERR_CONFIG;
    }
    return NVME_OK;
}

/* Decodes CAP. Only controller.c also reads it, for time-outs and doorbells. */
static enum nvme_error read_cap(const struct nvme_config *config, struct nvme_layout *layout)
{
    uint32_t low = nvme_register_read(config, NVME_REG_CAP);
    uint32_t high = nvme_register_read(config, NVME_REG_CAP + 4);
    uint32_t port_page = config->page_bytes != 0 ? config->page_bytes : NVME_PAGE_DEFAULT;
    uint64_t cap = (uint64_t)high << 32 | low;
    uint64_t page = (uint64_t)PAGE_MIN << NVME_GET(NVME_CAP_MPSMIN, cap);
    uint32_t depth_limit = (uint32_t)NVME_GET(NVME_CAP_MQES, cap) + 1;

    if (low == NVME_REGISTER_GONE && high == NVME_REGISTER_GONE) {
        return NVME_ERR_REMOVED;
    }
    if (NVME_GET(NVME_CAP_CSS_NVM, cap) == 0 || depth_limit < NVME_DEPTH_MIN) {
        return NVME_ERR_UNSUPPORTED;
    }
    if (page > port_page) {
        nvme_event_emit(config, &(struct nvme_event){
                                    .kind = NVME_EVENT_PAGE_SIZE,
                                    .value = page,
                                    .limit = port_page,
                                });
        return NVME_ERR_UNSUPPORTED;
    }
    layout->cap = cap;
    layout->page_bytes = (uint32_t)page;
    layout->depth_entries =
        config->depth_entries < depth_limit ? config->depth_entries : depth_limit;
    layout->cq_depth_entries =
        config->cq_depth_entries < depth_limit ? config->cq_depth_entries : depth_limit;
    if (layout->cq_depth_entries < layout->depth_entries) {
        layout->cq_depth_entries = layout->depth_entries;
    }
    return NVME_OK;
}

enum nvme_error nvme_layout_build(const struct nvme_config *config, struct nvme_layout *layout)
{
    struct nvme_layout built = {0};
    struct cursor ordinary = {0};
    struct cursor dma = {0};
    enum nvme_error error = check_config(config);

    if (error == NVME_OK) {
        error = read_cap(config, &built);
    }
    if (error != NVME_OK) {
        return error;
    }
    built.max_transfer_bytes =
        config->max_transfer_bytes != 0 ? config->max_transfer_bytes : NVME_TRANSFER_DEFAULT;
    if (built.max_transfer_bytes < built.page_bytes) {
        return NVME_ERR_CONFIG;
    }
    built.max_transfer_bytes &= ~(built.page_bytes - 1);
    built.bounce_bytes = (config->bounce_bytes + built.page_bytes - 1) & ~(built.page_bytes - 1);
    if (built.bounce_bytes > built.max_transfer_bytes) {
        built.bounce_bytes = built.max_transfer_bytes;
    }
    built.list_stride_bytes = nvme_prp_list_bytes(built.max_transfer_bytes, built.page_bytes);
    take_all(&ordinary, &dma, config, &built);
    built.ordinary_bytes = ordinary.used;
    built.dma_bytes = dma.used;
    *layout = built;
    return NVME_OK;
}

enum nvme_error nvme_memory_needed(const struct nvme_config *config, struct nvme_memory *needed)
{
    struct nvme_layout layout;
    enum nvme_error error = nvme_layout_build(config, &layout);

    if (error == NVME_OK) {
        needed->ordinary_bytes = layout.ordinary_bytes;
        needed->dma_bytes = layout.dma_bytes;
    }
    return error;
}

/* CAP.CQR, and PC = 1 of our rings: the pages of a ring must be contiguous. */
static bool is_contiguous(void *context, const volatile void *ring, size_t bytes,
                          uint32_t page_bytes)
{
    const uint8_t *start = (const uint8_t *)(uintptr_t)ring;
    uint64_t address = hal_dma_address(context, start);

    for (size_t offset = 0; offset < bytes; offset += page_bytes) {
        if (hal_dma_address(context, start + offset) != address + offset) {
            return false;
        }
    }
    return address % page_bytes == 0;
}

static bool rings_contiguous(const struct nvme_config *config, const struct nvme_queue *queue,
                             uint32_t page_bytes)
{
    size_t depth = queue->depth_limit;

    return is_contiguous(config->dma_context, queue->sq, depth * sizeof(struct nvme_command),
                         page_bytes) &&
           is_contiguous(config->dma_context, queue->cq,
                         queue->cq_depth_limit * sizeof(struct nvme_completion), page_bytes);
}

static enum nvme_error check_regions(const struct nvme_config *config,
                                     const struct nvme_memory *memory,
                                     const struct nvme_layout *layout)
{
    bool ordinary_small = memory->ordinary_bytes < layout->ordinary_bytes;

    if (ordinary_small || memory->dma_bytes < layout->dma_bytes) {
        nvme_event_emit(config,
                        &(struct nvme_event){
                            .kind = NVME_EVENT_MEMORY_SMALL,
                            .value = ordinary_small ? memory->ordinary_bytes : memory->dma_bytes,
                            .limit = ordinary_small ? layout->ordinary_bytes : layout->dma_bytes,
                        });
        return NVME_ERR_MEMORY;
    }
    if (memory->ordinary == NULL || (uintptr_t)memory->ordinary % NVME_ORDINARY_ALIGNMENT != 0 ||
        memory->dma == NULL || (uintptr_t)memory->dma % layout->page_bytes != 0) {
        return NVME_ERR_MEMORY;
    }
    return NVME_OK;
}

enum nvme_error nvme_memory_assign(const struct nvme_config *config,
                                   const struct nvme_memory *memory,
                                   const struct nvme_layout *layout,
                                   struct nvme_controller **controller)
{
    struct cursor ordinary = {.base = memory->ordinary};
    struct cursor dma = {.base = memory->dma};
    struct nvme_layout scratch = *layout;
    struct nvme_controller *made = memory->ordinary;
    enum nvme_error error = check_regions(config, memory, layout);

    if (error != NVME_OK) {
        return error;
    }
    nvme_memset(memory->ordinary, 0, layout->ordinary_bytes);
    nvme_memset(memory->dma, 0, layout->dma_bytes);
    take_all(&ordinary, &dma, config, &scratch);
    if (!rings_contiguous(config, &made->admin, layout->page_bytes)) {
        return NVME_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < config->queue_count; i++) {
        if (!rings_contiguous(config, &made->queues[i], layout->page_bytes)) {
            return NVME_ERR_MEMORY;
        }
    }
    *controller = made;
    return NVME_OK;
}
