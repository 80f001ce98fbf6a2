// What a driver of a key management service promises. One const table a service, listed in kms.c alone.
//
// All functions block for one HTTP exchange, are thread safe, and never write what they are given anywhere but to the service.
// Failures: MOS_UNAVAILABLE (away, too slow, sealed), MOS_RESOURCE_EXHAUSTED (throttled): the same may work later, and the caller tries
// again. MOS_FAILED_PRECONDITION (key disabled, waiting to be deleted), MOS_NOT_FOUND (no such key, as in another region),
// MOS_PERMISSION_DENIED, MOS_CORRUPT (the service says that the bytes are not what it wrapped): no use in trying again.
#ifndef MOS_CONTROL_KEY_DRIVER_H
#define MOS_CONTROL_KEY_DRIVER_H

#include "common/buffer.h"
#include "common/json.h"
#include "control/key/kms.h"

struct mos_kms_driver {
    // Of references: "aws" for "aws:<key>".
    const char *scheme;
    // Append to `out`.
    mos_status (*wrap)(const struct mos_kms_options *options, const char *key, const uint8_t *plain, size_t plain_bytes,
                       struct mos_buffer *out, struct mos_error *error);
    mos_status (*unwrap)(const struct mos_kms_options *options, const char *key, const uint8_t *wrapped, size_t wrapped_bytes,
                         struct mos_buffer *out, struct mos_error *error);
    // MOS_OK: the key is there and may be used.
    mos_status (*describe)(const struct mos_kms_options *options, const char *key, struct mos_error *error);
    // A new version of the service's own key; NULL: the service does that by itself.
    mos_status (*rotate)(const struct mos_kms_options *options, const char *key, struct mos_error *error);
};

extern const struct mos_kms_driver mos_kms_aws;
extern const struct mos_kms_driver mos_kms_vault;

// ---- What drivers share: one exchange over HTTP, in buffers that are wiped ----

struct mos_kms_request {
    const char *url;
    // Whole lines, ends with NULL.
    const char *headers[6];
    // NULL: GET.
    const char *body;
    // "aws:amz:<region>:kms"; NULL: not signed.
    const char *signature;
    const char *user;
    const char *password;
};
struct mos_kms_response {
    long code;
    struct mos_buffer body;
};
// MOS_UNAVAILABLE with the reason where no answer came. The response is the caller's on MOS_OK, for mos_kms_response_free.
mos_status mos_kms_exchange(const struct mos_kms_options *options, const struct mos_kms_request *request, struct mos_kms_response *out,
                            struct mos_error *error);
// Wipes it.
void mos_kms_response_free(struct mos_kms_response *response);

// {"<name>":"<base64 of data>"…: appended as a JSON string.
void mos_kms_append_base64(struct mos_buffer *out, const uint8_t *data, size_t size_bytes);
// Appends what the text says to `out`, and wipes the text. false where it is not base64.
bool mos_kms_take_base64(const char *text, struct mos_buffer *out);
void mos_kms_wipe_buffer(struct mos_buffer *buffer);

#endif
