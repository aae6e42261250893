// SPDX-License-Identifier: MIT
/*
 * request.c: slots and generations. White box: the queue is made by hand, no device is needed.
 */
#include <stdlib.h>

#include "fixture.h"
#include "nvme_internal.h"

/* A queue that is nothing but its slots. */
struct slots {
    struct nvme_queue queue;
    uint32_t done_count;
};

static void slots_open(struct slots *slots, uint32_t depth)
{
    memset(slots, 0, sizeof(*slots));
    slots->queue.requests = calloc(NVME_DEPTH_MAX, sizeof(struct nvme_request));
    slots->queue.splits = calloc(NVME_DEPTH_MAX, sizeof(struct nvme_split));
    assert_non_null(slots->queue.requests);
    assert_non_null(slots->queue.splits);
    nvme_request_init(&slots->queue, depth);
}

static void slots_close(struct slots *slots)
{
    free(slots->queue.requests);
    free(slots->queue.splits);
}

static struct nvme_request *acquire(struct slots *slots)
{
    return nvme_request_acquire(&slots->queue, slots->queue.clock_ms);
}

static struct nvme_request *find(const struct slots *slots, uint64_t cid)
{
    return nvme_request_find(slots->queue.requests, slots->queue.slot_mask, cid);
}

/* Takes a slot; its command id. */
static uint32_t take(struct slots *slots)
{
    return (uint32_t)acquire(slots)->cid;
}

/* The slot of a command id, outstanding or not. */
static struct nvme_request *slot_of(struct slots *slots, uint32_t cid)
{
    return &slots->queue.requests[cid & (uint32_t)slots->queue.slot_mask];
}

static uint32_t bits_for(uint32_t depth)
{
    uint32_t bits = 0;

    while ((1U << bits) < depth) {
        bits++;
    }
    return bits;
}

static void slot_part_has_ceil_log2_bits_at_every_depth(void **state)
{
    struct slots slots;

    (void)state;
    slots_open(&slots, NVME_DEPTH_MIN);
    for (uint32_t depth = NVME_DEPTH_MIN; depth <= NVME_DEPTH_MAX; depth++) {
        nvme_request_init(&slots.queue, depth);
        assert_int_equal(slots.queue.slot_mask, (1U << bits_for(depth)) - 1);
        assert_int_equal(slots.queue.slot_count, depth - 1);
        assert_int_equal(nvme_queue_outstanding(&slots.queue), 0);
    }
    slots_close(&slots);
}

static void id_0xffff_is_never_issued_at_any_depth(void **state)
{
    struct slots slots;

    (void)state;
    slots_open(&slots, NVME_DEPTH_MIN);
    for (uint32_t depth = NVME_DEPTH_MIN; depth <= NVME_DEPTH_MAX; depth++) {
        uint32_t last;

        nvme_request_init(&slots.queue, depth);
        last = slots.queue.slot_count - 1;
        for (uint32_t lap = 0; lap <= 0x10000U >> bits_for(depth); lap++) {
            struct nvme_request *request = &slots.queue.requests[last];

            slots.queue.free = request;
            assert_ptr_equal(acquire(&slots), request);
            assert_true(request->cid < 0xffff);
            assert_int_equal(request->cid & slots.queue.slot_mask, last);
            nvme_request_release(&slots.queue, request);
        }
    }
    slots_close(&slots);
}

static void every_slot_is_given_once(void **state)
{
    static const uint32_t depths[] = {2, 3, 4, 5, 15, 16, 17, 1023, 1024, 4095, 4096};
    struct slots slots;

    (void)state;
    slots_open(&slots, NVME_DEPTH_MIN);
    for (size_t i = 0; i < COUNT_OF(depths); i++) {
        uint8_t given[NVME_DEPTH_MAX] = {0};

        nvme_request_init(&slots.queue, depths[i]);
        for (uint32_t n = 0; n < depths[i] - 1; n++) {
            struct nvme_request *request = acquire(&slots);
            size_t slot = (size_t)(request - slots.queue.requests);

            assert_int_equal(request->cid & slots.queue.slot_mask, slot);
            assert_int_equal(given[slot]++, 0);
            assert_ptr_equal(find(&slots, request->cid), request);
        }
        assert_null(slots.queue.free);
        assert_int_equal(nvme_queue_outstanding(&slots.queue), depths[i] - 1);
    }
    slots_close(&slots);
}

static void released_id_finds_nobody_until_generations_wrap(void **state)
{
    struct slots slots;
    uint32_t first;
    uint32_t laps = 0;

    (void)state;
    slots_open(&slots, NVME_DEPTH_MAX); /* 4 bits of generation: the fewest */
    first = take(&slots);
    do {
        struct nvme_request *request = slot_of(&slots, first);
        uint32_t old = (uint32_t)request->cid;

        nvme_request_release(&slots.queue, request);
        assert_null(find(&slots, old));
        assert_null(find(&slots, first));
        assert_ptr_equal(acquire(&slots), request);
        assert_int_not_equal(request->cid, old);
        laps++;
    } while (slot_of(&slots, first)->cid != first);
    assert_int_equal(laps, 16);
    slots_close(&slots);
}

static void idle_slot_is_not_found_by_its_next_id(void **state)
{
    struct slots slots;

    (void)state;
    slots_open(&slots, 8);
    for (uint32_t cid = 0; cid <= 0xffff; cid++) {
        assert_null(find(&slots, cid));
    }
    slots_close(&slots);
}

static void id_whose_slot_does_not_exist_finds_nobody(void **state)
{
    struct slots slots;

    (void)state;
    slots_open(&slots, 5); /* slots 0 to 3 of 3 bits */
    for (uint32_t n = 0; n < 4; n++) {
        (void)acquire(&slots);
    }
    for (uint32_t cid = 0; cid <= 0xffff; cid++) {
        bool outstanding = cid < 4;

        assert_int_equal(find(&slots, cid) != NULL, outstanding);
    }
    slots_close(&slots);
}

static void reopened_queue_goes_on_with_its_generations(void **state)
{
    struct slots slots;
    uint32_t old;

    (void)state;
    slots_open(&slots, 16);
    old = take(&slots);
    nvme_request_release(&slots.queue, slot_of(&slots, old));
    nvme_request_init(&slots.queue, 16);
    assert_int_not_equal(take(&slots), old);
    assert_null(find(&slots, old));
    slots_close(&slots);
}

static void count_done(void *arg, struct nvme_result result)
{
    struct slots *slots = arg;

    assert_int_equal(result.error, NVME_ERR_ABORTED);
    assert_int_equal(result.bytes_done, 0);
    slots->done_count++;
}

static void end_all_ends_each_outstanding_request_once(void **state)
{
    struct slots slots;

    (void)state;
    slots_open(&slots, 8);
    for (uint32_t n = 0; n < 5; n++) {
        struct nvme_request *request = acquire(&slots);

        request->done = count_done;
        request->arg = &slots;
    }
    nvme_request_release(&slots.queue, &slots.queue.requests[2]);
    nvme_request_end_all(&slots.queue, NVME_ERR_ABORTED);
    assert_int_equal(slots.done_count, 4);
    assert_int_equal(nvme_queue_outstanding(&slots.queue), 0);
    nvme_request_end_all(&slots.queue, NVME_ERR_ABORTED);
    assert_int_equal(slots.done_count, 4);
    slots_close(&slots);
}

static void expiry_is_at_the_limit_and_survives_the_clocks_wrap(void **state)
{
    struct nvme_controller controller = {.timeout_ms = 90};
    struct slots slots;
    uint32_t cid = 0;

    (void)state;
    slots_open(&slots, 4);
    slots.queue.controller = &controller;
    slots.queue.clock_ms = UINT32_MAX - 10;
    (void)acquire(&slots);
    slots.queue.clock_ms += 99; /* wraps */
    assert_false(nvme_request_expired(&slots.queue, 10, &cid));
    slots.queue.clock_ms++;
    assert_true(nvme_request_expired(&slots.queue, 10, &cid));
    assert_int_equal(cid, slots.queue.requests[0].cid);
    nvme_request_release(&slots.queue, &slots.queue.requests[0]);
    assert_false(nvme_request_expired(&slots.queue, 0, &cid));
    slots_close(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slot_part_has_ceil_log2_bits_at_every_depth),
        cmocka_unit_test(id_0xffff_is_never_issued_at_any_depth),
        cmocka_unit_test(every_slot_is_given_once),
        cmocka_unit_test(released_id_finds_nobody_until_generations_wrap),
        cmocka_unit_test(idle_slot_is_not_found_by_its_next_id),
        cmocka_unit_test(id_whose_slot_does_not_exist_finds_nobody),
        cmocka_unit_test(reopened_queue_goes_on_with_its_generations),
        cmocka_unit_test(end_all_ends_each_outstanding_request_once),
        cmocka_unit_test(expiry_is_at_the_limit_and_survives_the_clocks_wrap),
    };

    return fixture_run("request", tests, COUNT_OF(tests));
}
