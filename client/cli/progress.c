#include "cli/progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"

#define REDRAW_NS (100 * MOS_NS_PER_MS)
#define LABEL_COLUMNS 11
#define LEAST_BAR_COLUMNS 8
#define MOST_BAR_COLUMNS 40

int mos_progress_percent(const api_progress *progress) {
    int64_t done = progress->bytes_total > 0 ? progress->bytes_done : progress->files_done;
    int64_t total = progress->bytes_total > 0 ? progress->bytes_total : progress->files_total;
    if (total <= 0) {
        return -1;
    }
    if (done >= total) {
        return 100;
    }
    int percent = done <= 0 ? 0 : (int)((double)done * 100 / (double)total);
    return percent > 99 ? 99 : percent;
}

char *mos_progress_bytes(mos_arena *arena, int64_t done, int64_t total) {
    char done_text[MOS_SIZE_TEXT_BYTES], total_text[MOS_SIZE_TEXT_BYTES];
    mos_size_format(done, done_text);
    mos_size_format(total, total_text);
    char *done_unit = strchr(done_text, ' ');
    if (total <= 0) {
        return mos_arena_strdup(arena, done_text);
    }
    if (strcmp(done_unit, strchr(total_text, ' ')) == 0) {
        *done_unit = 0;
    }
    return mos_arena_printf(arena, "%s of %s", done_text, total_text);
}

static char *files_text(mos_arena *arena, const api_progress *progress) {
    char done[MOS_SHORT_TEXT_BYTES], total[MOS_SHORT_TEXT_BYTES];
    mos_count_format(progress->files_done, done);
    mos_count_format(progress->files_total, total);
    if (progress->files_total > 0) {
        return mos_arena_printf(arena, "%s of %s files", done, total);
    }
    return progress->files_done > 0 ? mos_arena_printf(arena, "%s file%s", done, progress->files_done == 1 ? "" : "s") : "";
}

// "85.0 MiB/s  0:13 left", as far as it is known.
static char *speed_text(mos_arena *arena, const api_progress *progress) {
    char rate[MOS_SIZE_TEXT_BYTES + 4] = "", left[MOS_SHORT_TEXT_BYTES + 8] = "";
    if (progress->bytes_per_second > 0) {
        mos_size_format(progress->bytes_per_second, rate);
        strcat(rate, "/s");
    }
    // Nothing is left to tell of a job that has come to its end, and nothing is known of one whose size is not.
    int percent = mos_progress_percent(progress);
    if (progress->seconds_left >= 0 && percent >= 0 && percent < 100) {
        mos_clock_format(progress->seconds_left, left);
        strcat(left, " left");
    }
    return mos_arena_printf(arena, "%s%s%s", rate, *rate && *left ? "  " : "", left);
}

static char *label_text(mos_arena *arena, const char *job, const api_progress *progress) {
    const char *phase = progress->phase && *progress->phase ? progress->phase : job;
    return mos_terminal_escape(arena, phase);
}

static char *draw_bar(mos_arena *arena, const struct mos_terminal *terminal, int percent, int columns) {
    const char *full = terminal->utf8 ? "\xe2\x94\x81" : "#";
    const char *half = terminal->utf8 ? "\xe2\x95\xb8" : "#";
    const char *rest = terminal->utf8 ? "\xe2\x94\x80" : "-";
    int halves = percent < 0 ? 0 : percent * columns * 2 / 100;
    MOS_CLEANUP_BUFFER struct mos_buffer bar = MOS_BUFFER_INIT(0);
    mos_buffer_append_text(&bar, mos_terminal_colour(terminal, MOS_COLOUR_GREEN));
    for (int i = 0; i < columns; i++) {
        if (i == (halves + 1) / 2) {
            mos_buffer_append_text(&bar, mos_terminal_colour(terminal, MOS_COLOUR_NONE));
            mos_buffer_append_text(&bar, mos_terminal_colour(terminal, MOS_COLOUR_DIM));
        }
        mos_buffer_append_text(&bar, 2 * i + 1 < halves ? full : 2 * i < halves ? half : rest);
    }
    mos_buffer_append_text(&bar, mos_terminal_colour(terminal, MOS_COLOUR_NONE));
    return mos_arena_strdup(arena, mos_buffer_text(&bar));
}

void mos_progress_bar(mos_arena *arena, const char *job, const api_progress *progress, const struct mos_terminal *terminal, int columns,
                      char **out_first, char **out_second) {
    int percent = mos_progress_percent(progress);
    char *label = label_text(arena, job, progress);
    int label_width = mos_terminal_width(label);
    int pad = label_width < LABEL_COLUMNS ? LABEL_COLUMNS - label_width : 0;
    const char *speed = speed_text(arena, progress);
    bool bytes = progress->bytes_done > 0 || progress->bytes_total > 0;
    char *facts = mos_arena_printf(arena, "%s%s%s", bytes ? mos_progress_bytes(arena, progress->bytes_done, progress->bytes_total) : "",
                                   bytes && *speed ? "  " : "", speed);
    char *share = percent < 0 ? "" : mos_arena_printf(arena, "%3d%%", percent);
    int left = columns - label_width - pad - 2 - 1 - (int)strlen(share) - 2 - (int)strlen(facts);
    if (percent >= 0 && left >= LEAST_BAR_COLUMNS) {
        char *bar = draw_bar(arena, terminal, percent, left > MOST_BAR_COLUMNS ? MOST_BAR_COLUMNS : left);
        *out_first = mos_arena_printf(arena, "%s%*s  %s %s  %s", label, pad, "", bar, share, facts);
    } else {
        char *text = mos_arena_printf(arena, "%s%*s  %s%s%s", label, pad, "", share, *share ? "  " : "", facts);
        *out_first = mos_terminal_fit(arena, text, columns, false);
    }
    char *files = files_text(arena, progress);
    char *head = mos_arena_printf(arena, "%*s%s%s", LABEL_COLUMNS + 2, "", files, *files ? "  " : "");
    char *current = mos_terminal_escape(arena, progress->current ? progress->current : "");
    int room = columns - mos_terminal_width(head);
    char *second = mos_arena_printf(arena, "%s%s", head, room >= LEAST_BAR_COLUMNS ? mos_terminal_fit(arena, current, room, true) : "");
    *out_second = mos_terminal_fit(arena, second, columns, false);
}

char *mos_progress_line(mos_arena *arena, const char *job, const api_progress *progress) {
    MOS_CLEANUP_BUFFER struct mos_buffer line = MOS_BUFFER_INIT(0);
    mos_buffer_append_text(&line, label_text(arena, job, progress));
    int percent = mos_progress_percent(progress);
    if (percent >= 0) {
        mos_buffer_printf(&line, "  %d%%", percent);
    }
    if (progress->bytes_done > 0 || progress->bytes_total > 0) {
        mos_buffer_printf(&line, "  %s", mos_progress_bytes(arena, progress->bytes_done, progress->bytes_total));
    }
    const char *files = files_text(arena, progress);
    const char *speed = speed_text(arena, progress);
    mos_buffer_printf(&line, "%s%s%s%s", *files ? "  " : "", files, *speed ? "  " : "", speed);
    return mos_arena_strdup(arena, mos_buffer_text(&line));
}

void mos_progress_clear(struct mos_progress *progress) {
    if (!progress->drawn) {
        return;
    }
    // A window that has become narrower has broken the lines over several rows.
    int columns = mos_terminal_columns(&progress->terminal);
    int rows = (progress->first_width - 1) / columns + 1 + (progress->second_width - 1) / columns;
    fprintf(progress->terminal.stream, "\r\x1b[%dA\x1b[J", rows > 0 ? rows : 1);
    fflush(progress->terminal.stream);
    progress->drawn = false;
}

static void draw(struct mos_progress *progress, mos_arena *arena, const char *job, const api_progress *what) {
    // One column stays free, since some terminals break a line that reaches the edge; two more are for the ^C that a terminal writes.
    int columns = mos_terminal_columns(&progress->terminal) - 3;
    struct mos_terminal colourless = progress->terminal;
    colourless.colour = false;
    char *plain, *first, *second;
    mos_progress_bar(arena, job, what, &colourless, columns, &plain, &second);
    mos_progress_bar(arena, job, what, &progress->terminal, columns, &first, &second);
    mos_progress_clear(progress);
    fprintf(progress->terminal.stream, "%s\n%s", first, second);
    fflush(progress->terminal.stream);
    progress->first_width = mos_terminal_width(plain);
    progress->second_width = mos_terminal_width(second);
    progress->drawn = true;
    progress->drawn_at_ns = mos_now_monotonic_ns();
}

static void say_escaped(struct mos_progress *progress, const char *text) {
    mos_progress_clear(progress);
    fprintf(progress->terminal.stream, "%s\n", text);
    fflush(progress->terminal.stream);
}

void mos_progress_say(struct mos_progress *progress, const char *text) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    say_escaped(progress, mos_terminal_escape(arena, text));
}

static const char *job_text(const api_event *event) {
    static const char *const texts[] = {"job",    "backup", "verification",         "restore",       "deletion", "prune", "check",
                                        "upload", "fetch",  "offsite verification", "key rewrapping"};
    unsigned kind = (unsigned)event->job_kind;
    return texts[kind < sizeof(texts) / sizeof(texts[0]) ? kind : 0];
}

static char *end_text(mos_arena *arena, const struct mos_progress *progress, const api_event *event) {
    const char *how = event->job_status == API_WORD(JOB__STATUS__SUCCEEDED)                 ? "done"
                      : event->job_status == API_WORD(JOB__STATUS__SUCCEEDED_WITH_WARNINGS) ? "done, with warnings"
                      : event->job_status == API_WORD(JOB__STATUS__CANCELLED)               ? "cancelled"
                                                                                            : "failed";
    char duration[MOS_SHORT_TEXT_BYTES] = "";
    if (progress->started_at_seconds && event->time) {
        int64_t ms = (event->time->seconds - progress->started_at_seconds) * 1000 +
                     ((int64_t)event->time->nanos - progress->started_at_nanos) / MOS_NS_PER_MS;
        mos_duration_format(ms < 0 ? 0 : ms, duration);
    }
    const char *message = event->message ? event->message : "";
    return mos_arena_printf(arena, "%s %s%s%s%s%s", job_text(event), how, *duration ? " after " : "", duration, *message ? ": " : "",
                            mos_terminal_escape(arena, message));
}

void mos_progress_event(struct mos_progress *progress, const api_event *event) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int64_t seconds = event->time ? event->time->seconds : 0;
    switch (event->kind) {
    case API_WORD(JOB_EVENT__KIND__QUEUED):
        if (progress->terminal.interactive) {
            API(Progress) waiting = API_INIT(PROGRESS);
            waiting.phase = "waiting";
            waiting.seconds_left = -1;
            draw(progress, arena, job_text(event), &waiting);
        } else {
            say_escaped(progress, mos_arena_printf(arena, "%s is waiting for its turn", job_text(event)));
        }
        break;
    case API_WORD(JOB_EVENT__KIND__STARTED):
        progress->started_at_seconds = seconds;
        progress->started_at_nanos = event->time ? event->time->nanos : 0;
        progress->line_at_seconds = seconds;
        if (!progress->terminal.interactive) {
            say_escaped(progress, mos_arena_printf(arena, "%s started", job_text(event)));
        }
        break;
    case API_WORD(JOB_EVENT__KIND__PROGRESS):
        if (!event->progress) {
            break;
        }
        if (progress->terminal.interactive) {
            if (!progress->drawn || mos_now_monotonic_ns() - progress->drawn_at_ns >= REDRAW_NS) {
                draw(progress, arena, job_text(event), event->progress);
            }
        } else if (seconds - progress->line_at_seconds >= MOS_PROGRESS_LINE_SECONDS) {
            progress->line_at_seconds = seconds;
            say_escaped(progress, mos_progress_line(arena, job_text(event), event->progress));
        }
        break;
    case API_WORD(JOB_EVENT__KIND__WARNING):
        say_escaped(progress, mos_arena_printf(arena, "%swarning:%s %s", mos_terminal_colour(&progress->terminal, MOS_COLOUR_YELLOW),
                                               mos_terminal_colour(&progress->terminal, MOS_COLOUR_NONE),
                                               mos_terminal_escape(arena, event->message ? event->message : "")));
        break;
    case API_WORD(JOB_EVENT__KIND__FINISHED):
        say_escaped(progress, end_text(arena, progress, event));
        progress->started_at_seconds = 0;
        break;
    default:
        break;
    }
}
