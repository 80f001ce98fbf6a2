// What S3 and compatible servers answer, read from bytes that nobody vouches for.
#ifndef MOS_CONTROL_OFFSITE_S3_ANSWER_H
#define MOS_CONTROL_OFFSITE_S3_ANSWER_H

#include "control/offsite/http.h"
#include "control/offsite/xml.h"

// Why a request failed: the error that the body tells, or else what the code says. `what` begins the sentence, as "packs/a cannot be read".
mos_status mos_s3_fail(const struct mos_store_http_response *response, const char *what, struct mos_error *error);
// The code that the body of a failure tells; "" where it is none. Lives in the arena.
const char *mos_s3_error_code(const struct mos_store_http_response *response, mos_arena *arena);
// A page of ListObjectsV2, without objects whose name is none of ours. `prefix` is that of the store, with its slash.
mos_status mos_s3_read_page(const void *text, size_t size_bytes, const char *prefix, int limit, mos_arena *arena,
                            struct mos_store_page *out, struct mos_error *error);

struct mos_s3_upload {
    const char *key;
    const char *id;
    int64_t begun_unix_ns;
};
// A page of ListMultipartUploads; *out_next_key and *out_next_id are "" after the last.
mos_status mos_s3_read_uploads(const void *text, size_t size_bytes, mos_arena *arena, struct mos_s3_upload **out, size_t *out_count,
                               const char **out_next_key, const char **out_next_id, struct mos_error *error);
// The id of InitiateMultipartUpload; "" where there is none. Lives in the arena.
const char *mos_s3_read_upload_id(const void *text, size_t size_bytes, mos_arena *arena);
// Headers of a HEAD or GET. Also whether the checksum that the server tells is the one that was written with the object.
void mos_s3_read_object(const struct mos_store_http_response *response, struct mos_store_object *out);

#endif
