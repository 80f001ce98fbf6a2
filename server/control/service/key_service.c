// AdminService: keys. The engine has them; what is here asks it, and the KMS where there is one.
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/service/internal.h"

typedef Mosaajii__Engine__V1__Request engine_request;
typedef Mosaajii__Engine__V1__KeyReport key_report;

enum { SHORTEST_PASSPHRASE = 12, LONGEST_PASSPHRASE = 1024, LARGEST_ESCROW = 4 << 20 };

static const char *provider_of(const char *key_id) {
    return strncmp(key_id, "aws/", 4) == 0 ? "AWS_KMS" : strncmp(key_id, "vault/", 6) == 0 ? "VAULT" : "LOCAL";
}

static bool make_key(mos_arena *arena, const Mosaajii__Engine__V1__KeyInfo *info, Mosaajii__Backup__V1__KeyVersion *out) {
    mosaajii__backup__v1__key_version__init(out);
    out->id = info->id;
    out->provider = (char *)provider_of(info->id);
    out->version = (int32_t)info->version;
    out->state = info->active ? MOSAAJII__BACKUP__V1__KEY_VERSION__STATE__ACTIVE : MOSAAJII__BACKUP__V1__KEY_VERSION__STATE__DECRYPT_ONLY;
    return mos_make_time(arena, info->created_at_unix_ns, &out->created_at);
}

static mos_status count_backups(struct mos_services *services, Mosaajii__Backup__V1__KeyVersion *key, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    return status == MOS_OK ? mos_catalog_count_backups_of_key(session, key->id, &key->backups, error) : status;
}

// Newest first.
static mos_status make_keys(struct mos_call *call, const key_report *report, Mosaajii__Backup__V1__KeyVersion ***out_keys,
                            size_t *out_count) {
    mos_arena *arena = mos_call_arena(call);
    Mosaajii__Backup__V1__KeyVersion *keys = mos_arena_array(arena, Mosaajii__Backup__V1__KeyVersion, report->n_keys);
    *out_keys = mos_arena_array(arena, Mosaajii__Backup__V1__KeyVersion *, report->n_keys);
    if (!keys || !*out_keys) {
        return mos_fail_memory(call);
    }
    mos_status status = MOS_OK;
    for (size_t i = report->n_keys; i-- > 0 && status == MOS_OK;) {
        Mosaajii__Backup__V1__KeyVersion *key = &keys[*out_count];
        status = make_key(arena, report->keys[i], key) ? MOS_OK : mos_fail_memory(call);
        status = status == MOS_OK ? count_backups(mos_call_user(call), key, mos_call_error(call)) : status;
        (*out_keys)[(*out_count)++] = key;
    }
    return status;
}

static mos_status look(struct mos_call *call, const key_report **out) {
    struct mos_services *services = mos_call_user(call);
    Mosaajii__Engine__V1__ListKeysRequest operation = MOSAAJII__ENGINE__V1__LIST_KEYS_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST_KEYS;
    request.list_keys = &operation;
    return mos_queue_keys(services->queue, &request, mos_call_arena(call), out, mos_call_error(call));
}

ADMIN_HANDLER(list_keys, ListKeysRequest, ListKeysResponse) {
    (void)request;
    const key_report *report;
    mos_status status = look(call, &report);
    return status == MOS_OK ? make_keys(call, report, &response->keys, &response->n_keys) : status;
}

// ---- Rotation ----

ADMIN_HANDLER(rotate_key, RotateKeyRequest, RotateKeyResponse) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    char job_id[MOS_ID_TEXT_BYTES];
    const key_report *report = NULL;
    struct mos_job job;
    Mosaajii__Engine__V1__RotateKeyRequest operation = MOSAAJII__ENGINE__V1__ROTATE_KEY_REQUEST__INIT;
    engine_request rotate = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    rotate.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ROTATE_KEY;
    rotate.rotate_key = &operation;
    // A version of a key that cannot be used would stop all backups to come.
    mos_status status = mos_kms_check(services->kms, error);
    status = status == MOS_OK ? mos_kms_rotate(services->kms, error) : status;
    status = status == MOS_OK ? mos_queue_keys(services->queue, &rotate, arena, &report, error) : status;
    status = status == MOS_OK ? mos_queue_rewrap(services->queue, mos_call_caller_name(call), job_id, error) : status;
    status = status == MOS_OK ? mos_read_job(services, call, job_id, &job) : status;
    if (status != MOS_OK) {
        return status;
    }
    response->key = mos_arena_alloc(arena, sizeof(*response->key));
    response->job = mos_arena_alloc(arena, sizeof(*response->job));
    for (size_t i = 0; i < report->n_keys && response->key; i++) {
        if (report->keys[i]->active && !make_key(arena, report->keys[i], response->key)) {
            return mos_fail_memory(call);
        }
    }
    return response->key && response->job && mos_make_job(arena, &job, response->job) ? MOS_OK : mos_fail_memory(call);
}

// ---- Retirement ----

static mos_status find_key(struct mos_call *call, const char *key_id, const Mosaajii__Engine__V1__KeyInfo **out) {
    const key_report *report;
    mos_status status = mos_check_id("keyId", key_id, mos_call_error(call));
    status = status == MOS_OK ? look(call, &report) : status;
    for (size_t i = 0; status == MOS_OK && i < report->n_keys; i++) {
        if (strcmp(report->keys[i]->id, key_id) == 0) {
            *out = report->keys[i];
            return MOS_OK;
        }
    }
    return status == MOS_OK ? mos_fail(mos_call_error(call), MOS_NOT_FOUND, "no key version has the id \"%.64s\"", key_id) : status;
}

// A copy whose backup is gone here is not rewrapped: without this version nobody could open it again.
static mos_status check_copies(struct mos_services *services, const Mosaajii__Engine__V1__KeyInfo *key, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    int64_t count = 0;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_count_lone_copies(session, key->version, &count, error);
    }
    return status != MOS_OK || count == 0
               ? status
               : mos_fail(error, MOS_FAILED_PRECONDITION,
                          "%lld offsite %s, of backups that are gone here, need the key %s: fetch or delete them first", (long long)count,
                          count == 1 ? "copy" : "copies", key->id);
}

ADMIN_HANDLER(retire_key, RetireKeyRequest, KeyVersion) {
    struct mos_services *services = mos_call_user(call);
    const Mosaajii__Engine__V1__KeyInfo *key = NULL;
    const key_report *report;
    mos_status status = find_key(call, request->key_id, &key);
    if (status == MOS_OK) {
        status = check_copies(services, key, mos_call_error(call));
    }
    if (status == MOS_OK) {
        status = mos_access_need_second(services->access, call, key->id);
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Engine__V1__RetireKeyRequest operation = MOSAAJII__ENGINE__V1__RETIRE_KEY_REQUEST__INIT;
    engine_request retire = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.version = key->version;
    retire.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RETIRE_KEY;
    retire.retire_key = &operation;
    status = mos_queue_keys(services->queue, &retire, mos_call_arena(call), &report, mos_call_error(call));
    if (status != MOS_OK) {
        return status;
    }
    bool made = make_key(mos_call_arena(call), key, response);
    response->state = MOSAAJII__BACKUP__V1__KEY_VERSION__STATE__RETIRED;
    return made ? MOS_OK : mos_fail_memory(call);
}

// ---- Escrow ----

static mos_status check_passphrase(const char *passphrase, struct mos_error *error) {
    size_t length = strlen(passphrase);
    // Says nothing of the passphrase itself.
    return length >= SHORTEST_PASSPHRASE && length <= LONGEST_PASSPHRASE
               ? MOS_OK
               : mos_fail_field(error, "passphrase", "passphrase must have %d to %d characters", SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE);
}

static mos_status escrow(struct mos_call *call, char *passphrase, ProtobufCBinaryData content, const key_report **out) {
    struct mos_services *services = mos_call_user(call);
    Mosaajii__Engine__V1__EscrowRequest operation = MOSAAJII__ENGINE__V1__ESCROW_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.passphrase = passphrase;
    operation.content = content;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ESCROW;
    request.escrow = &operation;
    mos_status status = mos_queue_keys(services->queue, &request, mos_call_arena(call), out, mos_call_error(call));
    explicit_bzero(passphrase, strlen(passphrase));
    return status;
}

ADMIN_HANDLER(export_keys, ExportKeysRequest, KeyEscrow) {
    const key_report *report;
    mos_status status = check_passphrase(request->passphrase, mos_call_error(call));
    status = status == MOS_OK ? escrow(call, request->passphrase, (ProtobufCBinaryData){0}, &report) : status;
    if (status == MOS_OK) {
        response->content = report->escrow;
    }
    return status;
}

// Beside the call's own entry, which knows only what was asked for.
static void tell_import(struct mos_call *call, const key_report *report) {
    struct mos_services *services = mos_call_user(call);
    MOS_CLEANUP_BUFFER struct mos_buffer ids = MOS_BUFFER_INIT(0);
    for (size_t i = 0; i < report->n_added; i++) {
        mos_buffer_printf(&ids, "%s%s", i ? ", " : "", report->added[i]);
    }
    const struct mos_audit_detail details[] = {{"added", report->n_added ? mos_buffer_text(&ids) : "none"},
                                               {"createdBy", mos_call_caller_name(call)},
                                               {"requestId", mos_call_request_id(call)}};
    mos_trail_note(services->trail, "Keys.Import", "", MOS_OK, details, sizeof(details) / sizeof(details[0]));
}

ADMIN_HANDLER(import_keys, ImportKeysRequest, ImportKeysResponse) {
    const key_report *report;
    struct mos_error *error = mos_call_error(call);
    mos_status status = request->content.len > 0 && request->content.len <= LARGEST_ESCROW
                            ? MOS_OK
                            : mos_fail_field(error, "content", "content must hold an escrow copy of keys, of at most 4 MiB");
    status = status == MOS_OK && !*request->passphrase ? mos_fail_field(error, "passphrase", "passphrase must not be empty") : status;
    status = status == MOS_OK ? escrow(call, request->passphrase, request->content, &report) : status;
    if (status == MOS_PERMISSION_DENIED) {
        return mos_fail_field(error, "passphrase", "the passphrase is not the one that the copy was sealed with");
    }
    if (status == MOS_CORRUPT) {
        return mos_fail_field(error, "content", "content is no escrow copy of keys, or is damaged");
    }
    if (status == MOS_INVALID_ARGUMENT && !*error->field) {
        const struct mos_error cause = *error;
        return mos_fail_field(error, "content", "content cannot be taken over: %s", cause.message);
    }
    if (status == MOS_OK) {
        tell_import(call, report);
        response->added = report->added;
        response->n_added = report->n_added;
        status = make_keys(call, report, &response->keys, &response->n_keys);
    }
    return status;
}
