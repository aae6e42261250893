// SPDX-License-Identifier: MIT
/*
 * engine/nvme_sizes.h: its bounds hold for every configuration, and are not far above the need.
 */
#include "fixture.h"

enum { TRANSFERS = 9, MIB = 1024 * 1024 };

/* It is a constant expression. */
extern uint8_t dma[NVME_DMA_BYTES(1, 64)];
_Alignas(NVME_PAGE_DEFAULT) uint8_t dma[NVME_DMA_BYTES(1, 64)];

static const uint32_t transfers[TRANSFERS] = {
    4096, 8192, 65536, 128 * 1024 + 4096, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 4096, 64 * MIB,
};

static void check_bounds(struct fixture *fixture, uint32_t depth, bool everything)
{
    struct nvme_config *config = &fixture->config;
    uint32_t transfer = config->max_transfer_bytes;
    struct nvme_memory needed;
    size_t ordinary = NVME_ORDINARY_BYTES(config->queue_count, depth);
    size_t bytes = NVME_DMA_BYTES_FOR(config->queue_count, depth, config->cq_depth_entries,
                                      transfer != 0 ? transfer : NVME_TRANSFER_DEFAULT);
    /* A retried command's copy, a split record's end, and what the structures may still grow. */
    size_t spare = config->queue_count * (1024 + 144 * (size_t)depth) + 8192;

    config->depth_entries = depth;
    config->shadow_doorbells = everything;
    config->events = everything;
    config->retries_max = everything;
    config->bounce_bytes = everything ? 4096 + depth : 0;
    bytes += NVME_DMA_BYTES_BOUNCE(config->queue_count, depth, config->bounce_bytes);
    assert_int_equal(nvme_memory_needed(config, &needed), NVME_OK);
    assert_true(needed.ordinary_bytes <= ordinary);
    assert_true(needed.ordinary_bytes + spare >= ordinary);
    assert_true(needed.dma_bytes <= bytes);
    /* Bounce memory is cut to what a command may move. */
    assert_true(transfer == 4096 || needed.dma_bytes + (everything ? 0 : 3 * 4096) >= bytes);
}

static void start_config(struct fixture *fixture)
{
    fixture_init(fixture);
    fixture->model->cap.mqes = 65535;
    fixture->config.queue_count = 1;
}

static void bounds_hold_for_every_depth(void **state)
{
    struct fixture fixture;

    (void)state;
    start_config(&fixture);
    for (uint32_t depth = NVME_DEPTH_MIN; depth <= NVME_DEPTH_MAX; depth++) {
        fixture.config.cq_depth_entries = depth;
        fixture.config.max_transfer_bytes = transfers[depth % TRANSFERS];
        check_bounds(&fixture, depth, depth % 2 != 0);
    }
    fixture_drop(&fixture);
}

static void bounds_hold_for_every_number_of_queues(void **state)
{
    struct fixture fixture;

    (void)state;
    start_config(&fixture);
    for (uint32_t queues = 1; queues <= NVME_QUEUES_MAX; queues++) {
        fixture.config.queue_count = queues;
        for (uint32_t i = 0; i < TRANSFERS; i++) {
            fixture.config.max_transfer_bytes = transfers[i];
            fixture.config.cq_depth_entries = 33 + 100 * queues;
            check_bounds(&fixture, 33, true);
        }
    }
    fixture_drop(&fixture);
}

static void default_transfer_has_a_short_form(void **state)
{
    struct fixture fixture;
    struct nvme_memory needed;

    (void)state;
    start_config(&fixture);
    fixture.config.cq_depth_entries = 64;
    fixture.config.max_transfer_bytes = 0;
    check_bounds(&fixture, 64, true);
    fixture.config.bounce_bytes = 0;
    assert_int_equal(NVME_DMA_BYTES(1, 64), NVME_DMA_BYTES_FOR(1, 64, 64, NVME_TRANSFER_DEFAULT));
    assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_OK);
    assert_true(needed.dma_bytes <= sizeof(dma));
    fixture_drop(&fixture);
}

/* The device cuts the depths to MQES, which never needs more. */
static void bounds_hold_for_a_shallow_device(void **state)
{
    struct fixture fixture;

    (void)state;
    start_config(&fixture);
    fixture.config.cq_depth_entries = 64;
    for (uint32_t mqes = 1; mqes < 64; mqes++) {
        struct nvme_memory needed;

        fixture.model->cap.mqes = (uint16_t)mqes;
        fixture.config.depth_entries = 64;
        assert_int_equal(nvme_memory_needed(&fixture.config, &needed), NVME_OK);
        assert_true(needed.ordinary_bytes <= NVME_ORDINARY_BYTES(1, 64));
        assert_true(needed.dma_bytes <= NVME_DMA_BYTES(1, 64));
    }
    fixture_drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_for_every_depth),
        cmocka_unit_test(bounds_hold_for_every_number_of_queues),
        cmocka_unit_test(default_transfer_has_a_short_form),
        cmocka_unit_test(bounds_hold_for_a_shallow_device),
    };

    return fixture_run("sizes", tests, COUNT_OF(tests));
}
