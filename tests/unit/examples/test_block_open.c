// SPDX-License-Identifier: MIT
/*
 * examples/block_device_open.c: a block device with a controller of its own, in both forms; the
 * namespace that it takes, and what it refuses.
 */
#include "block_device.h"
#include "fixture.h"

/* A kernel that has block_device.h alone. */
struct owner {
    struct fixture fixture; /* of its model, line and memory */
    struct block_device device;
    struct block_config config;
    uint32_t interrupts;
};

static void owner_sleep(void *arg, const uint32_t *event)
{
    struct owner *owner = arg;

    (void)event;
    model_step(owner->fixture.model, 1);
    while (model_line_claim(&owner->fixture.line) ||
           model_vector_claim(owner->fixture.model, (uint16_t)owner->config.vector)) {
        block_interrupt(&owner->device);
        model_line_complete(&owner->fixture.line);
        owner->interrupts++;
    }
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    block_watchdog(&owner->device);
}

static void owner_wake(void *arg, const uint32_t *event)
{
    (void)arg;
    (void)event;
}

static void owner_master(void *arg)
{
    model_allow_dma(((struct owner *)arg)->fixture.model);
}

/* The memory is a little more than needed, and not zero. */
static void owner_init(struct owner *owner, bool sleeps, uint16_t vector)
{
    struct fixture *fixture = &owner->fixture;

    memset(owner, 0, sizeof(*owner));
    fixture_init(fixture);
    fixture->model->msix = vector != 0;
    owner->config = (struct block_config){
        .registers = fixture->model->bar,
        .registers_bytes = fixture->model->bar_bytes,
        .hooks = {owner, sleeps ? owner_sleep : NULL, sleeps ? owner_wake : NULL},
        .bus_master = owner_master,
        .alignment = 4,
        .vector = vector,
    };
    assert_int_equal(block_memory_needed(&owner->config), NVME_OK);
    owner->config.ordinary = fixture->memory.ordinary =
        fixture_buffer(owner->config.ordinary_bytes);
    owner->config.dma = fixture->memory.dma = fixture_buffer(owner->config.dma_bytes);
    fixture->memory.dma_bytes = owner->config.dma_bytes;
    fixture_map(fixture);
    fixture->model->on_demand = sleeps;
}

struct owner_case {
    const char *name;
    bool sleeps;
    uint16_t vector;
};

static const struct owner_case owner_cases[] = {
    {"polled", false, 0},
    {"polled_with_messages", false, 5},
    {"on_a_line", true, 0},
    {"on_a_vector", true, 5},
};

static void own_controller_reads_and_writes(void **state)
{
    const struct owner_case *this = *state;
    uint8_t out[9 * BLOCK_BYTES], in[9 * BLOCK_BYTES];
    struct owner owner;

    owner_init(&owner, this->sleeps, this->vector);
    assert_int_equal(block_open(&owner.device, &owner.config), NVME_OK);
    model_line_claim(&owner.fixture.line); /* of the bring-up, before the handler is attached */
    model_line_complete(&owner.fixture.line);
    assert_int_equal(owner.device.block_count, 2048);
    memset(out, 0x3c, sizeof(out));
    assert_int_equal(block_write(&owner.device, 1, 9, out), NVME_OK);
    assert_int_equal(block_flush(&owner.device), NVME_OK);
    assert_int_equal(block_read(&owner.device, 1, 9, in), NVME_OK);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(owner.interrupts != 0, this->sleeps);
    assert_int_equal(block_close(&owner.device), NVME_OK);
    fixture_drop(&owner.fixture);
}

/* Of four namespaces the first has metadata, the second no block, the third too large ones. */
static void first_namespace_that_can_be_used(void **state)
{
    struct owner owner;

    (void)state;
    owner_init(&owner, false, 0);
    model_set_namespace(owner.fixture.model, 2, 9, 0);
    model_set_namespace(owner.fixture.model, 3, 13, 16);
    model_set_namespace(owner.fixture.model, 4, 12, 16);
    owner.fixture.model->namespace_count = 4;
    owner.fixture.model->namespaces[0].metadata_bytes = 8;
    assert_int_equal(block_open(&owner.device, &owner.config), NVME_OK);
    assert_int_equal(owner.device.block_count, 128);
    assert_int_equal(owner.device.ratio, 8);
    assert_int_equal(block_close(&owner.device), NVME_OK);
    fixture_drop(&owner.fixture);
}

struct refusal_case {
    const char *name;
    uint32_t ordinary_less, dma_less;
    uint32_t nsid;
    uint16_t metadata_bytes;
    uint8_t block_shift;
    int32_t error;
};

static const struct refusal_case refusal_cases[] = {
    {"ordinary_memory_too_small", 1, 0, 0, 0, 9, NVME_ERR_MEMORY},
    {"no_ordinary_memory", UINT32_MAX, 0, 0, 0, 9, NVME_ERR_MEMORY},
    {"dma_memory_too_small", 0, 1, 0, 0, 9, NVME_ERR_MEMORY},
    {"no_such_namespace", 0, 0, 9, 0, 9, NVME_ERR_NAMESPACE},
    {"metadata", 0, 0, 1, 8, 9, NVME_ERR_UNSUPPORTED},
    {"metadata_everywhere", 0, 0, 0, 8, 9, NVME_ERR_UNSUPPORTED},
    {"blocks_above_the_copy", 0, 0, 0, 0, 13, NVME_ERR_UNSUPPORTED},
};

/* Nothing is open after it: the controller is disabled, the memory is the caller's. */
static void refused_open_leaves_nothing(void **state)
{
    const struct refusal_case *this = *state;
    struct owner owner;

    owner_init(&owner, false, 0);
    model_set_namespace(owner.fixture.model, 1, this->block_shift, 64);
    owner.fixture.model->namespaces[0].metadata_bytes = this->metadata_bytes;
    owner.config.nsid = this->nsid;
    owner.config.ordinary_bytes -=
        this->ordinary_less == UINT32_MAX ? owner.config.ordinary_bytes : this->ordinary_less;
    owner.config.dma_bytes -= this->dma_less;
    assert_int_equal(block_open(&owner.device, &owner.config), this->error);
    assert_int_equal(owner.fixture.model->cc & NVME_CC_EN, 0);
    fixture_drop(&owner.fixture);
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(owner_cases) + COUNT_OF(refusal_cases)] = {
        cmocka_unit_test(first_namespace_that_can_be_used),
    };
    size_t count = 1;

    ADD_CASES(tests, &count, own_controller_reads_and_writes, owner_cases);
    ADD_CASES(tests, &count, refused_open_leaves_nothing, refusal_cases);
    return fixture_run("block_open", tests, count);
}
