// SPDX-License-Identifier: MIT
/*
 * The model's asynchronous events: what it knows of them, and how a test makes one. A type that was
 * told is told again only after its log page was read.
 */
#ifndef MODEL_EVENT_H
#define MODEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme_spec.h"

enum { MODEL_EVENTS = 8, MODEL_CHANGED = 1024 };

struct model;

struct model_events {
    /* Knobs. */
    uint32_t optional; /* OAES */
    uint32_t limit;    /* AERL, 0's based */
    bool log_silent;   /* Get Log Page is never answered */
    uint64_t error_count;
    uint8_t critical_warning;
    uint16_t temperature;
    uint32_t changed[MODEL_CHANGED]; /* as the log page has it; a read empties it */
    /* State. */
    uint32_t config;                /* Asynchronous Event Configuration */
    uint32_t told;                  /* types whose log page is unread */
    uint32_t waiting[MODEL_EVENTS]; /* dword 0 of each */
    uint32_t waiting_count;
    uint32_t dw0;      /* of the one that is being told */
    uint32_t requests; /* outstanding */
    uint32_t log_reads;
};

/* An event happens: it is told when a request is there. */
void model_raise_event(struct model *model, enum nvme_async_type type, uint32_t information,
                       enum nvme_log log);

#endif
