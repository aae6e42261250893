/*
 * The parser of key=value options (options.h); its texts are options_text.c's.
 *
 * It passes over the words twice: first it checks, then it stores, which cannot fail. It neither
 * allocates nor prints.
 */
#include "options_internal.h"

#include <stdio.h>
#include <string.h>

/* A misspelt word differs from the right one in at most this many letters. */
#define DISTANCE_MAX 3

struct suffix {
    const char *text;
    uint64_t factor;
};

static const struct suffix size_suffixes[] = {
    {"", 1},
    {"k", UINT64_C(1) << 10},
    {"m", UINT64_C(1) << 20},
    {"g", UINT64_C(1) << 30},
    {"t", UINT64_C(1) << 40},
    {NULL, 0},
};

static const struct suffix time_suffixes[] = {
    {"", NS_PER_S},
    {"s", NS_PER_S},
    {"ms", NS_PER_MS},
    {"msec", NS_PER_MS},
    {"us", NS_PER_US},
    {"usec", NS_PER_US},
    {"m", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"d", 24 * 3600 * NS_PER_S},
    {NULL, 0},
};

/* The value of a word after it was checked. */
struct value {
    uint64_t number;
    const char *string;
};

/* One call of the parser; error is the caller's buffer. */
struct parser {
    const struct option_table *table;
    char *error;
    size_t error_bytes;
};

static char lower_letter(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool equal_ignoring_case(const char *left, const char *right)
{
    while (*left != '\0' && lower_letter(*left) == lower_letter(*right)) {
        left++;
        right++;
    }
    return lower_letter(*left) == lower_letter(*right);
}

/* How many letters of the first `from_length` of `from` to change, add or remove to get `to`. */
static size_t edit_distance(const char *from, size_t from_length, const char *to)
{
    size_t row[OPTION_KEY_MAX + 1];
    size_t to_length = strlen(to);

    if (from_length > OPTION_KEY_MAX || to_length > OPTION_KEY_MAX) {
        return SIZE_MAX;
    }
    for (size_t column = 0; column <= to_length; column++) {
        row[column] = column;
    }
    for (size_t line = 1; line <= from_length; line++) {
        size_t diagonal = row[0];

        row[0] = line;
        for (size_t column = 1; column <= to_length; column++) {
            size_t change = diagonal + (from[line - 1] != to[column - 1]);
            size_t shorter = (row[column] < row[column - 1] ? row[column] : row[column - 1]) + 1;

            diagonal = row[column];
            row[column] = change < shorter ? change : shorter;
        }
    }
    return row[to_length];
}

/* Keeps the candidate if it is nearer to the typed word than all before. */
static void consider_candidate(const char *typed, size_t typed_length, const char *candidate,
                               const char **nearest, size_t *nearest_distance)
{
    size_t distance = edit_distance(typed, typed_length, candidate);

    /* Three changed letters of a four-letter word are another word. */
    if (distance < *nearest_distance && distance * 2 <= typed_length) {
        *nearest = candidate;
        *nearest_distance = distance;
    }
}

const char *options_nearest(const char *typed, const char *const *words)
{
    const char *nearest = NULL;
    size_t distance = DISTANCE_MAX + 1;

    for (size_t index = 0; words[index] != NULL; index++) {
        consider_candidate(typed, strlen(typed), words[index], &nearest, &distance);
    }
    return nearest;
}

static const struct option *find_option(const struct option_table *table, const char *key,
                                        size_t key_length)
{
    for (size_t index = 0; index < table->count; index++) {
        const char *known = table->options[index].key;

        if (strlen(known) == key_length && memcmp(known, key, key_length) == 0) {
            return &table->options[index];
        }
    }
    return NULL;
}

static bool refuse_unknown_key(const struct parser *parser, const char *key, size_t key_length)
{
    const char *nearest = NULL;
    size_t distance = DISTANCE_MAX + 1;
    int shown = (int)(key_length < OPTION_SHOWN_BYTES ? key_length : OPTION_SHOWN_BYTES);

    for (size_t index = 0; index < parser->table->count; index++) {
        consider_candidate(key, key_length, parser->table->options[index].key, &nearest, &distance);
    }
    if (nearest != NULL) {
        snprintf(parser->error, parser->error_bytes,
                 "option '%.*s' is unknown (did you mean '%s'?)", shown, key, nearest);
    } else {
        snprintf(parser->error, parser->error_bytes, "option '%.*s' is unknown", shown, key);
    }
    return false;
}

/* Refuses a value; `why` ends a sentence that begins with the option and its value. */
static bool refuse_value(const struct parser *parser, const struct option *option, const char *text,
                         const char *why)
{
    char range[OPTION_RANGE_BYTES];

    options_write_range(option, range, sizeof(range));
    snprintf(parser->error, parser->error_bytes, "%s=%.*s %s (%s)", option->key, OPTION_SHOWN_BYTES,
             text, why, range);
    return false;
}

/* The value of a digit, 16 if it is none. */
static unsigned digit_value(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return (unsigned)(letter - '0');
    }
    letter = (char)(letter | ' ');
    return letter >= 'a' && letter <= 'f' ? (unsigned)(letter - 'a' + 10) : 16;
}

/* Reads digits of base 10 or 16; false on overflow. *end is the first character after them. */
static bool read_digits(const char *text, unsigned base, uint64_t *number, const char **end)
{
    uint64_t sum = 0;

    for (; digit_value(*text) < base; text++) {
        unsigned digit = digit_value(*text);

        if (sum > (UINT64_MAX - digit) / base) {
            return false;
        }
        sum = sum * base + digit;
    }
    *number = sum;
    *end = text;
    return true;
}

/* A whole number and one of the suffixes, or 0x and its digits, in the option's range. */
static bool judge_number(const struct parser *parser, const struct option *option, const char *text,
                         struct value *value)
{
    const struct suffix *suffix = option->kind == OPTION_KIND_TIME ? time_suffixes : size_suffixes;
    bool hex = option->kind == OPTION_KIND_UNSIGNED && text[0] == '0' && (text[1] | ' ') == 'x';
    const char *begin = hex ? text + 2 : text;
    const char *end = begin;
    uint64_t number = 0;

    if (!read_digits(begin, hex ? 16 : 10, &number, &end)) {
        return refuse_value(parser, option, text, "is too large");
    }
    while (suffix->text != NULL && !equal_ignoring_case(suffix->text, end)) {
        suffix++;
    }
    if (end == begin || suffix->text == NULL) {
        return refuse_value(parser, option, text,
                            option->kind == OPTION_KIND_TIME
                                ? "is not a time such as 5, 5s or 500ms"
                                : "is not a number such as 8 or 4k");
    }
    if (number > UINT64_MAX / suffix->factor || number * suffix->factor > option->max) {
        return refuse_value(parser, option, text, "is too large");
    }
    if (number * suffix->factor < option->min) {
        return refuse_value(parser, option, text, "is too small");
    }
    value->number = number * suffix->factor;
    return true;
}

static bool judge_flag(const struct parser *parser, const struct option *option, const char *text,
                       struct value *value)
{
    if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
        return refuse_value(parser, option, text, "is not a flag");
    }
    value->number = text[0] == '1';
    return true;
}

static bool judge_word(const struct parser *parser, const struct option *option, const char *text,
                       struct value *value)
{
    for (size_t index = 0; option->words[index] != NULL; index++) {
        if (strcmp(option->words[index], text) == 0) {
            value->number = index;
            return true;
        }
    }

    const char *nearest = options_nearest(text, option->words);
    char why[OPTION_SHOWN_BYTES + OPTION_KEY_MAX] = "is unknown";

    if (nearest != NULL) {
        snprintf(why, sizeof(why), "is unknown, did you mean '%s'?", nearest);
    }
    return refuse_value(parser, option, text, why);
}

static bool judge_string(const struct parser *parser, const struct option *option, const char *text,
                         struct value *value)
{
    size_t length = strlen(text);

    if (length < option->min || length > option->max) {
        return refuse_value(parser, option, text, "has the wrong length");
    }
    value->string = text;
    return true;
}

static bool judge_value(const struct parser *parser, const struct option *option, const char *text,
                        struct value *value)
{
    switch (option->kind) {
    case OPTION_KIND_UNSIGNED:
    case OPTION_KIND_TIME:
        return judge_number(parser, option, text, value);
    case OPTION_KIND_FLAG:
        return judge_flag(parser, option, text, value);
    case OPTION_KIND_WORD:
        return judge_word(parser, option, text, value);
    case OPTION_KIND_STRING:
        return judge_string(parser, option, text, value);
    }
    return refuse_value(parser, option, text, "has a kind that the table does not know");
}

/* True if a word before `word` has the same key. */
static bool is_repeated(char *const argv[], int word, size_t key_length)
{
    for (int earlier = 0; earlier < word; earlier++) {
        /* The length includes the `=`: bs is not bssplit. */
        if (strncmp(argv[earlier], argv[word], key_length + 1) == 0) {
            return true;
        }
    }
    return false;
}

/* Checks one word and sets *option and *value. */
static bool parse_word(const struct parser *parser, const char *word, const struct option **option,
                       struct value *value)
{
    const char *equals = strchr(word, '=');

    if (equals == NULL || equals == word) {
        snprintf(parser->error, parser->error_bytes, "argument '%.*s' is not an option: key=value",
                 OPTION_SHOWN_BYTES, word);
        return false;
    }

    size_t key_length = (size_t)(equals - word);

    *option = find_option(parser->table, word, key_length);
    if (*option == NULL) {
        return refuse_unknown_key(parser, word, key_length);
    }
    if (equals[1] == '\0') {
        return refuse_value(parser, *option, "", "has no value");
    }
    return judge_value(parser, *option, equals + 1, value);
}

static void store_value(const struct option *option, const struct value *value, void *target)
{
    char *field = (char *)target + option->offset;
    unsigned word = (unsigned)value->number;
    bool flag = value->number != 0;

    switch (option->kind) {
    case OPTION_KIND_UNSIGNED:
    case OPTION_KIND_TIME:
        memcpy(field, &value->number, sizeof(value->number));
        break;
    case OPTION_KIND_FLAG:
        memcpy(field, &flag, sizeof(flag));
        break;
    case OPTION_KIND_WORD:
        memcpy(field, &word, sizeof(word));
        break;
    case OPTION_KIND_STRING:
        memcpy(field, &value->string, sizeof(value->string));
        break;
    }
}

bool options_parse(const struct option_table *table, int argc, char *const argv[], void *target,
                   char *error, size_t error_bytes)
{
    struct parser parser = {table, error, error_bytes};
    const struct option *option = NULL;
    struct value value = {0};

    for (int word = 0; word < argc; word++) {
        if (!parse_word(&parser, argv[word], &option, &value)) {
            return false;
        }
        if (is_repeated(argv, word, strlen(option->key))) {
            snprintf(error, error_bytes, "option '%s' is given twice", option->key);
            return false;
        }
    }
    /* The same words pass the check again, so nothing below fails half-way. */
    for (int word = 0; word < argc; word++) {
        if (parse_word(&parser, argv[word], &option, &value)) {
            store_value(option, &value, target);
        }
    }
    return true;
}
