// SPDX-License-Identifier: MIT
/*
 * reset.c, setup.c: resets under load, and resets that fail.
 */
#include "fixture.h"

#define MS UINT64_C(1000000)
#define TIMEOUT_MS 1000

enum {
    STEP_MS = 10,
    RESETS_MAX = 3,
    WATCHES_MAX = 3000,
};

static void start(struct fixture *fixture, uint32_t queues, enum nvme_mode mode)
{
    fixture_init(fixture);
    fixture->config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture->config.resets_max = RESETS_MAX;
    fixture_start(fixture, queues, mode);
    fixture_interrupts(fixture);
}

static void check_works(struct fixture *fixture, uint32_t queue)
{
    struct outcome outcome = {0};

    fixture_submit(fixture, queue, &outcome);
    model_step(fixture->model, UINT32_MAX);
    fixture_interrupts(fixture);
    nvme_queue_reap(fixture->queues[queue], FIXTURE_DEPTH);
    outcome_check_ok(&outcome, BLOCK);
}

/* ---- A thousand ------------------------------------------------------------------------- */

enum { MANY = 1000 };

struct load {
    struct fixture *fixture;
    uint32_t queue;
    uint32_t in_flight;
    uint64_t ended;
    uint64_t lba;
    bool writes;
    uint8_t *buffer;
    uint8_t value;
};

static void load_done(void *arg, struct nvme_result result)
{
    struct load *load = arg;
    const uint8_t *medium = load->fixture->model->namespaces[0].backing + load->lba * BLOCK;

    assert_int_equal(load->in_flight--, 1);
    load->ended++;
    if (result.error != NVME_OK) {
        assert_int_equal(result.error, NVME_ERR_RESET);
    } else {
        assert_memory_equal(medium, load->buffer, BLOCK);
    }
    memset(load->buffer, 0xdd, BLOCK); /* the device would show that it writes here later */
}

/* Posts all that are idle, alternating reads and writes of blocks of their own. */
static void load_post(struct load *load)
{
    if (load->in_flight != 0) {
        return;
    }
    load->in_flight = 1;
    load->writes = !load->writes;
    if (load->writes) {
        memset(load->buffer, ++load->value, BLOCK);
        assert_int_equal(nvme_write(load->fixture->queues[load->queue], &load->fixture->ns,
                                    load->lba, 1, load->buffer,
                                    (struct nvme_callback){load_done, load}),
                         NVME_OK);
    } else {
        assert_int_equal(nvme_read(load->fixture->queues[load->queue], &load->fixture->ns,
                                   load->lba, 1, load->buffer,
                                   (struct nvme_callback){load_done, load}),
                         NVME_OK);
    }
}

/* Under load, by CFS or by a command that hangs; what is in flight ends, what is posted goes on. */
static void a_thousand_resets_lose_nothing(void **state)
{
    enum { LOADS = 24 };
    const struct fixture_source *source = *state;
    struct fixture fixture;
    struct load loads[LOADS] = {0};
    uint8_t *buffers = fixture_buffer((size_t)LOADS * BLOCK);
    uint64_t ended = 0;
    struct nvme_counters counters;

    fixture_init(&fixture);
    if (source->vectors) {
        fixture_use_vectors(&fixture);
    }
    fixture.config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture.config.resets_max = RESETS_MAX;
    fixture_start(&fixture, 2, NVME_MODE_INTERRUPT);
    fixture.model->on_demand = true;
    fixture.model->stops_late = true;
    for (uint32_t i = 0; i < LOADS; i++) {
        loads[i] = (struct load){
            .fixture = &fixture, .queue = i % 2, .lba = i, .buffer = buffers + (size_t)i * BLOCK};
    }
    for (uint32_t reset = 1; reset <= MANY; reset++) {
        fixture.event_count = 0;
        for (uint32_t i = 0; i < LOADS; i++) {
            load_post(&loads[i]);
        }
        nvme_queue_submit(fixture.queues[0]);
        nvme_queue_submit(fixture.queues[1]);
        model_step(fixture.model, reset % LOADS);
        fixture_interrupts(&fixture);
        fixture.model->fatal = true;
        world_advance(STEP_MS * MS);
        nvme_queue_watchdog(fixture.queues[reset % 2], world.now_ns);
        fixture.model->fatal = false;
        fixture_watch_until_reset(&fixture, 1);
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_RESET).value, reset);
    }
    model_step(fixture.model, UINT32_MAX);
    fixture_interrupts(&fixture);
    for (uint32_t i = 0; i < LOADS; i++) {
        assert_int_equal(loads[i].in_flight, 0);
        ended += loads[i].ended;
    }
    assert_int_equal(nvme_queue_outstanding(fixture.queues[0]), 0);
    assert_int_equal(nvme_queue_outstanding(fixture.queues[1]), 0);
    counters = fixture_counters(fixture.queues[0]);
    assert_true(ended >= MANY && counters.posts >= counters.completions);
    assert_int_equal(counters.stale, 0);
    fixture_finish(&fixture);
    fixture_free(buffers);
}

/* ---- Resets that fail ------------------------------------------------------------------- */

enum defeat {
    HANGS_AGAIN,
    NEVER_READY,
    STAYS_FATAL,
    ADMIN_SILENT,
    OTHER_SERIAL,
    FEWER_QUEUES,
    VANISHES,
    CREATE_REFUSED,
};

struct defeat_case {
    const char *name;
    enum defeat defeat;
    enum nvme_error error;
};

static const struct defeat_case defeat_cases[] = {
    {"it_hangs_each_time", HANGS_AGAIN, NVME_ERR_TIMEOUT},
    {"rdy_never_rises", NEVER_READY, NVME_ERR_TIMEOUT},
    {"cfs_stays", STAYS_FATAL, NVME_ERR_FATAL},
    {"admin_commands_are_not_answered", ADMIN_SILENT, NVME_ERR_TIMEOUT},
    {"another_device_comes_back", OTHER_SERIAL, NVME_ERR_IDENTIFY},
    {"it_grants_fewer_queues", FEWER_QUEUES, NVME_ERR_QUEUES},
    {"it_vanishes", VANISHES, NVME_ERR_REMOVED},
    {"it_refuses_a_queue", CREATE_REFUSED, NVME_ERR_FATAL},
};

static void bend_serial(struct model *model, uint8_t *page)
{
    (void)model;
    page[4] ^= 1;
}

static void set_defeat(struct model *model, enum defeat defeat)
{
    model->hang_next = 100;
    model->ready_never = defeat == NEVER_READY;
    model->fatal = defeat == STAYS_FATAL;
    model->admin_silent = defeat == ADMIN_SILENT;
    model->bend_page = defeat == OTHER_SERIAL ? bend_serial : NULL;
    model->granted = defeat == FEWER_QUEUES ? 1 : 64;
    model->gone_when_enabled = defeat == VANISHES;
    model->admin_status[NVME_ADMIN_CREATE_SQ] = defeat == CREATE_REFUSED ? 0x101 : 0;
}

static void after_so_many_in_a_row_the_controller_fails(void **state)
{
    const struct defeat_case *this = *state;
    struct fixture fixture;
    struct outcome first = {0};
    struct outcome later = {0};

    start(&fixture, 2, NVME_MODE_POLL);
    set_defeat(fixture.model, this->defeat);
    fixture_submit(&fixture, 0, &first);
    for (int i = 0; i < 2 * WATCHES_MAX && !fixture_saw(&fixture, NVME_EVENT_DISABLED) &&
                    !fixture_saw(&fixture, NVME_EVENT_REMOVED);
         i++) {
        world_advance(STEP_MS * MS);
        if (first.count == 1 && nvme_queue_outstanding(fixture.queues[1]) == 0) {
            fixture_submit(&fixture, 1, &later);
        }
        nvme_queue_watchdog(fixture.queues[0], world.now_ns);
        nvme_queue_watchdog(fixture.queues[1], world.now_ns);
    }
    outcome_check_error(&first, NVME_ERR_RESET);
    if (this->defeat == VANISHES) {
        fixture_submit(&fixture, 1, &later); /* RDY = 0 was not looked for again */
    }
    for (int i = 0; i < 6; i++) {
        nvme_queue_watchdog(fixture.queues[i % 2], world.now_ns);
    }
    assert_int_equal(nvme_queue_outstanding(fixture.queues[1]), 0);
    assert_int_equal(later.result.error, this->error);
    /* The first one, and as often again as a reset in a row is allowed. */
    assert_int_equal(fixture.model->starts,
                     this->defeat == VANISHES ? 2 : 1 + (uint64_t)RESETS_MAX);
    assert_int_equal(nvme_flush(fixture.queues[0], &fixture.ns, outcome_callback(&first)),
                     NVME_ERR_STATE);
    assert_int_equal(nvme_controller_close(fixture.controller), this->error);
    fixture_drop(&fixture);
}

static void a_device_that_does_not_stop_is_stuck_all_the_same(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->hang_next = 1;
    fixture.model->stop_never = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture_watch_until_reset(&fixture, 1);
    assert_true(fixture_saw(&fixture, NVME_EVENT_DISABLE_TIMEOUT));
    assert_int_equal(outcome.count, 0);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_STUCK);
    fixture_drop(&fixture);
}

static void removed_device_is_not_reset(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 1, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->gone = true;
    fixture_watch_until_reset(&fixture, 1);
    outcome_check_error(&outcome, NVME_ERR_REMOVED);
    assert_int_equal(nvme_controller_close(fixture.controller), NVME_ERR_REMOVED);
    fixture_drop(&fixture);
}

static void queue_that_the_device_does_not_delete_is_closed_by_a_reset(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    start(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = 0x006;
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_DEVICE);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture.queues[0] = NULL;
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = 0;
    fixture_watch_until_reset(&fixture, 1);
    assert_false(fixture.model->sqs[1].exists);
    check_works(&fixture, 1);
    fixture_finish(&fixture);
}

/* QEMU: entries that are left at EN = 0 leave its count too high, and the line with it. */
static void line_that_a_reset_leaves_high_is_repaired(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_init(&fixture);
    fixture.config.command_timeout_ns = TIMEOUT_MS * MS;
    fixture.config.resets_max = RESETS_MAX;
    fixture.model->counts_pending = true;
    fixture.model->stop_leaks = true;
    fixture.model->empty_heads_allowed = 8;
    fixture_start(&fixture, 2, NVME_MODE_INTERRUPT);
    fixture_interrupts(&fixture);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture_submit(&fixture, 1, &outcome);
    fixture.model->fatal = true;
    model_step(fixture.model, 1);
    nvme_queue_watchdog(fixture.queues[1], world.now_ns); /* disables, an entry is left */
    fixture.model->fatal = false;
    fixture_watch_until_reset(&fixture, 1);
    assert_int_equal(outcome.count, 2);
    assert_true(fixture_saw(&fixture, NVME_EVENT_LINE_REPAIRED));
    check_works(&fixture, 0);
    check_works(&fixture, 1);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[4 + FIXTURE_DELIVERIES + COUNT_OF(defeat_cases)] = {
        cmocka_unit_test(a_device_that_does_not_stop_is_stuck_all_the_same),
        cmocka_unit_test(removed_device_is_not_reset),
        cmocka_unit_test(queue_that_the_device_does_not_delete_is_closed_by_a_reset),
        cmocka_unit_test(line_that_a_reset_leaves_high_is_repaired),
    };
    size_t count = 4;

    ADD_CASES(tests, &count, a_thousand_resets_lose_nothing, fixture_deliveries);
    ADD_CASES(tests, &count, after_so_many_in_a_row_the_controller_fails, defeat_cases);
    return fixture_run("reset_fails", tests, count);
}
