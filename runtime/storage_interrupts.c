// SPDX-License-Identifier: MIT
/*
 * Interrupts of the queues: INTx lines through PLICs and APLICs, MSI-X messages through the IMSIC.
 */
#include <inttypes.h>
#include <stdio.h>

#include "harts.h"
#include "irq.h"
#include "storage_internal.h"
#include "wired.h"

/* The most passes over a line with another kind of device in one trap. */
enum { PASSES_MAX = 8 };

/* Bytes for a list of harts, and for its longest word. */
enum { REACHED_BYTES = 80, REACHED_WORD = 4 };

/* ---- Interrupt lines ------------------------------------------------------------------ */

/* The handler of a line with one controller, as most have. */
static void line_handler(void *arg)
{
    struct storage_line *line = arg;

    nvme_irq_handle(line->controllers, 1);
}

/* Another hart may be adding one: pairs with the store in storage_connect_line(). */
static size_t line_count(const struct storage_line *line)
{
    return __atomic_load_n(&line->count, __ATOMIC_ACQUIRE);
}

static void crowded_line_handler(void *arg)
{
    struct storage_line *line = arg;

    nvme_irq_handle(line->controllers, (uint32_t)line_count(line));
}

/*
 * The handler of a line with another kind of device: it repeats until a whole pass finds nothing.
 * An interrupt controller that latches edges sees no device while the other holds the line. If both
 * keep the line busy for longer, the watchdog takes over.
 */
static void mixed_line_handler(void *arg)
{
    struct storage_line *line = arg;
    /* One load: another hart may detach it. Pairs with storage_attach_other_device(). */
    storage_other_device *other_device = __atomic_load_n(&line->other_device, __ATOMIC_ACQUIRE);
    uint32_t count = (uint32_t)line_count(line);
    uint32_t found = nvme_irq_handle(line->controllers, count);
    uint32_t passes = PASSES_MAX;

    while (other_device != NULL && passes-- != 0) {
        bool other = other_device(line->other_device_arg);

        if (!other && found == 0) {
            return;
        }
        found = nvme_irq_handle(line->controllers, count);
        if (other) {
            nvme_irq_other_device(line->controllers, count);
        }
    }
}

static void attach_handler(struct storage_line *line)
{
    void (*handler)(void *arg) = line->count == 1 ? line_handler : crowded_line_handler;

    wired_attach(line->irq, line->other_device != NULL ? mixed_line_handler : handler, line);
}

static bool is_same(struct machine_interrupt a, struct machine_interrupt b)
{
    return a.wired == b.wired && a.source == b.source;
}

static struct storage_line *find_line(struct storage *storage, struct machine_interrupt irq)
{
    for (uint32_t i = 0; i < storage->line_count; i++) {
        if (is_same(storage->lines[i].irq, irq)) {
            return &storage->lines[i];
        }
    }
    return NULL;
}

/*
 * Chooses a hart for the line of controllers[index]: the first owner that the line's interrupt
 * controller reaches. Else one that it reaches, a different one for each line. hart_count(): none.
 */
static uint32_t choose_irq_hart(const struct storage *storage, uint32_t index, uint32_t controllers)
{
    struct machine_interrupt irq = storage->controllers[index].function->irq;
    uint32_t owners = storage->config.spread ? 1 : storage->config.harts;
    uint32_t hart = storage->config.spread ? 0 : index;
    uint32_t reached = 0;
    uint32_t skip;

    for (; hart < owners; hart += controllers) {
        if (wired_reaches(irq, hart)) {
            return hart;
        }
    }
    for (hart = 0; hart < hart_count(); hart++) {
        reached += wired_reaches(irq, hart);
    }
    if (reached == 0) {
        return hart_count();
    }
    skip = index % reached;
    for (hart = 0; !wired_reaches(irq, hart) || skip-- != 0; hart++) {
        /* Bounded: it reaches more harts than are skipped. */
    }
    return hart;
}

/* Prints why the line cannot go to its hart. */
static bool refuse_irq_hart(const struct storage *storage, struct storage_controller *controller)
{
    struct machine_interrupt irq = controller->function->irq;
    char reached[REACHED_BYTES] = " none";
    size_t size = 0;

    if (!wired_usable(irq)) {
        storage_note(controller,
                     "is not used: its interrupt (source %" PRIu32
                     ") goes to no known PLIC or APLIC, "
                     "and messages need an IMSIC and MSI-X; hint: completion=poll",
                     irq.source);
        return false;
    }
    for (uint32_t hart = 0; hart < hart_count() && size + REACHED_WORD < sizeof(reached); hart++) {
        if (wired_reaches(irq, hart)) {
            size += (size_t)snprintf(reached + size, sizeof(reached) - size, " %" PRIu32, hart);
        }
    }
    storage_note(controller,
                 "is not used: its interrupt cannot go to hart %" PRIu32
                 ", its interrupt controller reaches harts:%s; hint: completion=poll",
                 storage->config.line_hart - 1, reached);
    return false;
}

bool storage_plan_line(struct storage *storage, uint32_t index, uint32_t controllers)
{
    struct storage_controller *controller = &storage->controllers[index];
    const struct storage_config *config = &storage->config;
    uint32_t owner = config->spread ? 0 : index;
    uint32_t first = 0;

    controller->irq_hart = owner;
    if (config->mode == NVME_MODE_POLL || controller->msix.vector_count != 0) {
        return true;
    }
    while (!is_same(storage->controllers[first].function->irq, controller->function->irq)) {
        first++;
    }
    controller->irq_hart = storage->controllers[first].irq_hart;
    if (first == index) {
        controller->irq_hart = config->line_hart != 0
                                   ? config->line_hart - 1
                                   : choose_irq_hart(storage, index, controllers);
    }
    if (!wired_reaches(controller->function->irq, controller->irq_hart)) {
        return refuse_irq_hart(storage, controller);
    }
    controller->shared =
        controller->irq_hart != owner || (!config->spread && index + controllers < config->harts);
    return true;
}

bool storage_connect_line(struct storage *storage, const struct storage_controller *controller)
{
    struct machine_interrupt irq = controller->function->irq;
    struct storage_line *line = find_line(storage, irq);

    if (line == NULL) {
        line = &storage->lines[storage->line_count];
        *line = (struct storage_line){.irq = irq, .hart = controller->irq_hart};
        /* An IPI may read the table now: pairs with ipi_lines(). */
        __atomic_store_n(&storage->line_count, storage->line_count + 1, __ATOMIC_RELEASE);
    }
    for (uint32_t i = 0; i < line->count; i++) {
        if (line->controllers[i] == controller->engine) {
            return true;
        }
    }
    line->controllers[line->count] = controller->engine;
    /* The handler may run on another hart now: it sees the controller or does not. */
    __atomic_store_n(&line->count, line->count + 1, __ATOMIC_RELEASE);
    attach_handler(line);
    return true;
}

void storage_route_lines(const struct storage *storage)
{
    for (uint32_t i = 0; i < storage->line_count; i++) {
        wired_route(storage->lines[i].irq, storage->lines[i].hart);
    }
}

bool storage_attach_other_device(struct storage *storage, struct machine_interrupt irq,
                                 storage_other_device *handler, void *arg)
{
    struct storage_line *line = find_line(storage, irq);

    if (line == NULL) {
        return false;
    }
    /* The source stays routed, because its hart may be between claim and complete: wired_route().
     * NULL leaves the argument as it is: the old handler may still be running. */
    if (handler != NULL) {
        line->other_device_arg = arg;
    }
    __atomic_store_n(&line->other_device, handler, __ATOMIC_RELEASE);
    attach_handler(line);
    return true;
}

/* Ends the cycles of the lines that this hart takes, if they are complete. */
static inline void ipi_lines(const struct storage *storage, uint32_t hart)
{
    const struct storage_line *line = storage->lines;

    for (size_t lines = __atomic_load_n(&storage->line_count, __ATOMIC_ACQUIRE); lines != 0;
         lines--, line++) {
        for (size_t i = 0, count = line->hart == hart ? line_count(line) : 0; i < count; i++) {
            nvme_irq_take_ipi(line->controllers[i]);
        }
    }
}

/* An IPI may have any cause: look at everything that it could be for. */
static void ipi_taken(void *arg)
{
    struct storage *storage = arg;
    uint32_t hart = hart_index();
    struct nvme_queue *own = storage->queues[hart].engine;

    if (own != NULL) {
        nvme_queue_take_ipi(own);
    }
    ipi_lines(storage, hart);
}

/* As ipi_taken(), with `spread`: hart 0 owns all queues. */
static void ipi_taken_spread(void *arg)
{
    struct storage *storage = arg;
    uint32_t hart = hart_index();

    for (uint32_t i = 0; hart == 0 && i < storage->queue_count; i++) {
        if (storage->queues[i].engine != NULL) {
            nvme_queue_take_ipi(storage->queues[i].engine);
        }
    }
    ipi_lines(storage, hart);
}

static void (*ipi_handler(const struct storage *storage))(void *arg)
{
    return storage->config.spread ? ipi_taken_spread : ipi_taken;
}

void storage_answer(struct storage *storage)
{
    uint64_t saved = irq_save();

    ipi_handler(storage)(storage);
    irq_restore(saved);
}

/*
 * An earlier IPI found no handler and would stall its cycle, so this hart sends itself one. It must
 * be an IPI, because a pending interrupt has to be handled first.
 */
void storage_line_start(struct storage *storage)
{
    hart_attach_ipi(ipi_handler(storage), storage);
    hart_send_ipi(hart_index());
}

/* The number of owners, which are harts 0, 1, ... */
static uint32_t owner_count(const struct storage *storage)
{
    return storage->config.spread && storage->queue_count != 0 ? 1 : storage->queue_count;
}

uint32_t storage_harts(const struct storage *storage)
{
    uint32_t count = owner_count(storage);

    for (uint32_t i = 0; i < storage->controller_count; i++) {
        uint32_t irq_hart = storage->controllers[i].irq_hart;

        count = irq_hart >= count ? irq_hart + 1 : count;
    }
    return count != 0 ? count : 1;
}

static void start_irq_hart(void *arg, unsigned index)
{
    struct storage *storage = arg;

    if (index >= owner_count(storage)) {
        storage_line_start(storage);
    }
}

bool storage_start_irq_harts(struct storage *storage)
{
    if (storage_harts(storage) > owner_count(storage) &&
        !harts_run(storage_harts(storage), start_irq_hart, storage)) {
        printf("error: harts: one that takes interrupts does not start\n");
        return false;
    }
    return true;
}

/* ---- Messages ------------------------------------------------------------------------- */

static void vector_handler(void *arg)
{
    const struct storage_queue *queue = arg;

    nvme_vector_handle(queue->engine);
}

bool storage_aim_vector(struct storage_queue *queue, uint16_t vector, void (*handler)(void *arg),
                        void *arg)
{
    if (!imsic_attach(queue->hart, handler, arg, &queue->message)) {
        return false;
    }
    msix_set_message(&queue->controller->msix, vector, queue->message.address, queue->message.data);
    queue->vector = vector;
    return true;
}

bool storage_connect_vector(struct storage_queue *queue, uint16_t vector)
{
    if (!storage_aim_vector(queue, vector, vector_handler, queue)) {
        printf("error: interrupt mode: hart %" PRIu32 " has no interrupt file or no free "
               "identity; hint: completion=poll\n",
               queue->hart);
        return false;
    }
    return true;
}

void storage_disconnect_vector(struct storage_queue *queue)
{
    if (queue->vector != 0) {
        imsic_detach(queue->hart, &queue->message);
        queue->vector = 0;
    }
}

void storage_mask_vectors(const struct storage *storage)
{
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        const struct storage_queue *queue = &storage->queues[i];

        if (queue->vector != 0) {
            msix_mask(&queue->controller->msix, queue->vector, true);
        }
    }
}

void storage_detach_hart(struct storage *storage, uint32_t hart)
{
    for (uint32_t i = 0; i < storage->line_count; i++) {
        if (storage->lines[i].hart == hart) {
            wired_detach(storage->lines[i].irq);
        }
    }
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        if (storage->queues[i].hart == hart) {
            storage_disconnect_vector(&storage->queues[i]);
        }
    }
}
