// Objects that go to S3 in parts. Each part is sent with its SHA-256; the server's checksum of the whole is one over those of the parts. It
// is written with the object, beside the SHA-256 of the whole, so that head can tell that both stand for the same bytes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/hash.h"
#include "control/offsite/parts.h"
#include "control/offsite/s3_answer.h"
#include "control/offsite/s3_internal.h"

enum { MOST_PARTS = 10000, ETAG_BYTES = 128, HASH_TEXT_BYTES = 2 * MOS_STORE_HASH_BYTES + 1 };

struct upload {
    struct mos_s3 *s3;
    const char *name;
    const struct mos_store_source *source;
    // Encoded for a query.
    struct mos_buffer id;
    uint8_t *hashes;
    char (*etags)[ETAG_BYTES];
};

static mos_status begin(struct upload *upload, int count, const struct mos_store_put_options *options, const struct mos_store_call *call,
                        struct mos_error *error) {
    struct mos_s3 *s3 = upload->s3;
    char written[48 + HASH_TEXT_BYTES], parts[48 + MOS_STORE_BASE64_BYTES], mode[48], until[96], date[MOS_S3_DATE_BYTES];
    char hex[HASH_TEXT_BYTES], base64[MOS_STORE_BASE64_BYTES];
    uint8_t all[MOS_STORE_HASH_BYTES];
    mos_store_sha256(upload->hashes, (size_t)count * MOS_STORE_HASH_BYTES, all);
    mos_store_base64(all, sizeof(all), base64);
    mos_hex_encode(upload->source->sha256, MOS_STORE_HASH_BYTES, hex);
    snprintf(written, sizeof(written), "x-amz-meta-mosaajii-sha256: %s", hex);
    snprintf(parts, sizeof(parts), "x-amz-meta-mosaajii-parts: %s-%d", base64, count);
    struct mos_s3_request request = {
        .method = "POST",
        .name = upload->name,
        .query = "uploads=",
        .headers = {"Content-Type: application/octet-stream", "x-amz-checksum-algorithm: SHA256", written, parts}};
    size_t headers = 4;
    if (*s3->storage_class_header) {
        request.headers[headers++] = s3->storage_class_header;
    }
    if (options->retain_until_unix_ns > 0) {
        mos_s3_date(options->retain_until_unix_ns, date);
        snprintf(mode, sizeof(mode), "x-amz-object-lock-mode: %s", s3->lock_mode);
        snprintf(until, sizeof(until), "x-amz-object-lock-retain-until-date: %s", date);
        request.headers[headers++] = mode;
        request.headers[headers++] = until;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    if (response.code != 200) {
        char what[MOS_STORE_NAME_LIMIT + 32];
        snprintf(what, sizeof(what), "%s cannot be written", upload->name);
        return mos_s3_fail(&response, what, error);
    }
    const char *id = mos_s3_read_upload_id(response.body.data, response.body.size_bytes, arena);
    mos_store_url_encode(&upload->id, id, false);
    return *id ? MOS_OK : mos_fail(error, MOS_UNAVAILABLE, "%s cannot be written: S3 answers without an upload's id", upload->name);
}

static mos_status send(void *argument, int number, int64_t offset_bytes, int64_t size_bytes, const struct mos_store_call *call,
                       struct mos_error *error) {
    struct upload *upload = argument;
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    char checksum[32 + MOS_STORE_BASE64_BYTES], base64[MOS_STORE_BASE64_BYTES], value[MOS_STORE_HTTP_VALUE_BYTES];
    const uint8_t *sha256 = upload->hashes + (size_t)number * MOS_STORE_HASH_BYTES;
    mos_store_base64(sha256, MOS_STORE_HASH_BYTES, base64);
    snprintf(checksum, sizeof(checksum), "x-amz-checksum-sha256: %s", base64);
    mos_buffer_printf(&query, "partNumber=%d&uploadId=%.*s", number + 1, (int)upload->id.size_bytes, (const char *)upload->id.data);
    const struct mos_s3_request request = {.method = "PUT",
                                           .name = upload->name,
                                           .query = mos_buffer_text(&query),
                                           .headers = {"Content-Type: application/octet-stream", checksum},
                                           .source = upload->source,
                                           .source_offset_bytes = offset_bytes,
                                           .source_size_bytes = size_bytes,
                                           .sha256 = sha256};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(upload->s3, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_store_http_header(&response, "etag", value);
    if (response.code == 200 && *value && strlen(value) < ETAG_BYTES && !strpbrk(value, "<>&")) {
        strcpy(upload->etags[number], value);
        return MOS_OK;
    }
    char what[MOS_STORE_NAME_LIMIT + 48];
    snprintf(what, sizeof(what), "part %d of %s cannot be written", number + 1, upload->name);
    return mos_s3_fail(&response, what, error);
}

static mos_status complete(struct upload *upload, int count, const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0), body = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&query, "uploadId=%.*s", (int)upload->id.size_bytes, (const char *)upload->id.data);
    mos_buffer_append_text(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (int i = 0; i < count; i++) {
        char base64[MOS_STORE_BASE64_BYTES];
        mos_store_base64(upload->hashes + (size_t)i * MOS_STORE_HASH_BYTES, MOS_STORE_HASH_BYTES, base64);
        mos_buffer_printf(&body, "<Part><ChecksumSHA256>%s</ChecksumSHA256><ETag>%s</ETag><PartNumber>%d</PartNumber></Part>", base64,
                          upload->etags[i], i + 1);
    }
    mos_buffer_append_text(&body, "</CompleteMultipartUpload>");
    const struct mos_s3_request request = {
        .method = "POST",
        .name = upload->name,
        .query = mos_buffer_text(&query),
        .headers = {"Content-Type: application/xml", atomic_load(&upload->s3->unconditional) ? NULL : "If-None-Match: *"},
        .body = mos_buffer_text(&body),
        .body_bytes = body.size_bytes};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(upload->s3, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    if (response.code == 501 && !atomic_exchange(&upload->s3->unconditional, true)) {
        return complete(upload, count, call, error);
    }
    // While it works, a server may have said 200 already.
    if (response.code == 200 && !*mos_s3_error_code(&response, arena)) {
        return MOS_OK;
    }
    char what[MOS_STORE_NAME_LIMIT + 48];
    snprintf(what, sizeof(what), "%s cannot be put together", upload->name);
    return mos_s3_fail(&response, what, error);
}

static mos_status abandon(struct mos_s3 *s3, const char *name, const char *encoded_id, const struct mos_store_call *call,
                          struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&query, "uploadId=%s", encoded_id);
    const struct mos_s3_request request = {.method = "DELETE", .name = name, .query = mos_buffer_text(&query)};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK || (response.code >= 200 && response.code < 300) || response.code == 404) {
        return status;
    }
    return mos_s3_fail(&response, "an upload cannot be ended", error);
}

mos_status mos_s3_put_parts(struct mos_s3 *s3, const char *name, const struct mos_store_source *source,
                            const struct mos_store_put_options *options, const struct mos_store_call *call, struct mos_error *error) {
    int64_t part_bytes = mos_store_part_bytes(source->size_bytes, s3->part_bytes, MOST_PARTS);
    int count = mos_store_part_count(source->size_bytes, part_bytes);
    MOS_CLEANUP_FREE uint8_t *hashes = mos_calloc((size_t)count, MOS_STORE_HASH_BYTES);
    MOS_CLEANUP_FREE char *etags = mos_calloc((size_t)count, ETAG_BYTES);
    struct upload upload = {
        .s3 = s3, .name = name, .source = source, .id = MOS_BUFFER_INIT(0), .hashes = hashes, .etags = (char(*)[ETAG_BYTES])etags};
    const struct mos_store_parts parts = {
        .size_bytes = source->size_bytes, .part_bytes = part_bytes, .parallel = s3->parallel_parts, .work = send, .argument = &upload};
    mos_status status = mos_store_parts_hash(name, source, part_bytes, s3->parallel_parts, hashes, call, error);
    status = status == MOS_OK ? begin(&upload, count, options, call, error) : status;
    if (upload.id.size_bytes > 0) {
        status = mos_store_parts_run(&parts, call, error);
        status = status == MOS_OK ? complete(&upload, count, call, error) : status;
        if (status != MOS_OK) {
            // Also when this upload was called off. What stays behind all the same, mos_store_sweep removes.
            static const struct mos_store_call always;
            abandon(s3, name, mos_buffer_text(&upload.id), &always, NULL);
        }
    }
    mos_buffer_free(&upload.id);
    return status;
}

mos_status mos_s3_sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                        struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *next_key = "", *next_id = "";
    do {
        MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
        struct mos_s3_upload *uploads;
        size_t count;
        if (*next_key) {
            mos_buffer_append_text(&query, "key-marker=");
            mos_store_url_encode(&query, next_key, false);
            mos_buffer_append_text(&query, "&");
        }
        mos_buffer_append_text(&query, "prefix=");
        mos_store_url_encode(&query, s3->prefix, false);
        if (*next_key) {
            mos_buffer_append_text(&query, "&upload-id-marker=");
            mos_store_url_encode(&query, next_id, false);
        }
        mos_buffer_append_text(&query, "&uploads=");
        const struct mos_s3_request request = {.method = "GET", .query = mos_buffer_text(&query)};
        MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
        mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
        if (status != MOS_OK) {
            return status;
        }
        if (response.code != 200) {
            status = mos_s3_fail(&response, "unfinished uploads cannot be listed", error);
            return status == MOS_NOT_FOUND ? mos_fail(error, MOS_FAILED_PRECONDITION, "there is no bucket %s", s3->bucket) : status;
        }
        status = mos_s3_read_uploads(response.body.data, response.body.size_bytes, arena, &uploads, &count, &next_key, &next_id, error);
        for (size_t i = 0; status == MOS_OK && i < count; i++) {
            const char *name = uploads[i].key + strlen(s3->prefix);
            MOS_CLEANUP_BUFFER struct mos_buffer id = MOS_BUFFER_INIT(0);
            if (strncmp(uploads[i].key, s3->prefix, strlen(s3->prefix)) != 0 || !mos_store_name_valid(name) ||
                mos_now_unix_ns() - uploads[i].begun_unix_ns < age_seconds * MOS_NS_PER_SECOND) {
                continue;
            }
            mos_store_url_encode(&id, uploads[i].id, false);
            status = abandon(s3, name, mos_buffer_text(&id), call, error);
            *out_removed += status == MOS_OK ? 1 : 0;
        }
        if (status != MOS_OK) {
            return status;
        }
    } while (*next_key);
    return MOS_OK;
}
