// SPDX-License-Identifier: MIT
/*
 * The model's MSI-X vectors, and its line as QEMU counts it.
 */
#include "fixture.h"
#include "nvme_hal.h"

enum {
    VECTOR = 1, /* of queue 0: fixture_use_vectors */
};

/* A controller with one interrupt queue whose requests end at once. */
static struct nvme_queue *start(struct fixture *fixture, bool msix, uint16_t vector)
{
    struct nvme_queue_config config = {.mode = NVME_MODE_INTERRUPT, .vector = vector};

    fixture_init(fixture);
    if (msix) {
        fixture_use_vectors(fixture);
    }
    fixture->model->counts_pending = true;
    fixture_start(fixture, 0, NVME_MODE_POLL);
    assert_int_equal(nvme_queue_open(fixture->controller, 0, &config, &fixture->queues[0]),
                     NVME_OK);
    return fixture->queues[0];
}

static void completion_sends_its_queues_vector(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, true, VECTOR);
    fixture_submit(&fixture, 0, &outcome);
    assert_int_equal(fixture.model->vectors[VECTOR].messages, 1);
    assert_false(model_level(fixture.model));
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    fixture_finish(&fixture);
}

static void masked_vector_is_held_back_and_sent_once(void **state)
{
    struct fixture fixture;
    struct outcome outcomes[2] = {0};

    (void)state;
    start(&fixture, true, VECTOR);
    model_vector_mask(fixture.model, VECTOR, true);
    fixture_submit(&fixture, 0, &outcomes[0]);
    fixture_submit(&fixture, 0, &outcomes[1]);
    assert_int_equal(fixture.model->vectors[VECTOR].messages, 0);
    model_vector_mask(fixture.model, VECTOR, false);
    assert_int_equal(fixture.model->vectors[VECTOR].messages, 1);
    assert_int_equal(fixture_interrupts(&fixture), 1);
    outcome_check_ok(&outcomes[1], BLOCK);
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    fixture_finish(&fixture);
}

/* The interrupt controller has one bit per vector. */
static void messages_that_nobody_took_are_one(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, true, VECTOR);
    model_vector_send(fixture.model, VECTOR);
    model_vector_send(fixture.model, VECTOR);
    assert_int_equal(fixture.model->vectors[VECTOR].messages, 2);
    assert_true(model_vector_claim(fixture.model, VECTOR));
    assert_false(model_vector_claim(fixture.model, VECTOR));
    fixture_finish(&fixture);
}

static void mask_of_a_line_that_is_not_used_is_named(void **state)
{
    static const uint32_t registers[] = {NVME_REG_INTMS, NVME_REG_INTMC};
    struct fixture fixture;

    (void)state;
    start(&fixture, true, VECTOR);
    for (uint32_t i = 0; i < COUNT_OF(registers); i++) {
        hal_mmio_write32(fixture.model->bar + registers[i], 1);
        assert_true(world_expect_finding("while MSI-X is on"));
    }
    fixture_finish(&fixture);
}

static void line_is_refused_a_vector(void **state)
{
    struct nvme_queue_config config = {.mode = NVME_MODE_INTERRUPT, .vector = VECTOR};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 0, NVME_MODE_POLL);
    assert_int_equal(nvme_queue_open(fixture.controller, 0, &config, &fixture.queues[0]),
                     NVME_ERR_DEVICE);
    fixture_finish(&fixture);
}

static void counted_line_falls_with_the_last_busy_queue(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, false, 0);
    assert_false(model_level(fixture.model));
    fixture_submit(&fixture, 0, &outcome);
    assert_true(model_level(fixture.model));
    fixture_interrupts(&fixture);
    outcome_check_ok(&outcome, BLOCK);
    assert_false(model_level(fixture.model));
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_OK);
    fixture_finish(&fixture);
}

/* QEMU's count goes wrong then: the line falls although another queue has an entry. */
static void head_that_consumes_nothing_breaks_a_counted_line(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, false, 0);
    fixture_submit(&fixture, 0, &outcome);
    hal_mmio_write32(fixture.model->bar + NVME_REG_DOORBELLS + 4, fixture.model->cqs[0].head);
    assert_true(world_expect_finding("consumes nothing"));
    assert_false(model_level(fixture.model));
    fixture_drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completion_sends_its_queues_vector),
        cmocka_unit_test(masked_vector_is_held_back_and_sent_once),
        cmocka_unit_test(messages_that_nobody_took_are_one),
        cmocka_unit_test(mask_of_a_line_that_is_not_used_is_named),
        cmocka_unit_test(line_is_refused_a_vector),
        cmocka_unit_test(counted_line_falls_with_the_last_busy_queue),
        cmocka_unit_test(head_that_consumes_nothing_breaks_a_counted_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
