// Google Cloud Storage, by its JSON interface. An object is sent in one stream of a resumable session, with its MD5, which the server
// checks and keeps; beside it stand MD5 and SHA-256 as the writer knew them.
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/gcs_answer.h"
#include "control/offsite/gcs_token.h"
#include "control/offsite/hash.h"
#include "control/offsite/parts.h"

enum { HASH_TEXT_BYTES = 2 * MOS_STORE_HASH_BYTES + 1, WHAT_BYTES = MOS_STORE_NAME_LIMIT + 64 };

struct gcs {
    mos_store base;
    mos_store_http *http;
    // NULL: nothing is signed.
    mos_gcs_account *account;
    // Without a slash at its end.
    char *endpoint;
    char *bucket;
    char prefix[MOS_STORE_NAME_LIMIT + 2];
    char *storage_class;
    char *archive_class;
    const char *lock_mode;
    // The bucket has answered once: what is not found is an object.
    atomic_bool known;
};

// Adds the token. A token that was withdrawn before its time is asked for again once.
static mos_status exchange(struct gcs *gcs, const struct mos_store_http_request *request, struct mos_store_http_response *out,
                           const struct mos_store_call *call, struct mos_error *error) {
    mos_status status = MOS_OK;
    *out = (struct mos_store_http_response){0};
    for (int tries = 0; tries < 2; tries++) {
        struct mos_buffer token = MOS_BUFFER_INIT(0);
        struct mos_store_http_request signed_request = *request;
        size_t count = 0;
        while (signed_request.headers[count]) {
            count++;
        }
        if (gcs->account) {
            mos_buffer_reserve(&token, 16 * 1024);
            status = mos_gcs_authorize(gcs->account, gcs->http, &token, call, error);
            signed_request.headers[count] = mos_buffer_text(&token);
        }
        mos_store_http_response_free(out);
        *out = (struct mos_store_http_response){0};
        status = status == MOS_OK ? mos_store_http_exchange(gcs->http, &signed_request, out, call, error) : status;
        if (token.data) {
            sodium_memzero(token.data, token.capacity_bytes);
        }
        mos_buffer_free(&token);
        if (status != MOS_OK || out->code != 401 || !gcs->account) {
            break;
        }
        mos_gcs_forget(gcs->account);
    }
    if (status == MOS_OK && out->code >= 200 && out->code < 300) {
        atomic_store(&gcs->known, true);
    }
    return status;
}

static void append_object_url(const struct gcs *gcs, const char *name, struct mos_buffer *out) {
    mos_buffer_printf(out, "%s/storage/v1/b/%s/o/", gcs->endpoint, gcs->bucket);
    mos_store_url_encode(out, gcs->prefix, false);
    mos_store_url_encode(out, name, false);
}

// Lists: also tells whether the bucket is there at all.
static mos_status ask_bucket(struct gcs *gcs, const char *prefix, const char *after, int limit, struct mos_store_http_response *out,
                             const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&url, "%s/storage/v1/b/%s/o?maxResults=%d&prefix=", gcs->endpoint, gcs->bucket, limit);
    mos_store_url_encode(&url, gcs->prefix, false);
    mos_store_url_encode(&url, prefix, false);
    if (after) {
        mos_buffer_append_text(&url, "&pageToken=");
        mos_store_url_encode(&url, after, false);
    }
    const struct mos_store_http_request request = {.method = "GET", .url = mos_buffer_text(&url)};
    mos_status status = exchange(gcs, &request, out, call, error);
    if (status == MOS_OK && out->code == 404) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "there is no bucket %s", gcs->bucket);
    }
    return status == MOS_OK && out->code != 200 ? mos_gcs_fail(out, "the bucket cannot be listed", error) : status;
}

// Of an answer that is no success.
static mos_status fail_object(struct gcs *gcs, const struct mos_store_http_response *response, const char *name, const char *verb,
                              const struct mos_store_call *call, struct mos_error *error) {
    char what[WHAT_BYTES];
    if (response->code == 404) {
        if (!atomic_load(&gcs->known)) {
            MOS_CLEANUP_RESPONSE struct mos_store_http_response listed = {0};
            mos_status status = ask_bucket(gcs, "", NULL, 1, &listed, call, error);
            if (status != MOS_OK) {
                return status;
            }
        }
        return mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, gcs->base.location);
    }
    snprintf(what, sizeof(what), "%s cannot be %s", name, verb);
    return mos_gcs_fail(response, what, error);
}

// With `md5`, also the MD5 that the server has; "" where it has none.
static mos_status look(struct gcs *gcs, const char *name, struct mos_store_object *out, char md5[MOS_STORE_BASE64_BYTES],
                       const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
    append_object_url(gcs, name, &url);
    const struct mos_store_http_request request = {.method = "GET", .url = mos_buffer_text(&url)};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(gcs, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    if (response.code != 200) {
        return fail_object(gcs, &response, name, "looked at", call, error);
    }
    snprintf(out->name, sizeof(out->name), "%s", name);
    return mos_gcs_read_object(response.body.data, response.body.size_bytes, out, md5)
               ? MOS_OK
               : mos_fail(error, MOS_UNAVAILABLE, "Google Cloud Storage answers something that is no description of an object");
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    return look((struct gcs *)store, name, out, NULL, call, error);
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct gcs *gcs = (struct gcs *)store;
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
    append_object_url(gcs, name, &url);
    const struct mos_store_http_request request = {.method = "DELETE", .url = mos_buffer_text(&url)};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(gcs, &request, &response, call, error);
    if (status != MOS_OK || (response.code >= 200 && response.code < 300)) {
        return status;
    }
    status = fail_object(gcs, &response, name, "deleted", call, error);
    return status == MOS_NOT_FOUND ? MOS_OK : status;
}

static void append_written(struct mos_buffer *out, const uint8_t sha256[MOS_STORE_HASH_BYTES], const char *md5) {
    char hex[HASH_TEXT_BYTES];
    mos_hex_encode(sha256, MOS_STORE_HASH_BYTES, hex);
    mos_buffer_printf(out, "\"metadata\":{\"mosaajii-sha256\":\"%s\",\"mosaajii-md5\":\"%s\"}", hex, md5);
}

// Asks for a session, whose address the server tells.
static mos_status begin(struct gcs *gcs, const char *name, const struct mos_store_source *source,
                        const struct mos_store_put_options *options, const char *md5, char session[MOS_STORE_HTTP_VALUE_BYTES],
                        const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0), body = MOS_BUFFER_INIT(0);
    char length[64], until[MOS_TIME_TEXT_BYTES];
    mos_buffer_printf(&url, "%s/upload/storage/v1/b/%s/o?uploadType=resumable&ifGenerationMatch=0&name=", gcs->endpoint, gcs->bucket);
    mos_store_url_encode(&url, gcs->prefix, false);
    mos_store_url_encode(&url, name, false);
    mos_buffer_printf(&body, "{\"contentType\":\"application/octet-stream\",\"md5Hash\":\"%s\",", md5);
    append_written(&body, source->sha256, md5);
    if (*gcs->storage_class) {
        mos_buffer_append_text(&body, ",\"storageClass\":");
        mos_json_append_text(&body, gcs->storage_class);
    }
    if (options->retain_until_unix_ns > 0) {
        mos_time_format(options->retain_until_unix_ns, until);
        mos_buffer_printf(&body, ",\"retention\":{\"mode\":\"%s\",\"retainUntilTime\":\"%s\"}", gcs->lock_mode, until);
    }
    mos_buffer_append_text(&body, "}");
    snprintf(length, sizeof(length), "X-Upload-Content-Length: %lld", (long long)source->size_bytes);
    const struct mos_store_http_request request = {
        .method = "POST",
        .url = mos_buffer_text(&url),
        .headers = {"Content-Type: application/json; charset=UTF-8", "X-Upload-Content-Type: application/octet-stream", length},
        .body = mos_buffer_text(&body),
        .body_bytes = body.size_bytes};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(gcs, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    if (response.code == 404) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "there is no bucket %s", gcs->bucket);
    }
    if (response.code != 200) {
        return fail_object(gcs, &response, name, "written", call, error);
    }
    // The token goes there: it must be the same server.
    mos_store_http_header(&response, "location", session);
    size_t endpoint = strlen(gcs->endpoint);
    return strncmp(session, gcs->endpoint, endpoint) == 0 && session[endpoint] == '/'
               ? MOS_OK
               : mos_fail(error, MOS_UNAVAILABLE, "%s cannot be written: the server sends the upload elsewhere", name);
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    struct gcs *gcs = (struct gcs *)store;
    char md5[MOS_STORE_BASE64_BYTES], session[MOS_STORE_HTTP_VALUE_BYTES];
    struct mos_store_object there = {0};
    mos_status status = head(store, name, &there, call, error);
    if (status != MOS_NOT_FOUND) {
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    status = mos_store_source_md5(name, source, md5, call, error);
    status = status == MOS_OK ? begin(gcs, name, source, options, md5, session, call, error) : status;
    if (status == MOS_OK) {
        const struct mos_store_http_request request = {.method = "PUT",
                                                       .url = session,
                                                       .headers = {"Content-Type: application/octet-stream"},
                                                       .source = source,
                                                       .source_size_bytes = source->size_bytes};
        MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
        status = exchange(gcs, &request, &response, call, error);
        if (status == MOS_OK && response.code != 200 && response.code != 201) {
            status = fail_object(gcs, &response, name, "written", call, error);
        } else if (status == MOS_OK) {
            struct mos_store_object written = {0};
            bool good = mos_gcs_read_object(response.body.data, response.body.size_bytes, &written, NULL);
            out->checksum = good ? written.checksum : MOS_STORE_CHECKSUM_WRITER;
        }
    }
    if (status == MOS_ALREADY_EXISTS) {
        status = head(store, name, &there, call, error);
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    return status;
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    struct gcs *gcs = (struct gcs *)store;
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
    char range[64];
    bool part = offset_bytes > 0 || size_bytes > 0;
    append_object_url(gcs, name, &url);
    mos_buffer_append_text(&url, "?alt=media");
    mos_store_http_range(offset_bytes, size_bytes, range);
    const struct mos_store_http_request request = {
        .method = "GET", .url = mos_buffer_text(&url), .headers = {part ? range : NULL}, .sink = sink, .sink_argument = sink_argument};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(gcs, &request, &response, call, error);
    if (status != MOS_OK || response.code == (part ? 206 : 200)) {
        return status;
    }
    if (response.code == 200) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s cannot be read: the server knows no ranges", name);
    }
    return fail_object(gcs, &response, name, "read", call, error);
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    struct gcs *gcs = (struct gcs *)store;
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response = {0};
    mos_status status = ask_bucket(gcs, prefix, after, limit, &response, call, error);
    return status == MOS_OK ? mos_gcs_read_page(response.body.data, response.body.size_bytes, gcs->prefix, limit, arena, out, error)
                            : status;
}

static mos_status send_json(struct gcs *gcs, const char *method, const char *name, struct mos_buffer *url, struct mos_buffer *body,
                            struct mos_store_http_response *out, const struct mos_store_call *call, struct mos_error *error) {
    const struct mos_store_http_request request = {.method = method,
                                                   .url = mos_buffer_text(url),
                                                   .headers = {"Content-Type: application/json"},
                                                   .body = mos_buffer_text(body),
                                                   .body_bytes = body->size_bytes};
    mos_status status = exchange(gcs, &request, out, call, error);
    return status != MOS_OK || out->code == 200 ? status : fail_object(gcs, out, name, "changed", call, error);
}

static mos_status retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                         struct mos_error *error) {
    struct gcs *gcs = (struct gcs *)store;
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0), body = MOS_BUFFER_INIT(0);
    struct mos_store_object object = {0};
    char until[MOS_TIME_TEXT_BYTES];
    mos_status status = head(store, name, &object, call, error);
    if (status != MOS_OK || object.retained_until_unix_ns >= until_unix_ns) {
        return status;
    }
    mos_time_format(until_unix_ns, until);
    append_object_url(gcs, name, &url);
    mos_buffer_printf(&body, "{\"retention\":{\"mode\":\"%s\",\"retainUntilTime\":\"%s\"}}", gcs->lock_mode, until);
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response = {0};
    return send_json(gcs, "PATCH", name, &url, &body, &response, call, error);
}

// A class changes by writing the object anew from itself, which may take several requests.
static mos_status archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct gcs *gcs = (struct gcs *)store;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    MOS_CLEANUP_BUFFER struct mos_buffer body = MOS_BUFFER_INIT(0);
    struct mos_store_object object = {0};
    const char *token = NULL;
    char md5[MOS_STORE_BASE64_BYTES] = "";
    mos_status status = look(gcs, name, &object, md5, call, error);
    if (status != MOS_OK || strcmp(object.storage_class, gcs->archive_class) == 0) {
        return status;
    }
    // What is not told again would be lost.
    mos_buffer_append_text(&body, "{\"storageClass\":");
    mos_json_append_text(&body, gcs->archive_class);
    if (object.checksum == MOS_STORE_CHECKSUM_SERVER) {
        mos_buffer_append_text(&body, ",");
        append_written(&body, object.sha256, md5);
    }
    mos_buffer_append_text(&body, "}");
    do {
        MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
        append_object_url(gcs, name, &url);
        mos_buffer_printf(&url, "/rewriteTo/b/%s/o/", gcs->bucket);
        mos_store_url_encode(&url, gcs->prefix, false);
        mos_store_url_encode(&url, name, false);
        if (token) {
            mos_buffer_append_text(&url, "?rewriteToken=");
            mos_store_url_encode(&url, token, false);
        }
        MOS_CLEANUP_RESPONSE struct mos_store_http_response response = {0};
        status = send_json(gcs, "POST", name, &url, &body, &response, call, error);
        if (status == MOS_OK && !mos_gcs_read_rewrite(response.body.data, response.body.size_bytes, arena, &token)) {
            status = mos_fail(error, MOS_UNAVAILABLE, "%s cannot be archived: the answer is malformed", name);
        }
    } while (status == MOS_OK && token);
    status = status == MOS_OK ? look(gcs, name, &object, NULL, call, error) : status;
    return status == MOS_OK ? mos_store_confirm_class(store, &object, gcs->archive_class, error) : status;
}

// Every class of Google's can be read at once.
static mos_status thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_store_object object = {0};
    (void)days;
    return head(store, name, &object, call, error);
}

static void close_store(mos_store *store) {
    struct gcs *gcs = (struct gcs *)store;
    mos_store_http_destroy(gcs->http);
    mos_gcs_account_close(gcs->account);
    free(gcs->endpoint);
    free(gcs->bucket);
    free(gcs->storage_class);
    free(gcs->archive_class);
    free(gcs);
}

static const struct mos_store_driver driver = {.close = close_store,
                                               .put = put,
                                               .get = get,
                                               .head = head,
                                               .list = list,
                                               .remove = delete_object,
                                               .retain = retain,
                                               .archive = archive,
                                               .thaw = thaw};

mos_status mos_store_open_gcs(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    size_t length = strlen(options->bucket);
    mos_gcs_account *account = NULL;
    if (length < 3 || length > 222 || strspn(options->bucket, "abcdefghijklmnopqrstuvwxyz0123456789._-") != length) {
        return mos_fail_field(error, "OFFSITE_BUCKET",
                              "OFFSITE_BUCKET is \"%.100s\"; Google Cloud allows 3 to 222 of a-z, 0-9, '.', '_' and '-'", options->bucket);
    }
    mos_status status = *options->endpoint ? mos_store_endpoint_check(options->endpoint, error) : MOS_OK;
    if (status == MOS_OK && !*options->credentials_file && !*options->endpoint) {
        status = mos_fail_field(error, "GOOGLE_APPLICATION_CREDENTIALS",
                                "GOOGLE_APPLICATION_CREDENTIALS is not set, and Google Cloud Storage needs it");
    }
    if (status == MOS_OK && *options->credentials_file) {
        status = mos_gcs_account_open(&account, options->credentials_file, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    struct gcs *gcs = mos_calloc(1, sizeof(*gcs));
    gcs->base = (mos_store){
        .driver = &driver,
        .provider = MOS_STORE_GOOGLE_CLOUD,
        .capabilities = {
            .server_checksum = true, .retention = true, .archive = true, .exclusive_put = true, .largest_object_bytes = INT64_C(5) << 40}};
    gcs->account = account;
    gcs->endpoint = mos_strdup(*options->endpoint ? options->endpoint : "https://storage.googleapis.com");
    length = strlen(gcs->endpoint);
    if (gcs->endpoint[length - 1] == '/') {
        gcs->endpoint[length - 1] = 0;
    }
    gcs->bucket = mos_strdup(options->bucket);
    gcs->storage_class = mos_strdup(options->storage_class);
    gcs->archive_class = mos_strdup(*options->archive_class ? options->archive_class : "ARCHIVE");
    gcs->lock_mode = options->soft_lock ? "Unlocked" : "Locked";
    snprintf(gcs->prefix, sizeof(gcs->prefix), "%s%s", options->prefix, *options->prefix ? "/" : "");
    gcs->http = mos_store_http_create("Google Cloud Storage", options);
    mos_store_location_text(&gcs->base, "gs", options);
    *out = &gcs->base;
    return MOS_OK;
}
