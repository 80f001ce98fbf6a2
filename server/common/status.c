#include "common/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int grpc;
    bool retryable;
    const char *phrase;
} table[] = {
#define X(name, grpc, retryable, phrase) [MOS_##name] = {#name, grpc, retryable, phrase},
#include "common/status.def"
#undef X
};

static bool known(mos_status status) {
    return (unsigned)status < MOS_STATUS_COUNT;
}

const char *mos_status_name(mos_status status) {
    return table[known(status) ? status : MOS_UNKNOWN].name;
}

mos_status mos_status_from_name(const char *name) {
    for (int i = 0; i < MOS_STATUS_COUNT; i++) {
        if (name && strcmp(table[i].name, name) == 0) {
            return (mos_status)i;
        }
    }
    return MOS_UNKNOWN;
}

int mos_status_grpc_code(mos_status status) {
    return table[known(status) ? status : MOS_UNKNOWN].grpc;
}

mos_status mos_status_from_grpc_code(int code) {
    return code >= 0 && code <= MOS_UNAUTHENTICATED ? (mos_status)code : MOS_UNKNOWN;
}

bool mos_status_retryable(mos_status status) {
    return table[known(status) ? status : MOS_UNKNOWN].retryable;
}

const char *mos_status_phrase(mos_status status) {
    return table[known(status) ? status : MOS_UNKNOWN].phrase;
}

static mos_status fill(struct mos_error *error, mos_status status, const char *field, const char *format, va_list arguments) {
    if (error) {
        // The arguments may point into the record itself, so the text is made beside it first.
        char message[sizeof(error->message)];
        vsnprintf(message, sizeof(message), format, arguments);
        memcpy(error->message, message, sizeof(message));
        error->status = status;
        snprintf(error->field, sizeof(error->field), "%s", field);
    }
    return status;
}

mos_status(mos_fail)(struct mos_error *error, mos_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, "", format, arguments);
    va_end(arguments);
    return status;
}

mos_status(mos_fail_field)(struct mos_error *error, const char *field, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(error, MOS_INVALID_ARGUMENT, field, format, arguments);
    va_end(arguments);
    return MOS_INVALID_ARGUMENT;
}

static mos_status from_errno(int errnum) {
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return MOS_NO_SPACE;
    case ENOENT:
    case ENOTDIR:
        return MOS_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return MOS_PERMISSION_DENIED;
    case EEXIST:
        return MOS_ALREADY_EXISTS;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return MOS_RESOURCE_EXHAUSTED;
    default:
        return MOS_IO;
    }
}

mos_status(mos_fail_errno)(struct mos_error *error, int errnum, const char *format, ...) {
    mos_status status = from_errno(errnum);
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, "", format, arguments);
    va_end(arguments);
    if (error) {
        size_t used = strlen(error->message);
        char reason[128];
        snprintf(error->message + used, sizeof(error->message) - used, ": %s", strerror_r(errnum, reason, sizeof(reason)));
    }
    return status;
}

mos_status mos_fail_context(struct mos_error *error, const char *format, ...) {
    if (!error) {
        return MOS_UNKNOWN;
    }
    char context[sizeof(error->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof(context), format, arguments);
    va_end(arguments);
    char message[2 * sizeof(error->message) + 2];
    snprintf(message, sizeof(message), "%s: %s", context, error->message);
    message[sizeof(error->message) - 1] = 0;
    memcpy(error->message, message, sizeof(error->message));
    return error->status;
}
