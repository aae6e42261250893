// SPDX-License-Identifier: MIT
/*
 * The public API of the engine: asynchronous, multi-queue NVMe for one kernel or program.
 *
 * Order of use: nvme_memory_needed, nvme_controller_open, nvme_namespace_open, one
 * nvme_queue_open per hart; then nvme_read, nvme_write, nvme_flush on the owning hart,
 * nvme_submit, and nvme_queue_service or nvme_irq_service to run the callbacks; then
 * nvme_queue_close and nvme_controller_close. engine/DESIGN.md tells why it is so.
 *
 * Harts. A queue has one owner hart; every call that takes a queue is made there, but for open
 * and close. A poll queue is used in one thread context and never in a trap; an interrupt queue
 * in threads and in its handler, and its calls keep the two apart themselves. So done() of an
 * interrupt queue posts on interrupt queues only. Calls that take a controller, and queue open
 * and close, are administration: one at a time, on the hart that takes the controller's
 * interrupt; while no interrupt queue is open, or its handler is detached, on any hart. They wait
 * with that hart's interrupts off, at most command_timeout_ns per admin command (two for a queue)
 * and CAP.TO where the controller must be disabled, so never from done() or a trap. A handle passed
 * to another hart is published by the embedder (release, acquire).
 *
 * Asserted in every build, by hal_panic: no drain inside a drain of the same queue; administration
 * is one at a time, not in done() of a queue of this hart, and no claim of the line comes amid it.
 * The owner hart, and interrupts off for an interrupt queue: at the first doorbell or drain behind
 * an idle time, and in nvme_queue_watch. The hart in nvme_queue_set_mode and, with requests, in
 * nvme_queue_close. Interrupts off in nvme_irq_enter. What hal_hart and hal_irq_is_off do not tell
 * is not asserted. Posts, later doorbells and drains, nvme_queue_arm and kicks are not asserted
 * for it: each request would pay.
 *
 * Memory. The engine allocates nothing: two regions are handed over at open. Buffers belong to
 * the engine from a successful post until done() runs. Handles stay readable until
 * nvme_controller_close returns; service and watch of a closed queue do nothing. The embedder
 * detaches its interrupt handler before it closes the controller.
 *
 * Errors. NVME_OK is 0, errors are negative. A call that fails has changed nothing, unless it
 * says otherwise; out-parameters are written only on NVME_OK, unless it says otherwise.
 */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme_spec.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NVME_WARN_UNUSED __attribute__((warn_unused_result))
#define NVME_ALIGNED_16 __attribute__((aligned(16)))

/* ---- Limits and tunables -------------------------------------------------------------- */

enum {
    NVME_DEPTH_MIN = 2,                  /* entries; a queue of N entries holds N - 1 requests */
    NVME_DEPTH_MAX = 4096,               /* entries; leaves a command id 4 bits of generation */
    NVME_QUEUES_MAX = 64,                /* I/O queue pairs per controller */
    NVME_ADMIN_DEPTH = 32,               /* entries of the admin queue */
    NVME_SPLIT_WINDOW = 8,               /* parts of one split request in flight */
    NVME_STORM_CLAIMS = 64,              /* claims for nothing in a row: mask and poll */
    NVME_ORDINARY_ALIGNMENT = 64,        /* bytes, of nvme_memory.ordinary */
    NVME_TRANSFER_DEFAULT = 1024 * 1024, /* bytes, nvme_config.max_transfer_bytes = 0 */
    NVME_PAGE_DEFAULT = 4096,            /* bytes, nvme_config.page_bytes = 0 */
};

#define NVME_WATCH_PERIOD_NS UINT64_C(10000000)               /* 10 ms, see nvme_queue_watch */
#define NVME_STORM_PERIOD_NS UINT64_C(100000000)              /* 100 ms: fewer claims are borne */
#define NVME_STORM_PARDON_NS UINT64_C(1000000000)             /* 1 s: a source's first storm */
#define NVME_SPIN_MAX_DEFAULT_NS UINT64_C(200000)             /* 200 us, hybrid_spin_max_ns = 0 */
#define NVME_COMMAND_TIMEOUT_DEFAULT_NS UINT64_C(30000000000) /* 30 s, command_timeout_ns = 0 */

/* ---- Errors --------------------------------------------------------------------------- */

/* Why a call or a request failed. nvme_error_text() gives the phrase. */
enum nvme_error {
    NVME_OK = 0,
    NVME_ERR_BUSY = -1,        /* no free slot: service the queue, then post again */
    NVME_ERR_LENGTH = -2,      /* zero blocks, or 4 GiB and more in one request */
    NVME_ERR_RANGE = -3,       /* blocks beyond the end of the namespace */
    NVME_ERR_ALIGNMENT = -4,   /* the buffer is not dword aligned */
    NVME_ERR_STATE = -5,       /* the queue is closed, or its controller has failed */
    NVME_ERR_MEMORY = -6,      /* a region is too small, misaligned or not contiguous for DMA */
    NVME_ERR_CONFIG = -7,      /* a value of the configuration is out of its range */
    NVME_ERR_NAMESPACE = -8,   /* no such active namespace on this controller */
    NVME_ERR_UNSUPPORTED = -9, /* the device asks for something that the engine does not do */
    NVME_ERR_INTERRUPT = -10,  /* interrupt mode is not possible for this queue */
    NVME_ERR_IDENTIFY = -11,   /* the device's own data contradict themselves */
    NVME_ERR_DEVICE = -12,     /* the device ended the command with a status: see result.status */
    NVME_ERR_TIMEOUT = -13,    /* a deadline passed */
    NVME_ERR_FATAL = -14,      /* CSTS.CFS: the controller reports a fatal error */
    NVME_ERR_REMOVED = -15,    /* registers read as all ones: the device is gone */
    NVME_ERR_ABORTED = -16,    /* the queue was closed before the request ended */
    NVME_ERR_STUCK = -17,      /* the device cannot be stopped: both regions and all posted
                                  buffers stay its own and may never be reused */
    NVME_ERR_QUEUES = -18,     /* the controller gives no I/O queue with this index */
};

/* A phrase for an error, never NULL, for values that are not errors too. Any context. */
const char *nvme_error_text(enum nvme_error error);

/*
 * A phrase for a status field (result.status: code in 7:0, type in 10:8, do-not-retry in 14; see
 * NVME_STATUS_*), never NULL. A code without a phrase gets that of its type. Any context.
 */
const char *nvme_status_text(uint16_t status);

/* ---- Results -------------------------------------------------------------------------- */

/*
 * How a request ended. Passed by value, in two registers: with a smaller alignment GCC 12 would go
 * through the stack on both sides of the call (6 instructions per request).
 */
struct nvme_result {
    NVME_ALIGNED_16 enum nvme_error error; /* NVME_OK, or why it failed */
    uint16_t status; /* the device's status field, 0 unless error is NVME_ERR_DEVICE */
    uint16_t reserved;
    uint32_t bytes_done; /* all bytes on NVME_OK; of a failed split, the sum of the parts that
                            succeeded, which need not be the first ones */
    uint32_t dw0;        /* command specific; of a split request, its last part's */
};
NVME_STATIC_ASSERT(sizeof(struct nvme_result) == 16, "a result travels in two registers");

/*
 * The callback of a request. Runs exactly once per posted request, on the queue's owner hart,
 * inside nvme_queue_service, _watch, _kicked, _close, nvme_irq_service or nvme_vector_service. It
 * may reuse its buffer and post on any queue of its hart; the drain rings the doorbell of its own
 * queue, other queues need nvme_submit. It may not wait, service, open or close.
 */
typedef void nvme_done(void *arg, struct nvme_result result);

/* A callback with its argument. done may not be NULL. */
struct nvme_callback {
    NVME_ALIGNED_16 nvme_done *done;
    void *arg;
};

/* ---- Events: what the embedder may want to print -------------------------------------- */

enum nvme_event_kind {
    NVME_EVENT_MEMORY_SMALL,     /* value: bytes given, limit: bytes needed */
    NVME_EVENT_DEPTH_REDUCED,    /* value: entries wanted, limit: what CAP.MQES allows */
    NVME_EVENT_QUEUES_REDUCED,   /* value: queues wanted, limit: queues granted */
    NVME_EVENT_PAGE_SIZE,        /* value: smallest page of the device, limit: of the port */
    NVME_EVENT_LINE_REPAIRED,    /* value: redundant doorbells that freed a stuck INTx line */
    NVME_EVENT_LINE_STUCK,       /* INTx stays high: queues poll; value: doorbells tried, if any */
    NVME_EVENT_INTERRUPT_STORM,  /* value: empty claims in a row, limit: storms of this source so
                                    far; masked, its queues poll for a while */
    NVME_EVENT_STORM_OVER,       /* value: storms so far; the source is open again */
    NVME_EVENT_ADMIN_FAILED,     /* value: opcode of the admin command, limit: its status field */
    NVME_EVENT_COMMAND_TIMEOUT,  /* value: command id, limit: the deadline in ms */
    NVME_EVENT_CONTROLLER_FATAL, /* value: CSTS */
    NVME_EVENT_REMOVED,          /* value: CSTS */
    NVME_EVENT_DISABLED,         /* the failed controller no longer touches memory */
    NVME_EVENT_DISABLE_TIMEOUT,  /* value: CSTS; its requests stay owned by the device */
    NVME_EVENT_BLOCK_SIZE,       /* value: bytes of a block, limit: of a command (at most 64 KiB) */
};

/* One event. Given to the hook by pointer, valid during the call only. */
struct nvme_event {
    enum nvme_event_kind kind;
    uint16_t queue_id; /* 0 admin, else I/O queue; 0 too when no queue is concerned */
    uint16_t closed;   /* COMMAND_TIMEOUT of an I/O queue: nvme_queue_closed() at that moment */
    uint64_t value;    /* see the kind */
    uint64_t limit;    /* see the kind */
};

/* A phrase for an event's kind, never NULL. Any context. */
const char *nvme_event_text(enum nvme_event_kind kind);

/* ---- Configuration -------------------------------------------------------------------- */

/*
 * Everything the engine is told about one controller. Copied at open. The hooks may be NULL;
 * they get hook_arg, may not call the engine, may run in a trap, and on several owner harts at
 * once.
 */
struct nvme_config {
    volatile void *registers;    /* BAR0, mapped uncached; 4-byte aligned */
    size_t registers_size_bytes; /* of BAR0: bounds the queues by their doorbells */
    void *dma_context;           /* given to the hal_dma_ functions */
    uint16_t pci_vendor;         /* of its configuration space, with pci_device: choose what is */
    uint16_t pci_device;         /* done about known deviations; 0 = not known, nothing */
    uint32_t page_bytes;         /* what hal_dma_address keeps contiguous: a power of two of
                                    4096 or more; 0 = NVME_PAGE_DEFAULT */
    uint32_t queue_count;        /* I/O queue pairs wanted, 1 .. NVME_QUEUES_MAX */
    uint32_t depth_entries;      /* of each, NVME_DEPTH_MIN .. NVME_DEPTH_MAX; iodepth + 1 */
    uint32_t max_transfer_bytes; /* most bytes of one command, below MDTS; sizes the PRP lists;
                                    0 = NVME_TRANSFER_DEFAULT, else page .. 64 MiB */
    uint64_t command_timeout_ns; /* deadline of I/O and admin commands;
                                    0 = NVME_COMMAND_TIMEOUT_DEFAULT_NS, else >= 1 s */
    uint64_t hybrid_spin_max_ns; /* most that an owner in hybrid mode spins before it sleeps;
                                    0 = NVME_SPIN_MAX_DEFAULT_NS */
    bool msix;                   /* MSI-X is on: each interrupt queue has a vector of its own, INTx
                                    and its masks are not used */
    bool mask_line;              /* nvme_irq_service masks the line meanwhile: see there. The same
                                    for all controllers of a line */
    bool shared;                 /* the INTx line goes to hart `home`, queues of any owner interrupt
                                    over it; needs kick, excludes msix */
    uint32_t home;               /* in the owners' numbering; it need not own a queue */
    void *hook_arg;
    /* An IPI: makes a hart call nvme_queue_kicked for its queues soon, and home nvme_irq_kicked.
       What this hart has stored before is visible there. Any owner, traps too. Needed when several
       harts share a controller: a failed one ends the requests of each on its hart. */
    void (*kick)(void *arg, uint32_t owner);
    /* Masks a MSI-X vector or opens it again, which sends what was held back. Any owner, traps
       too. Needed to change modes with MSI-X. */
    void (*vector_mask)(void *arg, uint16_t vector, bool masked);
    /* Lets the device reach memory: PCI bus mastering on, arrived there on return. Called once in
       nvme_controller_open, when an earlier user's controller has stopped, before this one starts:
       till then the embedder keeps it off. NULL: it is on already. */
    void (*bus_master)(void *arg);
    /* The level of the controller's INTx line: PCI status register, bit 3. */
    bool (*intx_level)(void *arg);
    /* Something to tell the user. */
    void (*event)(void *arg, const struct nvme_event *event);
};

/* The two regions of one controller, or their sizes. Both stay the engine's until close. */
struct nvme_memory {
    void *ordinary;        /* aligned to NVME_ORDINARY_ALIGNMENT; the device never sees it */
    size_t ordinary_bytes; /* at least what nvme_memory_needed says */
    void *dma;             /* aligned to the page; every ring must be contiguous for DMA */
    size_t dma_bytes;      /* at least what nvme_memory_needed says */
};

/* ---- Controller ----------------------------------------------------------------------- */

struct nvme_controller;
struct nvme_queue;

/*
 * The sizes of the regions that nvme_controller_open will need, from the configuration and the
 * controller's CAP register (two 32-bit reads). Writes only the two sizes of *needed. Region
 * sizes grow with queue_count * depth_entries and max_transfer_bytes.
 * NVME_ERR_CONFIG: a value is out of range. NVME_ERR_UNSUPPORTED: no NVM command set, or pages
 * larger than page_bytes. NVME_ERR_REMOVED: nothing answers at registers.
 */
NVME_WARN_UNUSED enum nvme_error nvme_memory_needed(const struct nvme_config *config,
                                                    struct nvme_memory *needed);

/*
 * Brings a controller up, in the order of the specification's initialization: reset, bus
 * mastering, admin queue, enable, Identify Controller, Number of Queues. Works after a warm boot
 * too. Interrupts stay masked (INTMS) until an interrupt queue is opened. Every wait is bounded: by
 * CAP.TO for RDY, by command_timeout_ns for a command. On failure the controller is disabled and
 * the regions are the embedder's again, but for NVME_ERR_STUCK.
 * On success *controller lies in memory->ordinary. Each error of nvme_memory_needed, and:
 * NVME_ERR_MEMORY: see event MEMORY_SMALL for the size, or the DMA region is not contiguous.
 * NVME_ERR_TIMEOUT, _FATAL, _REMOVED: the device. NVME_ERR_DEVICE: a command was refused.
 * NVME_ERR_IDENTIFY, _UNSUPPORTED: what it says of itself cannot be worked with.
 */
NVME_WARN_UNUSED enum nvme_error nvme_controller_open(const struct nvme_config *config,
                                                      const struct nvme_memory *memory,
                                                      struct nvme_controller **controller);

/*
 * Closes the queues that are still open, shuts the controller down in order (CC.SHN, CSTS.SHST)
 * and disables it. Then the handle is dead and both regions are the embedder's again, whatever is
 * returned, but for: NVME_ERR_BUSY: requests are outstanding, nothing was done; service their
 * queues (on a failed controller that ends them) and call again; or an owner has not answered in a
 * round of a shared line. NVME_ERR_STUCK. Other errors
 * tell that the shutdown was not orderly: cached writes may be lost.
 */
NVME_WARN_UNUSED enum nvme_error nvme_controller_close(struct nvme_controller *controller);

/* What Identify Controller and CAP say, in plain units. Strings end with NUL, blanks cut. */
struct nvme_controller_info {
    char serial[21];
    char model[41];
    char firmware[9];
    char subsystem[257];    /* SUBNQN */
    uint16_t controller_id; /* CNTLID, of its own in the subsystem */
    uint16_t pci_vendor;
    uint32_t version;                /* VS: major 31:16, minor 15:8, tertiary 7:0 */
    uint32_t namespace_id_max;       /* NN */
    uint32_t queue_count;            /* I/O queue pairs that may be opened: wanted or granted; 0:
                                        the device refuses them, administration works */
    uint32_t depth_entries;          /* of a queue: wanted, or what MQES allows */
    uint32_t depth_entries_limit;    /* MQES, 1's based */
    uint32_t mdts_bytes;             /* 0 = no limit; 4 GiB and more reads as no limit */
    uint32_t max_transfer_bytes;     /* of one command, in force; longer requests are split */
    uint32_t page_bytes;             /* CC.MPS */
    uint32_t ready_timeout_ms;       /* CAP.TO, or CRTO if it is longer, at most 10 minutes */
    uint32_t shutdown_timeout_ms;    /* RTD3E, 1 s .. 127.5 s; not told: command_timeout_ns */
    bool volatile_write_cache;       /* a flush has something to do */
    bool more_controllers;           /* CMIC: the subsystem may have more of them */
    bool line_stuck;                 /* INTx cannot be used: queues poll */
    uint32_t line_repairs;           /* redundant doorbells that freed a stuck line */
    struct nvme_memory memory_bytes; /* the sizes in use; pointers NULL */
};

/* Copies the controller's information. Any hart. */
void nvme_controller_describe(const struct nvme_controller *controller,
                              struct nvme_controller_info *info);

/* ---- Namespaces ----------------------------------------------------------------------- */

/*
 * A namespace: plain data, the caller's, valid while its controller is open. The engine only reads
 * it; it must stay where it is while requests that were posted with it are outstanding.
 */
struct nvme_namespace {
    struct nvme_controller *controller;
    uint64_t block_count; /* logical blocks */
    uint32_t nsid;        /* 1 .. 0xfffffffe */
    uint32_t block_bytes; /* 512 .. 65536, a power of two */
    uint8_t block_shift;  /* log2 of block_bytes */
    uint32_t max_blocks;  /* most blocks of one command, not above block_count */
};

/*
 * The first active namespace with an identifier above `after` (0 to start). Admin command.
 * NVME_ERR_NAMESPACE: there is none. NVME_ERR_IDENTIFY: the device's list is not in order.
 * NVME_ERR_TIMEOUT, ...: the command failed. A device that refuses the list (CNS 02h) is asked for
 * up to 1024 identifiers one by one.
 */
NVME_WARN_UNUSED enum nvme_error nvme_namespace_next(struct nvme_controller *controller,
                                                     uint32_t after, uint32_t *nsid);

/* What a namespace says of itself, whether the engine can use it or not. */
struct nvme_namespace_info {
    uint64_t block_count;    /* NSZE */
    uint8_t block_shift;     /* LBADS of the format in use, as the device has it */
    uint8_t protection_type; /* 0: none */
    uint8_t command_set;     /* enum nvme_command_set; that of a device that does not tell: NVM */
    bool shared;             /* NMIC: several controllers may be attached to it */
    uint16_t metadata_bytes; /* per block */
    uint8_t eui64[8];        /* each 0 if not given */
    uint8_t nguid[16];
    uint8_t uuid[16];
};

/*
 * Reads what a namespace says of itself. Two admin commands; the second, for UUID and command set,
 * may be refused. NVME_ERR_NAMESPACE: it is not active. NVME_ERR_DEVICE, _TIMEOUT, ...: the first
 * command failed.
 */
NVME_WARN_UNUSED enum nvme_error nvme_namespace_describe(struct nvme_controller *controller,
                                                         uint32_t nsid,
                                                         struct nvme_namespace_info *info);

/*
 * Reads a namespace's geometry into *ns. Admin commands, as nvme_namespace_describe.
 * NVME_ERR_NAMESPACE: it is not active. NVME_ERR_UNSUPPORTED: metadata or protection information
 * is on, or its command set is not NVM (zoned), or a block is larger than 65536 bytes or than
 * max_transfer_bytes (event BLOCK_SIZE). NVME_ERR_IDENTIFY: a block of less than 512 bytes, a
 * format that is not listed.
 */
NVME_WARN_UNUSED enum nvme_error nvme_namespace_open(struct nvme_controller *controller,
                                                     uint32_t nsid, struct nvme_namespace *ns);

/* ---- Queues --------------------------------------------------------------------------- */

/* How the owner learns of completions. */
enum nvme_mode {
    NVME_MODE_POLL,      /* the owner services the queue; it raises no interrupt */
    NVME_MODE_INTERRUPT, /* the interrupt handler services it */
    NVME_MODE_HYBRID,    /* the owner services it while completions come soon, and sleeps until an
                            interrupt where they do not: see nvme_queue_arm */
};

struct nvme_queue_config {
    uint32_t owner;         /* the owner hart, in the embedder's numbering; given to kick */
    uint32_t depth_entries; /* 0 = the controller's; else NVME_DEPTH_MIN up to that */
    enum nvme_mode mode;
    bool irq_off;    /* every call on the queue is made with the owner's interrupts off: posts and
                        nvme_submit do not turn them off themselves */
    uint16_t vector; /* 0 with INTx and for a poll queue; else of the MSI-X table, 1 or more, of
                        this queue alone; the embedder aims it at the owner */
};

/*
 * Creates I/O queue pair `index` (0 .. info.queue_count - 1; its identifier is index + 1).
 * Admin commands; made on any hart as the head of this file says, then the queue is the owner's.
 * NVME_ERR_QUEUES: wanted and not granted. NVME_ERR_CONFIG: index, depth, mode, or a vector that is
 * 0 or another queue's. NVME_ERR_STATE: it is open, or the controller failed.
 * A queue opened to poll has no interrupt and stays so. With INTx the mode is the line's: it
 * becomes that of the controller's other interrupt queues too.
 * NVME_ERR_INTERRUPT: an interrupt queue with another owner is open on this controller, whose
 * INTx line is not shared; or hybrid mode on vectors that cannot be masked.
 * NVME_ERR_DEVICE, _TIMEOUT: the device refused.
 * Where the line is stuck an interrupt queue polls: see nvme_queue_mode.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_open(struct nvme_controller *controller, uint32_t index,
                                                 const struct nvme_queue_config *config,
                                                 struct nvme_queue **queue);

/*
 * Deletes a queue pair: submission queue first, then what the device has completed is drained (its
 * word for what it aborts is NVME_ERR_DEVICE, status 008h), then every request that is left ends
 * with NVME_ERR_ABORTED, then the completion queue. done() runs here and finds the queue closed for
 * posts, so with requests outstanding this is called on the owner hart; without, on any. On a
 * failed controller it ends the requests likewise.
 * With a shared line it is closed on home, without requests, when its owner does not use it.
 * NVME_ERR_STATE: it is closed, or its controller is being disabled: watch it, then call again.
 * NVME_ERR_BUSY: its owner has been kicked in a round of the shared line and has not answered yet.
 * NVME_ERR_TIMEOUT, _DEVICE, _FATAL, _REMOVED: the device did not delete it; the controller was
 * disabled, the requests have ended, the queue is closed. NVME_ERR_STUCK.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_close(struct nvme_queue *queue);

/*
 * Changes the mode of an interrupt queue, with requests in flight or without: none is lost, none
 * ends twice. On the owner, from a thread or done(); with a shared line on home, for any queue of
 * it. Polled, it is serviced with interrupts off. With INTx the mode is the line's, so it changes
 * for all interrupt queues of the controller, and owners that sleep are kicked.
 * NVME_ERR_STATE, _CONFIG. NVME_ERR_INTERRUPT: the queue was opened to poll, or its vector cannot
 * be masked.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_set_mode(struct nvme_queue *queue, enum nvme_mode mode);

/*
 * The mode in force: NVME_MODE_POLL too for an interrupt queue whose source went bad, which is then
 * serviced by its owner with interrupts off. Any hart.
 */
enum nvme_mode nvme_queue_mode(const struct nvme_queue *queue);

/*
 * Why an interrupt source is closed: INTMS for a line, the mask of a vector. Bits of a set.
 * NVME_CLOSED_POLLED, _STORM and _STUCK stay until something else happens, the others end soon.
 */
enum nvme_closed {
    NVME_CLOSED_IDLE = 1,      /* no queue that interrupts is open there */
    NVME_CLOSED_POLLED = 2,    /* the mode is to poll, or hybrid mode's owner is awake */
    NVME_CLOSED_STORM = 4,     /* too many claims for nothing: for a while */
    NVME_CLOSED_STUCK = 8,     /* the line was left high and cannot be repaired */
    NVME_CLOSED_ROUND = 16,    /* of a shared line: not every owner has answered */
    NVME_CLOSED_BRACKET = 32,  /* between nvme_irq_enter and nvme_irq_exit, or in the handler */
    NVME_CLOSED_WATCH = 64,    /* nvme_queue_watch services a queue */
    NVME_CLOSED_COMMAND = 128, /* an admin command is awaited */
    NVME_CLOSED_QUEUE = 256,   /* a queue is opened or closed */
    NVME_CLOSED_FAILED = 512,  /* the controller is not live: nothing opens it again */
    NVME_CLOSED_ADMIN = NVME_CLOSED_COMMAND | NVME_CLOSED_QUEUE,
};

/* The set of reasons that keep the queue's source closed, 0 if it is open. Any hart. */
uint32_t nvme_queue_closed(const struct nvme_queue *queue);

/* A phrase for the lowest reason of a set, "open" for 0: bit by bit a dump. Any context. */
const char *nvme_closed_text(uint32_t closed);

/* Requests and parts posted and not yet ended, 0 .. depth_entries - 1. A walk over the slots. */
uint32_t nvme_queue_outstanding(const struct nvme_queue *queue);

/* Hot counters of a queue since open. Written by the owner only; others may read them late. */
struct nvme_counters {
    uint64_t posts;       /* commands rung for; parts of a split count each */
    uint64_t completions; /* entries consumed */
    uint64_t drains;      /* service calls that consumed at least one */
    uint64_t services;    /* service calls */
    uint64_t sq_doorbells;
    uint64_t cq_doorbells;
    uint64_t interrupts; /* claims of the queue's source; of a shared line, its owner's share: the
                            rounds that it answered */
    uint64_t spurious;   /* of these, without a completion on any queue of the line */
    uint64_t late;       /* watch found an entry ready, the interrupt being under way or masked */
    uint64_t missed;     /* watch found an entry whose interrupt never came */
    uint64_t stale;      /* entries whose command id was not outstanding: ignored */
    uint64_t malformed;  /* entries with another queue's SQID or an SQHD out of range; the request
                            that their command id names ends all the same */
};

/* Copies the counters. */
void nvme_queue_count(const struct nvme_queue *queue, struct nvme_counters *counters);

/* ---- I/O: post, then ring ------------------------------------------------------------- */

/*
 * Post a read, a write or a flush on the owner's queue. nvme_submit rings for it; any drain of the
 * queue may do so before, so the buffer is ready when the request is posted. `buffer` is dword
 * aligned, of block_count << block_shift bytes, and the engine's until done(). Requests above
 * ns->max_blocks are split into parts; they are not atomic, the first error stops further parts,
 * done() runs once when all have ended. Flush covers writes whose done() has run. NVM Command Set
 * 1.0. Cost: O(1) up to two pages, else one PRP entry per page; no MMIO. NVME_ERR_BUSY, _LENGTH,
 * _RANGE, _ALIGNMENT, _NAMESPACE (another controller's), _STATE: nothing was posted and done() will
 * not run.
 */
NVME_WARN_UNUSED enum nvme_error nvme_read(struct nvme_queue *queue,
                                           const struct nvme_namespace *ns, uint64_t lba,
                                           uint32_t block_count, void *buffer,
                                           struct nvme_callback callback);
NVME_WARN_UNUSED enum nvme_error nvme_write(struct nvme_queue *queue,
                                            const struct nvme_namespace *ns, uint64_t lba,
                                            uint32_t block_count, const void *buffer,
                                            struct nvme_callback callback);
NVME_WARN_UNUSED enum nvme_error nvme_flush(struct nvme_queue *queue,
                                            const struct nvme_namespace *ns,
                                            struct nvme_callback callback);

/* One request of a batch. */
struct nvme_io {
    uint64_t lba;
    void *buffer;         /* only read by NVME_CMD_WRITE; not used by NVME_CMD_FLUSH */
    uint32_t block_count; /* not used by NVME_CMD_FLUSH */
    uint8_t opcode;       /* NVME_CMD_READ, NVME_CMD_WRITE or NVME_CMD_FLUSH */
    struct nvme_callback callback;
};

/*
 * Posts `count` requests in order, as nvme_read and its kin do one by one, with interrupts off
 * once for all. NVME_ERR_UNSUPPORTED: another opcode. *posted (never NULL) is always written: how
 * many stand in the queue. Unless NVME_OK, the error is that of ios[*posted], and the rest was not
 * looked at.
 */
NVME_WARN_UNUSED enum nvme_error nvme_post_many(struct nvme_queue *queue,
                                                const struct nvme_namespace *ns,
                                                const struct nvme_io *ios, uint32_t count,
                                                uint32_t *posted);

/*
 * Posts any I/O command: opcode, nsid and dwords 2, 3 and 10 to 15 are the caller's, the engine
 * puts in the command id and the PRPs of `size_bytes` at `buffer` (NULL and 0 for none); the rest
 * of the command is 0. Not validated against a namespace, never split. NVME_ERR_LENGTH: above
 * info.max_transfer_bytes, or a buffer with an opcode that transfers nothing, or none with one that
 * does. _ALIGNMENT, _BUSY, _STATE.
 */
NVME_WARN_UNUSED enum nvme_error nvme_passthrough(struct nvme_queue *queue,
                                                  const struct nvme_command *command, void *buffer,
                                                  uint32_t size_bytes,
                                                  struct nvme_callback callback);

/*
 * Rings the submission doorbell once for all that was posted since the last ring: one barrier
 * and one MMIO write, or nothing. Inside done() of this queue it does nothing: the drain rings.
 */
void nvme_submit(struct nvme_queue *queue);

/* ---- Completions ---------------------------------------------------------------------- */

/*
 * Consumes up to `budget` completions (0: does nothing), runs their callbacks,
 * then rings the completion
 * head doorbell once if anything was consumed and the submission doorbell once if anything posted
 * has not been rung for. Returns how many ended a command: entries that are stale do not
 * count. The only drain: never nested, on the owner, and for an
 * interrupt queue with interrupts off. On a controller that has failed it ends the requests.
 */
uint32_t nvme_queue_service(struct nvme_queue *queue, uint32_t budget);

/*
 * The last look before sleeping: true if nothing is ready and an interrupt will tell of the next
 * completion. Call with interrupts off, then wfi (which wakes on a pending interrupt), then
 * interrupts on. Always false for a queue that polls. Interrupt mode: one load, no MMIO; false
 * means that an interrupt is pending, or, with a shared line, that a kick may be long in coming:
 * service the queue.
 *
 * Hybrid mode: false while it is worth to go on spinning: service the queue, then ask again. That
 * is for up to four times the mean of the recent waits, at most hybrid_spin_max_ns; not at all
 * where the mean is above that, where nothing is outstanding, where completions lead to no posts,
 * so that nobody waits for the next, or where sleeping has proved cheaper. One look in 8 reads the
 * clock. Spinning masks the source, sleeping opens it: one register write each, none while the
 * decision stays the same.
 */
bool nvme_queue_arm(struct nvme_queue *queue);

/*
 * The watch: finds lost interrupts, expired commands and dead controllers. Call every
 * NVME_WATCH_PERIOD_NS while requests are outstanding, in the context that services the queue
 * (interrupt queue: trap or interrupts off; poll queue: its thread). now_ns is hal_now_ns's time.
 * A gap between two calls counts at most 100 ms towards a deadline, so a late caller expires
 * nothing early. An expired command, CSTS.CFS or a removed device disable the whole controller:
 * interrupts masked, CC.EN = 0; once RDY = 0 is seen, at a later call, every request of every queue
 * ends once with the cause, on its owner. A removed device counts as stopped. If RDY never falls
 * the requests stay owned, event DISABLE_TIMEOUT. The controller then takes nothing but
 * nvme_controller_close. Cost: one MMIO read, and ten times per deadline a walk over the slots;
 * nothing within about half a period of the last one that looked.
 */
void nvme_queue_watch(struct nvme_queue *queue, uint64_t now_ns);

/* ---- Interrupts ----------------------------------------------------------------------- */

/*
 * Bracket the service of one controller's INTx source: enter masks it (INTMS) and counts the
 * claim, exit opens it again (INTMC), which makes a fresh edge if anything is left. A kernel
 * that drains in a bottom half calls enter in its trap, then nvme_queue_service there, then exit
 * with the number of completions found on the whole line. Interrupts off in each. The line may come
 * again before the mask has reached the device: enter twice and exit once opens it. Not for a
 * shared
 * line, whose round is such a bracket: there nvme_queue_kicked may be called from a bottom half.
 */
void nvme_irq_enter(struct nvme_controller *controller);
void nvme_irq_exit(struct nvme_controller *controller, uint32_t found);

/*
 * The whole handler of one INTx line with `count` controllers on it. Call in the trap between claim
 * and complete, on the owner of their queues. Drains the queues that have been rung for and looks
 * again until a whole pass finds nothing; a claim that finds nothing searches all, admin too. That
 * is right for interrupt controllers that know levels, and for edges where a doorbell has reached
 * the device when its store is done, as in QEMU. Where edges alone are known and writes are posted,
 * an entry may come behind the last look and before the doorbell, and raise no edge: there set
 * mask_line. Then all queues are searched between INTMS and INTMC, which arrives behind the
 * doorbells; 2 more MMIO writes, and a read for each of several controllers on the line.
 * Returns the completions found; 0 is normal. NVME_STORM_CLAIMS claims in a row, in 100 ms, without
 * any progress of the queues mask the line: its queues poll for a while (event INTERRUPT_STORM),
 * which nvme_queue_watch ends after 1 s, each further time after twice as long. Bounded by 8
 * times the sum of the depths; 1 or 2 MMIO writes per queue with completions. A device of another
 * kind on the same line: call both handlers until both find nothing, for the interrupt controller
 * may know edges only, and nvme_irq_foreign where the other one has found something.
 *
 * A controller with a shared line: on home. The line is masked, the owners that have requests are
 * kicked, home drains its own queues. The last owner to answer kicks home, which opens the line
 * again. 1 MMIO write here, 1 at the end of the round.
 */
uint32_t nvme_irq_service(struct nvme_controller *const *controllers, uint32_t count);

/*
 * The claim that nvme_irq_service has just been called for was (also) of a device of another kind
 * on the line: empty claims before it are no steps towards a storm. In the trap, as
 * nvme_irq_service.
 */
void nvme_irq_foreign(struct nvme_controller *const *controllers, uint32_t count);

/*
 * A kick has come, on the owner of the queue, interrupts off: answers the round of a shared line by
 * draining the queue, and ends the requests of a controller that has failed. On a poll queue,
 * without
 * a cause, twice, or after the queue was closed it does nothing. Returns the completions found.
 * One atomic
 * instruction per answer.
 */
uint32_t nvme_queue_kicked(struct nvme_queue *queue);

/*
 * A kick has come, on home, interrupts off: ends the round of this controller's shared line if
 * every owner has answered. 1 MMIO write. A kick without a cause does nothing. To be called behind
 * the handler of a claim that is pending, lest an interrupt that is only late be called missed.
 */
void nvme_irq_kicked(struct nvme_controller *controller);

/*
 * The handler of a queue's MSI-X vector: drains the queue. In the trap, behind the claim that took
 * the message (a later one is a new interrupt), on the owner. Returns the completions found; 0 is
 * normal. A storm masks the vector for a while, as nvme_irq_service does the line.
 */
uint32_t nvme_vector_service(struct nvme_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
