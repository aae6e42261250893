// SPDX-License-Identifier: MIT
/*
 * Interrupts of the queues: INTx lines through the PLIC, MSI-X messages through the IMSIC.
 */
#include <inttypes.h>
#include <stdio.h>

#include "harts.h"
#include "plic.h"
#include "storage_internal.h"

/* Passes over a line with a device of another kind, before the rest of the hart gets a turn. */
enum { PASSES_MAX = 8 };

/* ---- Interrupt lines ------------------------------------------------------------------ */

/* Most lines have one controller, and its handler is attached behind it. */
static void line_handler(void *arg)
{
    struct storage_line *line = arg;

    nvme_irq_service(line->controllers, 1);
}

/* Another hart may be adding one: the count before what it counts. Pairs with the store there. */
static size_t line_count(const struct storage_line *line)
{
    return __atomic_load_n(&line->count, __ATOMIC_ACQUIRE);
}

static void crowded_line_handler(void *arg)
{
    struct storage_line *line = arg;

    nvme_irq_service(line->controllers, (uint32_t)line_count(line));
}

/*
 * With a foreign device until a whole pass finds nothing: an interrupt controller that knows edges
 * only tells of no device while the other holds the line. A line that both keep busy for longer is
 * left to the watch.
 */
static void mixed_line_handler(void *arg)
{
    struct storage_line *line = arg;
    /* Once: another hart may be taking it off. Pairs with storage_attach_foreign(). */
    storage_foreign *foreign = __atomic_load_n(&line->foreign, __ATOMIC_ACQUIRE);
    uint32_t count = (uint32_t)line_count(line);
    uint32_t found = nvme_irq_service(line->controllers, count);
    uint32_t passes = PASSES_MAX;

    while (foreign != NULL && passes-- != 0) {
        bool other = foreign(line->foreign_arg);

        if (!other && found == 0) {
            return;
        }
        found = nvme_irq_service(line->controllers, count);
        if (other) {
            nvme_irq_foreign(line->controllers, count);
        }
    }
}

static void attach_handler(struct storage_line *line)
{
    void (*handler)(void *arg) = line->count == 1 ? line_handler : crowded_line_handler;

    plic_attach(line->source, line->foreign != NULL ? mixed_line_handler : handler, line);
}

static struct storage_line *find_line(struct storage *storage, uint32_t source)
{
    for (uint32_t i = 0; i < storage->line_count; i++) {
        if (storage->lines[i].source == source) {
            return &storage->lines[i];
        }
    }
    return NULL;
}

void storage_plan_line(struct storage *storage, uint32_t index, uint32_t controllers)
{
    struct storage_controller *controller = &storage->controllers[index];
    const struct storage_config *config = &storage->config;
    uint32_t first = 0;

    /* The first controller on this line; its first queue is of the hart with its number. */
    while (storage->controllers[first].function->irq_source != controller->function->irq_source) {
        first++;
    }
    controller->home = config->line_hart != 0 ? config->line_hart - 1 : first;
    if (config->spread) {
        controller->home = 0;
        return;
    }
    controller->shared = config->mode != NVME_MODE_POLL && controller->msix.vector_count == 0 &&
                         (controller->home != index || index + controllers < config->harts);
}

bool storage_connect_line(struct storage *storage, const struct storage_controller *controller)
{
    uint32_t source = controller->function->irq_source;
    struct storage_line *line = find_line(storage, source);

    if (!plic_present() || source == 0) {
        printf("error: interrupt mode needs a PLIC and a controller with an INTx pin, or an IMSIC "
               "and one with MSI-X; hint: completion=poll\n");
        return false;
    }
    if (line == NULL) {
        line = &storage->lines[storage->line_count];
        *line = (struct storage_line){.source = source, .hart = controller->home};
        /* Kicks may be looking already: pairs with storage_kicked(). */
        __atomic_store_n(&storage->line_count, storage->line_count + 1, __ATOMIC_RELEASE);
    }
    for (uint32_t i = 0; i < line->count; i++) {
        if (line->controllers[i] == controller->engine) {
            return true;
        }
    }
    line->controllers[line->count] = controller->engine;
    /* The handler may run already, on another hart: it sees the controller or does not. */
    __atomic_store_n(&line->count, line->count + 1, __ATOMIC_RELEASE);
    attach_handler(line);
    return true;
}

void storage_route_lines(const struct storage *storage)
{
    for (uint32_t i = 0; i < storage->line_count; i++) {
        plic_route(storage->lines[i].source, storage->lines[i].hart);
    }
}

bool storage_attach_foreign(struct storage *storage, uint32_t source, storage_foreign *handler,
                            void *arg)
{
    struct storage_line *line = find_line(storage, source);

    if (line == NULL) {
        return false;
    }
    plic_detach(source);
    line->foreign_arg = arg;
    __atomic_store_n(&line->foreign, handler, __ATOMIC_RELEASE);
    attach_handler(line);
    plic_route(source, line->hart);
    return true;
}

/* Kicks come for other causes too: what is there is looked at, nothing assumed. */
void storage_kicked(void *arg)
{
    struct storage *storage = arg;
    uint32_t hart = hart_index();
    struct nvme_queue *own = storage->queues[hart].engine;
    struct storage_line *line = storage->lines;

    if (own != NULL) {
        nvme_queue_kicked(own);
    }
    for (size_t lines = __atomic_load_n(&storage->line_count, __ATOMIC_ACQUIRE); lines != 0;
         lines--, line++) {
        for (size_t i = 0, count = line->hart == hart ? line_count(line) : 0; i < count; i++) {
            nvme_irq_kicked(line->controllers[i]);
        }
    }
}

/* ---- Messages ------------------------------------------------------------------------- */

static void vector_handler(void *arg)
{
    const struct storage_queue *queue = arg;

    nvme_vector_service(queue->engine);
}

bool storage_connect_vector(struct storage_queue *queue, uint16_t vector)
{
    const struct msix *msix = &queue->controller->msix;

    if (vector >= msix->vector_count) {
        printf("error: interrupt mode needs MSI-X vector %u, the controller has %" PRIu32
               "; hint: --nvme msix_qsize=%u, or completion=poll\n",
               vector, msix->vector_count, vector + 1);
        return false;
    }
    if (!imsic_attach(queue->hart, vector_handler, queue, &queue->message)) {
        printf("error: interrupt mode: hart %" PRIu32 " has no free interrupt identity; hint: "
               "completion=poll\n",
               queue->hart);
        return false;
    }
    msix_set_message(msix, vector, queue->message.address, queue->message.data);
    queue->vector = vector;
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
            plic_detach(storage->lines[i].source);
        }
    }
    for (uint32_t i = 0; i < storage->queue_count; i++) {
        if (storage->queues[i].hart == hart) {
            storage_disconnect_vector(&storage->queues[i]);
        }
    }
}
