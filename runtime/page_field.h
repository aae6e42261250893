// SPDX-License-Identifier: MIT
/*
 * Pages that a device sends (Identify data, logs) as tables of fields, and their values in words.
 *
 * Pure but for the printing. The names are those of nvme-cli, in its text and in its JSON.
 */
#ifndef HARTQ_PAGE_FIELD_H
#define HARTQ_PAGE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

/* What a field is, and how text shows it. In JSON the first two kinds are texts, others numbers. */
enum page_kind {
    PAGE_STRING, /* ASCII, padded with blanks */
    PAGE_BYTES,  /* in the device's order, as hexadecimal digits */
    PAGE_DECIMAL,
    PAGE_HEX,
    PAGE_PERCENT,
    PAGE_KELVIN,
    PAGE_UNITS,  /* of 512,000 bytes */
    PAGE_STATUS, /* a status field, with its phrase */
};

/* A field: little-endian, but for the first two kinds. */
struct page_field {
    const char *name;  /* in JSON */
    const char *label; /* in text; NULL: the name */
    uint16_t offset;   /* bytes */
    uint16_t size;     /* bytes: 1 .. 16, a string up to PAGE_VALUE_BYTES - 1 */
    uint8_t kind;      /* enum page_kind */
    uint8_t low;       /* the value begins at this bit, */
    uint8_t bits;      /* and has so many; 0: all that are above */
    bool optional;     /* left out when it is 0 */
};

struct page_table {
    const struct page_field *fields;
    size_t count;
};

/* Room for every value in words. */
enum { PAGE_VALUE_BYTES = 257 };

/* The lowest 64 bits of a field that is a number. */
uint64_t page_number(const struct page_field *field, const uint8_t *page);

/* Writes a value as JSON has it: decimal digits, or a text without quotes. */
void page_write_value(const struct page_field *field, const uint8_t *page,
                      char text[PAGE_VALUE_BYTES]);

/* Prints a line for each field, "label : value". */
void page_print(const struct page_table *table, const uint8_t *page);

/* Prints each field as a value of the document. */
void page_print_json(const struct page_table *table, const uint8_t *page, struct json *json);

/* ---- page_tables.c: NVMe Base 2.0 and NVM Command Set 1.0 --------------------------------- */

extern const struct page_table page_controller; /* Identify Controller, without power states */
extern const struct page_table page_namespace;  /* Identify Namespace, without formats */
extern const struct page_table page_format;     /* an LBA format */
extern const struct page_table page_smart;      /* SMART / Health Information */
extern const struct page_table page_error;      /* an entry of Error Information */

#endif
