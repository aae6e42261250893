// SPDX-License-Identifier: MIT
/*
 * The model's own tests: each rule it checks is broken here on purpose, by hand or through the
 * engine, and must be named.
 */
#include "fixture.h"
#include "model_prp.h"
#include "nvme_hal.h"

enum {
    SQ_1 = NVME_REG_DOORBELLS + 8,
    CQ_1 = NVME_REG_DOORBELLS + 12,
};

static uint8_t buffer[3 * 4096] __attribute__((aligned(4096)));

static void write_register(struct fixture *fixture, uint32_t offset, uint32_t value)
{
    hal_mmio_write32(fixture->model->bar + offset, value);
}

/* ---- Registers -------------------------------------------------------------------------- */

struct write_case {
    const char *name;
    uint32_t offset;
    uint32_t value;
    const char *finding;
};

/* On a controller that is up, with one empty queue. */
static const struct write_case write_cases[] = {
    {"aqa_while_enabled", NVME_REG_AQA, 0, "while CC.EN is 1"},
    {"asq_while_enabled", NVME_REG_ASQ + 4, 0, "while CC.EN is 1"},
    {"cap_is_read_only", NVME_REG_CAP, 0, "read-only"},
    {"csts_is_read_only", NVME_REG_CSTS, 0, "read-only"},
    {"page_size_while_enabled", NVME_REG_CC, 0x4600f1 | 1U << 7, "changed while EN is 1"},
    {"tail_beyond_the_ring", SQ_1, FIXTURE_DEPTH, "tail 16 of 16"},
    {"tail_that_adds_nothing", SQ_1, 0, "adds nothing"},
    {"head_that_consumes_nothing", CQ_1, 0, "consumes nothing"},
    {"head_that_gives_back_what_was_not_posted", CQ_1, 1, "not posted"},
    {"head_beyond_the_ring", CQ_1, FIXTURE_DEPTH, "not posted"},
    {"doorbell_of_no_queue", NVME_REG_DOORBELLS + 16, 0, "does not exist"},
    {"doorbell_between_two", SQ_1 + 2, 0, "which is none"},
    {"commands_that_nobody_cleaned", SQ_1, 1, "changed after it was cleaned"},
};

static void wrong_write_is_named(void **state)
{
    const struct write_case *this = *state;
    struct fixture fixture;

    fixture_poll_queue(&fixture);
    memset((void *)(uintptr_t)fixture.memory.dma, 0x11, fixture.memory.dma_bytes);
    write_register(&fixture, this->offset, this->value);
    assert_true(world_expect_finding(this->finding));
    fixture_drop(&fixture);
}

struct enable_case {
    const char *name;
    uint64_t asq;
    uint32_t cc;
    bool ready;
    bool bus_master;
    const char *finding;
};

static const struct enable_case enable_cases[] = {
    {"enable_without_entry_sizes", 1, 1, false, true, "entry sizes"},
    {"enable_before_rdy_fell", 1, 0x460001, true, true, "RDY has fallen"},
    {"enable_without_an_admin_queue", 0, 0x460001, false, true, "ASQ"},
    {"enable_with_a_page_size_that_is_not_there", 1, 0x460001 | 5 << 7, false, true, "CC.MPS"},
    {"enable_of_a_device_that_reaches_no_memory", 1, 0x460001, false, false, "before bus master"},
};

static void wrong_enable_is_named(void **state)
{
    const struct enable_case *this = *state;
    struct fixture fixture;

    fixture_init(&fixture);
    world.maps = false;
    memset(buffer, 0, sizeof(buffer));
    fixture.model->aqa = 1U << 16 | 1;
    fixture.model->asq = this->asq != 0 ? (uintptr_t)buffer : 0;
    fixture.model->acq = (uintptr_t)buffer + 4096;
    fixture.model->ready = this->ready;
    fixture.model->bus_master = this->bus_master;
    if (this->asq != 0 && this->cc != (0x460001 | 5 << 7)) {
        write_register(&fixture, NVME_REG_CC, this->cc);
    } else {
        /* Found before the rings are looked at. */
        fixture.model->acq = (uintptr_t)buffer;
        write_register(&fixture, NVME_REG_CC, this->cc);
    }
    assert_true(world_expect_finding(this->finding));
    fixture_drop(&fixture);
}

static void bus_mastering_of_a_running_controller_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture.model->ready = true; /* EN = 0 is written, RDY has not fallen yet */
    model_allow_dma(fixture.model);
    assert_true(world_expect_finding("while the controller runs"));
    fixture_drop(&fixture);
}

static void ring_with_a_stale_phase_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    world.maps = false;
    memset(buffer, 0xff, sizeof(buffer));
    model_allow_dma(fixture.model);
    fixture.model->aqa = 1U << 16 | 1;
    fixture.model->asq = (uintptr_t)buffer;
    fixture.model->acq = (uintptr_t)buffer + 4096;
    hal_dma_clean(NULL, buffer, sizeof(buffer));
    hal_before_doorbell();
    write_register(&fixture, NVME_REG_CC, 0x460001);
    assert_true(world_expect_finding("stale phase"));
    fixture_drop(&fixture);
}

/* ---- Barriers --------------------------------------------------------------------------- */

static volatile struct nvme_completion *entry_of(struct fixture *fixture, uint32_t index)
{
    struct nvme_completion *ring = world_host(fixture->model->cqs[1].address);

    return &ring[index];
}

/* The first step of a reap: what it says is not of interest. */
static void look_at(struct fixture *fixture, uint32_t index)
{
    volatile struct nvme_completion *entry = entry_of(fixture, index);

    hal_dma_invalidate(NULL, (const void *)(uintptr_t)entry, sizeof(*entry));
    (void)hal_dma_load32(&entry->status);
}

static void field_without_a_barrier_behind_the_phase_is_named(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture_submit(&fixture, 0, &outcome);
    look_at(&fixture, 0);
    (void)hal_dma_load32(&entry_of(&fixture, 0)->dw0);
    assert_true(world_expect_finding("without a barrier after its phase"));
    fixture_drop(&fixture);
}

static void barrier_of_another_entry_does_not_count(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_poll_queue(&fixture);
    look_at(&fixture, 0);
    hal_after_phase();
    (void)hal_dma_load32(&entry_of(&fixture, 1)->dw0);
    assert_true(world_expect_finding("without a barrier after its phase"));
    fixture_drop(&fixture);
}

static void field_that_is_read_twice_is_named(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_poll_queue(&fixture);
    look_at(&fixture, 0);
    hal_after_phase();
    (void)hal_dma_load32(&entry_of(&fixture, 0)->sq);
    assert_int_equal(world.findings, 0);
    (void)hal_dma_load32(&entry_of(&fixture, 0)->sq);
    assert_true(world_expect_finding("read twice"));
    fixture_drop(&fixture);
}

static void doorbell_without_a_barrier_is_named(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_poll_queue(&fixture);
    fixture_post(&fixture, 0, &outcome);
    write_register(&fixture, SQ_1, 1);
    assert_true(world_expect_finding("without a barrier after the command"));
    look_at(&fixture, 0);
    write_register(&fixture, CQ_1, 1);
    assert_true(world_expect_finding("without a barrier after the entries"));
    fixture_drop(&fixture);
}

static void command_changed_behind_the_clean_is_named(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_command *ring;

    (void)state;
    fixture_poll_queue(&fixture);
    ring = world_host(fixture.model->sqs[1].address);
    fixture_post(&fixture, 0, &outcome);
    ring[0].cdw10 = 7;
    nvme_queue_submit(fixture.queues[0]);
    assert_true(world_expect_finding("changed after it was cleaned"));
    fixture_drop(&fixture);
}

/* ---- Commands --------------------------------------------------------------------------- */

struct command_case {
    const char *name;
    uint32_t or_cdw0;
    uint64_t mptr;
    const char *finding;
};

static const struct command_case command_cases[] = {
    {"fused_command", 1U << 8, 0, "fuse"},
    {"scatter_list_instead_of_prps", 1U << 14, 0, "PSDT"},
    {"metadata_pointer", 0, 4096, "MPTR"},
    {"command_id_0xffff", 0xffff0000, 0, "0xffff"},
};

/* Puts a command of the case where the engine put its own. */
static void ring_changed(struct fixture *fixture, const struct command_case *this)
{
    struct nvme_command *ring = world_host(fixture->model->sqs[1].address);

    ring[0].cdw0 |= this->or_cdw0;
    ring[0].mptr = this->mptr;
    hal_dma_clean(NULL, &ring[0], sizeof(ring[0]));
    nvme_queue_submit(fixture->queues[0]);
}

static void wrong_command_is_named(void **state)
{
    const struct command_case *this = *state;
    struct fixture fixture;
    struct outcome outcome = {0};

    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    fixture_post(&fixture, 0, &outcome);
    ring_changed(&fixture, this);
    assert_true(world_expect_finding(this->finding));
    fixture_drop(&fixture);
}

static void command_id_in_flight_is_named(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct nvme_command *ring;

    (void)state;
    fixture_poll_queue(&fixture);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    ring = world_host(fixture.model->sqs[1].address);
    ring[1] = ring[0];
    hal_dma_clean(NULL, &ring[1], sizeof(ring[1]));
    hal_before_doorbell();
    write_register(&fixture, SQ_1, 2);
    assert_true(world_expect_finding("in flight already"));
    fixture_drop(&fixture);
}

struct prp_case {
    const char *name;
    uint64_t prp1;
    uint64_t prp2;
    uint32_t bytes;
    const char *finding;
};

static const struct prp_case prp_cases[] = {
    {"prp1_at_2", 2, 0, BLOCK, "PRP1 is not dword aligned"},
    {"no_prp1", UINT64_MAX, 0, BLOCK, "PRP1 is 0"},
    {"no_prp2", 0, UINT64_MAX, 2 * 4096, "not the start of a page"},
    {"prp2_inside_a_page", 0, 4096 + 4, 2 * 4096, "not the start of a page"},
    {"prp2_without_need", 0, 4096, BLOCK, "PRP2 is set"},
    {"list_at_4", 0, 4096 + 4, 3 * 4096, "list pointer is misaligned"},
};

static void wrong_prp_is_named(void **state)
{
    const struct prp_case *this = *state;
    uintptr_t base = (uintptr_t)buffer;
    struct model_prp walk;
    uint8_t *host;
    uint32_t bytes;

    world_reset();
    memset(buffer, 0, sizeof(buffer));
    model_prp_begin(&walk, 4096, this->prp1 == UINT64_MAX ? 0 : base + this->prp1,
                    this->prp2 == UINT64_MAX ? 0 : (this->prp2 != 0 ? base + this->prp2 : 0),
                    this->bytes);
    while (model_prp_next(&walk, &host, &bytes)) {
    }
    assert_true(world_expect_finding(this->finding));
}

static void pointer_given_out_as_a_device_address_is_named(void **state)
{
    (void)state;
    world_reset();
    world.paging = WORLD_PAGED;
    assert_ptr_equal(world_host(world_dma_address(buffer)), buffer);
    assert_int_equal(world.findings, 0);
    assert_ptr_equal(world_host((uintptr_t)buffer), buffer);
    assert_true(world_expect_finding("a pointer was given"));
}

static void interrupt_state_that_is_not_restored_is_named(void **state)
{
    unsigned long outer;

    (void)state;
    world_reset();
    outer = hal_irq_save();
    (void)hal_irq_save();
    hal_irq_restore(outer);
    assert_true(world_expect_finding("does not match"));
}

int main(void)
{
    struct CMUnitTest tests[10 + COUNT_OF(write_cases) + COUNT_OF(enable_cases) +
                            COUNT_OF(command_cases) + COUNT_OF(prp_cases)] = {
        cmocka_unit_test(ring_with_a_stale_phase_is_named),
        cmocka_unit_test(bus_mastering_of_a_running_controller_is_named),
        cmocka_unit_test(field_without_a_barrier_behind_the_phase_is_named),
        cmocka_unit_test(barrier_of_another_entry_does_not_count),
        cmocka_unit_test(field_that_is_read_twice_is_named),
        cmocka_unit_test(doorbell_without_a_barrier_is_named),
        cmocka_unit_test(command_changed_behind_the_clean_is_named),
        cmocka_unit_test(command_id_in_flight_is_named),
        cmocka_unit_test(pointer_given_out_as_a_device_address_is_named),
        cmocka_unit_test(interrupt_state_that_is_not_restored_is_named),
    };
    size_t count = 10;

    ADD_CASES(tests, &count, wrong_write_is_named, write_cases);
    ADD_CASES(tests, &count, wrong_enable_is_named, enable_cases);
    ADD_CASES(tests, &count, wrong_command_is_named, command_cases);
    ADD_CASES(tests, &count, wrong_prp_is_named, prp_cases);
    return fixture_run("model", tests, count);
}
