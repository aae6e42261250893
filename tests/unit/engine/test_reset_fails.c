// SPDX-License-Identifier: MIT
/*
 * reset.c, setup.c: resets under load, and resets that fail.
 */
#include "fixture_reset.h"

#define MS UINT64_C(1000000)

enum { STEP_MS = 10 };

/* ---- A thousand ------------------------------------------------------------------------- */

enum { MANY = 1000, LOADS = 24, QUEUES = 2, POISON = 0xdd };

struct load {
    struct fixture *fixture;
    uint32_t in_flight;
    uint64_t good, reset; /* how they ended */
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
    if (result.error != NVME_OK) {
        assert_int_equal(result.error, NVME_ERR_RESET);
        load->reset++;
    } else {
        assert_memory_equal(medium, load->buffer, BLOCK);
        load->good++;
    }
    memset(load->buffer, POISON, BLOCK);
}

/* It has ended, and the device has not written to its buffer since. */
static void check_ended(const struct load *load)
{
    uint8_t poison[BLOCK];

    memset(poison, POISON, BLOCK);
    assert_int_equal(load->in_flight, 0);
    assert_memory_equal(load->buffer, poison, BLOCK);
}

/* Alternates writes and reads of a block of its own. */
static void load_post(struct load *load)
{
    struct nvme_queue *queue = load->fixture->queues[load->lba % QUEUES];
    struct nvme_callback callback = {load_done, load};
    enum nvme_error error;

    check_ended(load);
    load->in_flight = 1;
    load->writes = !load->writes;
    if (load->writes) {
        memset(load->buffer, ++load->value, BLOCK);
        error = nvme_write(queue, &load->fixture->ns, load->lba, 1, load->buffer, callback);
    } else {
        error = nvme_read(queue, &load->fixture->ns, load->lba, 1, load->buffer, callback);
    }
    assert_int_equal(error, NVME_OK);
}

/* All are posted, and some of them end. */
static void run_loads(struct fixture *fixture, struct load loads[LOADS], uint32_t ends)
{
    for (uint32_t i = 0; i < LOADS; i++) {
        load_post(&loads[i]);
    }
    for (uint32_t i = 0; i < QUEUES; i++) {
        nvme_queue_submit(fixture->queues[i]);
    }
    model_step(fixture->model, ends);
    fixture_interrupts(fixture);
    for (uint32_t i = 0; i < QUEUES && nvme_queue_mode(fixture->queues[i]) == NVME_MODE_POLL; i++) {
        nvme_queue_reap(fixture->queues[i], FIXTURE_DEPTH);
    }
}

/* CFS, which the owner sees whose queue is not idle. */
static void die(struct fixture *fixture)
{
    fixture->model->fatal = true;
    world_advance(STEP_MS * MS);
    for (uint32_t i = 0; i < QUEUES; i++) {
        nvme_queue_watchdog(fixture->queues[i], world.now_ns);
    }
    fixture->model->fatal = false;
}

/* Each result but NVME_ERR_RESET had its completion, and nothing else had one. */
static void check_sums(const struct fixture *fixture, const struct load loads[LOADS])
{
    uint64_t good = 0;
    uint64_t reset = 0;
    uint64_t posts = 0;
    uint64_t completions = 0;

    for (uint32_t i = 0; i < LOADS; i++) {
        check_ended(&loads[i]);
        good += loads[i].good;
        reset += loads[i].reset;
    }
    for (uint32_t i = 0; i < QUEUES; i++) {
        struct nvme_counters counters = fixture_counters(fixture->queues[i]);

        assert_int_equal(nvme_queue_outstanding(fixture->queues[i]), 0);
        assert_int_equal(counters.stale, 0);
        posts += counters.posts;
        completions += counters.completions;
    }
    assert_int_equal(good + reset, MANY * LOADS);
    assert_int_equal(posts, MANY * LOADS);
    assert_int_equal(completions, good);
    assert_true(reset >= MANY);
}

struct many_case {
    const char *name;
    bool vectors;
    enum nvme_mode mode;
};

static const struct many_case many_cases[] = {
    {"line", false, NVME_MODE_INTERRUPT},
    {"vectors", true, NVME_MODE_INTERRUPT},
    {"poll", false, NVME_MODE_POLL},
};

/* By turns by CFS and by a command that hangs. */
static void a_thousand_resets_under_load_lose_nothing(void **state)
{
    const struct many_case *this = *state;
    struct fixture fixture;
    struct load loads[LOADS] = {0};
    uint8_t *buffers = fixture_buffer((size_t)LOADS * BLOCK);

    memset(buffers, POISON, (size_t)LOADS * BLOCK);
    fixture_init_reset(&fixture, this->vectors);
    fixture_start(&fixture, QUEUES, this->mode);
    fixture.model->on_demand = true;
    fixture.model->stops_late = true;
    fixture.model->ready_delay_ns = 2 * STEP_MS * MS;
    for (uint32_t i = 0; i < LOADS; i++) {
        loads[i] =
            (struct load){.fixture = &fixture, .lba = i, .buffer = buffers + (size_t)i * BLOCK};
    }
    for (uint32_t reset = 1; reset <= MANY; reset++) {
        bool hangs = reset % 2 == 0;

        fixture.event_count = 0;
        fixture.model->hang_next = hangs;
        run_loads(&fixture, loads, reset % LOADS);
        if (!hangs) {
            die(&fixture);
        }
        fixture_watch_until_reset(&fixture, 1);
        assert_int_equal(fixture_event(&fixture, NVME_EVENT_RESET).value, reset);
        assert_int_equal(fixture_count_events(&fixture, NVME_EVENT_COMMAND_TIMEOUT), hangs);
        assert_int_equal(fixture_count_events(&fixture, NVME_EVENT_CONTROLLER_FATAL), !hangs);
    }
    check_sums(&fixture, loads);
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

    fixture_start_reset(&fixture, 2, NVME_MODE_POLL);
    set_defeat(fixture.model, this->defeat);
    fixture_submit(&fixture, 0, &first);
    for (int i = 0; i < 2 * FIXTURE_WATCHES_MAX && !fixture_saw(&fixture, NVME_EVENT_DISABLED) &&
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
                     this->defeat == VANISHES ? 2 : 1 + (uint64_t)FIXTURE_RESETS_MAX);
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
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
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
    fixture_start_reset(&fixture, 1, NVME_MODE_POLL);
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
    fixture_start_reset(&fixture, 2, NVME_MODE_POLL);
    fixture.model->on_demand = true;
    fixture_submit(&fixture, 0, &outcome);
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = 0x006;
    assert_int_equal(nvme_queue_close(fixture.queues[0]), NVME_ERR_DEVICE);
    outcome_check_error(&outcome, NVME_ERR_RESET);
    fixture.queues[0] = NULL;
    fixture.model->admin_status[NVME_ADMIN_DELETE_SQ] = 0;
    fixture_watch_until_reset(&fixture, 1);
    assert_false(fixture.model->sqs[1].exists);
    fixture_check_works(&fixture, 1);
    fixture_finish(&fixture);
}

/* QEMU: entries that are left at EN = 0 leave its count too high, and the line with it. */
static void line_that_a_reset_leaves_high_is_repaired(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};

    (void)state;
    fixture_init_reset(&fixture, false);
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
    fixture_check_works(&fixture, 0);
    fixture_check_works(&fixture, 1);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[4 + COUNT_OF(many_cases) + COUNT_OF(defeat_cases)] = {
        cmocka_unit_test(a_device_that_does_not_stop_is_stuck_all_the_same),
        cmocka_unit_test(removed_device_is_not_reset),
        cmocka_unit_test(queue_that_the_device_does_not_delete_is_closed_by_a_reset),
        cmocka_unit_test(line_that_a_reset_leaves_high_is_repaired),
    };
    size_t count = 4;

    ADD_CASES(tests, &count, a_thousand_resets_under_load_lose_nothing, many_cases);
    ADD_CASES(tests, &count, after_so_many_in_a_row_the_controller_fails, defeat_cases);
    return fixture_run("reset_fails", tests, count);
}
