// SPDX-License-Identifier: MIT
/*
 * runtime/namespace_view.c: when two controllers show one namespace, and unusable ones in words.
 */
#include "fixture.h"
#include "namespace_view.h"

/* One controller's view of a shared namespace with every identifier. */
struct view {
    struct nvme_controller_info controller;
    struct nvme_namespace_info ns;
    uint32_t nsid;
};

static struct view full_view(void)
{
    struct view view = {
        .controller = {.serial = "s", .subsystem = "nqn.a", .more_controllers = true},
        .ns = {.block_count = 64, .block_shift = 9, .shared = true},
        .nsid = 1,
    };

    memset(view.ns.eui64, 0x11, sizeof(view.ns.eui64));
    memset(view.ns.nguid, 0x22, sizeof(view.ns.nguid));
    memset(view.ns.uuid, 0x33, sizeof(view.ns.uuid));
    return view;
}

static const char *difference(const struct view *a, const struct view *b)
{
    return namespace_view_difference(&(struct namespace_view){&a->controller, &a->ns, a->nsid},
                                     &(struct namespace_view){&b->controller, &b->ns, b->nsid});
}

/* What another disk may have in common with ours but for one thing. */
enum change {
    NOTHING,
    NO_IDENTIFIERS,
    NO_CMIC,
    SUBNQN,
    SERIAL,
    CNTLID,
    NO_NMIC,
    NSID,
    BLOCK_COUNT,
    BLOCK_SIZE,
    EUI64,
    NGUID,
    UUID,
    UUID_NOT_GIVEN,
};

static void apply(enum change change, struct view *view)
{
    switch (change) {
    case NOTHING:
    case NO_IDENTIFIERS:
        break;
    case NO_CMIC:
        view->controller.more_controllers = false;
        break;
    case SUBNQN:
        view->controller.subsystem[4] = 'b';
        break;
    case SERIAL:
        view->controller.serial[0] = 't';
        break;
    case CNTLID:
        view->controller.controller_id--;
        break;
    case NO_NMIC:
        view->ns.shared = false;
        break;
    case NSID:
        view->nsid++;
        break;
    case BLOCK_COUNT:
        view->ns.block_count++;
        break;
    case BLOCK_SIZE:
        view->ns.block_shift++;
        break;
    case EUI64:
        view->ns.eui64[7]++;
        break;
    case NGUID:
        view->ns.nguid[15]++;
        break;
    case UUID:
        view->ns.uuid[15]++;
        break;
    case UUID_NOT_GIVEN:
        memset(view->ns.uuid, 0, sizeof(view->ns.uuid));
        break;
    }
}

struct door_case {
    const char *name;
    enum change change;
    const char *why; /* NULL: one namespace */
};

static const struct door_case door_cases[] = {
    {"equal_in_everything", NOTHING, NULL},
    {"equal_without_identifiers", NO_IDENTIFIERS, NULL},
    {"subsystem_of_one_controller", NO_CMIC, "CMIC"},
    {"another_subsystem", SUBNQN, "SUBNQN"},
    {"another_serial_number", SERIAL, "SUBNQN"},
    {"another_subsystem_of_the_same_name", CNTLID, "CNTLID"},
    {"namespace_that_is_not_shared", NO_NMIC, "NMIC"},
    {"another_nsid", NSID, "number"},
    {"another_size", BLOCK_COUNT, "size"},
    {"another_block", BLOCK_SIZE, "format"},
    {"another_eui64", EUI64, "EUI-64"},
    {"another_nguid", NGUID, "NGUID"},
    {"another_uuid", UUID, "UUID"},
    {"uuid_of_one_only", UUID_NOT_GIVEN, "UUID"},
};

static void doors_agree_in_everything(void **state)
{
    const struct door_case *this = *state;
    struct view a = full_view();
    struct view b;

    if (this->change == NO_IDENTIFIERS) {
        memset(a.ns.eui64, 0, sizeof(a.ns.eui64));
        memset(a.ns.nguid, 0, sizeof(a.ns.nguid));
        memset(a.ns.uuid, 0, sizeof(a.ns.uuid));
    }
    b = a;
    b.controller.controller_id++;
    apply(this->change, &b);
    if (this->why == NULL) {
        assert_null(difference(&a, &b));
        return;
    }
    assert_non_null(difference(&a, &b));
    assert_non_null(strstr(difference(&a, &b), this->why));
    assert_non_null(difference(&b, &a));
}

/* The serial number alone was taken for a proof once, and data were lost. */
static void subsystems_without_a_name_are_not_one(void **state)
{
    struct view a = full_view();
    struct view b = full_view();

    (void)state;
    b.controller.controller_id++;
    assert_null(difference(&a, &b));
    a.controller.subsystem[0] = '\0';
    b.controller.subsystem[0] = '\0';
    assert_non_null(difference(&a, &b));
}

struct flaw_case {
    const char *name;
    struct nvme_namespace_info info;
    enum nvme_error error;
    const char *said;
};

static const struct flaw_case flaw_cases[] = {
    {"zoned", {.command_set = NVME_COMMAND_SET_ZONED}, NVME_ERR_UNSUPPORTED, "zoned"},
    {"key_value", {.command_set = NVME_COMMAND_SET_KEY_VALUE}, NVME_ERR_UNSUPPORTED, "set 1,"},
    {"protected",
     {.metadata_bytes = 8, .protection_type = 3},
     NVME_ERR_UNSUPPORTED,
     "protection information of type 3"},
    {"metadata", {.metadata_bytes = 64}, NVME_ERR_UNSUPPORTED, "64 bytes of metadata"},
    {"contradiction", {.metadata_bytes = 64}, NVME_ERR_IDENTIFY, "contradict"},
    {"not_there", {.block_count = 0}, NVME_ERR_NAMESPACE, "no such active namespace"},
};

static void flaw_is_said_in_words(void **state)
{
    const struct flaw_case *this = *state;
    char text[NAMESPACE_FLAW_BYTES];

    namespace_view_write_flaw(&this->info, this->error, text);
    assert_non_null(strstr(text, this->said));
}

int main(void)
{
    struct CMUnitTest tests[1 + COUNT_OF(door_cases) + COUNT_OF(flaw_cases)] = {
        cmocka_unit_test(subsystems_without_a_name_are_not_one),
    };
    size_t count = 1;

    ADD_CASES(tests, &count, doors_agree_in_everything, door_cases);
    ADD_CASES(tests, &count, flaw_is_said_in_words, flaw_cases);
    return fixture_run("namespace_view", tests, count);
}
