// SPDX-License-Identifier: MIT
/*
 * What the simulated machine is: figures of a profile, given as words sim.KEY=VALUE before the
 * program's own. scripts/sim/ writes them from a TOML file, which says where each figure is from.
 */
#ifndef HARTQ_SIM_PROFILE_H
#define HARTQ_SIM_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

/* The machine's figures. Everything is a whole number, so that every host computes the same. */
struct profile {
    /* The harts. */
    uint64_t harts;
    uint64_t instruction_ps; /* on average */
    uint64_t clock_ns;       /* to read the time counter, above its instruction */
    uint64_t csr_ns;         /* to turn interrupts off or on, above the instruction */
    uint64_t trap_ns;        /* to enter a trap and to leave it, above its instructions */
    uint64_t wake_ns;        /* from the interrupt to the first instruction behind wfi */
    uint64_t drag_ns;        /* what a command is later if its hart spins: the device is a thread */
    uint64_t ipi_ns;         /* from the sender's last instruction to the interrupt */
    uint64_t entry_ns;       /* to load an entry that the device has just written */
    uint64_t program_post;   /* instructions of the program for each request, above the engine's */
    uint64_t program_reap;   /* and for each time that it collects what has ended */
    /* What lies between the harts and the device. */
    uint64_t read_ns;      /* a register's read, there and back */
    uint64_t write_ns;     /* a register's write, as long as it holds up the hart */
    uint64_t posted_ns;    /* from there until it arrives; 0: it arrived */
    uint64_t interrupt_ns; /* from the device's interrupt to the hart's */
    bool messages;         /* MSI-X and IMSICs, else lines and a PLIC */
    bool edges;            /* the PLIC latches edges of its lines, as QEMU's */
    /* The controllers. */
    uint64_t controllers; /* that share one namespace */
    uint64_t memory_mib;
    uint64_t namespace_mib;
    uint64_t block_shift;
    struct model_timing timing; /* of each */
    const char *flaws;          /* see flaws.h; NULL: none */
};

/*
 * Takes the words sim.KEY=VALUE out of argv; *argc is what is left. Prints what is wrong and
 * returns false.
 */
bool profile_parse(struct profile *profile, int *argc, char **argv);

/* The profile of this run, valid before main() begins. */
extern struct profile the_profile;

#endif
