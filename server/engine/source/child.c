#include "engine/source/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"

enum { ASK_EVERY_MS = 50, STOP_GRACE_MS = 150, SAID_BYTES = 8192, SECRET_IN_CHILD = 3, FIRST_FREE = 4 };

struct mos_child {
    pid_t pid;
    int pidfd;
    int input;
    int output;
    int errors;
    int quiet_ms;
    bool (*cancelled)(void *context);
    void *context;
    const char *program;
    char *hidden;
    char said[SAID_BYTES + 1];
    size_t said_bytes;
};

// ---- Starting ----

// Nothing of this process's environment but what any program needs: PG* and MYSQL_* variables would change what is connected to.
static char **child_environment(mos_arena *arena) {
    static const char *const kept[] = {"PATH", "HOME", "TMPDIR", "TZ"};
    enum { KEPT = sizeof(kept) / sizeof(kept[0]) };
    char **list = mos_arena_array(arena, char *, KEPT + 2);
    size_t count = 0;
    for (size_t i = 0; i < KEPT; i++) {
        const char *value = getenv(kept[i]);
        if (value) {
            list[count++] = mos_arena_printf(arena, "%s=%s", kept[i], value);
        }
    }
    // Their messages are understood in English.
    list[count] = "LC_ALL=C.UTF-8";
    return list;
}

struct plan {
    const char *const *arguments;
    char **environment;
    int descriptors[4];
    int report;
    pid_t parent;
};

static _Noreturn void become(const struct plan *plan) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != plan->parent) {
        _exit(127);
    }
    for (int number = 0; number <= SECRET_IN_CHILD; number++) {
        if (plan->descriptors[number] >= 0) {
            dup2(plan->descriptors[number], number);
        } else {
            close(number);
        }
    }
    int report = fcntl(plan->report, F_DUPFD_CLOEXEC, FIRST_FREE);
    dup2(report, FIRST_FREE);
    fcntl(FIRST_FREE, F_SETFD, FD_CLOEXEC);
    close_range(FIRST_FREE + 1, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    execvpe(plan->arguments[0], (char *const *)plan->arguments, plan->environment);
    int reason = errno;
    if (write(FIRST_FREE, &reason, sizeof(reason)) < 0) {
        _exit(126);
    }
    _exit(127);
}

// Above those that become something else in the child, so that none is overwritten before it is used.
static int raise_descriptor(int descriptor) {
    int raised = descriptor >= 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST_FREE + 1) : -1;
    if (descriptor >= 0) {
        close(descriptor);
    }
    return raised;
}

// *out_ours is nonblocking. `ours_reads`: this process reads; otherwise it is a socket, as only writing to one raises no SIGPIPE.
static bool make_pipe(bool ours_reads, int *out_ours, int *out_theirs) {
    int ends[2];
    if ((ours_reads ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) != 0) {
        return false;
    }
    *out_ours = raise_descriptor(ends[ours_reads ? 0 : 1]);
    *out_theirs = raise_descriptor(ends[ours_reads ? 1 : 0]);
    return *out_ours >= 0 && *out_theirs >= 0 && fcntl(*out_ours, F_SETFL, O_NONBLOCK) == 0;
}

static void shut(int *descriptor) {
    if (*descriptor >= 0) {
        close(*descriptor);
    }
    *descriptor = -1;
}

static mos_status launch(mos_child *child, const struct mos_child_options *options, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct plan plan = {.arguments = options->arguments, .environment = child_environment(arena), .parent = getpid(), .report = -1};
    int report = -1;
    for (int i = 0; i <= SECRET_IN_CHILD; i++) {
        plan.descriptors[i] = -1;
    }
    bool good = (options->input ? make_pipe(false, &child->input, &plan.descriptors[0])
                                : (plan.descriptors[0] = raise_descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC))) >= 0) &&
                (options->output ? make_pipe(true, &child->output, &plan.descriptors[1])
                                 : (plan.descriptors[1] = raise_descriptor(open("/dev/null", O_WRONLY | O_CLOEXEC))) >= 0) &&
                make_pipe(true, &child->errors, &plan.descriptors[2]) && make_pipe(true, &report, &plan.report);
    if (good && options->secret >= 0) {
        plan.descriptors[3] = fcntl(options->secret, F_DUPFD_CLOEXEC, FIRST_FREE + 1);
        good = plan.descriptors[3] >= 0;
    }
    int reason = errno;
    child->pid = good ? fork() : -1;
    if (child->pid == 0) {
        become(&plan);
    }
    reason = good && child->pid < 0 ? errno : reason;
    for (int i = 0; i <= SECRET_IN_CHILD; i++) {
        shut(&plan.descriptors[i]);
    }
    shut(&plan.report);
    if (child->pid < 0) {
        shut(&report);
        return mos_fail_errno(error, reason, "%s cannot be started", child->program);
    }
    setpgid(child->pid, child->pid);
    child->pidfd = pidfd_open(child->pid, 0);
    struct pollfd polled = {.fd = report, .events = POLLIN};
    while (poll(&polled, 1, -1) < 0 && errno == EINTR) {
    }
    bool failed = read(report, &reason, sizeof(reason)) == sizeof(reason);
    shut(&report);
    if (failed && reason == ENOENT) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the program %s, which this database needs, is not installed on the server",
                        child->program);
    }
    return failed ? mos_fail_errno(error, reason, "%s cannot be started", child->program) : MOS_OK;
}

mos_status mos_child_start(const struct mos_child_options *options, mos_child **out, struct mos_error *error) {
    mos_child *child = mos_calloc(1, sizeof(*child));
    child->input = child->output = child->errors = child->pidfd = -1;
    child->quiet_ms = options->quiet_ms;
    child->cancelled = options->cancelled;
    child->context = options->context;
    child->program = options->arguments[0];
    child->hidden = options->hidden && *options->hidden ? mos_strdup(options->hidden) : NULL;
    mos_status status = launch(child, options, error);
    if (status) {
        mos_child_free(child);
        return status;
    }
    *out = child;
    return MOS_OK;
}

// ---- Talking ----

static void listen_to_errors(mos_child *child) {
    char block[1024];
    ssize_t got;
    while (child->errors >= 0 && (got = read(child->errors, block, sizeof(block))) != 0) {
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return;
        }
        size_t size_bytes = (size_t)got;
        if (child->said_bytes + size_bytes > SAID_BYTES) {
            size_t dropped = child->said_bytes + size_bytes - SAID_BYTES;
            memmove(child->said, child->said + dropped, child->said_bytes - dropped);
            child->said_bytes -= dropped;
        }
        memcpy(child->said + child->said_bytes, block, size_bytes);
        child->said_bytes += size_bytes;
        child->said[child->said_bytes] = 0;
    }
    shut(&child->errors);
}

// Until something can be done with the descriptor (-1: until the child has ended), reading what it has to complain of meanwhile.
static mos_status wait_for(mos_child *child, int descriptor, short events, struct mos_error *error) {
    int64_t until_ns = child->quiet_ms ? mos_now_monotonic_ns() + child->quiet_ms * MOS_NS_PER_MS : INT64_MAX;
    for (;;) {
        struct pollfd polled[2] = {{.fd = descriptor >= 0 ? descriptor : child->pidfd, .events = events},
                                   {.fd = child->errors, .events = POLLIN}};
        int ready = poll(polled, 2, ASK_EVERY_MS);
        if (polled[1].revents) {
            listen_to_errors(child);
        }
        if (child->cancelled && child->cancelled(child->context)) {
            return mos_fail(error, MOS_CANCELLED, "cancelled");
        }
        if (ready > 0 && polled[0].revents) {
            return MOS_OK;
        }
        if (mos_now_monotonic_ns() >= until_ns) {
            return mos_fail(error, MOS_UNAVAILABLE, "the database server gave no answer for %d seconds", child->quiet_ms / 1000);
        }
    }
}

mos_status mos_child_read(mos_child *child, void *buffer, size_t size_bytes, size_t *out_bytes, struct mos_error *error) {
    *out_bytes = 0;
    for (;;) {
        ssize_t got = read(child->output, buffer, size_bytes);
        if (got >= 0) {
            *out_bytes = (size_t)got;
            return MOS_OK;
        }
        if (errno != EINTR && errno != EAGAIN) {
            return mos_fail_errno(error, errno, "reading from %s", child->program);
        }
        mos_status status = wait_for(child, child->output, POLLIN, error);
        if (status) {
            return status;
        }
    }
}

mos_status mos_child_write(mos_child *child, const void *data, size_t size_bytes, struct mos_error *error) {
    for (size_t done = 0; done < size_bytes;) {
        ssize_t put = send(child->input, (const char *)data + done, size_bytes - done, MSG_NOSIGNAL);
        if (put >= 0) {
            done += (size_t)put;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET) {
            mos_status status = mos_child_finish(child, error);
            return status ? status : mos_fail(error, MOS_IO, "%s ended before it had read everything", child->program);
        }
        if (errno != EINTR && errno != EAGAIN) {
            return mos_fail_errno(error, errno, "writing to %s", child->program);
        }
        mos_status status = wait_for(child, child->input, POLLOUT, error);
        if (status) {
            return status;
        }
    }
    return MOS_OK;
}

void mos_child_close_input(mos_child *child) {
    shut(&child->input);
}

// ---- Its end ----

static mos_status meaning_of(const char *line) {
    static const struct {
        const char *words;
        mos_status status;
    } meanings[] = {
        {"password authentication failed", MOS_PERMISSION_DENIED},
        {"no password supplied", MOS_PERMISSION_DENIED},
        {"Access denied", MOS_PERMISSION_DENIED},
        {"permission denied", MOS_PERMISSION_DENIED},
        {"command denied", MOS_PERMISSION_DENIED},
        {"no pg_hba.conf entry", MOS_PERMISSION_DENIED},
        {"authentication failed", MOS_PERMISSION_DENIED},
        {"could not connect", MOS_UNAVAILABLE},
        {"Connection refused", MOS_UNAVAILABLE},
        {"No such file or directory", MOS_UNAVAILABLE},
        {"timeout expired", MOS_UNAVAILABLE},
        {"could not translate host name", MOS_UNAVAILABLE},
        {"Unknown server host", MOS_UNAVAILABLE},
        {"Unknown MySQL server host", MOS_UNAVAILABLE},
        {"Can't connect", MOS_UNAVAILABLE},
        {"Lost connection", MOS_UNAVAILABLE},
        {"gone away", MOS_UNAVAILABLE},
        {"server closed the connection", MOS_UNAVAILABLE},
        {"terminating connection", MOS_UNAVAILABLE},
        {"the database system is", MOS_UNAVAILABLE},
        {"too many clients", MOS_UNAVAILABLE},
        {"lock timeout", MOS_UNAVAILABLE},
        {"Unknown database", MOS_NOT_FOUND},
        {"No space left", MOS_NO_SPACE},
    };
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strstr(line, meanings[i].words)) {
            return meanings[i].status;
        }
    }
    return strstr(line, "database \"") && strstr(line, "does not exist") ? MOS_NOT_FOUND : MOS_FAILED_PRECONDITION;
}

// The first line that tells of an error, or else the last one; without line break, in UTF-8 as far as the server speaks it.
static void pick_line(const mos_child *child, char *out, size_t size_bytes) {
    const char *picked = child->said, *line = child->said;
    for (size_t length; *line; line += length + (line[length] == '\n')) {
        length = strcspn(line, "\n");
        picked = length ? line : picked;
        bool tells = memmem(line, length, "rror", 4) || memmem(line, length, "ERROR", 5) || memmem(line, length, "FATAL", 5);
        if (tells) {
            break;
        }
    }
    snprintf(out, size_bytes, "%.*s", (int)strcspn(picked, "\n"), picked);
}

static void hide(const char *hidden, char *text) {
    size_t length = hidden ? strlen(hidden) : 0;
    for (char *at = text; length && (at = strstr(at, hidden)); at++) {
        memmove(at + 1, at + length, strlen(at + length) + 1);
        *at = '*';
    }
}

mos_status mos_child_finish(mos_child *child, struct mos_error *error) {
    shut(&child->input);
    mos_status status = wait_for(child, -1, POLLIN, error);
    if (status) {
        return status;
    }
    siginfo_t info = {0};
    while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) != 0 && errno == EINTR) {
    }
    child->pid = 0;
    listen_to_errors(child);
    if (info.si_code == CLD_EXITED && info.si_status == 0) {
        return MOS_OK;
    }
    char line[512];
    pick_line(child, line, sizeof(line));
    hide(child->hidden, line);
    if (info.si_code != CLD_EXITED) {
        return mos_fail(error, MOS_UNAVAILABLE, "%s was killed by signal %d", child->program, info.si_status);
    }
    return *line ? mos_fail(error, meaning_of(line), "%s", line)
                 : mos_fail(error, MOS_FAILED_PRECONDITION, "%s ended with exit code %d", child->program, info.si_status);
}

const char *mos_child_said(const mos_child *child) {
    return child->said;
}

void mos_child_free(mos_child *child) {
    if (!child) {
        return;
    }
    shut(&child->input);
    shut(&child->output);
    if (child->pid > 0) {
        // Asked first: pg_dump then tells its server to stop too.
        kill(-child->pid, SIGTERM);
        struct pollfd polled = {.fd = child->pidfd, .events = POLLIN};
        poll(&polled, 1, STOP_GRACE_MS);
        kill(-child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    shut(&child->errors);
    shut(&child->pidfd);
    if (child->hidden) {
        explicit_bzero(child->hidden, strlen(child->hidden));
    }
    free(child->hidden);
    free(child);
}

int mos_secret_file(const char *text, struct mos_error *error) {
    size_t size_bytes = strlen(text);
    int descriptor = memfd_create("secret", MFD_CLOEXEC);
    if (descriptor < 0 || fchmod(descriptor, 0600) != 0 || write(descriptor, text, size_bytes) != (ssize_t)size_bytes) {
        mos_fail_errno(error, errno, "the password cannot be handed on");
        shut(&descriptor);
    }
    return descriptor;
}
