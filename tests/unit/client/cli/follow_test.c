#include "cli/follow.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "unit/client/cli/fake.h"

// A job of five events; how the stream ends is the test's choice.
struct script {
    // The stream breaks once after this event; 0: never.
    int64_t break_after;
    // After the last event the stream stays open until it is cancelled.
    bool hang;
    // Once a watcher waits in a hanging stream, it gets the signal.
    bool interrupt;
    mos_status end;
    Mosaajii__Backup__V1__Job__Status outcome;
    atomic_int streams;
    _Atomic int64_t asked_after;
};

static mos_status send_event(struct mos_call *call, const struct script *script, int64_t sequence) {
    static const Mosaajii__Backup__V1__JobEvent__Kind kinds[] = {0,
                                                                 API_WORD(JOB_EVENT__KIND__QUEUED),
                                                                 API_WORD(JOB_EVENT__KIND__STARTED),
                                                                 API_WORD(JOB_EVENT__KIND__PROGRESS),
                                                                 API_WORD(JOB_EVENT__KIND__WARNING),
                                                                 API_WORD(JOB_EVENT__KIND__FINISHED)};
    api_event event = API_INIT(JOB_EVENT);
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    api_progress progress = API_INIT(PROGRESS);
    time.seconds = 1000 + 10 * sequence;
    progress.phase = "reading";
    progress.bytes_done = 1 << 20;
    progress.bytes_total = 2 << 20;
    progress.seconds_left = -1;
    event.sequence = sequence;
    event.time = &time;
    event.kind = kinds[sequence];
    event.job_kind = API_WORD(JOB__KIND__BACKUP);
    event.progress = event.kind == API_WORD(JOB_EVENT__KIND__PROGRESS) ? &progress : NULL;
    event.message = sequence >= 4 ? "a file changed" : "";
    event.job_status = sequence == 5 ? script->outcome : API_WORD(JOB__STATUS__RUNNING);
    return mosaajii_backup_v1_backup_service_watch_backup_send(call, &event);
}

static mos_status watch(struct mos_call *call, int64_t after_sequence) {
    struct script *script = mos_call_user(call);
    int stream = ++script->streams;
    script->asked_after = after_sequence;
    for (int64_t sequence = after_sequence + 1; sequence <= 5; sequence++) {
        mos_status status = send_event(call, script, sequence);
        if (status != MOS_OK) {
            return status;
        }
        if (stream == 1 && sequence == script->break_after) {
            return mos_fail(mos_call_error(call), MOS_UNAVAILABLE, "the server is stopping");
        }
    }
    if (script->interrupt) {
        raise(SIGINT);
    }
    if (script->hang) {
        mos_call_wait_cancelled(call, -1);
        return mos_call_fail_cancelled(call);
    }
    return script->end == MOS_OK ? MOS_OK : mos_fail(mos_call_error(call), script->end, "it ended so");
}

static mos_status watch_backup(struct mos_call *call, const API(WatchBackupRequest) * request) {
    return watch(call, request->after_sequence);
}

static mos_status watch_job(struct mos_call *call, const API(WatchJobRequest) * request) {
    return watch(call, request->after_sequence);
}

static const struct mosaajii_backup_v1_backup_service table = {.watch_backup = watch_backup, .watch_job = watch_job};

static mos_status follow(struct script *script, int64_t after, bool job, struct mos_followed *out, char **out_text) {
    struct fake fake;
    fake_start(&fake, &table, script, "right");
    size_t size;
    FILE *stream = open_memstream(out_text, &size);
    struct mos_follow what = {
        .backup_id = job ? NULL : "b", .job_id = job ? "j" : NULL, .after_sequence = after, .terminal = {.stream = stream}};
    struct mos_error error = {0};
    mos_status status = mos_follow_events(&fake.cli, &what, out, &error);
    fclose(stream);
    out->message = NULL;
    fake_stop(&fake);
    return status;
}

static const char whole[] = "backup is waiting for its turn\n"
                            "backup started\n"
                            "reading  50%  1.0 of 2.0 MiB\n"
                            "warning: a file changed\n"
                            "backup done after 30 s: a file changed\n";

MOS_TEST(events_are_followed_to_the_end) {
    for (int job = 0; job < 2; job++) {
        struct script script = {.outcome = API_WORD(JOB__STATUS__SUCCEEDED)};
        struct mos_followed followed;
        char *text;
        CU_ASSERT_EQUAL(follow(&script, 0, job, &followed, &text), MOS_OK);
        CU_ASSERT_STRING_EQUAL(text, whole);
        CU_ASSERT_EQUAL(followed.warnings, 1);
        CU_ASSERT_EQUAL(mos_follow_exit(&followed), MOS_EXIT_DONE);
        CU_ASSERT_EQUAL(script.streams, 1);
        free(text);
    }
}

MOS_TEST(a_broken_stream_is_taken_up_again_where_it_broke) {
    struct script script = {.break_after = 3, .outcome = API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS)};
    struct mos_followed followed;
    char *text;
    CU_ASSERT_EQUAL(follow(&script, 0, false, &followed, &text), MOS_OK);
    CU_ASSERT_STRING_EQUAL(text, "backup is waiting for its turn\n"
                                 "backup started\n"
                                 "reading  50%  1.0 of 2.0 MiB\n"
                                 "the connection to the server is lost; trying again for a minute\n"
                                 "warning: a file changed\n"
                                 "backup done, with warnings after 30 s: a file changed\n");
    CU_ASSERT_EQUAL(script.streams, 2);
    CU_ASSERT_EQUAL(script.asked_after, 3);
    CU_ASSERT_EQUAL(followed.warnings, 1);
    CU_ASSERT_EQUAL(mos_follow_exit(&followed), MOS_EXIT_WARNINGS);
    free(text);
}

MOS_TEST(only_what_came_after_is_shown) {
    struct script script = {.outcome = API_WORD(JOB__STATUS__FAILED)};
    struct mos_followed followed;
    char *text;
    CU_ASSERT_EQUAL(follow(&script, 4, false, &followed, &text), MOS_OK);
    CU_ASSERT_STRING_EQUAL(text, "backup failed: a file changed\n");
    CU_ASSERT_EQUAL(mos_follow_exit(&followed), MOS_EXIT_FAILED);
    free(text);
}

MOS_TEST(what_is_no_breakdown_is_not_tried_again) {
    struct script script = {.end = MOS_NOT_FOUND};
    struct mos_followed followed;
    char *text;
    CU_ASSERT_EQUAL(follow(&script, 0, false, &followed, &text), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(script.streams, 1);
    free(text);
}

MOS_TEST(ctrl_c_ends_the_watch_not_the_program) {
    struct script script = {.hang = true, .interrupt = true, .outcome = API_WORD(JOB__STATUS__SUCCEEDED)};
    struct mos_followed followed;
    char *text;
    CU_ASSERT_EQUAL(follow(&script, 0, false, &followed, &text), MOS_OK);
    CU_ASSERT(followed.interrupted);
    CU_ASSERT_EQUAL(mos_follow_exit(&followed), MOS_EXIT_INTERRUPTED);
    CU_ASSERT_EQUAL(script.streams, 1);
    free(text);
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    CU_ASSERT_PTR_EQUAL(action.sa_handler, SIG_DFL);
}
