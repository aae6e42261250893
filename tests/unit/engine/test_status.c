// SPDX-License-Identifier: MIT
/*
 * status.c: every error, status and event has words.
 */
#include "fixture.h"

static void every_error_has_a_phrase_of_its_own(void **state)
{
    (void)state;
    for (int error = NVME_ERR_RESET; error <= NVME_OK; error++) {
        const char *text = nvme_error_text((enum nvme_error)error);

        assert_non_null(text);
        assert_string_not_equal(text, "unknown error");
        for (int other = error + 1; other <= NVME_OK; other++) {
            assert_string_not_equal(text, nvme_error_text((enum nvme_error)other));
        }
    }
}

static void what_is_no_error_has_a_phrase_too(void **state)
{
    static const int values[] = {1, 2, -20, -100};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        int value = values[i];
        enum nvme_error error;

        memcpy(&error, &value, sizeof(error));
        assert_string_equal(nvme_error_text(error), "unknown error");
    }
}

static void every_event_has_a_phrase_of_its_own(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind <= NVME_EVENT_RESET_WAITS; kind++) {
        const char *text = nvme_event_text((enum nvme_event_kind)kind);

        assert_string_not_equal(text, "unknown event");
        for (unsigned other = 0; other < kind; other++) {
            assert_string_not_equal(text, nvme_event_text((enum nvme_event_kind)other));
        }
    }
    assert_string_equal(nvme_event_text((enum nvme_event_kind)(NVME_EVENT_RESET_WAITS + 1)),
                        "unknown event");
}

struct status_case {
    const char *name;
    uint16_t status;
    const char *text;
};

static const struct status_case status_cases[] = {
    {"success", 0x000, "successful completion"},
    {"invalid_opcode", 0x001, "invalid command opcode"},
    {"lba_out_of_range", 0x080, "LBA out of range"},
    {"read_error", 0x281, "unrecovered read error"},
    {"write_fault", 0x280, "write fault"},
    {"invalid_vector", 0x108, "invalid interrupt vector"},
    {"first_of_the_zoned_command_set", 0x1b8, "zone boundary error"},
    {"zone_full", 0x1b9, "zone is full"},
    {"zone_read_only", 0x1ba, "zone is read only"},
    {"zone_offline", 0x1bb, "zone is offline"},
    {"write_not_at_the_write_pointer", 0x1bc, "invalid write to a zone"},
    {"active_zones", 0x1bd, "too many active zones"},
    {"open_zones", 0x1be, "too many open zones"},
    {"last_of_the_zoned_command_set", 0x1bf, "invalid zone state transition"},
    {"below_the_zoned_command_set", 0x1b7, "command specific error"},
    {"do_not_retry_changes_no_phrase", 0x4281, "unrecovered read error"},
    {"more_and_retry_delay_change_no_phrase", 0x3a81, "unrecovered read error"},
    {"unknown_generic_code", 0x07f, "generic command error"},
    {"unknown_command_code", 0x1ff, "command specific error"},
    {"unknown_media_code", 0x2ff, "media or data integrity error"},
    {"unknown_path_code", 0x3ff, "path related error"},
    {"reserved_type", 0x4ff, "reserved status type"},
    {"vendor_code", 0x7ff, "vendor specific error"},
    {"all_ones", 0xffff, "vendor specific error"},
};

static void status_has_the_right_phrase(void **state)
{
    const struct status_case *this = *state;

    assert_non_null(strstr(nvme_status_text(this->status), this->text));
}

static void every_status_has_a_phrase(void **state)
{
    (void)state;
    for (uint32_t status = 0; status <= 0xffff; status++) {
        const char *text = nvme_status_text((uint16_t)status);

        assert_non_null(text);
        assert_true(strlen(text) > 3);
        assert_ptr_equal(text, nvme_status_text((uint16_t)(status ^ NVME_STATUS_DNR)));
    }
}

int main(void)
{
    struct CMUnitTest tests[4 + COUNT_OF(status_cases)] = {
        cmocka_unit_test(every_error_has_a_phrase_of_its_own),
        cmocka_unit_test(what_is_no_error_has_a_phrase_too),
        cmocka_unit_test(every_event_has_a_phrase_of_its_own),
        cmocka_unit_test(every_status_has_a_phrase),
    };
    size_t count = 4;

    ADD_CASES(tests, &count, status_has_the_right_phrase, status_cases);
    return fixture_run("status", tests, count);
}
