// SPDX-License-Identifier: MIT
/*
 * Asynchronous events of the open controllers: polled on the hart that takes a controller's
 * interrupt, and what the runtime does for them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "harts.h"
#include "storage_internal.h"

void storage_poll_events(const struct storage *storage)
{
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        const struct storage_controller *controller = &storage->controllers[i];

        if (controller->engine != NULL && controller->irq_hart == hart_index()) {
            nvme_events_poll(controller->engine);
        }
    }
}

/* Opens the namespace anew if the device said that it has changed. */
static void refresh_one(struct storage_controller *controller)
{
    struct nvme_namespace *ns = &controller->ns;
    enum nvme_error error;

    if (__atomic_exchange_n(&controller->namespace_changed, 0, __ATOMIC_RELAXED) == 0) {
        return;
    }
    error = nvme_namespace_open(controller->engine, ns->nsid, ns);
    if (error != NVME_OK) {
        storage_note(controller, "has a namespace %" PRIu32 " that has changed: %s (%d)", ns->nsid,
                     nvme_error_text(error), (int)error);
        return;
    }
    storage_note(controller, "has a namespace %" PRIu32 " of %" PRIu64 " blocks of %" PRIu32 " now",
                 ns->nsid, ns->block_count, ns->block_bytes);
}

void storage_refresh_namespaces(struct storage *storage)
{
    for (uint32_t i = 0; i < storage->controller_count; i++) {
        refresh_one(&storage->controllers[i]);
    }
}
