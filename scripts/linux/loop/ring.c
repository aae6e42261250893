// SPDX-License-Identifier: MIT
/*
 * See ring.h. The kernel's interface is that of its headers linux/io_uring.h and nvme_ioctl.h.
 */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SETUP_HYBRID_IOPOLL (1U << 17) /* Linux 6.13; older headers lack it */

enum {
    OPCODE_READ = 0x02, /* NVM Command Set */
    SECTOR_BYTES = 512, /* of sysfs's sizes */
};

_Static_assert(sizeof(union ring_sqe) == 128, "IORING_SETUP_SQE128");
_Static_assert(offsetof(union ring_sqe, command) == 48, "where the kernel looks for it");
_Static_assert(sizeof(struct ring_cqe) == 32, "IORING_SETUP_CQE32");

static bool is_none(const struct job *job)
{
    return strcmp(job->device, "none") == 0;
}

/* A number from sysfs: `name` of the block device beside /dev/ngXnY. */
static uint64_t sysfs_read(const struct job *job, const char *name)
{
    const char *number = strstr(job->device, "ng");
    char path[256];
    unsigned long long value = 0;
    FILE *file;

    if (number == NULL) {
        job_fail("not a generic NVMe device (/dev/ngXnY)", job->device);
    }
    snprintf(path, sizeof path, "/sys/block/nvme%s/%s", number + 2, name);
    file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%llu", &value) != 1) {
        job_fail("its size cannot be read", path);
    }
    fclose(file);
    return value;
}

static uint32_t setup_flags(const struct job *job)
{
    uint32_t flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER;

    switch (job->mode) {
    case JOB_HYBRID:
        return flags | IORING_SETUP_IOPOLL | SETUP_HYBRID_IOPOLL;
    case JOB_POLLED:
        return flags | IORING_SETUP_IOPOLL;
    default:
        return flags | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN;
    }
}

static uint8_t *ring_map(const struct ring *ring, size_t bytes, uint64_t offset)
{
    void *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                       (off_t)offset);

    if (found == MAP_FAILED) {
        job_fail(strerror(errno), "mmap of the ring");
    }
    return found;
}

static void queues_map(struct ring *ring, const struct io_uring_params *params)
{
    size_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct ring_cqe);
    uint8_t *sq = ring_map(ring, sq_bytes, IORING_OFF_SQ_RING);
    uint8_t *cq = ring_map(ring, cq_bytes, IORING_OFF_CQ_RING);
    uint32_t *array = (uint32_t *)(sq + params->sq_off.array);

    for (uint32_t i = 0; i < params->sq_entries; i++) {
        array[i] = i;
    }
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    ring->sq_tail = (uint32_t *)(sq + params->sq_off.tail);
    ring->cq_head = (uint32_t *)(cq + params->cq_off.head);
    ring->cq_tail = (uint32_t *)(cq + params->cq_off.tail);
    ring->cqes = (struct ring_cqe *)(cq + params->cq_off.cqes);
    ring->sqes =
        (union ring_sqe *)ring_map(ring, params->sq_entries * sizeof(*ring->sqes), IORING_OFF_SQES);
}

static void ring_register(const struct ring *ring, uint32_t what, const void *value)
{
    if (syscall(SYS_io_uring_register, ring->fd, what, value, 1) < 0) {
        job_fail(strerror(errno), "io_uring_register");
    }
}

/* What every entry has in common. */
static void entries_prepare(struct ring *ring, bool none, uint32_t nsid)
{
    for (uint32_t i = 0; i <= ring->sq_mask; i++) {
        union ring_sqe *entry = &ring->sqes[i];

        entry->sqe.opcode = none ? IORING_OP_NOP : IORING_OP_URING_CMD;
        if (!none) {
            entry->sqe.flags = IOSQE_FIXED_FILE; /* fd 0: the first registered */
            entry->sqe.cmd_op = NVME_URING_CMD_IO;
            entry->sqe.uring_cmd_flags = IORING_URING_CMD_FIXED; /* buf_index 0 */
            entry->command.opcode = OPCODE_READ;
            entry->command.nsid = nsid;
            entry->command.data_len = JOB_BLOCK_BYTES;
            entry->command.cdw12 = (uint32_t)ring->position_lbas - 1;
        }
    }
}

/* Opens and registers the device; its namespace's number. */
static uint32_t device_open(struct ring *ring, const struct job *job)
{
    uint64_t lba_bytes = sysfs_read(job, "queue/logical_block_size");
    int device = open(job->device, O_RDONLY);
    int nsid = device < 0 ? -1 : ioctl(device, NVME_IOCTL_ID);

    if (nsid < 1 || lba_bytes == 0) {
        job_fail(strerror(errno), job->device);
    }
    ring->position_lbas = JOB_BLOCK_BYTES / lba_bytes;
    ring->positions = sysfs_read(job, "size") * SECTOR_BYTES / JOB_BLOCK_BYTES;
    ring_register(ring, IORING_REGISTER_FILES, &device);
    close(device); /* the ring keeps it */
    return (uint32_t)nsid;
}

static void buffers_register(struct ring *ring, uint32_t depth)
{
    size_t bytes = (size_t)depth * JOB_BLOCK_BYTES;
    struct iovec all = {.iov_len = bytes};

    if (posix_memalign(&all.iov_base, JOB_BLOCK_BYTES, bytes) != 0) {
        job_fail("no memory", "buffers");
    }
    memset(all.iov_base, 0, bytes);
    ring->buffers = all.iov_base;
    ring_register(ring, IORING_REGISTER_BUFFERS, &all);
}

bool ring_open(struct ring *ring, const struct job *job)
{
    struct io_uring_params params = {.flags = setup_flags(job)};
    uint32_t nsid = 0;

    *ring = (struct ring){.positions = 1};
    ring->fd = (int)syscall(SYS_io_uring_setup, job->depth, &params);
    if (ring->fd < 0 && errno == EINVAL && job->mode == JOB_HYBRID) {
        return false;
    }
    if (ring->fd < 0) {
        job_fail(strerror(errno), "io_uring_setup");
    }
    queues_map(ring, &params);
    buffers_register(ring, job->depth);
    if (!is_none(job)) {
        nsid = device_open(ring, job);
    }
    entries_prepare(ring, is_none(job), nsid);
    return true;
}

void ring_close(struct ring *ring)
{
    close(ring->fd); /* the maps stay until the program ends: a few jobs of some 100 KiB */
    free(ring->buffers);
}

void ring_enter(struct ring *ring, uint32_t count, uint32_t least)
{
    long taken;

    __atomic_store_n(ring->sq_tail, ring->sq_next, __ATOMIC_RELEASE);
    taken = syscall(SYS_io_uring_enter, ring->fd, count, least,
                    least != 0 ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
    if (taken != (long)count) {
        job_fail(taken < 0 ? strerror(errno) : "the kernel took fewer", "io_uring_enter");
    }
}
