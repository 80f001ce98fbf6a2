// Shows the events of jobs: a bar that is redrawn where somebody looks, lines elsewhere. Not thread safe.
#ifndef MOS_CLIENT_CLI_PROGRESS_H
#define MOS_CLIENT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/api.h"
#include "cli/terminal.h"
#include "common/arena.h"
#include "common/buffer.h"

// Least time between two lines of progress.
#define MOS_PROGRESS_LINE_SECONDS 5

// Whole percents, 0 to 100, by bytes or, without them, by files; -1 while they cannot be told. 100 only when all is done.
int mos_progress_percent(const api_progress *progress);
// "1.2 of 2.8 GiB".
char *mos_progress_bytes(mos_arena *arena, int64_t done, int64_t total);
// The bar's two lines, each at most `columns` wide, in the arena.
void mos_progress_bar(mos_arena *arena, const char *job, const api_progress *progress, const struct mos_terminal *terminal, int columns,
                      char **out_first, char **out_second);
// The same facts on one line, for a log.
char *mos_progress_line(mos_arena *arena, const char *job, const api_progress *progress);

struct mos_progress {
    struct mos_terminal terminal;
    // A bar stands on the screen: the widths of its lines.
    bool drawn;
    int first_width, second_width;
    int64_t drawn_at_ns;
    int64_t line_at_seconds;
    // When the job that is shown began, by the server's clock.
    int64_t started_at_seconds, started_at_nanos;
};

// Shows an event: draws, prints, or does nothing.
void mos_progress_event(struct mos_progress *progress, const api_event *event);
// One line that stays, above the bar. The text is made harmless.
void mos_progress_say(struct mos_progress *progress, const char *text);
// Takes the bar from the screen.
void mos_progress_clear(struct mos_progress *progress);

#endif
