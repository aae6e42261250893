// SPDX-License-Identifier: MIT
/*
 * The unit tests' common ground: see fixture.h.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "nvme_hal.h"

const struct fixture_source fixture_sources[FIXTURE_SOURCES] = {
    {"level", false, MODEL_LINE_LEVEL},
    {"edge_that_a_fall_does_not_clear", false, MODEL_LINE_EDGE},
    {"edge_that_a_fall_clears", false, MODEL_LINE_EDGE_CLEARS},
    {"vector", true, MODEL_LINE_EDGE},
};

const struct fixture_source fixture_deliveries[FIXTURE_DELIVERIES] = {
    [FIXTURE_LINE] = {"line", false, MODEL_LINE_EDGE},
    [FIXTURE_VECTOR] = {"vector", true, MODEL_LINE_EDGE},
};

uint8_t fixture_block[BLOCK] __attribute__((aligned(FIXTURE_PAGE)));

static void on_event(void *arg, const struct nvme_event *event)
{
    struct fixture *fixture = arg;

    if (fixture->event_count < FIXTURE_EVENTS) {
        fixture->events[fixture->event_count] = *event;
    }
    fixture->event_count++;
}

static void on_ipi(void *arg, uint32_t owner)
{
    struct fixture *fixture = arg;

    assert_true(owner < FIXTURE_QUEUES);
    fixture->ipis[owner]++;
}

static void on_bus_master(void *arg)
{
    struct fixture *fixture = arg;

    fixture->bus_masters++;
    model_allow_dma(fixture->model);
}

static bool on_level(void *arg)
{
    struct fixture *fixture = arg;

    fixture->level_looks++;
    return model_level_read(fixture->model);
}

static void on_vector_mask(void *arg, uint16_t vector, bool masked)
{
    struct fixture *fixture = arg;

    fixture->vector_masks++;
    model_vector_mask(fixture->model, vector, masked);
}

void fixture_use_vectors(struct fixture *fixture)
{
    fixture->config.msix = true;
    fixture->model->msix = true;
    for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
        fixture->model->vectors[i].masked = true;
    }
}

void fixture_init_more(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->model = model_new();
    fixture->line.kind = MODEL_LINE_EDGE;
    fixture->model->line = &fixture->line;
    fixture->config = (struct nvme_config){
        .registers = fixture->model->bar,
        .registers_size_bytes = fixture->model->bar_bytes,
        .pci_vendor = 0x1b36,
        .pci_device = 0x0010,
        .queue_count = FIXTURE_QUEUES,
        .depth_entries = FIXTURE_DEPTH,
        .hook_arg = fixture,
        .send_ipi = on_ipi,
        .vector_mask = on_vector_mask,
        .bus_master = on_bus_master,
        .intx_level = on_level,
        .event = on_event,
    };
}

void fixture_init(struct fixture *fixture)
{
    world_reset();
    world.maps = true;
    fixture_init_more(fixture);
}

static void *pages(size_t bytes)
{
    size_t rounded = (bytes + FIXTURE_PAGE - 1) / FIXTURE_PAGE * FIXTURE_PAGE;
    void *memory = aligned_alloc(FIXTURE_PAGE * 16, (rounded + 65535) / 65536 * 65536);

    assert_non_null(memory);
    return memory;
}

void fixture_map(struct fixture *fixture)
{
    if (!fixture->mapped) {
        world_dma_map(fixture->memory.dma, fixture->memory.dma_bytes, NVME_DMA_BOTH);
        fixture->mapped = true;
    }
}

enum nvme_error fixture_open(struct fixture *fixture)
{
    struct nvme_memory *memory = &fixture->memory;
    enum nvme_error error = nvme_memory_needed(&fixture->config, memory);

    if (error != NVME_OK) {
        return error;
    }
    if (memory->ordinary == NULL) {
        memory->ordinary = pages(memory->ordinary_bytes);
        memory->dma = pages(memory->dma_bytes);
        memset(memory->ordinary, 0xa5, memory->ordinary_bytes);
        memset(memory->dma, 0xa5, memory->dma_bytes);
    }
    fixture_map(fixture);
    world.arena = memory->dma;
    world.arena_bytes = memory->dma_bytes;
    return nvme_controller_open(&fixture->config, memory, &fixture->controller);
}

void fixture_start(struct fixture *fixture, uint32_t count, enum nvme_mode mode)
{
    struct nvme_queue_config config = {.mode = mode, .clocked = fixture->clocked};

    assert_int_equal(fixture_open(fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture->controller, 1, &fixture->ns), NVME_OK);
    for (uint32_t i = 0; i < count; i++) {
        config.vector = (uint16_t)(fixture->config.msix && mode != NVME_MODE_POLL ? i + 1 : 0);
        assert_int_equal(nvme_queue_open(fixture->controller, i, &config, &fixture->queues[i]),
                         NVME_OK);
    }
}

struct nvme_queue *fixture_poll_queue(struct fixture *fixture)
{
    fixture_init(fixture);
    fixture_start(fixture, 1, NVME_MODE_POLL);
    return fixture->queues[0];
}

void fixture_start_on(struct fixture *fixture, const struct fixture_source *source, uint32_t count,
                      enum nvme_mode mode)
{
    fixture_init(fixture);
    fixture->line.kind = source->kind;
    if (source->vectors) {
        fixture_use_vectors(fixture);
    }
    fixture_start(fixture, count, mode);
    /* Admin completions of the start were polled, but an edge was latched. */
    fixture_interrupts(fixture);
}

void fixture_interrupt_queues(struct fixture *fixture, uint32_t count)
{
    fixture_start_on(fixture, &fixture_deliveries[FIXTURE_LINE], count, NVME_MODE_INTERRUPT);
}

void fixture_post_with(struct fixture *fixture, uint32_t queue, struct nvme_callback callback)
{
    assert_int_equal(nvme_read(fixture->queues[queue], &fixture->ns, 0, 1, fixture_block, callback),
                     NVME_OK);
}

void fixture_post(struct fixture *fixture, uint32_t queue, struct outcome *outcome)
{
    fixture_post_with(fixture, queue, outcome_callback(outcome));
}

void fixture_submit(struct fixture *fixture, uint32_t queue, struct outcome *outcome)
{
    fixture_post(fixture, queue, outcome);
    nvme_queue_submit(fixture->queues[queue]);
}

void fixture_submit_each(struct fixture *fixture, uint32_t count, struct outcome *outcome)
{
    for (uint32_t i = 0; i < count; i++) {
        fixture_submit(fixture, 0, outcome);
    }
}

uint32_t fixture_reap(struct fixture *fixture)
{
    return nvme_queue_reap(fixture->queues[0], FIXTURE_DEPTH);
}

void fixture_finish(struct fixture *fixture)
{
    assert_int_equal(nvme_controller_close(fixture->controller), NVME_OK);
    assert_int_equal(fixture->model->cc & NVME_CC_EN, 0);
    /* Each region is one piece; requests of other controllers may have more. */
    if (fixture->mapped && world.mapped != 1 && world.models[1] == NULL) {
        fail_msg("%u pieces of data are still mapped", world.mapped - 1);
    }
    fixture_drop(fixture);
}

void fixture_drop(struct fixture *fixture)
{
    model_free(fixture->model);
    if (fixture->mapped) {
        world_dma_unmap(fixture->memory.dma, fixture->memory.dma_bytes, NVME_DMA_BOTH);
        fixture->mapped = false;
    }
    free(fixture->memory.ordinary);
    free(fixture->memory.dma);
    if (world.findings != 0) {
        fail_msg("the driver broke %u rules, first: %s", world.findings, world.first_finding);
    }
    assert_int_equal(world.irq_depth, 0);
}

uint32_t fixture_count_events(const struct fixture *fixture, enum nvme_event_kind kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fixture->event_count && i < FIXTURE_EVENTS; i++) {
        count += fixture->events[i].kind == kind;
    }
    return count;
}

bool fixture_saw(const struct fixture *fixture, enum nvme_event_kind kind)
{
    return fixture_count_events(fixture, kind) != 0;
}

struct nvme_event fixture_event(const struct fixture *fixture, enum nvme_event_kind kind)
{
    for (uint32_t i = fixture->event_count; i-- > 0;) {
        if (i < FIXTURE_EVENTS && fixture->events[i].kind == kind) {
            return fixture->events[i];
        }
    }
    fail_msg("no event: %s", nvme_event_text(kind));
    return (struct nvme_event){0};
}

uint32_t fixture_handle(struct fixture *fixture, uint32_t index)
{
    return fixture->config.msix ? nvme_vector_handle(fixture->queues[index])
                                : nvme_irq_handle(&fixture->controller, 1);
}

bool fixture_masked(const struct fixture *fixture, uint32_t index)
{
    return fixture->config.msix ? fixture->model->vectors[index + 1].masked
                                : fixture->model->interrupt_mask != 0;
}

uint32_t fixture_mask_writes(const struct fixture *fixture)
{
    uint32_t writes = fixture->vector_masks;

    assert_true(fixture->model->write_count < MODEL_LOG);
    for (uint32_t i = 0; i < fixture->model->write_count; i++) {
        writes += fixture->model->writes[i].offset == NVME_REG_INTMS ||
                  fixture->model->writes[i].offset == NVME_REG_INTMC;
    }
    return writes;
}

uint32_t fixture_interrupts(struct fixture *fixture)
{
    uint32_t claims = 0;
    uint32_t before;

    do {
        before = claims;
        for (uint32_t i = 0; i < FIXTURE_QUEUES; i++) {
            if (fixture->queues[i] != NULL &&
                model_vector_claim(fixture->model, (uint16_t)(i + 1))) {
                nvme_vector_handle(fixture->queues[i]);
                claims++;
            }
        }
    } while (claims != before && claims < 1000);
    while (claims < 1000 && model_line_claim(&fixture->line)) {
        nvme_irq_handle(&fixture->controller, 1);
        model_line_complete(&fixture->line);
        claims++;
    }
    return claims;
}

struct nvme_counters fixture_counters(const struct nvme_queue *queue)
{
    struct nvme_counters counters;

    nvme_queue_count(queue, &counters);
    return counters;
}

uint8_t *fixture_buffer(size_t bytes)
{
    uint8_t *buffer = pages(bytes);

    memset(buffer, 0xee, bytes);
    return buffer;
}

void fixture_free(void *buffer)
{
    free(buffer);
}

static void count_outcome(void *arg, struct nvme_result result)
{
    struct outcome *outcome = arg;

    outcome->count++;
    outcome->result = result;
}

struct nvme_callback outcome_callback(struct outcome *outcome)
{
    return (struct nvme_callback){count_outcome, outcome};
}

void outcome_check_ok(const struct outcome *outcome, uint32_t bytes)
{
    assert_int_equal(outcome->count, 1);
    assert_int_equal(outcome->result.error, NVME_OK);
    assert_int_equal(outcome->result.status, 0);
    assert_int_equal(outcome->result.bytes_done, bytes);
}

void outcome_check_error(const struct outcome *outcome, enum nvme_error error)
{
    assert_int_equal(outcome->count, 1);
    assert_int_equal(outcome->result.error, error);
}

void fixture_add_cases(struct CMUnitTest *tests, size_t *count, CMUnitTestFunction function,
                       const void *cases, size_t case_count, size_t case_bytes)
{
    for (size_t i = 0; i < case_count; i++) {
        const char *at = (const char *)cases + i * case_bytes;
        struct CMUnitTest *test = &tests[(*count)++];

        if (test->name != NULL) {
            fail_msg("a case would overwrite the test %s: count the listed tests", test->name);
        }
        memcpy(&test->name, at, sizeof(test->name));
        test->test_func = function;
        test->setup_func = NULL;
        test->teardown_func = NULL;
        test->initial_state = (void *)(uintptr_t)at;
    }
}

int fixture_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tests[i].name == NULL) {
            fail_msg("%s: test %zu of %zu has no name: count the listed tests", group, i, count);
        }
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
