// SPDX-License-Identifier: MIT
/*
 * I/O commands that the device executes over a run of blocks: write-zeroes, dsm, compare, verify,
 * copy by=device. NVM Command Set 1.0, chapter 3.2; its Identify Controller (CNS 06h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nvme_tool.h"

enum {
    CMD_COMPARE = 0x05,
    CMD_WRITE_ZEROES = 0x08,
    CMD_DATASET_MANAGEMENT = 0x09,
    CMD_VERIFY = 0x0c,
    CMD_COPY = 0x19,
    CNS_COMMAND_SET_CONTROLLER = 0x06,
    MSSRL_OFFSET = 74, /* Identify Namespace: most blocks of a range that is copied */
    MCL_OFFSET = 76,   /* and of a command */
};

/* ONCS: which optional commands there are. NVMe Base 2.0, Identify Controller. */
enum oncs {
    ONCS_COMPARE = 1,
    ONCS_DSM = 4,
    ONCS_WRITE_ZEROES = 8,
    ONCS_VERIFY = 128,
    ONCS_COPY = 256
};

#define ZEROES_DEAC (UINT32_C(1) << 25)

/* The limits of the command set; 0: none told. */
struct set_limits {
    uint8_t vsl;  /* pages of a Verify, as a power of two */
    uint8_t wzsl; /* of a Write Zeroes */
    uint8_t wusl;
    uint8_t dmrl;
    uint32_t dmrsl; /* blocks of a range of Dataset Management */
    uint64_t dmsl;  /* and of a command */
};

/* A range of Dataset Management. */
struct dsm_range {
    uint32_t attributes;
    uint32_t blocks;
    uint64_t first;
};

/* A source range of Copy, format 0. */
struct copy_range {
    uint64_t reserved_0;
    uint64_t first;
    uint16_t blocks; /* 0's based */
    uint16_t reserved_18;
    uint32_t reserved_20;
    uint64_t tags;
};
_Static_assert(sizeof(struct copy_range) == 32, "format 0 has 32 bytes");

/* A command that is repeated over a run of blocks. */
struct sweep {
    const char *name; /* as the user types it */
    const char *verb; /* "zeroed" */
    enum oncs offered;
    uint64_t (*limit)(void); /* blocks of one command; 0: it can do none */
    /* Completes the command of `count` blocks from `lba`, and its data. */
    void (*compose)(struct nvme_command *command, uint64_t lba, uint32_t count);
    uint32_t (*data_bytes)(uint32_t count); /* NULL: no data */
};

static struct io *io;
static uint8_t page[NVME_IDENTIFY_BYTES] __attribute__((aligned(NVME_PAGE_DEFAULT)));

static bool begin(const struct options *options, uint64_t data_bytes)
{
    io = io_begin(options, data_bytes);
    return io != NULL;
}

static bool identify(uint32_t cns, uint32_t nsid, const char *what)
{
    return device_identify(io->job.storage.controllers[0].engine, (enum nvme_cns)cns, nsid, page,
                           what);
}

/* True if the device has the command, else says that it has not. */
static bool is_offered(const struct sweep *sweep)
{
    const struct nvme_identify_controller *identified = (const void *)page;

    if (!identify(NVME_CNS_CONTROLLER, 0, sweep->name)) {
        return false;
    }
    if ((identified->oncs & sweep->offered) == 0) {
        printf("error: %s: the device does not offer it (ONCS 0x%x)%s\n", sweep->name,
               identified->oncs,
               sweep->offered == ONCS_VERIFY ? "; hint: unchecked=1 tries, crc reads" : "");
        return false;
    }
    return true;
}

/* The limits of the command set; a device that does not tell them has none. */
static struct set_limits limits_read(void)
{
    struct nvme_command command = {
        .cdw0 = NVME_ADMIN_IDENTIFY,
        .cdw10 = CNS_COMMAND_SET_CONTROLLER,
    };
    struct set_limits limits = {0};
    struct nvme_result result;

    memset(page, 0, sizeof(page));
    if (nvme_admin_passthrough(io->job.storage.controllers[0].engine, &command, page, sizeof(page),
                               &result) == NVME_OK) {
        memcpy(&limits, page, sizeof(limits));
    }
    return limits;
}

/* The most blocks of a limit that is a power of two in pages; none: what a command can say. */
static uint64_t blocks_of(uint8_t power)
{
    uint64_t blocks = UINT64_C(1) << (power < 20 ? power : 20);

    blocks = blocks * NVME_PAGE_DEFAULT >> io->ns->block_shift;
    return power != 0 && blocks < NVME_IO_MAX_BLOCKS ? blocks : NVME_IO_MAX_BLOCKS;
}

/* Fills in the first block, and the number of blocks as Read has it. */
static void compose_range(struct nvme_command *command, uint64_t lba, uint32_t count)
{
    command->cdw10 = (uint32_t)lba;
    command->cdw11 = (uint32_t)(lba >> 32);
    command->cdw12 |= count - 1;
}

static bool sweep_run(const struct sweep *sweep, struct nvme_command command, uint64_t lba,
                      uint64_t count)
{
    uint64_t limit = sweep->limit();

    if (limit == 0) {
        printf("error: %s: the namespace allows no block in a command (MSSRL, MCL)\n", sweep->name);
        return false;
    }
    command.nsid = io->ns->nsid;
    for (uint64_t left = count; left != 0;) {
        uint32_t part = (uint32_t)(left < limit ? left : limit);
        struct nvme_command one = command;

        sweep->compose(&one, lba, part);
        if (!io_run(&one, sweep->data_bytes != NULL ? sweep->data_bytes(part) : 0, sweep->name, lba,
                    part)) {
            return false;
        }
        lba += part;
        left -= part;
    }
    printf("%s %" PRIu64 " blocks\n", sweep->verb, count);
    return true;
}

/* A whole command line: the range of lba= and count=. */
static int sweep_range(const struct sweep *sweep, struct nvme_command command)
{
    const struct options *options = io->job.options;
    uint64_t count = options->count + (options->unchecked && options->count == 0);

    return io_finish(
        (options->unchecked ||
         (is_offered(sweep) && job_check_range(&io->job, "lba", options->lba, &count))) &&
        sweep_run(sweep, command, options->lba, count));
}

/* ---- Without data --------------------------------------------------------------------- */

static uint64_t zeroes_limit(void)
{
    return blocks_of(limits_read().wzsl);
}

int run_write_zeroes(const struct options *options)
{
    static const struct sweep sweep = {
        "write-zeroes", "zeroed", ONCS_WRITE_ZEROES, zeroes_limit, compose_range, NULL,
    };
    struct nvme_command command = {
        .cdw0 = CMD_WRITE_ZEROES,
        .cdw12 = options->deallocate ? ZEROES_DEAC : 0,
    };

    return begin(options, 0) ? sweep_range(&sweep, command) : 1;
}

static uint64_t verify_limit(void)
{
    return blocks_of(limits_read().vsl);
}

int run_verify(const struct options *options)
{
    static const struct sweep sweep = {
        "verify", "verified", ONCS_VERIFY, verify_limit, compose_range, NULL,
    };

    return begin(options, 0) ? sweep_range(&sweep, (struct nvme_command){.cdw0 = CMD_VERIFY}) : 1;
}

/* ---- With data ------------------------------------------------------------------------ */

static void compose_dsm(struct nvme_command *command, uint64_t lba, uint32_t count)
{
    struct dsm_range range = {.blocks = count, .first = lba};

    (void)command; /* one range: dword 10 is 0 */
    memcpy(io->data, &range, sizeof(range));
}

static uint32_t dsm_bytes(uint32_t count)
{
    (void)count;
    return sizeof(struct dsm_range);
}

static uint64_t dsm_limit(void)
{
    struct set_limits limits = limits_read();
    uint64_t range = limits.dmrsl != 0 ? limits.dmrsl : UINT32_MAX;

    return limits.dmsl != 0 && limits.dmsl < range ? limits.dmsl : range;
}

int run_dsm(const struct options *options)
{
    static const struct sweep sweep = {
        "dsm", "managed", ONCS_DSM, dsm_limit, compose_dsm, dsm_bytes,
    };
    struct nvme_command command = {
        .cdw0 = CMD_DATASET_MANAGEMENT,
        .cdw11 = (uint32_t)options->deallocate << 2 | (uint32_t)options->idw << 1 | options->idr,
    };

    return begin(options, 0) ? sweep_range(&sweep, command) : 1;
}

static void compose_compare(struct nvme_command *command, uint64_t lba, uint32_t count)
{
    compose_range(command, lba, count);
    pattern_fill(io->data, (size_t)count << io->ns->block_shift, io->job.options->seed,
                 lba << io->ns->block_shift);
}

static uint32_t compare_bytes(uint32_t count)
{
    return count << io->ns->block_shift;
}

static uint64_t compare_limit(void)
{
    return io->ns->max_blocks < io->job.chunk_blocks ? io->ns->max_blocks : io->job.chunk_blocks;
}

int run_compare(const struct options *options)
{
    static const struct sweep sweep = {
        "compare", "compared", ONCS_COMPARE, compare_limit, compose_compare, compare_bytes,
    };

    return begin(options, options->bs)
               ? sweep_range(&sweep, (struct nvme_command){.cdw0 = CMD_COMPARE})
               : 1;
}

/* The target is composed here, the source stands behind it at a fixed distance. */
static void compose_copy(struct nvme_command *command, uint64_t lba, uint32_t count)
{
    struct copy_range range = {
        .first = lba - io->job.options->to + io->job.options->from,
        .blocks = (uint16_t)(count - 1),
    };

    command->cdw10 = (uint32_t)lba;
    command->cdw11 = (uint32_t)(lba >> 32);
    memcpy(io->data, &range, sizeof(range));
}

static uint32_t copy_bytes(uint32_t count)
{
    (void)count;
    return sizeof(struct copy_range);
}

/* The most blocks of a command with one range; 0: the namespace has none. */
static uint64_t copy_limit(void)
{
    uint16_t range = 0;
    uint32_t all = 0;

    if (identify(NVME_CNS_NAMESPACE, io->ns->nsid, "copy")) {
        memcpy(&range, page + MSSRL_OFFSET, sizeof(range));
        memcpy(&all, page + MCL_OFFSET, sizeof(all));
    }
    return all < range ? all : range;
}

int run_device_copy(const struct options *options)
{
    static const struct sweep sweep = {
        "copy", "copied", ONCS_COPY, copy_limit, compose_copy, copy_bytes,
    };
    uint64_t count = options->count;

    return begin(options, 0) ? io_finish(is_offered(&sweep) &&
                                         job_check_range(&io->job, "from", options->from, &count) &&
                                         job_check_range(&io->job, "to", options->to, &count) &&
                                         copy_check_apart(options->from, options->to, count) &&
                                         sweep_run(&sweep, (struct nvme_command){.cdw0 = CMD_COPY},
                                                   options->to, count))
                             : 1;
}
