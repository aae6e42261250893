// SPDX-License-Identifier: MIT
/*
 * The engine's embedder, which the programs share: it finds the controllers, gives each hart a
 * queue, connects interrupts and waits.
 *
 * It chooses the delivery of interrupts:
 *   msix      with an IMSIC: each queue has its own message;
 *   per-hart  with PLICs or APLICs, and as many controllers as harts: each hart has a controller
 *             with its own line;
 *   shared    a line has queues of several harts, or of a hart that its interrupt controller does
 *             not reach (a PLIC reaches the harts of its socket): one hart takes the line and
 *             sends IPIs to the others.
 */
#ifndef HARTQ_STORAGE_H
#define HARTQ_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "imsic.h"
#include "msix.h"
#include "nvme.h"
#include "pci.h"

enum {
    STORAGE_CONTROLLERS_MAX = 8,
    STORAGE_HARTS_MAX = 64,
    STORAGE_FUNCTIONS_MAX = 256,
    STORAGE_EVENTS_MAX = 16,   /* kept per controller until printed */
    STORAGE_ADDRESS_BYTES = 8, /* of storage_write_address */
};

/* The configuration of a program. Zero means the default. */
struct storage_config {
    uint32_t harts;              /* queues wanted, one per hart, 1 .. hart_count() */
    uint32_t depth_entries;      /* of each queue: iodepth + 1 */
    uint32_t cq_surplus;         /* by which the completion ring is larger */
    enum nvme_mode mode;         /* of all queues */
    bool clocked;                /* see struct nvme_queue_config */
    bool shadow_doorbells;       /* see struct nvme_config */
    bool events;                 /* see struct nvme_config; their hart polls them while it works */
    bool irq_off;                /* see struct nvme_queue_config: the owners' loops keep them off */
    uint32_t max_transfer_bytes; /* see struct nvme_config */
    uint64_t timeout_ns;         /* see struct nvme_config.command_timeout_ns */
    uint32_t resets_max;         /* see struct nvme_config. Not 0: requests, writes too, are tried
                                    again as often */
    uint32_t nsid;               /* 0: the first namespace that can be used */
    const char *controller;      /* PCI address of the only one, such as 00:02.0; NULL: any */
    const char *serial;          /* of the controllers to use; NULL: any */
    uint32_t controllers_max;    /* how many to use at most, 0: all */
    uint32_t line_hart;          /* n: all lines go to hart n - 1, else the storage does not open.
                                    0: a line goes to the first owner of a queue on it that its
                                    interrupt controller reaches, else to another hart */
    bool spread;                 /* hart 0 owns all queues[], on the controllers in turn */
};

/*
 * One controller. Traps of any hart keep events in a ring until storage_print_events. Their numbers
 * count from 0, and the place of an event is its number % STORAGE_EVENTS_MAX.
 */
struct storage_controller {
    struct nvme_controller *engine; /* NULL: dropped */
    const struct pci_function *function;
    struct msix msix;          /* vector_count 0: no MSI-X, or no IMSIC */
    bool shared;               /* shared INTx: its line has queues of harts other than irq_hart */
    uint32_t irq_hart;         /* hart that takes its line */
    bool quiet;                /* an earlier note gave the reason why it is not used */
    bool noted;                /* this bring-up has printed a note */
    struct nvme_memory memory; /* of the engine */
    struct nvme_namespace ns;
    struct nvme_namespace_info identity; /* of ns */
    struct nvme_event events[STORAGE_EVENTS_MAX];
    uint32_t events_ready[STORAGE_EVENTS_MAX]; /* number + 1 of the event there; atomic */
    uint32_t event_count;                      /* places given out; atomic */
    uint32_t events_printed;                   /* their places are free again; atomic */
    uint32_t events_dropped;                   /* without a place, since the last print; atomic */
    uint32_t namespace_changed;                /* 1: the device said so; atomic */
};

/* A hart's queue, in a cache line of its own. */
struct storage_queue {
    _Alignas(64) struct nvme_queue *engine; /* NULL: closed, or its controller is dropped */
    struct storage *storage;
    struct storage_controller *controller;
    const struct nvme_namespace *ns;
    uint32_t polls; /* since the last look at the clock */
    uint32_t waits; /* that did not sleep */
    uint32_t hart;
    uint16_t vector; /* 0: none */
    struct imsic_message message;
};

/* The handler of another device on one of our lines. True: it found something to do. */
typedef bool storage_other_device(void *arg);

/* An interrupt and the controllers on it. */
struct storage_line {
    struct machine_interrupt irq;
    uint32_t hart;
    size_t count;
    struct nvme_controller *controllers[STORAGE_CONTROLLERS_MAX];
    storage_other_device *other_device; /* NULL: none */
    void *other_device_arg;
};

/* Everything that is open. One per program, static. */
struct storage {
    struct storage_config config;
    struct storage_controller controllers[STORAGE_CONTROLLERS_MAX];
    uint32_t controller_count;
    struct storage_queue queues[STORAGE_HARTS_MAX];
    uint32_t queue_count; /* may be fewer than wanted: a note tells */
    struct storage_line lines[STORAGE_CONTROLLERS_MAX];
    size_t line_count;
    struct pci_function functions[STORAGE_FUNCTIONS_MAX];
    uint32_t function_count;
    size_t heap_mark;
    bool passed[STORAGE_FUNCTIONS_MAX]; /* over, since it cannot be used; by this open */
    bool told[STORAGE_FUNCTIONS_MAX];   /* a note gave the reason; kept from open to open */
    const char *delivery;               /* "per-hart", "shared" or "msix" */
};

/*
 * Opens controllers, the namespace and config->harts queues. Queue i belongs to hart i; with
 * `spread` all belong to hart 0. Several controllers are used if they show one namespace
 * (namespace_view.h). A controller that cannot be used is left out, with a note. On an error it
 * prints what, value, limit and hint, closes everything and returns false.
 * Context: hart 0.
 */
bool storage_open(struct storage *storage, const struct storage_config *config);

/*
 * Closes queues and controllers in order and releases the memory. Each hart runs a function, so
 * that none is left in a handler. False: an error was printed.
 * Context: hart 0, while the other harts are idle.
 */
bool storage_close(struct storage *storage);

/*
 * Brings up the controllers of the machine one after another, each alone and without queues, and
 * calls visit with each, whatever its namespaces are. Nothing is open before and after. One that
 * could not be brought up is visited without its engine (NULL), unless a serial number is asked
 * for. False: there was such a one, or none at all; a note or an error was printed.
 */
typedef void storage_visit(void *arg, const struct storage_controller *controller);
bool storage_survey(struct storage *storage, const struct storage_config *config,
                    storage_visit *visit, void *arg);

/*
 * Start and stop the watchdog's timer around the hart's work. Start also attaches the handler of
 * IPIs, which stays until the storage is closed: the hart may have a shared line of another queue.
 * Before stop the caller waits until no request is outstanding.
 * Context: the owner hart.
 */
void storage_hart_start(struct storage_queue *queue);
void storage_hart_stop(struct storage_queue *queue);

/*
 * Makes a hart that takes lines and owns no queue answer IPIs, earlier ones too, until the storage
 * is closed. It must sleep with interrupts on, as a hart without work does. storage_open() calls
 * this; a second call does no harm.
 */
void storage_line_start(struct storage *storage);

/*
 * One step of waiting: reaps a polled queue once, or sleeps until an interrupt if nothing is ready,
 * and takes it. The caller turns interrupts off and then looks at what it waits for. The interrupt
 * of a completion between that look and the sleep stays pending and ends the sleep. With interrupts
 * on, only the watchdog's next tick would find such a completion.
 * Context: the owner hart, interrupts off; they are off on return.
 */
void storage_wait(struct storage_queue *queue, enum nvme_wait_kind kind);

/*
 * nvme_queue_enter_raw(). The interrupts of a queue that has any call handler(arg) in the trap, not
 * the engine, until the storage is closed.
 * Context: the owner hart, interrupts off.
 */
struct nvme_ring;
enum nvme_error storage_enter_raw(struct storage_queue *queue, struct nvme_ring *ring,
                                  void (*handler)(void *arg), void *arg);

/*
 * Sleeps until an interrupt, which is pending or comes, and takes it. A queue that the engine does
 * not look at is waited for so.
 * Context: an owner hart, interrupts off; they are off on return.
 */
void storage_sleep(void);

/*
 * Attaches the handler of another kind of device to an open line. The hart that takes the line
 * calls handler(arg) in the trap, after each claim. NULL detaches it; a call that is under way on
 * that hart goes on. Detach a handler before you attach another. False: no such line.
 * Context: any hart, a thread.
 */
bool storage_attach_other_device(struct storage *storage, struct machine_interrupt irq,
                                 storage_other_device *handler, void *arg);

/* Writes a PCI address as 00:02.0: bus, device and function. */
void storage_write_address(const struct pci_function *function, char text[STORAGE_ADDRESS_BYTES]);

/*
 * Takes the next step of asynchronous events on the controllers whose interrupt this hart takes. A
 * hart that owns a queue calls it by itself while it works. Context: as nvme_events_poll.
 */
void storage_poll_events(const struct storage *storage);

/*
 * Opens each namespace anew of which a device said that it has changed, and prints what it is now.
 * Context: a thread of the hart that takes the interrupts, no request is outstanding.
 */
void storage_refresh_namespaces(struct storage *storage);

/*
 * Removal and return of controllers[index], which is in a hot-plug slot (pci_slot.h); the others go
 * on. Context: a thread of the hart that takes its interrupt.
 *
 * storage_drop() closes the queues and the controller, which has failed or been stopped: no request
 * is outstanding, and the owners have called storage_hart_stop and do not touch its queues. The
 * memory is kept. storage_take_back() waits up to 1 s for a device in the slot, and opens it, its
 * namespace and its queues there. False: an error or a note was printed, and it stays dropped. Then
 * it can be called again, also for the next device in the slot.
 */
void storage_drop(struct storage *storage, uint32_t index);
bool storage_take_back(struct storage *storage, uint32_t index);

/* Prints the events since the last call, with their numbers. Context: hart 0, a thread. */
void storage_print_events(struct storage *storage);

/* Prints each queue that has missed interrupts: how many, and the state of its source. */
void storage_print_missed(const struct storage *storage);

/* Prints one line: controllers, namespace, queues, depth, mode, delivery. */
void storage_print_banner(const struct storage *storage);

/* The counters of all queues, added up. */
void storage_count(const struct storage *storage, struct nvme_counters *sum);

#endif
