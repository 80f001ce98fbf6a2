#include "cli/follow.h"

#include <string.h>

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "common/clock.h"
#include "lib/json.h"
#include "mosaajii/backup/v1/backup.grpc-client.h"

#define PATIENCE_NS (60 * MOS_NS_PER_SECOND)
#define FIRST_PAUSE_MS 200
#define LONGEST_PAUSE_MS 2000

struct state {
    struct mos_cli *cli;
    const struct mos_follow *follow;
    struct mos_followed *out;
    struct mos_progress progress;
    mos_interrupt *interrupt;
    int64_t last_sequence;
};

static void take(struct state *state, const api_event *event) {
    struct mos_followed *out = state->out;
    state->last_sequence = event->sequence > state->last_sequence ? event->sequence : state->last_sequence;
    if (event->kind == API_WORD(JOB_EVENT__KIND__WARNING)) {
        out->warnings++;
    } else if (event->kind == API_WORD(JOB_EVENT__KIND__FINISHED)) {
        out->with_warnings += event->job_status == API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS);
        out->cancelled += event->job_status == API_WORD(JOB__STATUS__CANCELLED);
        if (event->job_status == API_WORD(JOB__STATUS__FAILED)) {
            out->failed++;
            out->message = mos_arena_strdup(state->cli->arena, event->message ? event->message : "");
        }
    }
    if (!state->follow->json) {
        mos_progress_event(&state->progress, event);
        return;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer line = MOS_BUFFER_INIT(0);
    mos_json_append(&line, &event->base, false);
    mos_buffer_append_byte(&line, '\n');
    fwrite(line.data, 1, line.size_bytes, stdout);
    fflush(stdout);
}

static mos_status open_stream(struct state *state, mos_rpc_stream **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_patient(state->cli);
    options.canceller = mos_interrupt_canceller(state->interrupt);
    mos_rpc_channel *channel = mos_client_channel(state->cli->client);
    if (state->follow->backup_id) {
        API(WatchBackupRequest) request = API_INIT(WATCH_BACKUP_REQUEST);
        request.backup_id = (char *)state->follow->backup_id;
        request.after_sequence = state->last_sequence;
        return api_backup_service(watch_backup_open)(channel, &options, &request, out, error);
    }
    API(WatchJobRequest) request = API_INIT(WATCH_JOB_REQUEST);
    request.job_id = (char *)state->follow->job_id;
    request.after_sequence = state->last_sequence;
    return api_backup_service(watch_job_open)(channel, &options, &request, out, error);
}

// One stream to its end; *out_some: at least one event came.
static mos_status follow_once(struct state *state, bool *out_some, struct mos_error *error) {
    mos_rpc_stream *stream;
    mos_status status = open_stream(state, &stream, error);
    if (status != MOS_OK) {
        return status;
    }
    const api_event *event = NULL;
    // Events of backups and of jobs are the same message.
    while ((status = api_backup_service(watch_backup_receive)(stream, &event, error)) == MOS_OK && event) {
        *out_some = true;
        take(state, event);
    }
    mos_status end = mos_rpc_stream_finish(stream, status == MOS_OK ? error : NULL);
    return status == MOS_OK ? end : status;
}

// A server that stops tells its streams so in one of these ways.
static bool broken_off(mos_status status) {
    return status == MOS_UNAVAILABLE || status == MOS_CANCELLED || status == MOS_ABORTED;
}

mos_status mos_follow_events(struct mos_cli *cli, const struct mos_follow *follow, struct mos_followed *out, struct mos_error *error) {
    *out = (struct mos_followed){.message = ""};
    struct state state = {.cli = cli,
                          .follow = follow,
                          .out = out,
                          .progress = {.terminal = follow->terminal},
                          .interrupt = mos_interrupt_begin(),
                          .last_sequence = follow->after_sequence};
    int64_t broken_since_ns = 0;
    int pause_ms = FIRST_PAUSE_MS;
    mos_status status;
    for (;;) {
        bool some = false;
        status = follow_once(&state, &some, error);
        out->interrupted = mos_interrupt_happened(state.interrupt);
        if (out->interrupted || !broken_off(status)) {
            break;
        }
        int64_t now_ns = mos_now_monotonic_ns();
        if (some || !broken_since_ns) {
            broken_since_ns = now_ns;
            pause_ms = FIRST_PAUSE_MS;
            if (!follow->json) {
                mos_progress_say(&state.progress, "the connection to the server is lost; trying again for a minute");
            }
        }
        if (now_ns - broken_since_ns > PATIENCE_NS || mos_interrupt_wait(state.interrupt, pause_ms)) {
            out->interrupted = mos_interrupt_happened(state.interrupt);
            break;
        }
        pause_ms = pause_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause_ms * 2;
    }
    mos_progress_clear(&state.progress);
    mos_interrupt_end(state.interrupt);
    return out->interrupted ? MOS_OK : status;
}

int mos_follow_exit(const struct mos_followed *followed) {
    if (followed->interrupted) {
        return MOS_EXIT_INTERRUPTED;
    }
    return followed->failed || followed->cancelled ? MOS_EXIT_FAILED : followed->with_warnings ? MOS_EXIT_WARNINGS : MOS_EXIT_DONE;
}
