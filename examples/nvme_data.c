// SPDX-License-Identifier: MIT
/*
 * CRC-32, the fill pattern, hexadecimal output.
 *
 * The CRC-32 is the reflected one of IEEE 802.3, eight bytes per step. A CRC is a remainder of
 * polynomials modulo 2, so n bytes after a part multiply its CRC by x^(8n). Harts can therefore
 * compute the parts in any order. Bit 31 of a value is the coefficient of x^0.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nvme_tool.h"

#define CRC_POLYNOMIAL UINT32_C(0xedb88320)
#define CRC_X8 (UINT32_C(1) << (31 - 8))

#define SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15)

enum { SLICES = 8, HEX_LINE = 16, JSON_LINE = 32 };

static uint32_t tables[SLICES][256]; /* tables[k][b]: byte b, then k zero bytes */
static uint32_t powers[64];          /* powers[k]: x^(8 * 2^k) */

/* a * b modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (unsigned bit = 0; bit < 32; bit++) {
        product ^= (a << bit & UINT32_C(1) << 31) != 0 ? b : 0;
        b = b >> 1 ^ ((b & 1) != 0 ? CRC_POLYNOMIAL : 0);
    }
    return product;
}

void crc_init(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        tables[0][byte] = multiply(CRC_X8, byte);
    }
    for (unsigned slice = 1; slice < SLICES; slice++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            tables[slice][byte] = multiply(CRC_X8, tables[slice - 1][byte]);
        }
    }
    powers[0] = CRC_X8;
    for (unsigned k = 1; k < 64; k++) {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
    }
}

uint32_t crc_of(const void *data, size_t size)
{
    const uint32_t *words = data;
    uint32_t crc = ~UINT32_C(0);

    for (size_t i = 0; i < size / 4; i += 2) {
        uint32_t first = words[i] ^ crc;
        uint32_t second = words[i + 1];

        crc = tables[7][first & 255] ^ tables[6][first >> 8 & 255] ^ tables[5][first >> 16 & 255] ^
              tables[4][first >> 24] ^ tables[3][second & 255] ^ tables[2][second >> 8 & 255] ^
              tables[1][second >> 16 & 255] ^ tables[0][second >> 24];
    }
    return ~crc;
}

uint32_t crc_shift(uint32_t crc, uint64_t bytes_behind)
{
    for (unsigned k = 0; bytes_behind >> k != 0; k++) {
        if ((bytes_behind >> k & 1) != 0) {
            crc = multiply(powers[k], crc);
        }
    }
    return crc;
}

/* Word `index` of the pattern. */
static uint64_t pattern_word(uint64_t seed, uint64_t index)
{
    uint64_t word = seed + (index + 1) * SPLITMIX_STEP;

    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

void pattern_fill(void *data, size_t size, uint64_t seed, uint64_t position)
{
    uint32_t *words = data;

    for (size_t i = 0; i < size / 8; i++) {
        uint64_t word = pattern_word(seed, position / 8 + i);

        words[2 * i] = (uint32_t)word;
        words[2 * i + 1] = (uint32_t)(word >> 32);
    }
}

size_t pattern_compare(const void *data, size_t size, uint64_t seed, uint64_t position,
                       uint8_t *expected)
{
    const uint32_t *words = data;

    for (size_t i = 0; i < size / 8; i++) {
        uint64_t word = pattern_word(seed, position / 8 + i);
        uint64_t wrong = word ^ (words[2 * i] | (uint64_t)words[2 * i + 1] << 32);

        if (wrong != 0) {
            unsigned byte = 0;

            while ((wrong >> 8 * byte & 255) == 0) {
                byte++;
            }
            *expected = (uint8_t)(word >> 8 * byte);
            return 8 * i + byte;
        }
    }
    return size;
}

void hex_print(const uint8_t *data, size_t size, uint64_t position)
{
    for (size_t line = 0; line < size; line += HEX_LINE) {
        char text[3 * HEX_LINE + 1];
        char letters[HEX_LINE + 1] = {0};

        for (size_t i = 0; i < HEX_LINE; i++) {
            uint8_t byte = data[line + i];

            snprintf(&text[3 * i], 4, "%02x ", byte);
            letters[i] = byte >= ' ' && byte <= '~' ? (char)byte : '.';
        }
        printf("%08" PRIx64 "  %s |%s|\n", position + line, text, letters);
    }
}

void hex_print_json(struct json *json, const char *name, const uint8_t *data, size_t size)
{
    json_open(json, name, '[');
    for (size_t line = 0; line < size; line += JSON_LINE) {
        char text[2 * JSON_LINE + 1];

        for (size_t i = 0; i < JSON_LINE && line + i < size; i++) {
            snprintf(&text[2 * i], 3, "%02x", data[line + i]);
        }
        json_text(json, NULL, text);
    }
    json_close(json, ']');
}
