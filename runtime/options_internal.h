/*
 * Private to the option parser: how ranges and units are written.
 */
#ifndef HARTQ_OPTIONS_INTERNAL_H
#define HARTQ_OPTIONS_INTERNAL_H

#include "options.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* A text shows so many characters of a long value. */
#define OPTION_SHOWN_BYTES 40

/* Characters of a range, or of a list of words, in a text. */
#define OPTION_RANGE_BYTES 80

/* Writes an option's range or words into text[0 .. text_bytes - 1], as a user can type them. */
void options_write_range(const struct option *option, char *text, size_t text_bytes);

#endif
