// Key management services, for engines that need a key wrapped or unwrapped (docs/design/keys.md). Thread safe.
#ifndef MOS_CONTROL_KEY_KMS_H
#define MOS_CONTROL_KEY_KMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/status.h"

// Borrowed texts; "" where nothing is set.
struct mos_kms_options {
    // LOCAL, AWS_KMS or VAULT.
    const char *provider;
    const char *aws_key_id;
    const char *aws_region;
    const char *aws_endpoint;
    const char *aws_access_key_id;
    const char *aws_secret_access_key;
    const char *aws_session_token;
    const char *vault_address;
    const char *vault_token;
    const char *vault_mount;
    const char *vault_key;
    // PEM; "": the system's.
    const char *ca_file;
    // Of one exchange.
    int timeout_ms;
    // Before the second and the third attempt; 0: 200 and 800.
    int pause_ms;
};

typedef struct mos_kms mos_kms;

// MOS_INVALID_ARGUMENT, naming the setting, where the provider lacks one. The options' texts must outlive it. On MOS_OK *out is the
// caller's.
mos_status mos_kms_create(mos_kms **out, const struct mos_kms_options *options, struct mos_error *error);
// NULL is fine.
void mos_kms_destroy(mos_kms *kms);

// What new key versions refer to: "" for LOCAL, else "aws:<key>" or "vault:<key>". Borrowed.
const char *mos_kms_reference(const mos_kms *kms);
// Appends to `out`, which its caller wipes. What may work later is tried three times. Statuses as in driver.h; MOS_FAILED_PRECONDITION too
// where the settings for the reference's service are not there.
mos_status mos_kms_wrap(mos_kms *kms, const char *reference, const uint8_t *plain, size_t plain_bytes, struct mos_buffer *out,
                        struct mos_error *error);
mos_status mos_kms_unwrap(mos_kms *kms, const char *reference, const uint8_t *wrapped, size_t wrapped_bytes, struct mos_buffer *out,
                          struct mos_error *error);
// The key that new versions refer to is there and may be used. MOS_OK for LOCAL.
mos_status mos_kms_check(mos_kms *kms, struct mos_error *error);
// A new version of that key within its service, where the service has such a thing.
mos_status mos_kms_rotate(mos_kms *kms, struct mos_error *error);

#endif
