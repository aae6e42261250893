// SPDX-License-Identifier: MIT
/*
 * When a device with a timing ends its commands: fetched one after the other at the controller's
 * pace, worked on by the unit that holds the block, moved over one link, then told.
 *
 * All of it is decided at the doorbell, for nothing that comes later changes it: one event for each
 * command. A device that works in passes has one event for each of those. Whole numbers only: a
 * seed gives the same times on every host.
 */
#include "event.h"
#include "kept.h"
#include "model_internal.h"

enum { RETRY_NS = 1000 }; /* a completion queue was full */

#define UNIT_FACTOR UINT32_C(0x9e3779b1) /* spreads blocks over units */

/* A command on its way through the device. */
struct model_flight {
    struct model_pending pending;
    uint64_t started; /* model->starts at that time: a reset forgets it */
    uint32_t next;    /* of the free ones, or of its pass */
};

void model_set_timing(struct model *model, const struct model_timing *timing)
{
    model->timing = *timing;
    model->timing.on = true;
    model->timing.random.state = timing->seed;
    model->timing.waiting = MODEL_PENDING;
    model->flights = kept_take(sizeof(uint64_t), MODEL_PENDING * sizeof(*model->flights));
    for (uint32_t i = 0; i < MODEL_PENDING; i++) {
        model->flights[i].next = i + 1;
    }
}

/* The inverse of the distribution: between two points it is a line. */
static uint64_t draw_service(struct model_timing *timing, bool is_write)
{
    const struct model_quantile *point = is_write ? timing->write : timing->read;
    uint32_t chance = random_below(&timing->random, MODEL_CHANCE_ALL);
    uint64_t span;

    while (point[1].chance <= chance) {
        point++;
    }
    span = point[1].service_ns - point[0].service_ns;
    return point[0].service_ns +
           span * (chance - point[0].chance) / (point[1].chance - point[0].chance);
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the command's entry stands in memory. */
static uint64_t plan_end(struct model *model, const struct nvme_command *command)
{
    struct model_timing *timing = &model->timing;
    uint8_t opcode = (uint8_t)NVME_GET(NVME_CDW0_OPCODE, command->cdw0);
    bool moves = opcode == NVME_CMD_READ || opcode == NVME_CMD_WRITE;
    uint64_t begin_ns = later_of(world.now_ns + timing->fetch_ns, timing->controller_ns);
    uint64_t *unit_ns =
        &timing->unit_ns[(command->cdw10 / timing->unit_blocks * UNIT_FACTOR >> 8) % timing->units];
    uint64_t move_ns;
    uint64_t end_ns;

    timing->controller_ns = begin_ns + timing->gap_ns;
    if (!moves) {
        return begin_ns + timing->tell_ns;
    }
    end_ns = later_of(begin_ns, *unit_ns) + draw_service(timing, opcode == NVME_CMD_WRITE);
    *unit_ns = end_ns;
    move_ns = (NVME_GET(NVME_IO_NLB, command->cdw12) + 1) * timing->block_ps / 1000;
    /* The link is behind by what it owes, whichever command is first at it. */
    timing->link_ns = later_of(begin_ns, timing->link_ns) + move_ns;
    return later_of(end_ns + move_ns, timing->link_ns) + timing->tell_ns;
}

static void end_flight(void *arg, uint64_t place)
{
    struct model *model = arg;
    struct model_flight *flight = &model->flights[place];
    const struct model_sq *sq = &model->sqs[flight->pending.sqid];

    /* A reset, or the end of its queue, forgets it. */
    if (flight->started == model->starts && sq->exists) {
        if (model_cq_full(model, sq->cqid)) {
            event_add(world.now_ns + RETRY_NS, end_flight, model, place);
            return;
        }
        model->clean_epoch = flight->pending.clean_epoch;
        model_answer(model, &flight->pending, model_execute_io(model, &flight->pending.command));
    }
    flight->next = model->flight_free;
    model->flight_free = (uint32_t)place;
}

static void begin_pass(void *arg, uint64_t value);

static void end_pass(void *arg, uint64_t value)
{
    struct model *model = arg;
    uint32_t place = model->timing.passing;

    while (place != MODEL_PENDING) {
        uint32_t next = model->flights[place].next;

        end_flight(model, place);
        place = next;
    }
    begin_pass(model, value);
}

/* All that was rung for until now. */
static void begin_pass(void *arg, uint64_t value)
{
    struct model *model = arg;
    struct model_timing *timing = &model->timing;

    timing->awake = timing->waiting_count != 0;
    if (timing->awake) {
        event_add(world.now_ns + timing->waiting_count * timing->gap_ns +
                      timing->waiting_rings * timing->ring_ns + timing->tell_ns,
                  end_pass, model, value);
    }
    timing->passing = timing->waiting;
    timing->waiting = MODEL_PENDING;
    timing->waiting_count = 0;
    timing->waiting_rings = 0;
}

/* The newest comes first: the order within a pass is nobody's business. */
static void wait_for_pass(struct model *model, uint32_t place)
{
    struct model_timing *timing = &model->timing;

    model->flights[place].next = timing->waiting;
    timing->waiting = place;
    timing->waiting_count++;
    if (!timing->awake) {
        timing->awake = true;
        event_add(world.now_ns + timing->fetch_ns, begin_pass, model, 0);
    }
}

void model_begin_flight(struct model *model, const struct model_pending *pending)
{
    uint32_t place = model->flight_free;

    if (place == MODEL_PENDING) {
        world_panic("more than MODEL_PENDING (tests/model/model.h) commands are in flight");
    }
    model->flight_free = model->flights[place].next;
    model->flights[place].pending = *pending;
    model->flights[place].started = model->starts;
    if (model->timing.passes) {
        wait_for_pass(model, place);
    } else {
        event_add(plan_end(model, &pending->command), end_flight, model, place);
    }
}
