// A run as it goes on.
#include <stdio.h>
#include <string.h>

#include "cli/dr.h"
#include "cli/interrupt.h"
#include "common/clock.h"
#include "lib/json.h"
#include "mosaajii/backup/v1/recovery.grpc-client.h"

#define PATIENCE_NS (60 * MOS_NS_PER_SECOND)
#define FIRST_PAUSE_MS 200
#define LONGEST_PAUSE_MS 2000

enum { NOTES_SHOWN = 4, NAME_COLUMNS = 28 };

struct view {
    struct mos_cli *cli;
    mos_interrupt *interrupt;
    const char *run_id;
    int64_t last_sequence;
    // As they were when they were last heard of; texts in the arena.
    api_step_run **steps;
    size_t step_count;
    int status;
    int percent;
    int64_t seconds_left;
    int64_t started_at_seconds;
    const char *notes[NOTES_SHOWN];
    int drawn_lines;
};

// ---- Lines, where nobody looks ----

static void print_line(struct view *view, const api_execution_event *event) {
    struct mos_cli *cli = view->cli;
    const char *moment = mos_cli_moment(cli, event->time);
    if (event->kind == API_WORD(EXECUTION_EVENT__KIND__LOG) && event->log) {
        printf("%s %s%s%s: %s\n", moment, mos_cli_word(cli, API_LOG_LEVELS, (int)event->log->level), *event->log->step ? " " : "",
               mos_terminal_escape(cli->arena, event->log->step), mos_terminal_escape(cli->arena, event->log->message));
    } else if (event->kind == API_WORD(EXECUTION_EVENT__KIND__STATUS)) {
        printf("%s %s %d%%\n", moment, mos_cli_word(cli, API_RUN_STATUSES, (int)event->status), event->percent);
    } else if (event->step && event->kind == API_WORD(EXECUTION_EVENT__KIND__STEP)) {
        printf("%s step %s %s\n", moment, mos_terminal_escape(cli->arena, event->step->step_id),
               mos_cli_word(cli, API_STEP_STATUSES, (int)event->step->status));
    }
    fflush(stdout);
}

// ---- The table that is redrawn ----

static void put(struct view *view, mos_arena *arena, const char *text, enum mos_colour colour) {
    const struct mos_terminal *terminal = &view->cli->out;
    printf("\033[K%s%s%s\n", mos_terminal_colour(terminal, colour),
           mos_terminal_fit(arena, text, mos_terminal_columns(terminal) - 1, false), mos_terminal_colour(terminal, MOS_COLOUR_NONE));
    view->drawn_lines++;
}

static void draw(struct view *view) {
    struct mos_cli *cli = view->cli;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char left[MOS_SHORT_TEXT_BYTES], passed[MOS_SHORT_TEXT_BYTES];
    if (view->drawn_lines > 0) {
        printf("\033[%dA", view->drawn_lines);
    }
    view->drawn_lines = 0;
    int64_t now = mos_now_unix_ns() / MOS_NS_PER_SECOND;
    mos_clock_format(now > view->started_at_seconds ? now - view->started_at_seconds : 0, passed);
    mos_clock_format(view->seconds_left > 0 ? view->seconds_left : 0, left);
    const char *word = mos_cli_word(cli, API_RUN_STATUSES, view->status);
    put(view, arena,
        mos_arena_printf(arena, "%s  %d%%  %s%s%s", word, view->percent, passed, view->seconds_left >= 0 ? "  about " : "",
                         view->seconds_left >= 0 ? mos_arena_printf(arena, "%s left", left) : ""),
        mos_status_colour(word));
    for (size_t i = 0; i < view->step_count; i++) {
        const api_step_run *step = view->steps[i];
        const char *state = mos_cli_word(cli, API_STEP_STATUSES, (int)step->status);
        const char *percent =
            step->status == API_WORD(STEP_RUN__STATUS__RUNNING) ? mos_arena_printf(arena, "%3d%%", step->percent) : "    ";
        put(view, arena,
            mos_arena_printf(arena, "  %-9s %s  %-*s %s", state, percent, NAME_COLUMNS,
                             mos_terminal_fit(arena, mos_terminal_escape(arena, step->step_name), NAME_COLUMNS, false),
                             mos_terminal_escape(arena, step->message)),
            step->status == API_WORD(STEP_RUN__STATUS__WAITING) ? MOS_COLOUR_YELLOW : mos_status_colour(state));
        if (step->status == API_WORD(STEP_RUN__STATUS__WAITING)) {
            put(view, arena,
                mos_arena_printf(arena, "    mosaajii dr approve %s %s  (or decline, retry, skip)", view->run_id, step->step_id),
                MOS_COLOUR_DIM);
        }
    }
    for (int i = 0; i < NOTES_SHOWN; i++) {
        put(view, arena, view->notes[i] ? view->notes[i] : "", MOS_COLOUR_DIM);
    }
    printf("\033[J");
    fflush(stdout);
}

static api_step_run *copy_step(struct view *view, const api_step_run *step) {
    size_t size = protobuf_c_message_get_packed_size(&step->base);
    uint8_t *packed = mos_arena_alloc(view->cli->arena, size + 1);
    protobuf_c_message_pack(&step->base, packed);
    return mosaajii__backup__v1__step_run__unpack(mos_arena_allocator(view->cli->arena), size, packed);
}

static void take(struct view *view, const api_execution_event *event) {
    view->last_sequence = event->sequence > view->last_sequence ? event->sequence : view->last_sequence;
    view->status = (int)event->status;
    view->percent = event->percent;
    view->seconds_left = event->seconds_left;
    if (view->cli->json) {
        MOS_CLEANUP_BUFFER struct mos_buffer line = MOS_BUFFER_INIT(0);
        mos_json_append(&line, &event->base, false);
        mos_buffer_append_byte(&line, '\n');
        fwrite(line.data, 1, line.size_bytes, stdout);
        fflush(stdout);
        return;
    }
    if (!view->cli->out.interactive) {
        print_line(view, event);
        return;
    }
    for (size_t i = 0; event->step && i < view->step_count; i++) {
        if (strcmp(view->steps[i]->step_id, event->step->step_id) == 0) {
            view->steps[i] = copy_step(view, event->step);
        }
    }
    if (event->log) {
        memmove(&view->notes[0], &view->notes[1], (NOTES_SHOWN - 1) * sizeof(view->notes[0]));
        view->notes[NOTES_SHOWN - 1] = mos_terminal_escape(view->cli->arena, event->log->message);
    }
    draw(view);
}

// ---- Following ----

static mos_status follow_once(struct view *view, bool *out_some, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_patient(view->cli);
    options.canceller = mos_interrupt_canceller(view->interrupt);
    API(WatchExecutionRequest) request = API_INIT(WATCH_EXECUTION_REQUEST);
    request.execution_id = (char *)view->run_id;
    request.after_sequence = view->last_sequence;
    mos_rpc_stream *stream;
    mos_status status =
        api_recovery_service(watch_execution_open)(mos_client_channel(view->cli->client), &options, &request, &stream, error);
    if (status != MOS_OK) {
        return status;
    }
    const api_execution_event *event = NULL;
    while ((status = api_recovery_service(watch_execution_receive)(stream, &event, error)) == MOS_OK && event) {
        *out_some = true;
        take(view, event);
    }
    mos_status end = mos_rpc_stream_finish(stream, status == MOS_OK ? error : NULL);
    return status == MOS_OK ? end : status;
}

// Until the run has ended; over a restart of the server too.
static mos_status follow(struct view *view, struct mos_error *error) {
    int64_t broken_since_ns = 0;
    int pause_ms = FIRST_PAUSE_MS;
    for (;;) {
        bool some = false;
        mos_status status = follow_once(view, &some, error);
        bool broken = status == MOS_UNAVAILABLE || status == MOS_CANCELLED || status == MOS_ABORTED;
        if (mos_interrupt_happened(view->interrupt) || !broken) {
            return status;
        }
        int64_t now_ns = mos_now_monotonic_ns();
        if (some || !broken_since_ns) {
            broken_since_ns = now_ns;
            pause_ms = FIRST_PAUSE_MS;
            fprintf(stderr, "The connection to the server is lost; trying again for a minute.\n");
        }
        if (now_ns - broken_since_ns > PATIENCE_NS || mos_interrupt_wait(view->interrupt, pause_ms)) {
            return status;
        }
        pause_ms = pause_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause_ms * 2;
    }
}

static mos_status get_run(struct mos_cli *cli, const char *id, api_execution **out, struct mos_error *error) {
    struct mos_rpc_call_options options = mos_cli_quick(cli);
    API(GetExecutionRequest) request = API_INIT(GET_EXECUTION_REQUEST);
    request.execution_id = (char *)id;
    return api_recovery_service(get_execution)(mos_client_channel(cli->client), &options, &request, cli->arena, out, error);
}

static int answer_end(struct view *view) {
    struct mos_error error = {0};
    api_execution *run = NULL;
    if (get_run(view->cli, view->run_id, &run, &error) != MOS_OK) {
        return mos_cli_fail(view->cli, &error);
    }
    bool done = run->status == API_WORD(EXECUTION__STATUS__COMPLETED);
    bool excepted = run->n_failed_steps > 0 || run->n_skipped_steps > 0;
    if (!view->cli->json) {
        const char *word = mos_cli_word(view->cli, API_RUN_STATUSES, (int)run->status);
        printf("\nRun %s: %s. %s\n", run->id, word, mos_terminal_escape(view->cli->arena, run->message));
        if (run->metrics) {
            printf("Recovery time %.1f minutes, recovery point %.1f minutes old.\n", run->metrics->actual_rto, run->metrics->actual_rpo);
        }
    }
    return !done ? MOS_EXIT_FAILED : excepted ? MOS_EXIT_WARNINGS : MOS_EXIT_DONE;
}

int mos_dr_follow(struct mos_cli *cli, const char *run_id) {
    struct mos_error error = {0};
    api_execution *run = NULL;
    if (get_run(cli, run_id, &run, &error) != MOS_OK) {
        return mos_cli_fail(cli, &error);
    }
    struct view view = {.cli = cli,
                        .interrupt = mos_interrupt_begin(),
                        .run_id = run->id,
                        .steps = run->steps,
                        .step_count = run->n_steps,
                        .seconds_left = -1,
                        .started_at_seconds = mos_cli_seconds(run->started_at)};
    mos_status status = follow(&view, &error);
    bool interrupted = mos_interrupt_happened(view.interrupt);
    mos_interrupt_end(view.interrupt);
    if (interrupted) {
        return MOS_EXIT_INTERRUPTED;
    }
    return status == MOS_OK ? answer_end(&view) : mos_cli_fail(cli, &error);
}
