// SPDX-License-Identifier: MIT
/*
 * Namespaces: which are active, what geometry they have, which of them we can work with.
 */
#include "fixture.h"
#include "nvme_internal.h"

enum {
    BLOCKS = 64,
};

struct format_case {
    const char *name;
    uint8_t shift;
    uint8_t formats; /* NLBAF, 0's based */
    uint8_t format;
    uint16_t metadata;
    uint8_t protection;
    uint64_t blocks;
    enum nvme_error error;
    uint32_t max_blocks;
};

static const struct format_case format_cases[] = {
    {"blocks_of_512", 9, 0, 0, 0, 0, 4096, NVME_OK, 1024},
    {"blocks_of_4096", 12, 0, 0, 0, 0, 4096, NVME_OK, 128},
    {"blocks_of_64_kib", 16, 0, 0, 0, 0, 4096, NVME_OK, 8},
    {"blocks_of_256_contradict", 8, 0, 0, 0, 0, 4096, NVME_ERR_IDENTIFY, 0},
    {"blocks_of_128_kib_are_unsupported", 17, 0, 0, 0, 0, 4096, NVME_ERR_UNSUPPORTED, 0},
    {"blocks_of_2_gib_are_unsupported", 31, 0, 0, 0, 0, 4096, NVME_ERR_UNSUPPORTED, 0},
    {"blocks_of_4_gib_contradict", 32, 0, 0, 0, 0, 4096, NVME_ERR_IDENTIFY, 0},
    {"blocks_of_1_contradict", 0, 0, 0, 0, 0, 4096, NVME_ERR_IDENTIFY, 0},
    {"blocks_of_2_to_the_255_contradict", 255, 0, 0, 0, 0, 4096, NVME_ERR_IDENTIFY, 0},
    {"second_of_two_formats", 12, 1, 1, 0, 0, 4096, NVME_OK, 128},
    {"last_of_16_formats", 12, 15, 15, 0, 0, 4096, NVME_OK, 128},
    {"seventeenth_format_uses_the_high_bits", 12, 16, 16, 0, 0, 4096, NVME_OK, 128},
    {"last_of_64_formats", 9, 63, 63, 0, 0, 4096, NVME_OK, 1024},
    {"format_beyond_the_last_contradicts", 9, 3, 4, 0, 0, 4096, NVME_ERR_IDENTIFY, 0},
    {"metadata_is_unsupported", 9, 0, 0, 8, 0, 4096, NVME_ERR_UNSUPPORTED, 0},
    {"protection_is_unsupported", 9, 0, 0, 0, 1, 4096, NVME_ERR_UNSUPPORTED, 0},
    {"protection_bits_beside_the_type_are_no_matter", 9, 0, 0, 0, 8, 4096, NVME_OK, 1024},
    {"one_block", 9, 0, 0, 0, 0, 1, NVME_OK, 1},
    {"most_blocks_whose_bytes_64_bits_count", 9, 0, 0, 0, 0, UINT64_MAX >> 9, NVME_OK, 1024},
    {"one_block_more_than_64_bits_count", 9, 0, 0, 0, 0, (UINT64_MAX >> 9) + 1, NVME_ERR_IDENTIFY,
     0},
    {"no_block_is_not_active", 9, 0, 0, 0, 0, 0, NVME_ERR_NAMESPACE, 0},
};

static void geometry_is_decoded_or_refused(void **state)
{
    const struct format_case *this = *state;
    struct fixture fixture;
    struct nvme_namespace ns = {.nsid = 77};
    struct model_namespace *model;

    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    model = &fixture.model->namespaces[0];
    model->block_shift = this->shift;
    model->format_count = this->formats;
    model->format = this->format;
    model->metadata_bytes = this->metadata;
    model->protection = this->protection;
    model->block_count = this->blocks;
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), this->error);
    if (this->error == NVME_OK) {
        assert_ptr_equal(ns.controller, fixture.controller);
        assert_int_equal(ns.nsid, 1);
        assert_int_equal(ns.block_shift, this->shift);
        assert_int_equal(ns.block_bytes, 1U << this->shift);
        assert_int_equal(ns.block_count, this->blocks);
        assert_int_equal(ns.max_blocks, this->max_blocks);
    } else {
        assert_int_equal(ns.nsid, 77);
    }
    fixture_finish(&fixture);
}

struct nsid_case {
    const char *name;
    uint32_t nsid;
    enum nvme_error error;
};

static const struct nsid_case nsid_cases[] = {
    {"nsid_0", 0, NVME_ERR_NAMESPACE},        {"active_nsid", 1, NVME_OK},
    {"inactive_nsid", 2, NVME_ERR_NAMESPACE}, {"last_nsid", 4, NVME_OK},
    {"nsid_above_nn", 5, NVME_ERR_NAMESPACE}, {"broadcast_nsid", UINT32_MAX, NVME_ERR_NAMESPACE},
};

static void only_an_active_namespace_opens(void **state)
{
    const struct nsid_case *this = *state;
    struct fixture fixture;
    struct nvme_namespace ns;

    fixture_init(&fixture);
    model_set_namespace(fixture.model, 4, 9, BLOCKS);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, this->nsid, &ns), this->error);
    fixture_finish(&fixture);
}

static void active_namespaces_are_found_in_order(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 0;

    (void)state;
    fixture_init(&fixture);
    model_set_namespace(fixture.model, 3, 12, BLOCKS);
    model_set_namespace(fixture.model, 4, 9, BLOCKS);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_OK);
    assert_int_equal(nsid, 1);
    assert_int_equal(nvme_namespace_next(fixture.controller, nsid, &nsid), NVME_OK);
    assert_int_equal(nsid, 3);
    assert_int_equal(nvme_namespace_next(fixture.controller, nsid, &nsid), NVME_OK);
    assert_int_equal(nsid, 4);
    assert_int_equal(nvme_namespace_next(fixture.controller, nsid, &nsid), NVME_ERR_NAMESPACE);
    assert_int_equal(nsid, 4);
    assert_int_equal(nvme_namespace_next(fixture.controller, UINT32_MAX - 1, &nsid),
                     NVME_ERR_NAMESPACE);
    fixture_finish(&fixture);
}

static void controller_without_namespaces_says_so(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 9;

    (void)state;
    fixture_init(&fixture);
    fixture.model->namespaces[0].active = false;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_NAMESPACE);
    assert_int_equal(nsid, 9);
    fixture_finish(&fixture);
}

static void nsid_above_nn_in_the_list_contradicts(void **state)
{
    struct fixture fixture;
    uint32_t nsid = 9;

    (void)state;
    fixture_init(&fixture);
    fixture.model->namespace_count = 0;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_next(fixture.controller, 0, &nsid), NVME_ERR_IDENTIFY);
    assert_int_equal(nsid, 9);
    fixture_finish(&fixture);
}

static void block_larger_than_a_command_is_named(void **state)
{
    struct fixture fixture;
    struct nvme_namespace ns;

    (void)state;
    fixture_init(&fixture);
    model_set_namespace(fixture.model, 1, 14, BLOCKS);
    fixture.model->mdts = 1; /* 8 KiB */
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_ERR_UNSUPPORTED);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_BLOCK_SIZE).value, 16384);
    assert_int_equal(fixture_event(&fixture, NVME_EVENT_BLOCK_SIZE).limit, 8192);
    fixture_finish(&fixture);
}

static void more_blocks_than_nlb_can_say_are_split(void **state)
{
    struct fixture fixture;
    struct nvme_namespace ns;

    (void)state;
    fixture_init(&fixture);
    fixture.model->namespaces[0].block_count = UINT64_C(1) << 40;
    fixture.model->mdts = 0;
    fixture.config.max_transfer_bytes = 64 * 1024 * 1024;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_OK);
    assert_int_equal(ns.max_blocks, NVME_IO_MAX_BLOCKS);
    fixture_finish(&fixture);
}

/* A namespace with every identifier, and nothing that keeps it from being used. */
static struct model_namespace *full_namespace(struct model *model)
{
    struct model_namespace *ns = &model->namespaces[0];

    ns->nmic = 0xff;
    memset(ns->eui64, 0x11, sizeof(ns->eui64));
    memset(ns->nguid, 0x22, sizeof(ns->nguid));
    memset(ns->uuid, 0x33, sizeof(ns->uuid));
    return ns;
}

static void check_bytes(const uint8_t *bytes, size_t size, uint8_t expected)
{
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(bytes[i], expected);
    }
}

static void unusable_namespace_is_described(void **state)
{
    struct fixture fixture;
    struct nvme_namespace_info info;
    struct model_namespace *model;
    struct nvme_namespace ns;

    (void)state;
    fixture_init(&fixture);
    model = full_namespace(fixture.model);
    model->metadata_bytes = 8;
    model->protection = 0xf9; /* type 1, and what is not the type */
    model->block_shift = 7;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_ERR_UNSUPPORTED);
    assert_int_equal(nvme_namespace_describe(fixture.controller, 1, &info), NVME_OK);
    assert_int_equal(info.block_count, model->block_count);
    assert_int_equal(info.block_shift, 7);
    assert_int_equal(info.metadata_bytes, 8);
    assert_int_equal(info.protection_type, 1);
    assert_int_equal(info.command_set, NVME_COMMAND_SET_NVM);
    assert_true(info.shared);
    check_bytes(info.eui64, sizeof(info.eui64), 0x11);
    check_bytes(info.nguid, sizeof(info.nguid), 0x22);
    check_bytes(info.uuid, sizeof(info.uuid), 0x33);
    fixture_finish(&fixture);
}

static void zoned_namespace_is_refused(void **state)
{
    struct fixture fixture;
    struct nvme_namespace_info info;
    struct nvme_namespace ns;

    (void)state;
    fixture_init(&fixture);
    fixture.model->namespaces[0].command_set = NVME_COMMAND_SET_ZONED;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_ERR_UNSUPPORTED);
    assert_int_equal(nvme_namespace_describe(fixture.controller, 1, &info), NVME_OK);
    assert_int_equal(info.command_set, NVME_COMMAND_SET_ZONED);
    assert_false(info.shared);
    fixture_finish(&fixture);
}

/* Refused, or not there before 1.3: what they tell is not given. Nothing else goes wrong. */
static void descriptors_are_optional(void **state)
{
    struct fixture fixture;
    struct nvme_namespace_info info;
    struct nvme_namespace ns;
    uint32_t commands;

    (void)state;
    fixture_init(&fixture);
    full_namespace(fixture.model)->command_set = NVME_COMMAND_SET_ZONED;
    fixture.model->without_descriptors = true;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_OK);
    assert_int_equal(nvme_namespace_describe(fixture.controller, 1, &info), NVME_OK);
    check_bytes(info.uuid, sizeof(info.uuid), 0);
    check_bytes(info.nguid, sizeof(info.nguid), 0x22);
    fixture_finish(&fixture);

    fixture_init(&fixture);
    fixture.model->version = 0x00010201;
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    commands = fixture.model->admin_commands[NVME_ADMIN_IDENTIFY];
    assert_int_equal(nvme_namespace_open(fixture.controller, 1, &ns), NVME_OK);
    assert_int_equal(fixture.model->admin_commands[NVME_ADMIN_IDENTIFY], commands + 1);
    fixture_finish(&fixture);
}

static void inactive_namespace_is_not_described(void **state)
{
    static const uint32_t nsids[] = {0, 2, 5, UINT32_MAX};
    struct fixture fixture;
    struct nvme_namespace_info info = {.block_count = 77};

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_open(&fixture), NVME_OK);
    for (size_t i = 0; i < COUNT_OF(nsids); i++) {
        assert_int_equal(nvme_namespace_describe(fixture.controller, nsids[i], &info),
                         NVME_ERR_NAMESPACE);
    }
    assert_int_equal(info.block_count, 77);
    fixture_finish(&fixture);
}

/* A list as the device wrote it: types and sizes that fit, do not fit, and run off the page. */
static void descriptors_that_do_not_fit_are_skipped(void **state)
{
    static uint8_t page[NVME_IDENTIFY_BYTES];
    struct nvme_namespace_info info = {0};
    size_t at = 0;

    (void)state;
    memset(page, 0x44, sizeof(page));
    page[at] = NVME_DESCRIPTOR_UUID; /* too short for a UUID */
    page[at + 1] = 8;
    at += 4 + 8;
    page[at] = 99;
    page[at + 1] = 255;
    at += 4 + 255;
    page[at] = NVME_DESCRIPTOR_NGUID;
    page[at + 1] = 16;
    at += 4 + 16;
    page[at] = NVME_DESCRIPTOR_EUI64;
    page[at + 1] = 0; /* the end */
    nvme_identify_descriptors_decode(page, &info);
    check_bytes(info.uuid, sizeof(info.uuid), 0);
    check_bytes(info.eui64, sizeof(info.eui64), 0);
    check_bytes(info.nguid, sizeof(info.nguid), 0x44);

    /* 80 of 4 + 47, the last ends 16 before the page: an identifier of 16 would end 4 after it. */
    memset(&info, 0, sizeof(info));
    for (at = 0; at < 80 * 51; at += 51) {
        page[at] = 99;
        page[at + 1] = 47;
    }
    page[at] = NVME_DESCRIPTOR_UUID;
    page[at + 1] = 16;
    nvme_identify_descriptors_decode(page, &info);
    check_bytes(info.uuid, sizeof(info.uuid), 0);
}

/* The last one ends with the page, or a byte after it. */
static void descriptor_may_end_with_the_page(void **state)
{
    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        static uint8_t page[NVME_IDENTIFY_BYTES];
        struct nvme_namespace_info info = {0};
        size_t last = sizeof(page) - 4 - sizeof(info.uuid) + over;

        memset(page, 0x44, sizeof(page));
        for (size_t at = 0, left; at < last; at += 4 + page[at + 1]) {
            left = last - at - 4;
            page[at] = 99; /* no type that is known */
            page[at + 1] = (uint8_t)(left < 255 ? left : 255);
        }
        page[last] = NVME_DESCRIPTOR_UUID;
        page[last + 1] = sizeof(info.uuid);
        nvme_identify_descriptors_decode(page, &info);
        check_bytes(info.uuid, sizeof(info.uuid), over == 0 ? 0x44 : 0);
    }
}

static void each_namespace_has_its_own_blocks(void **state)
{
    struct fixture fixture;
    struct nvme_namespace other;
    struct outcome outcome = {0};
    uint8_t *buffer = fixture_buffer(4096);

    (void)state;
    fixture_init(&fixture);
    model_set_namespace(fixture.model, 3, 12, BLOCKS);
    memset(fixture.model->namespaces[2].backing, 0x33, 4096);
    fixture_start(&fixture, 1, NVME_MODE_POLL);
    assert_int_equal(nvme_namespace_open(fixture.controller, 3, &other), NVME_OK);
    assert_int_equal(nvme_read(fixture.queues[0], &other, 0, 1, buffer, outcome_callback(&outcome)),
                     NVME_OK);
    nvme_queue_submit(fixture.queues[0]);
    nvme_queue_reap(fixture.queues[0], 1);
    outcome_check_ok(&outcome, 4096);
    assert_int_equal(buffer[0], 0x33);
    assert_int_equal(fixture.model->last.nsid, 3);
    fixture_free(buffer);
    fixture_finish(&fixture);
}

int main(void)
{
    struct CMUnitTest tests[12 + COUNT_OF(format_cases) + COUNT_OF(nsid_cases)] = {
        cmocka_unit_test(active_namespaces_are_found_in_order),
        cmocka_unit_test(controller_without_namespaces_says_so),
        cmocka_unit_test(nsid_above_nn_in_the_list_contradicts),
        cmocka_unit_test(block_larger_than_a_command_is_named),
        cmocka_unit_test(more_blocks_than_nlb_can_say_are_split),
        cmocka_unit_test(each_namespace_has_its_own_blocks),
        cmocka_unit_test(unusable_namespace_is_described),
        cmocka_unit_test(zoned_namespace_is_refused),
        cmocka_unit_test(descriptors_are_optional),
        cmocka_unit_test(inactive_namespace_is_not_described),
        cmocka_unit_test(descriptors_that_do_not_fit_are_skipped),
        cmocka_unit_test(descriptor_may_end_with_the_page),
    };
    size_t count = 12;

    ADD_CASES(tests, &count, geometry_is_decoded_or_refused, format_cases);
    ADD_CASES(tests, &count, only_an_active_namespace_opens, nsid_cases);
    return fixture_run("namespace", tests, count);
}
