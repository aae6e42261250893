// SPDX-License-Identifier: MIT
/*
 * The option parser on any words: what it takes lies in its range, what it refuses changes nothing
 * and is told in one line that ends.
 */
#include <stdlib.h>

#include "options.h"
#include "tape.h"

enum {
    WORDS = 12,
    TEXT_BYTES = 1024,
    SIZE_MAX_BYTES = 1 << 20,
    NAME_MAX_BYTES = 8,
};

#define TIME_MAX_NS UINT64_C(3600000000000)

struct target {
    uint64_t size;
    uint64_t time_ns;
    uint64_t any;
    unsigned mode;
    bool flag;
    const char *name;
};

static const char *const modes[] = {"poll", "irq", "hybrid", NULL};

static const struct option option_list[] = {
    OPTION_UNSIGNED("bs", struct target, size, 512, SIZE_MAX_BYTES, "block size in bytes"),
    OPTION_TIME("runtime", struct target, time_ns, 1000, TIME_MAX_NS, "how long"),
    OPTION_FLAG("verify", struct target, flag, "compare what was read"),
    OPTION_WORD("completion", struct target, mode, modes, "how completions are found"),
    OPTION_STRING("name", struct target, name, NAME_MAX_BYTES, "of the job"),
    OPTION_UNSIGNED("number", struct target, any, 0, UINT64_MAX, "any number"),
};

static const struct option_table table = {option_list,
                                          sizeof(option_list) / sizeof(option_list[0])};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words that line ends separate; returns how many. */
static int split(char *text, char **words)
{
    int count = 0;

    for (char *word = text; count < WORDS;) {
        size_t length = strcspn(word, "\n");

        words[count++] = word;
        if (word[length] == '\0') {
            break;
        }
        word[length] = '\0';
        word += length + 1;
    }
    return count;
}

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void check_taken(const struct target *target)
{
    check(target->size >= 512 && target->size <= SIZE_MAX_BYTES);
    check(target->time_ns >= 1000 && target->time_ns <= TIME_MAX_NS);
    check(target->mode < 3);
    check(strlen(target->name) >= 1 && strlen(target->name) <= NAME_MAX_BYTES);
}

static void describe(const struct target *target, size_t bytes)
{
    char *line = malloc(bytes);

    for (size_t i = 0; i < table.count; i++) {
        option_describe(&table.options[i], target, line, bytes);
        check(memchr(line, '\0', bytes) != NULL);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct target defaults = {.size = 4096, .time_ns = 1000000, .name = "job"};
    struct target target;
    struct tape tape = {data, size};
    size_t error_bytes = 1 + tape_byte(&tape) % OPTION_ERROR_BYTES;
    char *error = malloc(error_bytes);
    char text[TEXT_BYTES + 1] = {0};
    char *words[WORDS];

    memcpy(&target, &defaults, sizeof(target)); /* with what lies between the fields */
    tape_copy(&tape, text, TEXT_BYTES);
    error[0] = '\0';
    if (options_parse(&table, split(text, words), words, &target, error, error_bytes)) {
        check_taken(&target);
    } else {
        check(memchr(error, '\0', error_bytes) != NULL);
        check(strchr(error, '\n') == NULL);
        check(error_bytes == 1 || error[0] != '\0');
        check(memcmp(&target, &defaults, sizeof(target)) == 0);
    }
    (void)options_nearest(words[0], modes);
    describe(&target, error_bytes);
    free(error);
    return 0;
}
