// Azure Blob: block blobs, with a shared key (HMAC by libsodium) or a shared access signature. What is not large goes in one piece, for
// then the server itself knows its MD5; the rest goes in blocks.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/azure_answer.h"
#include "control/offsite/parts.h"

enum {
    HASH_TEXT_BYTES = 2 * MOS_STORE_HASH_BYTES + 1,
    DATE_BYTES = 40,
    MOST_BLOCKS = 50000,
    // In one piece: up to so many times the size of a part.
    ONE_PIECE = 8,
    KEY_LIMIT_BYTES = 256,
    OWN_HEADERS = 10,
    WHAT_BYTES = MOS_STORE_NAME_LIMIT + 64,
};

struct azure {
    mos_store base;
    mos_store_http *http;
    char *account;
    // NULL with a shared access signature.
    uint8_t *key;
    size_t key_bytes;
    // Without a '?'; "" with a key.
    char *sas;
    // Of the container, without a slash at its end; `path` is the part of it behind the host.
    char *url;
    const char *path;
    char *container;
    char prefix[MOS_STORE_NAME_LIMIT + 2];
    char *storage_class;
    char *archive_class;
    const char *lock_mode;
    int64_t part_bytes;
    int parallel_parts;
};

struct azure_request {
    const char *method;
    // NULL: the container.
    const char *name;
    // "comp=block" and the like, in order of their names; ends with NULL. Values are encoded when they are sent.
    const char *query[6][2];
    // "x-ms-…: value", in lower case; ends with NULL. In any order.
    const char *headers[OWN_HEADERS];
    // Values of these headers; NULL: not sent.
    const char *md5;
    const char *range;
    const char *content_type;
    bool if_none;
    const char *body;
    const struct mos_store_source *source;
    int64_t source_offset_bytes;
    int64_t source_size_bytes;
    mos_store_sink sink;
    void *sink_argument;
};

// "Sun, 06 Nov 1994 08:49:37 GMT" in any locale, rounded up to a second.
static void date_text(int64_t unix_ns, char text[DATE_BYTES]) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)((unix_ns + MOS_NS_PER_SECOND - 1) / MOS_NS_PER_SECOND);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    snprintf(text, DATE_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon],
             (parts.tm_year + 1900) % 10000, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

static int by_text(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

// The signature is over what is sent, in an order of its own.
static void append_authorization(const struct azure *azure, const struct azure_request *request, const char *const *headers, size_t count,
                                 int64_t length, struct mos_buffer *out) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    const char *sorted[OWN_HEADERS + 2];
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    char base64[MOS_STORE_BASE64_BYTES], size[24] = "";
    if (length > 0) {
        snprintf(size, sizeof(size), "%lld", (long long)length);
    }
    memcpy(sorted, headers, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_text);
    // Verb, encoding, language, length, MD5, type, date, four conditions, range.
    mos_buffer_printf(&text, "%s\n\n\n%s\n%s\n%s\n\n\n\n%s\n\n%s\n", request->method, size, request->md5 ? request->md5 : "",
                      request->content_type ? request->content_type : "", request->if_none ? "*" : "",
                      request->range ? request->range : "");
    for (size_t i = 0; i < count; i++) {
        const char *colon = strchr(sorted[i], ':');
        mos_buffer_printf(&text, "%.*s:%s\n", (int)(colon - sorted[i]), sorted[i], colon + 2);
    }
    mos_buffer_printf(&text, "/%s%s", azure->account, azure->path);
    if (request->name) {
        mos_buffer_printf(&text, "/%s%s", azure->prefix, request->name);
    }
    for (size_t i = 0; request->query[i][0]; i++) {
        mos_buffer_printf(&text, "\n%s:%s", request->query[i][0], request->query[i][1]);
    }
    crypto_auth_hmacsha256_init(&state, azure->key, azure->key_bytes);
    crypto_auth_hmacsha256_update(&state, text.data, text.size_bytes);
    crypto_auth_hmacsha256_final(&state, mac);
    mos_store_base64(mac, sizeof(mac), base64);
    mos_buffer_printf(out, "Authorization: SharedKey %s:%s", azure->account, base64);
}

static mos_status exchange(struct azure *azure, const struct azure_request *request, struct mos_store_http_response *out,
                           const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0), authorization = MOS_BUFFER_INIT(0);
    char date[DATE_BYTES], date_header[64], md5[96], range[96], type[96];
    struct mos_store_http_request plain = {.method = request->method,
                                           .body = request->body,
                                           .body_bytes = request->body ? strlen(request->body) : 0,
                                           .source = request->source,
                                           .source_offset_bytes = request->source_offset_bytes,
                                           .source_size_bytes = request->source_size_bytes,
                                           .sink = request->sink,
                                           .sink_argument = request->sink_argument};
    size_t count = 0;
    date_text(mos_now_unix_ns() - MOS_NS_PER_SECOND + 1, date);
    snprintf(date_header, sizeof(date_header), "x-ms-date: %s", date);
    plain.headers[count++] = date_header;
    plain.headers[count++] = "x-ms-version: 2021-12-02";
    for (size_t i = 0; request->headers[i]; i++) {
        plain.headers[count++] = request->headers[i];
    }
    if (azure->key) {
        append_authorization(azure, request, plain.headers, count, request->body ? (int64_t)plain.body_bytes : request->source_size_bytes,
                             &authorization);
        plain.headers[count++] = mos_buffer_text(&authorization);
    }
    if (request->md5) {
        snprintf(md5, sizeof(md5), "Content-MD5: %s", request->md5);
        plain.headers[count++] = md5;
    }
    if (request->range) {
        snprintf(range, sizeof(range), "Range: %s", request->range);
        plain.headers[count++] = range;
    }
    if (request->if_none) {
        plain.headers[count++] = "If-None-Match: *";
    }
    // Without one, curl would say its own.
    snprintf(type, sizeof(type), "Content-Type:%s%s", request->content_type ? " " : "", request->content_type ? request->content_type : "");
    plain.headers[count++] = type;
    mos_buffer_append_text(&url, azure->url);
    if (request->name) {
        mos_buffer_printf(&url, "/%s%s", azure->prefix, request->name);
    }
    for (size_t i = 0; request->query[i][0]; i++) {
        mos_buffer_printf(&url, "%c%s=", i == 0 ? '?' : '&', request->query[i][0]);
        mos_store_url_encode(&url, request->query[i][1], false);
    }
    if (*azure->sas) {
        mos_buffer_printf(&url, "%c%s", request->query[0][0] ? '&' : '?', azure->sas);
    }
    plain.url = mos_buffer_text(&url);
    mos_status status = mos_store_http_exchange(azure->http, &plain, out, call, error);
    sodium_memzero(url.data, url.capacity_bytes);
    return status;
}

// Of an answer that is no success.
static mos_status fail_blob(const struct azure *azure, const struct mos_store_http_response *response, const char *name, const char *verb,
                            struct mos_error *error) {
    char what[WHAT_BYTES];
    snprintf(what, sizeof(what), "%s cannot be %s", name, verb);
    struct mos_error reason = {0};
    mos_status status = mos_azure_fail(response, what, &reason);
    if (status == MOS_NOT_FOUND) {
        return mos_fail(error, MOS_NOT_FOUND, "there is no object %s in %s", name, azure->base.location);
    }
    if (error) {
        *error = reason;
    }
    return status;
}

static mos_status fail_container(const struct azure *azure, const struct mos_store_http_response *response, struct mos_error *error) {
    mos_status status = mos_azure_fail(response, "the container cannot be listed", error);
    return status == MOS_NOT_FOUND ? mos_fail(error, MOS_FAILED_PRECONDITION, "there is no container %s", azure->container) : status;
}

static mos_status head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                       struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    const struct azure_request request = {.method = "HEAD", .name = name};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(azure, &request, &response, call, error);
    if (status != MOS_OK) {
        return status;
    }
    if (response.code != 200) {
        return fail_blob(azure, &response, name, "looked at", error);
    }
    snprintf(out->name, sizeof(out->name), "%s", name);
    mos_azure_read_object(&response, out);
    return MOS_OK;
}

// The headers of an object, whether it goes in one piece or in blocks. They point into `texts`.
struct written {
    char sha256[64 + HASH_TEXT_BYTES];
    char md5[64 + MOS_STORE_BASE64_BYTES];
    char tier[96];
    char until[64 + DATE_BYTES];
    char mode[64];
};

static size_t object_headers(const struct azure *azure, const struct mos_store_source *source, const struct mos_store_put_options *options,
                             struct written *texts, const char **headers) {
    char hex[HASH_TEXT_BYTES], date[DATE_BYTES];
    size_t count = 0;
    mos_hex_encode(source->sha256, MOS_STORE_HASH_BYTES, hex);
    snprintf(texts->sha256, sizeof(texts->sha256), "x-ms-meta-mosaajii_sha256: %s", hex);
    headers[count++] = texts->sha256;
    if (*azure->storage_class) {
        snprintf(texts->tier, sizeof(texts->tier), "x-ms-access-tier: %s", azure->storage_class);
        headers[count++] = texts->tier;
    }
    if (options->retain_until_unix_ns > 0) {
        date_text(options->retain_until_unix_ns, date);
        snprintf(texts->until, sizeof(texts->until), "x-ms-immutability-policy-until-date: %s", date);
        snprintf(texts->mode, sizeof(texts->mode), "x-ms-immutability-policy-mode: %s", azure->lock_mode);
        headers[count++] = texts->until;
        headers[count++] = texts->mode;
    }
    return count;
}

static mos_status put_piece(struct azure *azure, const char *name, const struct mos_store_source *source,
                            const struct mos_store_put_options *options, const char *md5, const struct mos_store_call *call,
                            struct mos_error *error) {
    struct written texts;
    struct azure_request request = {.method = "PUT",
                                    .name = name,
                                    .md5 = md5,
                                    .content_type = "application/octet-stream",
                                    .if_none = true,
                                    .source = source,
                                    .source_size_bytes = source->size_bytes};
    size_t count = object_headers(azure, source, options, &texts, request.headers);
    snprintf(texts.md5, sizeof(texts.md5), "x-ms-meta-mosaajii_md5: %s", md5);
    request.headers[count++] = texts.md5;
    request.headers[count++] = "x-ms-blob-type: BlockBlob";
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(azure, &request, &response, call, error);
    return status != MOS_OK || response.code == 201 ? status : fail_blob(azure, &response, name, "written", error);
}

struct upload {
    struct azure *azure;
    const char *name;
    const struct mos_store_source *source;
    // In every block's id, so that another upload of the same name uses others.
    char id[MOS_ID_TEXT_BYTES];
};

static void block_id(const struct upload *upload, int number, char base64[96]) {
    char text[64];
    int length = snprintf(text, sizeof(text), "%s-%06d", upload->id, number);
    sodium_bin2base64(base64, 96, (const unsigned char *)text, (size_t)length, sodium_base64_VARIANT_ORIGINAL);
}

static mos_status send_block(void *argument, int number, int64_t offset_bytes, int64_t size_bytes, const struct mos_store_call *call,
                             struct mos_error *error) {
    const struct upload *upload = argument;
    const struct mos_store_source part = {.data = upload->source->data ? (const uint8_t *)upload->source->data + offset_bytes : NULL,
                                          .descriptor = upload->source->descriptor,
                                          .offset_bytes = upload->source->offset_bytes + offset_bytes,
                                          .size_bytes = size_bytes};
    char id[96], md5[MOS_STORE_BASE64_BYTES];
    block_id(upload, number, id);
    mos_status status = mos_store_part_md5(&part, md5, call, error);
    if (status != MOS_OK) {
        return status;
    }
    const struct azure_request request = {.method = "PUT",
                                          .name = upload->name,
                                          .query = {{"blockid", id}, {"comp", "block"}},
                                          .md5 = md5,
                                          .content_type = "application/octet-stream",
                                          .source = &part,
                                          .source_size_bytes = size_bytes};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    status = exchange(upload->azure, &request, &response, call, error);
    return status != MOS_OK || response.code == 201 ? status : fail_blob(upload->azure, &response, upload->name, "written", error);
}

static mos_status put_blocks(struct azure *azure, const char *name, const struct mos_store_source *source,
                             const struct mos_store_put_options *options, const char *md5, const struct mos_store_call *call,
                             struct mos_error *error) {
    struct upload upload = {.azure = azure, .name = name, .source = source};
    const struct mos_store_parts parts = {.size_bytes = source->size_bytes,
                                          .part_bytes = mos_store_part_bytes(source->size_bytes, azure->part_bytes, MOST_BLOCKS),
                                          .parallel = azure->parallel_parts,
                                          .work = send_block,
                                          .argument = &upload};
    MOS_CLEANUP_BUFFER struct mos_buffer body = MOS_BUFFER_INIT(0);
    struct written texts;
    char whole[96];
    mos_id_new(upload.id);
    mos_status status = mos_store_parts_run(&parts, call, error);
    if (status != MOS_OK) {
        // Blocks that belong to nothing go by themselves after a week.
        return status;
    }
    mos_buffer_append_text(&body, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for (int i = 0; i < mos_store_part_count(source->size_bytes, parts.part_bytes); i++) {
        char id[96];
        block_id(&upload, i, id);
        mos_buffer_printf(&body, "<Uncommitted>%s</Uncommitted>", id);
    }
    mos_buffer_append_text(&body, "</BlockList>");
    struct azure_request request = {.method = "PUT",
                                    .name = name,
                                    .query = {{"comp", "blocklist"}},
                                    .content_type = "application/xml",
                                    .if_none = true,
                                    .body = mos_buffer_text(&body)};
    size_t count = object_headers(azure, source, options, &texts, request.headers);
    snprintf(whole, sizeof(whole), "x-ms-blob-content-md5: %s", md5);
    request.headers[count++] = whole;
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    status = exchange(azure, &request, &response, call, error);
    return status != MOS_OK || response.code == 201 ? status : fail_blob(azure, &response, name, "written", error);
}

static mos_status put(mos_store *store, const char *name, const struct mos_store_source *source,
                      const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                      struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    struct mos_store_object there = {0};
    char md5[MOS_STORE_BASE64_BYTES];
    mos_status status = head(store, name, &there, call, error);
    if (status != MOS_NOT_FOUND) {
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    bool piece = source->size_bytes <= ONE_PIECE * azure->part_bytes;
    status = mos_store_source_md5(name, source, md5, call, error);
    if (status == MOS_OK) {
        status =
            piece ? put_piece(azure, name, source, options, md5, call, error) : put_blocks(azure, name, source, options, md5, call, error);
    }
    if (status == MOS_ALREADY_EXISTS) {
        status = head(store, name, &there, call, error);
        return status == MOS_OK ? mos_store_same(&there, source, out, error) : status;
    }
    out->checksum = piece ? MOS_STORE_CHECKSUM_SERVER : MOS_STORE_CHECKSUM_WRITER;
    return status;
}

static mos_status get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                      void *sink_argument, const struct mos_store_call *call, struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    char range[64];
    bool part = offset_bytes > 0 || size_bytes > 0;
    mos_store_http_range(offset_bytes, size_bytes, range);
    const struct azure_request request = {
        .method = "GET", .name = name, .range = part ? range + strlen("Range: ") : NULL, .sink = sink, .sink_argument = sink_argument};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(azure, &request, &response, call, error);
    if (status != MOS_OK || response.code == (part ? 206 : 200)) {
        return status;
    }
    if (response.code == 200) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s cannot be read: the server knows no ranges", name);
    }
    struct mos_error reason = {0};
    status = fail_blob(azure, &response, name, "read", &reason);
    if (strstr(reason.message, "BlobArchived") || strstr(reason.message, "BlobBeingRehydrated")) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%s is archived and must be thawed before it can be read", name);
    }
    if (error) {
        *error = reason;
    }
    return status;
}

static mos_status list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                       const struct mos_store_call *call, struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    char most[16], whole[2 * MOS_STORE_NAME_LIMIT + 2];
    snprintf(most, sizeof(most), "%d", limit);
    snprintf(whole, sizeof(whole), "%s%s", azure->prefix, prefix);
    struct azure_request request = {.method = "GET", .query = {{"comp", "list"}}};
    size_t count = 1;
    if (after) {
        request.query[count][0] = "marker";
        request.query[count++][1] = after;
    }
    request.query[count][0] = "maxresults";
    request.query[count++][1] = most;
    if (*whole) {
        request.query[count][0] = "prefix";
        request.query[count++][1] = whole;
    }
    request.query[count][0] = "restype";
    request.query[count++][1] = "container";
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(azure, &request, &response, call, error);
    if (status == MOS_OK && response.code != 200) {
        return fail_container(azure, &response, error);
    }
    return status == MOS_OK ? mos_azure_read_page(response.body.data, response.body.size_bytes, azure->prefix, limit, arena, out, error)
                            : status;
}

static mos_status delete_object(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    const struct azure_request request = {.method = "DELETE", .name = name};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(azure, &request, &response, call, error);
    if (status != MOS_OK || response.code == 202) {
        return status;
    }
    status = fail_blob(azure, &response, name, "deleted", error);
    return status == MOS_NOT_FOUND ? MOS_OK : status;
}

static mos_status change(struct azure *azure, const char *name, const char *component, const char *first, const char *second,
                         const struct mos_store_call *call, struct mos_error *error) {
    const struct azure_request request = {.method = "PUT", .name = name, .query = {{"comp", component}}, .headers = {first, second}};
    MOS_CLEANUP_RESPONSE struct mos_store_http_response response;
    mos_status status = exchange(azure, &request, &response, call, error);
    return status != MOS_OK || response.code == 200 || response.code == 202 ? status : fail_blob(azure, &response, name, "changed", error);
}

static mos_status retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                         struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    struct mos_store_object object = {0};
    char date[DATE_BYTES], until[64 + DATE_BYTES], mode[64];
    mos_status status = head(store, name, &object, call, error);
    if (status != MOS_OK || object.retained_until_unix_ns >= until_unix_ns) {
        return status;
    }
    date_text(until_unix_ns, date);
    snprintf(until, sizeof(until), "x-ms-immutability-policy-until-date: %s", date);
    snprintf(mode, sizeof(mode), "x-ms-immutability-policy-mode: %s", azure->lock_mode);
    return change(azure, name, "immutabilityPolicies", until, mode, call, error);
}

static mos_status archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    struct mos_store_object object = {0};
    char tier[96];
    snprintf(tier, sizeof(tier), "x-ms-access-tier: %s", azure->archive_class);
    mos_status status = change(azure, name, "tier", tier, NULL, call, error);
    status = status == MOS_OK ? head(store, name, &object, call, error) : status;
    return status == MOS_OK ? mos_store_confirm_class(store, &object, azure->archive_class, error) : status;
}

// Out of the archive for good: Azure knows no days.
static mos_status thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error) {
    struct azure *azure = (struct azure *)store;
    struct mos_store_object object = {0};
    (void)days;
    mos_status status = head(store, name, &object, call, error);
    return status != MOS_OK || object.state != MOS_STORE_ARCHIVED
               ? status
               : change(azure, name, "tier", "x-ms-access-tier: Hot", "x-ms-rehydrate-priority: Standard", call, error);
}

static void close_store(mos_store *store) {
    struct azure *azure = (struct azure *)store;
    mos_store_http_destroy(azure->http);
    if (azure->key) {
        sodium_memzero(azure->key, azure->key_bytes);
        free(azure->key);
    }
    mos_store_wipe(azure->sas);
    free(azure->account);
    free(azure->url);
    free(azure->container);
    free(azure->storage_class);
    free(azure->archive_class);
    free(azure);
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

static mos_status check(const struct mos_store_options *options, struct mos_error *error) {
    size_t length = strlen(options->bucket), account = strlen(options->account);
    if (length < 3 || length > 63 || strspn(options->bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") != length) {
        return mos_fail_field(error, "OFFSITE_BUCKET", "OFFSITE_BUCKET is \"%.100s\"; Azure allows 3 to 63 of a-z, 0-9 and '-'",
                              options->bucket);
    }
    if (account < 3 || account > 24 || strspn(options->account, "abcdefghijklmnopqrstuvwxyz0123456789") != account) {
        return mos_fail_field(error, "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT is \"%.100s\"; allowed are 3 to 24 of a-z and 0-9",
                              options->account);
    }
    if (!*options->account_key && !*options->sas_token) {
        return mos_fail_field(error, "AZURE_STORAGE_KEY",
                              "neither AZURE_STORAGE_KEY nor AZURE_STORAGE_SAS_TOKEN is set, and Azure needs one of them");
    }
    if (strpbrk(options->sas_token, "\r\n #") || strlen(options->sas_token) > 4096) {
        return mos_fail_field(error, "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_TOKEN is no shared access signature");
    }
    return *options->endpoint ? mos_store_endpoint_check(options->endpoint, error) : MOS_OK;
}

static void set_url(struct azure *azure, const struct mos_store_options *options) {
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    size_t endpoint = strlen(options->endpoint), account = strlen(options->account);
    if (endpoint == 0) {
        mos_buffer_printf(&text, "https://%s.blob.core.windows.net", options->account);
    } else {
        const char *host = strstr(options->endpoint, "://") + 3;
        mos_buffer_printf(&text, "%.*s", (int)(endpoint - (options->endpoint[endpoint - 1] == '/' ? 1 : 0)), options->endpoint);
        // An endpoint of several accounts has them in its path.
        if (strncmp(host, options->account, account) != 0 || host[account] != '.') {
            mos_buffer_printf(&text, "/%s", options->account);
        }
    }
    mos_buffer_printf(&text, "/%s", options->bucket);
    azure->url = mos_strdup(mos_buffer_text(&text));
    azure->path = strchr(strstr(azure->url, "://") + 3, '/');
}

mos_status mos_store_open_azure(mos_store **out, const struct mos_store_options *options, struct mos_error *error) {
    uint8_t key[KEY_LIMIT_BYTES];
    size_t key_bytes = 0;
    mos_status status = check(options, error);
    if (status != MOS_OK) {
        return status;
    }
    // With both, the key is used.
    if (*options->account_key && sodium_base642bin(key, sizeof(key), options->account_key, strlen(options->account_key), NULL, &key_bytes,
                                                   NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return mos_fail_field(error, "AZURE_STORAGE_KEY", "AZURE_STORAGE_KEY is not base64");
    }
    struct azure *azure = mos_calloc(1, sizeof(*azure));
    azure->base = (mos_store){.driver = &driver,
                              .provider = MOS_STORE_AZURE_BLOB,
                              .capabilities = {.server_checksum = true,
                                               .retention = true,
                                               .archive = true,
                                               .exclusive_put = true,
                                               .largest_object_bytes = INT64_C(190) << 40}};
    if (key_bytes > 0) {
        azure->key = mos_malloc(key_bytes);
        memcpy(azure->key, key, key_bytes);
        azure->key_bytes = key_bytes;
    }
    sodium_memzero(key, sizeof(key));
    const char *sas = options->sas_token;
    azure->sas = mos_strdup(key_bytes > 0 ? "" : *sas == '?' ? sas + 1 : sas);
    azure->account = mos_strdup(options->account);
    azure->container = mos_strdup(options->bucket);
    azure->storage_class = mos_strdup(options->storage_class);
    azure->archive_class = mos_strdup(*options->archive_class ? options->archive_class : "Archive");
    azure->lock_mode = options->soft_lock ? "Unlocked" : "Locked";
    azure->part_bytes = options->part_bytes;
    azure->parallel_parts = options->parallel_parts;
    snprintf(azure->prefix, sizeof(azure->prefix), "%s%s", options->prefix, *options->prefix ? "/" : "");
    set_url(azure, options);
    azure->http = mos_store_http_create("Azure", options);
    mos_store_location_text(&azure->base, "azure", options);
    *out = &azure->base;
    return MOS_OK;
}
