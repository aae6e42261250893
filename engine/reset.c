// SPDX-License-Identifier: MIT
/*
 * The reset of a controller behind RDY = 0, in steps that never wait: its owners take their
 * requests back, it is enabled and set up again (setup.c), and each owner resumes.
 *
 * disable.c comes before: it decides that there is a reset, and sees RDY = 0. The order matters:
 * an owner that still had its old rings would ring a doorbell of a queue that is new.
 * tests/spin/reset.pml is the model.
 */
#include "nvme_internal.h"

static void enter_state(struct nvme_controller *controller, enum nvme_controller_state state)
{
    __atomic_store_n(&controller->state, (uint32_t)state, __ATOMIC_RELEASE);
}

/* ---- The controller's steps ----------------------------------------------------------- */

/* The first queue whose owner has not taken its requests back, or NULL. */
static const struct nvme_queue *find_unreleased(const struct nvme_controller *controller)
{
    uint32_t life = __atomic_load_n(&controller->life, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < controller->info.queue_count; i++) {
        const struct nvme_queue *queue = &controller->queues[i];

        if (__atomic_load_n(&queue->state, __ATOMIC_ACQUIRE) == NVME_QUEUE_OPEN &&
            __atomic_load_n(&queue->life, __ATOMIC_ACQUIRE) != life) {
            return queue;
        }
    }
    return NULL;
}

/* True once every owner has taken its requests back, and nobody uses the admin queue. */
static bool is_released(const struct nvme_controller *controller)
{
    /* Pairs with nvme_admin_begin(): it sets the reason, and then looks at the state. */
    return __atomic_load_n(&controller->administered, __ATOMIC_SEQ_CST) == 0 &&
           find_unreleased(controller) == NULL;
}

bool nvme_reset_may_step(const struct nvme_controller *controller)
{
    return nvme_controller_state_load(controller) != NVME_CONTROLLER_RELEASING ||
           is_released(controller);
}

static void set_deadline(struct nvme_controller *controller, uint64_t now_ns, uint64_t timeout_ns)
{
    controller->until_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
}

/* The controller is set up: owners may ring. Only the IRQ hart opens a shared line. */
static void go_live(struct nvme_controller *controller)
{
    struct nvme_event event = {.kind = NVME_EVENT_RESET, .value = ++controller->resets};

    event.limit = NVME_PEEK(&controller->resets_left);
    nvme_event_emit(&controller->config, &event);
    nvme_queue_ring(&controller->admin); /* for the request of asynchronous events */
    /* Before it: an admin command of another hart must be rung for. */
    controller->admin.absent = false;
    enter_state(controller, NVME_CONTROLLER_LIVE);
    /* Behind it: who sets a cause finds the state that it changes. */
    __atomic_store_n(&controller->failure, NVME_OK, __ATOMIC_RELEASE);
    if (controller->admin.ien) {
        nvme_queue_submit(&controller->admin); /* joins the active list */
    }
    if (controller->config.shared && controller->line.closed == 0) {
        nvme_source_write_mask(&controller->line, false);
    }
}

static void next_command(struct nvme_controller *controller, uint64_t now_ns)
{
    struct nvme_admin_call call;

    if (!nvme_setup_next(controller, &call)) {
        go_live(controller);
        return;
    }
    nvme_admin_post(controller, &call);
    nvme_queue_ring(&controller->admin);
    set_deadline(controller, now_ns, controller->config.command_timeout_ns);
}

static void look_at_command(struct nvme_controller *controller, uint64_t now_ns)
{
    enum nvme_error error;

    nvme_queue_reap_away(&controller->admin);
    if (controller->admin_done) {
        error = nvme_setup_take(controller, &controller->admin_result);
        if (error == NVME_OK) {
            next_command(controller, now_ns);
            return;
        }
    } else {
        error = nvme_admin_check_status(controller,
                                        nvme_register_read(&controller->config, NVME_REG_CSTS));
        if (error == NVME_OK && now_ns > controller->until_ns) {
            error = NVME_ERR_TIMEOUT;
        }
    }
    if (error != NVME_OK) {
        nvme_controller_disable_again(controller, error);
    }
}

static void look_at_ready(struct nvme_controller *controller, uint64_t now_ns)
{
    uint32_t csts = nvme_register_read(&controller->config, NVME_REG_CSTS);
    enum nvme_error error = nvme_admin_check_status(controller, csts);

    if (error == NVME_OK && (csts & NVME_CSTS_RDY) != 0) {
        hal_after_mmio_read();
        enter_state(controller, NVME_CONTROLLER_CONFIGURING);
        next_command(controller, now_ns);
        return;
    }
    if (error == NVME_OK && now_ns > controller->until_ns) {
        error = NVME_ERR_TIMEOUT;
    }
    if (error != NVME_OK) {
        nvme_controller_disable_again(controller, error);
    }
}

/* Nothing else can be done about it: the owner may still ring for its old rings. */
static void tell_wait(struct nvme_controller *controller, uint64_t now_ns)
{
    const struct nvme_queue *queue = find_unreleased(controller);
    struct nvme_event event = {.kind = NVME_EVENT_RESET_WAITS};

    if (queue != NULL) {
        event.queue_id = queue->id;
        event.value = queue->owner;
        event.limit = controller->info.ready_timeout_ms;
        nvme_event_emit(&controller->config, &event);
    }
    set_deadline(controller, now_ns, controller->ready_timeout_ns);
}

static void make_step(struct nvme_controller *controller, uint64_t now_ns)
{
    switch (nvme_controller_state_load(controller)) {
    case NVME_CONTROLLER_RELEASING:
        if (is_released(controller)) {
            nvme_setup_enable(controller);
            set_deadline(controller, now_ns, controller->ready_timeout_ns);
            enter_state(controller, NVME_CONTROLLER_ENABLING);
        } else if (now_ns > controller->until_ns) {
            tell_wait(controller, now_ns);
        }
        break;
    case NVME_CONTROLLER_ENABLING:
        look_at_ready(controller, now_ns);
        break;
    case NVME_CONTROLLER_CONFIGURING:
        look_at_command(controller, now_ns);
        break;
    default:
        break;
    }
}

void nvme_reset_step(struct nvme_controller *controller, uint64_t now_ns)
{
    if (nvme_step_begin(controller)) {
        make_step(controller, now_ns);
        nvme_step_end(controller);
    }
}

/* ---- An owner's part ------------------------------------------------------------------- */

/* The device touches no memory: what it has answered ends, then the rest, behind empty rings. */
static void release_requests(struct nvme_queue *queue)
{
    uint32_t life = __atomic_load_n(&queue->controller->life, __ATOMIC_ACQUIRE);

    nvme_queue_check_context(queue);
    nvme_queue_reap(queue, queue->cq_depth_entries);
    nvme_queue_leave(queue);
    queue->absent = true;
    /* The rings count from 0 again. */
    queue->counters.completions += nvme_queue_consumed(queue);
    queue->counters.posts += nvme_queue_rung(queue);
    queue->stale_before += queue->counters.stale;
    queue->counters.stale = 0;
    queue->wait.consumed = 0;
    queue->wait.from_ns = 0;
    nvme_retry_keep(queue);
    nvme_request_set_aside(queue);
    nvme_queue_reset_rings(queue);
    /* Pairs with is_released(): the rings are empty before the device gets them. */
    __atomic_store_n(&queue->life, life, __ATOMIC_RELEASE);
    nvme_request_end_aside(queue, NVME_ERR_RESET);
}

/* The device has the pair again. */
static void resume_queue(struct nvme_queue *queue)
{
    const struct nvme_source *source = queue->source;

    queue->absent = false;
    /* CC.EN = 0 has cleared a line's mask, and while nothing was live no vector was unmasked. */
    if (queue->ien && !nvme_queue_shares(queue) && source->closed == 0) {
        nvme_source_write_mask(queue->source, false);
    }
    if (nvme_controller_live(queue->controller)) {
        (void)nvme_retry_due(queue);
    }
    if (queue->sq_tail != queue->sq_tail_rung) {
        nvme_queue_submit(queue);
    }
}

void nvme_controller_step(struct nvme_controller *controller)
{
    if (!nvme_controller_live(controller)) {
        nvme_reset_step(controller, hal_now_ns());
    } else if (nvme_abort_wanted(controller)) {
        nvme_abort_step(controller);
    }
}

/* The owner of a poll queue calls with interrupts on, and the handler may not come into a step. */
void nvme_controller_take_turn(struct nvme_queue *queue)
{
    struct nvme_controller *controller = queue->controller;
    unsigned long irq = hal_irq_save();

    if (controller->config.shared) {
        queue->seen_openings = UINT64_MAX; /* no interrupt is missed */
        nvme_shared_ask(queue);
    } else if (controller->line.queues == 0 || queue->owner == controller->line.owner) {
        nvme_controller_step(controller);
    }
    hal_irq_restore(irq);
}

void nvme_reset_watch(struct nvme_queue *queue, uint64_t now_ns)
{
    struct nvme_controller *controller = queue->controller;
    enum nvme_controller_state state = nvme_controller_state_load(controller);
    /* A thread that polls may call at any rate; a look at CSTS is an MMIO read, a turn an IPI. */
    bool due =
        queue->watchdog_ns == 0 || now_ns - queue->watchdog_ns >= NVME_WATCHDOG_PERIOD_NS / 2;

    if (due) {
        queue->watchdog_ns = now_ns;
    }
    if (due && state == NVME_CONTROLLER_DISABLING) {
        nvme_controller_disable_step(controller, now_ns);
    }
    if (nvme_controller_state_load(controller) == NVME_CONTROLLER_RELEASING &&
        queue->life != __atomic_load_n(&controller->life, __ATOMIC_ACQUIRE)) {
        release_requests(queue);
    }
    if (due && nvme_controller_resetting(controller)) {
        nvme_controller_take_turn(queue);
    }
    state = nvme_controller_state_load(controller);
    if (queue->absent && (state == NVME_CONTROLLER_LIVE || state == NVME_CONTROLLER_FAILED)) {
        resume_queue(queue);
    }
}
