#include "control/job/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/framing.h"
#include "common/log.h"

// How long an engine that has said all may take to go, and one that was asked to stop.
enum { LAST_GRACE_MS = 10000, STOP_GRACE_MS = 500, USUAL_ANSWER_MS = 60000, SOCKET_IN_CHILD = 3, LIFELINE_IN_CHILD = 4, FIRST_CLOSED = 5 };
// More than any answer about a key has.
enum { KEY_ANSWER_BYTES = 16384 };

struct mos_process {
    pid_t pid;
    // Signals and waiting go by this, which never means another process.
    int pidfd;
    int socket;
    const struct mos_key_keeper *keeper;
};

// ---- Privileges ----

mos_status mos_engine_reserve_privileges(struct mos_error *error) {
    // Ambient ones are what a program that is started gets; they stay as long as they are permitted, in use here or not.
    if (geteuid() == 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_DAC_READ_SEARCH, 0, 0) != 1) {
        return MOS_OK;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, sets) != 0) {
        return mos_fail_errno(error, errno, "looking at this program's capabilities");
    }
    sets[CAP_TO_INDEX(CAP_DAC_READ_SEARCH)].effective &= ~CAP_TO_MASK(CAP_DAC_READ_SEARCH);
    return syscall(SYS_capset, &header, sets) == 0 ? MOS_OK : mos_fail_errno(error, errno, "laying a capability aside");
}

// ---- Starting ----

// Everything else of the server's environment stays here: secrets stand in it.
static bool passes(const char *variable) {
    static const char *const names[] = {"PATH=",
                                        "HOME=",
                                        "TZ=",
                                        "LANG=",
                                        "TMPDIR=",
                                        "ASAN_OPTIONS=",
                                        "UBSAN_OPTIONS=",
                                        "TSAN_OPTIONS=",
                                        "LSAN_OPTIONS=",
                                        "MOSAAJII_LOG_FORMAT=",
                                        "LC_",
                                        "MOSAAJII_LOG_LEVEL=",
                                        "MOSAAJII_ENGINE_"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

static char **child_environment(void) {
    size_t count = 0;
    while (environ && environ[count]) {
        count++;
    }
    char **result = mos_calloc(count + 1, sizeof(*result));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (passes(environ[i])) {
            result[kept++] = environ[i];
        }
    }
    return result;
}

// The descriptors that are to become 3 and 4 in the child must be neither of them here, or one would overwrite the other.
static int above_children(int descriptor) {
    return fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST_CLOSED);
}

static int spawn(const struct mos_engine *engine, int socket, int lifeline, pid_t *out) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, socket, SOCKET_IN_CHILD);
    if (lifeline >= 0) {
        posix_spawn_file_actions_adddup2(&actions, lifeline, LIFELINE_IN_CHILD);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, lifeline >= 0 ? FIRST_CLOSED : LIFELINE_IN_CHILD);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    // A session of its own: Linux may share the processor out among sessions first (autogroups), and then the engine's share is its own.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    char *arguments[] = {(char *)engine->path, "--job", NULL};
    MOS_CLEANUP_FREE char **environment = child_environment();
    int code = posix_spawn(out, engine->path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

static mos_status launch(mos_process *process, const struct mos_engine *engine, struct mos_error *error) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return mos_fail_errno(error, errno, "making a socket for an engine process");
    }
    process->socket = pair[0];
    MOS_CLEANUP_FD int given = pair[1];
    MOS_CLEANUP_FD int theirs = above_children(given);
    MOS_CLEANUP_FD int lifeline = engine->lifeline >= 0 ? above_children(engine->lifeline) : -1;
    if (theirs < 0 || (engine->lifeline >= 0 && lifeline < 0)) {
        return mos_fail_errno(error, errno, "making a socket for an engine process");
    }
    int code = spawn(engine, theirs, lifeline, &process->pid);
    if (code != 0) {
        process->pid = 0;
        return mos_fail_errno(error, code, "starting %s", engine->path);
    }
    process->pidfd = pidfd_open(process->pid, 0);
    if (process->pidfd < 0) {
        int reason = errno;
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        process->pid = 0;
        return mos_fail_errno(error, reason, "following an engine process");
    }
    return MOS_OK;
}

static void drop(mos_process *process) {
    if (process->socket >= 0) {
        close(process->socket);
    }
    if (process->pidfd >= 0) {
        close(process->pidfd);
    }
    free(process);
}

mos_status mos_process_start(mos_process **out, const struct mos_engine *engine, struct mos_error *error) {
    mos_process *process = mos_calloc(1, sizeof(*process));
    process->socket = -1;
    process->pidfd = -1;
    process->keeper = engine->keeper;
    mos_status status = launch(process, engine, error);
    if (status != MOS_OK) {
        drop(process);
        return status;
    }
    *out = process;
    return MOS_OK;
}

mos_status mos_process_tell(mos_process *process, const struct mos_engine *engine, const Mosaajii__Engine__V1__Request *request,
                            struct mos_error *error) {
    Mosaajii__Engine__V1__Request filled = *request;
    filled.repository = (char *)engine->repository;
    filled.keyring = (char *)engine->keyring;
    filled.scratch = (char *)engine->scratch;
    filled.keyring_passphrase = (char *)(engine->passphrase ? engine->passphrase : "");
    filled.key_reference = (char *)(engine->key_reference ? engine->key_reference : "");
    return mos_frame_send(process->socket, &filled.base, error);
}

// ---- Talking ----

static mos_status receive(mos_process *process, int timeout_ms, int cancel_fd, mos_arena *arena, Mosaajii__Engine__V1__Event **out,
                          struct mos_error *error) {
    *out = NULL;
    struct pollfd polled[2] = {{.fd = process->socket, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    int64_t end_ns = timeout_ms < 0 ? INT64_MAX : mos_now_monotonic_ns() + timeout_ms * MOS_NS_PER_MS;
    for (;;) {
        int64_t left_ms = timeout_ms < 0 ? -1 : (end_ns - mos_now_monotonic_ns()) / MOS_NS_PER_MS;
        int ready = poll(polled, 2, timeout_ms < 0 ? -1 : left_ms > 0 ? (int)left_ms : 0);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready < 0) {
            return mos_fail_errno(error, errno, "waiting for an engine process");
        }
        break;
    }
    if (polled[1].revents || !polled[0].revents) {
        return MOS_OK;
    }
    ProtobufCMessage *message = NULL;
    mos_status status = mos_frame_receive(process->socket, &mosaajii__engine__v1__event__descriptor, arena, &message, error);
    if (status == MOS_OK) {
        *out = (Mosaajii__Engine__V1__Event *)message;
    }
    return status;
}

// The bytes of keys are wiped as soon as they are on their way, on this side as on the other.
static mos_status answer_key(mos_process *process, Mosaajii__Engine__V1__KeyRequest *request, struct mos_error *error) {
    struct mos_buffer out = {0};
    struct mos_error cause = {0};
    Mosaajii__Engine__V1__KeyAnswer answer = MOSAAJII__ENGINE__V1__KEY_ANSWER__INIT;
    mos_buffer_reserve(&out, KEY_ANSWER_BYTES);
    mos_status status = process->keeper ? process->keeper->transform(process->keeper->context, request->key_reference, request->unwrap,
                                                                     request->data.data, request->data.len, &out, &cause)
                                        : mos_fail(&cause, MOS_FAILED_PRECONDITION, "this server reaches no KMS");
    answer.status = (char *)mos_status_name(status);
    answer.message = status == MOS_OK ? (char *)"" : cause.message;
    answer.data = (ProtobufCBinaryData){.data = out.data, .len = status == MOS_OK ? out.size_bytes : 0};
    status = mos_frame_send(process->socket, &answer.base, error);
    explicit_bzero(request->data.data, request->data.len);
    explicit_bzero(out.data, out.capacity_bytes);
    mos_buffer_free(&out);
    return status;
}

mos_status mos_process_receive(mos_process *process, int timeout_ms, int cancel_fd, mos_arena *arena, Mosaajii__Engine__V1__Event **out,
                               struct mos_error *error) {
    for (;;) {
        mos_status status = receive(process, timeout_ms, cancel_fd, arena, out, error);
        if (status != MOS_OK || !*out || (*out)->event_case != MOSAAJII__ENGINE__V1__EVENT__EVENT_KEY) {
            return status;
        }
        status = answer_key(process, (*out)->key, error);
        *out = NULL;
        if (status != MOS_OK) {
            return status;
        }
    }
}

void mos_process_stop(mos_process *process) {
    pidfd_send_signal(process->pidfd, SIGTERM, NULL, 0);
    shutdown(process->socket, SHUT_WR);
}

// True when the process has ended (it may still be a zombie).
static bool has_ended(const mos_process *process, int timeout_ms) {
    struct pollfd polled = {.fd = process->pidfd, .events = POLLIN};
    int64_t end_ns = mos_now_monotonic_ns() + timeout_ms * MOS_NS_PER_MS;
    for (;;) {
        int64_t left_ms = (end_ns - mos_now_monotonic_ns()) / MOS_NS_PER_MS;
        int ready = poll(&polled, 1, left_ms > 0 ? (int)left_ms : 0);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        return ready > 0;
    }
}

void mos_process_kill(mos_process *process, int grace_ms) {
    if (!has_ended(process, grace_ms)) {
        pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
    }
}

void mos_process_end(mos_process *process, char reason[MOS_PROCESS_REASON_BYTES]) {
    shutdown(process->socket, SHUT_RDWR);
    mos_process_kill(process, LAST_GRACE_MS);
    siginfo_t info = {0};
    while (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED) != 0 && errno == EINTR) {
    }
    if (info.si_code == CLD_EXITED) {
        snprintf(reason, MOS_PROCESS_REASON_BYTES, "ended with exit code %d", info.si_status);
    } else {
        snprintf(reason, MOS_PROCESS_REASON_BYTES, "was killed by signal %d (%s)", info.si_status, strsignal(info.si_status));
    }
    drop(process);
}

// ---- A short conversation ----

static bool is_readable(int descriptor) {
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};
    return poll(&polled, 1, 0) > 0;
}

// Nobody watches a short conversation: neither a frame that does not begin nor one that does not end may hold it up for ever.
static void limit_silence(mos_process *process, int answer_ms) {
    const struct timeval limit = {.tv_sec = answer_ms / 1000, .tv_usec = answer_ms % 1000 * 1000};
    setsockopt(process->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(process->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static mos_status receive_answer(mos_process *process, int answer_ms, int cancel_fd, mos_arena *arena, Mosaajii__Engine__V1__Event **out,
                                 struct mos_error *error) {
    mos_status status = mos_process_receive(process, answer_ms, cancel_fd, arena, out, error);
    if (status != MOS_OK || *out) {
        return status;
    }
    return cancel_fd >= 0 && is_readable(cancel_fd)
               ? mos_fail(error, MOS_CANCELLED, "the call was cancelled")
               : mos_fail(error, MOS_DEADLINE_EXCEEDED, "the engine process gave no answer within %d ms", answer_ms);
}

static mos_status judge(const Mosaajii__Engine__V1__Result *result, struct mos_error *error) {
    return strcmp(result->status, "OK") == 0 ? MOS_OK : mos_fail(error, mos_status_from_name(result->status), "%s", result->message);
}

static mos_status converse(mos_process *process, int answer_ms, int cancel_fd, mos_arena *arena,
                           bool (*each)(const Mosaajii__Engine__V1__Event *event, void *argument), void *argument,
                           const Mosaajii__Engine__V1__Result **out, struct mos_error *error) {
    for (;;) {
        Mosaajii__Engine__V1__Event *event;
        mos_status status = receive_answer(process, answer_ms, cancel_fd, arena, &event, error);
        if (status != MOS_OK) {
            return status;
        }
        if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_RESULT) {
            *out = event->result;
            return judge(event->result, error);
        }
        if (each && !each(event, argument)) {
            return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the engine answered more than was asked for");
        }
    }
}

// The process has said its last, or is told to stop; `status` and `talk` are what the conversation came to.
static mos_status end_talk(mos_process *process, bool answered, mos_status status, const struct mos_error *talk, struct mos_error *error) {
    if (!answered) {
        mos_process_stop(process);
        mos_process_kill(process, STOP_GRACE_MS);
    }
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    if (!answered && status == MOS_UNAVAILABLE) {
        return mos_fail(error, MOS_INTERNAL, "the engine process %s without an answer", reason);
    }
    if (!answered && status == MOS_DEADLINE_EXCEEDED) {
        // Of the engine, not of the call.
        return mos_fail(error, MOS_UNAVAILABLE, "%s", talk->message);
    }
    if (status != MOS_OK && error) {
        *error = *talk;
    }
    return status;
}

mos_status mos_engine_ask(const struct mos_engine *engine, const Mosaajii__Engine__V1__Request *request, int cancel_fd, mos_arena *arena,
                          bool (*each)(const Mosaajii__Engine__V1__Event *event, void *argument), void *argument,
                          const Mosaajii__Engine__V1__Result **out, struct mos_error *error) {
    mos_process *process;
    int answer_ms = engine->answer_ms ? engine->answer_ms : USUAL_ANSWER_MS;
    mos_status status = mos_process_start(&process, engine, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_error talk = {0};
    *out = NULL;
    limit_silence(process, answer_ms);
    status = mos_process_tell(process, engine, request, &talk);
    if (status == MOS_OK) {
        status = converse(process, answer_ms, cancel_fd, arena, each, argument, out, &talk);
    }
    return end_talk(process, *out != NULL, status, &talk, error);
}

mos_status mos_engine_stream(const struct mos_engine *engine, const Mosaajii__Engine__V1__Request *request, int cancel_fd,
                             mos_status (*each)(const Mosaajii__Engine__V1__Event *event, void *argument, struct mos_error *error),
                             void *argument, struct mos_error *error) {
    mos_process *process;
    int answer_ms = engine->answer_ms ? engine->answer_ms : USUAL_ANSWER_MS;
    mos_status status = mos_process_start(&process, engine, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_error talk = {0};
    bool answered = false, taken = true;
    limit_silence(process, answer_ms);
    status = mos_process_tell(process, engine, request, &talk);
    while (status == MOS_OK && !answered && taken) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        Mosaajii__Engine__V1__Event *event;
        status = receive_answer(process, answer_ms, cancel_fd, arena, &event, &talk);
        answered = status == MOS_OK && event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_RESULT;
        if (answered) {
            status = judge(event->result, &talk);
        } else if (status == MOS_OK) {
            status = each(event, argument, &talk);
            taken = status == MOS_OK;
        }
    }
    mos_status ended = end_talk(process, answered, taken ? status : MOS_OK, &talk, error);
    if (!taken && error) {
        *error = talk;
    }
    return taken ? ended : status;
}
