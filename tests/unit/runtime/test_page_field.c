// SPDX-License-Identifier: MIT
/*
 * page_field.c and page_tables.c: made-up pages, whose bytes tell their places.
 */
#include "page_field.h"

#include <inttypes.h>
#include <stdio.h>

#include "fixture.h"
#include "host_board.h"

static uint8_t page[4096];

/* ---- Values ------------------------------------------------------------------------------ */

struct value_case {
    const char *name;
    struct page_field field;
    uint8_t bytes[18]; /* from byte 4 on */
    const char *value;
    const char *text;
};

#define AT_4(length, look)                                                                         \
    {                                                                                              \
        .name = "f", .offset = 4, .size = (length), .kind = (look)                                 \
    }

static const struct value_case value_cases[] = {
    {"byte", AT_4(1, PAGE_DECIMAL), "\xff\x01", "255", "255"},
    {"word", AT_4(2, PAGE_DECIMAL), "\x34\x12\x01", "4660", "4660"},
    {"three_bytes", AT_4(3, PAGE_HEX), "\x00\x54\x52\x01", "5395456", "0x525400"},
    {"dword", AT_4(4, PAGE_DECIMAL), "\xff\xff\xff\xff\x01", "4294967295", "4294967295"},
    {"qword", AT_4(8, PAGE_HEX), "\xff\xff\xff\xff\xff\xff\xff\xff\x01", "18446744073709551615",
     "0xffffffffffffffff"},
    {"small_number_of_16_bytes", AT_4(16, PAGE_DECIMAL), "\x10\x27", "10000", "10000"},
    {"above_64_bits", AT_4(16, PAGE_DECIMAL), "\0\0\0\0\0\0\0\0\x01", "18446744073709551616",
     "18446744073709551616"},
    {"largest_of_16_bytes", AT_4(16, PAGE_DECIMAL),
     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
     "340282366920938463463374607431768211455", "340282366920938463463374607431768211455"},
    {"zero_in_hex", AT_4(1, PAGE_HEX), "", "0", "0"},
    {"percent", AT_4(1, PAGE_PERCENT), "\x64", "100", "100%"},
    {"warm", AT_4(2, PAGE_KELVIN), "\x43\x01", "323", "50 C (323 K)"},
    {"cold", AT_4(2, PAGE_KELVIN), "\x0a\x01", "266", "-7 C (266 K)"},
    {"no_temperature", AT_4(2, PAGE_KELVIN), "", "0", "-273 C (0 K)"},
    {"units", AT_4(16, PAGE_UNITS), "\x21", "33", "33 (16896 kB)"},
    {"units_without_a_product", AT_4(16, PAGE_UNITS), "\0\0\0\0\0\0\0\0\x01",
     "18446744073709551616", "18446744073709551616"},
    {"units_whose_product_is_too_large", AT_4(16, PAGE_UNITS), "\0\0\0\0\0\0\0\x01",
     "72057594037927936", "72057594037927936"},
    {"string", AT_4(8, PAGE_STRING), "ab c    d", "ab c", "ab c"},
    {"string_that_ends_early", AT_4(8, PAGE_STRING), "ab\0c", "ab", "ab"},
    {"string_of_nothing", AT_4(8, PAGE_STRING), "        x", "", ""},
    {"string_with_what_is_no_text", AT_4(4, PAGE_STRING), "a\x01\xff\x62", "a  b", "a  b"},
    {"bytes", AT_4(4, PAGE_BYTES), "\x01\x02\xab\x00\x05", "0102ab00", "0102ab00"},
    {"status",
     {.name = "f", .offset = 4, .size = 2, .kind = PAGE_STATUS, .low = 1, .bits = 15},
     "\x05\x80",
     "16386",
     "0x4002 (invalid field in command)"},
    {"lowest_bit",
     {.name = "f", .offset = 4, .size = 2, .kind = PAGE_DECIMAL, .bits = 1},
     "\x05\x80",
     "1",
     "1"},
};

static void value_is_in_words(void **state)
{
    const struct value_case *this = *state;
    const struct page_table table = {&this->field, 1};
    char expected[PAGE_VALUE_BYTES + 64];
    char value[PAGE_VALUE_BYTES];

    memset(page, 0, sizeof(page));
    memcpy(page + this->field.offset, this->bytes, sizeof(this->bytes));
    page_write_value(&this->field, page, value);
    assert_string_equal(value, this->value);
    snprintf(expected, sizeof(expected), "%-39s : %s\n", "f", this->text);
    board_listen();
    page_print(&table, page);
    assert_string_equal(board_heard(), expected);
}

/* ---- Tables ------------------------------------------------------------------------------ */

struct table_case {
    const char *name;
    const struct page_table *table;
    size_t size_bytes;
};

static const struct table_case table_cases[] = {
    {"controller", &page_controller, 4096},
    {"namespace", &page_namespace, 4096},
    {"format", &page_format, 4},
    {"smart", &page_smart, 512},
    {"error", &page_error, 64},
};

/* In the order of the page, none over another but for parts of one, all inside, no name twice. */
static void fields_have_places_of_their_own(void **state)
{
    const struct table_case *this = *state;
    const struct page_table *table = this->table;

    for (size_t i = 0; i < table->count; i++) {
        const struct page_field *field = &table->fields[i];

        assert_in_range(field->size, 1, field->kind == PAGE_STRING ? PAGE_VALUE_BYTES - 1 : 16);
        assert_true(field->offset + (size_t)field->size <= this->size_bytes);
        for (size_t k = 0; k < i; k++) {
            const struct page_field *other = &table->fields[k];

            assert_string_not_equal(field->name, other->name);
            assert_true(field->bits != 0 ? field->offset >= other->offset
                                         : field->offset >= other->offset + other->size);
        }
    }
}

/* What the engine decodes from the same structures. */
struct expected_field {
    const char *name;
    const char *value;
    bool is_namespace;
};

static const struct expected_field expected[] = {
    {"vid", "6966", false},
    {"mdts", "7", false},
    {"ver", "66560", false},
    {"rtd3e", "250000", false},
    {"oacs", "266", false},
    {"sqes", "102", false},
    {"cqes", "68", false},
    {"nn", "256", false},
    {"oncs", "349", false},
    {"fuses", "1", false},
    {"vwc", "7", false},
    {"subnqn", "nqn.x", false},
    {"sn", "serial", false},
    {"mn", "model", false},
    {"fr", "1.0", false},
    {"nsze", "4096", true},
    {"ncap", "4095", true},
    {"nuse", "4094", true},
    {"nlbaf", "7", true},
    {"flbas", "4", true},
    {"dps", "1", true},
    {"nmic", "1", true},
    {"nulbaf", "2", true},
    {"eui64", "5254000000000000", true},
    {"nguid", "11000000000000000000000000000000", true},
};

/* The field of this name in words; NULL: the table has none. */
static const char *value_of(const struct page_table *table, const char *name, const void *from)
{
    static char value[PAGE_VALUE_BYTES];

    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->fields[i].name, name) == 0) {
            page_write_value(&table->fields[i], from, value);
            return value;
        }
    }
    return NULL;
}

static void identify_tables_agree_with_the_structures(void **state)
{
    struct nvme_identify_controller controller = {
        .vid = 0x1b36,
        .mdts = 7,
        .ver = 0x10400,
        .rtd3e = 250000,
        .oacs = 0x10a,
        .sqes = 0x66,
        .cqes = 0x44,
        .nn = 256,
        .oncs = 0x15d,
        .fuses = 1,
        .vwc = 7,
        .subnqn = "nqn.x",
        .sn = "serial   ",
        .mn = "model",
        .fr = "1.0",
    };
    struct nvme_identify_namespace ns = {
        .nsze = 4096,
        .ncap = 4095,
        .nuse = 4094,
        .nlbaf = 7,
        .flbas = 4,
        .dps = 1,
        .nmic = 1,
        .nulbaf = 2,
        .nguid = {0x11},
        .eui64 = {0x52, 0x54},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        const struct expected_field *this = &expected[i];
        const char *value = this->is_namespace
                                ? value_of(&page_namespace, this->name, &ns)
                                : value_of(&page_controller, this->name, &controller);

        assert_non_null(value);
        assert_string_equal(value, this->value);
    }
}

/* ---- Logs ---------------------------------------------------------------------------------- */

static void put(size_t offset, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        page[offset + i] = (uint8_t)(value >> 8 * i);
    }
}

/* SMART / Health Information with a value in every field; two sensors of eight. */
static void make_smart(void)
{
    memset(page, 0, sizeof(page));
    put(0, 0x05, 1);
    put(1, 323, 2);
    put(3, 99, 1);
    put(4, 10, 1);
    put(5, 255, 1);
    put(6, 0, 1);
    for (uint64_t i = 0; i < 10; i++) {
        put(32 + 16 * i, 1000 + i, 8);
    }
    put(192, 60, 4);
    put(196, 61, 4);
    put(200, 301, 2);
    put(214, 308, 2);
    put(216, 62, 4);
    put(220, 63, 4);
    put(224, 64, 4);
    put(228, UINT32_MAX, 4);
}

static void smart_log_is_told_as_text(void **state)
{
    (void)state;
    make_smart();
    board_listen();
    page_print(&page_smart, page);
    assert_string_equal(board_heard(),
                        "critical_warning                        : 0x5\n"
                        "temperature                             : 50 C (323 K)\n"
                        "available_spare                         : 99%\n"
                        "available_spare_threshold               : 10%\n"
                        "percentage_used                         : 255%\n"
                        "endurance group critical warning summary : 0\n"
                        "Data Units Read                         : 1000 (512000 kB)\n"
                        "Data Units Written                      : 1001 (512512 kB)\n"
                        "host_read_commands                      : 1002\n"
                        "host_write_commands                     : 1003\n"
                        "controller_busy_time                    : 1004\n"
                        "power_cycles                            : 1005\n"
                        "power_on_hours                          : 1006\n"
                        "unsafe_shutdowns                        : 1007\n"
                        "media_errors                            : 1008\n"
                        "num_err_log_entries                     : 1009\n"
                        "Warning Temperature Time                : 60\n"
                        "Critical Composite Temperature Time     : 61\n"
                        "Temperature Sensor 1                    : 28 C (301 K)\n"
                        "Temperature Sensor 8                    : 35 C (308 K)\n"
                        "Thermal Management T1 Trans Count       : 62\n"
                        "Thermal Management T2 Trans Count       : 63\n"
                        "Thermal Management T1 Total Time        : 64\n"
                        "Thermal Management T2 Total Time        : 4294967295\n");
}

static const char *as_json(const struct page_table *table)
{
    static struct json json;

    board_listen();
    json_begin(&json);
    page_print_json(table, page, &json);
    json_end(&json);
    return board_heard();
}

static void smart_log_is_told_as_json(void **state)
{
    (void)state;
    make_smart();
    assert_string_equal(as_json(&page_smart), "{\n"
                                              "  \"critical_warning\": 5,\n"
                                              "  \"temperature\": 323,\n"
                                              "  \"avail_spare\": 99,\n"
                                              "  \"spare_thresh\": 10,\n"
                                              "  \"percent_used\": 255,\n"
                                              "  \"endurance_grp_critical_warning_summary\": 0,\n"
                                              "  \"data_units_read\": 1000,\n"
                                              "  \"data_units_written\": 1001,\n"
                                              "  \"host_read_commands\": 1002,\n"
                                              "  \"host_write_commands\": 1003,\n"
                                              "  \"controller_busy_time\": 1004,\n"
                                              "  \"power_cycles\": 1005,\n"
                                              "  \"power_on_hours\": 1006,\n"
                                              "  \"unsafe_shutdowns\": 1007,\n"
                                              "  \"media_errors\": 1008,\n"
                                              "  \"num_err_log_entries\": 1009,\n"
                                              "  \"warning_temp_time\": 60,\n"
                                              "  \"critical_comp_time\": 61,\n"
                                              "  \"temperature_sensor_1\": 301,\n"
                                              "  \"temperature_sensor_8\": 308,\n"
                                              "  \"thm_temp1_trans_count\": 62,\n"
                                              "  \"thm_temp2_trans_count\": 63,\n"
                                              "  \"thm_temp1_total_time\": 64,\n"
                                              "  \"thm_temp2_total_time\": 4294967295\n"
                                              "}\n");
}

/* An entry for a read of LBA 100 that could not be corrected, of queue 2, with the phase bit. */
static void make_error(void)
{
    memset(page, 0, sizeof(page));
    put(0, 77, 8);
    put(8, 2, 2);
    put(10, 0xb001, 2);
    put(12, 0x281 << 1 | 1, 2);
    put(14, 0x30c, 2);
    put(16, 100, 8);
    put(24, 1, 4);
    put(31, NVME_CMD_READ, 1);
    put(32, UINT64_MAX, 8);
    put(63, 1, 1);
}

static void error_entry_is_told(void **state)
{
    (void)state;
    make_error();
    board_listen();
    page_print(&page_error, page);
    assert_string_equal(board_heard(),
                        "error_count                             : 77\n"
                        "sqid                                    : 2\n"
                        "cmdid                                   : 0xb001\n"
                        "status_field                            : 0x281 (unrecovered read error)\n"
                        "phase_tag                               : 0x1\n"
                        "parm_err_loc                            : 0x30c\n"
                        "lba                                     : 0x64\n"
                        "nsid                                    : 0x1\n"
                        "vs                                      : 0\n"
                        "trtype                                  : 0\n"
                        "csi                                     : 0\n"
                        "opcode                                  : 0x2\n"
                        "cs                                      : 0xffffffffffffffff\n"
                        "trtype_spec_info                        : 0\n"
                        "log_page_version                        : 1\n");
    assert_string_equal(as_json(&page_error),
                        "{\n"
                        "  \"error_count\": 77,\n  \"sqid\": 2,\n  \"cmdid\": 45057,\n"
                        "  \"status_field\": 641,\n  \"phase_tag\": 1,\n"
                        "  \"parm_error_location\": 780,\n  \"lba\": 100,\n  \"nsid\": 1,\n"
                        "  \"vs\": 0,\n  \"trtype\": 0,\n  \"csi\": 0,\n  \"opcode\": 2,\n"
                        "  \"cs\": 18446744073709551615,\n  \"trtype_spec_info\": 0,\n"
                        "  \"log_page_version\": 1\n"
                        "}\n");
}

static void format_has_its_performance_in_two_bits(void **state)
{
    (void)state;
    memset(page, 0, sizeof(page));
    put(0, 8, 2);
    put(2, 12, 1);
    put(3, 0xfe, 1);
    assert_string_equal(as_json(&page_format), "{\n  \"ms\": 8,\n  \"ds\": 12,\n  \"rp\": 2\n}\n");
}

int main(void)
{
    struct CMUnitTest tests[5 + COUNT_OF(value_cases) + COUNT_OF(table_cases)] = {
        cmocka_unit_test(identify_tables_agree_with_the_structures),
        cmocka_unit_test(smart_log_is_told_as_text),
        cmocka_unit_test(smart_log_is_told_as_json),
        cmocka_unit_test(error_entry_is_told),
        cmocka_unit_test(format_has_its_performance_in_two_bits),
    };
    size_t count = 5;

    ADD_CASES(tests, &count, value_is_in_words, value_cases);
    ADD_CASES(tests, &count, fields_have_places_of_their_own, table_cases);
    return fixture_run("page_field", tests, count);
}
