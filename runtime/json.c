// SPDX-License-Identifier: MIT
/* See json.h. RFC 8259. */
#include "json.h"

#include <stdarg.h>
#include <stdio.h>

/* Adds to the line; JSON_LINE_BYTES are enough for every value. */
static void append_text(struct json *json, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append_text(struct json *json, const char *format, ...)
{
    uint32_t room = JSON_LINE_BYTES - json->size;
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(json->line + json->size, room, format, args);
    va_end(args);
    json->size += size < 0 || (uint32_t)size >= room ? room - 1 : (uint32_t)size;
}

static void append_string(struct json *json, const char *text)
{
    append_text(json, "\"");
    for (uint32_t i = 0; i < JSON_TEXT_MAX && text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\') {
            append_text(json, "\\%c", byte);
        } else if (byte < ' ' || byte > '~') {
            append_text(json, "\\u%04x", byte);
        } else {
            append_text(json, "%c", byte);
        }
    }
    append_text(json, "\"");
}

/* Prints the line that is held back, with a comma if another value follows it. */
static void print_line(struct json *json, bool follows)
{
    printf("%s%s\n", json->line, follows && !json->opens ? "," : "");
    json->size = 0;
    json->opens = false;
}

static void begin_line(struct json *json, const char *name, bool follows)
{
    print_line(json, follows);
    append_text(json, "%*s", (int)(2 * json->depth), "");
    if (name != NULL) {
        append_string(json, name);
        append_text(json, ": ");
    }
}

void json_begin(struct json *json)
{
    *json = (struct json){.depth = 1, .opens = true};
    append_text(json, "{");
}

void json_end(struct json *json)
{
    json->depth = 0;
    begin_line(json, NULL, false);
    append_text(json, "}");
    print_line(json, false);
}

void json_open(struct json *json, const char *name, char bracket)
{
    begin_line(json, name, true);
    append_text(json, "%c", bracket);
    json->depth++;
    json->opens = true;
}

void json_close(struct json *json, char bracket)
{
    json->depth--;
    begin_line(json, NULL, false);
    append_text(json, "%c", bracket);
}

void json_number(struct json *json, const char *name, const char *digits)
{
    begin_line(json, name, true);
    append_text(json, "%s", digits);
}

void json_text(struct json *json, const char *name, const char *text)
{
    begin_line(json, name, true);
    append_string(json, text);
}
