// SPDX-License-Identifier: MIT
/*
 * The way from a hart to the device, behind nvme_port.h: registers, and memory that the device
 * writes. Each call charges the hart.
 */
#ifndef HARTQ_SIM_BUS_H
#define HARTQ_SIM_BUS_H

#include <stdint.h>

struct model;

/* A register, or the two dwords that stand for doorbells in loopback. */
uint32_t bus_read(const volatile void *address);
void bus_write(volatile void *address, uint32_t value);

/* A write was given to a device: it arrives after the profile's time, if it has not yet. */
void bus_deliver(struct model *model);

/* The hart's time is the world's from here on: it touches what others see. */
void bus_enter(void);

/* The memory behind a register's read is read in order. */
void bus_read_ordered(void);

/* Before the load of an entry's phase: by the engine, by the raw ring. */
void bus_look(const volatile void *address);
void bus_look_raw(const volatile void *address);

/* An entry was new. */
void bus_entry_found(void);

/* A command stands in a ring. */
void bus_posted(void);

#endif
