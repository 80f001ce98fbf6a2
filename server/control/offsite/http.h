// Exchanges over HTTP for the drivers of offsite stores: connections are kept and used again, certificates are always checked, nothing is
// redirected. Thread safe: every exchange has a connection of its own.
#ifndef MOS_CONTROL_OFFSITE_HTTP_H
#define MOS_CONTROL_OFFSITE_HTTP_H

#include "common/buffer.h"
#include "control/offsite/store_internal.h"

typedef struct mos_store_http mos_store_http;

enum { MOS_STORE_HTTP_HEADERS = 24, MOS_STORE_HTTP_VALUE_BYTES = 1024 };

// `provider` names the other side in errors, as "S3"; the text is borrowed for good. The rest is copied.
mos_store_http *mos_store_http_create(const char *provider, const struct mos_store_options *options);
void mos_store_http_destroy(mos_store_http *http);

struct mos_store_http_request {
    const char *method;
    const char *url;
    // "Name: value"; ends with NULL.
    const char *headers[MOS_STORE_HTTP_HEADERS];
    // What is sent: memory, or a part of a source; none where both are NULL.
    const char *body;
    size_t body_bytes;
    const struct mos_store_source *source;
    int64_t source_offset_bytes;
    int64_t source_size_bytes;
    // Version 4 of AWS's signature, as "aws:amz:eu-central-1:s3"; NULL: none.
    const char *signature;
    const char *user;
    const char *password;
    // Takes the body of an answer that is 200 or 206; without it, and of other answers, the body goes into response->body.
    mos_store_sink sink;
    void *sink_argument;
};

struct mos_store_http_response {
    long code;
    struct mos_buffer body;
    // "name: value" and a line feed each, names in lower case.
    struct mos_buffer headers;
};
void mos_store_http_response_free(struct mos_store_http_response *response);
#define MOS_CLEANUP_RESPONSE __attribute__((cleanup(mos_store_http_response_free)))

// MOS_OK for any answer that came whole; its code says the rest. UNAVAILABLE, DEADLINE_EXCEEDED, UNAUTHENTICATED (a certificate that is not
// right), CANCELLED, or what the sink or the source said otherwise. *out is to be freed in any case.
mos_status mos_store_http_exchange(mos_store_http *http, const struct mos_store_http_request *request, struct mos_store_http_response *out,
                                   const struct mos_store_call *call, struct mos_error *error);
// The value of a header of the answer; "" where there is none. `name` in lower case.
const char *mos_store_http_header(const struct mos_store_http_response *response, const char *name, char value[MOS_STORE_HTTP_VALUE_BYTES]);

// "Range: bytes=…" for what get is asked for.
void mos_store_http_range(int64_t offset_bytes, int64_t size_bytes, char text[64]);
// A text for a query or a path: all but A-Z, a-z, 0-9, '-', '.', '_' and '~' becomes %XX; with `slashes`, '/' stays.
void mos_store_url_encode(struct mos_buffer *out, const char *text, bool slashes);
// https://host[:port] with nothing behind, or http:// where the host is loopback.
mos_status mos_store_endpoint_check(const char *endpoint, struct mos_error *error);
// The status of an answer whose code says all there is to say.
mos_status mos_store_http_status(long code);
// "Sun, 06 Nov 1994 08:49:37 GMT"; 0 where it is none.
int64_t mos_store_http_date(const char *text);

#endif
