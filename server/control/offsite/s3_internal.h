// What the two files of the S3 driver share.
#ifndef MOS_CONTROL_OFFSITE_S3_INTERNAL_H
#define MOS_CONTROL_OFFSITE_S3_INTERNAL_H

#include <stdatomic.h>

#include "control/offsite/http.h"

enum { MOS_S3_DATE_BYTES = 24 };

struct mos_s3 {
    mos_store base;
    mos_store_http *http;
    // Without a slash at its end.
    char *bucket_url;
    char *bucket;
    char prefix[MOS_STORE_NAME_LIMIT + 2];
    char signature[96];
    char *access_key_id;
    char *secret_access_key;
    // "x-amz-security-token: …", or "".
    char *token_header;
    char *storage_class_header;
    char *archive_class;
    const char *lock_mode;
    int64_t part_bytes;
    int parallel_parts;
    // The bucket has answered once: what is not found is an object.
    atomic_bool known;
    // The server knows no If-None-Match.
    atomic_bool unconditional;
};

struct mos_s3_request {
    const char *method;
    // NULL: the bucket itself.
    const char *name;
    // In order of its names and encoded, as the signature wants it; NULL: none.
    const char *query;
    // Up to 12 beside those of every request.
    const char *headers[12];
    const char *body;
    size_t body_bytes;
    const struct mos_store_source *source;
    int64_t source_offset_bytes;
    int64_t source_size_bytes;
    // Of a source's part.
    const uint8_t *sha256;
    mos_store_sink sink;
    void *sink_argument;
};

mos_status mos_s3_exchange(struct mos_s3 *s3, const struct mos_s3_request *request, struct mos_store_http_response *out,
                           const struct mos_store_call *call, struct mos_error *error);
mos_status mos_s3_put_parts(struct mos_s3 *s3, const char *name, const struct mos_store_source *source,
                            const struct mos_store_put_options *options, const struct mos_store_call *call, struct mos_error *error);
mos_status mos_s3_sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                        struct mos_error *error);
// "2026-01-31T12:00:00Z", rounded up to a second.
void mos_s3_date(int64_t unix_ns, char text[MOS_S3_DATE_BYTES]);

#endif
