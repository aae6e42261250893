// SPDX-License-Identifier: MIT
/* See owner.h. */
#include "owner.h"

static void done(void *arg, struct nvme_result result);

void owner_post(struct owner *owner)
{
    uint32_t at = owner->posted++ % FIXTURE_DEPTH;
    uint64_t last = owner->due_ns[(at + FIXTURE_DEPTH - 1) % FIXTURE_DEPTH];
    uint64_t gap = owner->depth > 1 ? owner->latency_ns / owner->depth : 0;
    uint64_t due = world.now_ns + owner->latency_ns + (owner->spun ? owner->drag_ns : 0);

    owner->due_ns[at] = due > last + gap ? due : last + gap;
    fixture_post_with(&owner->fixture, 0, (struct nvme_callback){done, owner});
}

static void done(void *arg, struct nvme_result result)
{
    struct owner *owner = arg;

    assert_int_equal(result.error, NVME_OK);
    owner->ended++;
    if (owner->posted - owner->ended < owner->depth) {
        owner_post(owner);
    }
}

void owner_start_prepared(struct owner *owner, uint64_t latency_ns)
{
    fixture_start(&owner->fixture, 1, NVME_MODE_HYBRID);
    fixture_interrupts(&owner->fixture);
    owner->fixture.model->on_demand = true;
    owner->queue = owner->fixture.queues[0];
    owner->latency_ns = latency_ns;
    owner->wake_ns = 30 * OWNER_US;
}

void owner_start(struct owner *owner, const struct fixture_source *source, uint64_t latency_ns)
{
    memset(owner, 0, sizeof(*owner));
    fixture_init(&owner->fixture);
    if (source->vectors) {
        fixture_use_vectors(&owner->fixture);
    }
    owner_start_prepared(owner, latency_ns);
}

void owner_answer(struct owner *owner)
{
    while (owner->answered != owner->posted &&
           world.now_ns >= owner->due_ns[owner->answered % FIXTURE_DEPTH]) {
        owner->answered += model_step(owner->fixture.model, 1);
    }
}

/* One turn of the owner's loop, as storage_wait: it sleeps until the next completion. */
static void turn(struct owner *owner)
{
    world_advance(OWNER_LOOK_NS);
    owner_answer(owner);
    owner->looks++;
    if (!nvme_queue_arm(owner->queue, owner->kind)) {
        owner->spun = nvme_queue_closed(owner->queue) != 0;
        if (!owner->spun) {
            fixture_interrupts(&owner->fixture);
        }
        nvme_queue_reap(owner->queue, FIXTURE_DEPTH);
        return;
    }
    owner->sleeps++;
    owner->spun = false;
    assert_false(fixture_masked(&owner->fixture, 0));
    if (owner->answered != owner->posted) {
        world.now_ns = owner->due_ns[owner->answered % FIXTURE_DEPTH] + owner->wake_ns;
        owner_answer(owner);
    }
    /* One that is held back may say nothing. */
    fixture_interrupts(&owner->fixture);
}

/* Goes on until so many more have ended. */
void owner_run(struct owner *owner, uint32_t count)
{
    uint32_t until = owner->ended + count;
    uint64_t looks = owner->looks + (uint64_t)count * OWNER_LOOKS_MAX;

    while (owner->posted - owner->ended < owner->depth) {
        owner_post(owner);
    }
    nvme_queue_submit(owner->queue);
    while (owner->ended < until) {
        turn(owner);
        assert_true(owner->looks < looks);
    }
}

/* Ends what is in flight and everything. */
void owner_finish(struct owner *owner)
{
    owner->depth = 0;
    owner_run(owner, owner->posted - owner->ended);
    assert_int_equal(fixture_counters(owner->queue).missed, 0);
    fixture_finish(&owner->fixture);
}

/* Interrupts while `count` end. */
uint64_t owner_interrupts(struct owner *owner, uint32_t count)
{
    uint64_t before = fixture_counters(owner->queue).interrupts;

    owner_run(owner, count);
    return fixture_counters(owner->queue).interrupts - before;
}
