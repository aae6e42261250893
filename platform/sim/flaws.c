// SPDX-License-Identifier: MIT
/* See flaws.h. */
#include "flaws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

enum {
    REFUSAL = 0x4002,    /* Invalid Field in Command, do not retry */
    SPARE_BLOCKS = 2048, /* of the good namespace behind a bad one */
    SHUTDOWN_MS = 3000,  /* slower than a command of 1 s, faster than */
    RTD3E_US = 4000 * 1000,
};

static void refuse_list(struct device *device)
{
    device->model->list_refused = true;
}

static void refuse_queues(struct device *device)
{
    device->model->admin_status[NVME_ADMIN_SET_FEATURES] = REFUSAL;
}

static void refuse_creation(struct device *device)
{
    device->model->admin_status[NVME_ADMIN_CREATE_CQ] = REFUSAL;
}

static void grant_one_queue(struct device *device)
{
    device->model->granted = 1;
}

static void have_one_vector(struct device *device)
{
    device->vector_count = 1;
}

static void have_two_vectors(struct device *device)
{
    device->vector_count = 2;
}

static void lose_namespaces(struct device *device)
{
    memset(device->model->namespaces, 0, sizeof(device->model->namespaces));
}

static void empty_namespace(struct device *device)
{
    device->model->namespaces[0].block_count = 0;
}

static void add_metadata(struct device *device)
{
    device->model->namespaces[0].metadata_bytes = 8;
}

static void shrink_blocks(struct device *device)
{
    device->model->namespaces[0].block_shift = 8;
}

/* A good namespace 2, behind whatever is wrong with the first. */
static void add_namespace(struct device *device)
{
    model_set_empty_namespace(device->model, 2, 9, SPARE_BLOCKS);
    device->model->namespaces[1].nmic = 1;
}

static void be_dead(struct device *device)
{
    device->model->fatal_when_ready = true;
}

static void be_gone(struct device *device)
{
    device->model->gone = true;
}

static void be_silent(struct device *device)
{
    device->model->admin_silent = true;
}

static void never_be_ready(struct device *device)
{
    device->model->ready_never = true;
}

static void shut_down_slowly(struct device *device)
{
    device->model->rtd3e = RTD3E_US;
    device->model->shutdown_delay_ns = SHUTDOWN_MS * UINT64_C(1000000);
}

static void be_worn(struct device *device)
{
    struct model_events *events = &device->model->events;

    events->critical_warning = 0x04; /* NVM subsystem reliability is degraded */
    events->temperature = 350;
    events->error_count = 3;
    events->changed[0] = 1;
    events->changed[1] = 7;
}

static void change_all(struct device *device)
{
    device->model->events.changed[0] = NVME_NSID_ALL;
}

struct flaw {
    const char *name;
    void (*give)(struct device *device);
};

static const struct flaw flaws[] = {
    {"list_refused", refuse_list},         /* Identify CNS 02h */
    {"queues_refused", refuse_queues},     /* Number of Queues */
    {"creation_refused", refuse_creation}, /* Create I/O Completion Queue */
    {"one_queue", grant_one_queue},
    {"one_vector", have_one_vector}, /* the admin queue's */
    {"two_vectors", have_two_vectors},
    {"no_namespace", lose_namespaces},
    {"no_blocks", empty_namespace},  /* namespace 1 is listed, with NSZE 0 */
    {"metadata", add_metadata},      /* in namespace 1 */
    {"small_blocks", shrink_blocks}, /* of namespace 1: 256 bytes */
    {"second", add_namespace},
    {"dead", be_dead},     /* CSTS.CFS once it is ready */
    {"gone", be_gone},     /* registers read all ones */
    {"silent", be_silent}, /* answers no admin command */
    {"unready", never_be_ready},
    {"slow_shutdown", shut_down_slowly},
    {"worn", be_worn},       /* what its logs tell */
    {"changed", change_all}, /* more namespaces than the list has room for */
};

/* Takes one NUMBER:NAME off the text. */
static const char *apply_one(const char *text)
{
    char *name;
    unsigned long index = strtoul(text, &name, 10);
    size_t size;

    if (*name != ':' || index >= device_count) {
        return NULL;
    }
    size = strcspn(++name, ",");
    for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
        if (strlen(flaws[i].name) == size && strncmp(flaws[i].name, name, size) == 0) {
            flaws[i].give(&devices[index]);
            return name + size + (name[size] == ',');
        }
    }
    return NULL;
}

bool flaws_apply(const char *text)
{
    const char *rest = text;

    while (rest != NULL && *rest != '\0') {
        rest = apply_one(rest);
        if (rest == NULL) {
            printf("error: sim.flaws=%s: CONTROLLER:NAME,... with these names:", text);
            for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
                printf(" %s", flaws[i].name);
            }
            printf("\n");
            return false;
        }
    }
    return true;
}
