// SPDX-License-Identifier: MIT
/*
 * Words to figures: see profile.h.
 */
#include "profile.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harts.h"

#define PREFIX "sim."

/* A figure's name, its place and size there, and the most it may be. */
struct key {
    const char *name;
    size_t offset;
    size_t size;
    uint64_t most;
};

#define KEY_AT(label, field, limit)                                                                \
    {                                                                                              \
        .name = #label, .offset = offsetof(struct profile, field),                                 \
        .size = sizeof(((struct profile *)NULL)->field), .most = (limit)                           \
    }
#define KEY(field, limit) KEY_AT(field, field, limit)
#define TIMING(field, limit) KEY_AT(field, timing.field, limit)
#define SECOND UINT64_C(1000000000)

static const struct key keys[] = {
    KEY(harts, HART_LIMIT),
    KEY(instruction_ps, 1000000),
    KEY(clock_ns, SECOND),
    KEY(csr_ns, SECOND),
    KEY(trap_ns, SECOND),
    KEY(wake_ns, SECOND),
    KEY(drag_ns, SECOND),
    KEY(ipi_ns, SECOND),
    KEY(entry_ns, SECOND),
    KEY(program_post, 10000),
    KEY(program_reap, 10000),
    KEY(read_ns, SECOND),
    KEY(write_ns, SECOND),
    KEY(posted_ns, SECOND),
    KEY(interrupt_ns, SECOND),
    KEY(messages, 1),
    KEY(edges, 1),
    KEY(memory_mib, 16384),
    KEY(controllers, WORLD_MODELS_MAX),
    KEY(block_shift, 12),
    KEY(namespace_mib, 1 << 20),
    TIMING(passes, 1),
    TIMING(fetch_ns, SECOND),
    TIMING(gap_ns, SECOND),
    TIMING(ring_ns, SECOND),
    TIMING(tell_ns, SECOND),
    TIMING(units, MODEL_UNITS),
    TIMING(block_ps, SECOND),
    TIMING(seed, UINT64_MAX),
    TIMING(coalesce_ns, SECOND),
    TIMING(coalesce_entries, 256),
};

struct profile the_profile = {
    .harts = 1,
    .instruction_ps = 667,
    .controllers = 1,
    .memory_mib = 256,
    .namespace_mib = 1024,
    .block_shift = 9,
    .timing =
        {
            .units = 1,
            .read = {{0, 10000}, {MODEL_CHANCE_ALL, 10000}},
            .write = {{0, 10000}, {MODEL_CHANCE_ALL, 10000}},
            .seed = 1,
        },
};

static bool refuse(const char *word, const char *why)
{
    printf("error: %s: %s\n", word, why);
    return false;
}

/* chance:ns,chance:ns,... with rising chances from 0 to MODEL_CHANCE_ALL and rising times. */
static bool parse_quantiles(struct model_quantile *points, const char *word, const char *text)
{
    unsigned count = 0;
    uint32_t chance = 0;

    do {
        char *end;
        unsigned long value = strtoul(text, &end, 10);
        unsigned long service = *end == ':' ? strtoul(end + 1, &end, 10) : 0;

        if (count == MODEL_QUANTILES || (*end != ',' && *end != '\0') || service > SECOND ||
            (count == 0 ? value != 0 : value <= chance || service < points[count - 1].service_ns)) {
            return refuse(word, "not CHANCE:NS,... rising from 0 to 1000000");
        }
        chance = (uint32_t)value;
        points[count++] = (struct model_quantile){chance, (uint32_t)service};
        text = end + 1;
    } while (text[-1] == ',');
    return chance == MODEL_CHANCE_ALL || refuse(word, "the last chance is not 1000000");
}

static bool parse_number(const char *word, const char *text, uint64_t most, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || *value > most) {
        printf("error: %s: a whole number, at most %" PRIu64 "\n", word, most);
        return false;
    }
    return true;
}

/* Fields are of 8, 4 or 1 byte, a bool among them. */
static void store(uint8_t *field, size_t size, uint64_t value)
{
    uint32_t half = (uint32_t)value;
    uint8_t byte = (uint8_t)value;
    const void *source = size == sizeof(value)  ? (const void *)&value
                         : size == sizeof(half) ? (const void *)&half
                                                : (const void *)&byte;

    memcpy(field, source, size);
}

static bool parse_word(struct profile *profile, const char *word)
{
    const char *name = word + sizeof(PREFIX) - 1;
    size_t size = strcspn(name, "=");
    const char *text = name + size + (name[size] == '=');
    uint64_t value;

    if (strncmp(name, "read=", size + 1) == 0 || strncmp(name, "write=", size + 1) == 0) {
        return parse_quantiles(*name == 'r' ? profile->timing.read : profile->timing.write, word,
                               text);
    }
    if (strncmp(name, "flaws=", size + 1) == 0) {
        profile->flaws = text;
        return true;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strlen(keys[i].name) == size && strncmp(keys[i].name, name, size) == 0) {
            if (!parse_number(word, text, keys[i].most, &value)) {
                return false;
            }
            store((uint8_t *)profile + keys[i].offset, keys[i].size, value);
            return true;
        }
    }
    return refuse(word, "the machine has no such figure");
}

bool profile_parse(struct profile *profile, int *argc, char **argv)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], PREFIX, sizeof(PREFIX) - 1) != 0) {
            argv[kept++] = argv[i];
        } else if (!parse_word(profile, argv[i])) {
            return false;
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    if (profile->harts == 0 || profile->instruction_ps == 0 || profile->controllers == 0 ||
        profile->timing.units == 0 || profile->block_shift < 9) {
        return refuse(PREFIX,
                      "harts, instruction_ps, controllers, units or block_shift is too small");
    }
    profile->timing.unit_blocks = 4096U >> profile->block_shift;
    return true;
}
