// mosaajii-engine: one job of a server, told over a socket; or a command by hand (alone.h).
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/framing.h"
#include "common/log.h"
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

static int run_job(void) {
    const char *threads = getenv("MOSAAJII_ENGINE_THREADS");
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    ProtobufCMessage *request;
    struct mos_error error;
    if (mos_frame_receive(JOB_SOCKET, &mosaajii__engine__v1__request__descriptor, arena, &request, &error) != MOS_OK) {
        fprintf(stderr, "mosaajii-engine: --job is for mosaajii-server, which talks over descriptor %d: %s\n", JOB_SOCKET, error.message);
        return EXIT_WRONG;
    }
    // It lives as long as the process: the thread below may still look at it.
    mos_job *job = mos_job_create(send_event, NULL, threads ? (unsigned)strtoul(threads, NULL, 10) : 0);
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
