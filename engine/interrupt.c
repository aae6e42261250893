// SPDX-License-Identifier: MIT
/*
 * Service of an INTx line: drain everything on it, look again, until nothing is there.
 *
 * The line is a level, but an interrupt controller may latch only its edges (QEMU's PLIC) or send a
 * high level again (the PLIC specification). Looking again behind the last head doorbell is right
 * for both: an entry that came before it is seen, one that comes later finds the line low and
 * raises it. It costs a load; masking (INTMS, INTMC) would cost two register writes. That nothing
 * is lost is shown by tests/spin/line.pml.
 */
#include "nvme_internal.h"

/* Passes over a line that stays busy, before the rest of the hart gets a turn. */
enum { PASSES_MAX = 8 };

void nvme_irq_enter(struct nvme_controller *controller)
{
    nvme_interrupt_mask(controller);
    controller->line.claims++;
}

/* A claim that found nothing on its source: normal now and then, a storm when it goes on. */
static NVME_COLD void count_empty(struct nvme_source *source, uint16_t queue_id)
{
    const struct nvme_config *config = &source->controller->config;

    source->empty_claims++;
    /* A source that stays masked still has claims: of a shared line, or if it cannot be masked. */
    if (source->masked || NVME_GET(NVME_NOTE_EMPTY, ++source->notes) < NVME_STORM_CLAIMS) {
        return;
    }
    source->masked = true;
    if (!source->message || config->vector_mask != NULL) {
        nvme_source_mask(source, true);
    }
    nvme_event_emit(config, &(struct nvme_event){
                                .kind = NVME_EVENT_INTERRUPT_STORM,
                                .queue_id = queue_id,
                                .value = NVME_STORM_CLAIMS,
                            });
}

void nvme_irq_exit(struct nvme_controller *controller, uint32_t found)
{
    if (found != 0) {
        nvme_source_served(&controller->line);
    } else {
        count_empty(&controller->line, 0);
    }
    nvme_interrupt_unmask(controller);
}

/*
 * What no doorbell has told of: entries on a queue without requests, or on the admin queue. They
 * hold the line up like any other.
 */
static uint32_t search(struct nvme_controller *controller)
{
    struct nvme_queue *admin = &controller->admin;
    uint32_t found = nvme_queue_ready(admin) ? nvme_queue_service(admin, NVME_ADMIN_DEPTH) : 0;

    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        struct nvme_queue *queue = &controller->queues[i];

        if (queue->interrupts && nvme_queue_ready(queue)) {
            found += nvme_queue_service(queue, queue->depth_entries);
        }
    }
    return found;
}

/*
 * The end of a claim that found nothing where it was to be expected, or has not found the end. All
 * masked, then all open: an edge, if the line has a reason to be high.
 */
static NVME_COLD uint32_t end_odd(struct nvme_controller *const *controllers, uint32_t count,
                                  uint32_t found)
{
    for (uint32_t i = 0; i < count; i++) {
        nvme_interrupt_mask(controllers[i]);
    }
    for (uint32_t i = 0; i < count && found == 0; i++) {
        found = search(controllers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        nvme_irq_exit(controllers[i], found);
    }
    return found;
}

uint32_t nvme_vector_service(struct nvme_queue *queue)
{
    struct nvme_source *source = queue->source;
    uint32_t found = 0;

    source->claims++;
    if (nvme_queue_ready(queue)) {
        found = nvme_queue_service(queue, queue->depth_entries);
    }
    if (found == 0) {
        count_empty(source, queue->id);
    } else if (source->notes != 0) {
        nvme_source_served(source);
    }
    return found;
}

/* For one controller and for several apart: most lines have one, and need no loop. */
static NVME_INLINE uint32_t serve(struct nvme_controller *const *controllers, uint32_t count)
{
    uint32_t found = 0;
    uint32_t passes = PASSES_MAX;
    uint32_t i = 0;
    bool again;

    do {
        controllers[i]->line.claims++;
    } while (++i != count);
    do {
        again = false;
        i = 0;
        do {
            for (struct nvme_queue *queue = controllers[i]->line.attended; queue != NULL;
                 queue = queue->next_attended) {
                if (nvme_queue_ready(queue)) {
                    found += nvme_queue_service(queue, queue->depth_entries);
                    again = true;
                }
            }
        } while (++i != count);
    } while (again && --passes != 0);
    if (again || found == 0) {
        return end_odd(controllers, count, found);
    }
    i = 0;
    do {
        if (controllers[i]->line.notes != 0) {
            nvme_source_served(&controllers[i]->line);
        }
    } while (++i != count);
    return found;
}

static NVME_NOINLINE uint32_t serve_one(struct nvme_controller *controller)
{
    return serve(&controller, 1);
}

static NVME_NOINLINE uint32_t serve_several(struct nvme_controller *const *controllers,
                                            uint32_t count)
{
    return serve(controllers, count);
}

uint32_t nvme_irq_service(struct nvme_controller *const *controllers, uint32_t count)
{
    return count == 1 ? serve_one(controllers[0]) : serve_several(controllers, count);
}
