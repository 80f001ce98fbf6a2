#include "control/dr/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

// What a program that was told to end gets before it is killed.
enum { END_GRACE_MS = 2000, FIRST_CLOSED = 3, READ_BYTES = 16384 };

static int spawn(const struct mos_child_order *order, int output, pid_t *out) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (order->errors_too) {
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    } else {
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, FIRST_CLOSED);
    if (order->folder) {
        posix_spawn_file_actions_addchdir_np(&actions, order->folder);
    }
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int code = order->search ? posix_spawnp(out, order->program, &actions, &attributes, order->arguments, order->environment)
                             : posix_spawn(out, order->program, &actions, &attributes, order->arguments, order->environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

// What there is to be read now; false at the end of it.
static bool take_output(const struct mos_child_order *order, int descriptor, struct mos_buffer *output, size_t *kept, bool *cut) {
    char bytes[READ_BYTES];
    ssize_t got = read(descriptor, bytes, sizeof(bytes));
    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    size_t room = order->output_most - *kept;
    size_t taken = (size_t)got < room ? (size_t)got : room;
    mos_buffer_append(output, bytes, taken);
    *kept += taken;
    *cut = *cut || taken < (size_t)got;
    return true;
}

struct watch {
    pid_t pid;
    int pidfd;
    int output;
    // Monotonic; 0: it was not told to end yet.
    int64_t kill_at_ns;
};

static void tell_to_end(struct watch *watch) {
    kill(-watch->pid, SIGTERM);
    watch->kill_at_ns = mos_now_monotonic_ns() + END_GRACE_MS * MOS_NS_PER_MS;
}

static int next_timeout_ms(const struct watch *watch, int64_t deadline_ns) {
    int64_t end_ns = watch->kill_at_ns ? watch->kill_at_ns : deadline_ns;
    if (!end_ns) {
        return -1;
    }
    int64_t left_ms = (end_ns - mos_now_monotonic_ns()) / MOS_NS_PER_MS + 1;
    return left_ms < 0 ? 0 : left_ms > 3600000 ? 3600000 : (int)left_ms;
}

// Until the process itself has ended: what it left in the background may hold the pipe as long as it likes.
static void follow(const struct mos_child_order *order, struct watch *watch, struct mos_buffer *output, struct mos_child_end *out) {
    size_t kept = 0;
    for (;;) {
        struct pollfd polled[] = {{.fd = watch->pidfd, .events = POLLIN},
                                  {.fd = watch->output, .events = POLLIN},
                                  {.fd = watch->kill_at_ns ? -1 : order->stop_fd, .events = POLLIN}};
        poll(polled, 3, next_timeout_ms(watch, order->deadline_ns));
        if (polled[1].revents && !take_output(order, watch->output, output, &kept, &out->cut)) {
            close(watch->output);
            watch->output = -1;
        }
        if (polled[0].revents) {
            break;
        }
        int64_t now_ns = mos_now_monotonic_ns();
        if (watch->kill_at_ns) {
            if (now_ns >= watch->kill_at_ns) {
                kill(-watch->pid, SIGKILL);
                watch->kill_at_ns = now_ns + END_GRACE_MS * MOS_NS_PER_MS;
            }
        } else if (polled[2].revents) {
            out->stopped = true;
            tell_to_end(watch);
        } else if (order->deadline_ns && now_ns >= order->deadline_ns) {
            out->timed_out = true;
            tell_to_end(watch);
        }
    }
    // The last words.
    struct pollfd polled = {.fd = watch->output, .events = POLLIN};
    while (watch->output >= 0 && poll(&polled, 1, 0) > 0 && take_output(order, watch->output, output, &kept, &out->cut)) {
    }
}

mos_status mos_child_run(const struct mos_child_order *order, struct mos_buffer *output, struct mos_child_end *out,
                         struct mos_error *error) {
    *out = (struct mos_child_end){0};
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return mos_fail_errno(error, errno, "making a pipe for %s", order->program);
    }
    struct watch watch = {.output = pair[0]};
    fcntl(watch.output, F_SETFL, O_NONBLOCK);
    int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_CLOSED);
    close(pair[1]);
    int code = theirs < 0 ? errno : spawn(order, theirs, &watch.pid);
    if (theirs >= 0) {
        close(theirs);
    }
    if (code != 0) {
        close(watch.output);
        return mos_fail_errno(error, code, "starting %s", order->program);
    }
    watch.pidfd = pidfd_open(watch.pid, 0);
    if (watch.pidfd >= 0) {
        follow(order, &watch, output, out);
        close(watch.pidfd);
    } else {
        kill(-watch.pid, SIGKILL);
    }
    int ended = 0;
    while (waitpid(watch.pid, &ended, 0) < 0 && errno == EINTR) {
    }
    if (out->stopped || out->timed_out) {
        // With all that it has started in its group.
        kill(-watch.pid, SIGKILL);
    }
    if (watch.output >= 0) {
        close(watch.output);
    }
    out->exit_code = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    out->signal = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
    return MOS_OK;
}

// ---- What a server that is gone left running ----

static bool carries(const char *pid, const char *variable) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    MOS_CLEANUP_BUFFER struct mos_buffer content = MOS_BUFFER_INIT(1 << 20);
    char bytes[4096];
    ssize_t got;
    while (descriptor >= 0 && (got = read(descriptor, bytes, sizeof(bytes))) > 0 && mos_buffer_append(&content, bytes, (size_t)got)) {
    }
    size_t length = strlen(variable) + 1;
    const char *text = mos_buffer_text(&content);
    for (size_t i = 0; i + length <= content.size_bytes; i += strlen(text + i) + 1) {
        if (memcmp(text + i, variable, length) == 0) {
            return true;
        }
    }
    return false;
}

void mos_child_kill_left(const char *variable) {
    DIR *folder = opendir("/proc");
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        size_t digits = strspn(entry->d_name, "0123456789");
        if (digits > 0 && !entry->d_name[digits] && atoi(entry->d_name) != getpid() && carries(entry->d_name, variable)) {
            kill((pid_t)atoi(entry->d_name), SIGKILL);
        }
    }
    if (folder) {
        closedir(folder);
    }
}
