// SPDX-License-Identifier: MIT
/*
 * How many instructions a hart is charged for what it does, by the counts of `make instructions`
 * (tests/qemu/instructions/baseline.json, GCC 12.2). The engine does not know: the port charges
 * where the engine calls it, the board for its own work. tests/host/test_sim.py compares what
 * tests/qemu/instructions is charged on this machine with that baseline.
 */
#ifndef HARTQ_SIM_COST_H
#define HARTQ_SIM_COST_H

enum cost {
    COST_POST = 41,       /* a command, its slot and its place in the ring */
    COST_PAGE = 10,       /* an address of a buffer or of an entry of its list */
    COST_SUBMIT = 60,     /* what the commands of a submit share: the call */
    COST_CLOCKED = 29,    /* the same, without the SQ head that is charged as a look */
    COST_RING = 9,        /* a doorbell of either kind */
    COST_PROTECT = 2,     /* interrupts off, and the same again for on */
    COST_LOOK = 39,       /* a look at an entry, with what is done with one that is new */
    COST_REAPED = 36,     /* what the entries of one reap share */
    COST_REGISTER = 6,    /* a register's access, the decision included */
    COST_NOW = 14,        /* the time in nanoseconds */
    COST_CLOCK = 2,       /* the time counter */
    COST_RAW_LOOK = 12,   /* of the bench's raw ring */
    COST_RAW_RING = 10,   /* its doorbells */
    COST_WAIT = 42,       /* hybrid mode: a new wait begins, */
    COST_TIMED = 35,      /* and reads the clock */
    COST_TRAP = 44,       /* to save the registers and to restore them */
    COST_CLAIM_LINE = 13, /* a PLIC's claim, its handler's call, its complete */
    COST_CLAIM_MESSAGE = 7,
    COST_CYCLE = 288,   /* a cycle of a shared line begins */
    COST_IPI = 200,     /* the hart's own part of a trap for an IPI */
    COST_SBI = 849,     /* a call of the firmware: an IPI, */
    COST_SBI_HART = 29, /* for each hart that there is */
    COST_TICK = 60,     /* the timer's part of a trap */
};

#endif
