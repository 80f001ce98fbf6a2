// What is shown to people: text made harmless, its width in columns, and facts about the terminal. Thread safe.
#ifndef MOS_CLIENT_CLI_TERMINAL_H
#define MOS_CLIENT_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"

// Foreign text with all that a terminal would act on written \xHH: control characters (also those above ASCII), characters that turn the
// direction of text, and bytes that are not UTF-8. A backslash stays one.
char *mos_terminal_escape(mos_arena *arena, const char *text);
// Columns that escaped text takes: 0 for combining characters, 2 for wide ones.
int mos_terminal_width(const char *text);
// The text in at most `columns`, with an ellipsis where something was cut off: the end of it, or, with `keep_end`, its start.
char *mos_terminal_fit(mos_arena *arena, const char *text, int columns, bool keep_end);

struct mos_terminal {
    FILE *stream;
    // Somebody looks: lines may be redrawn.
    bool interactive;
    bool colour;
    // Characters beyond ASCII may be drawn.
    bool utf8;
};

// `colour` follows NO_COLOR and TERM, `utf8` the locale's variables.
struct mos_terminal mos_terminal_open(FILE *stream);
// Asked anew each time, so a resized window counts at once. 80 where it cannot be told.
int mos_terminal_columns(const struct mos_terminal *terminal);

enum mos_colour { MOS_COLOUR_NONE, MOS_COLOUR_BOLD, MOS_COLOUR_DIM, MOS_COLOUR_GREEN, MOS_COLOUR_YELLOW, MOS_COLOUR_RED };
// The sequence that switches to the colour, or "" where there are to be none.
const char *mos_terminal_colour(const struct mos_terminal *terminal, enum mos_colour colour);
// Of a status word: green for what is well, red for what is not.
enum mos_colour mos_status_colour(const char *word);

// For people: "12,345"; "0.4 s", "34 s", "12 min 5 s", "3 h 12 min"; "0:19", "1:02:03"; local time to the minute, or to the second with its
// zone ("-" for 0).
#define MOS_SHORT_TEXT_BYTES 40
void mos_count_format(int64_t count, char text[MOS_SHORT_TEXT_BYTES]);
void mos_duration_format(int64_t duration_ms, char text[MOS_SHORT_TEXT_BYTES]);
void mos_clock_format(int64_t seconds, char text[MOS_SHORT_TEXT_BYTES]);
void mos_minute_format(int64_t unix_seconds, char text[MOS_SHORT_TEXT_BYTES]);
void mos_moment_format(int64_t unix_seconds, char text[MOS_SHORT_TEXT_BYTES]);

#endif
