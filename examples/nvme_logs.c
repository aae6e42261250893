// SPDX-License-Identifier: MIT
/*
 * The commands that tell of a device's health: smart, errors, changed-ns; and reset.
 *
 * They need no queue and no namespace, so they work on a controller that gives none. Each is for
 * all controllers that the options allow. NVMe Base 2.0: Get Log Page.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nvme_tool.h"
#include "page_field.h"

enum {
    SMART_BYTES = 512,
    ERROR_BYTES = 64, /* of an entry */
    ERRORS_MAX = NVME_ADMIN_PASSTHROUGH_MAX / ERROR_BYTES,
    CHANGED_MAX = 1024,
};

/* VS of the first version with Retain Asynchronous Event: 1.3. */
#define RETAIN_VERSION UINT32_C(0x00010300)

static struct storage log_storage;
static uint8_t page[NVME_ADMIN_PASSTHROUGH_MAX] __attribute__((aligned(NVME_PAGE_DEFAULT)));

/* What is told of the controllers. */
struct telling {
    const char *name; /* of the log */
    /* Reads and prints the log of one controller; false: an error was printed. */
    bool (*tell)(struct telling *telling, struct nvme_controller *controller, const char *address);
    struct json json;
    bool as_json;
    bool failed;
};

bool device_read(struct nvme_controller *controller, const struct nvme_command *command,
                 uint8_t *data, uint32_t size_bytes, const char *what)
{
    struct nvme_result result;
    enum nvme_error error;

    /* A device may send less than it was asked for. */
    memset(data, 0, size_bytes);
    error = nvme_admin_passthrough(controller, command, data, size_bytes, &result);
    if (error == NVME_ERR_DEVICE) {
        printf("error: %s: status 0x%x %s\n", what, result.status, nvme_status_text(result.status));
    } else if (error != NVME_OK) {
        printf("error: %s: %s (%d)\n", what, nvme_error_text(error), (int)error);
    }
    return error == NVME_OK;
}

bool device_identify(struct nvme_controller *controller, enum nvme_cns cns, uint32_t nsid,
                     uint8_t data[NVME_IDENTIFY_BYTES], const char *what)
{
    struct nvme_command command = {
        .cdw0 = NVME_ADMIN_IDENTIFY,
        .nsid = nsid,
        .cdw10 = cns,
    };

    return device_read(controller, &command, data, NVME_IDENTIFY_BYTES, what);
}

/* Reads a log into `page`. The device's events stay as they are. */
static bool read_log(struct nvme_controller *controller, enum nvme_log log, uint32_t size_bytes,
                     const char *what)
{
    struct nvme_controller_info info;
    struct nvme_command command = {
        .cdw0 = NVME_ADMIN_GET_LOG_PAGE,
        .nsid = NVME_NSID_ALL,
        .cdw10 = log | (uint32_t)NVME_PUT(NVME_LOG_DWORDS, size_bytes / 4 - 1),
    };

    nvme_controller_describe(controller, &info);
    if (info.version >= RETAIN_VERSION) {
        command.cdw10 |= (uint32_t)NVME_LOG_RETAIN;
    }
    return device_read(controller, &command, page, size_bytes, what);
}

/* ---- smart ---------------------------------------------------------------------------- */

static bool tell_smart(struct telling *telling, struct nvme_controller *controller,
                       const char *address)
{
    if (!read_log(controller, NVME_LOG_HEALTH, SMART_BYTES, telling->name)) {
        return false;
    }
    if (telling->as_json) {
        page_print_json(&page_smart, page, &telling->json);
    } else {
        printf("Smart Log for NVME device:%s namespace-id:%" PRIx32 "\n", address, NVME_NSID_ALL);
        page_print(&page_smart, page);
    }
    return true;
}

/* ---- errors --------------------------------------------------------------------------- */

/* How many entries the log has room for. 0: an error was printed. */
static uint32_t error_room(struct nvme_controller *controller, const char *what)
{
    const struct nvme_identify_controller *identified = (const void *)page;

    if (!device_identify(controller, NVME_CNS_CONTROLLER, 0, page, what)) {
        return 0;
    }
    return identified->elpe < ERRORS_MAX ? identified->elpe + 1U : ERRORS_MAX;
}

/* An entry whose error count is 0 is none. */
static bool is_entry(uint32_t index)
{
    return page_number(&page_error.fields[0], page + index * ERROR_BYTES) != 0;
}

static void print_errors(const char *address, uint32_t room)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < room; i++) {
        count += is_entry(i);
    }
    printf("Error Log Entries for device:%s entries:%" PRIu32 "\n", address, count);
    for (uint32_t i = 0; i < room; i++) {
        if (is_entry(i)) {
            printf(" Entry[%2" PRIu32 "]\n.................\n", i);
            page_print(&page_error, page + i * ERROR_BYTES);
        }
    }
}

static bool tell_errors(struct telling *telling, struct nvme_controller *controller,
                        const char *address)
{
    uint32_t room = error_room(controller, telling->name);

    if (room == 0 || !read_log(controller, NVME_LOG_ERRORS, room * ERROR_BYTES, telling->name)) {
        return false;
    }
    if (!telling->as_json) {
        print_errors(address, room);
        return true;
    }
    json_open(&telling->json, "errors", '[');
    for (uint32_t i = 0; i < room; i++) {
        if (is_entry(i)) {
            json_open(&telling->json, NULL, '{');
            page_print_json(&page_error, page + i * ERROR_BYTES, &telling->json);
            json_close(&telling->json, '}');
        }
    }
    json_close(&telling->json, ']');
    return true;
}

/* ---- changed-ns ----------------------------------------------------------------------- */

/* The namespace at this place of the list, 0 behind the last. */
static uint32_t changed_nsid(uint32_t index)
{
    uint32_t nsid = 0;

    if (index < CHANGED_MAX) {
        memcpy(&nsid, page + index * sizeof(nsid), sizeof(nsid));
    }
    return nsid;
}

static void print_changed(const char *address)
{
    printf("Changed Namespace List Log for device:%s\n", address);
    if (changed_nsid(0) == 0) {
        printf("no ns changed\n");
    } else if (changed_nsid(0) == NVME_NSID_ALL) {
        printf("more than %d ns changed\n", CHANGED_MAX);
    } else {
        for (uint32_t i = 0; changed_nsid(i) != 0; i++) {
            printf("[%4" PRIu32 "]:%#" PRIx32 "\n", i, changed_nsid(i));
        }
    }
}

static bool tell_changed(struct telling *telling, struct nvme_controller *controller,
                         const char *address)
{
    if (!read_log(controller, NVME_LOG_CHANGED_NAMESPACES, sizeof(page), telling->name)) {
        return false;
    }
    if (!telling->as_json) {
        print_changed(address);
        return true;
    }
    json_open(&telling->json, "Changed Namespace List Log", '{');
    for (uint32_t i = 0; changed_nsid(i) != 0; i++) {
        char key[16];
        char value[16];

        snprintf(key, sizeof(key), "[%4" PRIu32 "]", i + 1);
        snprintf(value, sizeof(value), "%#" PRIx32, changed_nsid(i));
        json_text(&telling->json, key, value);
    }
    json_close(&telling->json, '}');
    return true;
}

/* ---- All controllers ------------------------------------------------------------------ */

static void tell_controller(void *arg, const struct storage_controller *controller)
{
    struct telling *telling = arg;
    char address[STORAGE_ADDRESS_BYTES];

    storage_write_address(controller->function, address);
    if (telling->as_json) {
        json_open(&telling->json, NULL, '{');
        json_text(&telling->json, "address", address);
    }
    if (controller->engine != NULL) {
        telling->failed = !telling->tell(telling, controller->engine, address) || telling->failed;
    } else if (telling->as_json) {
        json_text(&telling->json, "error", NO_ENGINE);
    }
    if (telling->as_json) {
        json_close(&telling->json, '}');
    }
}

int survey_print(struct storage *storage, const struct options *options, storage_visit *visit,
                 void *arg, struct json *json)
{
    struct storage_config config = storage_wanted(options);
    bool good;

    config.mode = NVME_MODE_POLL; /* interrupts are not needed here */
    if (json != NULL) {
        json_begin(json);
        json_open(json, "controllers", '[');
    }
    good = storage_survey(storage, &config, visit, arg);
    if (json != NULL) {
        json_close(json, ']');
        json_end(json);
    }
    return good ? 0 : 1;
}

static int run_telling(struct telling *telling, const struct options *options)
{
    int status;

    telling->as_json = options->format == FORMAT_JSON;
    status = survey_print(&log_storage, options, tell_controller, telling,
                          telling->as_json ? &telling->json : NULL);
    return telling->failed ? 1 : status;
}

int run_smart(const struct options *options)
{
    struct telling telling = {.name = "SMART / health log", .tell = tell_smart};

    return run_telling(&telling, options);
}

int run_errors(const struct options *options)
{
    struct telling telling = {.name = "error log", .tell = tell_errors};

    return run_telling(&telling, options);
}

int run_changed(const struct options *options)
{
    struct telling telling = {.name = "changed namespace list", .tell = tell_changed};

    return run_telling(&telling, options);
}

/* ---- reset ---------------------------------------------------------------------------- */

static void ignore_controller(void *arg, const struct storage_controller *controller)
{
    (void)arg;
    (void)controller;
}

static void tell_reset(void *arg, const struct storage_controller *controller)
{
    struct nvme_controller_info info;
    char address[STORAGE_ADDRESS_BYTES];

    (void)arg;
    if (controller->engine == NULL) {
        return; /* a note has the reason */
    }
    nvme_controller_describe(controller->engine, &info);
    storage_write_address(controller->function, address);
    printf("reset %s: %s %s is ready\n", address, info.model, info.serial);
}

/*
 * Each controller is brought up and shut down, CC.EN 1 to 0, and brought up again. One that cannot
 * be brought up does not keep the others from their reset.
 */
int run_reset(const struct options *options)
{
    (void)survey_print(&log_storage, options, ignore_controller, NULL, NULL);
    return survey_print(&log_storage, options, tell_reset, NULL, NULL);
}
