// Names and messages that come from elsewhere, shown on a terminal: nothing of them may reach it as a command.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/terminal.h"
#include "common/text.h"
#include "lib/json.h"

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void check_shown(const char *text) {
    require(mos_utf8_valid(text, strlen(text)));
    for (const char *c = text; *c; c++) {
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
        require(!((unsigned char)*c == 0xc2 && (unsigned char)c[1] < 0xa0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    int columns = data[0] % 130;
    char *text = mos_arena_alloc(arena, size);
    memcpy(text, data + 1, size - 1);
    char *escaped = mos_terminal_escape(arena, text);
    check_shown(escaped);
    for (int end = 0; end < 2; end++) {
        const char *cut = mos_terminal_fit(arena, escaped, columns, end);
        check_shown(cut);
        require(mos_terminal_width(cut) <= columns);
    }
    api_progress progress = API_INIT(PROGRESS);
    progress.phase = size % 2 ? text : "reading";
    progress.current = text;
    progress.bytes_done = data[0];
    progress.bytes_total = data[1];
    struct mos_terminal terminal = {.stream = stdout, .utf8 = true};
    char *first, *second;
    mos_progress_bar(arena, "backup", &progress, &terminal, columns, &first, &second);
    check_shown(first);
    check_shown(second);
    require(mos_terminal_width(first) <= columns && mos_terminal_width(second) <= columns);
    MOS_CLEANUP_BUFFER struct mos_buffer json = MOS_BUFFER_INIT(0);
    mos_json_append(&json, &progress.base, false);
    check_shown(mos_buffer_text(&json));
    return 0;
}
