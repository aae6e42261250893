// SPDX-License-Identifier: MIT
/*
 * The model's rules about memory and order, each broken on purpose. Rules about registers, barriers
 * of rings and commands are in test_model.c.
 */
#include "fixture.h"
#include "nvme_hal.h"

#define MS UINT64_C(1000000)

enum {
    SQ_1 = NVME_REG_DOORBELLS + 8,
    CC_READY = 0x460001,
};

static uint8_t buffer[3 * 4096] __attribute__((aligned(4096)));

static void write_register(const struct fixture *fixture, uint32_t offset, uint32_t value)
{
    hal_mmio_write32(fixture->model->bar + offset, value);
}

static uint32_t read_register(const struct fixture *fixture, uint32_t offset)
{
    return hal_mmio_read32(fixture->model->bar + offset);
}

static void post_read(struct fixture *fixture, struct outcome *outcome, uint32_t blocks)
{
    assert_int_equal(
        nvme_read(fixture->queues[0], &fixture->ns, 0, blocks, buffer, outcome_callback(outcome)),
        NVME_OK);
}

/* Rings in `buffer`, empty, and an admin queue of two entries that starts there. */
static void prepare_rings(struct fixture *fixture)
{
    fixture_init(fixture);
    world.maps = false;
    memset(buffer, 0, sizeof(buffer));
    model_allow_dma(fixture->model);
    fixture->model->aqa = 1U << 16 | 1;
    fixture->model->asq = (uintptr_t)buffer;
    fixture->model->acq = (uintptr_t)buffer + 4096;
    hal_dma_clean(NULL, buffer, sizeof(buffer));
    hal_before_doorbell();
}

/* ---- Order ------------------------------------------------------------------------------ */

static void enable_without_a_barrier_behind_the_rings_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    prepare_rings(&fixture);
    hal_dma_clean(NULL, buffer + 4096, 4096);
    write_register(&fixture, NVME_REG_CC, CC_READY);
    assert_true(world_expect_finding("after the rings were emptied"));
    write_register(&fixture, NVME_REG_CC, 0);
    hal_dma_clean(NULL, buffer + 4096, 4096);
    hal_before_doorbell();
    write_register(&fixture, NVME_REG_CC, CC_READY);
    fixture_drop(&fixture);
}

static void doorbell_without_a_barrier_behind_ready_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    prepare_rings(&fixture);
    write_register(&fixture, NVME_REG_CC, CC_READY);
    assert_int_equal(read_register(&fixture, NVME_REG_CSTS), 1);
    write_register(&fixture, NVME_REG_DOORBELLS, 0);
    assert_true(world_expect_finding("after CSTS.RDY was read"));
    fixture_drop(&fixture);
}

static void barrier_behind_ready_is_enough(void **state)
{
    struct fixture fixture;

    (void)state;
    prepare_rings(&fixture);
    write_register(&fixture, NVME_REG_CC, CC_READY);
    assert_int_equal(read_register(&fixture, NVME_REG_CSTS), 1);
    hal_after_mmio_read();
    write_register(&fixture, NVME_REG_DOORBELLS, 0);
    assert_true(world_expect_finding("adds nothing"));
    fixture_drop(&fixture);
}

static void doorbell_before_ready_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    prepare_rings(&fixture);
    fixture.model->ready_delay_ns = MS;
    write_register(&fixture, NVME_REG_CC, CC_READY);
    write_register(&fixture, NVME_REG_DOORBELLS, 1);
    assert_true(world_expect_finding("not ready"));
    fixture_drop(&fixture);
}

/* ---- Memory ----------------------------------------------------------------------------- */

static void data_that_are_not_invalidated_are_named(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    post_read(&fixture, &outcome, 1);
    nvme_queue_submit(fixture.queues[0]);
    /* The head is given back by somebody who has not looked at the data. */
    hal_before_doorbell();
    write_register(&fixture, SQ_1 + 4, 1);
    assert_true(world_expect_finding("not invalidated"));
    fixture_drop(&fixture);
}

static void ring_that_is_not_cleaned_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    prepare_rings(&fixture);
    world.cleans = 0;
    write_register(&fixture, NVME_REG_CC, CC_READY);
    assert_true(world_expect_finding("without being cleaned"));
    fixture_drop(&fixture);
}

static void entry_that_is_not_invalidated_is_named(void **state)
{
    struct fixture fixture;
    volatile struct nvme_completion *ring;

    (void)state;
    fixture_poll_queue(&fixture);
    ring = world_host(fixture.model->cqs[1].address);
    hal_dma_invalidate(NULL, (const void *)(uintptr_t)&ring[1], sizeof(ring[1]));
    (void)hal_dma_load32(&ring[1].status);
    assert_int_equal(world.findings, 0);
    (void)hal_dma_load32(&ring[0].status);
    assert_true(world_expect_finding("without being invalidated"));
    fixture_drop(&fixture);
}

static void invalidated_memory_of_the_hart_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    world.maps = false;
    world.keep = buffer + 64;
    world.keep_bytes = 64;
    hal_dma_invalidate(NULL, buffer, 64);
    hal_dma_invalidate(NULL, buffer + 128, 64);
    assert_int_equal(world.findings, 0);
    hal_dma_invalidate(NULL, buffer, 65);
    assert_true(world_expect_finding("did not write is invalidated"));
    fixture_drop(&fixture);
}

/* ---- Mapping ---------------------------------------------------------------------------- */

static void memory_that_is_not_mapped_is_named(void **state)
{
    struct outcome outcome = {0};
    struct fixture fixture;

    (void)state;
    fixture_poll_queue(&fixture);
    hal_dma_clean(NULL, buffer, 64);
    assert_true(world_expect_finding("cleans memory that is not mapped"));
    hal_dma_invalidate(NULL, buffer, 64);
    assert_true(world_expect_finding("invalidates memory that is not mapped"));
    (void)hal_dma_address(NULL, buffer);
    assert_true(world_expect_finding("an address of memory that is not mapped"));
    assert_true(hal_dma_map(NULL, buffer, 4096, NVME_DMA_TO_DEVICE));
    hal_dma_unmap(NULL, buffer, 4096, NVME_DMA_FROM_DEVICE);
    assert_true(world_expect_finding("that is not mapped so"));
    hal_dma_unmap(NULL, buffer, 4095, NVME_DMA_TO_DEVICE);
    assert_true(world_expect_finding("that is not mapped so"));
    hal_dma_unmap(NULL, buffer, 4096, NVME_DMA_TO_DEVICE);
    assert_int_equal(world.findings, 0);
    hal_dma_unmap(NULL, buffer, 4096, NVME_DMA_TO_DEVICE);
    assert_true(world_expect_finding("that is not mapped so"));
    /* The device writes where only its reads are mapped, and after that is gone. */
    fixture_submit(&fixture, 0, &outcome);
    hal_dma_unmap(NULL, fixture_block, BLOCK, NVME_DMA_FROM_DEVICE);
    nvme_queue_reap(fixture.queues[0], 1);
    assert_true(world_expect_finding("invalidates memory that is not mapped"));
    assert_int_equal(outcome.count, 1);
    fixture_drop(&fixture);
}

struct touch_case {
    const char *name;
    uint8_t opcode;
    enum nvme_dma_direction direction; /* of what is left mapped, 0: nothing */
    const char *finding;
};

static const struct touch_case touch_cases[] = {
    {"read_into_nothing", NVME_CMD_READ, 0, "writes to memory that is not mapped"},
    {"read_into_what_it_may_read", NVME_CMD_READ, NVME_DMA_TO_DEVICE, "writes to memory"},
    {"write_of_nothing", NVME_CMD_WRITE, 0, "reads memory that is not mapped"},
    {"write_of_what_it_may_fill", NVME_CMD_WRITE, NVME_DMA_FROM_DEVICE, "reads memory that"},
};

static void device_that_touches_what_is_not_mapped_is_named(void **state)
{
    const struct touch_case *this = *state;
    struct outcome outcome = {0};
    struct fixture fixture;
    struct nvme_io io = {.buffer = fixture_block,
                         .block_count = 1,
                         .opcode = this->opcode,
                         .callback = outcome_callback(&outcome)};
    uint32_t posted;

    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    assert_int_equal(nvme_post_many(fixture.queues[0], &fixture.ns, &io, 1, &posted), NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    hal_dma_unmap(NULL, fixture_block, BLOCK,
                  this->opcode == NVME_CMD_READ ? NVME_DMA_FROM_DEVICE : NVME_DMA_TO_DEVICE);
    if (this->direction != 0) {
        assert_true(hal_dma_map(NULL, fixture_block, BLOCK, this->direction));
    }
    model_step(fixture.model, 1);
    assert_true(world_expect_finding(this->finding));
    fixture_drop(&fixture);
}

struct clean_case {
    const char *name;
    uint32_t blocks;
    bool list; /* the list is at fault, not the data */
    const char *finding;
};

static const struct clean_case clean_cases[] = {
    {"data_not_cleaned", 1, false, "a buffer is not cleaned"},
    {"list_not_cleaned", 24, true, "a PRP list is not cleaned"},
};

/* The command of the case, as if it had been cleaned an epoch after its data or its list. */
static void what_is_not_cleaned_is_named(void **state)
{
    const struct clean_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_command *ring;

    fixture_poll_queue(&fixture);
    post_read(&fixture, &outcome, this->blocks);
    ring = world_host(fixture.model->sqs[1].address);
    hal_before_doorbell();
    if (this->list) {
        hal_dma_clean(NULL, buffer, sizeof(buffer));
    }
    hal_dma_clean(NULL, &ring[0], sizeof(ring[0]));
    nvme_queue_submit(fixture.queues[0]);
    assert_true(world_expect_finding(this->finding));
    fixture_drop(&fixture);
}

/* ---- Queues and commands ---------------------------------------------------------------- */

static void overflow_of_a_completion_queue_is_named(void **state)
{
    struct fixture fixture;
    struct nvme_completion entry = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    for (uint32_t i = 0; i + 1 < FIXTURE_DEPTH; i++) {
        model_post_entry(fixture.model, 1, entry);
    }
    assert_int_equal(world.findings, 0);
    model_post_entry(fixture.model, 1, entry);
    assert_true(world_expect_finding("overflows"));
    fixture_drop(&fixture);
}

static void command_above_mdts_is_named(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->mdts = 1;
    post_read(&fixture, &outcome, 17);
    nvme_queue_submit(fixture.queues[0]);
    assert_true(world_expect_finding("more than MDTS"));
    fixture_drop(&fixture);
}

struct create_case {
    const char *name;
    uint64_t prp1_offset;
    uint32_t cdw11;
    const char *finding;
};

static const struct create_case create_cases[] = {
    {"queue_not_contiguous", 0, 0, "not contiguous"},
    {"queue_inside_a_page", 64, 1, "not the start of a page"},
};

static void wrong_create_is_named(void **state)
{
    const struct create_case *this = *state;
    struct fixture fixture;
    struct nvme_command *ring;

    fixture_poll_queue(&fixture);
    memset(buffer, 0, sizeof(buffer));
    ring = world_host(fixture.model->sqs[0].address);
    ring += fixture.model->sqs[0].tail;
    *ring = (struct nvme_command){
        .cdw0 = NVME_ADMIN_CREATE_CQ | 0x1234U << 16,
        .prp1 = (uintptr_t)buffer + this->prp1_offset,
        .cdw10 = 3U << 16 | 2,
        .cdw11 = this->cdw11,
    };
    hal_dma_clean(NULL, ring, sizeof(*ring));
    hal_before_doorbell();
    write_register(&fixture, NVME_REG_DOORBELLS, fixture.model->sqs[0].tail + 1);
    assert_true(world_expect_finding(this->finding));
    fixture_drop(&fixture);
}

static void register_that_is_none_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    (void)read_register(&fixture, NVME_REG_DOORBELLS);
    assert_true(world_expect_finding("a register that is none"));
    (void)hal_mmio_read32(buffer);
    assert_true(world_expect_finding("outside of every controller"));
    fixture_drop(&fixture);
}

int main(void)
{
    struct CMUnitTest
        tests[12 + COUNT_OF(clean_cases) + COUNT_OF(create_cases) + COUNT_OF(touch_cases)] = {
            cmocka_unit_test(memory_that_is_not_mapped_is_named),
            cmocka_unit_test(enable_without_a_barrier_behind_the_rings_is_named),
            cmocka_unit_test(doorbell_without_a_barrier_behind_ready_is_named),
            cmocka_unit_test(barrier_behind_ready_is_enough),
            cmocka_unit_test(doorbell_before_ready_is_named),
            cmocka_unit_test(data_that_are_not_invalidated_are_named),
            cmocka_unit_test(ring_that_is_not_cleaned_is_named),
            cmocka_unit_test(entry_that_is_not_invalidated_is_named),
            cmocka_unit_test(invalidated_memory_of_the_hart_is_named),
            cmocka_unit_test(overflow_of_a_completion_queue_is_named),
            cmocka_unit_test(command_above_mdts_is_named),
            cmocka_unit_test(register_that_is_none_is_named),
        };
    size_t count = 12;

    ADD_CASES(tests, &count, what_is_not_cleaned_is_named, clean_cases);
    ADD_CASES(tests, &count, wrong_create_is_named, create_cases);
    ADD_CASES(tests, &count, device_that_touches_what_is_not_mapped_is_named, touch_cases);
    return fixture_run("rules", tests, count);
}
