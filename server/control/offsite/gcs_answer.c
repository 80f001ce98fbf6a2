#include "control/offsite/gcs_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"

enum { OBJECT_LIMIT_BYTES = 1024 * 1024 };

mos_status mos_gcs_fail(const struct mos_store_http_response *response, const char *what, struct mos_error *error) {
    static const struct {
        const char *reason;
        mos_status status;
    } reasons[] = {
        {"rateLimitExceeded", MOS_RESOURCE_EXHAUSTED},
        {"userRateLimitExceeded", MOS_RESOURCE_EXHAUSTED},
        {"quotaExceeded", MOS_RESOURCE_EXHAUSTED},
        {"authError", MOS_UNAUTHENTICATED},
        {"retentionPolicyNotMet", MOS_FAILED_PRECONDITION},
        {"objectUnderActiveHold", MOS_FAILED_PRECONDITION},
        {"conditionNotMet", MOS_ALREADY_EXISTS},
    };
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(OBJECT_LIMIT_BYTES);
    const struct mos_json *json =
        mos_json_member(mos_json_parse(arena, (const char *)response->body.data, response->body.size_bytes), "error");
    const struct mos_json *errors = mos_json_member(json, "errors");
    const char *message = mos_json_text(json, "message");
    const char *reason = errors && errors->kind == MOS_JSON_ARRAY ? mos_json_text(errors->first, "reason") : NULL;
    mos_status status = mos_store_http_status(response->code);
    for (size_t i = 0; reason && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        status = strcmp(reasons[i].reason, reason) == 0 ? reasons[i].status : status;
    }
    // A checksum that does not fit has no reason of its own.
    if (response->code == 400 && message && (strstr(message, "MD5") || strstr(message, "md5"))) {
        status = MOS_CORRUPT;
    }
    return mos_fail(error, status, "%s: Google Cloud Storage answers %ld %.60s%s%.200s", what, response->code, reason ? reason : "",
                    message ? ": " : "", message ? message : "");
}

static int64_t time_of(const char *text) {
    int64_t time;
    return text && mos_time_parse(text, &time) ? time : 0;
}

// -1 where there is none.
static int64_t size_of(const struct mos_json *json) {
    const char *text = mos_json_text(json, "size");
    char *end;
    if (!text || *text < '0' || *text > '9') {
        return -1;
    }
    errno = 0;
    long long size = strtoll(text, &end, 10);
    return *end || errno != 0 ? -1 : size;
}

bool mos_gcs_read_object(const void *text, size_t size_bytes, struct mos_store_object *out, char out_md5[MOS_STORE_BASE64_BYTES]) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(OBJECT_LIMIT_BYTES);
    const struct mos_json *json = mos_json_parse(arena, text, size_bytes), *metadata = mos_json_member(json, "metadata");
    int64_t size = size_of(json);
    if (size < 0) {
        return false;
    }
    const char *class = mos_json_text(json, "storageClass"), *md5 = mos_json_text(json, "md5Hash");
    const char *sha256 = mos_json_text(metadata, "mosaajii-sha256"), *written = mos_json_text(metadata, "mosaajii-md5");
    if (out_md5) {
        snprintf(out_md5, MOS_STORE_BASE64_BYTES, "%s", md5 ? md5 : "");
    }
    out->size_bytes = size;
    out->modified_unix_ns = time_of(mos_json_text(json, "timeCreated"));
    int64_t own = time_of(mos_json_text(mos_json_member(json, "retention"), "retainUntilTime"));
    int64_t bucket = time_of(mos_json_text(json, "retentionExpirationTime"));
    out->retained_until_unix_ns = own > bucket ? own : bucket;
    snprintf(out->storage_class, sizeof(out->storage_class), "%s", class ? class : "");
    if (!sha256 || !mos_hex_decode(sha256, out->sha256, MOS_STORE_HASH_BYTES)) {
        memset(out->sha256, 0, sizeof(out->sha256));
        return true;
    }
    // The server knows an MD5 of what it has; the writer has told the MD5 of what has this SHA-256.
    out->checksum = md5 && written && strcmp(md5, written) == 0 ? MOS_STORE_CHECKSUM_SERVER : MOS_STORE_CHECKSUM_WRITER;
    return true;
}

mos_status mos_gcs_read_page(const void *text, size_t size_bytes, const char *prefix, int limit, mos_arena *arena,
                             struct mos_store_page *out, struct mos_error *error) {
    const struct mos_json *json = mos_json_parse(arena, text, size_bytes), *items = mos_json_member(json, "items");
    if (!json || json->kind != MOS_JSON_OBJECT || (items && items->kind != MOS_JSON_ARRAY)) {
        return mos_fail(error, MOS_UNAVAILABLE, "Google Cloud Storage answers something that is no list of objects");
    }
    out->objects = mos_arena_array(arena, struct mos_store_object, (size_t)limit);
    for (const struct mos_json *item = items ? items->first : NULL; item; item = item->next) {
        const char *name = mos_json_text(item, "name"), *class = mos_json_text(item, "storageClass");
        int64_t size = size_of(item);
        if (!name || strncmp(name, prefix, strlen(prefix)) != 0 || !mos_store_name_valid(name + strlen(prefix))) {
            continue;
        }
        if (!out->objects || out->count == (size_t)limit || size < 0) {
            return mos_fail(error, MOS_UNAVAILABLE, "Google Cloud Storage answers with a list that is malformed or too long");
        }
        struct mos_store_object *object = &out->objects[out->count++];
        strcpy(object->name, name + strlen(prefix));
        object->size_bytes = size;
        object->modified_unix_ns = time_of(mos_json_text(item, "timeCreated"));
        snprintf(object->storage_class, sizeof(object->storage_class), "%s", class ? class : "");
    }
    const char *next = mos_json_text(json, "nextPageToken");
    out->next = next && *next ? next : NULL;
    return MOS_OK;
}

bool mos_gcs_read_rewrite(const void *text, size_t size_bytes, mos_arena *arena, const char **out_token) {
    const struct mos_json *json = mos_json_parse(arena, text, size_bytes), *done = mos_json_member(json, "done");
    *out_token = mos_json_text(json, "rewriteToken");
    if (done && done->kind == MOS_JSON_TRUE) {
        *out_token = NULL;
        return true;
    }
    return done && done->kind == MOS_JSON_FALSE && *out_token;
}
