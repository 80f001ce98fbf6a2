// mosaajii-engine: one job of a server, told over a socket; or a command by hand (alone.h).
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/framing.h"
#include "common/log.h"
#include "common/pace.h"
#include "engine/alone.h"
#include "engine/asking.h"
#include "engine/pipeline/operation.h"

enum { EXIT_WRONG = 2, JOB_SOCKET = 3 };

mos_job *volatile mos_running_job;

static void on_signal(int number) {
    (void)number;
    if (mos_running_job) {
        mos_job_cancel(mos_running_job);
    }
}

// What comes down the socket after the request: answers about keys. Its end means that nobody waits for this job any more.
static void *watch_server(void *job) {
    while (mos_asking_take(JOB_SOCKET)) {
    }
    mos_job_cancel(job);
    mos_asking_over();
    return NULL;
}

static void send_event(void *context, const Mosaajii__Engine__V1__Event *event) {
    (void)context;
    if (mos_frame_send(JOB_SOCKET, &event->base, NULL) != MOS_OK) {
        mos_job_cancel(mos_running_job);
    }
}

// A setting that is a number; 0 where it is not set.
static unsigned long number_of(const char *name) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

// Linux that shares the processor out among sessions first heeds niceness only within one; the session (the server gave the engine one of
// its own) has a niceness too. A system without that has no such file.
static void step_back_as_session(long nice) {
    FILE *file = fopen("/proc/self/autogroup", "we");
    if (file) {
        fprintf(file, "%ld", nice);
        fclose(file);
    }
}

// What it may take of the machine. A system that refuses one of them gives no less than without.
static void keep_limits(void) {
    enum { OF_PROCESS = 1, CLASS_IDLE = 3, CLASS_SHIFT = 13 };
    const char *idle = getenv("MOSAAJII_ENGINE_IDLE_DISK");
    unsigned long nicer = number_of("MOSAAJII_ENGINE_NICE");
    if (nicer) {
        int nice = getpriority(PRIO_PROCESS, 0) + (int)(nicer < 19 ? nicer : 19);
        if (setpriority(PRIO_PROCESS, 0, nice) != 0) {
            mos_log_warning("the niceness cannot be set", MOS_NUMBER("nice", nicer));
        }
        step_back_as_session(nice < 19 ? nice : 19);
    }
    if (idle && strcmp(idle, "true") == 0 && syscall(SYS_ioprio_set, OF_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT) != 0) {
        mos_log_warning("the priority at the disk cannot be set");
    }
    mos_pace_set_disk((int64_t)number_of("MOSAAJII_ENGINE_DISK_MB") * 1000000);
}

static int run_job(void) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    ProtobufCMessage *request;
    struct mos_error error;
    if (mos_frame_receive(JOB_SOCKET, &mosaajii__engine__v1__request__descriptor, arena, &request, &error) != MOS_OK) {
        fprintf(stderr, "mosaajii-engine: --job is for mosaajii-server, which talks over descriptor %d: %s\n", JOB_SOCKET, error.message);
        return EXIT_WRONG;
    }
    // It lives as long as the process: the thread below may still look at it.
    mos_job *job = mos_job_create(send_event, NULL, (unsigned)number_of("MOSAAJII_ENGINE_THREADS"));
    mos_running_job = job;
    mos_asking_begin(job);
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch_server, job) != 0 || pthread_detach(watcher) != 0) {
        fprintf(stderr, "mosaajii-engine: no thread can be started\n");
        return EXIT_FAILURE;
    }
    Mosaajii__Engine__V1__Result result;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    mos_operation_run(job, (const Mosaajii__Engine__V1__Request *)request, arena, &result);
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_RESULT;
    event.result = &result;
    mos_job_send(job, &event);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    const char *format = getenv("MOSAAJII_LOG_FORMAT");
    mos_log_setup("mosaajii-engine", format && strcmp(format, "json") == 0, MOS_LOG_INFO);
    // Keys and plaintext stay out of core files.
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    // Chunks come and go all the time: what they lay in is kept, not given back and asked for again.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    keep_limits();
#ifndef __SANITIZE_ADDRESS__ // its leak check looks in from outside
    // A program that takes core files from the kernel is not held by the limit. After what is written under /proc/self.
    prctl(PR_SET_DUMPABLE, 0);
#endif
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    // A file that grows beyond a limit of this process is one file that cannot be written.
    signal(SIGXFSZ, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--job") == 0) {
        return run_job();
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("mosaajii-engine " MOSAAJII_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        mos_alone_help();
        return EXIT_SUCCESS;
    }
    if (argc < 2) {
        fputs("mosaajii-engine: a command is missing\nTry 'mosaajii-engine --help'.\n", stderr);
        return EXIT_WRONG;
    }
    return mos_alone(argc, argv);
}
