// SPDX-License-Identifier: MIT
/*
 * Tests of the latency histogram (bench/histogram.h) at 10 MHz: fio's buckets, and what lies above
 * the last of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"

#define TICK_NS UINT64_C(100)
#define LAST (HISTOGRAM_BUCKETS - 1)

static struct latency latency;
static struct histogram histogram;

static int start(void **state)
{
    (void)state;
    memset(&latency, 0, sizeof(latency));
    memset(&histogram, 0, sizeof(histogram));
    return 0;
}

static void bucket_holds_its_middle(void **state)
{
    (void)state;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        assert_int_equal(histogram_bucket(histogram_bucket_ns(bucket)), bucket);
    }
}

static void bucket_is_at_most_a_64th_wide(void **state)
{
    (void)state;
    for (uint64_t ns = 1; ns < HISTOGRAM_END_NS; ns += ns / 50 + 1) {
        uint64_t middle_ns = histogram_bucket_ns(histogram_bucket(ns));
        uint64_t off_ns = middle_ns > ns ? middle_ns - ns : ns - middle_ns;

        assert_true(off_ns <= ns / 128 + 1);
    }
}

static void end_is_that_of_the_last_bucket(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(HISTOGRAM_END_NS - 1), LAST);
    assert_true(histogram_bucket((HISTOGRAM_END_NS >> HISTOGRAM_BITS) * 63) < LAST);
    assert_int_equal(histogram_bucket(HISTOGRAM_END_NS), LAST);
    assert_int_equal(histogram_bucket(UINT64_MAX), LAST);
}

static void short_and_long_are_counted(void **state)
{
    static const uint64_t ticks[] = {0, 1, LATENCY_TICKS - 1, LATENCY_TICKS, 12345678};
    uint64_t sum_ns = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
        latency_add(&latency, ticks[i]);
        sum_ns += ticks[i] * TICK_NS;
    }
    histogram_merge(&histogram, &latency);
    assert_int_equal(histogram.count, 5);
    assert_int_equal(histogram.sum_ns, sum_ns);
    assert_int_equal(histogram.min_ns, 0);
    assert_int_equal(histogram.max_ns, 12345678 * TICK_NS);
    assert_int_equal(histogram.beyond, 0);
}

static void above_the_end_is_counted_beside_the_last_bucket(void **state)
{
    uint64_t end_ticks = HISTOGRAM_END_NS / TICK_NS + 1;

    (void)state;
    latency_add(&latency, end_ticks - 1);
    latency_add(&latency, end_ticks);
    latency_add(&latency, 100 * end_ticks);
    histogram_merge(&histogram, &latency);
    assert_int_equal(histogram.bins[LAST], 3);
    assert_int_equal(histogram.count, 3);
    assert_int_equal(histogram.beyond, 2);
    assert_int_equal(histogram.max_ns, 100 * end_ticks * TICK_NS);
    assert_int_equal(histogram.sum_ns, (102 * end_ticks - 1) * TICK_NS);
}

static void harts_add_up(void **state)
{
    (void)state;
    latency_add(&latency, 5);
    latency_add(&latency, UINT32_MAX);
    histogram_merge(&histogram, &latency);
    histogram_merge(&histogram, &latency);
    assert_int_equal(histogram.count, 4);
    assert_int_equal(histogram.beyond, 2);
    assert_int_equal(histogram.bins[histogram_bucket(5 * TICK_NS)], 2);
}

static void an_hour_overflows_no_counter(void **state)
{
    (void)state;
    latency.ticks[3] = UINT64_C(6000000) * 3600;
    latency_add(&latency, 3);
    histogram_merge(&histogram, &latency);
    assert_int_equal(histogram.count, UINT64_C(6000000) * 3600 + 1);
    assert_int_equal(histogram.sum_ns, histogram.count * 3 * TICK_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_holds_its_middle),
        cmocka_unit_test(bucket_is_at_most_a_64th_wide),
        cmocka_unit_test(end_is_that_of_the_last_bucket),
        cmocka_unit_test_setup(short_and_long_are_counted, start),
        cmocka_unit_test_setup(above_the_end_is_counted_beside_the_last_bucket, start),
        cmocka_unit_test_setup(harts_add_up, start),
        cmocka_unit_test_setup(an_hour_overflows_no_counter, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
