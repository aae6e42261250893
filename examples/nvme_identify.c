// SPDX-License-Identifier: MIT
/*
 * The identify command: prints the properties of all controllers and namespaces, and which of them
 * a command would use.
 */
#include <inttypes.h>
#include <stdio.h>

#include "namespace_view.h"
#include "nvme_tool.h"
#include "page_field.h"
#include "wired.h"

static struct storage storage;
static uint8_t page[NVME_ADMIN_PASSTHROUGH_MAX] __attribute__((aligned(NVME_PAGE_DEFAULT)));

/* The state of the report. */
struct survey {
    uint32_t count; /* controllers printed */
    bool failed;
    struct json json;
};

/* Prints an identifier in hexadecimal digits, or nothing if it is 0. */
static void print_identifier(const char *name, const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;

    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    if (any == 0) {
        return;
    }
    printf("    %-14s ", name);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

/*
 * Opens and describes a namespace of the list, and writes the reason why the engine cannot use it;
 * "": it can. False: the device does not describe it.
 */
static bool look_at(struct nvme_controller *controller, uint32_t nsid, struct nvme_namespace *ns,
                    struct nvme_namespace_info *info, char flaw[NAMESPACE_FLAW_BYTES])
{
    enum nvme_error described;
    enum nvme_error error;

    *info = (struct nvme_namespace_info){0};
    described = nvme_namespace_describe(controller, nsid, info);
    error = described == NVME_OK ? nvme_namespace_open(controller, nsid, ns) : described;
    flaw[0] = '\0';
    if (error == NVME_ERR_NAMESPACE) {
        snprintf(flaw, NAMESPACE_FLAW_BYTES, "%s", NAMESPACE_WITHOUT_BLOCKS);
    } else if (error != NVME_OK) {
        namespace_view_write_flaw(info, error, flaw);
    }
    return described == NVME_OK;
}

/* Prints a namespace, and the reason if the engine cannot use it. */
static void print_namespace(struct survey *survey, struct nvme_controller *controller,
                            uint32_t nsid)
{
    struct nvme_namespace ns;
    struct nvme_namespace_info info;
    char flaw[NAMESPACE_FLAW_BYTES];

    (void)survey;
    printf("  namespace %-6" PRIu32 " ", nsid);
    if (!look_at(controller, nsid, &ns, &info, flaw)) {
        printf("not usable: %s\n", flaw);
        return;
    }
    /* The block size of an unusable namespace may be any. */
    if (info.block_shift < 32) {
        printf("%" PRIu64 " blocks of %" PRIu32 " bytes", info.block_count,
               UINT32_C(1) << info.block_shift);
    } else {
        printf("%" PRIu64 " blocks of 2^%u bytes", info.block_count, info.block_shift);
    }
    if (flaw[0] != '\0') {
        printf("; not usable: %s\n", flaw);
    } else {
        printf(", %" PRIu64 " MiB; at most %" PRIu32 " blocks per command%s\n",
               ns.block_count << ns.block_shift >> 20, ns.max_blocks,
               info.shared ? "; shared" : "");
    }
    print_identifier("EUI-64", info.eui64, sizeof(info.eui64));
    print_identifier("NGUID", info.nguid, sizeof(info.nguid));
    print_identifier("UUID", info.uuid, sizeof(info.uuid));
}

/* Calls print with each namespace of the list; how many there were. */
static uint32_t visit_namespaces(struct survey *survey, struct nvme_controller *controller,
                                 void (*print)(struct survey *survey,
                                               struct nvme_controller *controller, uint32_t nsid))
{
    uint32_t nsid = 0;
    uint32_t count = 0;
    enum nvme_error error;

    while ((error = nvme_namespace_next(controller, nsid, &nsid)) == NVME_OK) {
        count++;
        print(survey, controller, nsid);
    }
    if (error != NVME_ERR_NAMESPACE) {
        printf("error: list of namespaces: %s\n", nvme_error_text(error));
        survey->failed = true;
    }
    return count;
}

static void print_identity(const struct nvme_controller_info *info)
{
    printf("  model            %s\n", info->model);
    printf("  serial           %s\n", info->serial);
    printf("  subsystem        %s, %s\n", info->subsystem[0] != '\0' ? info->subsystem : "no name",
           info->more_controllers ? "of several controllers" : "of one controller");
    printf("  firmware         %s\n", info->firmware);
    printf("  PCI vendor       0x%04x\n", info->pci_vendor);
    printf("  NVMe version     %" PRIu32 ".%" PRIu32 ".%" PRIu32 "\n", info->version >> 16,
           info->version >> 8 & 255, info->version & 255);
}

static void print_limits(const struct nvme_controller_info *info)
{
    if (info->mdts_bytes == 0) {
        printf("  largest command  no limit of the device (MDTS)");
    } else {
        printf("  largest command  %" PRIu32 " KiB of the device (MDTS)", info->mdts_bytes >> 10);
    }
    printf(", %" PRIu32 " KiB in force\n", info->max_transfer_bytes >> 10);
    printf("  queue entries    %" PRIu32 " of the device (MQES), %" PRIu32 " in use\n",
           info->depth_entries_limit, info->depth_entries);
    printf("  queue pairs      %" PRIu32 " granted of those wanted, %d of the engine\n",
           info->queue_count, NVME_QUEUES_MAX);
    printf("  memory page      %" PRIu32 " KiB\n", info->page_bytes >> 10);
    printf("  ready within     %" PRIu32 " ms\n", info->ready_timeout_ms);
    printf("  write cache      %s\n",
           info->volatile_write_cache ? "volatile: flush matters" : "no");
}

/* Prints the memory of the controller, and of one more queue: the difference of two and one. */
static void print_memory(const struct storage_controller *controller,
                         const struct nvme_controller_info *info)
{
    const struct pci_bar *bar = &controller->function->bars[0];
    struct nvme_config config = {
        .registers = (volatile void *)(uintptr_t)bar->base,
        .registers_size_bytes = bar->size,
        .queue_count = 1,
        .depth_entries = info->depth_entries,
        .max_transfer_bytes = info->max_transfer_bytes,
    };
    struct nvme_memory one = {0};
    struct nvme_memory two = {0};
    enum nvme_error error = nvme_memory_needed(&config, &one);

    config.queue_count = 2;
    if (error == NVME_OK) {
        error = nvme_memory_needed(&config, &two);
    }
    printf("  memory           %zu bytes, %zu of them for DMA\n",
           info->memory_bytes.ordinary_bytes + info->memory_bytes.dma_bytes,
           info->memory_bytes.dma_bytes);
    if (error == NVME_OK) {
        printf("  memory per queue %zu bytes, %zu of them for DMA\n",
               two.ordinary_bytes - one.ordinary_bytes + two.dma_bytes - one.dma_bytes,
               two.dma_bytes - one.dma_bytes);
    }
}

static void print_interrupt(const struct storage_controller *controller,
                            const struct nvme_controller_info *info)
{
    struct machine_interrupt irq = controller->function->irq;

    if (controller->msix.vector_count != 0) {
        printf("  interrupt        MSI-X, %" PRIu32 " vectors\n", controller->msix.vector_count);
    } else if (!wired_usable(irq)) {
        printf("  interrupt        none usable: completion=poll\n");
    } else if (info->line_stuck) {
        printf("  interrupt        source %" PRIu32 ", its line is stuck: queues poll\n",
               irq.source);
    } else {
        printf("  interrupt        INTx, source %" PRIu32 "\n", irq.source);
    }
    if (info->line_repairs != 0) {
        printf("  line repairs     %" PRIu32 "\n", info->line_repairs);
    }
}

static void print_controller(void *arg, const struct storage_controller *controller)
{
    struct survey *survey = arg;
    struct nvme_controller_info info;
    char address[STORAGE_ADDRESS_BYTES];

    storage_write_address(controller->function, address);
    printf("controller %" PRIu32 " at PCI %s\n", survey->count++, address);
    if (controller->engine == NULL) {
        printf("  not usable: " NO_ENGINE "\n");
        return;
    }
    nvme_controller_describe(controller->engine, &info);
    print_identity(&info);
    print_limits(&info);
    print_memory(controller, &info);
    print_interrupt(controller, &info);
    printf("  namespaces       %" PRIu32 " active\n",
           visit_namespaces(survey, controller->engine, print_namespace));
}

/* ---- As JSON -------------------------------------------------------------------------- */

static void print_number(struct json *json, const char *name, uint64_t number)
{
    char digits[PAGE_VALUE_BYTES];

    snprintf(digits, sizeof(digits), "%" PRIu64, number);
    json_number(json, name, digits);
}

static void print_formats(struct json *json)
{
    const struct nvme_identify_namespace *identified = (const void *)page;
    uint32_t last = identified->nlbaf;

    json_open(json, "lbafs", '[');
    for (uint32_t i = 0; i <= last && i < sizeof(identified->lbaf) / sizeof(identified->lbaf[0]);
         i++) {
        json_open(json, NULL, '{');
        page_print_json(&page_format, (const uint8_t *)&identified->lbaf[i], json);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void print_namespace_json(struct survey *survey, struct nvme_controller *controller,
                                 uint32_t nsid)
{
    struct json *json = &survey->json;
    struct nvme_namespace ns;
    struct nvme_namespace_info info;
    char flaw[NAMESPACE_FLAW_BYTES];

    json_open(json, NULL, '{');
    print_number(json, "nsid", nsid);
    if (device_identify(controller, NVME_CNS_NAMESPACE, nsid, page, "identify")) {
        page_print_json(&page_namespace, page, json);
        print_formats(json);
        (void)look_at(controller, nsid, &ns, &info, flaw);
        if (flaw[0] != '\0') {
            json_text(json, "unusable", flaw);
        }
    } else {
        survey->failed = true;
    }
    json_close(json, '}');
}

static void print_controller_json(void *arg, const struct storage_controller *controller)
{
    struct survey *survey = arg;
    struct json *json = &survey->json;
    struct nvme_controller_info info;
    char address[STORAGE_ADDRESS_BYTES];

    storage_write_address(controller->function, address);
    json_open(json, NULL, '{');
    json_text(json, "address", address);
    if (controller->engine == NULL) {
        json_text(json, "error", NO_ENGINE);
        json_close(json, '}');
        return;
    }
    nvme_controller_describe(controller->engine, &info);
    print_number(json, "queue_pairs", info.queue_count);
    if (device_identify(controller->engine, NVME_CNS_CONTROLLER, 0, page, "identify")) {
        page_print_json(&page_controller, page, json);
    } else {
        survey->failed = true;
    }
    json_open(json, "namespaces", '[');
    visit_namespaces(survey, controller->engine, print_namespace_json);
    json_close(json, ']');
    json_close(json, '}');
}

/* Prints which controllers and queues the other commands would use with these options. */
static bool print_use(const struct storage_config *config)
{
    if (!storage_open(&storage, config)) {
        return false;
    }
    storage_print_banner(&storage);
    return storage_close(&storage);
}

int run_identify(const struct options *options)
{
    struct storage_config config = storage_wanted(options);
    bool as_json = options->format == FORMAT_JSON;
    static struct survey survey;
    int status = survey_print(&storage, options, as_json ? print_controller_json : print_controller,
                              &survey, as_json ? &survey.json : NULL);

    config.mode = NVME_MODE_POLL; /* interrupts are not needed here */
    if (!as_json && survey.count != 0 && !print_use(&config)) {
        status = 1;
    }
    return survey.failed ? 1 : status;
}
