// SPDX-License-Identifier: MIT
/*
 * The hostile device: see hostile.h.
 */
#include "hostile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "model_internal.h"

#define MS UINT64_C(1000000)
#define RELAX_NS (20 * MS) /* long waits in few steps */

enum {
    PAGE = 4096,
    MEDDLINGS = 4096, /* in one run */
};

/* The hooks of model and world have no argument of ours. */
static struct model *model;
static struct tape *tape;
static uint32_t meddlings;
static uint64_t injected[FAULT_CLASSES + 1]; /* in all runs, by class */

/* For tests/fuzz/run.py. */
static void print_injected(void)
{
    fprintf(stderr, "injected:");
    for (uint32_t i = 1; i <= FAULT_CLASSES; i++) {
        if (injected[i] != 0) {
            fprintf(stderr, " %" PRIu32 "=%" PRIu64, i, injected[i]);
        }
    }
    fprintf(stderr, "\n");
}

/* Four values of a byte of the tape mean a lie, the others the truth. */
static uint32_t lie(struct model *who, uint32_t offset, uint32_t value)
{
    uint8_t how = tape_byte(tape);

    (void)who;
    (void)offset;
    injected[FAULT_LIE] += how == 1 || how == 2;
    injected[FAULT_GONE] += how == 3;
    injected[FAULT_DEAD] += how == 4;
    switch (how) {
    case 1:
        return tape_word(tape);
    case 2:
        return value ^ tape_word(tape);
    case 3:
        return NVME_REGISTER_GONE;
    case 4:
        return value | (uint32_t)NVME_CSTS_CFS;
    default:
        return value;
    }
}

static void bend_page(struct model *who, uint8_t *page)
{
    (void)who;
    for (uint8_t count = tape_byte(tape) % 16; count > 0; count--) {
        uint32_t at = tape_word(tape);

        page[at % PAGE] = (uint8_t)(at >> 24);
        injected[FAULT_LIE]++;
    }
}

/* Any bytes at any place of a completion ring. */
static void scribble(uint32_t cqid)
{
    struct model_cq *cq = &model->cqs[cqid];
    uint32_t bytes = cq->entries * (uint32_t)sizeof(struct nvme_completion);
    uint32_t at;

    if (!cq->exists) {
        return;
    }
    at = tape_word(tape) % bytes;
    injected[FAULT_REWRITTEN]++;
    tape_copy(tape, (uint8_t *)world_host(cq->address) + at, bytes - at < 8 ? bytes - at : 8);
}

static void post_entry(uint32_t cqid)
{
    struct nvme_completion entry;

    tape_copy(tape, &entry, sizeof(entry));
    if (model->cqs[cqid].exists && !model_cq_full(model, cqid)) {
        model_post_entry(model, cqid, entry);
        injected[FAULT_CID]++;
    }
}

/* A doorbell in memory, which is the host's, or an event index: any value. */
static void scribble_doorbell(uint32_t number)
{
    uint64_t page = (number & 1) != 0 ? model->event_page : model->shadow_page;

    if (page != 0) {
        tape_copy(tape, (uint32_t *)world_host(page) + number / 2, sizeof(uint32_t));
        injected[FAULT_WRAP]++;
    }
}

/* An entry that ends one of the commands that the device has. */
static void answer(uint16_t status)
{
    uint32_t index = tape_byte(tape);

    if (index >= model->pending_count) {
        index = 0;
    }
    if (model->pending_count != 0 &&
        !model_cq_full(model, model->sqs[model->pending[index].sqid].cqid)) {
        model_fail_one(model, index, status);
        injected[FAULT_SPOILED] += status != 0;
    }
}

/* What the device does amid the driver's steps, at every point of world.h. */
static void meddle(void *arg)
{
    (void)arg;
    hostile_meddle();
}

void hostile_meddle(void)
{
    uint8_t how = tape_byte(tape);

    for (uint32_t i = 0; i < WORLD_MOMENTS; i++) {
        world.meanwhile[i] = meddle;
    }
    if (tape->left == 0 || meddlings++ > MEDDLINGS) {
        return;
    }
    switch (how & 15) {
    case 1:
        scribble(how >> 4 & 3);
        break;
    case 2:
        post_entry(how >> 4 & 3);
        break;
    case 3:
        answer(0);
        break;
    case 4:
        answer((uint16_t)tape_word(tape));
        break;
    case 5:
        world_advance((uint64_t)tape_byte(tape) * 10 * MS);
        break;
    case 6:
        model->fatal = how >> 7;
        injected[FAULT_DEAD] += model->fatal;
        break;
    case 7:
        model->admin_silent = how >> 7;
        injected[FAULT_SILENT] += model->admin_silent;
        break;
    case 8:
        scribble_doorbell(how >> 4);
        break;
    default:
        break;
    }
}

struct model *hostile_start(struct tape *from)
{
    static struct model pristine;

    tape = from;
    meddlings = 0;
    world_reset();
    if (model == NULL) {
        atexit(print_injected);
        model = model_new();
        pristine = *model;
    } else {
        for (uint32_t i = 0; i < MODEL_QUEUES; i++) {
            model_close_sq(model, i);
            model_close_cq(model, i);
        }
        *model = pristine;
        world_attach(model);
    }
    model->on_demand = true;
    model->bus_master = true; /* without the hook it is on from the start */
    model->lie = lie;
    model->bend_page = bend_page;
    world.relax_ns = RELAX_NS;
    for (uint32_t i = 0; i < WORLD_MOMENTS; i++) {
        world.meanwhile[i] = meddle;
    }
    return model;
}
