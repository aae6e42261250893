/*
 * Options of the form key=value, parsed by a table that each program writes for its own struct.
 *
 * The table gives each option's field, range and meaning. The parser, the error texts and the help
 * use it. Pure C: it needs no program, no console and no memory but the caller's.
 */
#ifndef HARTQ_OPTIONS_H
#define HARTQ_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_KIND_UNSIGNED, /* uint64_t: 4096, 4k, 1m, 2g, 1t, 0x1000; suffixes are powers of 1024 */
    OPTION_KIND_TIME,     /* uint64_t nanoseconds: 5 and 5s are seconds, 500ms, 20us, 5m, 1h, 1d */
    OPTION_KIND_FLAG,     /* bool: 0 or 1 */
    OPTION_KIND_WORD,     /* an enum or unsigned: index of the word in `words` */
    OPTION_KIND_STRING,   /* const char *: points into argv, valid as long as that is */
};

/* The longest key, and the longest word that is suggested for a misspelt one. */
#define OPTION_KEY_MAX 31

/* Enough for every error text; a smaller buffer gets the start of it. */
#define OPTION_ERROR_BYTES 192

/* One option. Write it with the OPTION_ macros below, which check the field's type. */
struct option {
    const char *key;          /* 1 to OPTION_KEY_MAX characters */
    enum option_kind kind;    /* determines the field's type */
    size_t offset;            /* bytes from the start of the target struct to the field */
    uint64_t min;             /* lowest value, or shortest length of a string */
    uint64_t max;             /* highest value, or longest length of a string */
    const char *const *words; /* OPTION_KIND_WORD: the words, NULL after the last */
    const char *help;         /* its meaning in a few words, with the unit */
};

struct option_table {
    const struct option *options;
    size_t count;
};

/* The offset of a field. It compiles only if the field has the expected type. */
#define OPTION_FIELD(type, field, expected)                                                        \
    _Generic(((type *)0)->field, expected : offsetof(type, field))

#define OPTION_UNSIGNED(name, type, field, low, high, text)                                        \
    {                                                                                              \
        .key = (name), .kind = OPTION_KIND_UNSIGNED,                                               \
        .offset = OPTION_FIELD(type, field, uint64_t), .min = (low), .max = (high), .help = (text) \
    }

/* low_ns and high_ns are nanoseconds. */
#define OPTION_TIME(name, type, field, low_ns, high_ns, text)                                      \
    {                                                                                              \
        .key = (name), .kind = OPTION_KIND_TIME, .offset = OPTION_FIELD(type, field, uint64_t),    \
        .min = (low_ns), .max = (high_ns), .help = (text)                                          \
    }

#define OPTION_FLAG(name, type, field, text)                                                       \
    {                                                                                              \
        .key = (name), .kind = OPTION_KIND_FLAG, .offset = OPTION_FIELD(type, field, bool),        \
        .max = 1, .help = (text)                                                                   \
    }

#define OPTION_WORD(name, type, field, list, text)                                                 \
    {                                                                                              \
        .key = (name), .kind = OPTION_KIND_WORD, .offset = OPTION_FIELD(type, field, unsigned),    \
        .words = (list), .help = (text)                                                            \
    }

#define OPTION_STRING(name, type, field, longest, text)                                            \
    {                                                                                              \
        .key = (name), .kind = OPTION_KIND_STRING,                                                 \
        .offset = OPTION_FIELD(type, field, const char *), .min = 1, .max = (longest),             \
        .help = (text)                                                                             \
    }

/*
 * Parses argv[0] to argv[argc - 1], each `key=value`, into the fields of *target.
 *
 * Options that no word names keep the caller's value. All words are checked before the first is
 * stored: an error leaves *target unchanged. Errors are an unknown key, a key given twice, a word
 * without `=` or without a value, and an unknown word. A number may not overflow, be out of range
 * or have anything after it.
 *
 * Returns true, or false with one line in error[0 .. error_bytes - 1]: what, the value, the limit,
 * and for a misspelt key or word the nearest one. Cost: argc squared comparisons.
 */
bool options_parse(const struct option_table *table, int argc, char *const argv[], void *target,
                   char *error, size_t error_bytes);

/*
 * The word of `words` (NULL after the last) that is nearest to `typed`, or NULL if none is near
 * enough.
 */
const char *options_nearest(const char *typed, const char *const *words);

/*
 * Writes one line of help about an option, without a line end, into line[0 .. line_bytes - 1]: its
 * key, meaning, range or words, and its default. *defaults is a target struct with the defaults
 * (NULL: no default is shown). A line that does not fit is cut.
 */
void option_describe(const struct option *option, const void *defaults, char *line,
                     size_t line_bytes);

#endif
