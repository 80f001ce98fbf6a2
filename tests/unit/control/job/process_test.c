#include "control/job/process.h"

#include <signal.h>
#include <sys/eventfd.h>

#include "unit/control/job/fixture.h"

typedef Mosaajii__Engine__V1__Request engine_request;
typedef Mosaajii__Engine__V1__Event engine_event;

static struct mos_engine engine_in(const char *folder) {
    return (struct mos_engine){
        .path = MOS_TEST_ENGINE, .repository = folder, .keyring = "/keys/keyring", .scratch = folder, .lifeline = -1};
}

static void write_file(const char *folder, const char *name, const char *text, mode_t mode) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    CU_ASSERT_EQUAL_FATAL(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    close(descriptor);
}

static const engine_request *inventory(void) {
    static Mosaajii__Engine__V1__InventoryRequest operation = MOSAAJII__ENGINE__V1__INVENTORY_REQUEST__INIT;
    static engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INVENTORY;
    request.inventory = &operation;
    return &request;
}

// An engine that has its request and follows the script.
static mos_process *begin(const char *script) {
    const char *folder = mos_test_directory();
    struct mos_engine engine = engine_in(folder);
    struct mos_error error = {0};
    mos_process *process = NULL;
    write_file(folder, "inventory", script, 0600);
    MOS_ASSERT_OK(mos_process_start(&process, &engine, &error), &error);
    MOS_ASSERT_OK(mos_process_tell(process, &engine, inventory(), &error), &error);
    return process;
}

MOS_TEST(events_come_in_order_and_the_end_is_told) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_process *process = begin("progress reading 1 2 3\nresult OK 0 all is well\nexit 7\n");
    struct mos_error error = {0};
    engine_event *event = NULL;
    MOS_ASSERT_OK(mos_process_receive(process, -1, -1, arena, &event, &error), &error);
    CU_ASSERT_EQUAL_FATAL(event->event_case, MOSAAJII__ENGINE__V1__EVENT__EVENT_PROGRESS);
    CU_ASSERT_STRING_EQUAL(event->progress->phase, "reading");
    MOS_ASSERT_OK(mos_process_receive(process, 60000, -1, arena, &event, &error), &error);
    CU_ASSERT_EQUAL_FATAL(event->event_case, MOSAAJII__ENGINE__V1__EVENT__EVENT_RESULT);
    CU_ASSERT_STRING_EQUAL(event->result->message, "all is well");
    CU_ASSERT_EQUAL(mos_process_receive(process, -1, -1, arena, &event, &error), MOS_UNAVAILABLE);
    CU_ASSERT_PTR_NULL(event);
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    CU_ASSERT_STRING_EQUAL(reason, "ended with exit code 7");
}

MOS_TEST(the_request_says_where_things_are) {
    const char *folder = mos_test_directory();
    struct mos_engine engine = engine_in(folder);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    const Mosaajii__Engine__V1__Result *result = NULL;
    // The engine finds its repository, and in it the place to write down that it was called, by the request alone.
    MOS_ASSERT_OK(mos_engine_ask(&engine, inventory(), -1, arena, NULL, NULL, &result, &error), &error);
    char path[4096];
    snprintf(path, sizeof(path), "%s/calls", folder);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
}

MOS_TEST(a_program_that_is_not_there_is_named) {
    struct mos_engine engine = engine_in("/nowhere");
    engine.path = "/nowhere/mosaajii-engine";
    struct mos_error error = {0};
    mos_process *process = NULL;
    CU_ASSERT_EQUAL(mos_process_start(&process, &engine, &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/nowhere/mosaajii-engine"));
    CU_ASSERT_PTR_NULL(process);
}

MOS_TEST(a_program_that_ends_at_once_takes_no_request_down_with_it) {
    struct mos_engine engine = engine_in(mos_test_directory());
    engine.path = "/bin/false";
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    const Mosaajii__Engine__V1__Result *result = NULL;
    CU_ASSERT_EQUAL(mos_engine_ask(&engine, inventory(), -1, arena, NULL, NULL, &result, &error), MOS_INTERNAL);
    CU_ASSERT_STRING_EQUAL(error.message, "the engine process ended with exit code 1 without an answer");
}

// Secrets stand in the server's environment and in files that it has open.
MOS_TEST(neither_environment_nor_descriptors_are_inherited) {
    const char *folder = mos_test_directory();
    char script[4096], path[4096], text[8192] = "";
    snprintf(script, sizeof(script), "#!/bin/sh\nenv > %s/seen\nls /proc/$$/fd >> %s/seen\n", folder, folder);
    write_file(folder, "engine.sh", script, 0700);
    snprintf(path, sizeof(path), "%s/engine.sh", folder);
    setenv("JWT_SECRET", "not-for-the-engine", 1);
    setenv("DATABASE_URL", "postgresql://u:hidden@h/d", 1);
    setenv("MOSAAJII_LOG_FORMAT", "json", 1);
    int leaky = dup2(STDIN_FILENO, 77);
    CU_ASSERT_EQUAL(leaky, 77);
    struct mos_engine engine = engine_in(folder);
    engine.path = path;
    struct mos_error error = {0};
    mos_process *process = NULL;
    MOS_ASSERT_OK(mos_process_start(&process, &engine, &error), &error);
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    close(leaky);
    unsetenv("JWT_SECRET");
    unsetenv("DATABASE_URL");
    unsetenv("MOSAAJII_LOG_FORMAT");
    snprintf(path, sizeof(path), "%s/seen", folder);
    FILE *file = fopen(path, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "PATH="));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "MOSAAJII_LOG_FORMAT=json"));
    CU_ASSERT_PTR_NULL(strstr(text, "not-for-the-engine"));
    CU_ASSERT_PTR_NULL(strstr(text, "hidden"));
    CU_ASSERT_PTR_NULL(strstr(text, "\n77\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n3\n"));
}

MOS_TEST(waiting_ends_with_its_time_or_when_it_is_cancelled) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_process *process = begin("linger\n");
    struct mos_error error = {0};
    engine_event *event = (engine_event *)1;
    CU_ASSERT_EQUAL(mos_process_receive(process, 1, -1, arena, &event, &error), MOS_OK);
    CU_ASSERT_PTR_NULL(event);
    MOS_CLEANUP_FD int cancel = eventfd(1, EFD_CLOEXEC);
    event = (engine_event *)1;
    CU_ASSERT_EQUAL(mos_process_receive(process, -1, cancel, arena, &event, &error), MOS_OK);
    CU_ASSERT_PTR_NULL(event);
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    CU_ASSERT_STRING_EQUAL(reason, "ended with exit code 0");
}

MOS_TEST(nonsense_is_told_from_an_end) {
    static const struct {
        const char *script;
        mos_status status;
    } cases[] = {
        {"", MOS_UNAVAILABLE},
        {"bytes 0100\n", MOS_CORRUPT},                   // half a length
        {"bytes ffffffff\n", MOS_CORRUPT},               // far too long
        {"bytes 01000001ff\n", MOS_CORRUPT},             // just over the limit
        {"bytes 0a000000ff\n", MOS_CORRUPT},             // cut off
        {"bytes 02000000ffff\n", MOS_CORRUPT},           // no message
        {"bytes 050000000a030a01ff\n", MOS_CORRUPT},     // a phase that is no UTF-8
        {"bytes 060000001a040a05414243\n", MOS_CORRUPT}, // a field longer than its message
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        mos_process *process = begin(cases[i].script);
        engine_event *event = NULL;
        CU_ASSERT_EQUAL(mos_process_receive(process, -1, -1, arena, &event, NULL), cases[i].status);
        CU_ASSERT_PTR_NULL(event);
        char reason[MOS_PROCESS_REASON_BYTES];
        mos_process_end(process, reason);
    }
}

MOS_TEST(one_that_does_not_stop_is_killed) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_process *process = begin("deaf\nprogress deaf 0 0 0\nlinger\n");
    struct mos_error error = {0};
    engine_event *event = NULL;
    MOS_ASSERT_OK(mos_process_receive(process, -1, -1, arena, &event, &error), &error);
    mos_process_stop(process);
    mos_process_kill(process, 1);
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    CU_ASSERT_STRING_EQUAL(reason, "was killed by signal 9 (Killed)");
}

MOS_TEST(one_that_is_asked_to_stop_goes_by_itself) {
    mos_process *process = begin("linger\n");
    mos_process_stop(process);
    mos_process_kill(process, 60000);
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    CU_ASSERT_PTR_NULL(strstr(reason, "signal 9"));
}

// ---- Short conversations ----

static mos_status ask(const char *script, int answer_ms, int cancel_fd, bool (*each)(const engine_event *event, void *argument),
                      void *argument, struct mos_error *error) {
    const char *folder = mos_test_directory();
    struct mos_engine engine = engine_in(folder);
    engine.answer_ms = answer_ms;
    write_file(folder, "inventory", script, 0600);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Result *result = NULL;
    mos_status status = mos_engine_ask(&engine, inventory(), cancel_fd, arena, each, argument, &result, error);
    CU_ASSERT(status != MOS_OK || result != NULL);
    return status;
}

static bool count_to_two(const engine_event *event, void *argument) {
    (void)event;
    return ++*(int *)argument < 2;
}

MOS_TEST(a_conversation_ends_with_its_result) {
    struct mos_error error = {0};
    int seen = 0;
    CU_ASSERT_EQUAL(ask("warning /a b\nresult OK 0 \n", 0, -1, count_to_two, &seen, &error), MOS_OK);
    CU_ASSERT_EQUAL(seen, 1);
    CU_ASSERT_EQUAL(ask("result NOT_FOUND 0 there is no such backup\n", 0, -1, NULL, NULL, &error), MOS_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(error.message, "there is no such backup");
    CU_ASSERT_EQUAL(ask("result CORRUPT 0 it is damaged\n", 0, -1, NULL, NULL, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(ask("result WHATEVER 0 hm\n", 0, -1, NULL, NULL, &error), MOS_UNKNOWN);
}

MOS_TEST(a_conversation_with_an_engine_that_misbehaves_fails) {
    struct mos_error error = {0};
    int seen = 0;
    CU_ASSERT_EQUAL(ask("flood\n", 0, -1, count_to_two, &seen, &error), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_EQUAL(ask("signal 11\n", 0, -1, NULL, NULL, &error), MOS_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "was killed by signal 11"));
    CU_ASSERT_EQUAL(ask("bytes ffffffff\nlinger\n", 0, -1, NULL, NULL, &error), MOS_CORRUPT);
    MOS_CLEANUP_FD int cancel = eventfd(1, EFD_CLOEXEC);
    CU_ASSERT_EQUAL(ask("deaf\nlinger\n", 0, cancel, NULL, NULL, &error), MOS_CANCELLED);
}

// Nobody else would end it: without a limit it would hold its turn, and whoever asked, for ever.
MOS_TEST(a_conversation_with_a_silent_engine_ends) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(ask("deaf\nlinger\n", 50, -1, NULL, NULL, &error), MOS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "no answer"));
    // Silent in the middle of a frame.
    CU_ASSERT_NOT_EQUAL(ask("bytes 0a000000ff\ndeaf\nlinger\n", 50, -1, NULL, NULL, &error), MOS_OK);
    // And one that is only slow is heard to its end, however long that takes as a whole.
    CU_ASSERT_EQUAL(ask("result OK 0 \n", 60000, -1, NULL, NULL, &error), MOS_OK);
}
