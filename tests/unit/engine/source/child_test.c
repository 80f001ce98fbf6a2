#include "engine/source/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit/test.h"

static struct mos_child_options shell(const char *const *arguments) {
    return (struct mos_child_options){.arguments = arguments, .secret = -1, .output = true};
}

// All that it writes, as a text.
static mos_status read_all(mos_child *child, char *text, size_t size_bytes, struct mos_error *error) {
    size_t length = 0;
    for (size_t got = 1; got; length += got) {
        mos_status status = mos_child_read(child, text + length, size_bytes - 1 - length, &got, error);
        if (status) {
            return status;
        }
    }
    text[length] = 0;
    return MOS_OK;
}

static bool yes(void *context) {
    (void)context;
    return true;
}

MOS_TEST(what_it_says_and_is_told_arrives) {
    const char *const arguments[] = {"sh", "-c", "cat; cat /proc/self/fd/3; echo $LC_ALL:$SECRET; ls /proc/self/fd | wc -l", NULL};
    struct mos_child_options options = shell(arguments);
    struct mos_error error = {0};
    char text[256];
    mos_child *child;
    setenv("SECRET", "of this process", 1);
    options.input = true;
    options.secret = mos_secret_file("secret ", &error);
    MOS_ASSERT_OK(mos_child_start(&options, &child, &error), &error);
    close(options.secret);
    MOS_ASSERT_OK(mos_child_write(child, "told ", 5, &error), &error);
    mos_child_close_input(child);
    MOS_ASSERT_OK(read_all(child, text, sizeof(text), &error), &error);
    MOS_ASSERT_OK(mos_child_finish(child, &error), &error);
    mos_child_free(child);
    // Of descriptors it has 0 to 3 and the one that ls opens.
    CU_ASSERT_STRING_EQUAL(text, "told secret C.UTF-8:\n5\n");
}

MOS_TEST(a_failure_is_its_own_words_without_the_password) {
    static const struct {
        const char *command;
        mos_status status;
        const char *message;
    } cases[] = {
        {"echo first >&2; echo 'x: error: no geheim here' >&2; echo more >&2; exit 1", MOS_FAILED_PRECONDITION, "x: error: no * here"},
        {"echo 'FATAL: password authentication failed' >&2; exit 2", MOS_PERMISSION_DENIED, "FATAL: password authentication failed"},
        {"echo 'error: database \"x\" does not exist' >&2; exit 2", MOS_NOT_FOUND, "error: database \"x\" does not exist"},
        {"yes 'some warning' | head -c 104000 >&2; echo 'ERROR: Connection refused' >&2; exit 1", MOS_UNAVAILABLE,
         "ERROR: Connection refused"},
        {"exit 7", MOS_FAILED_PRECONDITION, "sh ended with exit code 7"},
        {"kill -9 $$", MOS_UNAVAILABLE, "sh was killed by signal 9"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const arguments[] = {"sh", "-c", cases[i].command, NULL};
        struct mos_child_options options = shell(arguments);
        struct mos_error error = {0};
        mos_child *child;
        options.hidden = "geheim";
        options.output = false;
        MOS_ASSERT_OK(mos_child_start(&options, &child, &error), &error);
        CU_ASSERT_EQUAL(mos_child_finish(child, &error), cases[i].status);
        CU_ASSERT_STRING_EQUAL(error.message, cases[i].message);
        mos_child_free(child);
    }
}

MOS_TEST(writing_to_one_that_is_gone_is_its_failure_and_no_signal) {
    const char *const arguments[] = {"sh", "-c", "echo 'error: enough' >&2; exit 1", NULL};
    struct mos_child_options options = shell(arguments);
    struct mos_error error = {0};
    char block[65536] = {0};
    mos_child *child;
    mos_status status = MOS_OK;
    options.input = true;
    MOS_ASSERT_OK(mos_child_start(&options, &child, &error), &error);
    while (status == MOS_OK) {
        status = mos_child_write(child, block, sizeof(block), &error);
    }
    CU_ASSERT_EQUAL(status, MOS_FAILED_PRECONDITION);
    CU_ASSERT_STRING_EQUAL(error.message, "error: enough");
    mos_child_free(child);
}

MOS_TEST(a_program_that_is_missing_is_named) {
    const char *const arguments[] = {"no-such-program", NULL};
    struct mos_child_options options = shell(arguments);
    struct mos_error error = {0};
    mos_child *child;
    CU_ASSERT_EQUAL(mos_child_start(&options, &child, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "no-such-program"));
}

// Also what it has started itself, and also when it does not want to go.
MOS_TEST(its_whole_group_ends_with_it) {
    const char *const arguments[] = {"sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait", NULL};
    struct mos_child_options options = shell(arguments);
    struct mos_error error = {0};
    char text[32] = "";
    size_t got;
    mos_child *child;
    MOS_ASSERT_OK(mos_child_start(&options, &child, &error), &error);
    MOS_ASSERT_OK(mos_child_read(child, text, sizeof(text) - 1, &got, &error), &error);
    pid_t below = (pid_t)strtol(text, NULL, 10);
    CU_ASSERT_TRUE_FATAL(below > 1);
    mos_child_free(child);
    // Killed before, but somebody else takes its remains away.
    char state[64], path[64];
    do {
        snprintf(path, sizeof(path), "/proc/%d/stat", below);
        FILE *file = fopen(path, "r");
        state[0] = 0;
        if (file) {
            CU_ASSERT_TRUE(fscanf(file, "%*d %*s %1s", state) >= 0);
            fclose(file);
        }
    } while (state[0] && state[0] != 'Z' && state[0] != 'X');
    CU_ASSERT_TRUE(kill(below, 0) == 0 || errno == ESRCH);
}

MOS_TEST(waiting_ends_when_it_is_cancelled_or_says_nothing) {
    const char *const arguments[] = {"sleep", "1000", NULL};
    struct mos_child_options options = shell(arguments);
    struct mos_error error = {0};
    char byte;
    size_t got;
    mos_child *child;
    options.cancelled = yes;
    MOS_ASSERT_OK(mos_child_start(&options, &child, &error), &error);
    CU_ASSERT_EQUAL(mos_child_read(child, &byte, 1, &got, &error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_child_finish(child, &error), MOS_CANCELLED);
    mos_child_free(child);
    options.cancelled = NULL;
    options.quiet_ms = 1;
    MOS_ASSERT_OK(mos_child_start(&options, &child, &error), &error);
    CU_ASSERT_EQUAL(mos_child_read(child, &byte, 1, &got, &error), MOS_UNAVAILABLE);
    mos_child_free(child);
}
