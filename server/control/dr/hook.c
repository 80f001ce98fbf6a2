// Hooks: programs that the operator has put into $MOSAAJII_HOME/hooks, and nobody else can have.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/dr/child.h"
#include "control/dr/internal.h"

mos_status hook_check(const mos_recovery *recovery, const char *name, mos_arena *arena, const char **out_path, struct mos_error *error) {
    struct stat folder, facts;
    const char *hooks = mos_arena_printf(arena, "%s/hooks", recovery->home);
    const char *path = mos_arena_printf(arena, "%s/%s", hooks, name);
    if (!mos_hook_name_valid(name)) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "\"%.100s\" is no name of a hook", name);
    }
    if (lstat(hooks, &folder) != 0 || lstat(path, &facts) != 0) {
        return mos_fail(error, MOS_NOT_FOUND, "there is no hook %s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(folder.st_mode) || !S_ISREG(facts.st_mode)) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "the hook %s must be a file, not a link or anything else", path);
    }
    bool ours = (facts.st_uid == geteuid() || facts.st_uid == 0) && (folder.st_uid == geteuid() || folder.st_uid == 0);
    if (!ours || (facts.st_mode & 022) || (folder.st_mode & 022)) {
        return mos_fail(error, MOS_PERMISSION_DENIED,
                        "the hook %s and its folder must belong to the server's user and be writable by nobody else", path);
    }
    if (access(path, X_OK) != 0) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "the hook %s is not executable", path);
    }
    *out_path = path;
    return MOS_OK;
}

static const char *place_word(const struct attempt *attempt) {
    const Mosaajii__Backup__V1__TestResult *test = attempt->run->state->test;
    const ProtobufCEnumValue *word =
        test ? protobuf_c_enum_descriptor_get_value(&mosaajii__backup__v1__test_result__environment__descriptor, (int)test->environment)
             : NULL;
    return test ? word ? word->name : "" : "EXECUTION";
}

mos_status act_hook(struct attempt *attempt, const char *name, struct mos_error *error) {
    mos_arena *arena = attempt->arena;
    const char *path = NULL;
    mos_status status = hook_check(attempt->recovery, name, arena, &path, error);
    if (status == MOS_OK && attempt->place.sandbox) {
        status = sandbox_make(attempt->recovery, attempt->place.folder, error);
        status = status ? status : sandbox_guard(attempt->recovery, attempt->place.folder, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    pthread_mutex_lock(&attempt->recovery->mutex);
    int number = attempt->run->state->execution->steps[attempt->index]->attempt;
    pthread_mutex_unlock(&attempt->recovery->mutex);
    const char *search = getenv("PATH"), *home = getenv("HOME");
    char *environment[] = {
        mos_arena_printf(arena, "PATH=%s", search && *search ? search : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        mos_arena_printf(arena, "HOME=%s", home ? home : "/"),
        mos_arena_strdup(arena, "LANG=C.UTF-8"),
        mos_arena_printf(arena, "MOSAAJII_EXECUTION=%s", attempt->run->id),
        mos_arena_printf(arena, "MOSAAJII_PLAN=%s", attempt->run->state->plan->id),
        mos_arena_printf(arena, "MOSAAJII_STEP=%s", attempt->step->id),
        // By this a server that follows one that was killed finds what is left of it.
        mos_arena_printf(arena, "MOSAAJII_ATTEMPT=%s/%s/%d", attempt->run->id, attempt->step->id, number),
        mos_arena_printf(arena, "MOSAAJII_ENVIRONMENT=%s", place_word(attempt)),
        mos_arena_printf(arena, "MOSAAJII_SANDBOX=%s", attempt->place.folder),
        NULL,
    };
    char *arguments[] = {(char *)path, NULL};
    const struct mos_child_order order = {.program = path,
                                          .arguments = arguments,
                                          .environment = environment,
                                          .folder = attempt->place.sandbox ? attempt->place.folder : "/",
                                          .stop_fd = attempt->stop_fd,
                                          .deadline_ns = attempt->deadline_ns,
                                          .output_most = MOS_OUTPUT_MOST,
                                          .errors_too = true};
    MOS_CLEANUP_BUFFER struct mos_buffer output = MOS_BUFFER_INIT(0);
    struct mos_child_end end;
    status = mos_child_run(&order, &output, &end, error);
    mos_buffer_append(&attempt->output, output.data, output.size_bytes);
    if (end.cut) {
        mos_buffer_append_text(&attempt->output, "\n(more was printed and dropped)\n");
    }
    if (status != MOS_OK) {
        return status;
    }
    if (end.stopped || end.timed_out) {
        return mos_fail(error, end.stopped ? MOS_CANCELLED : MOS_DEADLINE_EXCEEDED, "the hook %s %s", name,
                        end.stopped ? "was stopped" : "did not end within its time, and was ended");
    }
    if (end.signal) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the hook %s was ended by signal %d", name, end.signal);
    }
    return end.exit_code == 0 ? MOS_OK
                              : mos_fail(error, MOS_FAILED_PRECONDITION, "the hook %s ended with exit code %d", name, end.exit_code);
}
