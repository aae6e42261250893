// SPDX-License-Identifier: MIT
/*
 * A PCI host that collects messages, as examples/msi_aggregator.h describes it: two functions of
 * two queues each, and a kernel of one or two harts. Its writes are posted: they arrive with the
 * next read, or when the handler has returned.
 *
 * Queues are numbered 0 .. 3: both of function 0, both of function 1. A completion can come at any
 * step of the handlers.
 */
#ifndef MSI_BOARD_H
#define MSI_BOARD_H

#include "fixture.h"
#include "msi_aggregator.h"

enum { BOARD_FUNCTIONS = 2, BOARD_QUEUES = 4 };

/* A kind of host, and who owns the queues. */
struct board_kind {
    const char *name;
    bool collects;  /* as PLDA: no masks, a bit for all messages is the line */
    bool forwards;  /* the second queue of a function is hart 1's, the line hart 0's */
    bool own_masks; /* vectors are masked in the host, not in the function's table */
    bool quick_ipi; /* hart 1 takes an IPI at once */
};

/* There is one: the model's hook for messages has no argument. */
struct board {
    struct fixture functions[BOARD_FUNCTIONS];
    struct outcome outcomes[BOARD_QUEUES];
    struct msi_aggregator msi;
    bool (*handle)(struct msi_aggregator *msi); /* tests may set another */
    uint32_t steps;                             /* of the handlers */
    uint32_t step_of_completion;                /* UINT32_MAX: never */
    uint32_t completes;                         /* the queue whose function completes then */
};

extern struct board board;

/* Opens both functions and their queues, and connects these. */
void board_open(const struct board_kind *kind);
void board_close(void);

/* A queue, and its function. */
struct fixture *board_function(uint32_t queue);
struct nvme_queue *board_queue(uint32_t queue);

/* The number of its messages. */
uint32_t board_number(uint32_t queue);

/* Its owner posts a read, or changes the mode. The device ends a command of its function. */
void board_post(uint32_t queue);
void board_set_mode(uint32_t queue, enum nvme_mode mode);
void board_complete(uint32_t queue);

/* A step of a handler: what the search counts, from this one on. */
void board_step(void *arg);

/* The level of the line, and writes that arrive. */
bool board_line(void);
void board_arrive(void);

/* Takes interrupts and IPIs until there are none. Those of the line. */
uint32_t board_interrupts(void);

/* Requests that have ended. */
uint32_t board_ended(void);

#endif
