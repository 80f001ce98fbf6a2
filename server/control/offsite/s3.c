// S3 and servers that are compatible with it. libcurl signs (version 4). Every body is sent with its SHA-256, so that the server refuses
// what is not what it should be, and keeps it as the object's checksum.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/hash.h"
#include "control/offsite/parts.h"
#include "control/offsite/s3_answer.h"
#include "control/offsite/s3_internal.h"

enum { LEAST_PART_BYTES = 5 * 1024 * 1024, HASH_TEXT_BYTES = 2 * MOS_STORE_HASH_BYTES + 1 };

void mos_s3_date(int64_t unix_ns, char text[MOS_S3_DATE_BYTES]) {
    time_t seconds = (time_t)((unix_ns + MOS_NS_PER_SECOND - 1) / MOS_NS_PER_SECOND);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, MOS_S3_DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

mos_status mos_s3_exchange(struct mos_s3 *s3, const struct mos_s3_request *request, struct mos_store_http_response *out,
                           const struct mos_store_call *call, struct mos_error *error) {
    static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
    char hash_header[32 + HASH_TEXT_BYTES], hash[HASH_TEXT_BYTES];
    uint8_t sha256[MOS_STORE_HASH_BYTES];
    if (request->sha256) {
        mos_hex_encode(request->sha256, MOS_STORE_HASH_BYTES, hash);
    } else if (request->body) {
        mos_store_sha256(request->body, request->body_bytes, sha256);
        mos_hex_encode(sha256, MOS_STORE_HASH_BYTES, hash);
    } else {
        strcpy(hash, empty_hash);
    }
    snprintf(hash_header, sizeof(hash_header), "x-amz-content-sha256: %s", hash);
    mos_buffer_printf(&url, "%s/%s%s%s%s", s3->bucket_url, request->name ? s3->prefix : "", request->name ? request->name : "",
                      request->query ? "?" : "", request->query ? request->query : "");
    struct mos_store_http_request exchange = {.method = request->method,
                                              .url = mos_buffer_text(&url),
                                              .body = request->body,
                                              .body_bytes = request->body_bytes,
                                              .source = request->source,
                                              .source_offset_bytes = request->source_offset_bytes,
                                              .source_size_bytes = request->source_size_bytes,
                                              .signature = s3->signature,
                                              .user = s3->access_key_id,
                                              .password = s3->secret_access_key,
                                              .sink = request->sink,
                                              .sink_argument = request->sink_argument};
    size_t count = 0;
    exchange.headers[count++] = hash_header;
    if (*s3->token_header) {
        exchange.headers[count++] = s3->token_header;
    }
    for (size_t i = 0; request->headers[i]; i++) {
        exchange.headers[count++] = request->headers[i];
    }
    mos_status status = mos_store_http_exchange(s3->http, &exchange, out, call, error);
    if (status == MOS_OK && out->code >= 200 && out->code < 300) {
        atomic_store(&s3->known, true);
    }
    return status;
}

// An answer to HEAD has no body that says why it failed; one to a list has.
static mos_status ask_bucket(struct mos_s3 *s3, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_s3_request request = {.method = "GET", .query = "list-type=2&max-keys=1"};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status == MOS_OK && response.code != 200) {
        status = mos_s3_fail(&response, "the bucket cannot be read", error);
        // A server without words, too, means the bucket.
        return status == MOS_NOT_FOUND ? mos_fail(error, MOS_FAILED_PRECONDITION, "there is no bucket %s", s3->bucket) : status;
    }
    return status;
}

static mos_status fail_head(struct mos_s3 *s3, const char *name, const struct mos_store_http_response *response,
                            const struct mos_store_call *call, struct mos_error *error) {
    bool may_be_bucket = response->code == 404 ? !atomic_load(&s3->known) : response->code < 500 && response->code != 429;
    mos_status status = may_be_bucket ? ask_bucket(s3, call, error) : MOS_OK;
    if (status != MOS_OK) {
        return status;
    }
    if (response->code == 404) {
        return mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, s3->base.location);
    }
    char what[MOS_STORE_NAME_LIMIT + 32];
    snprintf(what, sizeof(what), "%s cannot be looked at", name);
    return mos_s3_fail(response, what, error);
}

// `version`, where it is not NULL, is the object's version; "" where the bucket keeps none.
static mos_status look(struct mos_s3 *s3, const char *name, struct mos_store_object *out, char version[MOS_STORE_HTTP_VALUE_BYTES],
                       const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_s3_request request = {.method = "HEAD", .name = name, .headers = {"x-amz-checksum-mode: ENABLED"}};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    if (response.code != 200) {
        return fail_head(s3, name, &response, call, error);
    }
    snprintf(out->name, sizeof(out->name), "%s", name);
    mos_s3_read_object(&response, out);
    if (version) {
        mos_store_http_header(&response, "x-amz-version-id", version);
    }
    return MOS_OK;
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    return look((struct mos_s3 *)store, name, out, NULL, call, error);
}

static mos_status put_whole(struct mos_s3 *s3, const char *name, const struct mos_store_source *source,
                            const struct mos_store_put_options *options, const struct mos_store_call *call, struct mos_error *error) {
    char checksum[32 + MOS_STORE_BASE64_BYTES], written[48 + HASH_TEXT_BYTES], mode[48], until[96], date[MOS_S3_DATE_BYTES];
    char base64[MOS_STORE_BASE64_BYTES], hex[HASH_TEXT_BYTES];
    mos_store_base64(source->sha256, MOS_STORE_HASH_BYTES, base64);
    mos_hex_encode(source->sha256, MOS_STORE_HASH_BYTES, hex);
    snprintf(checksum, sizeof(checksum), "x-amz-checksum-sha256: %s", base64);
    snprintf(written, sizeof(written), "x-amz-meta-mosaajii-sha256: %s", hex);
    struct mos_s3_request request = {.method = "PUT",
                                     .name = name,
                                     .headers = {"Content-Type: application/octet-stream", checksum, written},
                                     .source = source,
                                     .source_size_bytes = source->size_bytes,
                                     .sha256 = source->sha256};
    size_t count = 3;
    if (!atomic_load(&s3->unconditional)) {
        request.headers[count++] = "If-None-Match: *";
    }
    if (*s3->storage_class_header) {
        request.headers[count++] = s3->storage_class_header;
    }
    if (options->retain_until_unix_ns > 0) {
        mos_s3_date(options->retain_until_unix_ns, date);
        snprintf(mode, sizeof(mode), "x-amz-object-lock-mode: %s", s3->lock_mode);
        snprintf(until, sizeof(until), "x-amz-object-lock-retain-until-date: %s", date);
        request.headers[count++] = mode;
        request.headers[count++] = until;
    }
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK || response.code == 200) {
        return status;
    }
    if (response.code == 501 && !atomic_exchange(&s3->unconditional, true)) {
        return put_whole(s3, name, source, options, call, error);
    }
    char what[MOS_STORE_NAME_LIMIT + 32];
    snprintf(what, sizeof(what), "%s cannot be written", name);
    return mos_s3_fail(&response, what, error);
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    struct mos_store_object there = {0};
    // First, for not every server knows If-None-Match, and no part is sent for nothing.
    mos_status status = look(s3, name, &there, NULL, call, error);
    if (status != MOS_NOT_FOUND) {
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    status = source->size_bytes <= s3->part_bytes ? put_whole(s3, name, source, options, call, error)
                                                  : mos_s3_put_parts(s3, name, source, options, call, error);
    if (status == MOS_ALREADY_EXISTS) {
        status = look(s3, name, &there, NULL, call, error);
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    out->checksum = MOS_STORE_CHECKSUM_SERVER;
    return status;
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    char range[64];
    struct mos_s3_request request = {.method = "GET", .name = name, .sink = sink, .sink_argument = sink_argument};
    bool part = offset_bytes > 0 || size_bytes > 0;
    if (part) {
        mos_store_http_range(offset_bytes, size_bytes, range);
        request.headers[0] = range;
    }
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK || response.code == (part ? 206 : 200)) {
        return status;
    }
    char what[MOS_STORE_NAME_LIMIT + 64];
    snprintf(what, sizeof(what), "%s cannot be read", name);
    if (response.code == 200) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s: the server knows no ranges", what);
    }
    struct mos_error reason = {0};
    status = mos_s3_fail(&response, what, &reason);
    if (strstr(reason.message, "InvalidObjectState")) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is archived and must be thawed before it can be read", name);
    }
    if (error) {
        *error = reason;
    }
    return status;
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    if (after) {
        mos_buffer_append_text(&query, "continuation-token=");
        mos_store_url_encode(&query, after, false);
        mos_buffer_append_text(&query, "&");
    }
    mos_buffer_printf(&query, "list-type=2&max-keys=%d&prefix=", limit);
    mos_store_url_encode(&query, s3->prefix, false);
    mos_store_url_encode(&query, prefix, false);
    const struct mos_s3_request request = {.method = "GET", .query = mos_buffer_text(&query)};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status == MOS_OK && response.code != 200) {
        status = mos_s3_fail(&response, "the bucket cannot be listed", error);
        return status == MOS_NOT_FOUND ? mos_fail(error, MOS_FAILED_PRECONDITION, "there is no bucket %s", s3->bucket) : status;
    }
    return status == MOS_OK ? mos_s3_read_page(response.body.data, response.body.size_bytes, s3->prefix, limit, arena, out, error) : status;
}

// Where the bucket keeps versions, it is the version that must go: else the object would only be hidden, and a lock would not be seen.
static mos_status delete_version(struct mos_s3 *s3, const char *name, const char *version, const struct mos_store_call *call,
                                 struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer query = MOS_BUFFER_INIT(0);
    if (*version) {
        mos_buffer_append_text(&query, "versionId=");
        mos_store_url_encode(&query, version, false);
    }
    const struct mos_s3_request request = {.method = "DELETE", .name = name, .query = *version ? mos_buffer_text(&query) : NULL};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK || (response.code >= 200 && response.code < 300) || response.code == 404) {
        return status;
    }
    char what[MOS_STORE_NAME_LIMIT + 32];
    snprintf(what, sizeof(what), "%s cannot be deleted", name);
    return mos_s3_fail(&response, what, error);
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    char version[MOS_STORE_HTTP_VALUE_BYTES] = "";
    struct mos_store_object object = {0};
    mos_status status = look(s3, name, &object, version, call, error);
    if (status != MOS_OK) {
        return status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    status = delete_version(s3, name, version, call, error);
    if (status != MOS_OK && object.retained_until_unix_ns > mos_now_unix_ns()) {
        char until[MOS_TIME_TEXT_BYTES];
        mos_time_format(object.retained_until_unix_ns, until);
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is locked until %s", name, until);
    }
    return status;
}

// A request whose body is XML, with the checksum that some of these need.
static mos_status send_xml(struct mos_s3 *s3, const char *method, const char *name, const char *query, const char *xml, long also_good,
                           const struct mos_store_call *call, struct mos_error *error) {
    char checksum[32 + MOS_STORE_BASE64_BYTES], base64[MOS_STORE_BASE64_BYTES];
    uint8_t sha256[MOS_STORE_HASH_BYTES];
    mos_store_sha256(xml, strlen(xml), sha256);
    mos_store_base64(sha256, sizeof(sha256), base64);
    snprintf(checksum, sizeof(checksum), "x-amz-checksum-sha256: %s", base64);
    const struct mos_s3_request request = {.method = method,
                                           .name = name,
                                           .query = query,
                                           .headers = {"Content-Type: application/xml", checksum},
                                           .body = xml,
                                           .body_bytes = strlen(xml)};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK || response.code == 200 || response.code == also_good) {
        return status;
    }
    char what[MOS_STORE_NAME_LIMIT + 32];
    snprintf(what, sizeof(what), "%s cannot be changed", name);
    return mos_s3_fail(&response, what, error);
}

static mos_status retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                         struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    struct mos_store_object object = {0};
    char xml[256], date[MOS_S3_DATE_BYTES];
    mos_status status = look(s3, name, &object, NULL, call, error);
    if (status != MOS_OK || object.retained_until_unix_ns >= until_unix_ns) {
        return status;
    }
    mos_s3_date(until_unix_ns, date);
    snprintf(
        xml, sizeof(xml),
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
        s3->lock_mode, date);
    return send_xml(s3, "PUT", name, "retention=", xml, 204, call, error);
}

// A class changes by copying the object onto itself.
static mos_status archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    MOS_CLEANUP_BUFFER struct mos_buffer source = MOS_BUFFER_INIT(0);
    char version[MOS_STORE_HTTP_VALUE_BYTES] = "", class_header[96], mode[48], until[96], date[MOS_S3_DATE_BYTES];
    struct mos_store_object object = {0};
    mos_status status = look(s3, name, &object, version, call, error);
    if (status != MOS_OK || strcmp(object.storage_class, s3->archive_class) == 0) {
        return status;
    }
    mos_buffer_printf(&source, "x-amz-copy-source: /%s/%s%s", s3->bucket, s3->prefix, name);
    snprintf(class_header, sizeof(class_header), "x-amz-storage-class: %s", s3->archive_class);
    struct mos_s3_request request = {
        .method = "PUT", .name = name, .headers = {mos_buffer_text(&source), class_header, "x-amz-metadata-directive: COPY"}};
    // The copy is an object of its own, and must be locked no shorter.
    if (object.retained_until_unix_ns > mos_now_unix_ns()) {
        mos_s3_date(object.retained_until_unix_ns, date);
        snprintf(mode, sizeof(mode), "x-amz-object-lock-mode: %s", s3->lock_mode);
        snprintf(until, sizeof(until), "x-amz-object-lock-retain-until-date: %s", date);
        request.headers[3] = mode;
        request.headers[4] = until;
    }
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    status = mos_s3_exchange(s3, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    if (response.code != 200 || *mos_s3_error_code(&response, arena)) {
        char what[MOS_STORE_NAME_LIMIT + 32];
        snprintf(what, sizeof(what), "%s cannot be archived", name);
        return mos_s3_fail(&response, what, error);
    }
    // What the copy was made of is of no more use; one that is locked stays until its lock ends.
    if (*version && strcmp(version, "null") != 0) {
        delete_version(s3, name, version, call, NULL);
    }
    status = look(s3, name, &object, NULL, call, error);
    return status == MOS_OK ? mos_store_confirm_class(store, &object, s3->archive_class, error) : status;
}

static mos_status thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    struct mos_store_object object = {0};
    char xml[256];
    mos_status status = look(s3, name, &object, NULL, call, error);
    if (status != MOS_OK || object.state != MOS_STORE_ARCHIVED) {
        return status;
    }
    snprintf(xml, sizeof(xml), "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>%d</Days></RestoreRequest>", days);
    return send_xml(s3, "POST", name, "restore=", xml, 202, call, error);
}

static void close_store(mos_store *store) {
    struct mos_s3 *s3 = (struct mos_s3 *)store;
    mos_store_http_destroy(s3->http);
    mos_store_wipe(s3->secret_access_key);
    mos_store_wipe(s3->token_header);
    free(s3->access_key_id);
    free(s3->bucket_url);
    free(s3->bucket);
    free(s3->storage_class_header);
    free(s3->archive_class);
    free(s3);
}

static const struct mos_store_driver driver = {.close = close_store,
                                               .put = put,
                                               .get = get,
                                               .head = head,
                                               .list = list,
                                               .remove = delete_object,
                                               .retain = retain,
                                               .archive = archive,
                                               .thaw = thaw,
                                               .sweep = mos_s3_sweep};

static mos_status check(const struct mos_store_options *options, struct mos_error *error) {
    size_t length = strlen(options->bucket);
    if (length < 3 || length > 63 || strspn(options->bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != length) {
        return mos_fail_field(error, "OFFSITE_BUCKET", "OFFSITE_BUCKET is \"%.100s\"; S3 allows 3 to 63 of a-z, 0-9, '.' and '-'",
                              options->bucket);
    }
    if (strspn(options->region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(options->region) || strlen(options->region) > 40) {
        return mos_fail_field(error, "OFFSITE_REGION", "OFFSITE_REGION is \"%.100s\"; allowed are a-z, 0-9 and '-'", options->region);
    }
    if (!*options->access_key_id || !*options->secret_access_key) {
        const char *missing = *options->access_key_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID";
        return mos_fail_field(error, missing, "%s is not set, and S3 needs it", missing);
    }
    return *options->endpoint ? mos_store_endpoint_check(options->endpoint, error) : MOS_OK;
}

mos_status mos_store_open_s3(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    mos_status status = check(options, error);
    if (status != MOS_OK) {
        return status;
    }
    const char *region = *options->region ? options->region : "us-east-1";
    struct mos_s3 *s3 = mos_calloc(1, sizeof(*s3));
    s3->base = (mos_store){
        .driver = &driver,
        .provider = MOS_STORE_S3,
        .capabilities = {
            .server_checksum = true, .retention = true, .archive = true, .exclusive_put = true, .largest_object_bytes = INT64_C(5) << 40}};
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    const char *host = strstr(options->endpoint, "://");
    size_t host_bytes = host ? strcspn(host + 3, "/") : 0;
    if (!host && strchr(options->bucket, '.')) {
        // A certificate for any name below the host does not cover a name with dots.
        mos_buffer_printf(&text, "https://s3.%s.amazonaws.com/%s", region, options->bucket);
    } else if (!host) {
        mos_buffer_printf(&text, "https://%s.s3.%s.amazonaws.com", options->bucket, region);
    } else if (options->virtual_host) {
        mos_buffer_printf(&text, "%.*s://%s.%.*s", (int)(host - options->endpoint), options->endpoint, options->bucket, (int)host_bytes,
                          host + 3);
    } else {
        mos_buffer_printf(&text, "%.*s://%.*s/%s", (int)(host - options->endpoint), options->endpoint, (int)host_bytes, host + 3,
                          options->bucket);
    }
    s3->bucket_url = mos_strdup(mos_buffer_text(&text));
    mos_buffer_clear(&text);
    if (*options->session_token) {
        mos_buffer_printf(&text, "x-amz-security-token: %s", options->session_token);
    }
    s3->token_header = mos_strdup(mos_buffer_text(&text));
    sodium_memzero(text.data, text.capacity_bytes);
    mos_buffer_clear(&text);
    if (*options->storage_class) {
        mos_buffer_printf(&text, "x-amz-storage-class: %s", options->storage_class);
    }
    s3->storage_class_header = mos_strdup(mos_buffer_text(&text));
    s3->archive_class = mos_strdup(*options->archive_class ? options->archive_class : "GLACIER");
    s3->bucket = mos_strdup(options->bucket);
    s3->access_key_id = mos_strdup(options->access_key_id);
    s3->secret_access_key = mos_strdup(options->secret_access_key);
    s3->lock_mode = options->soft_lock ? "GOVERNANCE" : "COMPLIANCE";
    s3->part_bytes = options->part_bytes < LEAST_PART_BYTES ? LEAST_PART_BYTES : options->part_bytes;
    s3->parallel_parts = options->parallel_parts;
    snprintf(s3->signature, sizeof(s3->signature), "aws:amz:%s:s3", region);
    snprintf(s3->prefix, sizeof(s3->prefix), "%s%s", options->prefix, *options->prefix ? "/" : "");
    s3->http = mos_store_http_create("S3", options);
    mos_store_location_text(&s3->base, "s3", options);
    *out = &s3->base;
    return MOS_OK;
}
