// SPDX-License-Identifier: MIT
/*
 * The little kernel around the engine that the programs share: finds the controllers, gives each
 * hart a queue, connects interrupts, waits.
 *
 * This is what an embedder writes, and the place where engine and platform meet. It decides the
 * delivery: a machine with an IMSIC gives each queue a message of its own (msix); with PLICs or
 * APLICs as many controllers as harts give each hart a controller and a line of its own (per-hart);
 * where a line has queues of several harts, or of one that its interrupt controller does not reach
 * (a PLIC reaches the harts of its socket), one hart takes it and interrupts the others (shared).
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

/* What a program wants. Zero means the default. */
struct storage_config {
    uint32_t harts;              /* queues wanted, one per hart, 1 .. hart_count() */
    uint32_t depth_entries;      /* of each queue: iodepth + 1 */
    enum nvme_mode mode;         /* of all queues */
    bool irq_off;                /* see struct nvme_queue_config: the owners' loops keep them off */
    uint32_t max_transfer_bytes; /* see struct nvme_config */
    uint64_t timeout_ns;         /* see struct nvme_config.command_timeout_ns */
    uint32_t nsid;               /* 0: the first namespace that can be used */
    const char *controller;      /* PCI address such as 00:02.0 of the only one; NULL: any */
    const char *serial;          /* of the controllers to use; NULL: any */
    uint32_t controllers_max;    /* use no more than these, 0: all */
    uint32_t line_hart;          /* 0: an interrupt line goes to the first owner of a queue on it
                                    that its controller reaches, else to another hart; n: all go
                                    to hart n - 1, or the storage does not open */
    bool spread;                 /* one hart drives every controller: queues[] go round them */
};

/* One controller. Events are written in traps and read by storage_print_events. */
struct storage_controller {
    struct nvme_controller *engine;
    const struct pci_function *function;
    struct msix msix;  /* vector_count 0: it has none, or the machine no IMSIC */
    bool shared;       /* its line has queues of several harts, or of another than it goes to */
    uint32_t irq_hart; /* hart that its line goes to */
    bool quiet;        /* why it is not used was said before */
    bool noted;        /* it was said just now */
    struct nvme_namespace ns;
    struct nvme_namespace_info identity; /* of ns */
    struct nvme_event events[STORAGE_EVENTS_MAX];
    uint32_t event_count; /* atomic; may exceed STORAGE_EVENTS_MAX: then some were dropped */
    uint32_t events_printed;
};

/* A hart's queue. Cache line apart from its neighbours. */
struct storage_queue {
    _Alignas(64) struct nvme_queue *engine; /* NULL: closed */
    struct storage *storage;
    struct storage_controller *controller;
    const struct nvme_namespace *ns;
    uint32_t polls; /* since the last look at the clock */
    uint32_t waits; /* awake */
    uint32_t hart;
    uint16_t vector; /* 0: none */
    struct imsic_message message;
};

/* A handler of another device on a line of ours. Returns true if it found something to do. */
typedef bool storage_foreign(void *arg);

/* An interrupt and the controllers on it. */
struct storage_line {
    struct machine_interrupt irq;
    uint32_t hart;
    size_t count;
    struct nvme_controller *controllers[STORAGE_CONTROLLERS_MAX];
    storage_foreign *foreign; /* NULL: none */
    void *foreign_arg;
};

/* Everything that is open. One per program, static. */
struct storage {
    struct storage_config config;
    struct storage_controller controllers[STORAGE_CONTROLLERS_MAX];
    uint32_t controller_count;
    struct storage_queue queues[STORAGE_HARTS_MAX];
    uint32_t queue_count; /* may be fewer than wanted: said on the console */
    struct storage_line lines[STORAGE_CONTROLLERS_MAX];
    size_t line_count;
    struct pci_function functions[STORAGE_FUNCTIONS_MAX];
    uint32_t function_count;
    size_t heap_mark;
    bool told[STORAGE_FUNCTIONS_MAX]; /* why it is not used was said; kept from open to open */
    const char *delivery;             /* "per-hart", "shared" or "msix" */
};

/*
 * Opens controllers, the namespace and config->harts queues; queue i belongs to hart i (with
 * `spread`: all to hart 0). Called on hart 0. Several controllers are used if they show one medium
 * (medium.h). What cannot be used does not hide what can: it is passed over, and named in a note.
 * Prints why it failed (what, value, limit, hint) and returns false; what was opened is closed.
 */
bool storage_open(struct storage *storage, const struct storage_config *config);

/*
 * Closes queues and controllers in order, gives the memory back. On hart 0, while the other harts
 * are idle: each of them comes by, so that none is in a handler. False: said on the console.
 */
bool storage_close(struct storage *storage);

/*
 * Brings up the controllers of the machine one after the other, each alone and without queues, and
 * calls visit with it, whatever its namespaces are. Nothing is open before and after. False: there
 * was none, or not all could be brought up, which was said.
 */
typedef void storage_visit(void *arg, const struct storage_controller *controller);
bool storage_survey(struct storage *storage, const struct storage_config *config,
                    storage_visit *visit, void *arg);

/*
 * On the owner hart, around its work: starts and stops the watchdog's timer, and lets the hart take
 * external interrupts and IPIs. Stop leaves no request outstanding unattended: wait first. IPIs
 * of a shared line are answered until the storage is closed.
 */
void storage_hart_start(struct storage_queue *queue);
void storage_hart_stop(struct storage_queue *queue);

/*
 * On a hart that takes lines and owns no queue: it answers IPIs from now on, those that came
 * before too, until the storage is closed. It must sleep with interrupts on, as a hart without work
 * does. storage_open() has done it; again is no harm.
 */
void storage_line_start(struct storage *storage);

/*
 * One step of waiting on the owner hart: services a polled queue once, or sleeps until an interrupt
 * if nothing is ready, and takes it. Called with interrupts off, after the caller's own look at
 * what it waits for, and returns so: a completion between that look and the sleep stays pending and
 * ends it. With interrupts on, such a completion would be noticed at the watchdog's next tick only.
 */
void storage_wait(struct storage_queue *queue);

/*
 * Calls handler(arg) whenever the interrupt source of an open line is claimed, in the trap of the
 * hart that takes it: for a device of another kind on the same line. NULL: no more, but a call that
 * is under way on that hart goes on. Before another handler is given, NULL. On any hart, in a
 * thread. False: no such line.
 */
bool storage_attach_foreign(struct storage *storage, struct machine_interrupt irq,
                            storage_foreign *handler, void *arg);

/* Writes a PCI address as 00:02.0: bus, device and function. */
void storage_write_address(const struct pci_function *function, char text[STORAGE_ADDRESS_BYTES]);

/* Prints the events that came since the last call, with their numbers. Hart 0, outside traps. */
void storage_print_events(struct storage *storage);

/* A line for each queue that has missed interrupts: how many, and whether its source is open. */
void storage_print_missed(const struct storage *storage);

/* One line on the console: controllers, namespace, queues, depth, mode, delivery. */
void storage_print_banner(const struct storage *storage);

/* The counters of all queues, added up. */
void storage_count(const struct storage *storage, struct nvme_counters *sum);

#endif
