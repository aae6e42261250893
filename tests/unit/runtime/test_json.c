// SPDX-License-Identifier: MIT
/*
 * json.c: commas, levels, escapes; a note in between breaks no line.
 */
#include "json.h"

#include <stdio.h>

#include "fixture.h"
#include "host_board.h"

static struct json json;

static void values_are_separated_at_each_level(void **state)
{
    (void)state;
    board_listen();
    json_begin(&json);
    json_open(&json, "a", '[');
    json_open(&json, NULL, '{');
    json_number(&json, "n", "340282366920938463463374607431768211455");
    json_text(&json, "t", "x");
    json_close(&json, '}');
    json_open(&json, NULL, '{');
    json_close(&json, '}');
    json_close(&json, ']');
    json_number(&json, "b", "0");
    json_end(&json);
    assert_string_equal(board_heard(), "{\n"
                                       "  \"a\": [\n"
                                       "    {\n"
                                       "      \"n\": 340282366920938463463374607431768211455,\n"
                                       "      \"t\": \"x\"\n"
                                       "    },\n"
                                       "    {\n"
                                       "    }\n"
                                       "  ],\n"
                                       "  \"b\": 0\n"
                                       "}\n");
}

static void empty_document_is_an_object(void **state)
{
    (void)state;
    board_listen();
    json_begin(&json);
    json_end(&json);
    assert_string_equal(board_heard(), "{\n}\n");
}

static void text_is_escaped(void **state)
{
    (void)state;
    board_listen();
    json_begin(&json);
    json_text(&json, "q\"", "\\ \" \n \x7f \xe9");
    json_end(&json);
    assert_string_equal(board_heard(),
                        "{\n  \"q\\\"\": \"\\\\ \\\" \\u000a \\u007f \\u00e9\"\n}\n");
}

/* The longest text, all of it escaped, and a longer one: the quote behind it is there. */
static void text_has_a_limit(void **state)
{
    static char text[JSON_TEXT_MAX + 10];
    const char *heard;

    (void)state;
    memset(text, 1, sizeof(text) - 1);
    board_listen();
    json_begin(&json);
    json_text(&json, "t", text);
    json_end(&json);
    heard = board_heard();
    assert_int_equal(strlen(heard), strlen("{\n  \"t\": \"\"\n}\n") + 6 * JSON_TEXT_MAX);
    assert_string_equal(heard + strlen(heard) - strlen("1\"\n}\n"), "1\"\n}\n");
}

static void note_in_between_has_its_own_line(void **state)
{
    (void)state;
    board_listen();
    json_begin(&json);
    json_number(&json, "a", "1");
    printf("note: b\n");
    json_number(&json, "c", "2");
    printf("note: d\n");
    json_end(&json);
    assert_string_equal(board_heard(), "{\nnote: b\n  \"a\": 1,\nnote: d\n  \"c\": 2\n}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_separated_at_each_level),
        cmocka_unit_test(empty_document_is_an_object),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(text_has_a_limit),
        cmocka_unit_test(note_in_between_has_its_own_line),
    };

    return fixture_run("json", tests, COUNT_OF(tests));
}
