// SPDX-License-Identifier: MIT
/*
 * An NVMe controller in memory: registers, queues, an independent PRP walker, a backing.
 *
 * It serves the unchanged engine through nvme_port.h and judges it meanwhile: what the driver
 * does wrong is a finding of the world (world.h) and fails the test. Tests set the knobs before
 * nvme_controller_open, look at the logs afterwards, and decide when commands complete.
 * NVMe Base 2.0, NVM Command Set 1.0, NVMe over PCIe 1.0, as far as the engine uses them.
 */
#ifndef MODEL_H
#define MODEL_H

#include "model_event.h"
#include "nvme_spec.h"
#include "random.h"
#include "world.h"

enum {
    MODEL_QUEUES = 66, /* admin and 65 I/O */
    MODEL_NAMESPACES = 4,
    MODEL_FAULTS = 8,
    MODEL_PENDING = 8192,
    MODEL_LOG = 256,
    MODEL_CIDS = 65536,
    MODEL_POSTED = 64,
    MODEL_UNITS = 256,
    MODEL_QUANTILES = 16,
    MODEL_CHANCE_ALL = 1000000,
};

/* Register knobs of CAP, put together by model_cap(). */
struct model_cap {
    uint32_t mqes; /* 0's based */
    uint32_t timeout_units;
    uint32_t stride;
    uint32_t page_min;
    uint32_t page_max;
    bool nvm;
};

/* One namespace. block_count may exceed the backing: what lies beyond must not be touched. */
struct model_namespace {
    bool active;
    uint8_t block_shift;
    uint8_t format_count; /* NLBAF, 0's based */
    uint8_t format_more;  /* NULBAF */
    uint8_t format;       /* index in use */
    uint16_t metadata_bytes;
    uint8_t protection; /* DPS */
    uint8_t nmic;
    uint8_t nguid[16]; /* all 0: not given, as the two below */
    uint8_t eui64[8];
    uint8_t uuid[16];    /* in the list of descriptors only */
    uint8_t command_set; /* there too */
    uint64_t block_count;
    uint8_t *backing, *durable; /* durable: kept by the last flush; NULL: no volatile cache */
    size_t backing_bytes;
    uint32_t flushes;
};

/* Commands that touch `lba` with this opcode end with `status`. */
struct model_fault {
    uint8_t opcode; /* 0: unused */
    uint16_t status;
    uint64_t lba;
};

/* A submission queue of the device. */
struct model_sq {
    bool exists;
    uint64_t address;
    uint32_t entries;
    uint32_t head; /* next to fetch */
    uint32_t tail;
    uint32_t cqid;
    uint32_t doorbells;
    uint32_t fetched;
    struct nvme_command *shadow; /* each entry as it was last cleaned */
    uint64_t *clean_epoch;       /* world.doorbell_barriers at that time */
    uint8_t *busy;               /* a bit per command id in flight */
};

/* What the device wrote for a command: the first piece and the last stand for all. */
struct model_written {
    const uint8_t *host, *last; /* NULL: nothing, or the driver has invalidated it */
    uint32_t bytes, last_bytes;
};

/* A completion queue of the device. */
struct model_cq {
    bool exists;
    bool interrupts;
    bool unseen;     /* an entry went out with the wrong phase: the driver cannot get past it */
    uint16_t vector; /* MSI-X */
    uint64_t address;
    uint32_t entries;
    uint32_t head; /* as the driver rang it */
    uint32_t tail; /* next to write */
    uint32_t phase;
    uint32_t doorbells;
    uint32_t posted;
    uint8_t *loaded;               /* per entry: dwords that the driver has read */
    struct model_written *written; /* per entry */
    uint32_t held;                 /* of the entries: those that no interrupt has told of yet */
    uint32_t holds;                /* ended so far: sent, or all consumed before */
    uint32_t seen_entry;           /* whose status was loaded last */
    uint64_t seen_at_barrier;      /* world.phase_barriers at that time */
};

/* A command that was fetched and not answered. */
struct model_pending {
    struct nvme_command command;
    uint64_t clean_epoch; /* when its entry was cleaned, and its data and list with it */
    uint16_t sqid;
    bool hangs;
};

/* A point of a distribution: so many of MODEL_CHANCE_ALL commands take at most so long. */
struct model_quantile {
    uint32_t chance;
    uint32_t service_ns;
};

/* How long commands take, and what else a device does with time. A command with none ends when the
 * test says, or at its doorbell. */
struct model_timing {
    /* Knobs. */
    bool on;           /* set by model_set_timing */
    bool passes;       /* what was rung for ends together, as QEMU's thread has it; no units */
    uint64_t fetch_ns; /* from the doorbell to the command at the controller */
    uint64_t gap_ns;   /* the controller's pace: from the begin of a command to that of the next */
    uint64_t ring_ns;  /* more of a pass for each doorbell of its commands */
    uint64_t tell_ns;  /* from the end of the service to the entry in memory */
    uint64_t block_ps; /* of the link, for each block, in picoseconds */
    uint32_t units;    /* that work at the same time, 1 .. MODEL_UNITS; a block belongs to one */
    uint32_t unit_blocks;                        /* that lie together on one of them */
    uint32_t coalesce_entries;                   /* entries after one interrupt; 0 or 1: one */
    uint64_t coalesce_ns;                        /* the longest that an interrupt is held back */
    struct model_quantile read[MODEL_QUANTILES]; /* chances rise from 0 to MODEL_CHANCE_ALL */
    struct model_quantile write[MODEL_QUANTILES];
    uint64_t seed;
    /* State. */
    uint64_t controller_ns;        /* when the controller, */
    uint64_t link_ns;              /* the link */
    uint64_t unit_ns[MODEL_UNITS]; /* and each unit will be free */
    bool awake;                    /* a pass is under way, */
    uint32_t passing;              /* its first flight, */
    uint32_t waiting;              /* and the first of the next one */
    uint32_t waiting_count;
    uint32_t waiting_rings;
    struct random random;
};

/* One write that the driver did: a register's or a doorbell's offset. */
struct model_write {
    uint32_t offset;
    uint32_t value;
};

/* How an interrupt controller treats the line: PLICs of all three kinds exist. */
enum model_line_kind {
    MODEL_LINE_LEVEL,       /* a high line is pending again after complete */
    MODEL_LINE_EDGE,        /* latches each assert; a falling line does not clear */
    MODEL_LINE_EDGE_CLEARS, /* latches each assert; a falling line clears */
    MODEL_LINE_EDGE_WIRE,   /* latches a rise of the line, which one more assert is not */
};

/* One interrupt line with the controllers on it. */
struct model_line {
    enum model_line_kind kind;
    uint32_t high; /* how many of them assert it */
    bool pending;
    bool in_service;
    void (*raised)(struct model_line *line); /* called when it becomes pending; NULL: nobody */
    uint32_t asserts;
    uint32_t claims;
};

/*
 * An MSI-X vector and the bit of an interrupt controller that its messages set. As QEMU's, it holds
 * back what comes while it is masked, also when the entry was consumed meanwhile.
 */
struct model_vector {
    bool masked;
    bool pending; /* an interrupt that the mask holds back */
    bool arrived; /* a message was not claimed yet; further ones change nothing */
    uint32_t messages;
};

/* What a write is judged by: the world as it was when a hart issued it. */
struct model_order {
    uint32_t hart;
    uint64_t loads;
    uint64_t doorbell_barriers;
    uint64_t register_barriers;
};

/* A write on its way to the device. */
struct model_posted {
    struct model_order order;
    bool is_vector; /* the mask bit of a vector; else a register or a doorbell */
    uint32_t place; /* its offset, or the vector */
    uint32_t value;
};

struct model {
    /* Registers. */
    uint8_t *bar; /* only its addresses are used */
    size_t bar_bytes;
    struct model_cap cap;
    uint32_t version;
    uint32_t cc;
    uint32_t interrupt_mask;
    uint32_t aqa;
    uint64_t asq;
    uint64_t acq;
    uint32_t page_bytes; /* CC.MPS, once enabled */
    bool ready;
    bool bus_master;             /* it can reach memory */
    bool told_ready;             /* RDY as the driver read it last */
    uint64_t ready_told_barrier; /* world.register_barriers when it read a change; else not */
    uint64_t change_at_ns, shut_down_at_ns; /* when RDY follows EN, SHST follows SHN */
    bool shut_down;

    /* Knobs of behaviour. */
    uint64_t ready_delay_ns, shutdown_delay_ns;
    bool ready_never;                /* RDY stays 0 after EN = 1 */
    bool stop_never;                 /* RDY stays 1 after EN = 0 */
    bool shutdown_never;             /* SHST never says complete */
    bool fatal_when_ready;           /* CSTS.CFS as soon as RDY is 1 */
    bool fatal, abort_ends;          /* CSTS.CFS; Abort ends its command */
    bool gone_when_enabled;          /* gone from EN = 1 on */
    bool gone;                       /* reads give all ones, writes are lost */
    bool on_demand;                  /* I/O commands complete in model_step, not at the doorbell */
    bool admin_silent, abort_agrees; /* no answer to admin commands; Abort says that it did */
    bool delete_drops;               /* Delete SQ forgets commands instead of aborting them */
    bool delete_finishes;            /* Delete SQ completes them first */
    struct random shadow_wakes;      /* falls asleep and awakes by chance; state 0: as told */
    uint32_t hang_next;              /* that many I/O commands will never be answered */
    uint32_t pending_extra;          /* QEMU's count of pending queues is too high by this */
    bool counts_pending;             /* the line follows a count of busy queues, as QEMU's */
    bool posted;                     /* writes arrive later: see model_arrive() */
    bool ids_repeat, repeats;        /* in flight twice, as in a raw ring; commands come again */
    bool msix, bends_admin;          /* vectors instead of the line; bend has admin entries too */
    bool irq_hart_masks;        /* a line of several harts: only the IRQ hart writes its mask */
    uint32_t irq_hart;          /* whose it is then, as world.hart */
    bool line_broken;           /* redundant doorbells do not lower it */
    bool stops_late;            /* after EN = 0 it moves data until RDY falls */
    bool stop_leaks;            /* as QEMU: entries left at EN = 0 raise pending_extra */
    uint16_t admin_status[256]; /* status by admin opcode, 0 = as usual */
    /* Changes the next entry of an I/O queue, its phase too; runs once. */
    void (*bend)(struct model *model, uint32_t cqid, struct nvme_completion *entry);
    void *bend_arg;
    /* What a read of a register gives instead of `value`; each time. */
    uint32_t (*lie)(struct model *model, uint32_t offset, uint32_t value);
    /* Changes a page of Identify data before it is sent; each time. */
    void (*bend_page)(struct model *model, uint8_t *page);

    /* Knobs of Identify. */
    uint8_t mdts;
    uint16_t crdt[3];     /* delays of a retry, in 100 ms; acre: the host has asked for them */
    uint32_t sgls, rtd3e; /* the latter in us */
    uint16_t crto;        /* 0: CAP.CRMS does not tell of it */
    bool list_refused;    /* Identify CNS 02h */
    uint8_t sqes, cqes;
    uint8_t write_cache, cmic;
    uint16_t cntlid;
    bool shadow_offered, shadow_deaf, shadow_awake; /* OACS; looks at none; looks all the time */
    bool without_descriptors, acre;                 /* their list is refused */
    uint32_t namespace_count;                       /* NN */
    uint32_t granted;                               /* I/O queue pairs */
    struct model_namespace namespaces[MODEL_NAMESPACES]; /* nsid - 1 */
    struct model_fault faults[MODEL_FAULTS];

    /* State and logs. */
    struct model_sq sqs[MODEL_QUEUES];
    struct model_cq cqs[MODEL_QUEUES];
    uint64_t shadow_page, event_page; /* Doorbell Buffer Config, or 0 */
    struct model_pending *pending;    /* oldest first */
    uint32_t pending_count;
    struct model_timing timing;
    struct model_flight *flights; /* with a timing: commands on their way */
    uint32_t flight_free;         /* the first place among them */
    uint64_t starts;              /* EN = 1 so far */
    void (*message)(struct model *model, uint16_t vector); /* called when one arrives */
    uint32_t cq_end;         /* one more than the highest completion queue there was */
    struct model_line *line; /* NULL: none */
    int32_t pending_queues;  /* counts_pending: with entries, by QEMU's count */
    bool interrupt_status;   /* counts_pending: what INTMS hides */
    struct model_vector vectors[MODEL_QUEUES];
    struct model_posted posted_writes[MODEL_POSTED]; /* a ring */
    uint32_t posted_first, posted_count;
    struct model_events events;
    bool asserted;
    bool masked_by_other;                 /* another hart than the IRQ hart: it must disable next */
    struct model_write writes[MODEL_LOG]; /* registers, the first ones */
    uint32_t write_count;
    struct model_write doorbells[MODEL_LOG]; /* the first ones */
    uint32_t doorbell_count;
    uint32_t empty_heads; /* head doorbells that consumed nothing; a finding unless allowed */
    uint32_t empty_heads_allowed;
    uint32_t admin_commands[256]; /* executed, by opcode */
    uint64_t clean_epoch;         /* of the command being executed */
    struct model_written written; /* by it */
    struct nvme_command last;     /* I/O command executed last */
};

/* A controller with QEMU's values, one namespace of 2048 blocks of 512 bytes; attached. */
struct model *model_new(void);

/* The same without a namespace. */
struct model *model_new_bare(void);

/* Detaches and frees. */
void model_free(struct model *model);

/* Gives namespace nsid a backing of this many blocks, filled with a pattern of its address. */
void model_set_namespace(struct model *model, uint32_t nsid, uint8_t block_shift,
                         uint64_t block_count);

/* The byte that model_set_namespace puts at this address of the backing. */
uint8_t model_pattern(uint64_t address);

/* Adds an error by LBA. */
void model_add_fault(struct model *model, uint8_t opcode, uint64_t lba, uint16_t status);

/* Executes up to `count` pending commands, oldest first; how many it was. */
uint32_t model_step(struct model *model, uint32_t count);

/* Executes pending command number `index`, 0 the oldest: completion out of order. */
void model_step_one(struct model *model, uint32_t index);

/* Ends pending command number `index` with a status, moving no data. */
void model_fail_one(struct model *model, uint32_t index, uint16_t status);

/* Entries of a completion queue that were not given back; and if there is room for more. */
uint32_t model_cq_held(const struct model *model, uint32_t cqid);
bool model_cq_full(const struct model *model, uint32_t cqid);

/* I/O commands take their time from now on. Before nvme_controller_open. */
void model_set_timing(struct model *model, const struct model_timing *timing);

/* Gives namespace nsid blocks that hold nothing: no data move. As QEMU's null backing. */
void model_set_empty_namespace(struct model *model, uint32_t nsid, uint8_t block_shift,
                               uint64_t block_count);

/* Moves the data of what a device that stops late still has; it answers none of it. */
void model_finish_late(struct model *model);

/* Puts an entry into a completion queue as the device would, whatever it says. */
void model_post_entry(struct model *model, uint32_t cqid, struct nvme_completion entry);

/* It looks at its shadow doorbells all the time; or only when it is asked to. */
void model_shadow_set_awake(struct model *model, bool awake);

/* Doorbell writes of a queue so far, and the value of the last one. */
uint32_t model_doorbell_count(const struct model *model, uint32_t queue_id, bool is_cq);
uint32_t model_doorbell_last(const struct model *model, uint32_t queue_id, bool is_cq);

/* The INTx level: PCI status bit 3, which INTMS does not hide from QEMU's view of the pin. */
bool model_level(const struct model *model);

/* The device is pulled out: gone, and its line falls. */
void model_remove(struct model *model);

/* Turns bus mastering on, as the embedder's hook does. */
void model_allow_dma(struct model *model);

/* The same as the driver reads it, from configuration space: the read pushes posted writes. */
bool model_level_read(struct model *model);

/*
 * Lets up to `count` posted writes arrive, the oldest first; how many did. They arrive too before a
 * register is read, when time goes on, and when there are too many.
 */
uint32_t model_arrive(struct model *model, uint32_t count);

/* Masks a MSI-X vector or opens it; an open one sends what was held back. Posted, as registers. */
void model_vector_mask(struct model *model, uint16_t vector, bool masked);

/* Sends a message of a vector, as a completion does. */
void model_vector_send(struct model *model, uint16_t vector);

/* Takes the claim if a message has arrived. */
bool model_vector_claim(struct model *model, uint16_t vector);

/* Takes a claim if the line is pending; complete ends it. */
bool model_line_claim(struct model_line *line);
void model_line_complete(struct model_line *line);

/* Behind world.h. */
uint32_t model_register_read(struct model *model, uint32_t offset);
void model_register_write(struct model *model, uint32_t offset, uint32_t value);
void model_completion_loaded(struct model *model, const volatile void *address, size_t size);
void model_shadow_stored(struct model *model);
bool model_is_event_index(const struct model *model, const volatile void *address);
void model_memory_cleaned(struct model *model, const void *pointer, size_t size);
void model_memory_invalidated(struct model *model, const void *pointer, size_t size);

#endif
