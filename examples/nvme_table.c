// SPDX-License-Identifier: MIT
/*
 * The tables of the nvme tool: commands, their options, the defaults.
 */
#include "nvme_tool.h"
#include "options.h"

#define NS_PER_S UINT64_C(1000000000)
#define BLOCKS_MAX (UINT64_C(1) << 50) /* large enough; the sum of two does not overflow */

static const char *const completion_words[] = {"poll", "irq", "hybrid", NULL};
static const char *const format_words[] = {"normal", "json", NULL};
static const char *const by_words[] = {"host", "device", NULL};

#define COUNT(options) (sizeof(options) / sizeof((options)[0]))

#define NUMBER(name, field, low, high, text)                                                       \
    OPTION_UNSIGNED(name, struct options, field, low, high, text)

#define LBA NUMBER("lba", lba, 0, BLOCKS_MAX, "first block")
#define BLOCKS NUMBER("count", count, 0, BLOCKS_MAX, "blocks; 0: to the end")
#define SEED NUMBER("seed", seed, 0, UINT64_MAX, "chooses the pattern")
#define BUFFERS                                                                                    \
    NUMBER("bs", bs, 512, 16 << 20, "bytes per request, a multiple of the block"),                 \
        NUMBER("offset", offset, 0, 4092, "each buffer's offset in its page, a multiple of 4")
#define PARALLEL                                                                                   \
    NUMBER("harts", harts, 1, STORAGE_HARTS_MAX, "harts at work, a queue each"),                   \
        NUMBER("iodepth", iodepth, 1, NVME_DEPTH_MAX - 1, "requests in flight per hart"), BUFFERS
#define COMPLETION                                                                                 \
    OPTION_WORD("completion", struct options, completion, completion_words, "completion mode")
#define CONTROLLERS                                                                                \
    OPTION_TIME("timeout", struct options, timeout, NS_PER_S, 3600 * NS_PER_S,                     \
                "deadline of a command"),                                                          \
        OPTION_STRING("controller", struct options, controller, 7, "PCI address: 00:02.0"),        \
        OPTION_STRING("serial", struct options, serial, 20, "serial number of the controllers")
#define DEVICE                                                                                     \
    NUMBER("nsid", nsid, 0, UINT32_MAX - 1, "namespace; 0: the first"),                            \
        NUMBER("max_transfer", max_transfer, 4096, 64 << 20, "bytes per command, below MDTS"),     \
        CONTROLLERS
#define UNCHECKED OPTION_FLAG("unchecked", struct options, unchecked, "let the device check")
#define FORMAT OPTION_WORD("format", struct options, format, format_words, "of what is printed")

static const struct option identify_options[] = {
    NUMBER("harts", harts, 1, STORAGE_HARTS_MAX, "harts at work, a queue each"),
    NUMBER("iodepth", iodepth, 1, NVME_DEPTH_MAX - 1, "requests in flight per hart"),
    FORMAT,
    DEVICE,
};
static const struct option read_options[] = {
    LBA,       BLOCKS,  OPTION_FLAG("hex", struct options, hex, "print the bytes"),
    UNCHECKED, BUFFERS, COMPLETION,
    DEVICE,
};
static const struct option crc_options[] = {LBA, BLOCKS, PARALLEL, COMPLETION, DEVICE};
static const struct option copy_options[] = {
    NUMBER("from", from, 0, BLOCKS_MAX, "first block read"),
    NUMBER("to", to, 0, BLOCKS_MAX, "first block written"),
    BLOCKS,
    OPTION_WORD("by", struct options, by, by_words, "who copies; device: the Copy command"),
    PARALLEL,
    COMPLETION,
    DEVICE,
};
static const struct option pattern_options[] = {LBA, BLOCKS, SEED, PARALLEL, COMPLETION, DEVICE};
static const struct option flush_options[] = {COMPLETION, DEVICE};
static const struct option watch_options[] = {
    OPTION_TIME("runtime", struct options, runtime, 0, 3600 * NS_PER_S, "how long to watch"),
    NUMBER("events", events, 0, UINT32_MAX, "end after so many events; 0: after runtime"),
    COMPLETION,
    DEVICE,
};
static const struct option log_options[] = {FORMAT, CONTROLLERS};
static const struct option reset_options[] = {CONTROLLERS};

#define NSID NUMBER("nsid", nsid, 0, UINT32_MAX, "namespace of the command")
#define CDW(n) NUMBER("cdw" #n, cdw[n], 0, UINT32_MAX, "dword of the command")
#define PASSTHRU                                                                                   \
    NUMBER("opcode", opcode, 0, UINT8_MAX, "of the command"), CDW(2), CDW(3), CDW(10), CDW(11),    \
        CDW(12), CDW(13), CDW(14), CDW(15),                                                        \
        NUMBER("data-len", data_len, 0, 1 << 20, "bytes of data"),                                 \
        OPTION_FLAG("read", struct options, read, "data come from the device"),                    \
        OPTION_FLAG("write", struct options, write, "data are the pattern of seed"), SEED

static const struct option zeroes_options[] = {
    LBA,        BLOCKS, OPTION_FLAG("deac", struct options, deallocate, "deallocate if it can"),
    COMPLETION, DEVICE,
};
static const struct option dsm_options[] = {
    LBA,
    BLOCKS,
    OPTION_FLAG("ad", struct options, deallocate, "deallocate: the data are not needed"),
    OPTION_FLAG("idr", struct options, idr, "will be read"),
    OPTION_FLAG("idw", struct options, idw, "will be written"),
    COMPLETION,
    DEVICE,
};
static const struct option compare_options[] = {LBA, BLOCKS, SEED, BUFFERS, COMPLETION, DEVICE};
static const struct option verify_options[] = {LBA, BLOCKS, UNCHECKED, COMPLETION, DEVICE};
static const struct option io_options[] = {PASSTHRU, FORMAT, COMPLETION, DEVICE};
static const struct option admin_options[] = {PASSTHRU, NSID, FORMAT, CONTROLLERS};
static const struct option get_feature_options[] = {
    NUMBER("feature-id", feature, 1, UINT8_MAX, "feature"),
    NUMBER("sel", sel, 0, 3, "0 current, 1 default, 2 saved, 3 what it can"),
    NUMBER("data-len", data_len, 0, NVME_ADMIN_PASSTHROUGH_MAX, "bytes of data; 0: the usual"),
    CDW(11),
    NSID,
    FORMAT,
    CONTROLLERS,
};
static const struct option set_feature_options[] = {
    NUMBER("feature-id", feature, 1, UINT8_MAX, "feature"),
    NUMBER("value", value, 0, UINT64_MAX, "dword 11, or the timestamp in ms"),
    OPTION_FLAG("save", struct options, save, "beyond a reset"),
    NSID,
    FORMAT,
    CONTROLLERS,
};
static const struct option get_log_options[] = {
    NUMBER("log-id", log, 0, UINT8_MAX, "log page"),
    NUMBER("log-len", log_len, 4, NVME_ADMIN_PASSTHROUGH_MAX, "bytes, a multiple of 4"),
    NUMBER("lpo", lpo, 0, UINT64_MAX, "offset in the log, a multiple of 4"),
    NUMBER("lsp", lsp, 0, 127, "log specific"),
    OPTION_FLAG("rae", struct options, rae, "retain the event"),
    NSID,
    FORMAT,
    CONTROLLERS,
};
static const struct option page_options[] = {
    NUMBER("cns", cns, 0, UINT8_MAX, "which structure"),
    NUMBER("cntid", cntid, 0, UINT16_MAX, "controller"),
    NUMBER("csi", csi, 0, UINT8_MAX, "command set"),
    NSID,
    FORMAT,
    CONTROLLERS,
};

const struct command commands[] = {
    {
        .name = "identify",
        .help = "describe the controllers and their namespaces",
        .table = {identify_options, COUNT(identify_options)},
        .run = run_identify,
    },
    {
        .name = "read",
        .help = "read through one buffer, one request at a time, and print the bytes",
        .table = {read_options, COUNT(read_options)},
        .run = run_read,
        .alone = true,
    },
    {
        .name = "crc",
        .help = "print the CRC-32 of blocks, as zlib does",
        .table = {crc_options, COUNT(crc_options)},
        .run = run_crc,
    },
    {
        .name = "copy",
        .help = "copy blocks; source and target may not overlap",
        .table = {copy_options, COUNT(copy_options)},
        .run = run_copy,
    },
    {
        .name = "fill",
        .help = "write the pattern of a seed; count= must be given",
        .table = {pattern_options, COUNT(pattern_options)},
        .run = run_fill,
        .needs_count = true,
    },
    {
        .name = "check",
        .help = "compare blocks with the pattern of a seed, on this side",
        .table = {pattern_options, COUNT(pattern_options)},
        .run = run_check,
    },
    {
        .name = "flush",
        .help = "make the device write its cache",
        .table = {flush_options, COUNT(flush_options)},
        .run = run_flush,
        .alone = true,
    },
    {
        .name = "watch",
        .help = "print what the first device tells by itself: health, errors, changed namespaces",
        .table = {watch_options, COUNT(watch_options)},
        .run = run_watch,
        .alone = true,
    },
    {
        .name = "smart",
        .help = "print the SMART / health log of the controllers",
        .table = {log_options, COUNT(log_options)},
        .run = run_smart,
    },
    {
        .name = "errors",
        .help = "print the entries of the error log",
        .table = {log_options, COUNT(log_options)},
        .run = run_errors,
    },
    {
        .name = "changed-ns",
        .help = "print the namespaces that have changed since the log was read",
        .table = {log_options, COUNT(log_options)},
        .run = run_changed,
    },
    {
        .name = "reset",
        .help = "reset the controllers: shut down, disable, bring up again",
        .table = {reset_options, COUNT(reset_options)},
        .run = run_reset,
    },
    {
        .name = "write-zeroes",
        .help = "let the device write zeroes; count= must be given",
        .table = {zeroes_options, COUNT(zeroes_options)},
        .run = run_write_zeroes,
        .alone = true,
        .needs_count = true,
    },
    {
        .name = "dsm",
        .help = "tell the device what blocks are for; count= must be given",
        .table = {dsm_options, COUNT(dsm_options)},
        .run = run_dsm,
        .alone = true,
        .needs_count = true,
    },
    {
        .name = "compare",
        .help = "let the device compare blocks with the pattern of a seed",
        .table = {compare_options, COUNT(compare_options)},
        .run = run_compare,
        .alone = true,
    },
    {
        .name = "verify",
        .help = "let the device verify that it can read blocks",
        .table = {verify_options, COUNT(verify_options)},
        .run = run_verify,
        .alone = true,
    },
    {
        .name = "io-passthru",
        .help = "send an I/O command",
        .table = {io_options, COUNT(io_options)},
        .run = run_io_passthru,
        .alone = true,
    },
    {
        .name = "admin-passthru",
        .help = "send an admin command",
        .table = {admin_options, COUNT(admin_options)},
        .run = run_admin_passthru,
    },
    {
        .name = "get-feature",
        .help = "print a feature",
        .table = {get_feature_options, COUNT(get_feature_options)},
        .run = run_get_feature,
    },
    {
        .name = "set-feature",
        .help = "set a feature, and print it",
        .table = {set_feature_options, COUNT(set_feature_options)},
        .run = run_set_feature,
    },
    {
        .name = "get-log",
        .help = "print a log page",
        .table = {get_log_options, COUNT(get_log_options)},
        .run = run_get_log,
    },
    {
        .name = "id-ctrl",
        .help = "print Identify Controller, or what cns= says",
        .table = {page_options, COUNT(page_options)},
        .run = run_identify_page,
        .cns = NVME_CNS_CONTROLLER,
    },
    {
        .name = "id-ns",
        .help = "print Identify Namespace, or what cns= says",
        .table = {page_options, COUNT(page_options)},
        .run = run_identify_page,
        .cns = NVME_CNS_NAMESPACE,
    },
};

_Static_assert(COUNT(commands) <= COMMANDS_MAX, "their names fit");
const size_t command_count = COUNT(commands);

const struct options default_options = {
    .harts = 1,
    .iodepth = 32,
    .bs = 64 << 10,
    .completion = 1,
    .max_transfer = NVME_TRANSFER_DEFAULT,
    .timeout = NVME_COMMAND_TIMEOUT_DEFAULT_NS,
    .runtime = 10 * NS_PER_S,
    .log_len = 512,
};
