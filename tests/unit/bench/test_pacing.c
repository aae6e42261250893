// SPDX-License-Identifier: MIT
/*
 * bench/pacing.c: the intended starts of the open loop, linear and Poisson, against their formulas.
 */
#include "fixture.h"
#include "pacing.h"

enum { SEEDS = 4 };

#define SAMPLES 1000000 /* of the kind that goes with floating point, which an enum is not */

/* ---- Linear ----------------------------------------------------------------------------- */

struct rate_case {
    const char *name;
    uint64_t timebase_hz;
    uint64_t rate_iops;
};

static const struct rate_case rate_cases[] = {
    {"one_per_second", 10000000, 1},
    {"gap_of_whole_ticks", 10000000, 5000},
    {"gap_of_3_and_a_third_ticks", 10000000, 3000000},
    {"gap_of_a_tick", 10000000, 10000000},
    {"gap_below_a_tick", 1000000, 10000000},
    {"prime_rate", 10000000, 7919},
    {"fastest_clock_slowest_rate", 1000000000, 1},
    {"fastest_clock_fastest_rate", 1000000000, 10000000},
};

/* After n gaps the start is n / rate seconds on, whatever n is: at most a tick is missing. */
static void linear_starts_do_not_drift(void **state)
{
    const struct rate_case *this = *state;
    const uint64_t begin = UINT64_C(1) << 40;
    struct pacing pacing;

    pacing_init(&pacing, this->timebase_hz, this->rate_iops, false, 1);
    pacing_start(&pacing, begin, 0, 1);
    for (uint64_t count = 1; count <= 20000; count++) {
        uint64_t exact = count * this->timebase_hz / this->rate_iops;
        uint64_t start = pacing.next_ticks - begin;

        assert_true(start == exact || start + 1 == exact);
        pacing_advance(&pacing);
    }
}

/* Mean and variance of the gaps at every clock and rate: no product overflows. */
static void poisson_starts_keep_the_rate(void **state)
{
    const struct rate_case *this = *state;
    struct pacing pacing;
    double wanted = (double)this->timebase_hz / (double)this->rate_iops;
    double squares = 0;
    double mean;

    pacing_init(&pacing, this->timebase_hz, this->rate_iops, true, 12345);
    pacing_start(&pacing, 0, 0, 1);
    for (uint32_t i = 1; i < SAMPLES; i++) {
        struct pacing before = pacing;
        double gap;

        pacing_advance(&pacing);
        gap = (double)(pacing.next_ticks - before.next_ticks) +
              ((double)pacing.fraction - (double)before.fraction) / 4294967296.0;
        assert_true(gap >= 0 && gap <= 45 * wanted);
        squares += gap * gap;
    }
    mean = (double)pacing.next_ticks / SAMPLES;
    assert_true(mean > 0.99 * wanted && mean < 1.01 * wanted);
    squares = squares / SAMPLES / (wanted * wanted);
    assert_true(squares > 1.96 && squares < 2.04);
}

static void harts_of_one_rate_do_not_start_in_step(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 10000000, 1000, false, 1);
    for (uint64_t part = 0; part < 4; part++) {
        pacing_start(&pacing, 500, part, 4);
        assert_int_equal(pacing.next_ticks, 500 + 10000 - 2500 * part);
        pacing_advance(&pacing);
        assert_int_equal(pacing.next_ticks, 500 + 20000 - 2500 * part);
    }
}

/* ---- Poisson ---------------------------------------------------------------------------- */

/* x and P(X > x) of the exponential distribution, both of mean 1. */
static const double tails[][2] = {
    {0.01, 0.990050}, {0.105361, 0.9}, {0.287682, 0.75}, {0.693147, 0.5},
    {1.386294, 0.25}, {2.302585, 0.1}, {4.605170, 0.01}, {6.907755, 0.001},
};

struct seed_case {
    const char *name;
    uint64_t seed;
};

static const struct seed_case seed_cases[] = {
    {"seed_1", 1},
    {"seed_of_hart_0", 2 * UINT64_C(6364136223846793005)},
    {"seed_of_hart_7", 9 * UINT64_C(6364136223846793005)},
    {"seed_all_ones", UINT64_MAX},
};

/* The fraction above each quantile, within five standard deviations of a count. */
static void gaps_are_exponential(void **state)
{
    const struct seed_case *this = *state;
    uint32_t above[COUNT_OF(tails)] = {0};
    uint64_t random = this->seed;
    double sum = 0;
    double squares = 0;
    double products = 0;
    double before = 1;
    double mean;

    for (uint32_t i = 0; i < SAMPLES; i++) {
        double gap = (double)pacing_exponential(&random) / (double)PACING_ONE;

        sum += gap;
        squares += gap * gap;
        products += gap * before;
        before = gap;
        for (uint32_t j = 0; j < COUNT_OF(tails); j++) {
            above[j] += gap > tails[j][0];
        }
    }
    mean = sum / SAMPLES;
    assert_true(mean > 0.995 && mean < 1.005);
    squares = squares / SAMPLES - mean * mean;
    assert_true(squares > 0.985 && squares < 1.015);
    /* Neighbours know nothing of each other: the mean product is the product of the means. */
    products = products / SAMPLES - mean * mean;
    assert_true(products > -0.01 && products < 0.01);
    for (uint32_t j = 0; j < COUNT_OF(tails); j++) {
        double off = above[j] - SAMPLES * tails[j][1];

        assert_true(off * off < 25.0 * SAMPLES * tails[j][1] * (1 - tails[j][1]));
    }
}

/* The state before the one that is given: what makes the generator say these bits. */
static uint64_t unxorshift(uint64_t state)
{
    uint64_t before = state;

    for (uint32_t i = 0; i < 4; i++) {
        before = state ^ before << 17;
    }
    state = before;
    for (uint32_t i = 0; i < 10; i++) {
        before = state ^ before >> 7;
    }
    state = before;
    for (uint32_t i = 0; i < 5; i++) {
        before = state ^ before << 13;
    }
    return before;
}

struct bits_case {
    const char *name;
    uint64_t bits;
    double minus_ln; /* of bits / 2^64 */
};

static const struct bits_case bits_cases[] = {
    {"all_ones_is_next_to_nothing", UINT64_MAX, 0},
    {"half", UINT64_C(1) << 63, 0.693147},
    {"just_below_half", (UINT64_C(1) << 63) - 1, 0.693147},
    {"three_quarters", UINT64_C(3) << 62, 0.287682},
    {"between_two_of_the_table", UINT64_C(0xfe) << 56, 0.007843},
    {"an_eighth", UINT64_C(1) << 61, 2.079442},
    {"one_is_the_longest", 1, 44.361420},
    {"three", 3, 43.262807},
};

static void logarithm_is_right_at_the_edges(void **state)
{
    const struct bits_case *this = *state;
    uint64_t random = unxorshift(this->bits);
    double result = (double)pacing_exponential(&random) / (double)PACING_ONE;

    assert_int_equal(random, this->bits);
    assert_true(result >= this->minus_ln - 0.00001 && result <= this->minus_ln + 0.0002);
}

int main(void)
{
    struct CMUnitTest
        tests[1 + 2 * COUNT_OF(rate_cases) + COUNT_OF(seed_cases) + COUNT_OF(bits_cases)] = {
            cmocka_unit_test(harts_of_one_rate_do_not_start_in_step),
        };
    size_t count = 1;

    ADD_CASES(tests, &count, linear_starts_do_not_drift, rate_cases);
    ADD_CASES(tests, &count, poisson_starts_keep_the_rate, rate_cases);
    ADD_CASES(tests, &count, gaps_are_exponential, seed_cases);
    ADD_CASES(tests, &count, logarithm_is_right_at_the_edges, bits_cases);
    return fixture_run("pacing", tests, count);
}
