/*
 * What the option parser's files share: how ranges and units are written. Private to them.
 */
#ifndef HARTQ_OPTIONS_INTERNAL_H
#define HARTQ_OPTIONS_INTERNAL_H

#include "options.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* A value from the command line may be long: texts show its beginning. */
#define OPTION_SHOWN_BYTES 40

/* Characters of a range, or of a list of words, in a text. */
#define OPTION_RANGE_BYTES 80

/* Writes what the option may be into text[0 .. text_bytes - 1], each value as it can be typed. */
void options_write_range(const struct option *option, char *text, size_t text_bytes);

#endif
