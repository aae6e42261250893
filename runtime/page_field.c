// SPDX-License-Identifier: MIT
/* See page_field.h. */
#include "page_field.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nvme.h"

enum {
    NUMBER_BYTES = 16,
    BITS_OF_64 = 64,
    KELVIN_OF_0_C = 273,
    KB_PER_UNIT = 512,
    LABEL_COLUMNS = 39,
};

uint64_t page_number(const struct page_field *field, const uint8_t *page)
{
    uint64_t number = 0;

    for (size_t i = 0; i < field->size && i < sizeof(number); i++) {
        number |= (uint64_t)page[field->offset + i] << 8 * i;
    }
    number >>= field->low;
    return field->bits == 0 ? number : number & ~UINT64_C(0) >> (BITS_OF_64 - field->bits);
}

/* True if the field has more than 64 bits, and one of them is set. */
static bool is_large(const struct page_field *field, const uint8_t *page)
{
    for (size_t i = sizeof(uint64_t); i < field->size; i++) {
        if (page[field->offset + i] != 0) {
            return true;
        }
    }
    return false;
}

/* Divides the number by 10 in place, and returns the remainder. */
static unsigned divide_by_10(uint8_t number[NUMBER_BYTES])
{
    unsigned rest = 0;

    for (int i = NUMBER_BYTES - 1; i >= 0; i--) {
        unsigned part = rest << 8 | number[i];

        number[i] = (uint8_t)(part / 10);
        rest = part % 10;
    }
    return rest;
}

/* All digits of a field of up to 128 bits, from the last. */
static void write_large(const struct page_field *field, const uint8_t *page, char *text)
{
    uint8_t number[NUMBER_BYTES] = {0};
    char digits[PAGE_VALUE_BYTES];
    size_t at = sizeof(digits) - 1;
    static const uint8_t zero[NUMBER_BYTES];

    memcpy(number, page + field->offset, field->size);
    digits[at] = '\0';
    while (memcmp(number, zero, sizeof(number)) != 0) {
        digits[--at] = (char)('0' + divide_by_10(number));
    }
    memcpy(text, digits + at, sizeof(digits) - at);
}

static void write_string(const struct page_field *field, const uint8_t *page, char *text)
{
    size_t end = 0;

    for (size_t i = 0; i < field->size && page[field->offset + i] != '\0'; i++) {
        uint8_t byte = page[field->offset + i];

        text[i] = byte >= ' ' && byte <= '~' ? (char)byte : ' ';
        end = text[i] != ' ' ? i + 1 : end;
    }
    text[end] = '\0';
}

static void write_bytes(const struct page_field *field, const uint8_t *page, char *text)
{
    for (size_t i = 0; i < field->size; i++) {
        snprintf(text + 2 * i, 3, "%02x", page[field->offset + i]);
    }
}

void page_write_value(const struct page_field *field, const uint8_t *page,
                      char text[PAGE_VALUE_BYTES])
{
    if (field->kind == PAGE_STRING) {
        write_string(field, page, text);
    } else if (field->kind == PAGE_BYTES) {
        write_bytes(field, page, text);
    } else if (is_large(field, page)) {
        write_large(field, page, text);
    } else {
        snprintf(text, PAGE_VALUE_BYTES, "%" PRIu64, page_number(field, page));
    }
}

/* True if the field is one of those that are left out when they are 0, and it is. */
static bool is_absent(const struct page_field *field, const uint8_t *page)
{
    return field->optional && page_number(field, page) == 0 && !is_large(field, page);
}

/* Prints what text shows behind the value, or in its place. */
static void print_value(const struct page_field *field, const uint8_t *page)
{
    uint64_t number = page_number(field, page);
    char value[PAGE_VALUE_BYTES];

    page_write_value(field, page, value);
    switch (field->kind) {
    case PAGE_HEX:
        printf("%#" PRIx64, number);
        break;
    case PAGE_PERCENT:
        printf("%s%%", value);
        break;
    case PAGE_KELVIN:
        printf("%" PRId64 " C (%s K)", (int64_t)number - KELVIN_OF_0_C, value);
        break;
    case PAGE_UNITS:
        printf("%s", value);
        if (!is_large(field, page) && number <= UINT64_MAX / KB_PER_UNIT) {
            printf(" (%" PRIu64 " kB)", number * KB_PER_UNIT);
        }
        break;
    case PAGE_STATUS:
        printf("0x%" PRIx64 " (%s)", number, nvme_status_text((uint16_t)number));
        break;
    default:
        printf("%s", value);
    }
}

void page_print(const struct page_table *table, const uint8_t *page)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct page_field *field = &table->fields[i];

        if (!is_absent(field, page)) {
            printf("%-*s : ", LABEL_COLUMNS, field->label != NULL ? field->label : field->name);
            print_value(field, page);
            printf("\n");
        }
    }
}

void page_print_json(const struct page_table *table, const uint8_t *page, struct json *json)
{
    char value[PAGE_VALUE_BYTES];

    for (size_t i = 0; i < table->count; i++) {
        const struct page_field *field = &table->fields[i];

        if (is_absent(field, page)) {
            continue;
        }
        page_write_value(field, page, value);
        if (field->kind == PAGE_STRING || field->kind == PAGE_BYTES) {
            json_text(json, field->name, value);
        } else {
            json_number(json, field->name, value);
        }
    }
}
