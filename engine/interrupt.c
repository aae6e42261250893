// SPDX-License-Identifier: MIT
/*
 * The handlers of a line and of a vector: reap everything, look again, until nothing is there.
 *
 * The line is a level. An interrupt controller may latch only its edges (QEMU's PLIC) or send a
 * high level again (the PLIC specification). Looking again after the last head doorbell is right
 * for both: it sees an earlier entry, and a later one finds the line low and raises it. It costs a
 * load. Masking (INTMS, INTMC) costs two register writes; it is for machines that latch edges and
 * post doorbells. tests/spin/line.pml shows that nothing is lost.
 */
#include "nvme_internal.h"

/* The most passes over a busy line in one trap. */
enum { PASSES_MAX = 8 };

static void enter_line(struct nvme_controller *controller)
{
    nvme_source_check_admin(&controller->line);
    nvme_source_close(&controller->line, NVME_CLOSED_ENTERED);
}

void nvme_irq_enter(struct nvme_controller *controller)
{
    if (!hal_irq_is_off()) {
        hal_panic("nvme_irq_enter is called with interrupts on (R3)");
    }
    enter_line(controller);
    controller->line.interrupts++;
}

static void leave_line(struct nvme_controller *controller, uint32_t found, bool progressed)
{
    struct nvme_source *line = &controller->line;

    if (found != 0) {
        nvme_source_handled(line);
    } else {
        nvme_source_empty(line, 0, progressed);
    }
    /* Another bottom half may have opened the line since the reap: an edge in any case. */
    nvme_source_pulse(line, NVME_CLOSED_ENTERED);
}

void nvme_irq_exit(struct nvme_controller *controller, uint32_t found)
{
    leave_line(controller, found, found == 0 && nvme_line_progressed(controller));
}

/* True if a queue of any of these has progressed since the last empty interrupt. */
static bool any_progressed(struct nvme_controller *const *controllers, uint32_t count)
{
    bool any = false;

    for (uint32_t i = 0; i < count; i++) {
        any = nvme_line_progressed(controllers[i]) || any;
    }
    return any;
}

/*
 * Reaps every interrupt queue and the admin queue. Entries on a queue without requests hold the
 * line up like any other.
 */
static uint32_t search_queues(struct nvme_controller *controller)
{
    struct nvme_queue *admin = &controller->admin;
    uint32_t found = nvme_queue_ready(admin) ? nvme_queue_reap(admin, NVME_ADMIN_DEPTH) : 0;

    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        struct nvme_queue *queue = &controller->queues[i];

        if (queue->ien && nvme_queue_ready(queue)) {
            found += nvme_queue_reap(queue, queue->depth_entries);
        }
    }
    return found;
}

/*
 * Writes to several devices arrive in any order. If one opened before another is masked, the line
 * might never fall. So a read of each pushes its mask first.
 */
static void settle_masks(struct nvme_controller *const *controllers, uint32_t count)
{
    for (uint32_t i = 0; i < count && count > 1; i++) {
        if (controllers[i]->config.mask_line) {
            hal_arm_before_look((const volatile uint8_t *)controllers[i]->config.registers +
                                NVME_REG_CSTS);
        }
    }
}

/*
 * Masks all, searches, then opens all: an edge, if the line has a reason to be high. The shared
 * controllers are in a cycle, which masks them and counts their empty interrupts.
 */
static uint32_t end_masked(struct nvme_controller *const *controllers, uint32_t count,
                           uint32_t found, bool counts_empty)
{
    bool searches = found == 0;
    bool by_owner;

    for (uint32_t i = 0; i < count; i++) {
        if (!controllers[i]->config.shared) {
            enter_line(controllers[i]);
        }
    }
    for (uint32_t i = 0; i < count && searches; i++) {
        found += controllers[i]->config.shared ? 0 : search_queues(controllers[i]);
    }
    settle_masks(controllers, count);
    /* The interrupt may have been for an entry that an owner of the line has reaped itself. */
    by_owner = !counts_empty || (found == 0 && any_progressed(controllers, count));
    for (uint32_t i = 0; i < count; i++) {
        if (!controllers[i]->config.shared) {
            leave_line(controllers[i], found, by_owner);
        }
    }
    return found;
}

uint32_t nvme_vector_handle(struct nvme_queue *queue)
{
    struct nvme_source *source = queue->source;
    uint32_t found = 0;

    source->interrupts++;
    if (nvme_queue_ready(queue)) {
        found = nvme_queue_reap(queue, queue->depth_entries);
    }
    if (found == 0) {
        nvme_source_empty(source, queue->id,
                          nvme_source_progressed(source, nvme_queue_useful(queue)));
    } else if (source->checks != 0) {
        nvme_source_handled(source);
    }
    return found;
}

/*
 * Reaps the active queues and looks again, until a pass finds nothing. False: the line stays busy.
 * Inlined for one controller and for several: most lines have one, and need no loop.
 */
static NVME_INLINE bool look_again(struct nvme_controller *const *controllers, uint32_t count,
                                   uint32_t *found)
{
    uint32_t passes = PASSES_MAX;
    bool again;

    do {
        uint32_t i = 0;

        again = false;
        do {
            for (struct nvme_queue *queue = controllers[i]->line.active; queue != NULL;
                 queue = queue->next_active) {
                if (nvme_queue_ready(queue)) {
                    *found += nvme_queue_reap(queue, queue->depth_entries);
                    again = true;
                }
            }
        } while (++i != count);
    } while (again && --passes != 0);
    return !again;
}

static NVME_INLINE void end_handled(struct nvme_controller *controller)
{
    if (controller->line.checks != 0) {
        nvme_source_handled(&controller->line);
    }
}

/* Another controller was the cause: empty cycles of the shared ones are no storm. */
static void end_streaks(struct nvme_controller *const *controllers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (controllers[i]->config.shared) {
            nvme_source_end_streak(&controllers[i]->line);
        }
    }
}

/*
 * A line with shared controllers, and perhaps others. The shared ones are masked before the others
 * are reaped, and opened after that. So each opening finds the line low, or an interrupt pending,
 * whose handler looks at all of them. tests/spin/shared.pml
 */
static NVME_INLINE uint32_t handle_cycles(struct nvme_controller *const *controllers,
                                          uint32_t count, bool masks)
{
    uint32_t found = 0;
    uint32_t others = 0;

    if (count > 1 && any_progressed(controllers, count)) {
        end_streaks(controllers, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (controllers[i]->config.shared) {
            found += nvme_shared_begin(controllers[i]);
        }
    }
    /* A shared controller has an empty list, and only its cycles count empty interrupts. */
    if (!look_again(controllers, count, &others) || masks) {
        others = end_masked(controllers, count, others, false);
    }
    if (others != 0) {
        end_streaks(controllers, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (controllers[i]->config.shared) {
            nvme_shared_end(controllers[i]);
        } else if (others != 0) {
            end_handled(controllers[i]);
        }
    }
    return found + others;
}

static NVME_COLD uint32_t handle_shared(struct nvme_controller *const *controllers, uint32_t count)
{
    return handle_cycles(controllers, count, false);
}

/* With mask_line and other controllers on the line; a cycle masks anyway. */
static NVME_COLD uint32_t handle_masked(struct nvme_controller *const *controllers, uint32_t count)
{
    return handle_cycles(controllers, count, true);
}

/* No completion was found, or the line was still busy after PASSES_MAX passes. */
static NVME_COLD uint32_t handle_slow(struct nvme_controller *const *controllers, uint32_t count,
                                      uint32_t found)
{
    return controllers[0]->config.shared ? handle_shared(controllers, count)
                                         : end_masked(controllers, count, found, true);
}

static NVME_NOINLINE uint32_t handle_one(struct nvme_controller *controller)
{
    uint32_t found = 0;

    controller->line.interrupts++;
    if (!look_again(&controller, 1, &found) || found == 0) {
        return handle_slow(&controller, 1, found);
    }
    end_handled(controller);
    return found;
}

static NVME_NOINLINE uint32_t handle_several(struct nvme_controller *const *controllers,
                                             uint32_t count)
{
    uint32_t found = 0;
    bool shared = false;

    for (uint32_t i = 0; i < count; i++) {
        controllers[i]->line.interrupts++;
        shared = shared || controllers[i]->config.shared;
    }
    if (shared) {
        return controllers[0]->config.mask_line ? handle_masked(controllers, count)
                                                : handle_shared(controllers, count);
    }
    if (!look_again(controllers, count, &found) || found == 0) {
        return end_masked(controllers, count, found, true);
    }
    for (uint32_t i = 0; i < count; i++) {
        end_handled(controllers[i]);
    }
    return found;
}

uint32_t nvme_irq_handle(struct nvme_controller *const *controllers, uint32_t count)
{
    return count == 1 ? handle_one(controllers[0]) : handle_several(controllers, count);
}

void nvme_irq_other_device(struct nvme_controller *const *controllers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        nvme_source_end_streak(&controllers[i]->line);
    }
}

/* The controller is not live: takes the next step of its failure. */
static NVME_COLD uint32_t ipi_taken_dead(struct nvme_queue *queue)
{
    uint32_t found = nvme_shared_answer(queue);

    nvme_queue_watchdog(queue, hal_now_ns());
    return found;
}

uint32_t nvme_queue_take_ipi(struct nvme_queue *queue)
{
    /* A poll queue belongs to its thread, which may be reaping it. */
    return queue->ien && !nvme_controller_live(queue->controller) ? ipi_taken_dead(queue)
                                                                  : nvme_shared_answer(queue);
}
