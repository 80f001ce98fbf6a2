// Settings: environment variables, all of them in settings.def, from which the parser, --print-config and the reference in docs are made.
#ifndef MOS_COMMON_SETTINGS_H
#define MOS_COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

enum mos_setting {
#define X(name, type, secret, fallback, text) MOS_SETTING_##name,
#include "common/settings.def"
#undef X
    MOS_SETTING_COUNT
};

typedef struct mos_settings mos_settings;

// Reads them from `environment` (as environ). Checks every value against its type; refuses a variable that begins with MOSAAJII_ and is
// none of ours. The error's field is the name of the variable. On MOS_OK *out is the caller's, to be freed.
mos_status mos_settings_load(mos_settings **out, char *const *environment, struct mos_error *error);
void mos_settings_free(mos_settings *settings);

// Borrowed; "" where nothing is set and there is no default. $MOSAAJII_HOME in a default is expanded.
const char *mos_setting_text(const mos_settings *settings, enum mos_setting setting);
// For the types that are numbers and truth values.
int64_t mos_setting_number(const mos_settings *settings, enum mos_setting setting);
bool mos_setting_flag(const mos_settings *settings, enum mos_setting setting);
bool mos_setting_is_set(const mos_settings *settings, enum mos_setting setting);

// One line a setting: name, value (secrets masked, passwords in URLs too) and where it came from.
void mos_settings_print(const mos_settings *settings, FILE *stream);

// The same URL with its password replaced by ***; `text` is cut to its size.
void mos_url_mask(const char *url, char *text, size_t size_bytes);

#endif
