// SPDX-License-Identifier: MIT
/*
 * A JSON document on the console, a value a line, two blanks of indentation a level.
 *
 * A line is printed when the next value is known, whole. So notes may come in between, and a reader
 * can tell them: a line of the document begins with a brace or a blank, a note with a letter.
 */
#ifndef HARTQ_JSON_H
#define HARTQ_JSON_H

#include <stdbool.h>
#include <stdint.h>

enum {
    JSON_TEXT_MAX = 256,                      /* bytes of a text; what is behind is left out */
    JSON_LINE_BYTES = 6 * JSON_TEXT_MAX + 128 /* each byte escaped, a name, indentation */
};

/* A document that is being printed. {0}: nothing yet. */
struct json {
    uint32_t depth;
    uint32_t size;              /* of the line; 0: there is none */
    char line[JSON_LINE_BYTES]; /* not printed yet */
    bool opens;                 /* that line opens a level: no comma behind it */
};

/* Begin and end the document, which is an object. */
void json_begin(struct json *json);
void json_end(struct json *json);

/* Begin and end an object or an array inside. name: NULL in an array. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket);

/* A number, of decimal digits of any length; a text of ASCII, which is escaped. */
void json_number(struct json *json, const char *name, const char *digits);
void json_text(struct json *json, const char *name, const char *text);

#endif
