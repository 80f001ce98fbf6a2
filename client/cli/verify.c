#include "cli/verify.h"

#include <pthread.h>
#include <time.h>

#include "cli/follow.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

// How often to look whether the verification's job is there. One that ends sooner needs no bar.
#define LOOK_EVERY_MS 200

struct verifying {
    // Its arena is the call's alone while the call runs; who follows the job has another.
    struct mos_cli *cli;
    const char *backup_id;
    mos_rpc_canceller *canceller;
    api_verification *found;
    mos_status status;
    struct mos_error *error;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool done;
};

static mos_status call(struct verifying *verifying) {
    struct mos_rpc_call_options options = mos_cli_patient(verifying->cli);
    options.canceller = verifying->canceller;
    API(VerifyBackupRequest) request = API_INIT(VERIFY_BACKUP_REQUEST);
    request.backup_id = (char *)verifying->backup_id;
    return api_backup_service(verify_backup)(mos_client_channel(verifying->cli->client), &options, &request, verifying->cli->arena,
                                             &verifying->found, verifying->error);
}

static void *run(void *argument) {
    struct verifying *verifying = argument;
    mos_status status = call(verifying);
    pthread_mutex_lock(&verifying->mutex);
    verifying->status = status;
    verifying->done = true;
    pthread_cond_signal(&verifying->ended);
    pthread_mutex_unlock(&verifying->mutex);
    return NULL;
}

static bool done_within(struct verifying *verifying, int wait_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t nanoseconds = until.tv_nsec + (int64_t)wait_ms * 1000000;
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_mutex_lock(&verifying->mutex);
    while (!verifying->done && pthread_cond_timedwait(&verifying->ended, &verifying->mutex, &until) == 0) {
    }
    bool done = verifying->done;
    pthread_mutex_unlock(&verifying->mutex);
    return done;
}

// The job that does it, once there is one.
static const char *find_job(const struct mos_cli *cli, const char *backup_id) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(ListJobsRequest) request = API_INIT(LIST_JOBS_REQUEST);
    API(ListJobsResponse) * page;
    request.page_size = 1;
    request.kind = API_WORD(JOB__KIND__VERIFY);
    request.status = API_WORD(JOB__STATUS__RUNNING);
    request.backup_id = (char *)backup_id;
    mos_status status = api_backup_service(list_jobs)(mos_client_channel(cli->client), &options, &request, cli->arena, &page, NULL);
    return status == MOS_OK && page->n_jobs > 0 ? page->jobs[0]->id : NULL;
}

// True where Ctrl-C ended it.
static bool show_progress(struct verifying *verifying) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_cli cli = *verifying->cli;
    cli.arena = arena;
    while (!done_within(verifying, LOOK_EVERY_MS)) {
        const char *job_id = find_job(&cli, verifying->backup_id);
        if (job_id) {
            // Whether the following fails does not matter: the call itself tells how the verification went.
            struct mos_followed followed;
            mos_follow_events(&cli, &(struct mos_follow){.job_id = job_id, .terminal = cli.err}, &followed, NULL);
            return followed.interrupted;
        }
    }
    return false;
}

mos_status mos_verify_run(struct mos_cli *cli, const char *backup_id, api_verification **out, struct mos_error *error) {
    struct verifying verifying = {
        .cli = cli, .backup_id = backup_id, .error = error, .mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    bool interrupted = false;
    verifying.canceller = mos_rpc_canceller_create();
    if (cli->err.interactive && pthread_create(&thread, NULL, run, &verifying) == 0) {
        interrupted = show_progress(&verifying);
        if (interrupted) {
            mos_rpc_canceller_cancel(verifying.canceller);
        }
        pthread_join(thread, NULL);
    } else {
        verifying.status = call(&verifying);
    }
    mos_rpc_canceller_destroy(verifying.canceller);
    *out = interrupted ? NULL : verifying.found;
    return interrupted ? MOS_OK : verifying.status;
}
