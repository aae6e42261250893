// SPDX-License-Identifier: MIT
/*
 * Interrupts of the queues: INTx lines through the PLIC, MSI-X messages through the IMSIC.
 */
#include <inttypes.h>
#include <stdio.h>

#include "plic.h"
#include "storage_internal.h"

/* PCI interrupt lines of the board: more harts than these cannot have one each. */
enum { BOARD_LINES = 4 };

/* ---- Interrupt lines ------------------------------------------------------------------ */

static void line_handler(void *arg)
{
    struct storage_line *line = arg;

    nvme_irq_service(line->controllers, line->count);
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

/* What can be done where a line would have to interrupt two harts. */
void storage_print_line_hint(const struct storage *storage)
{
    if (storage->config.harts <= BOARD_LINES) {
        printf("hint: a line of its own for each hart (run.py --controllers %" PRIu32
               "), or completion=poll\n",
               storage->config.harts);
    } else {
        printf("hint: completion=poll, the board has lines for %d harts\n", (int)BOARD_LINES);
    }
}

bool storage_connect_line(struct storage *storage, const struct storage_controller *controller,
                          uint32_t hart)
{
    uint32_t source = controller->function->irq_source;
    struct storage_line *line = find_line(storage, source);

    if (!plic_present() || source == 0) {
        printf("error: interrupt mode needs a PLIC and a controller with an INTx pin, or an IMSIC "
               "and one with MSI-X; hint: completion=poll\n");
        return false;
    }
    if (line == NULL) {
        line = &storage->lines[storage->line_count++];
        *line = (struct storage_line){.source = source, .hart = hart};
    }
    if (line->hart != hart) {
        printf("error: interrupt mode: harts %" PRIu32 " and %" PRIu32
               " would share interrupt source %" PRIu32 ", and a line interrupts one hart; ",
               line->hart, hart, source);
        storage_print_line_hint(storage);
        return false;
    }
    for (uint32_t i = 0; i < line->count; i++) {
        if (line->controllers[i] == controller->engine) {
            return true;
        }
    }
    line->controllers[line->count++] = controller->engine;
    if (line->count == 1) {
        plic_attach(source, line_handler, line);
        plic_route(source, hart);
    }
    return true;
}

void storage_disconnect_lines(struct storage *storage)
{
    for (uint32_t i = 0; i < storage->line_count; i++) {
        plic_detach(storage->lines[i].source);
    }
    storage->line_count = 0;
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
