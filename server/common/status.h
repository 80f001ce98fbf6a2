// What calls return: a status from status.def, and with it, where the caller gave one, an error record with one sentence for people.
//
// Convention of the whole project: a function that can fail returns mos_status and takes `struct mos_error *error` last. On failure it
// fills the record (once, where the failure was understood; callers pass it on or put a context before it). On MOS_OK the record is
// untouched. `error` may be NULL. Records are plain values: no ownership, no thread safety beyond that of any struct.
#ifndef MOS_COMMON_STATUS_H
#define MOS_COMMON_STATUS_H

#include <stdbool.h>

typedef enum mos_status {
#define X(name, grpc, retryable, phrase) MOS_##name,
#include "common/status.def"
#undef X
    MOS_STATUS_COUNT
} mos_status;

struct mos_error {
    mos_status status;
    // JSON name of the request field or name of the setting at fault; empty where no single one is.
    char field[96];
    // One sentence, no full stop, no secret.
    char message[768];
};

// "NOT_FOUND" and the like; "UNKNOWN" for a number that is none.
const char *mos_status_name(mos_status status);
// MOS_UNKNOWN when no status has the name.
mos_status mos_status_from_name(const char *name);
// The gRPC code that carries the status, 0 to 16, and back.
int mos_status_grpc_code(mos_status status);
mos_status mos_status_from_grpc_code(int code);
bool mos_status_retryable(mos_status status);
// A short phrase for people.
const char *mos_status_phrase(mos_status status);

// Fill the record and return the status, so that `return mos_fail(error, MOS_NOT_FOUND, "no backup has the id %s", id);` reads well.
mos_status mos_fail(struct mos_error *error, mos_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// MOS_INVALID_ARGUMENT, naming the field.
mos_status mos_fail_field(struct mos_error *error, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
// From errno: ENOSPC and EDQUOT become MOS_NO_SPACE, ENOENT MOS_NOT_FOUND, EACCES and EPERM MOS_PERMISSION_DENIED, the rest MOS_IO. The
// message is the formatted text, a colon and strerror.
mos_status mos_fail_errno(struct mos_error *error, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Puts "context: " before the message of an error that is passed on, and returns its status.
mos_status mos_fail_context(struct mos_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The static analyser cannot see that a failure is never MOS_OK.
#ifdef __clang_analyzer__
#define mos_fail(error, status, ...) ((mos_fail)((error), (status), __VA_ARGS__), (status))
#define mos_fail_field(...) ((mos_fail_field)(__VA_ARGS__), MOS_INVALID_ARGUMENT)
#define mos_fail_errno(...) ((mos_fail_errno)(__VA_ARGS__), MOS_IO)
#endif

#endif
