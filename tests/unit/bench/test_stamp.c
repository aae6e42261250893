// SPDX-License-Identifier: MIT
/*
 * bench/crc32c.c and stamp.c: known checksums; what a stamp finds wrong with a block.
 */
#include "crc32c.h"
#include "fixture.h"
#include "stamp.h"

enum {
    LBA = 77,
    GENERATION = 5,
};

static uint64_t block[8192 / 8];

/* ---- CRC-32C: RFC 3720, B.4, and the usual check value ----------------------------------- */

struct crc_case {
    const char *name;
    const char *text; /* NULL: 32 bytes from `first` on, `step` apart */
    uint8_t first;
    int step;
    uint32_t crc;
};

static const struct crc_case crc_cases[] = {
    {"nothing", "", 0, 0, 0},           {"check_value", "123456789", 0, 0, 0xe3069283},
    {"zeros", NULL, 0, 0, 0x8a9136aa},  {"ones", NULL, 0xff, 0, 0x62a8ab43},
    {"rising", NULL, 0, 1, 0x46dd794e}, {"falling", NULL, 31, -1, 0x113fdb5c},
};

static void checksum_is_the_known_one(void **state)
{
    const struct crc_case *this = *state;
    uint8_t bytes[32];
    const void *data = this->text;
    size_t size = this->text != NULL ? strlen(this->text) : sizeof(bytes);

    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(this->first + i * this->step);
    }
    data = data != NULL ? data : bytes;
    assert_int_equal(crc32c(0, data, size), this->crc);
    for (size_t cut = 0; cut <= size; cut++) {
        uint32_t crc = crc32c(0, data, cut);

        assert_int_equal(crc32c(crc, (const uint8_t *)data + cut, size - cut), this->crc);
    }
}

/* ---- Stamps ------------------------------------------------------------------------------ */

static enum stamp_verdict check(uint32_t block_bytes, uint64_t lba, uint64_t generation)
{
    struct stamp found;
    uint32_t crc;

    return stamp_check(block, block_bytes, lba, generation, &found, &crc);
}

static void stamped_block_is_good(void **state)
{
    static const uint32_t sizes[] = {512, 4096, 8192};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        stamp_write(block, sizes[i], LBA, GENERATION);
        assert_int_equal(check(sizes[i], LBA, GENERATION), STAMP_GOOD);
        assert_int_equal(check(sizes[i], LBA, 0), STAMP_GOOD);
    }
}

/* Whichever bit it is, also one of the stamp's own. */
static void flipped_bit_is_found(void **state)
{
    uint8_t *bytes = (uint8_t *)block;

    (void)state;
    stamp_write(block, BLOCK, LBA, GENERATION);
    for (uint32_t bit = 0; bit < BLOCK * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(check(BLOCK, LBA, 0), bit < 64 ? STAMP_MISSING : STAMP_DAMAGED);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(check(BLOCK, LBA, GENERATION), STAMP_GOOD);
}

static void block_of_another_place_is_found(void **state)
{
    struct stamp found;
    uint32_t crc;

    (void)state;
    stamp_write(block, BLOCK, LBA + 1, GENERATION);
    assert_int_equal(stamp_check(block, BLOCK, LBA, 0, &found, &crc), STAMP_MISPLACED);
    assert_int_equal(found.lba, LBA + 1);
}

static void lost_write_is_found(void **state)
{
    struct stamp found;
    uint32_t crc;

    (void)state;
    stamp_write(block, BLOCK, LBA, GENERATION - 1);
    assert_int_equal(stamp_check(block, BLOCK, LBA, GENERATION, &found, &crc), STAMP_STALE);
    assert_int_equal(found.generation, GENERATION - 1);
}

static void zeros_are_no_stamp(void **state)
{
    (void)state;
    memset(block, 0, sizeof(block));
    assert_int_equal(check(BLOCK, 0, 0), STAMP_MISSING);
}

/* Two halves of different writes, as a torn write leaves them. */
static void torn_block_is_found(void **state)
{
    uint64_t other[BLOCK / 8];

    (void)state;
    stamp_write(block, BLOCK, LBA, GENERATION - 1);
    memcpy(other, block, sizeof(other));
    stamp_write(block, BLOCK, LBA, GENERATION);
    memcpy(&block[BLOCK / 16], &other[BLOCK / 16], BLOCK / 2);
    assert_int_equal(check(BLOCK, LBA, GENERATION), STAMP_DAMAGED);
}

int main(void)
{
    struct CMUnitTest tests[6 + COUNT_OF(crc_cases)] = {
        cmocka_unit_test(stamped_block_is_good),
        cmocka_unit_test(flipped_bit_is_found),
        cmocka_unit_test(block_of_another_place_is_found),
        cmocka_unit_test(lost_write_is_found),
        cmocka_unit_test(zeros_are_no_stamp),
        cmocka_unit_test(torn_block_is_found),
    };
    size_t count = 6;

    ADD_CASES(tests, &count, checksum_is_the_known_one, crc_cases);
    return fixture_run("stamp", tests, count);
}
