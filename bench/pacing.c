// SPDX-License-Identifier: MIT
/*
 * See pacing.h. -ln of a random number: its leading zeros give the powers of two; a table with
 * interpolation gives the rest.
 */
#include "pacing.h"

#include "random.h"

enum {
    TABLE_BITS = 5,
    REST_BITS = 63 - TABLE_BITS, /* below the leading one and the table's index */
};

#define TOP_BIT (UINT64_C(1) << 63)
#define LN_2 UINT64_C(46516320) /* all in units of 1 / PACING_ONE */

/* ln(1 + i / 32). Between two entries the chord is at most 0.00013 below the curve. */
static const uint32_t ln_table[(1 << TABLE_BITS) + 1] = {
    0,        2065051,  4068450,  6013770,  7904286,  9743000,  11532676, 13275861, 14974910,
    16632003, 18249163, 19828268, 21371068, 22879196, 24354175, 25797432, 27210303, 28594040,
    29949820, 31278752, 32581878, 33860181, 35114589, 36345978, 37555180, 38742978, 39910118,
    41057306, 42185213, 43294476, 44385701, 45459466, 46516320,
};

uint64_t pacing_exponential(uint64_t *random)
{
    uint64_t bits = random_next(random);
    uint64_t result = LN_2;
    uint64_t rest;
    uint32_t index;

    /* One turn on average, and never 64: the generator gives no 0. */
    while ((bits & TOP_BIT) == 0) {
        bits <<= 1;
        result += LN_2;
    }
    bits &= ~TOP_BIT;
    index = (uint32_t)(bits >> REST_BITS);
    rest = (bits & ((UINT64_C(1) << REST_BITS) - 1)) >> (REST_BITS - 32);
    return result - ln_table[index] -
           (((uint64_t)(ln_table[index + 1] - ln_table[index]) * rest) >> 32);
}

/* next_ticks += factor * gap, where PACING_ONE is 1; every product fits for gaps below 2^30. */
static void add_gap(struct pacing *pacing, uint64_t factor)
{
    uint64_t whole = pacing->gap_ticks * factor;
    uint64_t rest = pacing->fraction + ((whole & (PACING_ONE - 1)) << (32 - PACING_BITS)) +
                    ((pacing->gap_fraction * factor) >> PACING_BITS);

    pacing->next_ticks += (whole >> PACING_BITS) + (rest >> 32);
    pacing->fraction = rest & UINT32_MAX;
}

void pacing_init(struct pacing *pacing, uint64_t timebase_hz, uint64_t rate_iops, bool poisson,
                 uint64_t seed)
{
    *pacing = (struct pacing){
        .gap_ticks = timebase_hz / rate_iops,
        .gap_fraction = (timebase_hz % rate_iops << 32) / rate_iops,
        .random = seed,
        .poisson = poisson,
    };
}

void pacing_start(struct pacing *pacing, uint64_t now_ticks, uint64_t part, uint64_t parts)
{
    pacing->next_ticks = now_ticks;
    pacing->fraction = 0;
    if (pacing->poisson) {
        pacing_advance(pacing);
    } else {
        add_gap(pacing, PACING_ONE - PACING_ONE * part / parts);
    }
}

void pacing_advance(struct pacing *pacing)
{
    add_gap(pacing, pacing->poisson ? pacing_exponential(&pacing->random) : PACING_ONE);
}
