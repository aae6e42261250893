// SPDX-License-Identifier: MIT
/*
 * The controllers of the simulated machine and what their interrupts are wired to.
 */
#ifndef HARTQ_SIM_DEVICES_H
#define HARTQ_SIM_DEVICES_H

#include <stdint.h>

#include "model.h"
#include "pci.h"

/* A controller behind its PCI function, its line and its messages. */
struct device {
    struct model *model;
    struct model_line line;
    uint32_t line_hart; /* HART_LIMIT: goes nowhere */
    void (*handler)(void *arg);
    void *arg;
    uint32_t vector_count; /* of its MSI-X table */
    struct {
        uint32_t hart;
        uint32_t identity;
    } messages[MODEL_QUEUES]; /* by vector */
};

extern struct device devices[WORLD_MODELS_MAX];
extern uint32_t device_count;

/* Builds the profile's controllers, which share one namespace. Once. */
void devices_init(void);

/* A controller's line was raised; a controller sends a message. */
void device_raised(struct model_line *line);
void device_message(struct model *model, uint16_t vector);

#endif
