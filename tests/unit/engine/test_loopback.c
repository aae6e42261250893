// SPDX-License-Identifier: MIT
/*
 * bench.c: a queue whose doorbells go to memory, with the test as its device; and the real device,
 * which knows nothing of it.
 */
#include "fixture_reset.h"
#include "nvme_bench.h"

enum {
    TURNS = 3 * FIXTURE_DEPTH + 1,
};
#define MS UINT64_C(1000000)

/* The test's device. */
struct stand_in {
    struct nvme_ring ring;
    volatile uint32_t doorbells[2];
    uint32_t sq_head;
    struct model_cq *cq; /* the model's books: an entry that is written may be read again */
};

static void take_doorbell(void *arg, uint32_t offset, uint32_t value)
{
    ((struct stand_in *)arg)->doorbells[offset / sizeof(uint32_t)] = value;
}

static enum nvme_error loop_back(struct stand_in *this, struct nvme_queue *queue)
{
    enum nvme_error error = nvme_queue_enter_loopback(queue, this->doorbells, &this->ring);

    this->sq_head = this->ring.sq_tail;
    world.device = (struct world_device){.registers = this->doorbells,
                                         .bytes = sizeof(this->doorbells),
                                         .write = take_doorbell,
                                         .arg = this};
    return error;
}

/* Completes the commands that a doorbell announced. */
static void answer(struct stand_in *this)
{
    struct nvme_ring *ring = &this->ring;

    while (this->sq_head != this->doorbells[0]) {
        uint32_t cid = ring->sq[this->sq_head].cdw0 >> 16;

        this->sq_head = (this->sq_head + 1) % ring->depth_entries;
        ring->cq[ring->cq_head].sq = this->sq_head | ring->queue_id << 16;
        ring->cq[ring->cq_head].status = cid | ring->phase << 16;
        this->cq->loaded[ring->cq_head] = 0;
        if (++ring->cq_head == ring->depth_entries) {
            ring->cq_head = 0;
            ring->phase ^= 1;
        }
    }
}

static void ring_and_reap(struct nvme_queue *queue)
{
    nvme_queue_submit(queue);
    assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 1);
}

/* The second queue of two, some way into its rings: its id, tail, head and phase matter. */
static struct nvme_queue *used_queue(struct fixture *fixture)
{
    struct outcome outcome = {0};

    fixture_init(fixture);
    fixture_start(fixture, 2, NVME_MODE_POLL);
    for (uint32_t i = 0; i < FIXTURE_DEPTH + 3; i++) {
        fixture_post(fixture, 1, &outcome);
        ring_and_reap(fixture->queues[1]);
    }
    assert_int_equal(outcome.count, FIXTURE_DEPTH + 3);
    return fixture->queues[1];
}

/* Over several laps: every doorbell is the caller's, every request ends, the device sees none. */
static void loopback_queue_works_without_its_device(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct stand_in device = {0};
    struct nvme_counters before, after;
    struct nvme_queue *queue = used_queue(&fixture);

    (void)state;
    device.cq = &fixture.model->cqs[2];
    assert_int_equal(loop_back(&device, queue), NVME_OK);
    assert_int_equal(device.ring.queue_id, 2);
    assert_int_equal(device.doorbells[0], 3);
    assert_int_equal(device.doorbells[1], 3);
    nvme_queue_count(queue, &before);
    memset(fixture_block, 0, BLOCK);
    for (uint32_t i = 1; i <= TURNS; i++) {
        fixture_post(&fixture, 1, &outcome);
        nvme_queue_submit(queue);
        assert_int_equal(device.doorbells[0], (3 + i) % FIXTURE_DEPTH);
        assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 0);
        answer(&device);
        assert_int_equal(nvme_queue_reap(queue, FIXTURE_DEPTH), 1);
        assert_int_equal(device.doorbells[1], (3 + i) % FIXTURE_DEPTH);
    }
    nvme_queue_count(queue, &after);
    assert_int_equal(outcome.count, TURNS);
    assert_int_equal(outcome.result.error, NVME_OK);
    assert_int_equal(after.sq_doorbells - before.sq_doorbells, TURNS);
    assert_int_equal(after.cq_doorbells - before.cq_doorbells, TURNS);
    assert_int_equal(after.completions - before.completions, TURNS);
    assert_int_equal(after.malformed + after.stale, 0);
    assert_int_equal(fixture_block[1], 0);
    fixture_finish(&fixture);
}

/* Closed and opened again it has the device's doorbells, and the device takes it from the start. */
static void queue_opened_after_it_is_the_devices_again(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct stand_in device = {0};
    struct nvme_queue_config config = {.mode = NVME_MODE_POLL, .depth_entries = FIXTURE_DEPTH};
    struct nvme_queue *queue = used_queue(&fixture);

    (void)state;
    device.cq = &fixture.model->cqs[2];
    assert_int_equal(loop_back(&device, queue), NVME_OK);
    fixture_post(&fixture, 1, &outcome);
    nvme_queue_submit(queue);
    answer(&device);
    assert_int_equal(nvme_queue_close(queue), NVME_OK);
    outcome_check_ok(&outcome, BLOCK);
    assert_int_equal(loop_back(&device, queue), NVME_ERR_STATE);
    assert_int_equal(nvme_queue_open(fixture.controller, 1, &config, &fixture.queues[1]), NVME_OK);
    fixture_post(&fixture, 1, &outcome);
    ring_and_reap(fixture.queues[1]);
    assert_int_equal(outcome.count, 2);
    assert_int_equal(fixture_block[1], model_pattern(1));
    fixture_finish(&fixture);
}

static void queue_with_requests_enters_no_loopback(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct stand_in device = {.doorbells = {77, 78}};
    struct nvme_queue *queue = used_queue(&fixture);

    (void)state;
    fixture_post(&fixture, 1, &outcome);
    assert_int_equal(loop_back(&device, queue), NVME_ERR_STATE);
    assert_int_equal(device.doorbells[0], 77);
    assert_int_equal(device.doorbells[1], 78);
    ring_and_reap(queue);
    outcome_check_ok(&outcome, BLOCK);
    fixture_finish(&fixture);
}

static void interrupt_queue_enters_no_loopback(void **state)
{
    struct fixture fixture;
    struct stand_in device = {0};

    (void)state;
    fixture_init(&fixture);
    fixture_start(&fixture, 1, NVME_MODE_INTERRUPT);
    assert_int_equal(loop_back(&device, fixture.queues[0]), NVME_ERR_STATE);
    fixture_finish(&fixture);
}

static void check_refused(struct nvme_queue *queue)
{
    volatile uint32_t doorbells[2];
    struct nvme_ring ring;

    assert_int_equal(nvme_queue_enter_loopback(queue, doorbells, &ring), NVME_ERR_STATE);
    assert_int_equal(nvme_queue_enter_raw(queue, &ring), NVME_ERR_STATE);
}

/* What resumes it would use rings that are the caller's: from CC.EN = 0 until its owner resumes. */
static void queue_of_a_controller_that_is_reset_is_not_given_away(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_start_reset(&fixture, 2, NVME_MODE_POLL);
    fixture.model->hang_next = 1;
    fixture_submit(&fixture, 1, &outcome);
    while ((fixture.model->cc & NVME_CC_EN) != 0) {
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    }
    check_refused(fixture.queues[0]);
    world_advance(NVME_WATCHDOG_PERIOD_NS);
    nvme_queue_watchdog(fixture.queues[0], world.now_ns);
    check_refused(fixture.queues[0]);
    while (!fixture_saw(&fixture, NVME_EVENT_RESET)) {
        world_advance(NVME_WATCHDOG_PERIOD_NS);
        nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    }
    check_refused(fixture.queues[0]);
    fixture_watch_until_reset(&fixture, 1);
    fixture_check_works(&fixture, 0);
    fixture_finish(&fixture);
}

static void raw_queue_enters_no_loopback(void **state)
{
    struct fixture fixture;
    struct stand_in device = {0};
    struct nvme_queue *queue = used_queue(&fixture);

    (void)state;
    assert_int_equal(nvme_queue_enter_raw(queue, &device.ring), NVME_OK);
    assert_int_equal(loop_back(&device, queue), NVME_ERR_STATE);
    fixture_finish(&fixture);
}

/* What is never answered expires, and its queue's doorbells play no part in the shutdown. */
static void unanswered_request_expires(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    struct stand_in device = {0};
    struct nvme_queue *queue = used_queue(&fixture);

    (void)state;
    assert_int_equal(loop_back(&device, queue), NVME_OK);
    fixture_post(&fixture, 1, &outcome);
    nvme_queue_submit(queue);
    for (uint32_t i = 0; i < 100000 && outcome.count == 0; i++) {
        world_advance(100 * MS);
        nvme_queue_watchdog(queue, world.now_ns);
    }
    outcome_check_error(&outcome, NVME_ERR_TIMEOUT);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_TIMEOUT);
    fixture_drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_queue_works_without_its_device),
        cmocka_unit_test(queue_opened_after_it_is_the_devices_again),
        cmocka_unit_test(queue_with_requests_enters_no_loopback),
        cmocka_unit_test(interrupt_queue_enters_no_loopback),
        cmocka_unit_test(raw_queue_enters_no_loopback),
        cmocka_unit_test(queue_of_a_controller_that_is_reset_is_not_given_away),
        cmocka_unit_test(unanswered_request_expires),
    };

    return fixture_run("loopback", tests, COUNT_OF(tests));
}
