#include "control/offsite/s3_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/hash.h"

// -1 where the text is no size.
static int64_t size_of(const char *text) {
    char *end;
    errno = 0;
    long long size = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 ? size : -1;
}

static int64_t time_of(const char *text) {
    int64_t time;
    return mos_time_parse(text, &time) ? time : 0;
}

const char *mos_s3_error_code(const struct mos_store_http_response *response, mos_arena *arena) {
    const struct mos_xml *root = mos_xml_parse(arena, response->body.data, response->body.size_bytes);
    return root && strcmp(root->name, "Error") == 0 ? mos_xml_text(root, "Code") : "";
}

mos_status mos_s3_fail(const struct mos_store_http_response *response, const char *what, struct mos_error *error) {
    static const struct {
        const char *code;
        mos_status status;
    } codes[] = {
        {"InvalidAccessKeyId", MOS_UNAUTHENTICATED},
        {"SignatureDoesNotMatch", MOS_UNAUTHENTICATED},
        {"XAdminUserNotFound", MOS_UNAUTHENTICATED},
        {"ExpiredToken", MOS_UNAUTHENTICATED},
        {"InvalidToken", MOS_UNAUTHENTICATED},
        {"InvalidTokenId", MOS_UNAUTHENTICATED},
        {"NoSuchBucket", MOS_FAILED_PRECONDITION},
        {"InvalidBucketName", MOS_FAILED_PRECONDITION},
        {"PermanentRedirect", MOS_FAILED_PRECONDITION},
        {"AuthorizationHeaderMalformed", MOS_FAILED_PRECONDITION},
        {"InvalidObjectState", MOS_FAILED_PRECONDITION},
        {"ObjectLocked", MOS_FAILED_PRECONDITION},
        {"ObjectLockConfigurationNotFoundError", MOS_FAILED_PRECONDITION},
        {"InvalidRequest", MOS_FAILED_PRECONDITION},
        {"NoSuchUpload", MOS_ABORTED},
        {"OperationAborted", MOS_ABORTED},
        {"ConditionalRequestConflict", MOS_ABORTED},
        {"PreconditionFailed", MOS_ALREADY_EXISTS},
        {"SlowDown", MOS_RESOURCE_EXHAUSTED},
        {"Throttling", MOS_RESOURCE_EXHAUSTED},
        {"ThrottlingException", MOS_RESOURCE_EXHAUSTED},
        {"TooManyRequests", MOS_RESOURCE_EXHAUSTED},
        {"RequestLimitExceeded", MOS_RESOURCE_EXHAUSTED},
        {"BandwidthLimitExceeded", MOS_RESOURCE_EXHAUSTED},
        {"QuotaExceeded", MOS_NO_SPACE},
        {"XMinioStorageFull", MOS_NO_SPACE},
        {"XMinioAdminBucketQuotaExceeded", MOS_NO_SPACE},
        {"StorageFull", MOS_NO_SPACE},
        {"RequestTimeout", MOS_UNAVAILABLE},
        {"BadDigest", MOS_CORRUPT},
        {"InvalidDigest", MOS_CORRUPT},
        {"XAmzContentSHA256Mismatch", MOS_CORRUPT},
        {"XAmzContentChecksumMismatch", MOS_CORRUPT},
        {"InvalidChecksum", MOS_CORRUPT},
        {"IncompleteBody", MOS_UNAVAILABLE},
        {"InvalidRange", MOS_OUT_OF_RANGE},
        {"InvalidObjectState", MOS_FAILED_PRECONDITION},
    };
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    const struct mos_xml *root = mos_xml_parse(arena, response->body.data, response->body.size_bytes);
    root = root && strcmp(root->name, "Error") == 0 ? root : NULL;
    const char *code = mos_xml_text(root, "Code"), *message = mos_xml_text(root, "Message");
    // A failure may stand in the body of an answer that says 200.
    mos_status status = response->code == 200 ? MOS_UNAVAILABLE : mos_store_http_status(response->code);
    if (strcmp(code, "RequestTimeTooSkewed") == 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s: the clock of this machine is not that of the S3 server", what);
    }
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        status = strcmp(codes[i].code, code) == 0 ? codes[i].status : status;
    }
    // A region's own endpoint answers a request that was signed for another region.
    const char *region = mos_xml_text(root, "Region");
    if (strcmp(code, "AuthorizationHeaderMalformed") == 0 && *region) {
        return mos_fail(error, status, "%s: the bucket lies in the region %.60s", what, region);
    }
    return mos_fail(error, status, "%s: S3 answers %ld %.60s%s%.200s", what, response->code, code, *message ? ": " : "", message);
}

mos_status mos_s3_read_page(const void *text, size_t size_bytes, const char *prefix, int limit, mos_arena *arena,
                            struct mos_store_page *out, struct mos_error *error) {
    const struct mos_xml *root = mos_xml_parse(arena, text, size_bytes);
    size_t prefix_bytes = strlen(prefix);
    if (!root || strcmp(root->name, "ListBucketResult") != 0) {
        return mos_fail(error, MOS_UNAVAILABLE, "S3 answers something that is no list of objects");
    }
    out->objects = mos_arena_array(arena, struct mos_store_object, (size_t)limit);
    if (!out->objects) {
        return mos_fail(error, MOS_UNAVAILABLE, "S3 answers with a list that is too long");
    }
    for (const struct mos_xml *entry = mos_xml_child(root, "Contents"); entry; entry = mos_xml_next(entry, "Contents")) {
        const char *key = mos_xml_text(entry, "Key");
        int64_t size = size_of(mos_xml_text(entry, "Size"));
        if (strncmp(key, prefix, prefix_bytes) != 0 || !mos_store_name_valid(key + prefix_bytes)) {
            continue;
        }
        if (out->count == (size_t)limit || size < 0) {
            return mos_fail(error, MOS_UNAVAILABLE, "S3 answers with a list that is %s", size < 0 ? "malformed" : "too long");
        }
        struct mos_store_object *object = &out->objects[out->count++];
        strcpy(object->name, key + prefix_bytes);
        object->size_bytes = size;
        object->modified_unix_ns = time_of(mos_xml_text(entry, "LastModified"));
        snprintf(object->storage_class, sizeof(object->storage_class), "%s", mos_xml_text(entry, "StorageClass"));
    }
    const char *next = mos_xml_text(root, "NextContinuationToken");
    if (strcmp(mos_xml_text(root, "IsTruncated"), "true") == 0) {
        if (!*next) {
            return mos_fail(error, MOS_UNAVAILABLE, "S3 answers with a list that does not tell how it goes on");
        }
        out->next = next;
    }
    return MOS_OK;
}

mos_status mos_s3_read_uploads(const void *text, size_t size_bytes, mos_arena *arena, struct mos_s3_upload **out, size_t *out_count,
                               const char **out_next_key, const char **out_next_id, struct mos_error *error) {
    const struct mos_xml *root = mos_xml_parse(arena, text, size_bytes);
    size_t count = 0;
    if (!root || strcmp(root->name, "ListMultipartUploadsResult") != 0) {
        return mos_fail(error, MOS_UNAVAILABLE, "S3 answers something that is no list of uploads");
    }
    for (const struct mos_xml *entry = mos_xml_child(root, "Upload"); entry; entry = mos_xml_next(entry, "Upload")) {
        count++;
    }
    *out = mos_arena_array(arena, struct mos_s3_upload, count + 1);
    *out_count = 0;
    for (const struct mos_xml *entry = mos_xml_child(root, "Upload"); *out && entry; entry = mos_xml_next(entry, "Upload")) {
        (*out)[(*out_count)++] = (struct mos_s3_upload){.key = mos_xml_text(entry, "Key"),
                                                        .id = mos_xml_text(entry, "UploadId"),
                                                        .begun_unix_ns = time_of(mos_xml_text(entry, "Initiated"))};
    }
    bool more = strcmp(mos_xml_text(root, "IsTruncated"), "true") == 0;
    *out_next_key = more ? mos_xml_text(root, "NextKeyMarker") : "";
    *out_next_id = more ? mos_xml_text(root, "NextUploadIdMarker") : "";
    return MOS_OK;
}

const char *mos_s3_read_upload_id(const void *text, size_t size_bytes, mos_arena *arena) {
    const struct mos_xml *root = mos_xml_parse(arena, text, size_bytes);
    return root && strcmp(root->name, "InitiateMultipartUploadResult") == 0 ? mos_xml_text(root, "UploadId") : "";
}

void mos_s3_read_object(const struct mos_store_http_response *response, struct mos_store_object *out) {
    char value[MOS_STORE_HTTP_VALUE_BYTES], written[MOS_STORE_HTTP_VALUE_BYTES], base64[MOS_STORE_BASE64_BYTES];
    int64_t size = size_of(mos_store_http_header(response, "content-length", value));
    out->size_bytes = size < 0 ? 0 : size;
    out->modified_unix_ns = mos_store_http_date(mos_store_http_header(response, "last-modified", value));
    out->retained_until_unix_ns = time_of(mos_store_http_header(response, "x-amz-object-lock-retain-until-date", value));
    snprintf(out->storage_class, sizeof(out->storage_class), "%s", mos_store_http_header(response, "x-amz-storage-class", value));
    bool cold = strcmp(out->storage_class, "GLACIER") == 0 || strcmp(out->storage_class, "DEEP_ARCHIVE") == 0;
    mos_store_http_header(response, "x-amz-restore", value);
    out->state = !cold || strstr(value, "ongoing-request=\"false\"") ? MOS_STORE_READY : *value ? MOS_STORE_THAWING : MOS_STORE_ARCHIVED;
    if (!mos_hex_decode(mos_store_http_header(response, "x-amz-meta-mosaajii-sha256", value), out->sha256, MOS_STORE_HASH_BYTES)) {
        memset(out->sha256, 0, sizeof(out->sha256));
        return;
    }
    // The checksum of an object in parts is one over those of its parts, and stands in the object's own words too.
    mos_store_base64(out->sha256, MOS_STORE_HASH_BYTES, base64);
    mos_store_http_header(response, "x-amz-checksum-sha256", value);
    mos_store_http_header(response, "x-amz-meta-mosaajii-parts", written);
    // Some servers leave out how many parts there are.
    size_t length = strlen(value);
    bool parts = *written && length >= 44 && strncmp(value, written, length) == 0 && (length == strlen(written) || written[length] == '-');
    out->checksum = parts || (!*written && strcmp(value, base64) == 0) ? MOS_STORE_CHECKSUM_SERVER : MOS_STORE_CHECKSUM_WRITER;
}
