// SPDX-License-Identifier: MIT
/*
 * bench/job.c: the points that lists give, above all those of the open loop, and what is refused.
 * What the parser prints is caught in a file.
 */
#define _POSIX_C_SOURCE 200809L /* dup2, fileno */

#include <stdio.h>
#include <unistd.h>

#include "fixture.h"
#include "job.h"

enum { SAID_BYTES = 4096 };

static struct job job;

/* Parses words that a blank separates; what was printed is in `said`. */
static bool parse(const char *words, char said[SAID_BYTES])
{
    char copy[256];
    char *argv[16];
    int argc = 0;
    FILE *file = tmpfile();
    int console = dup(STDOUT_FILENO);
    size_t length;
    bool good;

    assert_non_null(file);
    assert_true(console >= 0);
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *word = strtok(copy, " "); word != NULL && argc < 16; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    good = job_parse(&job, argc, argv);
    fflush(stdout);
    assert_true(dup2(console, STDOUT_FILENO) >= 0);
    close(console);
    rewind(file);
    length = fread(said, 1, SAID_BYTES - 1, file);
    said[length] = '\0';
    fclose(file);
    return good;
}

struct refused_case {
    const char *name;
    const char *words;
    const char *said[3];
};

static const struct refused_case refused_cases[] = {
    {"timeout_below_a_second", "timeout=999ms", {"timeout=999ms", "too small", "1s to 3600s"}},
    {"timeout_above_an_hour", "timeout=3601s", {"timeout=3601s", "too large", "1s to 3600s"}},
    {"timeout_that_is_no_time", "timeout=4k", {"timeout=4k", "not a time", "1s to 3600s"}},
    {"controller_with_a_domain", "controller=0000:00:01.0", {"controller=", "length", "7"}},
    {"rate_above_raw", "rate_iops=10000001", {"rate_iops=10000001", "too large", "10000000"}},
    {"rate_that_is_no_number", "rate_iops=fast", {"rate_iops=fast", "not a number", "0 to"}},
    {"rate_of_a_gap_above_runtime",
     "rate_iops=1 runtime=999ms",
     {"rate_iops=1", "longer than runtime", "hint"}},
    {"one_slow_rate_of_a_list",
     "rate_iops=5000,1 runtime=500ms",
     {"rate_iops=5000,1", "runtime", "hint"}},
    {"raw_of_an_open_loop",
     "rate_iops=5000 completion=poll,raw",
     {"rate_iops=5000", "completion=raw", "hint"}},
    {"raw_of_an_open_loop_in_a_list",
     "rate_iops=0,5000 completion=raw",
     {"rate_iops=0,5000", "only 0", "hint"}},
    {"verify_with_raw",
     "verify=crc32c completion=poll,raw",
     {"verify=crc32c", "completion=raw", "hint"}},
    {"verify_with_loopback",
     "verify=1 completion=loopback",
     {"verify=1", "completion=loopback", "hint"}},
    {"verify_with_a_rate", "verify=crc32c rate_iops=100", {"verify=crc32c", "rate_iops=0", ""}},
    {"verify_of_another_kind", "verify=md5", {"md5", "crc32c", ""}},
    {"rate_with_loopback",
     "rate_iops=5000 completion=poll,loopback",
     {"rate_iops=5000", "loopback", "hint"}},
    {"shadow_of_references_alone",
     "doorbell=shadow completion=raw,loopback",
     {"no point is left", "doorbell=shadow", "hint"}},
    {"raw_of_a_mix", "rw=randrw completion=raw", {"rw=randrw", "chance", "hint"}},
    {"process_of_a_closed_loop",
     "rate_process=poisson",
     {"rate_process=poisson", "no gaps", "rate_iops"}},
    {"doorbell_twice", "doorbell=each,clocked,each", {"doorbell=each,clocked,each", "twice", ""}},
    {"completion_twice", "completion=irq,poll,irq", {"completion=irq,poll,irq", "twice", ""}},
    {"callback_of_batches",
     "post=callback iodepth=8 iodepth_batch_submit=1,0",
     {"post=callback", "iodepth_batch_submit=1", ""}},
    {"callback_with_a_rate", "post=callback rate_iops=100", {"post=callback", "rate_iops=0", ""}},
    {"callback_with_raw",
     "post=callback completion=irq,raw",
     {"post=callback", "completion=poll", ""}},
    {"callback_of_a_mix", "post=callback rw=read,randrw", {"post=callback", "only reads", ""}},
    {"callback_with_verify", "post=callback verify=1", {"post=callback", "verify=none", ""}},
    {"callback_beside_a_writer",
     "post=callback writer_iodepth=4",
     {"post=callback", "writer_iodepth=0", ""}},
    {"unknown_doorbell", "doorbell=each,rarely", {"rarely", "each", "clocked"}},
    {"unknown_process", "rate_iops=100 rate_process=poison", {"poison", "poisson", "linear"}},
};

static void refusal_says_why(void **state)
{
    const struct refused_case *this = *state;
    char said[SAID_BYTES];

    assert_false(parse(this->words, said));
    for (size_t i = 0; i < COUNT_OF(this->said); i++) {
        if (strstr(said, this->said[i]) == NULL) {
            fail_msg("'%s' does not say '%s'", said, this->said[i]);
        }
    }
}

struct name_case {
    const char *name;
    const char *words;
    uint32_t points;
    const char *last; /* the last point's name */
};

static const struct name_case name_cases[] = {
    {"as_fio_writes_it",
     "numjobs=2 iodepth=8 iodepth_batch_submit=4 rate_iops=1k bs=4K ramp_time=0 runtime=1h", 1,
     "randread-4k-qd8-b4-h2-r1024-poll"},
    {"default_is_the_closed_loop", "runtime=1", 1, "randread-4k-qd1-b1-poll"},
    {"rate_0_is_the_closed_loop", "rate_iops=0", 1, "randread-4k-qd1-b1-poll"},
    {"closed_loop_goes_with_raw", "rate_iops=0 completion=raw", 1, "randread-4k-qd1-b1-raw"},
    {"verify_0_goes_with_limit", "verify=0 completion=raw", 1, "randread-4k-qd1-b1-raw"},
    {"verify_goes_with_a_mix", "verify=crc32c rw=randrw", 1, "randrw-4k-qd1-b1-poll"},
    {"mix_goes_with_loopback", "rw=randrw completion=loopback", 1, "randrw-4k-qd1-b1-loopback"},
    {"rate_is_in_the_name", "rate_iops=5000", 1, "randread-4k-qd1-b1-r5000-poll"},
    {"slowest", "rate_iops=1", 1, "randread-4k-qd1-b1-r1-poll"},
    {"fastest_and_longest_name",
     "rw=randwrite bs=16777215 iodepth=1023 iodepth_batch_submit=0 numjobs=8 rate_iops=10000000 "
     "rate_process=poisson completion=hybrid doorbell=each",
     1, "randwrite-16777215-qd1023-b1023-h8-r10000000-poisson-hybrid-each"},
    {"doorbells_make_points", "doorbell=clocked,each completion=poll,irq iodepth=1,8", 8,
     "randread-4k-qd8-b1-irq-each"},
    {"callback_is_in_the_name", "post=callback iodepth=8 completion=irq doorbell=each", 1,
     "randread-4k-qd8-b1-callback-irq-each"},
    {"loop_posts_by_default", "post=loop", 1, "randread-4k-qd1-b1-poll"},
    {"clocked_is_the_default", "doorbell=clocked", 1, "randread-4k-qd1-b1-poll"},
    {"rates_make_points", "rate_iops=0,100,200 completion=poll,irq", 6,
     "randread-4k-qd1-b1-r200-irq"},
    {"another_doorbell_is_named", "doorbell=shadow", 1, "randread-4k-qd1-b1-poll-shadow"},
    {"same_rate_twice_is_one_point", "rate_iops=100,100", 1, "randread-4k-qd1-b1-r100-poll"},
};

static void points_have_names(void **state)
{
    const struct name_case *this = *state;
    char name[JOB_NAME_BYTES];
    char said[SAID_BYTES];

    assert_true(parse(this->words, said));
    assert_int_equal(job.point_count, this->points);
    job_name(&job.points[job.point_count - 1], name);
    assert_string_equal(name, this->last);
}

/* Modes stay side by side: the bench rotates them within a point. */
static void modes_are_innermost(void **state)
{
    char said[SAID_BYTES];

    (void)state;
    assert_true(parse("rate_iops=0,300 rate_process=poisson completion=irq,hybrid", said));
    assert_int_equal(job.mode_count, 2);
    for (uint32_t i = 0; i < job.point_count; i++) {
        assert_int_equal(job.points[i].rate_iops, i < 2 ? 0 : 300);
        assert_int_equal(job.points[i].completion, i % 2 == 0 ? JOB_IRQ : JOB_HYBRID);
        assert_int_equal(job.points[i].process, JOB_POISSON);
    }
}

/* Rules of the doorbell too: they are compared with each other. */
static void doorbells_stay_beside_the_modes(void **state)
{
    char said[SAID_BYTES];

    (void)state;
    assert_true(parse("iodepth=1,8 doorbell=clocked,each completion=irq,hybrid", said));
    assert_int_equal(job.mode_count, 4);
    assert_int_equal(job.point_count, 8);
    for (uint32_t i = 0; i < job.point_count; i++) {
        assert_int_equal(job.points[i].iodepth, i < 4 ? 1 : 8);
        assert_int_equal(job.points[i].doorbell, i % 4 < 2 ? JOB_CLOCKED : JOB_EACH);
        assert_int_equal(job.points[i].completion, i % 2 == 0 ? JOB_IRQ : JOB_HYBRID);
    }
    assert_true(parse("", said));
    assert_int_equal(job.points[0].doorbell, JOB_CLOCKED);
}

/* The references write registers. The others keep their neighbours, and it is said. */
static void references_have_no_shadow_doorbells(void **state)
{
    char said[SAID_BYTES];

    (void)state;
    assert_true(parse("iodepth=1,8 iodepth_batch_submit=4 doorbell=each,shadow "
                      "completion=raw,irq",
                      said));
    assert_non_null(strstr(said, "5 of 8 combinations left out"));
    assert_int_equal(job.mode_count, 3);
    assert_int_equal(job.point_count, 3);
    for (uint32_t i = 0; i < job.point_count; i++) {
        assert_int_equal(job.points[i].iodepth, 8);
        assert_int_equal(job.points[i].completion, i == 0 ? JOB_RAW : JOB_IRQ);
        assert_int_equal(job.points[i].doorbell, i == 2 ? JOB_SHADOW : JOB_EACH);
    }
}

static void queues_have_the_mode_of_a_completion(void **state)
{
    static const struct {
        struct job_point point;
        enum nvme_mode mode;
    } cases[] = {
        {{.completion = JOB_IRQ}, NVME_MODE_INTERRUPT},
        {{.completion = JOB_HYBRID}, NVME_MODE_HYBRID},
        {{.completion = JOB_POLL, .raw_wait = RAW_SLEEP}, NVME_MODE_POLL},
        {{.completion = JOB_RAW, .raw_wait = RAW_SPIN}, NVME_MODE_POLL},
        {{.completion = JOB_RAW, .raw_wait = RAW_PACED}, NVME_MODE_POLL},
        {{.completion = JOB_RAW, .raw_wait = RAW_SLEEP}, NVME_MODE_INTERRUPT},
        {{.completion = JOB_LOOPBACK}, NVME_MODE_POLL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(job_queue_mode(&cases[i].point), cases[i].mode);
    }
}

static void bursts_have_a_pause_and_a_name(void **state)
{
    char name[JOB_NAME_BYTES];
    char said[SAID_BYTES];

    (void)state;
    assert_true(parse("thinktime=20ms thinktime_iotime=50ms runtime=200ms completion=irq", said));
    assert_true(job.points[0].bursts);
    assert_int_equal(job.thinktime_ns, 20000000);
    assert_int_equal(job.thinktime_iotime_ns, 50000000);
    job_name(&job.points[0], name);
    assert_string_equal(name, "randread-4k-qd1-b1-step-irq");
    assert_true(parse("thinktime=0 runtime=200ms", said));
    assert_false(job.points[0].bursts);
}

static void bursts_that_cannot_be_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"thinktime=20ms runtime=200ms", "go together"},
        {"thinktime_iotime=20ms runtime=200ms", "go together"},
        {"thinktime=60ms thinktime_iotime=50ms runtime=200ms", "do not fit"},
        {"thinktime=20ms thinktime_iotime=50ms rate_iops=100", "rate_iops=0"},
        {"thinktime=20ms thinktime_iotime=50ms completion=raw", "completion=poll"},
        {"thinktime=20ms thinktime_iotime=50ms verify=1", "verify=none"},
    };
    char said[SAID_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(parse(cases[i][0], said));
        assert_non_null(strstr(said, cases[i][1]));
    }
}

static void writer_needs_room_and_a_name(void **state)
{
    char name[JOB_NAME_BYTES];
    char said[SAID_BYTES];

    (void)state;
    assert_true(parse("writer_iodepth=8 iodepth=2 bs=512 numjobs=2 completion=irq", said));
    assert_int_equal(job.points[0].writers, 8);
    assert_int_equal(job_largest_bs(&job.points[0]), 131072);
    assert_int_equal(job_hart_requests(&job.points[0]), 10);
    assert_int_equal(job_hart_bytes(&job.points[0]), 2 * 512 + 8 * 131072);
    job_name(&job.points[0], name);
    assert_string_equal(name, "randread-512-qd2-b1-h2-beside-irq");
    assert_true(parse("iodepth=2 bs=1m", said));
    assert_int_equal(job_largest_bs(&job.points[0]), 1 << 20);
    assert_int_equal(job_hart_bytes(&job.points[0]), 2 << 20);
}

static void writer_that_cannot_be_is_refused(void **state)
{
    static const char *const beside[] = {
        "rw=randrw",
        "rw=write",
        "iodepth=4 iodepth_batch_submit=4",
        "verify=1",
        "completion=raw",
        "thinktime=20ms thinktime_iotime=50ms",
        "iodepth=1020",
        "completion=loopback",
        "rate_iops=100",
    };
    char line[SAID_BYTES];
    char said[SAID_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        snprintf(line, sizeof(line), "writer_iodepth=8 %s", beside[i]);
        assert_false(parse(line, said));
        assert_non_null(strstr(said, "writer_iodepth=8:"));
    }
}

static void help_knows_the_open_loop(void **state)
{
    char said[SAID_BYTES];

    (void)state;
    assert_true(parse("help", said));
    assert_true(job.help);
    assert_non_null(strstr(said, "rate_iops"));
    assert_non_null(strstr(said, "rate_process"));
}

int main(void)
{
    struct CMUnitTest tests[9 + COUNT_OF(refused_cases) + COUNT_OF(name_cases)] = {
        cmocka_unit_test(modes_are_innermost),
        cmocka_unit_test(doorbells_stay_beside_the_modes),
        cmocka_unit_test(references_have_no_shadow_doorbells),
        cmocka_unit_test(queues_have_the_mode_of_a_completion),
        cmocka_unit_test(bursts_have_a_pause_and_a_name),
        cmocka_unit_test(bursts_that_cannot_be_are_refused),
        cmocka_unit_test(writer_needs_room_and_a_name),
        cmocka_unit_test(writer_that_cannot_be_is_refused),
        cmocka_unit_test(help_knows_the_open_loop),
    };
    size_t count = 9;

    ADD_CASES(tests, &count, refusal_says_why, refused_cases);
    ADD_CASES(tests, &count, points_have_names, name_cases);
    return fixture_run("job", tests, count);
}
