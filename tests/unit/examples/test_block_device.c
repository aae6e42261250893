// SPDX-License-Identifier: MIT
/*
 * examples/block_device.c: transfers of every shape against a shadow of the backing, in both forms;
 * what is copied and what is not; errors.
 */
#include "block_device.h"

#include <stdlib.h>

#include "fixture.h"

enum { BLOCKS = 64, BYTES = BLOCKS * BLOCK_BYTES, TURNS = 400, ARENA = 20 * BLOCK_BYTES };

/* A kernel with one thread: its sleep takes interrupts. */
struct kernel {
    struct fixture fixture;
    struct block_device device;
    uint32_t sleeps, wakes;
    void (*trouble)(struct kernel *kernel); /* of the device, at the first sleep; then it rests */
    bool rests;
};

/* How a kernel waits, and what the namespace is: a case of a test. */
struct form {
    const char *name;
    bool sleeps;
    uint8_t block_shift;
    uint32_t alignment;
};

static const struct form forms[] = {
    {"polled_512_copied", false, 9, 0},    {"polled_512_direct", false, 9, 4},
    {"polled_1024_direct", false, 10, 4},  {"polled_4096_direct", false, 12, 4},
    {"sleeping_512_copied", true, 9, 0},   {"sleeping_512_direct", true, 9, 64},
    {"sleeping_4096_copied", true, 12, 0}, {"sleeping_4096_direct", true, 12, 4},
};

static void kernel_sleep(void *arg, const uint32_t *event)
{
    struct kernel *kernel = arg;

    kernel->sleeps++;
    if (kernel->trouble != NULL && !kernel->rests) {
        kernel->trouble(kernel);
        kernel->rests = true;
    } else if (!kernel->rests) {
        model_step(kernel->fixture.model, 1);
    }
    if (fixture_interrupts(&kernel->fixture) == 0) {
        unsigned long state = world_irq_save();

        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(kernel->device.queue, world.now_ns);
        world_irq_restore(state);
    }
    assert_ptr_equal(event, &kernel->device.ended);
    assert_true(kernel->sleeps < 100000);
}

static void kernel_wake(void *arg, const uint32_t *event)
{
    struct kernel *kernel = arg;

    assert_int_equal(*event, 1);
    kernel->wakes++;
}

static void kernel_start(struct kernel *kernel, const struct form *form)
{
    struct block_hooks hooks = {kernel, kernel_sleep, kernel_wake};
    struct fixture *fixture = &kernel->fixture;

    memset(kernel, 0, sizeof(*kernel));
    fixture_init(fixture);
    model_set_namespace(fixture->model, 1, form->block_shift, BYTES >> form->block_shift);
    fixture->model->on_demand = form->sleeps;
    world.relax_ns = 1000000;
    fixture_start(fixture, 1, form->sleeps ? NVME_MODE_INTERRUPT : NVME_MODE_POLL);
    fixture_interrupts(fixture);
    assert_int_equal(block_attach(&kernel->device, fixture->queues[0], &fixture->ns,
                                  form->sleeps ? &hooks : NULL, form->alignment),
                     NVME_OK);
    assert_int_equal(kernel->device.block_count, BLOCKS);
}

static void whatever_is_written_is_read(void **state)
{
    const struct form *form = *state;
    struct random random = {.state = 7};
    struct kernel kernel;
    uint8_t *shadow = malloc(BYTES);
    uint8_t *arena = malloc(ARENA);
    const uint8_t *backing;

    kernel_start(&kernel, form);
    backing = kernel.fixture.model->namespaces[0].backing;
    memcpy(shadow, backing, BYTES);
    for (int turn = 0; turn < TURNS; turn++) {
        uint32_t first = random_below(&random, BLOCKS);
        uint32_t most = BLOCKS - first < 18 ? BLOCKS - first : 18;
        uint32_t count = random_between(&random, 1, most);
        uint8_t *buffer = arena + random_below(&random, 2) * random_below(&random, BLOCK_BYTES);

        memset(arena, 0xa5, ARENA);
        if (random_below(&random, 2) == 0) {
            memset(buffer, turn, count * BLOCK_BYTES);
            memcpy(shadow + first * BLOCK_BYTES, buffer, count * BLOCK_BYTES);
            assert_int_equal(block_write(&kernel.device, first, count, buffer), NVME_OK);
        } else {
            assert_int_equal(block_read(&kernel.device, first, count, buffer), NVME_OK);
            assert_memory_equal(buffer, shadow + first * BLOCK_BYTES, count * BLOCK_BYTES);
            assert_int_equal(buffer[count * BLOCK_BYTES], 0xa5);
        }
        assert_memory_equal(backing, shadow, BYTES);
    }
    assert_int_equal(block_flush(&kernel.device), NVME_OK);
    assert_int_equal(kernel.fixture.model->namespaces[0].flushes, 1);
    assert_int_equal(kernel.sleeps != 0, form->sleeps);
    assert_int_equal(kernel.wakes != 0, form->sleeps);
    free(shadow);
    free(arena);
    fixture_finish(&kernel.fixture);
}

/* ---- Commands ----------------------------------------------------------------------------- */

struct cost_case {
    const char *name;
    uint8_t block_shift;
    uint32_t alignment;
    bool write;
    uint32_t first, count;
    uint32_t offset;   /* of the buffer */
    uint32_t commands; /* submission doorbells */
};

static const struct cost_case cost_cases[] = {
    {"aligned_blocks_are_one_command", 9, 4, false, 3, 16, 4, 1},
    {"unaligned_blocks_are_copied_by_the_page", 9, 4, false, 3, 16, 1, 2},
    {"two_bytes_are_no_alignment", 9, 4, true, 3, 8, 2, 1},
    {"a_page_and_a_block", 9, 0, true, 0, 9, 0, 2},
    {"whole_logical_blocks_are_one_command", 12, 4, true, 8, 16, 8, 1},
    {"a_larger_alignment_is_asked_for", 12, 64, true, 8, 16, 8, 2},
    {"a_part_is_read_first", 12, 4, true, 8, 1, 0, 2},
    {"the_end_of_a_logical_block", 12, 4, true, 15, 1, 0, 2},
    {"whole_ones_without_a_read", 12, 0, true, 8, 16, 0, 2},
    {"two_parts_and_a_whole_one", 12, 4, true, 7, 10, 0, 5},
    {"a_read_of_three", 12, 4, false, 7, 10, 0, 3},
};

static void commands_are_as_few_as_said(void **state)
{
    const struct cost_case *this = *state;
    struct form form = {"", false, this->block_shift, this->alignment};
    struct kernel kernel;
    uint8_t *buffer = fixture_buffer(ARENA);
    uint32_t before;

    kernel_start(&kernel, &form);
    before = model_doorbell_count(kernel.fixture.model, 1, false);
    assert_int_equal(
        this->write ? block_write(&kernel.device, this->first, this->count, buffer + this->offset)
                    : block_read(&kernel.device, this->first, this->count, buffer + this->offset),
        NVME_OK);
    assert_int_equal(model_doorbell_count(kernel.fixture.model, 1, false) - before, this->commands);
    fixture_free(buffer);
    fixture_finish(&kernel.fixture);
}

/* ---- Errors ------------------------------------------------------------------------------- */

struct range_case {
    const char *name;
    uint64_t first;
    uint32_t count;
    int32_t error;
};

static const struct range_case range_cases[] = {
    {"no_block", 0, 0, NVME_ERR_LENGTH},
    {"four_gibibytes", 0, UINT32_C(1) << 23, NVME_ERR_LENGTH},
    {"behind_the_end", BLOCKS, 1, NVME_ERR_RANGE},
    {"over_the_end", BLOCKS - 1, 2, NVME_ERR_RANGE},
    {"all_and_one", 0, BLOCKS + 1, NVME_ERR_RANGE},
    {"a_sum_that_wraps", UINT64_MAX, 2, NVME_ERR_RANGE},
};

static void range_is_checked_first(void **state)
{
    const struct range_case *this = *state;
    struct kernel kernel;

    kernel_start(&kernel, &forms[0]);
    assert_int_equal(block_read(&kernel.device, this->first, this->count, NULL), this->error);
    assert_int_equal(block_write(&kernel.device, this->first, this->count, NULL), this->error);
    assert_int_equal(model_doorbell_count(kernel.fixture.model, 1, false), 0);
    fixture_finish(&kernel.fixture);
}

static void refused_command_ends_the_transfer(void **state)
{
    struct kernel kernel;
    uint8_t buffer[24 * BLOCK_BYTES];

    (void)state;
    kernel_start(&kernel, &forms[0]);
    model_add_fault(kernel.fixture.model, NVME_CMD_READ, 9, 0x281);
    assert_int_equal(block_read(&kernel.device, 0, 24, buffer), NVME_ERR_DEVICE);
    assert_int_equal(kernel.device.status, 0x281);
    assert_int_equal(model_doorbell_count(kernel.fixture.model, 1, false), 2);
    assert_int_equal(block_read(&kernel.device, 0, 8, buffer), NVME_OK);
    fixture_finish(&kernel.fixture);
}

/* The part that is read before a write. */
static void unread_block_is_not_written(void **state)
{
    struct kernel kernel;
    uint8_t buffer[BLOCK_BYTES] = {0};

    (void)state;
    kernel_start(&kernel, &forms[3]);
    model_add_fault(kernel.fixture.model, NVME_CMD_READ, 1, 0x281);
    assert_int_equal(block_write(&kernel.device, 9, 1, buffer), NVME_ERR_DEVICE);
    assert_int_equal(kernel.fixture.model->last.cdw0 & UINT8_MAX, NVME_CMD_READ);
    fixture_finish(&kernel.fixture);
}

static void device_goes(struct kernel *kernel)
{
    model_remove(kernel->fixture.model);
}

static void device_falls_silent(struct kernel *kernel)
{
    model_step(kernel->fixture.model, 1); /* after this one */
}

static void device_fails(struct kernel *kernel)
{
    kernel->fixture.model->fatal = true;
}

struct trouble_case {
    const char *name;
    void (*trouble)(struct kernel *kernel);
    bool sleeps;
    int32_t error;
};

static const struct trouble_case trouble_cases[] = {
    {"removed_while_it_polls", device_goes, false, NVME_ERR_REMOVED},
    {"removed_while_it_sleeps", device_goes, true, NVME_ERR_REMOVED},
    {"silent_while_it_polls", device_falls_silent, false, NVME_ERR_TIMEOUT},
    {"silent_while_it_sleeps", device_falls_silent, true, NVME_ERR_TIMEOUT},
    {"fatal_while_it_polls", device_fails, false, NVME_ERR_FATAL},
    {"fatal_while_it_sleeps", device_fails, true, NVME_ERR_FATAL},
};

static void every_call_returns(void **state)
{
    const struct trouble_case *this = *state;
    struct form form = {"", this->sleeps, 9, 0};
    struct kernel kernel;
    uint8_t buffer[24 * BLOCK_BYTES];
    int32_t error;

    kernel_start(&kernel, &form);
    kernel.fixture.model->on_demand = true; /* nothing ends in time */
    if (this->sleeps) {
        kernel.trouble = this->trouble;
    } else {
        kernel.fixture.model->hang_next = 1000;
        this->trouble(&kernel);
    }
    error = block_read(&kernel.device, 0, 24, buffer);
    assert_int_equal(error, this->error);
    assert_int_equal(block_write(&kernel.device, 0, 1, buffer), NVME_ERR_STATE);
    assert_int_equal(block_flush(&kernel.device), NVME_ERR_STATE);
    assert_string_equal(block_error_text(error), nvme_error_text((enum nvme_error)error));
    assert_int_not_equal(nvme_controller_close(kernel.fixture.controller), NVME_ERR_STUCK);
    fixture_drop(&kernel.fixture);
}

static void what_cannot_be_is_refused(void **state)
{
    struct nvme_namespace ns = {.block_count = 8, .block_bytes = 512};
    struct block_device device;

    (void)state;
    assert_int_equal(block_attach(&device, NULL, &ns, NULL, 1), NVME_ERR_CONFIG);
    assert_int_equal(block_attach(&device, NULL, &ns, NULL, 2), NVME_ERR_CONFIG);
    assert_int_equal(block_attach(&device, NULL, &ns, NULL, 12), NVME_ERR_CONFIG);
    ns.block_bytes = 2 * BLOCK_COPY_BYTES;
    assert_int_equal(block_attach(&device, NULL, &ns, NULL, 0), NVME_ERR_UNSUPPORTED);
}

int main(void)
{
    struct CMUnitTest tests[3 + COUNT_OF(forms) + COUNT_OF(cost_cases) + COUNT_OF(range_cases) +
                            COUNT_OF(trouble_cases)] = {
        cmocka_unit_test(refused_command_ends_the_transfer),
        cmocka_unit_test(unread_block_is_not_written),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    size_t count = 3;

    ADD_CASES(tests, &count, whatever_is_written_is_read, forms);
    ADD_CASES(tests, &count, commands_are_as_few_as_said, cost_cases);
    ADD_CASES(tests, &count, range_is_checked_first, range_cases);
    ADD_CASES(tests, &count, every_call_returns, trouble_cases);
    return fixture_run("block_device", tests, count);
}
