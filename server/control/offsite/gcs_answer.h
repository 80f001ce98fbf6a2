// What Google Cloud Storage answers, read from bytes that nobody vouches for.
#ifndef MOS_CONTROL_OFFSITE_GCS_ANSWER_H
#define MOS_CONTROL_OFFSITE_GCS_ANSWER_H

#include "common/json.h"
#include "control/offsite/hash.h"
#include "control/offsite/http.h"

// Why a request failed: the error that the body tells, or else what the code says. `what` begins the sentence.
mos_status mos_gcs_fail(const struct mos_store_http_response *response, const char *what, struct mos_error *error);
// The description of an object; false where it is none. The name is left as it is. `md5`, where it is not NULL, gets the server's MD5 in
// base64, or "".
bool mos_gcs_read_object(const void *text, size_t size_bytes, struct mos_store_object *out, char md5[MOS_STORE_BASE64_BYTES]);
// A page of objects, without those whose name is none of ours. `prefix` is that of the store, with its slash.
mos_status mos_gcs_read_page(const void *text, size_t size_bytes, const char *prefix, int limit, mos_arena *arena,
                             struct mos_store_page *out, struct mos_error *error);
// Of a rewrite: false where it is no answer to one. *out_token is NULL where it is done. Lives in the arena.
bool mos_gcs_read_rewrite(const void *text, size_t size_bytes, mos_arena *arena, const char **out_token);

#endif
