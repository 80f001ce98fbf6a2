// An environment: the input holds its variables, each ended by a zero byte.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/settings.h"

enum { VARIABLES_MAX = 64 };

static void require(bool good) {
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_FREE char *text = mos_calloc(1, size + 1);
    char *environment[VARIABLES_MAX + 1] = {0};
    size_t count = 0;
    if (size) {
        memcpy(text, data, size);
    }
    for (char *next = text; next < text + size && count < VARIABLES_MAX; next += strlen(next) + 1) {
        environment[count++] = next;
    }
    char masked[64];
    mos_url_mask(text, masked, sizeof(masked));
    require(strlen(masked) < sizeof(masked));
    mos_settings *settings = NULL;
    struct mos_error error = {0};
    if (mos_settings_load(&settings, environment, &error) != MOS_OK) {
        require(!settings && error.status == MOS_INVALID_ARGUMENT && error.field[0] && error.message[0]);
        return 0;
    }
    int64_t days = mos_setting_number(settings, MOS_SETTING_BACKUP_RETENTION_DAYS);
    require(days >= 1 && days <= 36500);
    require(mos_setting_text(settings, MOS_SETTING_MOSAAJII_HOME)[0] == '/');
    char *printed = NULL;
    size_t printed_bytes = 0;
    FILE *stream = open_memstream(&printed, &printed_bytes);
    mos_settings_print(settings, stream);
    fclose(stream);
    const char *secret = mos_setting_text(settings, MOS_SETTING_SMTP_PASS);
    require(!*secret || strstr(printed, "SMTP_PASS=***"));
    free(printed);
    mos_settings_free(settings);
    return 0;
}
