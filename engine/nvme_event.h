// SPDX-License-Identifier: MIT
/*
 * Events: what the embedder may want to print. Part of the public API; nvme.h includes it and has
 * the rules.
 */
#ifndef NVME_EVENT_H
#define NVME_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum nvme_event_kind {
    NVME_EVENT_MEMORY_SMALL,     /* value: bytes given, limit: bytes needed */
    NVME_EVENT_DEPTH_REDUCED,    /* value: entries wanted, limit: what CAP.MQES allows */
    NVME_EVENT_QUEUES_REDUCED,   /* value: queues wanted, limit: queues granted */
    NVME_EVENT_PAGE_SIZE,        /* value: smallest page of the device, limit: of the port */
    NVME_EVENT_LINE_REPAIRED,    /* value: redundant doorbells that freed a stuck INTx line */
    NVME_EVENT_LINE_STUCK,       /* INTx stays high: queues poll; value: doorbells tried, if any */
    NVME_EVENT_INTERRUPT_STORM,  /* value: empty interrupts in a row, limit: storms of this source
                                    so far; it is masked, its queues poll for a while */
    NVME_EVENT_STORM_OVER,       /* value: storms so far; the source is open again */
    NVME_EVENT_ADMIN_FAILED,     /* value: opcode of the admin command, limit: its status field;
                                    equal ones in a row are reported once */
    NVME_EVENT_COMMAND_TIMEOUT,  /* value: command id, limit: the deadline in ms */
    NVME_EVENT_CONTROLLER_FATAL, /* value: CSTS */
    NVME_EVENT_REMOVED,          /* value: CSTS */
    NVME_EVENT_DISABLED,         /* the failed controller no longer touches memory */
    NVME_EVENT_DISABLE_TIMEOUT,  /* value: CSTS; its requests stay owned by the device */
    NVME_EVENT_NO_SHADOW,        /* shadow doorbells are not in force; value: 1 if offered */
    NVME_EVENT_BLOCK_SIZE,       /* value: bytes of a block, limit: of a command (at most 64 KiB) */
    /* What the device tells by itself: see nvme_events_poll. */
    NVME_EVENT_DEVICE_ERROR,        /* value: the event's information, limit: the error count */
    NVME_EVENT_HEALTH,              /* value: critical warnings (a set), limit: temperature in K */
    NVME_EVENT_NAMESPACE_CHANGED,   /* value: NSID, or 0xffffffff for all: open it anew */
    NVME_EVENT_FIRMWARE_ACTIVATION, /* it starts: commands may take long; value: dword 0 */
    NVME_EVENT_ASYNCHRONOUS,        /* another event; value: dword 0 of its completion */
    NVME_EVENT_RESET,               /* it works again; value: resets so far, limit: left in a row */
    NVME_EVENT_ABORT,       /* Abort is tried; value, limit and the rest as COMMAND_TIMEOUT */
    NVME_EVENT_RESET_WAITS, /* for the owner of a queue, which does not call the watchdog; value:
                               the owner, limit: ms since RDY = 0 or since it was told last */
};

/* One event. Given to the hook by pointer, valid during the call only. */
struct nvme_event {
    enum nvme_event_kind kind;
    uint16_t queue_id; /* 0 admin, else I/O queue; 0 too when no queue is concerned */
    uint16_t closed;   /* ABORT, COMMAND_TIMEOUT of an I/O queue: nvme_queue_closed() then */
    uint64_t value;    /* see the kind */
    uint64_t limit;    /* see the kind */
    /* ABORT and COMMAND_TIMEOUT of an I/O queue, the queue at that moment: */
    uint32_t outstanding; /* commands */
    uint32_t head;        /* of the completion ring */
    bool phase;           /* that a new entry there has */
    uint64_t age_ms;      /* of the command, by the queue's clock */
    uint64_t quiet_ms;    /* since the watchdog saw that a command had ended */
    uint64_t interrupts;  /* of the queue's source */
};

/* A phrase for an event's kind, never NULL. Context: any. */
const char *nvme_event_text(enum nvme_event_kind kind);

/*
 * Takes one step of asynchronous events and never waits. nvme_config.events arms an Asynchronous
 * Event Request at bring-up. Steps: read the log page that clears the event, report it and arm the
 * next request. The request counts as no command of a queue and has no deadline; the log page has.
 * After NVME_EVENT_NAMESPACE_CHANGED the caller replaces its struct nvme_namespace by
 * nvme_namespace_open, when no request refers to it.
 * Context: as administration (R6), also in a trap of that hart that does not interrupt
 *   nvme_queue_reap or another call of administration.
 *   About every NVME_WATCHDOG_PERIOD_NS; a call too many does no harm.
 * Cost: one load, if nothing has happened. With interrupts on a line that is not shared, each
 *   interrupt looks at the admin queue too.
 */
struct nvme_controller;
void nvme_events_poll(struct nvme_controller *controller);

#ifdef __cplusplus
}
#endif

#endif
