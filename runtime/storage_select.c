// SPDX-License-Identifier: MIT
/*
 * Selects the controllers that do the work: the first that can be used, and every other that shows
 * the same namespace (namespace_view.h). It compares identifiers, never data: two blank disks are
 * equal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "heap.h"
#include "namespace_view.h"
#include "storage_internal.h"

/* True for an NVMe controller that the configuration does not exclude by its address. */
static bool is_candidate(const struct storage *storage, uint32_t index)
{
    const struct pci_function *function = &storage->functions[index];
    char address[STORAGE_ADDRESS_BYTES];

    storage_write_address(function, address);
    return function->class_code == PCI_CLASS_NVME &&
           (storage->config.controller == NULL || strcmp(storage->config.controller, address) == 0);
}

static uint32_t count_candidates(const struct storage *storage)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < storage->function_count; i++) {
        count += is_candidate(storage, i);
    }
    return count;
}

/* Prints that there is no such controller, and the addresses of the others. */
static void print_none(const struct storage *storage)
{
    char address[STORAGE_ADDRESS_BYTES];

    if (storage->config.controller == NULL) {
        printf("error: no NVMe controller among %" PRIu32
               " PCI functions; hint: -device nvme, or run.py without --no-disk\n",
               storage->function_count);
        return;
    }
    printf("error: controller=%s: no NVMe controller has this address; hint: controllers are at",
           storage->config.controller);
    for (uint32_t i = 0; i < storage->function_count; i++) {
        if (storage->functions[i].class_code == PCI_CLASS_NVME) {
            storage_write_address(&storage->functions[i], address);
            printf(" %s", address);
        }
    }
    printf("\n");
}

/* Prints that no controller can be used. The next open prints the reasons again. */
static void print_unusable(struct storage *storage)
{
    if (storage->config.serial != NULL) {
        printf("error: serial=%s: no usable NVMe controller has it; hint: nvme identify lists "
               "them\n",
               storage->config.serial);
    } else {
        printf("error: no NVMe controller can be used, see the notes above; hint: nvme identify "
               "describes them\n");
    }
    memset(storage->told, 0, sizeof(storage->told));
}

static bool has_serial(const struct storage *storage, const struct storage_controller *controller)
{
    struct nvme_controller_info info;

    nvme_controller_describe(controller->engine, &info);
    return storage->config.serial == NULL || strcmp(storage->config.serial, info.serial) == 0;
}

static struct namespace_view view_of(const struct storage_controller *controller,
                                     struct nvme_controller_info *info)
{
    nvme_controller_describe(controller->engine, info);
    return (struct namespace_view){info, &controller->identity, controller->ns.nsid};
}

/* True if the last controller shows the namespace of all before it, else prints a note. */
static bool is_door(struct storage *storage, struct storage_controller *controller)
{
    struct nvme_controller_info infos[2];
    struct namespace_view view = view_of(controller, &infos[0]);
    char address[STORAGE_ADDRESS_BYTES];

    for (uint32_t i = 0; i + 1 < storage->controller_count; i++) {
        struct namespace_view other = view_of(&storage->controllers[i], &infos[1]);
        const char *difference = namespace_view_difference(&view, &other);

        if (difference != NULL) {
            storage_write_address(storage->controllers[i].function, address);
            storage_note(
                controller,
                "is not used: it shows another namespace than %s: %s; hint: controller= or "
                "serial=",
                address, difference);
            return false;
        }
    }
    return true;
}

uint32_t storage_queues_of(const struct storage *storage,
                           const struct storage_controller *controller)
{
    uint32_t vectors = controller->msix.vector_count;
    struct nvme_controller_info info;

    nvme_controller_describe(controller->engine, &info);
    /* Without a vector table the queues share the line; vector 0 is the admin queue's. */
    if (storage->config.mode == NVME_MODE_POLL || vectors == 0 || vectors - 1 >= info.queue_count) {
        return info.queue_count;
    }
    return vectors - 1;
}

/* True if the controller can have a queue, else prints a note. */
static bool has_queues(const struct storage *storage, struct storage_controller *controller)
{
    struct nvme_controller_info info;

    if (storage_queues_of(storage, controller) != 0) {
        return true;
    }
    nvme_controller_describe(controller->engine, &info);
    if (info.queue_count == 0) {
        storage_note(controller, "is not used: it grants no I/O queue; it can still be "
                                 "administered: nvme identify");
    } else {
        storage_note(controller, "is not used: interrupts need MSI-X vector 1, it has 1 vector; "
                                 "hint: --nvme msix_qsize=2, or completion=poll");
    }
    return false;
}

/* Brings up the controller of functions[index] and keeps it if it can be used. */
static enum storage_step try_controller(struct storage *storage, uint32_t index,
                                        uint32_t controllers)
{
    struct storage_controller *controller = &storage->controllers[storage->controller_count];
    enum storage_step step;

    memset(controller, 0, sizeof(*controller));
    controller->function = &storage->functions[index];
    controller->quiet = storage->told[index];
    step = storage_open_controller(storage, controllers);
    if (step == STORAGE_TAKEN &&
        !(has_serial(storage, controller) && has_queues(storage, controller) &&
          storage_open_namespace(storage, controller) && is_door(storage, controller))) {
        storage_close_last(storage);
        step = STORAGE_PASSED;
    }
    storage->told[index] = storage->told[index] || controller->noted;
    return step;
}

void storage_pass(struct storage *storage, struct storage_controller *controller, uint32_t index,
                  enum nvme_error error)
{
    size_t function = (size_t)(controller->function - storage->functions);

    storage_note(controller, "is not used: I/O queue %" PRIu32 ": %s (%d)", index + 1,
                 nvme_error_text(error), (int)error);
    storage->passed[function] = true;
    storage->told[function] = true;
}

/* Tries up to `limit` controllers. It marks unusable ones, which the next call leaves out. */
static bool try_controllers(struct storage *storage, uint32_t limit)
{
    for (uint32_t i = 0; i < storage->function_count && storage->controller_count < limit; i++) {
        enum storage_step step = STORAGE_PASSED;

        if (!storage->passed[i] && is_candidate(storage, i)) {
            step = try_controller(storage, i, limit);
        }
        if (step == STORAGE_FAILED) {
            return false;
        }
        storage->passed[i] = step == STORAGE_PASSED;
    }
    return true;
}

bool storage_open_controllers(struct storage *storage)
{
    uint32_t limit = storage->config.controllers_max;
    uint32_t found = count_candidates(storage);

    if (found == 0) {
        print_none(storage);
        return false;
    }
    limit = limit == 0 || limit > STORAGE_CONTROLLERS_MAX ? STORAGE_CONTROLLERS_MAX : limit;
    limit = found < limit ? found : limit;
    limit = storage->config.harts < limit ? storage->config.harts : limit;
    for (;;) {
        if (!try_controllers(storage, limit)) {
            return false;
        }
        if (storage->controller_count == 0) {
            print_unusable(storage);
            return false;
        }
        if (storage->controller_count == limit) {
            return true;
        }
        /* Fewer controllers share queues and lines differently: close them and plan again. */
        limit = storage->controller_count;
        while (storage->controller_count != 0) {
            storage_close_last(storage);
        }
        heap_release(storage->heap_mark);
    }
}

bool storage_visit_controllers(struct storage *storage, storage_visit *visit, void *arg)
{
    uint32_t visited = 0;
    bool good = true;

    if (count_candidates(storage) == 0) {
        print_none(storage);
        return false;
    }
    for (uint32_t i = 0; i < storage->function_count; i++) {
        struct storage_controller *controller = &storage->controllers[0];

        if (!is_candidate(storage, i)) {
            continue;
        }
        memset(controller, 0, sizeof(*controller));
        controller->function = &storage->functions[i];
        if (storage_open_controller(storage, 1) == STORAGE_TAKEN) {
            if (has_serial(storage, controller)) {
                visit(arg, controller);
                visited++;
            }
            storage_close_last(storage);
        } else {
            good = false;
            /* Its serial number is not known. */
            if (storage->config.serial == NULL) {
                visit(arg, controller);
                visited++;
            }
        }
        storage->told[i] = storage->told[i] || controller->noted;
        heap_release(storage->heap_mark);
    }
    if (visited == 0) {
        printf("error: serial=%s: no NVMe controller has it; hint: nvme identify lists them\n",
               storage->config.serial);
    }
    return good && visited != 0;
}
