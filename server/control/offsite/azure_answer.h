// What Azure Blob answers, read from bytes that nobody vouches for.
#ifndef MOS_CONTROL_OFFSITE_AZURE_ANSWER_H
#define MOS_CONTROL_OFFSITE_AZURE_ANSWER_H

#include "control/offsite/http.h"
#include "control/offsite/xml.h"

// Why a request failed: the error that headers or body tell, or else what the code says. `what` begins the sentence.
mos_status mos_azure_fail(const struct mos_store_http_response *response, const char *what, struct mos_error *error);
// Headers of a HEAD.
void mos_azure_read_object(const struct mos_store_http_response *response, struct mos_store_object *out);
// A page of List Blobs, without those whose name is none of ours. `prefix` is that of the store, with its slash.
mos_status mos_azure_read_page(const void *text, size_t size_bytes, const char *prefix, int limit, mos_arena *arena,
                               struct mos_store_page *out, struct mos_error *error);

#endif
