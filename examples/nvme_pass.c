// SPDX-License-Identifier: MIT
/*
 * Admin commands that the user composes: features, logs, Identify by any CNS, any opcode. Each is
 * for all controllers that the options allow, and needs no queue and no namespace. The text is as
 * nvme-cli's. NVMe Base 2.0: Get Features, Set Features, Get Log Page, Identify.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nvme_tool.h"
#include "page_field.h"

enum { ADMIN_GET_FEATURES = 0x0a, FEATURE_TIMESTAMP = 0x0e, DOUBLE_WORD = 4 };

#define SET_FEATURES_SAVE (UINT32_C(1) << 31)
#define LOG_RAE (UINT32_C(1) << 15)

/* A feature: its name, and the bytes of its data. */
struct feature {
    uint8_t id;
    const char *name;
    uint32_t data_bytes;
};

static const struct feature features[] = {
    {0x01, "Arbitration", 0},
    {0x02, "Power Management", 0},
    {0x03, "LBA Range Type", 4096},
    {0x04, "Temperature Threshold", 0},
    {0x05, "Error Recovery", 0},
    {0x06, "Volatile Write Cache", 0},
    {0x07, "Number of Queues", 0},
    {0x08, "Interrupt Coalescing", 0},
    {0x09, "Interrupt Vector Configuration", 0},
    {0x0a, "Write Atomicity Normal", 0},
    {0x0b, "Async Event Configuration", 0},
    {0x0c, "Autonomous Power State Transition", 256},
    {0x0d, "Host Memory Buffer", 4096},
    {FEATURE_TIMESTAMP, "Timestamp", 8},
    {0x10, "Host Controlled Thermal Management", 0},
    {0x16, "Host Behavior Support", 512},
    {0x80, "Software Progress", 0},
    {0, "Unknown", 0}, /* the end */
};

/* A command for each controller, and how its answer is told. */
struct asking {
    const char *name;
    const struct options *options;
    struct nvme_command command;
    struct nvme_command before; /* opcode 0: none; else it is executed first, */
    uint32_t before_bytes;      /* with so many bytes of the option value= */
    uint32_t data_bytes;
    bool sends; /* data to the device */
    const struct page_table *table;
    void (*tell)(struct asking *asking, const char *address, uint32_t dw0);
    struct json json;
    bool as_json;
    bool failed;
};

static struct storage pass_storage;
static struct asking asking;
static uint8_t page[NVME_ADMIN_PASSTHROUGH_MAX] __attribute__((aligned(NVME_PAGE_DEFAULT)));

static bool execute(struct nvme_controller *controller, const struct nvme_command *command,
                    uint32_t data_bytes, struct nvme_result *result)
{
    enum nvme_error error = nvme_admin_passthrough(
        controller, command, data_bytes != 0 ? page : NULL, data_bytes, result);

    if (error == NVME_ERR_DEVICE) {
        printf("error: %s: status 0x%x %s\n", asking.name, result->status,
               nvme_status_text(result->status));
    } else if (error == NVME_ERR_UNSUPPORTED) {
        printf("error: %s: the engine itself uses this command; hint: another opcode or feature\n",
               asking.name);
    } else if (error != NVME_OK) {
        printf("error: %s: %s (%d)\n", asking.name, nvme_error_text(error), (int)error);
    }
    return error == NVME_OK;
}

/* What the page holds, after what is told of it. */
static void tell_data(struct asking *this)
{
    if (this->data_bytes == 0 || this->sends) {
        return;
    }
    if (this->as_json) {
        hex_print_json(&this->json, "data", page, this->data_bytes);
    } else {
        hex_print(page, this->data_bytes, 0);
    }
}

static void json_count(struct json *json, const char *name, uint64_t number)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRIu64, number);
    json_number(json, name, digits);
}

static void ask_controller(void *arg, const struct storage_controller *controller)
{
    struct asking *this = arg;
    char address[STORAGE_ADDRESS_BYTES];
    struct nvme_result result;
    bool good = controller->engine != NULL;

    storage_write_address(controller->function, address);
    if (this->as_json) {
        json_open(&this->json, NULL, '{');
        json_text(&this->json, "address", address);
    }
    if (good && this->before.cdw0 != 0) {
        memcpy(page, &this->options->value, sizeof(this->options->value));
        good = execute(controller->engine, &this->before, this->before_bytes, &result);
    }
    if (good && !this->sends) {
        memset(page, 0, sizeof(page)); /* a device may send less than it was asked for */
    }
    if (good && execute(controller->engine, &this->command, this->data_bytes, &result)) {
        this->tell(this, address, result.dw0);
    } else {
        this->failed = true;
    }
    if (this->as_json) {
        json_close(&this->json, '}');
    }
}

/* Asks all controllers. The fields of `asking` but for options and json are set. */
static int ask(const struct options *options)
{
    int status;

    asking.options = options;
    asking.as_json = options->format == FORMAT_JSON;
    status = survey_print(&pass_storage, options, ask_controller, &asking,
                          asking.as_json ? &asking.json : NULL);
    return asking.failed ? 1 : status;
}

/* ---- Features ------------------------------------------------------------------------- */

static const struct feature *feature_find(uint64_t id)
{
    const struct feature *feature = features;

    while (feature->id != 0 && feature->id != id) {
        feature++;
    }
    return feature;
}

static void tell_feature(struct asking *this, const char *address, uint32_t dw0)
{
    uint32_t id = (uint32_t)this->options->feature;
    const char *name = feature_find(id)->name;

    if (this->as_json) {
        json_count(&this->json, "feature", id);
        json_text(&this->json, "name", name);
        json_count(&this->json, "value", dw0);
    } else {
        printf("%s %s:0x%02" PRIx32 " (%s), Current value:0x%08" PRIx32 "\n", address, this->name,
               id, name, dw0);
    }
    tell_data(this);
}

static void prepare_feature(const struct options *options)
{
    asking.command = (struct nvme_command){
        .cdw0 = ADMIN_GET_FEATURES,
        .nsid = (uint32_t)options->nsid,
        .cdw10 = (uint32_t)(options->feature | options->sel << 8),
        .cdw11 = (uint32_t)options->cdw[11],
    };
    asking.tell = tell_feature;
    asking.data_bytes = feature_find(options->feature)->data_bytes;
    if (options->data_len != 0) {
        asking.data_bytes = (uint32_t)options->data_len;
    }
}

int run_get_feature(const struct options *options)
{
    asking.name = "get-feature";
    prepare_feature(options);
    if (options->sel == 3) { /* what it can: in dword 0, without data */
        asking.data_bytes = 0;
    }
    return ask(options);
}

/* The value that is there afterwards is told. Of features with data, only the timestamp is set. */
int run_set_feature(const struct options *options)
{
    uint32_t data_bytes = feature_find(options->feature)->data_bytes;

    asking.name = "set-feature";
    prepare_feature(options);
    asking.before = asking.command;
    asking.before.cdw0 = NVME_ADMIN_SET_FEATURES;
    asking.before.cdw10 |= options->save ? SET_FEATURES_SAVE : 0;
    asking.before.cdw11 = (uint32_t)options->value;
    if (options->feature == FEATURE_TIMESTAMP) {
        asking.before.cdw11 = 0;
        asking.before_bytes = data_bytes;
    } else if (data_bytes != 0 || options->value > UINT32_MAX) {
        printf("error: feature-id=%" PRIu64 " value=%" PRIu64
               ": a feature with data, or more than a dword; hint: admin-passthru opcode=9\n",
               options->feature, options->value);
        return 1;
    }
    return ask(options);
}

/* ---- Logs and Identify ---------------------------------------------------------------- */

static void tell_log(struct asking *this, const char *address, uint32_t dw0)
{
    (void)dw0;
    if (!this->as_json) {
        printf("Device:%s log-id:%" PRIu64 " namespace-id:0x%" PRIx32 "\n", address,
               this->options->log, this->command.nsid);
    }
    tell_data(this);
}

int run_get_log(const struct options *options)
{
    uint32_t dwords = (uint32_t)(options->log_len / DOUBLE_WORD) - 1;

    if (options->log_len % DOUBLE_WORD != 0 || options->lpo % DOUBLE_WORD != 0) {
        printf("error: log-len=%" PRIu64 " lpo=%" PRIu64 ": not multiples of %d\n",
               options->log_len, options->lpo, DOUBLE_WORD);
        return 1;
    }
    asking.name = "get-log";
    asking.command = (struct nvme_command){
        .cdw0 = NVME_ADMIN_GET_LOG_PAGE,
        .nsid = options->nsid != 0 ? (uint32_t)options->nsid : NVME_NSID_ALL,
        .cdw10 = (uint32_t)(options->log | options->lsp << 8) | (options->rae ? LOG_RAE : 0) |
                 dwords << 16,
        .cdw12 = (uint32_t)options->lpo,
        .cdw13 = (uint32_t)(options->lpo >> 32),
    };
    asking.data_bytes = (uint32_t)options->log_len;
    asking.tell = tell_log;
    return ask(options);
}

static void tell_page(struct asking *this, const char *address, uint32_t dw0)
{
    (void)dw0;
    if (this->table == NULL) {
        if (!this->as_json) {
            printf("NVME Identify %s cns:0x%02" PRIx64 "\n", address, this->options->cns);
        }
        tell_data(this);
    } else if (this->as_json) {
        page_print_json(this->table, page, &this->json);
    } else {
        printf("NVME Identify %s %s:\n", address,
               this->table == &page_controller ? "Controller" : "Namespace");
        page_print(this->table, page);
    }
}

int run_identify_page(const struct options *options)
{
    bool of_namespace = options->cns == NVME_CNS_NAMESPACE || options->cns == NVME_CNS_DESCRIPTORS;

    asking.name = "identify";
    asking.command = (struct nvme_command){
        .cdw0 = NVME_ADMIN_IDENTIFY,
        .nsid = options->nsid == 0 && of_namespace ? 1 : (uint32_t)options->nsid,
        .cdw10 = (uint32_t)(options->cns | options->cntid << 16),
        .cdw11 = (uint32_t)options->csi << 24,
    };
    asking.data_bytes = NVME_IDENTIFY_BYTES;
    asking.table = options->cns == NVME_CNS_CONTROLLER  ? &page_controller
                   : options->cns == NVME_CNS_NAMESPACE ? &page_namespace
                                                        : NULL;
    asking.tell = tell_page;
    return ask(options);
}

/* ---- Any command ---------------------------------------------------------------------- */

static void tell_result(struct asking *this, const char *address, uint32_t dw0)
{
    if (this->as_json) {
        json_count(&this->json, "opcode", this->options->opcode);
        json_count(&this->json, "result", dw0);
    } else {
        printf("%s NVMe command result:%08" PRIx32 "\n", address, dw0);
    }
    tell_data(this);
}

struct nvme_command passthru_command(const struct options *options)
{
    return (struct nvme_command){
        .cdw0 = (uint32_t)options->opcode,
        .nsid = (uint32_t)options->nsid,
        .cdw2 = (uint32_t)options->cdw[2],
        .cdw3 = (uint32_t)options->cdw[3],
        .cdw10 = (uint32_t)options->cdw[10],
        .cdw11 = (uint32_t)options->cdw[11],
        .cdw12 = (uint32_t)options->cdw[12],
        .cdw13 = (uint32_t)options->cdw[13],
        .cdw14 = (uint32_t)options->cdw[14],
        .cdw15 = (uint32_t)options->cdw[15],
    };
}

bool passthru_check(const struct options *options, uint64_t limit)
{
    bool data = options->data_len != 0;

    if (options->data_len > limit || options->data_len % DOUBLE_WORD != 0) {
        printf("error: data-len=%" PRIu64 ": a multiple of %d, at most %" PRIu64 "\n",
               options->data_len, DOUBLE_WORD, limit);
        return false;
    }
    if (data != (options->read || options->write) || (options->read && options->write)) {
        printf("error: data-len=%" PRIu64 " read=%d write=%d: data go one way; hint: read=1 or "
               "write=1 with data-len=, or none of them\n",
               options->data_len, options->read, options->write);
        return false;
    }
    return true;
}

int run_admin_passthru(const struct options *options)
{
    if (!passthru_check(options, sizeof(page))) {
        return 1;
    }
    asking.name = "admin-passthru";
    asking.command = passthru_command(options);
    asking.data_bytes = (uint32_t)options->data_len;
    asking.sends = options->write;
    asking.tell = tell_result;
    pattern_fill(page, options->write ? options->data_len : 0, options->seed, 0);
    return ask(options);
}
