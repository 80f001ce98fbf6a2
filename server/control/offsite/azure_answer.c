#include "control/offsite/azure_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/id.h"

mos_status mos_azure_fail(const struct mos_store_http_response *response, const char *what, struct mos_error *error) {
    static const struct {
        const char *code;
        mos_status status;
    } codes[] = {
        {"AuthenticationFailed", MOS_UNAUTHENTICATED},
        {"InvalidAuthenticationInfo", MOS_UNAUTHENTICATED},
        {"NoAuthenticationInformation", MOS_UNAUTHENTICATED},
        {"ContainerNotFound", MOS_FAILED_PRECONDITION},
        {"ContainerBeingDeleted", MOS_FAILED_PRECONDITION},
        {"ContainerDisabled", MOS_FAILED_PRECONDITION},
        {"BlobArchived", MOS_FAILED_PRECONDITION},
        {"BlobBeingRehydrated", MOS_FAILED_PRECONDITION},
        {"BlobImmutableDueToPolicy", MOS_FAILED_PRECONDITION},
        {"FeatureVersionMismatch", MOS_FAILED_PRECONDITION},
        {"BlobAlreadyExists", MOS_ALREADY_EXISTS},
        {"ConditionNotMet", MOS_ALREADY_EXISTS},
        {"UnauthorizedBlobOverwrite", MOS_ALREADY_EXISTS},
        {"ServerBusy", MOS_RESOURCE_EXHAUSTED},
        {"Md5Mismatch", MOS_CORRUPT},
        {"InvalidMd5", MOS_CORRUPT},
        {"InvalidRange", MOS_OUT_OF_RANGE},
        {"InvalidBlockList", MOS_ABORTED},
        {"RequestBodyTooLarge", MOS_FAILED_PRECONDITION},
    };
    char code[MOS_STORE_HTTP_VALUE_BYTES];
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    const struct mos_xml *root = mos_xml_parse(arena, response->body.data, response->body.size_bytes);
    root = root && strcmp(root->name, "Error") == 0 ? root : NULL;
    if (!*mos_store_http_header(response, "x-ms-error-code", code)) {
        snprintf(code, sizeof(code), "%s", mos_xml_text(root, "Code"));
    }
    const char *message = mos_xml_text(root, "Message"), *detail = mos_xml_text(root, "AuthenticationErrorDetail");
    mos_status status = mos_store_http_status(response->code);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        status = strcmp(codes[i].code, code) == 0 ? codes[i].status : status;
    }
    // It answers the same to a wrong key and to a wrong clock, but for this.
    if (status == MOS_UNAUTHENTICATED && strstr(detail, "header too old")) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s: the clock of this machine is not that of Azure", what);
    }
    // The first line: what follows is numbers of requests. A detail is not told, for it repeats what was signed.
    return mos_fail(error, status, "%s: Azure answers %ld %.60s%s%.*s", what, response->code, code, *message ? ": " : "",
                    (int)(strcspn(message, "\r\n") < 200 ? strcspn(message, "\r\n") : 200), message);
}

static int64_t size_of(const char *text) {
    char *end;
    errno = 0;
    long long size = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 ? size : -1;
}

void mos_azure_read_object(const struct mos_store_http_response *response, struct mos_store_object *out) {
    char value[MOS_STORE_HTTP_VALUE_BYTES], written[MOS_STORE_HTTP_VALUE_BYTES];
    int64_t size = size_of(mos_store_http_header(response, "content-length", value));
    out->size_bytes = size < 0 ? 0 : size;
    out->modified_unix_ns = mos_store_http_date(mos_store_http_header(response, "last-modified", value));
    out->retained_until_unix_ns = mos_store_http_date(mos_store_http_header(response, "x-ms-immutability-policy-until-date", value));
    snprintf(out->storage_class, sizeof(out->storage_class), "%s", mos_store_http_header(response, "x-ms-access-tier", value));
    if (strcmp(out->storage_class, "Archive") == 0) {
        out->state = *mos_store_http_header(response, "x-ms-archive-status", value) ? MOS_STORE_THAWING : MOS_STORE_ARCHIVED;
    }
    if (!mos_hex_decode(mos_store_http_header(response, "x-ms-meta-mosaajii_sha256", value), out->sha256, MOS_STORE_HASH_BYTES)) {
        memset(out->sha256, 0, sizeof(out->sha256));
        return;
    }
    // The MD5 of what went in one piece is the server's; of what was put together from blocks it only keeps what it was told.
    mos_store_http_header(response, "content-md5", value);
    mos_store_http_header(response, "x-ms-meta-mosaajii_md5", written);
    out->checksum = *written && strcmp(value, written) == 0 ? MOS_STORE_CHECKSUM_SERVER : MOS_STORE_CHECKSUM_WRITER;
}

mos_status mos_azure_read_page(const void *text, size_t size_bytes, const char *prefix, int limit, mos_arena *arena,
                               struct mos_store_page *out, struct mos_error *error) {
    const struct mos_xml *root = mos_xml_parse(arena, text, size_bytes);
    if (!root || strcmp(root->name, "EnumerationResults") != 0) {
        return mos_fail(error, MOS_UNAVAILABLE, "Azure answers something that is no list of blobs");
    }
    out->objects = mos_arena_array(arena, struct mos_store_object, (size_t)limit);
    const struct mos_xml *blobs = mos_xml_child(root, "Blobs");
    for (const struct mos_xml *blob = mos_xml_child(blobs, "Blob"); blob; blob = mos_xml_next(blob, "Blob")) {
        const struct mos_xml *properties = mos_xml_child(blob, "Properties");
        const char *name = mos_xml_text(blob, "Name");
        int64_t size = size_of(mos_xml_text(properties, "Content-Length"));
        if (strncmp(name, prefix, strlen(prefix)) != 0 || !mos_store_name_valid(name + strlen(prefix))) {
            continue;
        }
        if (!out->objects || out->count == (size_t)limit || size < 0) {
            return mos_fail(error, MOS_UNAVAILABLE, "Azure answers with a list that is malformed or too long");
        }
        struct mos_store_object *object = &out->objects[out->count++];
        strcpy(object->name, name + strlen(prefix));
        object->size_bytes = size;
        object->modified_unix_ns = mos_store_http_date(mos_xml_text(properties, "Last-Modified"));
        snprintf(object->storage_class, sizeof(object->storage_class), "%s", mos_xml_text(properties, "AccessTier"));
    }
    const char *next = mos_xml_text(root, "NextMarker");
    out->next = *next ? next : NULL;
    return MOS_OK;
}
