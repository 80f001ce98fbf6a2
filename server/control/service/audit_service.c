// AdminService: the audit trail, and acts that wait for a second person.
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/catalog/audit.h"
#include "control/service/internal.h"

enum { EXPORT_BATCH = 200, CONFIRMATIONS_SHOWN = 200 };

// ---- List ----

static bool make_entry(mos_arena *arena, const struct mos_audit_entry *entry, Mosaajii__Backup__V1__AuditEntry *out) {
    char hash[2 * MOS_AUDIT_HASH_BYTES + 1];
    int64_t unix_ns = 0;
    mosaajii__backup__v1__audit_entry__init(out);
    mos_time_parse(entry->time, &unix_ns);
    mos_hex_encode(entry->hash, sizeof(entry->hash), hash);
    out->sequence = entry->sequence;
    out->actor = (char *)entry->actor;
    out->ip_address = (char *)entry->ip_address;
    out->action = (char *)entry->action;
    out->resource = (char *)entry->resource;
    out->result = (char *)entry->result;
    out->hash = mos_arena_strdup(arena, hash);
    out->details = mos_arena_array(arena, Mosaajii__Backup__V1__AuditEntry__DetailsEntry *, entry->detail_count);
    Mosaajii__Backup__V1__AuditEntry__DetailsEntry *details =
        mos_arena_array(arena, Mosaajii__Backup__V1__AuditEntry__DetailsEntry, entry->detail_count);
    if (!out->hash || !out->details || !details) {
        return false;
    }
    for (size_t i = 0; i < entry->detail_count; i++) {
        mosaajii__backup__v1__audit_entry__details_entry__init(&details[i]);
        details[i].key = (char *)entry->details[i].name;
        details[i].value = (char *)entry->details[i].value;
        out->details[out->n_details++] = &details[i];
    }
    return mos_make_time(arena, unix_ns, &out->time);
}

static mos_status check_bound(const char *field, const Google__Protobuf__Timestamp *time, mos_arena *arena, const char **out,
                              struct mos_error *error) {
    char text[MOS_TIME_TEXT_BYTES];
    int64_t unix_ns = 0;
    mos_status status = mos_check_time(field, time, &unix_ns, error);
    mos_time_format(unix_ns, text);
    *out = mos_arena_strdup(arena, text);
    return status;
}

ADMIN_HANDLER(list_audit_entries, ListAuditEntriesRequest, ListAuditEntriesResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_audit_filter filter = {.actor = request->actor, .action = request->action, .resource = request->resource};
    mos_status status = check_bound("from", request->from, arena, &filter.from, error);
    if (status == MOS_OK) {
        status = check_bound("to", request->to, arena, &filter.to, error);
    }
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    if (status == MOS_OK) {
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_audit_entry *entries;
    size_t count = 0;
    const char *next = "";
    if (status == MOS_OK) {
        status = mos_catalog_list_audit(session, &filter, &page, arena, &entries, &count, &next, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__AuditEntry *messages = mos_arena_array(arena, Mosaajii__Backup__V1__AuditEntry, count);
    response->entries = mos_arena_array(arena, Mosaajii__Backup__V1__AuditEntry *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->entries || !make_entry(arena, &entries[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->entries[i] = &messages[i];
    }
    response->n_entries = count;
    response->next_page_token = (char *)next;
    return MOS_OK;
}

// ---- Export ----

struct batch {
    struct mos_audit_entry *entries;
    size_t count;
    struct mos_audit_checkpoint *checkpoints;
    size_t checkpoint_count;
};

static mos_status read_batch(struct mos_services *services, int64_t after, mos_arena *arena, struct batch *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_next_audit(session, after, EXPORT_BATCH, arena, &out->entries, &out->count, error);
    }
    // No more checkpoints than entries can lie among them, but for those whose entry is gone: they follow with the next batch.
    return status == MOS_OK
               ? mos_catalog_next_checkpoints(session, after, EXPORT_BATCH, arena, &out->checkpoints, &out->checkpoint_count, error)
               : status;
}

// Entries in order, each checkpoint right behind its entry.
static void write_batch(const struct batch *batch, struct mos_buffer *out) {
    size_t next = 0;
    for (size_t i = 0; i < batch->count; i++) {
        mos_audit_append_entry(out, &batch->entries[i]);
        for (; next < batch->checkpoint_count && batch->checkpoints[next].sequence <= batch->entries[i].sequence; next++) {
            mos_audit_append_checkpoint(out, &batch->checkpoints[next]);
        }
    }
    // At the end of the trail, what was signed for and is not there.
    for (; batch->count < EXPORT_BATCH && next < batch->checkpoint_count; next++) {
        mos_audit_append_checkpoint(out, &batch->checkpoints[next]);
    }
}

mos_status mos_admin_service_export_audit(struct mos_call *call, const Mosaajii__Backup__V1__ExportAuditRequest *request) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    int64_t after = request->after_sequence;
    if (after < 0) {
        return mos_fail_field(error, "afterSequence", "afterSequence is %lld; allowed is 0 or the sequence of an entry", (long long)after);
    }
    // Where that cannot be done, the export shows it: its end is not signed for.
    mos_trail_checkpoint(services->trail, NULL);
    for (size_t count = EXPORT_BATCH; count == EXPORT_BATCH;) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        MOS_CLEANUP_BUFFER struct mos_buffer lines = MOS_BUFFER_INIT(0);
        struct batch batch = {0};
        mos_status status = read_batch(services, after, arena, &batch, error);
        if (status != MOS_OK) {
            return status;
        }
        count = batch.count;
        after = count > 0 ? batch.entries[count - 1].sequence : after;
        write_batch(&batch, &lines);
        // Well below what a client takes in one message.
        for (size_t sent = 0; sent < lines.size_bytes;) {
            const size_t most = 1 << 20;
            Mosaajii__Backup__V1__AuditChunk chunk = MOSAAJII__BACKUP__V1__AUDIT_CHUNK__INIT;
            chunk.data.data = lines.data + sent;
            chunk.data.len = lines.size_bytes - sent < most ? lines.size_bytes - sent : most;
            status = mosaajii_backup_v1_admin_service_export_audit_send(call, &chunk);
            if (status != MOS_OK) {
                return status;
            }
            sent += chunk.data.len;
        }
    }
    return MOS_OK;
}

// ---- Verify ----

ADMIN_HANDLER(verify_audit, VerifyAuditRequest, AuditVerification) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    struct mos_audit_verifier verifier;
    mos_status status = mos_trail_verify(services->trail, &verifier, mos_call_error(call));
    if (status != MOS_OK) {
        return status;
    }
    response->valid = verifier.first_bad == 0;
    response->entries_checked = verifier.entries;
    response->checkpoints_checked = verifier.checkpoints;
    response->first_bad_sequence = verifier.first_bad;
    response->message = mos_arena_strdup(mos_call_arena(call), verifier.first_bad ? verifier.message : "all entries fit");
    return response->message ? MOS_OK : mos_fail_memory(call);
}

// ---- Second person ----

static bool make_confirmation(mos_arena *arena, const struct mos_confirmation *confirmation, Mosaajii__Backup__V1__Confirmation *out) {
    mosaajii__backup__v1__confirmation__init(out);
    out->id = (char *)confirmation->id;
    out->action = (char *)confirmation->action;
    out->resource = (char *)confirmation->resource;
    out->requested_by = (char *)confirmation->requested_by;
    out->confirmed_by = (char *)confirmation->confirmed_by;
    out->status = *confirmation->confirmed_by                             ? MOSAAJII__BACKUP__V1__CONFIRMATION__STATUS__CONFIRMED
                  : confirmation->expires_at_unix_ns <= mos_now_unix_ns() ? MOSAAJII__BACKUP__V1__CONFIRMATION__STATUS__EXPIRED
                                                                          : MOSAAJII__BACKUP__V1__CONFIRMATION__STATUS__WAITING;
    return mos_make_time(arena, confirmation->requested_at_unix_ns, &out->requested_at) &&
           mos_make_time(arena, confirmation->expires_at_unix_ns, &out->expires_at);
}

ADMIN_HANDLER(list_confirmations, ListConfirmationsRequest, ListConfirmationsResponse) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_confirmation *rows;
    size_t count = 0;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_list_confirmations(session, CONFIRMATIONS_SHOWN, arena, &rows, &count, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__Confirmation *messages = mos_arena_array(arena, Mosaajii__Backup__V1__Confirmation, count);
    response->confirmations = mos_arena_array(arena, Mosaajii__Backup__V1__Confirmation *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->confirmations || !make_confirmation(arena, &rows[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->confirmations[i] = &messages[i];
    }
    response->n_confirmations = count;
    return MOS_OK;
}

ADMIN_HANDLER(confirm, ConfirmRequest, Confirmation) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_confirmation confirmation;
    mos_status status = mos_check_id("confirmationId", request->confirmation_id, error);
    if (status == MOS_OK) {
        status = mos_access_confirm(services->access, request->confirmation_id, mos_call_caller(call), arena, &confirmation, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    return make_confirmation(arena, &confirmation, response) ? MOS_OK : mos_fail_memory(call);
}
