// SPDX-License-Identifier: MIT
/*
 * source.c: hybrid mode: when an owner spins, for how long, what it learns, what it costs.
 *
 * The owner looks every LOOK_NS; the device ends each request after a latency, several at once at
 * equal distances. Nothing but these moves the clock.
 */
#include "fixture.h"

#define US UINT64_C(1000)
#define SPIN_MAX_NS (200 * US)

enum {
    BLOCK = 512,
    LOOK_NS = 100,
    LOOKS_MAX = 100000, /* of one wait */
    LOOKS_PER_CLOCK = 8,
};

static uint8_t buffer[BLOCK] __attribute__((aligned(4096)));

struct source_case {
    const char *name;
    bool vectors;
};

static const struct source_case source_cases[] = {{"line", false}, {"vector", true}};

/* A queue in hybrid mode, its owner and its device. */
struct owner {
    struct fixture fixture;
    struct nvme_queue *queue;
    uint64_t latency_ns;
    uint64_t due_ns[FIXTURE_DEPTH]; /* of each request, a ring */
    uint32_t posted;
    uint32_t answered;
    uint32_t ended;
    uint32_t depth; /* requests that done() keeps in flight; 0: it posts nothing */
    uint32_t looks;
};

static void done(void *arg, struct nvme_result result);

static void post(struct owner *owner)
{
    uint32_t at = owner->posted++ % FIXTURE_DEPTH;
    uint64_t last = owner->due_ns[(at + FIXTURE_DEPTH - 1) % FIXTURE_DEPTH];
    uint64_t gap = owner->depth > 1 ? owner->latency_ns / owner->depth : 0;
    uint64_t due = world.now_ns + owner->latency_ns;

    owner->due_ns[at] = due > last + gap ? due : last + gap;
    assert_int_equal(nvme_read(owner->queue, &owner->fixture.ns, 0, 1, buffer,
                               (struct nvme_callback){done, owner}),
                     NVME_OK);
}

static void done(void *arg, struct nvme_result result)
{
    struct owner *owner = arg;

    assert_int_equal(result.error, NVME_OK);
    owner->ended++;
    if (owner->posted - owner->ended < owner->depth) {
        post(owner);
    }
}

/* With the default bound if max_ns is 0. */
static void start_bounded(struct owner *owner, bool vectors, uint64_t latency_ns, uint64_t max_ns)
{
    memset(owner, 0, sizeof(*owner));
    fixture_init(&owner->fixture);
    owner->fixture.config.hybrid_spin_max_ns = max_ns;
    if (vectors) {
        fixture_use_vectors(&owner->fixture);
    }
    fixture_start(&owner->fixture, 1, NVME_MODE_HYBRID);
    fixture_interrupts(&owner->fixture);
    owner->fixture.model->on_demand = true;
    owner->queue = owner->fixture.queues[0];
    owner->latency_ns = latency_ns;
}

static void start(struct owner *owner, const struct source_case *on, uint64_t latency_ns)
{
    start_bounded(owner, on->vectors, latency_ns, 0);
}

static void answer_what_is_due(struct owner *owner)
{
    while (owner->answered != owner->posted &&
           world.now_ns >= owner->due_ns[owner->answered % FIXTURE_DEPTH]) {
        owner->answered += model_step(owner->fixture.model, 1);
    }
}

/* One turn of the owner's loop, as storage_wait: it sleeps until the next completion. */
static void turn(struct owner *owner)
{
    world_advance(LOOK_NS);
    answer_what_is_due(owner);
    owner->looks++;
    if (!nvme_queue_arm(owner->queue)) {
        nvme_queue_service(owner->queue, FIXTURE_DEPTH);
        return;
    }
    assert_false(fixture_masked(&owner->fixture, 0));
    if (owner->answered != owner->posted) {
        world.now_ns = owner->due_ns[owner->answered % FIXTURE_DEPTH];
        answer_what_is_due(owner);
    }
    fixture_interrupts(&owner->fixture);
}

/* Goes on until so many more have ended. */
static void run(struct owner *owner, uint32_t count)
{
    uint32_t until = owner->ended + count;
    uint32_t looks = owner->looks + count * LOOKS_MAX;

    while (owner->posted - owner->ended < owner->depth) {
        post(owner);
    }
    nvme_submit(owner->queue);
    while (owner->ended < until) {
        turn(owner);
        assert_true(owner->looks < looks);
    }
}

/* Ends what is in flight and everything. */
static void finish(struct owner *owner)
{
    owner->depth = 0;
    run(owner, owner->posted - owner->ended);
    assert_int_equal(fixture_counters(owner->queue).missed, 0);
    fixture_finish(&owner->fixture);
}

/* Interrupts while `count` end. */
static uint64_t interrupts_of(struct owner *owner, uint32_t count)
{
    uint64_t before = fixture_counters(owner->queue).interrupts;

    run(owner, count);
    return fixture_counters(owner->queue).interrupts - before;
}

/* How long the owner looks before it sleeps, with a device that is silent from now on. */
static uint64_t spin_time(struct owner *owner)
{
    uint64_t from;

    owner->depth = 1;
    owner->latency_ns = UINT64_MAX / 4;
    post(owner);
    nvme_submit(owner->queue);
    from = world.now_ns;
    while (!nvme_queue_arm(owner->queue)) {
        world_advance(LOOK_NS);
        assert_true(world.now_ns - from < 2 * SPIN_MAX_NS);
    }
    return world.now_ns - from;
}

static void completions_that_come_soon_are_polled(void **state)
{
    struct owner owner;
    uint32_t writes;

    start(&owner, *state, 20 * US);
    owner.depth = 1;
    writes = fixture_mask_writes(&owner.fixture);
    assert_int_equal(interrupts_of(&owner, 300), 0);
    assert_int_equal(fixture_mask_writes(&owner.fixture) - writes, 1);
    finish(&owner);
}

static void completions_that_come_late_are_slept_for(void **state)
{
    struct owner owner;
    uint32_t writes, looks;

    start(&owner, *state, 500 * US);
    owner.depth = 1;
    run(&owner, 20);
    writes = fixture_mask_writes(&owner.fixture);
    looks = owner.looks;
    assert_int_equal(interrupts_of(&owner, 100), 100);
    assert_int_equal(owner.looks - looks, 100);
    assert_int_equal(fixture_mask_writes(&owner.fixture), writes);
    finish(&owner);
}

/* A device that changes: the owner follows within a few waits, both ways. */
static void owner_learns_again(void **state)
{
    struct owner owner;

    start(&owner, *state, 20 * US);
    owner.depth = 1;
    for (uint32_t i = 0; i < 3; i++) {
        owner.latency_ns = 500 * US;
        run(&owner, 8);
        assert_int_equal(interrupts_of(&owner, 50), 50);
        owner.latency_ns = 20 * US;
        run(&owner, 12);
        assert_int_equal(interrupts_of(&owner, 50), 0);
    }
    finish(&owner);
}

static void nothing_outstanding_is_nothing_to_spin_for(void **state)
{
    struct owner owner;

    start(&owner, *state, 20 * US);
    assert_true(nvme_queue_arm(owner.queue));
    owner.depth = 1;
    run(&owner, 10);
    owner.depth = 0;
    run(&owner, 1);
    assert_true(fixture_masked(&owner.fixture, 0));
    assert_true(nvme_queue_arm(owner.queue));
    assert_false(fixture_masked(&owner.fixture, 0));
    finish(&owner);
}

/* Junk ends no request: it does not count for one, nor against one. */
static void junk_does_not_look_like_an_end(void **state)
{
    struct owner owner;

    start(&owner, *state, 20 * US);
    owner.depth = 1;
    run(&owner, 10);
    for (uint32_t sqid = 1; sqid <= 2; sqid++) { /* stale, and of another queue */
        model_post_entry(owner.fixture.model, 1,
                         (struct nvme_completion){.sq = sqid << 16, .status = 0x7777});
        nvme_queue_service(owner.queue, 1);
        assert_false(nvme_queue_arm(owner.queue));
    }
    owner.depth = 0;
    run(&owner, 1);
    assert_true(nvme_queue_arm(owner.queue));
    finish(&owner);
}

/* Requests that arrive by themselves, as from a clock: nobody waits for their completions. */
static void completions_that_lead_to_no_posts_are_slept_for(void **state)
{
    struct owner owner;
    uint64_t before = 0;

    start(&owner, *state, 20 * US);
    for (uint32_t i = 0; i < 40; i++) {
        if (i == 10) {
            before = fixture_counters(owner.queue).interrupts;
        }
        post(&owner);
        nvme_submit(owner.queue);
        run(&owner, 1);
        assert_true(nvme_queue_arm(owner.queue));
        fixture_interrupts(&owner.fixture);
        world_advance(1000 * US);
    }
    assert_int_equal(fixture_counters(owner.queue).interrupts - before, 30);
    owner.depth = 1;
    run(&owner, 12);
    assert_int_equal(interrupts_of(&owner, 50), 0);
    finish(&owner);
}

/* One drain may find several, and between several in flight the waits are short. */
static void interrupts_for_each_request_fall_as_load_rises(void **state)
{
    uint64_t last = 1000;

    for (uint32_t depth = 1; depth <= 8; depth *= 2) {
        struct owner owner;
        uint64_t interrupts;

        start(&owner, *state, 500 * US);
        owner.depth = depth;
        run(&owner, 100);
        interrupts = interrupts_of(&owner, 400);
        assert_true(interrupts <= (depth == 1 ? 400 : last));
        assert_true(depth != 1 || interrupts == 400);
        assert_true(depth != 8 || interrupts == 0);
        last = interrupts;
        finish(&owner);
    }
}

struct budget_case {
    const char *name;
    uint64_t max_ns; /* hybrid_spin_max_ns */
    uint64_t latency_ns;
    uint64_t low_ns;
    uint64_t high_ns;
};

static const struct budget_case budget_cases[] = {
    {"at_least_a_quarter_of_the_bound", 0, 2 * US, 50 * US, 52 * US},
    {"four_times_the_mean", 0, 20 * US, 70 * US, 84 * US},
    {"at_most_the_bound", 0, 150 * US, 200 * US, 202 * US},
    {"bound_is_the_users_to_choose", 40 * US, 30 * US, 40 * US, 42 * US},
    {"bound_of_nothing_is_a_few_looks", 1, 0, 0, 2 * US},
};

static void owner_spins_within_bounds(void **state)
{
    const struct budget_case *this = *state;
    struct owner owner;

    start_bounded(&owner, false, this->latency_ns, this->max_ns);
    owner.depth = 1;
    run(&owner, 100);
    owner.depth = 0;
    run(&owner, 1);
    assert_in_range(spin_time(&owner), this->low_ns, this->high_ns);
    assert_true(nvme_queue_arm(owner.queue));
    finish(&owner);
}

static uint32_t clock_reads;

static void count_reading(void *arg)
{
    clock_reads++;
    world.meanwhile[WORLD_AT_NOW] = count_reading;
    (void)arg;
}

static void one_look_in_eight_reads_the_clock(void **state)
{
    struct owner owner;
    uint64_t looks;

    start(&owner, *state, 20 * US);
    owner.depth = 1;
    run(&owner, 10);
    owner.depth = 0;
    run(&owner, 1);
    clock_reads = 0;
    world.meanwhile[WORLD_AT_NOW] = count_reading;
    looks = spin_time(&owner) / LOOK_NS;
    assert_true(looks > 100);
    assert_int_equal(clock_reads, looks / LOOKS_PER_CLOCK + 1);
    clock_reads = 0;
    assert_true(nvme_queue_arm(owner.queue));
    assert_true(clock_reads <= 1);
    world.meanwhile[WORLD_AT_NOW] = NULL;
    finish(&owner);
}

/* An entry that is there is polled for, whatever was learned; the next wait opens the source. */
static void entry_at_the_last_look_is_taken_awake(void **state)
{
    struct owner owner;
    uint32_t writes;

    start(&owner, *state, 500 * US);
    owner.depth = 1;
    run(&owner, 20);
    writes = fixture_mask_writes(&owner.fixture);
    world.now_ns = owner.due_ns[owner.answered % FIXTURE_DEPTH];
    answer_what_is_due(&owner);
    assert_false(nvme_queue_arm(owner.queue));
    assert_true(fixture_masked(&owner.fixture, 0));
    assert_int_equal(nvme_queue_service(owner.queue, 1), 1);
    assert_true(nvme_queue_arm(owner.queue));
    assert_int_equal(fixture_mask_writes(&owner.fixture) - writes, 2);
    finish(&owner);
}

int main(void)
{
    struct CMUnitTest tests[9 * COUNT_OF(source_cases) + COUNT_OF(budget_cases)];
    static const CMUnitTestFunction on_each[] = {
        completions_that_come_soon_are_polled,
        completions_that_come_late_are_slept_for,
        owner_learns_again,
        nothing_outstanding_is_nothing_to_spin_for,
        junk_does_not_look_like_an_end,
        completions_that_lead_to_no_posts_are_slept_for,
        interrupts_for_each_request_fall_as_load_rises,
        one_look_in_eight_reads_the_clock,
        entry_at_the_last_look_is_taken_awake,
    };
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(on_each); i++) {
        fixture_add_cases(tests, &count, on_each[i], source_cases, COUNT_OF(source_cases),
                          sizeof(source_cases[0]));
    }
    fixture_add_cases(tests, &count, owner_spins_within_bounds, budget_cases,
                      COUNT_OF(budget_cases), sizeof(budget_cases[0]));
    return fixture_run("hybrid", tests, count);
}
