// SPDX-License-Identifier: MIT
/*
 * prp.c: every buffer against the model's own walker, in both address spaces.
 */
#include <stdlib.h>

#include "fixture.h"
#include "model_prp.h"
#include "nvme_internal.h"

enum {
    PAGE = 4096,
    PER_PAGE = PAGE / 8,
    GUARD = 0x5c,
};

/* The shape that a transfer's PRPs must have. */
enum shape {
    ONE_PAGE,
    TWO_PAGES,
    LIST,
    CHAINED_TWICE,
    CHAINED_THRICE,
};

struct prp_case {
    const char *name;
    uint32_t offset; /* of the buffer in its page */
    uint32_t size;
    enum shape shape;
    uint32_t page_bytes;
};

#define MIB (1024 * 1024)

static const struct prp_case prp_cases[] = {
    {"one_dword_at_page_start", 0, 4, ONE_PAGE, PAGE},
    {"one_byte_less_than_a_page", 0, PAGE - 1, ONE_PAGE, PAGE},
    {"exactly_one_page", 0, PAGE, ONE_PAGE, PAGE},
    {"one_byte_more_than_a_page", 0, PAGE + 1, TWO_PAGES, PAGE},
    {"exactly_two_pages", 0, 2 * PAGE, TWO_PAGES, PAGE},
    {"one_byte_more_than_two_pages", 0, 2 * PAGE + 1, LIST, PAGE},
    {"sector_at_4_stays_inside", 4, 512, ONE_PAGE, PAGE},
    {"page_at_4_takes_two", 4, PAGE, TWO_PAGES, PAGE},
    {"two_pages_at_4_take_three", 4, 2 * PAGE, LIST, PAGE},
    {"two_pages_less_4_at_4_take_two", 4, 2 * PAGE - 4, TWO_PAGES, PAGE},
    {"sector_at_508_stays_inside", 508, 512, ONE_PAGE, PAGE},
    {"sector_that_ends_with_the_page", PAGE - 512, 512, ONE_PAGE, PAGE},
    {"sector_that_straddles_by_a_dword", PAGE - 508, 512, TWO_PAGES, PAGE},
    {"sector_that_straddles_in_the_middle", PAGE - 256, 512, TWO_PAGES, PAGE},
    {"one_dword_in_the_first_page", PAGE - 4, 512, TWO_PAGES, PAGE},
    {"one_dword_then_exactly_a_page", PAGE - 4, PAGE + 4, TWO_PAGES, PAGE},
    {"one_dword_then_a_page_and_a_byte", PAGE - 4, PAGE + 5, LIST, PAGE},
    {"mdts_of_qemu_aligned", 0, 512 * 1024, LIST, PAGE},
    {"mdts_of_qemu_unaligned", 508, 512 * 1024, LIST, PAGE},
    {"one_mebibyte_at_4092", 4092, MIB, LIST, PAGE},
    {"list_exactly_full", 0, (PER_PAGE + 1) * PAGE, LIST, PAGE},
    {"list_exactly_full_but_a_byte", 0, (PER_PAGE + 1) * PAGE - 1, LIST, PAGE},
    {"list_one_entry_too_many_chains", 0, (PER_PAGE + 1) * PAGE + 1, CHAINED_TWICE, PAGE},
    {"list_full_by_its_offset_alone", 4, (PER_PAGE + 1) * PAGE - 4, LIST, PAGE},
    {"list_chains_by_its_offset_alone", 4, (PER_PAGE + 1) * PAGE, CHAINED_TWICE, PAGE},
    {"two_list_pages_exactly_full", 0, (2 * PER_PAGE) * PAGE, CHAINED_TWICE, PAGE},
    {"third_list_page_for_one_byte", 0, (2 * PER_PAGE) * PAGE + 1, CHAINED_THRICE, PAGE},
    {"three_list_pages_unaligned", 4092, 2 * PER_PAGE *PAGE + PAGE, CHAINED_THRICE, PAGE},
    {"page_of_8_kib_exactly", 0, 2 * PAGE, ONE_PAGE, 2 * PAGE},
    {"page_of_8_kib_straddled", 4 + PAGE, 2 * PAGE, TWO_PAGES, 2 * PAGE},
    {"page_of_64_kib_with_a_list", 65536 - 4, 3 * 65536, LIST, 16 * PAGE},
};

/* Walks the PRPs; the pieces must be the buffer's bytes in order, none more, none less. */
static uint32_t walk_all(const struct nvme_command *command, const struct nvme_prp_build *build)
{
    struct model_prp walk;
    const uint8_t *expected = build->buffer;
    uint8_t *host;
    uint32_t bytes;

    model_prp_begin(&walk, build->page_bytes, command->prp1, command->prp2, build->size_bytes);
    while (model_prp_next(&walk, &host, &bytes)) {
        assert_ptr_equal(host, expected);
        expected += bytes;
    }
    assert_ptr_equal(expected, (const uint8_t *)build->buffer + build->size_bytes);
    if (walk.pieces == 1) {
        return ONE_PAGE;
    }
    return walk.list_pages == 0 ? TWO_PAGES : LIST + walk.list_pages - 1;
}

static void check_case(const struct prp_case *this, enum world_paging paging)
{
    size_t list_bytes = nvme_prp_list_bytes((this->size + this->page_bytes - 1) / this->page_bytes *
                                                this->page_bytes,
                                            this->page_bytes);
    size_t list_area = (list_bytes + 16 * PAGE) / (16 * PAGE) * (16 * PAGE);
    struct nvme_command command;
    uint8_t *list = aligned_alloc(16 * PAGE, list_area);
    struct nvme_prp_build build = {
        .buffer = (uint8_t *)(uintptr_t)(UINT64_C(1) << 32) + this->offset, /* never touched */
        .size_bytes = this->size,
        .page_bytes = this->page_bytes,
        .list = list,
    };

    assert_non_null(list);
    world_reset();
    world.paging = paging;
    world.page_bytes = this->page_bytes;
    memset(list, GUARD, list_area);
    memset(&command, GUARD, sizeof(command));
    nvme_prp_fill(&command, &build);
    assert_int_equal(walk_all(&command, &build), this->shape);
    for (size_t i = list_bytes; i < list_area; i++) {
        assert_int_equal(list[i], GUARD);
    }
    assert_int_equal(command.cdw10, GUARD * UINT32_C(0x01010101));
    assert_int_equal(world.findings, 0);
    free(list);
}

static void prp_case_identity_and_paged(void **state)
{
    check_case(*state, WORLD_IDENTITY);
    check_case(*state, WORLD_PAGED_SCATTERED);
}

static void every_offset_and_size_up_to_four_pages(void **state)
{
    static const uint32_t sizes[] = {512, PAGE - 4, PAGE, PAGE + 4, 2 * PAGE, 3 * PAGE, 4 * PAGE};

    (void)state;
    for (uint32_t offset = 0; offset < PAGE; offset += 4) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            uint32_t pages = (offset + sizes[i] + PAGE - 1) / PAGE;
            struct prp_case this = {
                .offset = offset,
                .size = sizes[i],
                .shape = pages == 1 ? ONE_PAGE : (pages == 2 ? TWO_PAGES : LIST),
                .page_bytes = PAGE,
            };

            check_case(&this, WORLD_IDENTITY);
        }
    }
}

/* Sizes of list memory: per slot a power of two below a page, else whole pages. */
static void list_memory_is_as_large_as_the_worst_buffer_needs(void **state)
{
    (void)state;
    assert_int_equal(nvme_prp_list_bytes(PAGE, PAGE), 8);
    assert_int_equal(nvme_prp_list_bytes(2 * PAGE, PAGE), 16);
    assert_int_equal(nvme_prp_list_bytes(3 * PAGE, PAGE), 32);
    assert_int_equal(nvme_prp_list_bytes(PER_PAGE * PAGE, PAGE), PAGE);
    assert_int_equal(nvme_prp_list_bytes((PER_PAGE + 1) * PAGE, PAGE), 2 * PAGE);
    assert_int_equal(nvme_prp_list_bytes(2 * PER_PAGE * PAGE - PAGE, PAGE), 2 * PAGE);
    assert_int_equal(nvme_prp_list_bytes(2 * PER_PAGE * PAGE, PAGE), 3 * PAGE);
}

/* The list is never longer than nvme_prp_list_bytes says, for the worst offset of each size. */
static void worst_offset_of_every_size_fits_its_list(void **state)
{
    (void)state;
    for (uint32_t pages = 1; pages <= 2 * PER_PAGE + 8; pages += pages < 8 ? 1 : 63) {
        struct prp_case this = {.offset = PAGE - 4, .size = pages * PAGE, .page_bytes = PAGE};
        uint32_t entries = pages;

        this.shape = entries == 1 ? TWO_PAGES : LIST;
        if (entries > PER_PAGE) {
            this.shape = entries > 2 * PER_PAGE - 1 ? CHAINED_THRICE : CHAINED_TWICE;
        }
        check_case(&this, WORLD_IDENTITY);
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(prp_cases) + 3] = {
        cmocka_unit_test(every_offset_and_size_up_to_four_pages),
        cmocka_unit_test(list_memory_is_as_large_as_the_worst_buffer_needs),
        cmocka_unit_test(worst_offset_of_every_size_fits_its_list),
    };
    size_t count = 3;

    ADD_CASES(tests, &count, prp_case_identity_and_paged, prp_cases);
    return fixture_run("prp", tests, count);
}
