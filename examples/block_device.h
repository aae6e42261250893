// SPDX-License-Identifier: MIT
/*
 * A blocking block device on top of nvme.h, in the shape that small kernels want: blocks of 512
 * bytes whatever the namespace has, buffers at any address, a call that returns when it is done.
 *
 * Two forms. With the two hooks of the kernel a thread sleeps, and the interrupt handler wakes it.
 * Without them the calling thread polls. Two ways to begin: block_open() brings a controller up and
 * owns it; block_attach() uses a queue that the caller has opened with nvme.h.
 *
 * The header stands alone: plain C types and no inline functions, so that other languages can read
 * it. Errors are the values of enum nvme_error, 0 is success.
 */
#ifndef BLOCK_DEVICE_H
#define BLOCK_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BLOCK_BYTES = 512,
    BLOCK_COPY_BYTES = 4096, /* and the largest logical block of a namespace */
};

/*
 * What the kernel does for a thread that waits. Both NULL: the thread polls. They may not call the
 * block device.
 *
 * sleep: the calling thread sleeps until *event is not 0, or for less. It is called with interrupts
 *   as the thread had them. Between its look at *event and the sleep no wake() may get lost: look
 *   with interrupts off on one hart, or under the lock that wake() takes.
 * wake: *event is not 0 now. Wakes all who sleep for it. It runs in the trap or in a thread.
 */
struct block_hooks {
    void *arg;
    void (*sleep)(void *arg, const uint32_t *event);
    void (*wake)(void *arg, const uint32_t *event);
};

struct nvme_queue;
struct nvme_namespace;
struct nvme_controller;

/* The device. The caller's memory, static for instance; its fields are the functions' own. */
struct block_device {
    uint64_t block_count; /* blocks of 512 bytes; may be read */
    uint16_t status;      /* of the last command that the device refused; may be read */
    uint16_t reserved;
    uint32_t ratio; /* blocks in a logical block of the namespace: 1 .. 8 */
    uint32_t alignment;
    uint32_t vector;
    struct nvme_queue *queue;
    const struct nvme_namespace *ns;
    struct nvme_controller *controller; /* NULL: attached */
    struct block_hooks hooks;
    uint32_t lock;  /* of the queue, a spin lock that is held with interrupts off; atomic */
    uint32_t idle;  /* no thread uses the device; atomic */
    uint32_t ended; /* the command has; atomic */
    int32_t error;  /* of it */
    uint64_t copy[BLOCK_COPY_BYTES / 8] __attribute__((aligned(64))); /* for other buffers */
};

/* What block_open() needs. Zero means the default. */
struct block_config {
    volatile void *registers;      /* BAR 0, mapped uncached; memory decoding is on */
    size_t registers_bytes;        /* its size */
    void *ordinary;                /* memory aligned to 64 bytes; the device never sees it */
    size_t ordinary_bytes;         /* block_memory_needed() writes how much it must be */
    void *dma;                     /* memory aligned to 4096 bytes; its pages may lie anywhere */
    size_t dma_bytes;              /* as ordinary_bytes */
    void *dma_context;             /* given to the port's hal_dma_ functions */
    struct block_hooks hooks;      /* NULL: the thread polls */
    void (*bus_master)(void *arg); /* turns PCI bus mastering on, with hooks.arg; NULL: it is on */
    bool (*intx_level)(void *arg); /* the line's level, with hooks.arg: see nvme_config */
    uint32_t nsid;                 /* namespace; 0: the first that can be used */
    uint32_t hart;       /* that takes the interrupt, as the port's hal_hart() numbers it */
    uint32_t alignment;  /* as block_attach() */
    uint16_t vector;     /* of MSI-X, 1 or more; 0: the INTx line */
    uint16_t pci_vendor; /* the two ids select work-arounds for a line, which need intx_level */
    uint16_t pci_device;
};

/*
 * Uses a queue and a namespace that are open, until the caller closes them. The owner of the queue
 * handles its interrupts and its watchdog with the functions of nvme.h, and its threads make the
 * calls below. Nobody else uses the queue.
 * Parameters: hooks: copied; NULL: the calling thread polls, and the queue is opened to poll.
 *   alignment: buffers with this alignment (4 or a larger power of two) are given to the device as
 *   they are, others are copied through the block device's own buffer. 0: all are copied. Where DMA
 *   is not coherent: at least a cache line.
 * Errors: NVME_ERR_UNSUPPORTED: a logical block is larger than BLOCK_COPY_BYTES. NVME_ERR_CONFIG:
 *   the alignment is no power of two, or 1 or 2.
 */
int32_t block_attach(struct block_device *device, struct nvme_queue *queue,
                     const struct nvme_namespace *ns, const struct block_hooks *hooks,
                     uint32_t alignment);

/* Writes the two sizes of memory that block_open() needs. Errors: as nvme_memory_needed(). */
int32_t block_memory_needed(struct block_config *config);

/*
 * Brings the controller up, with one queue. Both memory regions are the device's until
 * block_close(). Context: a thread, one at a time. Errors: as those of nvme_controller_open(),
 * nvme_namespace_open() and nvme_queue_open(); nothing is open then. NVME_ERR_STUCK: the memory may
 * never be used again.
 */
int32_t block_open(struct block_device *device, const struct block_config *config);

/* Closes the controller, when no thread is in a call and the interrupt handler is detached. */
int32_t block_close(struct block_device *device);

/*
 * For a device of block_open(). The interrupt handler, with interrupts off, between claim and
 * complete; and the watchdog, every 10 ms from a timer, which a polling device does not need. On
 * several harts the port's hal_hart() says NVME_HART_UNKNOWN, or all calls are made on one.
 */
void block_interrupt(struct block_device *device);
void block_watchdog(struct block_device *device);

/*
 * Reads or writes `count` blocks of 512 bytes. Returns when the device has done it. Any number of
 * threads may call: they take turns.
 * Parameters: first: block. count: 1 or more. buffer: count * 512 bytes at any address.
 * Cost: one command if the buffer is aligned and the blocks are whole logical blocks; else one for
 *   each BLOCK_COPY_BYTES and a copy. A write of a part of a logical block reads it first.
 * Errors: NVME_ERR_RANGE: beyond the end. NVME_ERR_LENGTH: no block, or 4 GiB and more. For these
 *   nothing was done. NVME_ERR_DEVICE: see `status`. NVME_ERR_TIMEOUT, NVME_ERR_FATAL,
 *   NVME_ERR_REMOVED, NVME_ERR_RESET, NVME_ERR_STATE: the controller failed; it can only be closed.
 *   After an error of a write any part of it may be on the medium. A device that cannot be stopped
 *   keeps the call for good, as it may still use the buffer.
 */
int32_t block_read(struct block_device *device, uint64_t first, uint32_t count, void *buffer);
int32_t block_write(struct block_device *device, uint64_t first, uint32_t count,
                    const void *buffer);

/* Returns when all earlier writes are on the medium. Errors: as block_write(). */
int32_t block_flush(struct block_device *device);

/* A phrase for an error, never NULL. */
const char *block_error_text(int32_t error);

#ifdef __cplusplus
}
#endif

#endif
