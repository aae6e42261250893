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

#define PREFIX "sim."

/* A figure's name, its place, and the most it may be. */
struct key {
    const char *name;
    size_t offset;
    uint64_t most;
};

#define KEY(field, limit)                                                                          \
    {                                                                                              \
        .name = #field, .offset = offsetof(struct profile, field), .most = (limit)                 \
    }
#define TIMING(field, limit)                                                                       \
    {                                                                                              \
        .name = #field, .offset = offsetof(struct profile, timing.field), .most = (limit)          \
    }
#define SECOND UINT64_C(1000000000)

/* Fields of 64 bits. */
static const struct key keys[] = {
    KEY(harts, 16),           KEY(instruction_ps, 1000000), KEY(clock_ns, SECOND),
    KEY(csr_ns, SECOND),      KEY(trap_ns, SECOND),         KEY(wake_ns, SECOND),
    KEY(ipi_ns, SECOND),      KEY(entry_ns, SECOND),        KEY(program_post, 10000),
    KEY(program_reap, 10000), KEY(read_ns, SECOND),         KEY(write_ns, SECOND),
    KEY(posted_ns, SECOND),   KEY(interrupt_ns, SECOND),    KEY(controllers, WORLD_MODELS_MAX),
    KEY(memory_mib, 16384),   KEY(namespace_mib, 1 << 20),  KEY(block_shift, 12),
    KEY(units, MODEL_UNITS),  KEY(coalesce_entries, 256),   TIMING(fetch_ns, SECOND),
    TIMING(gap_ns, SECOND),   TIMING(ring_ns, SECOND),      TIMING(tell_ns, SECOND),
    TIMING(block_ps, SECOND), TIMING(coalesce_ns, SECOND),  TIMING(seed, UINT64_MAX),
};

static const struct {
    const char *name;
    size_t offset;
} flags[] = {
    {"messages", offsetof(struct profile, messages)},
    {"edges", offsetof(struct profile, edges)},
    {"passes", offsetof(struct profile, timing.passes)},
};

struct profile the_profile = {
    .harts = 1,
    .instruction_ps = 667,
    .controllers = 1,
    .memory_mib = 256,
    .namespace_mib = 1024,
    .block_shift = 9,
    .units = 1,
    .timing =
        {
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
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strlen(keys[i].name) == size && strncmp(keys[i].name, name, size) == 0) {
            if (!parse_number(word, text, keys[i].most, &value)) {
                return false;
            }
            memcpy((uint8_t *)profile + keys[i].offset, &value, sizeof(value));
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strlen(flags[i].name) == size && strncmp(flags[i].name, name, size) == 0) {
            bool on = strcmp(text, "1") == 0;

            memcpy((uint8_t *)profile + flags[i].offset, &on, sizeof(on));
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
        profile->units == 0 || profile->block_shift < 9) {
        return refuse(PREFIX,
                      "harts, instruction_ps, controllers, units or block_shift is too small");
    }
    profile->timing.units = (uint32_t)profile->units;
    profile->timing.coalesce_entries = (uint32_t)profile->coalesce_entries;
    profile->timing.unit_blocks = 4096U >> profile->block_shift;
    return true;
}
