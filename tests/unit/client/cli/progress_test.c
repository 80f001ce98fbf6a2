#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

static api_progress some_progress(void) {
    api_progress progress = API_INIT(PROGRESS);
    progress.phase = "reading";
    progress.files_done = 12345;
    progress.files_total = 20001;
    progress.bytes_done = INT64_C(1825361100);
    progress.bytes_total = INT64_C(3006477107);
    progress.bytes_per_second = 85 << 20;
    progress.seconds_left = 13;
    progress.current = "/usr/share/doc/some-package/changelog.Debian.gz";
    return progress;
}

MOS_TEST(percents_are_whole_and_100_means_done) {
    static const struct {
        int64_t bytes_done, bytes_total, files_done, files_total;
        int percent;
    } cases[] = {{0, 0, 0, 0, -1},
                 {5, 0, 7, 0, -1},
                 {0, 100, 0, 0, 0},
                 {999, 1000, 9, 9, 99},
                 {1000, 1000, 0, 9, 100},
                 {0, 0, 1, 2, 50},
                 {-5, 10, 0, 0, 0},
                 {12, 10, 0, 0, 100},
                 {INT64_MAX - 1024, INT64_MAX, 0, 0, 99},
                 {INT64_MAX / 2, INT64_MAX, 0, 0, 50}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        api_progress progress = API_INIT(PROGRESS);
        progress.bytes_done = cases[i].bytes_done;
        progress.bytes_total = cases[i].bytes_total;
        progress.files_done = cases[i].files_done;
        progress.files_total = cases[i].files_total;
        CU_ASSERT_EQUAL(mos_progress_percent(&progress), cases[i].percent);
    }
}

MOS_TEST(a_unit_is_not_said_twice) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    CU_ASSERT_STRING_EQUAL(mos_progress_bytes(arena, INT64_C(1825361100), INT64_C(3006477107)), "1.7 of 2.8 GiB");
    CU_ASSERT_STRING_EQUAL(mos_progress_bytes(arena, 1 << 20, INT64_C(3006477107)), "1.0 MiB of 2.8 GiB");
    CU_ASSERT_STRING_EQUAL(mos_progress_bytes(arena, 1 << 20, 0), "1.0 MiB");
}

MOS_TEST(a_line_says_what_is_known) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    api_progress progress = some_progress();
    CU_ASSERT_STRING_EQUAL(mos_progress_line(arena, "backup", &progress),
                           "reading  60%  1.7 of 2.8 GiB  12,345 of 20,001 files  85.0 MiB/s  0:13 left");
    api_progress scanning = API_INIT(PROGRESS);
    scanning.phase = "scanning";
    scanning.files_done = 1;
    scanning.seconds_left = -1;
    CU_ASSERT_STRING_EQUAL(mos_progress_line(arena, "backup", &scanning), "scanning  1 file");
    api_progress nothing = API_INIT(PROGRESS);
    CU_ASSERT_STRING_EQUAL(mos_progress_line(arena, "backup", &nothing), "backup");
}

MOS_TEST(the_bar_fits_any_width) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    api_progress progress = some_progress();
    struct mos_terminal terminal = {.stream = stdout, .utf8 = true};
    for (int columns = 1; columns < 200; columns++) {
        char *first, *second;
        mos_progress_bar(arena, "backup", &progress, &terminal, columns, &first, &second);
        CU_ASSERT(mos_terminal_width(first) <= columns);
        CU_ASSERT(mos_terminal_width(second) <= columns);
    }
}

MOS_TEST(the_bar_shows_the_share_and_the_end_of_the_path) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    api_progress progress = some_progress();
    progress.bytes_done = progress.bytes_total / 2;
    struct mos_terminal terminal = {.stream = stdout};
    char *first, *second;
    mos_progress_bar(arena, "backup", &progress, &terminal, 79, &first, &second);
    CU_ASSERT_STRING_EQUAL(first, "reading      ###########-----------  49%  1.4 of 2.8 GiB  85.0 MiB/s  0:13 left");
    CU_ASSERT_STRING_EQUAL(second, "             12,345 of 20,001 files  \xe2\x80\xa6hare/doc/some-package/changelog.Debian.gz");
    progress.current = "/tmp/\x1b[2Jx";
    mos_progress_bar(arena, "backup", &progress, &terminal, 79, &first, &second);
    CU_ASSERT_PTR_NULL(strchr(second, 0x1b));
}

static api_event make_event(Mosaajii__Backup__V1__JobEvent__Kind kind, Google__Protobuf__Timestamp *time, int64_t seconds) {
    api_event event = API_INIT(JOB_EVENT);
    google__protobuf__timestamp__init(time);
    time->seconds = seconds;
    event.kind = kind;
    event.time = time;
    event.job_kind = API_WORD(JOB__KIND__BACKUP);
    return event;
}

MOS_TEST(a_log_gets_few_lines_and_every_warning) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    struct mos_progress shown = {.terminal = {.stream = stream}};
    Google__Protobuf__Timestamp time;
    api_progress progress = some_progress();
    api_event event = make_event(API_WORD(JOB_EVENT__KIND__QUEUED), &time, 1000);
    mos_progress_event(&shown, &event);
    event = make_event(API_WORD(JOB_EVENT__KIND__STARTED), &time, 1000);
    mos_progress_event(&shown, &event);
    for (int64_t second = 1000; second <= 1012; second++) {
        event = make_event(API_WORD(JOB_EVENT__KIND__PROGRESS), &time, second);
        event.progress = &progress;
        mos_progress_event(&shown, &event);
    }
    event = make_event(API_WORD(JOB_EVENT__KIND__WARNING), &time, 1012);
    event.message = "/srv/a\x1b[2J: changed while it was read";
    mos_progress_event(&shown, &event);
    event = make_event(API_WORD(JOB_EVENT__KIND__FINISHED), &time, 1012);
    event.job_status = API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS);
    mos_progress_event(&shown, &event);
    fclose(stream);
    CU_ASSERT_STRING_EQUAL(text, "backup is waiting for its turn\n"
                                 "backup started\n"
                                 "reading  60%  1.7 of 2.8 GiB  12,345 of 20,001 files  85.0 MiB/s  0:13 left\n"
                                 "reading  60%  1.7 of 2.8 GiB  12,345 of 20,001 files  85.0 MiB/s  0:13 left\n"
                                 "warning: /srv/a\\x1b[2J: changed while it was read\n"
                                 "backup done, with warnings after 12 s\n");
    free(text);
}

MOS_TEST(a_terminal_gets_a_bar_that_goes_away) {
    FILE *stream = tmpfile();
    struct mos_progress shown = {.terminal = {.stream = stream, .interactive = true}};
    Google__Protobuf__Timestamp time;
    api_progress progress = some_progress();
    api_event event = make_event(API_WORD(JOB_EVENT__KIND__PROGRESS), &time, 1000);
    event.progress = &progress;
    mos_progress_event(&shown, &event);
    long drawn = ftell(stream);
    CU_ASSERT(shown.drawn);
    CU_ASSERT(drawn > 0);
    // At once again: too soon to draw.
    mos_progress_event(&shown, &event);
    CU_ASSERT_EQUAL(ftell(stream), drawn);
    mos_progress_clear(&shown);
    mos_progress_clear(&shown);
    CU_ASSERT_FALSE(shown.drawn);
    char tail[16] = "";
    fseek(stream, drawn, SEEK_SET);
    CU_ASSERT_EQUAL(fread(tail, 1, sizeof(tail) - 1, stream), strlen("\r\x1b[1A\x1b[J"));
    CU_ASSERT_STRING_EQUAL(tail, "\r\x1b[1A\x1b[J");
    fclose(stream);
}
