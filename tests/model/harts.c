// SPDX-License-Identifier: MIT
/* See harts.h. */
#include "harts.h"

#define MS UINT64_C(1000000)

static void share(struct harts *harts, uint32_t irq_hart)
{
    world.knows_hart = true;
    harts->irq_hart = irq_hart;
    harts->fixture.config.shared = true;
    harts->fixture.config.irq_hart = irq_hart;
    harts->fixture.model->irq_hart_masks = true;
    harts->fixture.model->irq_hart = irq_hart;
}

void harts_init(struct harts *harts, enum model_line_kind kind, uint32_t irq_hart)
{
    memset(harts, 0, sizeof(*harts));
    fixture_init(&harts->fixture);
    harts->fixture.line.kind = kind;
    share(harts, irq_hart);
}

void harts_init_more(struct harts *harts, struct model_line *line, uint32_t irq_hart)
{
    memset(harts, 0, sizeof(*harts));
    fixture_init_more(&harts->fixture);
    harts->fixture.model->line = line;
    share(harts, irq_hart);
}

void harts_start(struct harts *harts, uint32_t count, const uint32_t *owners, enum nvme_mode mode)
{
    struct fixture *fixture = &harts->fixture;

    world.hart = harts->irq_hart;
    fixture_start(fixture, 0, mode);
    harts->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct nvme_queue_config config = {.owner = owners != NULL ? owners[i] : i, .mode = mode};

        harts->owners[i] = config.owner;
        assert_int_equal(nvme_queue_open(fixture->controller, i, &config, &fixture->queues[i]),
                         NVME_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        harts_ipi(harts, i); /* each hart has come */
    }
    world.hart = harts->irq_hart;
    fixture->model->on_demand = true;
    assert_false(model_level(fixture->model));
    fixture->model->line->pending = false; /* an edge of the start */
    harts_ipis(harts);
}

void harts_start_three(struct harts *harts, enum nvme_mode mode)
{
    harts_init(harts, MODEL_LINE_EDGE, 0);
    harts_start(harts, HARTS_QUEUES, NULL, mode);
}

void harts_finish(struct harts *harts)
{
    world.hart = harts->irq_hart;
    fixture_finish(&harts->fixture);
}

void harts_post(struct harts *harts, uint32_t queue)
{
    world.hart = harts->owners[queue];
    fixture_submit(&harts->fixture, queue, &harts->outcomes[queue]);
}

void harts_answer(struct harts *harts)
{
    model_step(harts->fixture.model, UINT32_MAX);
}

void harts_complete(struct harts *harts, uint32_t queue)
{
    harts_post(harts, queue);
    harts_answer(harts);
}

bool harts_claim_both(struct harts *first, struct nvme_controller *second)
{
    struct nvme_controller *both[] = {first->fixture.controller, second};
    struct model_line *line = first->fixture.model->line;

    if (!model_line_claim(line)) {
        return false;
    }
    world.hart = first->irq_hart;
    nvme_irq_handle(both, second != NULL ? 2 : 1);
    model_line_complete(line);
    return true;
}

bool harts_claim(struct harts *harts)
{
    return harts_claim_both(harts, NULL);
}

uint32_t harts_ipi(struct harts *harts, uint32_t queue)
{
    world.hart = harts->owners[queue];
    return nvme_queue_take_ipi(harts->fixture.queues[queue]);
}

void harts_ipi_irq_hart(struct harts *harts)
{
    world.hart = harts->irq_hart;
    nvme_irq_take_ipi(harts->fixture.controller);
}

void harts_watchdog(struct harts *harts, uint32_t queue, uint64_t ms)
{
    world_advance(ms * MS);
    world.hart = harts->owners[queue];
    nvme_queue_watchdog(harts->fixture.queues[queue], world.now_ns);
}

static void hold_up(struct model_line *line)
{
    struct fixture *fixture = (void *)((char *)line - offsetof(struct fixture, line));
    struct harts *harts = (void *)((char *)fixture - offsetof(struct harts, fixture));
    uint32_t hart = world.hart;

    line->raised = NULL;
    harts_watchdog(harts, harts->slow_queue, 10);
    harts_watchdog(harts, harts->slow_queue, 10);
    world.hart = hart;
}

void harts_open_slowly(struct harts *harts, uint32_t queue)
{
    harts->slow_queue = queue;
    harts->fixture.line.raised = hold_up;
}

uint32_t harts_ipis(struct harts *harts)
{
    uint32_t ipis = 0;

    for (uint32_t i = FIXTURE_QUEUES; i-- > 0;) {
        ipis = ipis * 10 + harts->fixture.ipis[i];
        harts->fixture.ipis[i] = 0;
    }
    return ipis;
}

/* Every IPI is for all the hart has to do, as an IPI is. */
bool harts_deliver(struct harts *harts, uint32_t hart)
{
    if (harts->fixture.ipis[hart] == 0) {
        return false;
    }
    harts->fixture.ipis[hart] = 0;
    for (uint32_t i = 0; i < harts->count; i++) {
        if (harts->owners[i] == hart) {
            harts_ipi(harts, i);
        }
    }
    if (hart == harts->irq_hart) {
        harts_ipi_irq_hart(harts);
    }
    return true;
}

uint32_t harts_settle(struct harts *harts)
{
    uint32_t claims = 0;
    bool again = true;

    while (again) {
        again = harts_claim(harts);
        claims += again;
        for (uint32_t hart = 0; hart < FIXTURE_QUEUES; hart++) {
            again |= harts_deliver(harts, hart);
        }
        assert_true(claims < 2 * NVME_STORM_INTERRUPTS);
    }
    return claims;
}

bool harts_masked(const struct harts *harts)
{
    return harts->fixture.model->interrupt_mask != 0;
}

void harts_set_mode(struct harts *harts, enum nvme_mode mode)
{
    world.hart = harts->irq_hart;
    assert_int_equal(nvme_queue_set_mode(harts->fixture.queues[0], mode), NVME_OK);
}
