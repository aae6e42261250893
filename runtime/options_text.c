/*
 * How an option's range, unit and default are written, for errors and for the help (options.h).
 */
#include "options_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Writes `size` the way it can be typed: 4k, 512, 1m. */
static void write_size(uint64_t size, char *text, size_t text_bytes)
{
    static const char *const suffixes[] = {"", "k", "m", "g"};
    size_t index = 0;

    while (size != 0 && size % 1024 == 0 && index < sizeof(suffixes) / sizeof(suffixes[0]) - 1) {
        size /= 1024;
        index++;
    }
    snprintf(text, text_bytes, "%" PRIu64 "%s", size, suffixes[index]);
}

static void write_time(uint64_t time_ns, char *text, size_t text_bytes)
{
    if (time_ns % NS_PER_S == 0) {
        snprintf(text, text_bytes, "%" PRIu64 "s", time_ns / NS_PER_S);
    } else if (time_ns % NS_PER_MS == 0) {
        snprintf(text, text_bytes, "%" PRIu64 "ms", time_ns / NS_PER_MS);
    } else {
        snprintf(text, text_bytes, "%" PRIu64 "us", time_ns / NS_PER_US);
    }
}

static void write_words(const char *const *words, char *text, size_t text_bytes)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t index = 0; words[index] != NULL && used < text_bytes; index++) {
        int length =
            snprintf(text + used, text_bytes - used, "%s%s", index == 0 ? "" : ", ", words[index]);

        used += length > 0 ? (size_t)length : 0;
    }
}

void options_write_range(const struct option *option, char *text, size_t text_bytes)
{
    char low[24];
    char high[24];

    switch (option->kind) {
    case OPTION_KIND_UNSIGNED:
        write_size(option->min, low, sizeof(low));
        write_size(option->max, high, sizeof(high));
        snprintf(text, text_bytes, "%s to %s", low, high);
        break;
    case OPTION_KIND_TIME:
        write_time(option->min, low, sizeof(low));
        write_time(option->max, high, sizeof(high));
        snprintf(text, text_bytes, "%s to %s", low, high);
        break;
    case OPTION_KIND_FLAG:
        snprintf(text, text_bytes, "0 or 1");
        break;
    case OPTION_KIND_WORD:
        write_words(option->words, text, text_bytes);
        break;
    case OPTION_KIND_STRING:
        snprintf(text, text_bytes, "%" PRIu64 " to %" PRIu64 " characters", option->min,
                 option->max);
        break;
    }
}

/* The value of the option's field as it can be typed. */
static void write_default(const struct option *option, const void *defaults, char *text,
                          size_t text_bytes)
{
    const char *field = (const char *)defaults + option->offset;
    uint64_t number = 0;
    const char *string = NULL;
    unsigned word = 0;
    bool flag = false;

    switch (option->kind) {
    case OPTION_KIND_UNSIGNED:
        memcpy(&number, field, sizeof(number));
        write_size(number, text, text_bytes);
        break;
    case OPTION_KIND_TIME:
        memcpy(&number, field, sizeof(number));
        write_time(number, text, text_bytes);
        break;
    case OPTION_KIND_FLAG:
        memcpy(&flag, field, sizeof(flag));
        snprintf(text, text_bytes, "%d", flag);
        break;
    case OPTION_KIND_WORD:
        memcpy(&word, field, sizeof(word));
        snprintf(text, text_bytes, "%s", option->words[word]);
        break;
    case OPTION_KIND_STRING:
        memcpy(&string, field, sizeof(string));
        snprintf(text, text_bytes, "%s", string != NULL ? string : "none");
        break;
    }
}

void option_describe(const struct option *option, const void *defaults, char *line,
                     size_t line_bytes)
{
    char range[OPTION_RANGE_BYTES];
    char standard[OPTION_SHOWN_BYTES];

    options_write_range(option, range, sizeof(range));
    if (defaults == NULL) {
        snprintf(line, line_bytes, "%s= %s (%s)", option->key, option->help, range);
        return;
    }
    write_default(option, defaults, standard, sizeof(standard));
    snprintf(line, line_bytes, "%s= %s (%s; default %s)", option->key, option->help, range,
             standard);
}
