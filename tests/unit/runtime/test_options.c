// SPDX-License-Identifier: MIT
/*
 * runtime/options*.c: what is taken, what is refused and in which words.
 */
#include <stdio.h>

#include "fixture.h"
#include "options.h"

struct target {
    uint64_t size;
    uint64_t time_ns;
    bool flag;
    unsigned mode;
    const char *file;
    uint64_t any;
};

static const char *const modes[] = {"poll", "irq", "hybrid", NULL};

static const struct option option_list[] = {
    OPTION_UNSIGNED("bs", struct target, size, 512, 1 << 20, "block size in bytes"),
    OPTION_TIME("runtime", struct target, time_ns, 1000, UINT64_C(3600000000000), "how long"),
    OPTION_FLAG("verify", struct target, flag, "compare what was read"),
    OPTION_WORD("completion", struct target, mode, modes, "how completions are found"),
    OPTION_STRING("name", struct target, file, 8, "of the job"),
    OPTION_UNSIGNED("number", struct target, any, 0, UINT64_MAX, "any number"),
};

static const struct option_table table = {option_list, COUNT_OF(option_list)};

/* Parses words that a blank separates; the error text stays in `error`. */
static bool parse(const char *words, struct target *target, char *error)
{
    static char copy[512];
    char *argv[16];
    int argc = 0;

    snprintf(copy, sizeof(copy), "%s", words);
    for (char *word = copy; *word != '\0' && argc < 16;) {
        size_t length = strcspn(word, " ");

        argv[argc++] = word;
        if (word[length] == '\0') {
            break;
        }
        word[length] = '\0';
        word += length + 1;
    }
    error[0] = '\0';
    return options_parse(&table, argc, argv, target, error, OPTION_ERROR_BYTES);
}

/* ---- Numbers ---------------------------------------------------------------------------- */

struct number_case {
    const char *name;
    const char *words;
    uint64_t value;
    bool is_time;
};

static const struct number_case number_cases[] = {
    {"plain", "bs=4096", 4096, false},
    {"k", "bs=4k", 4096, false},
    {"capital_k", "bs=4K", 4096, false},
    {"m", "bs=1m", 1 << 20, false},
    {"lowest", "bs=512", 512, false},
    {"hexadecimal", "bs=0x2aF", 0x2af, false},
    {"hexadecimal_of_capitals", "bs=0X200", 512, false},
    {"largest_hexadecimal", "number=0xffffffffffffffff", UINT64_MAX, false},
    {"highest", "bs=1048576", 1 << 20, false},
    {"leading_zeros", "bs=0000512", 512, false},
    {"zero", "number=0", 0, false},
    {"largest_number", "number=18446744073709551615", UINT64_MAX, false},
    {"largest_with_a_suffix", "number=17179869183g", UINT64_C(17179869183) << 30, false},
    {"seconds", "runtime=5", UINT64_C(5000000000), true},
    {"seconds_named", "runtime=5s", UINT64_C(5000000000), true},
    {"milliseconds", "runtime=500ms", 500000000, true},
    {"microseconds", "runtime=20us", 20000, true},
    {"milliseconds_as_fio", "runtime=500msec", 500000000, true},
    {"microseconds_as_fio", "runtime=20usec", 20000, true},
    {"minutes", "runtime=2m", UINT64_C(120000000000), true},
    {"an_hour", "runtime=1h", UINT64_C(3600000000000), true},
    {"an_hour_of_capitals", "runtime=1H", UINT64_C(3600000000000), true},
    {"longest_time", "runtime=3600", UINT64_C(3600000000000), true},
};

static void number_is_taken(void **state)
{
    const struct number_case *this = *state;
    struct target target = {0};
    char error[OPTION_ERROR_BYTES];

    if (!parse(this->words, &target, error)) {
        fail_msg("%s", error);
    }
    if (this->is_time) {
        assert_int_equal(target.time_ns, this->value);
    } else {
        assert_true(target.size == this->value || target.any == this->value);
    }
}

/* ---- Refusals --------------------------------------------------------------------------- */

struct refused_case {
    const char *name;
    const char *words;
    const char *said[3]; /* parts of the text */
};

static const struct refused_case refused_cases[] = {
    {"one_below_the_lowest", "bs=511", {"bs=511", "too small", "512 to 1m"}},
    {"one_above_the_highest", "bs=1048577", {"too large", "512 to 1m", ""}},
    {"number_beyond_64_bits", "number=18446744073709551616", {"too large", "", ""}},
    {"suffix_beyond_64_bits", "number=17179869184g", {"too large", "", ""}},
    {"many_digits", "number=99999999999999999999999999999999999999999", {"too large", "", ""}},
    {"negative_number", "bs=-1", {"not a number", "bs=-1", ""}},
    {"number_with_a_sign", "bs=+512", {"not a number", "", ""}},
    {"hexadecimal_digit_alone", "bs=a00", {"not a number", "", ""}},
    {"hexadecimal_without_digits", "bs=0x", {"not a number", "", ""}},
    {"hexadecimal_with_more", "bs=0x20y", {"not a number", "", ""}},
    {"hexadecimal_beyond_64_bits", "number=0x10000000000000000", {"too large", "", ""}},
    {"hexadecimal_time", "runtime=0x5", {"not a time", "", ""}},
    {"number_with_a_fraction", "bs=0.5k", {"not a number", "", ""}},
    {"suffix_alone", "bs=k", {"not a number", "", ""}},
    {"suffix_twice", "bs=4kk", {"not a number", "", ""}},
    {"time_suffix_on_a_size", "bs=4ms", {"not a number", "", ""}},
    {"size_suffix_on_a_time", "runtime=5k", {"not a time", "", ""}},
    {"time_too_short", "runtime=0", {"too small", "1us", ""}},
    {"a_day_is_a_time", "runtime=1d", {"too large", "3600s", ""}},
    {"days_that_overflow", "runtime=300000d", {"too large", "3600s", ""}},
    {"seconds_that_overflow", "runtime=18446744074", {"too large", "3600s", ""}},
    {"two_units", "runtime=1h30m", {"not a time", "", ""}},
    {"time_too_long", "runtime=3601", {"too large", "3600s", ""}},
    {"flag_of_2", "verify=2", {"not a flag", "0 or 1", ""}},
    {"flag_of_yes", "verify=yes", {"not a flag", "0 or 1", ""}},
    {"unknown_word", "completion=interrupts", {"completion=interrupts", "poll, irq, hybrid", ""}},
    {"misspelt_word", "completion=hybird", {"hybrid", "", ""}},
    {"word_in_part", "completion=pol", {"poll", "", ""}},
    {"string_too_long", "name=123456789", {"length", "1 to 8", ""}},
    {"unknown_key", "zzz=1", {"'zzz' is unknown", "", ""}},
    {"misspelt_key", "runtme=5", {"did you mean 'runtime'", "", ""}},
    {"key_in_part", "verif=1", {"did you mean 'verify'", "", ""}},
    {"key_with_more", "bsx=512", {"'bsx' is unknown", "", ""}},
    {"key_given_twice", "bs=512 number=1 bs=1k", {"'bs' is given twice", "", ""}},
    {"word_without_equals", "bs", {"key=value", "'bs'", ""}},
    {"word_of_equals", "=512", {"key=value", "", ""}},
    {"no_value", "bs=", {"no value", "bs", ""}},
    {"no_string", "name=", {"no value", "", ""}},
    {"very_long_key",
     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz=1",
     {"is unknown", "", ""}},
    {"very_long_value",
     "bs=abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
     {"not a number", "", ""}},
};

static void refusal_says_why_and_changes_nothing(void **state)
{
    const struct refused_case *this = *state;
    struct target target;
    struct target before;
    char words[256];
    char error[OPTION_ERROR_BYTES];

    memset(&before, 0x5a, sizeof(before));
    target = before;
    /* A good word in front: it may not be stored either. */
    snprintf(words, sizeof(words), "%s%s",
             strstr(this->words, "number") == NULL ? "number=3 " : "verify=1 ", this->words);
    assert_false(parse(words, &target, error));
    assert_memory_equal(&target, &before, sizeof(target));
    for (size_t i = 0; i < COUNT_OF(this->said); i++) {
        if (strstr(error, this->said[i]) == NULL) {
            fail_msg("'%s' does not say '%s'", error, this->said[i]);
        }
    }
    assert_null(strchr(error, '\n'));
    assert_true(strlen(error) < OPTION_ERROR_BYTES - 1);
}

/* ---- The rest --------------------------------------------------------------------------- */

static void words_fill_their_fields_and_leave_the_others(void **state)
{
    struct target target = {.any = 77};
    char error[OPTION_ERROR_BYTES];

    (void)state;
    assert_true(parse("verify=1 completion=hybrid name=a=b bs=4k", &target, error));
    assert_true(target.flag);
    assert_int_equal(target.mode, 2);
    assert_string_equal(target.file, "a=b");
    assert_int_equal(target.size, 4096);
    assert_int_equal(target.any, 77);
    assert_int_equal(target.time_ns, 0);
    assert_true(parse("verify=0", &target, error));
    assert_false(target.flag);
    assert_true(options_parse(&table, 0, NULL, &target, error, sizeof(error)));
}

static void error_is_cut_to_its_buffer(void **state)
{
    char whole[OPTION_ERROR_BYTES];
    char word[] = "completion=interrupts";
    char *argv[] = {word};
    struct target target = {0};

    (void)state;
    assert_false(options_parse(&table, 1, argv, &target, whole, sizeof(whole)));
    for (size_t bytes = 1; bytes < sizeof(whole); bytes++) {
        char cut[OPTION_ERROR_BYTES + 1];

        memset(cut, 0x7f, sizeof(cut));
        assert_false(options_parse(&table, 1, argv, &target, cut, bytes));
        assert_true(strlen(cut) < bytes);
        assert_int_equal(strncmp(cut, whole, strlen(cut)), 0);
        assert_int_equal(cut[bytes], 0x7f);
    }
}

struct help_case {
    const char *name;
    size_t option;
    const char *said[3];
};

static const struct help_case help_cases[] = {
    {"size", 0, {"bs=", "512 to 1m", "default 4k"}},
    {"time", 1, {"runtime=", "1us to 3600s", "default 500ms"}},
    {"flag", 2, {"verify=", "0 or 1", "default 1"}},
    {"word", 3, {"completion=", "poll, irq, hybrid", "default irq"}},
    {"string", 4, {"name=", "1 to 8", "default job"}},
    {"any_number", 5, {"number=", "any number", "default 0"}},
};

static void help_shows_meaning_range_and_default(void **state)
{
    const struct help_case *this = *state;
    const struct option *option = &option_list[this->option];
    struct target defaults = {4096, 500000000, true, 1, "job", 0};
    char line[256];

    option_describe(option, &defaults, line, sizeof(line));
    for (size_t i = 0; i < COUNT_OF(this->said); i++) {
        if (strstr(line, this->said[i]) == NULL) {
            fail_msg("'%s' does not say '%s'", line, this->said[i]);
        }
    }
    option_describe(option, NULL, line, sizeof(line));
    assert_non_null(strstr(line, option->help));
    assert_null(strstr(line, "default"));
    defaults.file = NULL;
    option_describe(option, &defaults, line, 10);
    assert_true(strlen(line) < 10);
}

int main(void)
{
    struct CMUnitTest
        tests[2 + COUNT_OF(number_cases) + COUNT_OF(refused_cases) + COUNT_OF(help_cases)] = {
            cmocka_unit_test(words_fill_their_fields_and_leave_the_others),
            cmocka_unit_test(error_is_cut_to_its_buffer),
        };
    size_t count = 2;

    ADD_CASES(tests, &count, number_is_taken, number_cases);
    ADD_CASES(tests, &count, refusal_says_why_and_changes_nothing, refused_cases);
    ADD_CASES(tests, &count, help_shows_meaning_range_and_default, help_cases);
    return fixture_run("options", tests, count);
}
