// SPDX-License-Identifier: MIT
/*
 * The public API of the engine: asynchronous, multi-queue NVMe for one kernel or program.
 *
 * Order of use: nvme_memory_needed, nvme_controller_open, nvme_namespace_open, and one
 * nvme_queue_open per hart. Then each owner posts requests (nvme_read, nvme_write, nvme_flush) and
 * rings for them (nvme_queue_submit); nvme_queue_reap or an interrupt handler runs the
 * callbacks. At the end nvme_queue_close and nvme_controller_close. engine/DESIGN.md gives the
 * reasons.
 *
 * Rules for the caller, named by number in what follows:
 *
 * R1  Owner. A queue has one owner hart. Calls that take a queue are made there, but for open, for
 *     close without requests, and where the function says "any hart". Harts that hold one lock in
 *     turn are one owner: see docs/porting.md.
 * R2  Poll queue. A queue that was opened to poll is used by one thread and never in a trap.
 * R3  Interrupt queue. Threads of its owner may post and submit at any time: these calls turn
 *     interrupts off themselves. nvme_queue_reap, nvme_queue_watchdog, nvme_queue_arm and
 *     the interrupt entry points below need interrupts off already.
 * R4  done() runs once for each posted request, on the owner. It may reuse its buffer and post to
 *     queues of its hart, from an interrupt queue to interrupt queues only (R2). It may not wait,
 *     reap, open or close.
 * R5  No nesting. nvme_queue_reap is never called inside itself for the same queue.
 * R6  Administration: the calls whose Context says so. One at a time for a controller, never in
 *     done() or a trap, on the hart that takes its interrupt. Any hart may do it while no interrupt
 *     queue is open or the handler is detached. It waits with interrupts off: at most
 *     command_timeout_ns for each admin command, and CAP.TO if the controller must be disabled.
 * R7  Handover. A handle is published (release, acquire) before another hart uses it.
 * R8  Memory. The engine allocates nothing. It owns the two regions of struct nvme_memory from
 *     nvme_controller_open until nvme_controller_close has closed the controller.
 * R9  Buffers belong to the engine from a successful post until done() runs.
 * R10 Stuck. After NVME_ERR_STUCK the device may still use both regions and all posted buffers:
 *     they may never be reused.
 * R11 Handles stay readable until nvme_controller_close returns. nvme_queue_reap and
 *     nvme_queue_watchdog of a closed queue do nothing.
 * R12 Detach. The interrupt handler is detached before nvme_controller_close.
 * R13 Watchdog. While requests are outstanding, and with resets_max always, the owner calls
 *     nvme_queue_watchdog every NVME_WATCHDOG_PERIOD_NS. Up to ten times that is slower to find
 *     what is lost, and as right.
 * R14 Hooks of struct nvme_config never call the engine. They may run in a trap, and on several
 *     harts at once.
 * R15 Errors. NVME_OK is 0, errors are negative. A call that fails has changed nothing, and writes
 *     its out-parameters only on NVME_OK, unless its text says otherwise.
 *
 * A call that breaks R5 or R6 ends in hal_panic, which names the rule. A wrong hart (R1) and
 * interrupts left on (R3) are noticed in rare calls only: in nvme_queue_watchdog, and at the first
 * doorbell or reap after an idle time. A check for each request would cost instructions.
 *
 * Interrupt entry points. Interrupts are off in each. The handlers of a line and of a vector run
 * between claim and complete.
 *
 *     delivery          event    on hart     call
 *     dedicated INTx    line     owner       nvme_irq_handle
 *       or in two steps line     owner       nvme_irq_enter
 *                       later    owner       nvme_queue_reap for its queues, nvme_irq_exit
 *     shared INTx       line     IRQ hart    nvme_irq_handle
 *                       IPI      IRQ hart    nvme_irq_take_ipi
 *     MSI-X             vector   owner       nvme_vector_handle
 *     each of them      IPI      owner       nvme_queue_take_ipi for its queues
 *
 * The IRQ hart is nvme_config.irq_hart. A hart that begins to take IPIs sends itself one. A shared
 * line does not wait for owners that have neither taken an IPI nor posted: they may come later.
 */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme_event.h"
#include "nvme_sizes.h"
#include "nvme_spec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Major 31:16, minor 15:8, patch 7:0. CHANGELOG.md says what changed. */
#define NVME_ENGINE_VERSION UINT32_C(0x000100) /* 0.1.0 */

#define NVME_WARN_UNUSED __attribute__((warn_unused_result))
#define NVME_ALIGNED_16 __attribute__((aligned(16)))

/* ---- Limits and tunables -------------------------------------------------------------- */

enum {
    NVME_DEPTH_MIN = 2,                  /* entries; a queue of N entries holds N - 1 requests */
    NVME_DEPTH_MAX = 4096,               /* entries; leaves a command id 4 bits of generation */
    NVME_CQ_DEPTH_MAX = 65536,           /* entries; the specification's limit */
    NVME_QUEUES_MAX = 64,                /* I/O queue pairs per controller */
    NVME_ADMIN_DEPTH = 32,               /* entries of the admin queue */
    NVME_SPLIT_WINDOW = 8,               /* parts of one split request in flight */
    NVME_STORM_INTERRUPTS = 64,          /* empty interrupts in a row: mask and poll */
    NVME_ORDINARY_ALIGNMENT = 64,        /* bytes, of nvme_memory.ordinary */
    NVME_TRANSFER_DEFAULT = 1024 * 1024, /* bytes, nvme_config.max_transfer_bytes = 0 */
    NVME_PAGE_DEFAULT = 4096,            /* bytes, nvme_config.page_bytes = 0 */
};

#define NVME_WATCHDOG_PERIOD_NS UINT64_C(10000000) /* 10 ms, see nvme_queue_watchdog */
#define NVME_STORM_PERIOD_NS UINT64_C(100000000)   /* 100 ms: a storm's interrupts come in it */
#define NVME_STORM_FIRST_NS UINT64_C(1000000000)   /* 1 s: how long a first storm lasts */
#define NVME_SPIN_MAX_DEFAULT_NS UINT64_C(200000)  /* 200 us, hybrid_spin_max_ns = 0 */
#define NVME_COMMAND_TIMEOUT_DEFAULT_NS UINT64_C(30000000000) /* 30 s, command_timeout_ns = 0 */

/* ---- Errors --------------------------------------------------------------------------- */

/* Why a call or a request failed. nvme_error_text() gives the phrase. */
enum nvme_error {
    NVME_OK = 0,
    NVME_ERR_BUSY = -1,        /* no free slot: reap the queue, then post again */
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
    NVME_ERR_STUCK = -17,      /* the device cannot be stopped: see R10 */
    NVME_ERR_QUEUES = -18,     /* the controller gives no I/O queue with this index */
    NVME_ERR_RESET = -19,      /* the controller was reset before the request ended */
    NVME_ERR_MAP = -20,        /* hal_dma_map has no room: post again when requests have ended */
};

/* A phrase for an error, never NULL; "unknown error" for other values. Context: any. */
const char *nvme_error_text(enum nvme_error error);

/*
 * A phrase for a status field, never NULL. A code without a phrase gets the phrase of its type.
 * Parameters: status: nvme_result.status; code 7:0, type 10:8, do-not-retry 14 (NVME_STATUS_*).
 * Context: any.
 */
const char *nvme_status_text(uint16_t status);

/* ---- Results -------------------------------------------------------------------------- */

/*
 * How a request ended. Passed by value, in two registers: with a smaller alignment GCC 12 uses the
 * stack on both sides of the call, 6 instructions per request.
 */
struct nvme_result {
    NVME_ALIGNED_16 enum nvme_error error; /* NVME_OK, or why it failed */
    uint16_t status; /* the device's status field, 0 unless error is NVME_ERR_DEVICE */
    uint16_t reserved;
    uint32_t bytes_done; /* all bytes on NVME_OK; of a failed split request the sum of the parts
                            that succeeded, which need not be the first ones */
    uint32_t dw0;        /* command specific; of a split request that of its last part */
};
NVME_STATIC_ASSERT(sizeof(struct nvme_result) == 16, "a result travels in two registers");

/*
 * The callback of a request: see R4. It runs inside nvme_queue_reap, nvme_queue_watchdog,
 * nvme_queue_take_ipi, nvme_queue_close, nvme_irq_handle or nvme_vector_handle. It need not
 * ring for what it posts to its own queue; other queues need nvme_queue_submit.
 */
typedef void nvme_done(void *arg, struct nvme_result result);

/* A callback with its argument. done may not be NULL. */
struct nvme_callback {
    NVME_ALIGNED_16 nvme_done *done;
    void *arg;
};

/* ---- Configuration -------------------------------------------------------------------- */

/* Everything the engine needs to know of one controller. Copied at open. Hooks: see R14. */
struct nvme_config {
    volatile void *registers;    /* BAR0, mapped uncached; 4-byte aligned */
    size_t registers_size_bytes; /* of BAR0: bounds the number of queues by their doorbells */
    void *dma_context;           /* given to the hal_dma_ functions */
    uint16_t pci_vendor;         /* of configuration space. The two ids select the work-arounds */
    uint16_t pci_device;         /* for known deviations; 0 = not known, none */
    uint32_t page_bytes;         /* what hal_dma_address keeps contiguous: a power of two of
                                    4096 or more; 0 = NVME_PAGE_DEFAULT */
    uint32_t queue_count;        /* I/O queue pairs wanted, 1 .. NVME_QUEUES_MAX */
    uint32_t depth_entries;      /* of each, NVME_DEPTH_MIN .. NVME_DEPTH_MAX; iodepth + 1 */
    uint32_t cq_depth_entries;   /* of each completion ring, up to NVME_CQ_DEPTH_MAX; 0 =
                                    depth_entries, else that or more. A queue that polls rings
                                    its completion doorbell late, for half of the surplus.
                                    Cut to what MQES allows */
    uint32_t max_transfer_bytes; /* most bytes of one command, below MDTS; sizes the PRP lists;
                                    0 = NVME_TRANSFER_DEFAULT, else page .. 64 MiB */
    uint32_t bounce_bytes;       /* see nvme_segments.h; 0: nothing is copied */
    uint64_t command_timeout_ns; /* deadline of I/O and admin commands;
                                    0 = NVME_COMMAND_TIMEOUT_DEFAULT_NS, else >= 1 s */
    bool aborts;                 /* a late command is aborted first, and given one more second */
    uint32_t resets_max;         /* resets in a row without progress, before the controller fails;
                                    0: a deadline or CFS fails it. See nvme_queue_watchdog */
    uint8_t retries_max;         /* how often a request is posted again after an error without
                                    do-not-retry, or a reset; 0: never. Costs a copy of 64 bytes
                                    for each command, and the slow paths of submit and reap */
    bool retry_writes;           /* writes too; reads and flushes always, other commands never */
    uint64_t hybrid_spin_max_ns; /* most that an owner in hybrid mode spins before it sleeps;
                                    0 = NVME_SPIN_MAX_DEFAULT_NS */
    bool msix;                   /* MSI-X is on: each interrupt queue has its own vector, INTx and
                                    INTMS are not used */
    bool shadow_doorbells;       /* Doorbell Buffer Config, if offered; needs coherent DMA */
    bool events;                 /* asynchronous events of the device: see nvme_events_poll */
    bool mask_line;              /* nvme_irq_handle masks the line while it runs: see there. The
                                    same for all controllers of a line */
    bool shared;       /* shared INTx: the line interrupts hart `irq_hart`, for queues of any
                                    owner; needs send_ipi, excludes msix */
    uint32_t irq_hart; /* the IRQ hart, numbered as owners; it need not own a queue */
    void *hook_arg;    /* first argument of each hook; a hook may be NULL */
    /* Sends an IPI to hart `owner`, whose handler calls what the table above says. Earlier stores
       of this hart are visible there. Any owner. Needed when several harts own queues of the
       controller: if it fails, each ends the requests of its own queues. */
    void (*send_ipi)(void *arg, uint32_t owner);
    /* Masks an MSI-X vector, or unmasks it, which sends what was held back. Any owner. Needed to
       change modes with MSI-X. */
    void (*vector_mask)(void *arg, uint16_t vector, bool masked);
    /* Turns PCI bus mastering on, complete on return. nvme_controller_open calls it once, after the
       controller of an earlier user has stopped and before this one starts. The caller keeps bus
       mastering off till then. NULL: it is on already. */
    void (*bus_master)(void *arg);
    /* The level of the controller's INTx line: PCI status register, bit 3. */
    bool (*intx_level)(void *arg);
    /* Reports an event, for a message to the user. */
    void (*event)(void *arg, const struct nvme_event *event);
};

/* The two memory regions of one controller, or their sizes. Owned by the engine: R8. */
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
 * Says how much memory nvme_controller_open will need for this configuration. The sizes grow with
 * queue_count * (depth_entries + cq_depth_entries) and max_transfer_bytes. nvme_sizes.h has upper
 * bounds for static memory.
 * Parameters: needed: only its two sizes are written.
 * Context: any hart, a thread. Cost: two register reads (CAP).
 * Errors: NVME_ERR_CONFIG: a value is out of range. NVME_ERR_UNSUPPORTED: no NVM command set, or
 *   pages larger than page_bytes. NVME_ERR_REMOVED: nothing answers at config->registers.
 */
NVME_WARN_UNUSED enum nvme_error nvme_memory_needed(const struct nvme_config *config,
                                                    struct nvme_memory *needed);

/*
 * Brings a controller up in the specification's order: reset, bus mastering, admin queue, enable,
 * Identify Controller, Number of Queues, what else the configuration wants. Works after a warm boot
 * too. INTMS masks its interrupt until an interrupt queue is opened. After a failure the controller
 * is disabled, and the regions are the caller's again, but for NVME_ERR_STUCK.
 * Parameters: config: copied. memory: R8. controller: on NVME_OK a handle in memory->ordinary.
 * Context: administration (R6).
 * Cost: waits at most CAP.TO for each change of RDY, and command_timeout_ns for each command.
 * Errors: those of nvme_memory_needed. NVME_ERR_MEMORY: a region is too small (event
 *   NVME_EVENT_MEMORY_SMALL), misaligned or not contiguous. NVME_ERR_TIMEOUT, NVME_ERR_FATAL,
 *   NVME_ERR_REMOVED: the device does not work. NVME_ERR_DEVICE: it refused a command.
 *   NVME_ERR_IDENTIFY, NVME_ERR_UNSUPPORTED: its own data rule it out. NVME_ERR_STUCK: R10.
 */
NVME_WARN_UNUSED enum nvme_error nvme_controller_open(const struct nvme_config *config,
                                                      const struct nvme_memory *memory,
                                                      struct nvme_controller **controller);

/*
 * Closes all open queues, shuts the controller down in order (CC.SHN, CSTS.SHST) and disables it.
 * Then the handle is dead and both regions are the caller's, but for the first two errors.
 * Context: administration (R6), after R12.
 * Cost: waits at most nvme_controller_info.shutdown_timeout_ms, and as nvme_queue_close per queue.
 * Errors: NVME_ERR_BUSY: nothing was done; requests are outstanding, or an owner has not answered
 *   in a cycle of a shared line or in a reset: reap the queues, call their watchdogs, then call
 *   again. NVME_ERR_STUCK: R10. Others:
 *   the controller is closed, but its shutdown was not orderly: cached writes may be lost.
 */
NVME_WARN_UNUSED enum nvme_error nvme_controller_close(struct nvme_controller *controller);

/* What Identify Controller and CAP say, in plain units. Strings end with NUL, without padding. */
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
                                        the device grants none, administration works */
    uint32_t depth_entries;          /* of a queue: wanted, or what MQES allows */
    uint32_t depth_entries_limit;    /* MQES, 1's based */
    uint32_t mdts_bytes;             /* 0 = no limit; 4 GiB and more reads as no limit */
    uint32_t max_transfer_bytes;     /* of one command, in force; longer requests are split */
    uint32_t page_bytes;             /* CC.MPS */
    uint32_t ready_timeout_ms;       /* CAP.TO, or CRTO if it is longer, at most 10 minutes */
    uint32_t shutdown_timeout_ms;    /* RTD3E, 1 s .. 127.5 s; not told: command_timeout_ns */
    uint32_t optional_events;        /* OAES */
    uint32_t sgl_alignment;          /* SGLS, in bytes: 1 or 4; 0: no SGLs */
    bool volatile_write_cache;       /* a flush has something to do */
    bool more_controllers;           /* CMIC: the subsystem may have more of them */
    bool shadow_doorbells;           /* in force: wanted, and the device takes them */
    bool line_stuck;                 /* INTx cannot be used: queues poll */
    uint32_t line_repairs;           /* redundant doorbells that freed a stuck line */
    struct nvme_memory memory_bytes; /* the sizes in use; pointers NULL */
};

/* Copies the controller's information. Context: any hart. */
void nvme_controller_describe(const struct nvme_controller *controller,
                              struct nvme_controller_info *info);

/* ---- Namespaces ----------------------------------------------------------------------- */

/*
 * A namespace: plain data of the caller, valid while its controller is open. The engine only reads
 * it. It must not move while requests that were posted with it are outstanding.
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
 * Finds the first active namespace with an identifier above `after`.
 * Parameters: after: 0 to start, else the last *nsid.
 * Context: administration (R6).
 * Cost: one admin command. A device without the list (CNS 02h; before 1.1) is asked for up to 1024
 *   identifiers one by one.
 * Errors: NVME_ERR_NAMESPACE: there is none. NVME_ERR_IDENTIFY: the device's list is not in order.
 *   NVME_ERR_RESET: a reset is under way, or has come between: call again after NVME_EVENT_RESET.
 *   NVME_ERR_STATE, NVME_ERR_TIMEOUT, NVME_ERR_FATAL, NVME_ERR_REMOVED, NVME_ERR_STUCK: the command
 *   failed, and the controller with it, unless it is reset (resets_max, and a queue is open).
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
 * Reads what a namespace says of itself.
 * Parameters: nsid: 1 .. nvme_controller_info.namespace_id_max.
 * Context: administration (R6).
 * Cost: two admin commands. The device may refuse the second, for UUID and command set.
 * Errors: NVME_ERR_NAMESPACE: it is not active. NVME_ERR_DEVICE: the device refused the first
 *   command. Others: as nvme_namespace_next.
 */
NVME_WARN_UNUSED enum nvme_error nvme_namespace_describe(struct nvme_controller *controller,
                                                         uint32_t nsid,
                                                         struct nvme_namespace_info *info);

/*
 * Reads a namespace's geometry into *ns, which reads and writes need.
 * Parameters, Context, Cost: as nvme_namespace_describe.
 * Errors: those of nvme_namespace_describe. NVME_ERR_UNSUPPORTED: metadata or protection
 *   information is on, the command set is not NVM (zoned), or a block is larger than 65536 bytes or
 *   than max_transfer_bytes (NVME_EVENT_BLOCK_SIZE). NVME_ERR_IDENTIFY: a block is smaller than 512
 *   bytes, or its format is not listed.
 */
NVME_WARN_UNUSED enum nvme_error nvme_namespace_open(struct nvme_controller *controller,
                                                     uint32_t nsid, struct nvme_namespace *ns);

/* ---- Queues --------------------------------------------------------------------------- */

/* How the owner learns of completions. */
enum nvme_mode {
    NVME_MODE_POLL,      /* the owner reaps the queue; it raises no interrupt */
    NVME_MODE_INTERRUPT, /* the interrupt handler reaps it */
    NVME_MODE_HYBRID,    /* the owner reaps it while that costs less, else it sleeps until an
                            interrupt: see nvme_queue_arm */
};

/* The configuration of one queue. */
struct nvme_queue_config {
    uint32_t owner;         /* the owner hart, in the caller's numbering; given to send_ipi */
    uint32_t depth_entries; /* 0 = the controller's; else NVME_DEPTH_MIN up to that */
    enum nvme_mode mode;
    bool clocked; /* while the last submission doorbell may be unfetched, nvme_queue_submit leaves
                        the next one to nvme_queue_reap or nvme_queue_arm; for slow doorbells */
    bool irq_off; /* every call on the queue is made with the owner's interrupts off: posts and
                        nvme_queue_submit do not turn them off themselves */
    uint16_t vector; /* 0 with INTx and for a poll queue; else an MSI-X vector, 1 or more, that no
                        other queue has and that the caller has aimed at the owner */
};

/*
 * Creates I/O queue pair `index`, whose queue identifier is index + 1. A queue opened to poll has
 * no interrupt and stays so. With INTx the mode belongs to the line: the controller's other
 * interrupt queues change to it too. If the line is stuck, the queue polls: see nvme_queue_mode.
 * Parameters: index: 0 .. nvme_controller_info.queue_count - 1. config: copied.
 * Context: administration (R6). Afterwards the queue is its owner's (R1, R7).
 * Cost: two admin commands.
 * Errors: NVME_ERR_QUEUES: the device did not grant so many. NVME_ERR_CONFIG: index, depth or mode
 *   is out of range, or the vector is 0 or another queue's. NVME_ERR_STATE: the queue is open, or
 *   the controller failed. NVME_ERR_INTERRUPT: the line is not shared and interrupts another owner,
 *   or hybrid mode has no vector_mask. NVME_ERR_DEVICE: the device refused. NVME_ERR_TIMEOUT,
 *   NVME_ERR_FATAL, NVME_ERR_REMOVED, NVME_ERR_RESET, NVME_ERR_STUCK: as nvme_namespace_next.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_open(struct nvme_controller *controller, uint32_t index,
                                                 const struct nvme_queue_config *config,
                                                 struct nvme_queue **queue);

/*
 * Deletes a queue pair. Requests that the device completes meanwhile end as it says (aborted:
 * NVME_ERR_DEVICE, status 008h), the others with NVME_ERR_ABORTED. done() runs here and cannot post
 * to this queue. On a failed controller it only ends the requests.
 * Context: administration (R6); with requests outstanding, on the owner. Of a shared line: on the
 *   IRQ hart, without requests, while its owner does not use the queue.
 * Cost: two admin commands, and a reap of the queue.
 * Errors: NVME_ERR_STATE: it is closed, or its controller is being disabled or reset: then call
 *   nvme_queue_watchdog and close again. NVME_ERR_BUSY: its owner has not answered in a cycle of
 *   the shared line: send it an IPI, then close again. NVME_ERR_TIMEOUT, NVME_ERR_DEVICE,
 *   NVME_ERR_FATAL, NVME_ERR_REMOVED: the device did not delete it; the controller was disabled,
 *   the requests have ended, the queue is closed. NVME_ERR_STUCK: R10.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_close(struct nvme_queue *queue);

/*
 * Changes the mode of an interrupt queue, also with requests in flight. With INTx the mode belongs
 * to the line: it changes for all interrupt queues of the controller, and owners that sleep get an
 * IPI. It is for other kernels: the programs of this repository keep the mode that they open with.
 * Context: the owner, a thread or done(). Of a shared line: the IRQ hart, for any queue.
 * Cost: one or two register writes, late completion doorbells, and an IPI for each owner of a
 *   shared line.
 * Errors: NVME_ERR_STATE: the queue is not open. NVME_ERR_CONFIG: no such mode.
 *   NVME_ERR_INTERRUPT: it was opened to poll, or its vector cannot be masked.
 */
NVME_WARN_UNUSED enum nvme_error nvme_queue_set_mode(struct nvme_queue *queue, enum nvme_mode mode);

/*
 * The mode in force. It is NVME_MODE_POLL also for an interrupt queue whose source is stuck or in a
 * storm: its owner reaps it then, with interrupts off. Context: any hart.
 */
enum nvme_mode nvme_queue_mode(const struct nvme_queue *queue);

/*
 * Why an interrupt source (a controller's line, a queue's vector) is masked: bits of a set.
 * NVME_CLOSED_IDLE, NVME_CLOSED_POLLED, NVME_CLOSED_STORM, NVME_CLOSED_STUCK and NVME_CLOSED_FAILED
 * may last; the others end soon.
 */
enum nvme_closed {
    NVME_CLOSED_IDLE = 1,      /* no interrupt queue is open there */
    NVME_CLOSED_POLLED = 2,    /* the mode is to poll, or hybrid mode's owner is awake */
    NVME_CLOSED_STORM = 4,     /* too many empty interrupts: for a while */
    NVME_CLOSED_STUCK = 8,     /* the line was left high and cannot be repaired */
    NVME_CLOSED_CYCLE = 16,    /* a cycle of a shared line: not every owner has answered */
    NVME_CLOSED_ENTERED = 32,  /* between nvme_irq_enter and nvme_irq_exit, or in the handler */
    NVME_CLOSED_WATCHDOG = 64, /* nvme_queue_watchdog reaps a queue */
    NVME_CLOSED_COMMAND = 128, /* an admin command is under way */
    NVME_CLOSED_QUEUE = 256,   /* a queue is opened or closed, or a namespace is read */
    NVME_CLOSED_FAILED = 512,  /* the controller is not live: masked until a reset has ended */
    NVME_CLOSED_ADMIN = NVME_CLOSED_COMMAND | NVME_CLOSED_QUEUE,
};

/* The reasons that mask the queue's source, 0 if it is open. Context: any hart. */
uint32_t nvme_queue_closed(const struct nvme_queue *queue);

/* A phrase for the lowest reason of a set, "open" for 0, never NULL. Context: any. */
const char *nvme_closed_text(uint32_t closed);

/*
 * The commands that are posted and not yet ended, 0 .. depth_entries - 1; parts of a split request
 * count each. Context: the owner. Cost: a walk over all slots.
 */
uint32_t nvme_queue_outstanding(const struct nvme_queue *queue);

/* Counters of a queue since open. The owner writes them; others may read old values. */
struct nvme_counters {
    uint64_t posts;        /* announced by a doorbell; parts of a split request count each */
    uint64_t completions;  /* entries consumed */
    uint64_t reaps;        /* calls of nvme_queue_reap that consumed at least one entry */
    uint64_t reap_calls;   /* all calls of nvme_queue_reap */
    uint64_t sq_doorbells; /* written registers; shadow doorbells leave some out */
    uint64_t cq_doorbells;
    uint64_t rerings;     /* shadow ones: nothing moved, so the watchdog wrote unasked registers */
    uint64_t interrupts;  /* of the queue's source; of a shared line: cycles that it has answered */
    uint64_t spurious;    /* of these, without a completion on any queue of the line */
    uint64_t late;        /* the watchdog found an entry whose interrupt was delayed or masked */
    uint64_t missed;      /* the watchdog found an entry whose interrupt never came */
    uint64_t retries;     /* requests posted again; they are among the posts */
    uint64_t bounces;     /* requests whose data were copied: bounce_bytes */
    uint64_t stale;       /* entries whose command id was not outstanding: ignored */
    uint64_t malformed;   /* entries with a wrong SQID or SQHD; their requests end all the same */
    uint64_t waits_spun;  /* hybrid mode, blocked: waits that spun beyond the first looks, */
    uint64_t waits_slept; /* and waits that slept; a long one may do both */
    uint64_t empty_looks; /* of waits awake */
    uint64_t policy_switches; /* between awake and asleep; probes do not count */
};

/* Copies the counters. Context: any hart. */
void nvme_queue_count(const struct nvme_queue *queue, struct nvme_counters *counters);

/* ---- I/O: post, then ring ------------------------------------------------------------- */

/*
 * Post a read, a write or a flush. nvme_queue_submit rings for it, or an earlier reap does, so a
 * write's data must be in the buffer before the post. A flush covers the writes whose done() has
 * run. A request above ns->max_blocks is split into parts. It is not atomic, its first error stops
 * further parts, and done() runs once, when all parts have ended.
 * Parameters: lba: first block. block_count: 1 or more, less than 4 GiB. buffer: dword aligned, of
 *   block_count << ns->block_shift bytes (R9). callback: done and its argument (R4).
 * Context: the owner (R1), a thread, done() or the handler.
 * Cost: O(1) up to two pages of data, else one PRP entry per page; no MMIO.
 * Errors: nothing was posted and done() will not run. NVME_ERR_BUSY, NVME_ERR_LENGTH,
 *   NVME_ERR_RANGE, NVME_ERR_ALIGNMENT, NVME_ERR_STATE, NVME_ERR_MAP (it may also end a split
 *   request): see enum nvme_error. NVME_ERR_NAMESPACE: ns is of another controller.
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

/* Options of a request: bits of a set. */
enum nvme_post_flag {
    NVME_POST_FUA = 1,      /* a write is durable when it ends, a read comes from the media */
    NVME_POST_RETRY = 2,    /* a write is tried again too: see retries_max */
    NVME_POST_NO_RETRY = 4, /* never tried again */
    NVME_POST_ALL = 7,
};

/* One request of a batch, as the parameters of nvme_read. What is 0 has no options. */
struct nvme_io {
    uint64_t lba;
    void *buffer;           /* only read by NVME_CMD_WRITE; not used by NVME_CMD_FLUSH */
    uint32_t block_count;   /* not used by NVME_CMD_FLUSH */
    uint8_t opcode;         /* NVME_CMD_READ, NVME_CMD_WRITE or NVME_CMD_FLUSH */
    uint8_t flags;          /* NVME_POST_ */
    uint16_t timeout_100ms; /* deadline of each command; 0: command_timeout_ns */
    struct nvme_callback callback;
};

/*
 * Posts `count` requests in order, as nvme_read does one, with interrupts off once for all.
 * Parameters: ios: only read, the caller's again on return. posted: not NULL, always written: how
 *   many were posted. On an error ios[*posted] is the request that failed.
 * Context, Cost: as nvme_read, for each request.
 * Errors: those of nvme_read. NVME_ERR_UNSUPPORTED: another opcode or flag.
 */
NVME_WARN_UNUSED enum nvme_error nvme_post_many(struct nvme_queue *queue,
                                                const struct nvme_namespace *ns,
                                                const struct nvme_io *ios, uint32_t count,
                                                uint32_t *posted);

/*
 * Posts any I/O command. It is not checked against a namespace and never split.
 * Parameters: command: opcode, nsid and dwords 2, 3 and 10 to 15 are used. The engine adds command
 *   id and PRPs and clears the rest. buffer: dword aligned, size_bytes long (R9), or NULL and 0.
 * Context, Cost: as nvme_read.
 * Errors: NVME_ERR_LENGTH: above nvme_controller_info.max_transfer_bytes, or the opcode's transfer
 *   bits and size_bytes disagree. The others: as nvme_read, but for NVME_ERR_RANGE.
 */
NVME_WARN_UNUSED enum nvme_error nvme_passthrough(struct nvme_queue *queue,
                                                  const struct nvme_command *command, void *buffer,
                                                  uint32_t size_bytes,
                                                  struct nvme_callback callback);

/*
 * Rings the submission doorbell once for all requests posted since the last ring; a clocked one may
 * wait. In done() of this queue it does nothing: nvme_queue_reap rings at its end.
 * Context: as nvme_read. Cost: one barrier and one MMIO write, or nothing.
 */
void nvme_queue_submit(struct nvme_queue *queue);

/* ---- Completions ---------------------------------------------------------------------- */

/*
 * Reaps: consumes up to `budget` completions and runs their callbacks. Then it rings the completion
 * doorbell if it consumed any, unless it may be late, and the submission doorbell for new posts. On
 * a failed controller it ends the requests. Returns how many completions ended a command.
 * Parameters: budget: entries; 0 does nothing, the queue's depth reaps all.
 * Context: the owner (R1), interrupts off for an interrupt queue (R3), not in done() (R5).
 * Cost: at most two MMIO writes; of an empty queue one load.
 */
uint32_t nvme_queue_reap(struct nvme_queue *queue, uint32_t budget);

/* What the owner waits for. Only hybrid mode asks. */
enum nvme_wait_kind {
    NVME_WAIT_BLOCKED, /* its loop cannot go on without a completion: it may spin */
    NVME_WAIT_IDLE,    /* nothing depends on a completion, or none is due: it sleeps at once */
};

/*
 * The last look before sleep: turn interrupts off, call nvme_queue_arm, wfi if it returned true,
 * turn interrupts on. True: nothing is ready, and the next completion will interrupt. False: reap
 * the queue, then ask again. If nvme_queue_closed returns 0 and one hart owns the line or vector,
 * the reap can be left out: the interrupt is pending. Always false for a queue that polls.
 * Hybrid mode returns false for a blocked owner while spinning is worth it, at most
 * hybrid_spin_max_ns in a wait. Probes measure if a completion takes less time awake or asleep.
 * Context: the owner, a thread, interrupts off.
 * Cost: a clocked doorbell that has waited. Interrupt mode: one load, no MMIO. Hybrid mode: the
 *   clock in one of 16 looks of a wait awake, and once before a sleep; one register write when it
 *   changes between spinning (source masked) and sleep (source open), and late completion doorbells
 *   before it sleeps.
 */
bool nvme_queue_arm(struct nvme_queue *queue, enum nvme_wait_kind kind);

/*
 * The watchdog (R13): finds lost interrupts, expired commands and dead controllers. An expired
 * command, CSTS.CFS or a removed device disables the whole controller (CC.EN = 0). At a later call,
 * once RDY = 0 is seen, each owner ends its requests with the cause. If RDY never falls they stay
 * with the device (NVME_EVENT_DISABLE_TIMEOUT). A failed controller can only be closed.
 * Abort: with aborts an expired command is aborted first, and ends with NVME_ERR_TIMEOUT. If it has
 * not ended a second later, or the device refuses, it goes on as above.
 * Reset: with resets_max a deadline or CFS ends requests with NVME_ERR_RESET instead, but for those
 * that are retried, and sets the controller up again, one step per call. Posts are taken meanwhile
 * and rung for at its end. It waits for each owner of an open queue, so they call this without
 * requests too.
 * Parameters: now_ns: the time of hal_now_ns. A gap between two calls counts at most 100 ms towards
 *   a deadline, so a late call expires nothing early.
 * Context: as nvme_queue_reap.
 * Cost: one MMIO read, and ten times per deadline a walk over the slots. Nothing within about half
 *   a period of the last look.
 */
void nvme_queue_watchdog(struct nvme_queue *queue, uint64_t now_ns);

/* ---- Interrupts ----------------------------------------------------------------------- */

/*
 * Mask (INTMS) and unmask (INTMC) the INTx line of one controller around a bottom half. For other
 * kernels. The trap calls enter. The bottom half reaps the queues of the line and calls exit, which
 * makes a fresh edge if anything is left. If the line interrupts again before the mask has reached
 * the device, one exit ends both enters. Not for a shared line: its cycle masks it anyway, and a
 * bottom half may call nvme_queue_take_ipi.
 * Parameters: found: the completions that were found on the whole line.
 * Context: the owner, interrupts off; enter in the trap. Cost: one MMIO write each.
 */
void nvme_irq_enter(struct nvme_controller *controller);
void nvme_irq_exit(struct nvme_controller *controller, uint32_t found);

/*
 * The handler of one INTx line. It reaps the queues with a submission doorbell, again and again
 * until a whole pass finds nothing. If it finds nothing at all, it searches every queue, admin too.
 * Returns the completions found; 0 is normal.
 * Edges: set mask_line where the interrupt controller latches edges only and device writes are
 * posted. A completion between the last look and the doorbell's arrival would make no edge there.
 * Storm: NVME_STORM_INTERRUPTS interrupts in a row, within NVME_STORM_PERIOD_NS and without
 * progress of any queue, mask the line; its queues poll. nvme_queue_watchdog opens it after
 * NVME_STORM_FIRST_NS, each further time after twice as long.
 * Shared line: masks it, sends an IPI to each owner with requests, and reaps the IRQ hart's
 * queues. The last owner to answer sends an IPI to the IRQ hart, which unmasks the line.
 * Another kind of device on the line: call both handlers until both find nothing, and
 * nvme_irq_other_device if the other one found something.
 * Parameters: controllers: all `count` of the line, 1 or more.
 * Context: see the table above.
 * Cost: at most 8 times the sum of the depths; 1 or 2 MMIO writes per queue with completions. With
 *   mask_line 2 more, and a read for each of several controllers. Shared line: 1 MMIO write.
 */
uint32_t nvme_irq_handle(struct nvme_controller *const *controllers, uint32_t count);

/*
 * Says that the interrupt which nvme_irq_handle has just handled came from another kind of device
 * on the line: it does not count towards a storm. Parameters, Context: as nvme_irq_handle.
 */
void nvme_irq_other_device(struct nvme_controller *const *controllers, uint32_t count);

/*
 * Handles an IPI on an owner: reaps the queue and so answers the cycle of a shared line, and ends
 * the requests of a failed controller. Without a cause, twice, for a poll queue or after the queue
 * was closed it does nothing. Returns the completions found.
 * Context: the owner, interrupts off. Cost: one atomic instruction per answer, and a reap.
 */
uint32_t nvme_queue_take_ipi(struct nvme_queue *queue);

/*
 * Handles an IPI on the IRQ hart: unmasks the controller's shared line if every owner has answered.
 * Without a cause it does nothing. If the line's interrupt is pending too, call nvme_irq_handle
 * first: otherwise a delayed interrupt may be counted as missed.
 * Context: the IRQ hart, interrupts off. Cost: one MMIO write.
 */
void nvme_irq_take_ipi(struct nvme_controller *controller);

/*
 * The handler of a queue's MSI-X vector: reaps the queue. Returns the completions found; 0 is
 * normal. A storm masks the vector for a while, as it does a line in nvme_irq_handle.
 * Context: the owner, in the trap, after the claim: a later message is then a new interrupt.
 * Cost: as nvme_queue_reap.
 */
uint32_t nvme_vector_handle(struct nvme_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
