#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/rpc/client_address.h"
#include "control/rpc/rpc.h"

static void log_end(struct mos_call *call, mos_status status, const struct mos_rpc_summary *summary, void *user) {
    (void)user;
    const char *caller = mos_call_caller_name(call);
    // A failure of the server's own is for its operator; others are for the caller.
    bool ours = status == MOS_INTERNAL || status == MOS_UNKNOWN || status == MOS_IO || status == MOS_CORRUPT || status == MOS_DATA_LOSS ||
                status == MOS_NO_SPACE;
    struct mos_log_field fields[9];
    size_t count = 0;
    fields[count++] = MOS_TEXT("method", mos_call_path(call));
    fields[count++] = MOS_TEXT("code", mos_status_name(status));
    fields[count++] = MOS_NUMBER("ms", summary->duration_ns / MOS_NS_PER_MS);
    fields[count++] = MOS_TEXT("peer", mos_call_peer(call));
    const char *client = mos_call_client(call);
    if (strcmp(client, mos_client_address_of(mos_call_peer(call), NULL, NULL).text) != 0) {
        fields[count++] = MOS_TEXT("client", client);
    }
    if (caller) {
        fields[count++] = MOS_TEXT("caller", caller);
    }
    fields[count++] = MOS_TEXT("request_id", mos_call_request_id(call));
    if (status != MOS_OK) {
        fields[count++] = MOS_TEXT("reason", mos_call_error(call)->message);
    }
    fields[count] = (struct mos_log_field){0};
    mos_log_write(ours ? MOS_LOG_ERROR : mos_call_is_builtin(call) ? MOS_LOG_DEBUG : MOS_LOG_INFO, "call", fields);
}

const struct mos_rpc_interceptor mos_rpc_log_calls = {.end = log_end};
