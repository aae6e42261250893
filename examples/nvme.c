// SPDX-License-Identifier: MIT
/*
 * The nvme tool's command line: a command word, then key=value. The tables below define the
 * commands, their options and the help. `nvme help` prints them.
 */
#include <stdio.h>
#include <string.h>

#include "nvme_tool.h"
#include "options.h"

#define NS_PER_S UINT64_C(1000000000)
#define BLOCKS_MAX (UINT64_C(1) << 50) /* large enough; the sum of two does not overflow */
#define COUNT_NONE UINT64_MAX          /* count= was not given; an option cannot be so large */

static const char *const completion_words[] = {"poll", "irq", "hybrid", NULL};
static const char *const format_words[] = {"normal", "json", NULL};

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
#define FORMAT OPTION_WORD("format", struct options, format, format_words, "of what is printed")

static const struct option identify_options[] = {
    NUMBER("harts", harts, 1, STORAGE_HARTS_MAX, "harts at work, a queue each"),
    NUMBER("iodepth", iodepth, 1, NVME_DEPTH_MAX - 1, "requests in flight per hart"),
    FORMAT,
    DEVICE,
};
static const struct option read_options[] = {
    LBA,
    BLOCKS,
    OPTION_FLAG("hex", struct options, hex, "print the bytes"),
    OPTION_FLAG("unchecked", struct options, unchecked, "let the device check the range"),
    BUFFERS,
    COMPLETION,
    DEVICE,
};
static const struct option crc_options[] = {LBA, BLOCKS, PARALLEL, COMPLETION, DEVICE};
static const struct option copy_options[] = {
    NUMBER("from", from, 0, BLOCKS_MAX, "first block read"),
    NUMBER("to", to, 0, BLOCKS_MAX, "first block written"),
    BLOCKS,
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

struct command {
    const char *name;
    const char *help;
    struct option_table table;
    int (*run)(const struct options *options);
    bool alone;       /* one request at a time, on one hart */
    bool needs_count; /* count= is required: the default would overwrite everything */
};

static const struct command commands[] = {
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
        .name = "verify",
        .help = "compare blocks with the pattern of a seed",
        .table = {pattern_options, COUNT(pattern_options)},
        .run = run_verify,
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
};

static const struct options defaults = {
    .harts = 1,
    .iodepth = 32,
    .bs = 64 << 10,
    .completion = 1,
    .max_transfer = NVME_TRANSFER_DEFAULT,
    .timeout = NVME_COMMAND_TIMEOUT_DEFAULT_NS,
    .runtime = 10 * NS_PER_S,
};

/* True if a command before `index` has this option: its line is printed already. */
static bool described_before(size_t index, const char *key)
{
    for (size_t i = 0; i < index; i++) {
        const struct option_table *table = &commands[i].table;

        for (size_t k = 0; k < table->count; k++) {
            if (strcmp(table->options[k].key, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Prints each command with its keys, then each option once with its default. */
static int print_help(void)
{
    char line[OPTION_ERROR_BYTES];

    printf("usage: nvme COMMAND [key=value ...]\n\n");
    for (size_t i = 0; i < COUNT(commands); i++) {
        const struct option_table *table = &commands[i].table;

        printf("%-10s", commands[i].name);
        for (size_t k = 0; k < table->count; k++) {
            printf(" %s=", table->options[k].key);
        }
        printf("\n           %s\n", commands[i].help);
    }
    printf("\n");
    for (size_t i = 0; i < COUNT(commands); i++) {
        const struct option_table *table = &commands[i].table;

        for (size_t k = 0; k < table->count; k++) {
            if (!described_before(i, table->options[k].key)) {
                option_describe(&table->options[k], &defaults, line, sizeof(line));
                printf("%s\n", line);
            }
        }
    }
    return 0;
}

static int refuse_command(const char *word)
{
    const char *names[COUNT(commands) + 1] = {0};
    const char *nearest;

    printf("error: command '%.40s' is unknown (help", word);
    for (size_t i = 0; i < COUNT(commands); i++) {
        names[i] = commands[i].name;
        printf(", %s", names[i]);
    }
    nearest = options_nearest(word, names);
    if (nearest != NULL) {
        printf("; did you mean '%s'?", nearest);
    }
    printf(")\n");
    return 1;
}

static int run_command(const struct command *command, int argc, char *argv[])
{
    static struct options options;
    char error[OPTION_ERROR_BYTES];

    options = defaults;
    if (command->alone) {
        options.iodepth = 1;
    }
    if (command->needs_count) {
        options.count = COUNT_NONE;
    }
    if (!options_parse(&command->table, argc, argv, &options, error, sizeof(error))) {
        printf("error: %s; hint: nvme help\n", error);
        return 1;
    }
    if (options.count == COUNT_NONE) {
        printf("error: %s overwrites blocks and needs count=; hint: count=0 means all blocks "
               "from lba= to the end of the namespace\n",
               command->name);
        return 1;
    }
    return command->run(&options);
}

int main(int argc, char *argv[])
{
    if (argc < 2 || strcmp(argv[1], "help") == 0) {
        return print_help();
    }
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return run_command(&commands[i], argc - 2, &argv[2]);
        }
    }
    return refuse_command(argv[1]);
}
