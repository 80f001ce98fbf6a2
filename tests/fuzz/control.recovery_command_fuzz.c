// A step's command from a plan. One that is taken holds nothing that a program or a database could take for something else.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/dr/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct mos_command command;
    struct mos_error error = {0};
    mos_status status = mos_command_parse("steps[0].command", text, arena, &command, &error);
    if (status != MOS_OK) {
        if (status != MOS_INVALID_ARGUMENT || strcmp(error.field, "steps[0].command") != 0 || !error.message[0]) {
            abort();
        }
        return 0;
    }
    bool backup = command.kind == MOS_COMMAND_RESTORE_BACKUP || command.kind == MOS_COMMAND_VERIFY_BACKUP;
    if ((backup && !command.type) || (command.kind == MOS_COMMAND_HOOK && (strchr(command.text, '/') || command.text[0] == '.')) ||
        (command.kind == MOS_COMMAND_SQL_CHECK && strpbrk(command.text, ";\\\n\r")) ||
        (command.kind == MOS_COMMAND_HTTP_CHECK && !mos_check_url_valid(command.text)) ||
        (command.kind == MOS_COMMAND_TCP_CHECK && (command.port < 1 || command.port > 65535)) || command.wait_ns < 0) {
        abort();
    }
    return 0;
}
