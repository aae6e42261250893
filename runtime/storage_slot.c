// SPDX-License-Identifier: MIT
/*
 * A controller that leaves its slot, and one that comes in its place. See storage.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "irq.h"
#include "pci_slot.h"
#include "storage_internal.h"
#include "wired.h"

/* Takes a controller off its line. The line's handler runs on this hart, and not now. */
static void leave_line(struct storage *storage, const struct storage_controller *controller)
{
    uint64_t saved = irq_save();

    for (uint32_t i = 0; i < storage->line_count; i++) {
        struct storage_line *line = &storage->lines[i];

        for (uint32_t k = 0; k < line->count; k++) {
            if (line->controllers[k] != controller->engine) {
                continue;
            }
            if (line->count == 1) {
                wired_detach(line->irq);
            }
            line->controllers[k] = line->controllers[line->count - 1];
            __atomic_store_n(&line->count, line->count - 1, __ATOMIC_RELEASE);
        }
    }
    irq_restore(saved);
}

/* Lines that were without a controller get their hart again; the others have it. */
static void enter_line(struct storage *storage, const struct storage_controller *controller)
{
    uint64_t saved = irq_save();

    storage_connect_line(storage, controller);
    for (uint32_t i = 0; i < storage->line_count; i++) {
        const struct storage_line *line = &storage->lines[i];

        if (line->count == 1 && line->controllers[0] == controller->engine) {
            wired_route(line->irq, line->hart);
        }
    }
    irq_restore(saved);
}

/* A queue that is closed already, or was never opened, is left alone. */
static void drop_queue(struct storage_queue *queue)
{
    enum nvme_error error;

    if (queue->engine == NULL) {
        return;
    }
    storage_disconnect_vector(queue);
    error = nvme_queue_close(queue->engine);
    queue->engine = NULL;
    if (error != NVME_OK) {
        storage_note(queue->controller, "has a queue of hart %" PRIu32 " that is not closed: %s",
                     queue->hart, nvme_error_text(error));
    }
}

void storage_drop(struct storage *storage, uint32_t index)
{
    struct storage_controller *controller = &storage->controllers[index];
    enum nvme_error error;

    leave_line(storage, controller);
    for (uint32_t i = index; i < storage->queue_count; i += storage->controller_count) {
        drop_queue(&storage->queues[i]);
    }
    error = storage_close_engine(storage, controller);
    storage_print_controller_events(controller, index);
    storage_note(controller, "is closed: %s (%d)", nvme_error_text(error), (int)error);
    controller->engine = NULL;
}

static bool open_again(struct storage *storage, uint32_t index)
{
    struct storage_controller *controller = &storage->controllers[index];

    if (controller->msix.vector_count != 0 &&
        !msix_enable(controller->function, &controller->msix)) {
        storage_note(controller, "is not used: it has no MSI-X, the one before had");
        return false;
    }
    if (storage_open_engine(storage, controller, storage->controller_count) != STORAGE_TAKEN ||
        !storage_open_namespace(storage, controller)) {
        return false;
    }
    for (uint32_t i = index; i < storage->queue_count; i += storage->controller_count) {
        if (storage_open_queue(storage, i) != STORAGE_TAKEN) {
            return false;
        }
    }
    return true;
}

/* Closes what was opened of a successor that cannot be used. */
static void give_up(struct storage *storage, uint32_t index)
{
    const struct storage_controller *controller = &storage->controllers[index];

    if (controller->engine != NULL) {
        storage_drop(storage, index);
    }
    msix_disable(controller->function);
    pci_disable(controller->function);
}

bool storage_take_back(struct storage *storage, uint32_t index)
{
    struct storage_controller *controller = &storage->controllers[index];

    if (!pci_slot_take(controller->function)) {
        return false;
    }
    pci_decode(controller->function);
    if (!open_again(storage, index)) {
        give_up(storage, index);
        return false;
    }
    if (storage->config.mode != NVME_MODE_POLL && controller->msix.vector_count == 0) {
        enter_line(storage, controller);
    }
    return true;
}
