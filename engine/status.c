// SPDX-License-Identifier: MIT
/*
 * Errors, status fields and events in words: tables.
 *
 * Codes: NVMe Base 2.0 (Status Code Type and Status Code definitions), NVM Command Set 1.0,
 * Zoned Namespace Command Set 1.1.
 */
#include "nvme_internal.h"

const char *nvme_error_text(enum nvme_error error)
{
    static const char *const texts[] = {
        [-NVME_OK] = "success",
        [-NVME_ERR_BUSY] = "the queue is busy: reap it, then try again",
        [-NVME_ERR_LENGTH] = "the length is zero or too large",
        [-NVME_ERR_RANGE] = "the blocks lie beyond the end of the namespace",
        [-NVME_ERR_ALIGNMENT] = "the buffer is not dword aligned",
        [-NVME_ERR_STATE] = "the queue or its controller is closed or has failed",
        [-NVME_ERR_MEMORY] = "a memory region is too small, misaligned or not contiguous",
        [-NVME_ERR_CONFIG] = "a value of the configuration is out of range",
        [-NVME_ERR_NAMESPACE] = "no such active namespace",
        [-NVME_ERR_UNSUPPORTED] = "the device needs a feature that the engine lacks",
        [-NVME_ERR_INTERRUPT] = "this interrupt line already serves another hart",
        [-NVME_ERR_IDENTIFY] = "the device describes itself in contradictory terms",
        [-NVME_ERR_DEVICE] = "the device ended the command with an error status",
        [-NVME_ERR_TIMEOUT] = "the device did not answer before the deadline",
        [-NVME_ERR_FATAL] = "the controller reports a fatal error",
        [-NVME_ERR_REMOVED] = "the controller does not answer: it was removed",
        [-NVME_ERR_ABORTED] = "the queue was closed before the request ended",
        [-NVME_ERR_STUCK] = "the device cannot be stopped: its memory must not be reused",
        [-NVME_ERR_QUEUES] = "the controller gives no such I/O queue",
        [-NVME_ERR_RESET] = "the controller was reset, or is being reset: try again",
    };
    int index = -(int)error;

    if (NVME_PORT_MAPS_DMA && error == NVME_ERR_MAP) {
        return "the data could not be mapped for the device: try later";
    }
    if (index < 0 || (size_t)index >= sizeof(texts) / sizeof(texts[0])) {
        return "unknown error";
    }
    return texts[index];
}

/* A status code with its phrase. */
struct status_phrase {
    uint16_t status; /* type and code, without do-not-retry */
    const char *text;
};

static const struct status_phrase status_phrases[] = {
    {0x000, "successful completion"},
    {0x001, "invalid command opcode"},
    {0x002, "invalid field in command"},
    {0x003, "command id conflict"},
    {0x004, "data transfer error"},
    {0x005, "aborted: power loss"},
    {0x006, "internal error"},
    {0x007, "aborted on request"},
    {0x008, "aborted: submission queue deleted"},
    {0x00b, "invalid namespace or format"},
    {0x00c, "command sequence error"},
    {0x013, "invalid PRP offset"},
    {0x015, "operation denied"},
    {0x020, "namespace is write protected"},
    {0x080, "LBA out of range"},
    {0x081, "capacity exceeded"},
    {0x082, "namespace not ready"},
    {0x083, "reservation conflict"},
    {0x084, "format in progress"},
    {0x100, "invalid completion queue"},
    {0x101, "invalid queue identifier"},
    {0x102, "invalid queue size"},
    {0x103, "abort command limit exceeded"},
    {0x105, "asynchronous event request limit exceeded"},
    {0x108, "invalid interrupt vector"},
    {0x109, "invalid log page"},
    {0x10a, "invalid format"},
    {0x10c, "invalid queue deletion"},
    {0x10d, "feature cannot be saved"},
    {0x10e, "feature cannot be changed"},
    {0x180, "conflicting attributes"},
    {0x182, "write to a read-only range"},
    {0x1b8, "zone boundary error"},
    {0x1b9, "zone is full"},
    {0x1ba, "zone is read only"},
    {0x1bb, "zone is offline"},
    {0x1bc, "invalid write to a zone"},
    {0x1bd, "too many active zones"},
    {0x1be, "too many open zones"},
    {0x1bf, "invalid zone state transition"},
    {0x280, "write fault"},
    {0x281, "unrecovered read error"},
    {0x282, "end-to-end guard check error"},
    {0x283, "end-to-end application tag check error"},
    {0x284, "end-to-end reference tag check error"},
    {0x285, "compare failure"},
    {0x286, "access denied"},
    {0x287, "deallocated or unwritten block"},
};

const char *nvme_status_text(uint16_t status)
{
    static const char *const types[] = {
        "generic command error", "command specific error", "media or data integrity error",
        "path related error",    "reserved status type",   "reserved status type",
        "reserved status type",  "vendor specific error",
    };
    uint16_t known = (uint16_t)(status & (NVME_STATUS_TYPE | NVME_STATUS_CODE));

    for (size_t i = 0; i < sizeof(status_phrases) / sizeof(status_phrases[0]); i++) {
        if (status_phrases[i].status == known) {
            return status_phrases[i].text;
        }
    }
    return types[NVME_GET(NVME_STATUS_TYPE, status)];
}

const char *nvme_event_text(enum nvme_event_kind kind)
{
    static const char *const texts[] = {
        [NVME_EVENT_MEMORY_SMALL] = "memory region too small: bytes given, bytes needed",
        [NVME_EVENT_DEPTH_REDUCED] = "queue depth reduced: entries wanted, entries allowed",
        [NVME_EVENT_QUEUES_REDUCED] = "fewer queues: wanted, granted",
        [NVME_EVENT_PAGE_SIZE] = "memory page too large: of the device, of the port",
        [NVME_EVENT_LINE_REPAIRED] = "stuck interrupt line freed: redundant doorbells",
        [NVME_EVENT_LINE_STUCK] = "interrupt line stuck, queues poll: doorbells tried",
        [NVME_EVENT_INTERRUPT_STORM] =
            "interrupt storm, source masked, queues poll: empty interrupts, storms so far",
        [NVME_EVENT_STORM_OVER] = "interrupt storm over, source open again: storms so far",
        [NVME_EVENT_ADMIN_FAILED] = "admin command refused: opcode, status",
        [NVME_EVENT_COMMAND_TIMEOUT] = "command timed out: command id, deadline in ms",
        [NVME_EVENT_CONTROLLER_FATAL] = "controller fatal status: CSTS",
        [NVME_EVENT_REMOVED] = "controller removed: CSTS",
        [NVME_EVENT_DISABLED] = "failed controller disabled",
        [NVME_EVENT_DISABLE_TIMEOUT] = "failed controller cannot be disabled: CSTS",
        [NVME_EVENT_NO_SHADOW] = "no shadow doorbells, registers are used: 1 if offered",
        [NVME_EVENT_BLOCK_SIZE] = "a block is larger than a command: bytes of each",
        [NVME_EVENT_DEVICE_ERROR] = "the device has logged an error: information, error count",
        [NVME_EVENT_HEALTH] = "health of the device: critical warnings, temperature in K",
        [NVME_EVENT_NAMESPACE_CHANGED] = "a namespace has changed: NSID",
        [NVME_EVENT_FIRMWARE_ACTIVATION] = "firmware activation starts: dword 0",
        [NVME_EVENT_ASYNCHRONOUS] = "asynchronous event: dword 0",
        [NVME_EVENT_RESET] = "controller reset, I/O goes on: resets so far, more in a row allowed",
        [NVME_EVENT_ABORT] = "command is late, Abort is tried: command id, deadline in ms",
        [NVME_EVENT_RESET_WAITS] = "reset waits for the watchdog of a queue's owner: hart, ms",
    };

    if ((size_t)kind >= sizeof(texts) / sizeof(texts[0])) {
        return "unknown event";
    }
    return texts[kind];
}

const char *nvme_closed_text(uint32_t closed)
{
    static const char *const texts[] = {
        "no interrupt queue", "polled",        "interrupt storm", "line stuck", "cycle", "handler",
        "watchdog",           "admin command", "queue change",    "failed",
    };
    uint32_t index = 0;

    if (closed == 0) {
        return "open";
    }
    while ((closed >> index & 1) == 0) {
        index++;
    }
    return index < sizeof(texts) / sizeof(texts[0]) ? texts[index] : "unknown reason";
}

void nvme_event_emit(const struct nvme_config *config, const struct nvme_event *event)
{
    if (config->event != NULL) {
        config->event(config->hook_arg, event);
    }
}
