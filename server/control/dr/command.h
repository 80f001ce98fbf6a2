// What an automated step is told to do, and what is checked afterwards: the two small languages of a plan. Thread safe.
//
// Commands: `restore_backup:TYPE`, with the recovery point behind an @ (`@latest`, which is the default, `@verified`, `@before=TIME`,
// `@id=ID`); `verify_backup:TYPE`; `verify_database`; `restart_services`; `hook:NAME`; `http_check:URL`; `tcp_check:HOST:PORT`;
// `sql_check:SELECT …`; `wait:DURATION`. Criteria: `rows(TABLE) >= N`, `file exists /PATH`, `http 200 URL`, `checksum /PATH SHA256`,
// `duration <= DURATION`, `sentinel /PATH`. What begins like none of these is a sentence for people. Durations are a number with s, m or h
// behind it.
#ifndef MOS_CONTROL_DR_COMMAND_H
#define MOS_CONTROL_DR_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"
#include "control/catalog/words.h"

enum mos_command_kind {
    MOS_COMMAND_RESTORE_BACKUP,
    MOS_COMMAND_VERIFY_BACKUP,
    MOS_COMMAND_VERIFY_DATABASE,
    MOS_COMMAND_RESTART_SERVICES,
    MOS_COMMAND_HOOK,
    MOS_COMMAND_HTTP_CHECK,
    MOS_COMMAND_TCP_CHECK,
    MOS_COMMAND_SQL_CHECK,
    MOS_COMMAND_WAIT,
};

enum mos_recovery_point { MOS_POINT_LATEST, MOS_POINT_LATEST_VERIFIED, MOS_POINT_BEFORE, MOS_POINT_ID };

struct mos_command {
    enum mos_command_kind kind;
    // Of the two that name a backup.
    enum mos_backup_type type;
    enum mos_recovery_point point;
    int64_t before_unix_ns;
    const char *backup_id;
    // Name of a hook, URL, host or statement.
    const char *text;
    int port;
    int64_t wait_ns;
};

// MOS_INVALID_ARGUMENT, naming `field`. Texts live in the arena.
mos_status mos_command_parse(const char *field, const char *text, mos_arena *arena, struct mos_command *out, struct mos_error *error);
// The command changes something where it is run for real: it must not run twice by itself.
bool mos_command_changes(enum mos_command_kind kind);
// A file name without any path, by which a hook may be called.
bool mos_hook_name_valid(const char *name);
// http or https, with a host, without credentials, and not one of those addresses by which machines of a cloud tell their secrets.
bool mos_check_url_valid(const char *url);
// Decides by the number what mos_check_url_valid decides by the text. `address` is a struct sockaddr.
bool mos_address_forbidden(const void *address);

enum mos_criterion_kind {
    MOS_CRITERION_SENTENCE,
    MOS_CRITERION_ROWS,
    MOS_CRITERION_FILE_EXISTS,
    MOS_CRITERION_HTTP,
    MOS_CRITERION_CHECKSUM,
    MOS_CRITERION_DURATION,
    MOS_CRITERION_SENTINEL,
};

enum mos_comparison { MOS_LESS, MOS_LESS_OR_EQUAL, MOS_EQUAL, MOS_NOT_EQUAL, MOS_MORE_OR_EQUAL, MOS_MORE };

struct mos_criterion {
    enum mos_criterion_kind kind;
    enum mos_comparison comparison;
    // Rows, status, or nanoseconds.
    int64_t number;
    // Table, path or URL.
    const char *subject;
    // Hexadecimal.
    const char *checksum;
};

// MOS_INVALID_ARGUMENT, naming `field`, for what begins like a criterion for the machine and is none.
mos_status mos_criterion_parse(const char *field, const char *text, mos_arena *arena, struct mos_criterion *out, struct mos_error *error);
bool mos_compare(int64_t number, enum mos_comparison comparison, int64_t with);

#endif
