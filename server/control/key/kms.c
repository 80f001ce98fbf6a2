#include "control/key/kms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/key/driver.h"

enum { ATTEMPTS = 3, PAUSE_MS = 200, LONGER = 4 };

static const struct mos_kms_driver *const drivers[] = {&mos_kms_aws, &mos_kms_vault};

struct mos_kms {
    struct mos_kms_options options;
    char reference[512];
};

static mos_status need(const char *value, const char *provider, const char *setting, struct mos_error *error) {
    return *value ? MOS_OK : mos_fail_field(error, setting, "%s is not set; KMS_PROVIDER %s needs it", setting, provider);
}

static mos_status check_aws(const struct mos_kms_options *options, struct mos_error *error) {
    mos_status status = need(options->aws_key_id, "AWS_KMS", "AWS_KMS_KEY_ID", error);
    status = status == MOS_OK ? need(options->aws_region, "AWS_KMS", "AWS_KMS_REGION", error) : status;
    status = status == MOS_OK ? need(options->aws_access_key_id, "AWS_KMS", "AWS_ACCESS_KEY_ID", error) : status;
    return status == MOS_OK ? need(options->aws_secret_access_key, "AWS_KMS", "AWS_SECRET_ACCESS_KEY", error) : status;
}

static mos_status check_vault(const struct mos_kms_options *options, struct mos_error *error) {
    mos_status status = need(options->vault_address, "VAULT", "VAULT_ADDR", error);
    status = status == MOS_OK ? need(options->vault_token, "VAULT", "VAULT_TOKEN", error) : status;
    return status == MOS_OK ? need(options->vault_key, "VAULT", "VAULT_TRANSIT_KEY", error) : status;
}

mos_status mos_kms_create(mos_kms **out, const struct mos_kms_options *options, struct mos_error *error) {
    bool aws = strcmp(options->provider, "AWS_KMS") == 0;
    bool vault = strcmp(options->provider, "VAULT") == 0;
    mos_status status = aws ? check_aws(options, error) : vault ? check_vault(options, error) : MOS_OK;
    if (status != MOS_OK) {
        return status;
    }
    mos_kms *kms = mos_calloc(1, sizeof(*kms));
    kms->options = *options;
    if (aws || vault) {
        snprintf(kms->reference, sizeof(kms->reference), "%s:%s", aws ? "aws" : "vault", aws ? options->aws_key_id : options->vault_key);
    }
    *out = kms;
    return MOS_OK;
}

void mos_kms_destroy(mos_kms *kms) {
    free(kms);
}

const char *mos_kms_reference(const mos_kms *kms) {
    return kms->reference;
}

// The driver of a reference, and the key's name within its service.
static const struct mos_kms_driver *find(const char *reference, const char **out_key) {
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        size_t length = strlen(drivers[i]->scheme);
        if (strncmp(reference, drivers[i]->scheme, length) == 0 && reference[length] == ':') {
            *out_key = reference + length + 1;
            return drivers[i];
        }
    }
    return NULL;
}

static mos_status find_ready(const mos_kms *kms, const char *reference, const struct mos_kms_driver **out, const char **out_key,
                             struct mos_error *error) {
    *out = find(reference, out_key);
    if (!*out) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the key reference \"%.100s\" is of no service that this version knows", reference);
    }
    // A key of another provider than the one that is chosen now may still be needed to unwrap.
    struct mos_error missing = {0};
    mos_status status =
        *out == &mos_kms_aws ? need(kms->options.aws_region, "AWS_KMS", "AWS_KMS_REGION", &missing) : check_vault(&kms->options, &missing);
    return status == MOS_OK ? MOS_OK
                            : mos_fail(error, MOS_FAILED_PRECONDITION, "the key %s cannot be reached: %s", reference, missing.message);
}

static bool worth_another(mos_status status) {
    return status == MOS_UNAVAILABLE || status == MOS_RESOURCE_EXHAUSTED;
}

static void pause_before(const mos_kms *kms, int attempt) {
    int64_t pause_ms = kms->options.pause_ms ? kms->options.pause_ms : PAUSE_MS;
    for (int i = 1; i < attempt; i++) {
        pause_ms *= LONGER;
    }
    const struct timespec pause = {pause_ms / 1000, pause_ms % 1000 * MOS_NS_PER_MS};
    nanosleep(&pause, NULL);
}

static mos_status transform(mos_kms *kms, bool unwrap, const char *reference, const uint8_t *data, size_t size_bytes,
                            struct mos_buffer *out, struct mos_error *error) {
    const struct mos_kms_driver *driver;
    const char *key = "";
    mos_status status = find_ready(kms, reference, &driver, &key, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_error cause = {0};
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt > 0) {
            pause_before(kms, attempt);
        }
        status = (unwrap ? driver->unwrap : driver->wrap)(&kms->options, key, data, size_bytes, out, &cause);
        if (!worth_another(status)) {
            break;
        }
        mos_log_warning("the KMS did not answer as it should", MOS_TEXT("key", reference), MOS_NUMBER("attempt", attempt + 1),
                        MOS_TEXT("reason", cause.message));
    }
    return status == MOS_OK ? MOS_OK
                            : mos_fail(error, status, "the key %s cannot %s: %s", reference, unwrap ? "unwrap" : "wrap", cause.message);
}

mos_status mos_kms_wrap(mos_kms *kms, const char *reference, const uint8_t *plain, size_t plain_bytes, struct mos_buffer *out,
                        struct mos_error *error) {
    return transform(kms, false, reference, plain, plain_bytes, out, error);
}

mos_status mos_kms_unwrap(mos_kms *kms, const char *reference, const uint8_t *wrapped, size_t wrapped_bytes, struct mos_buffer *out,
                          struct mos_error *error) {
    return transform(kms, true, reference, wrapped, wrapped_bytes, out, error);
}

mos_status mos_kms_check(mos_kms *kms, struct mos_error *error) {
    const struct mos_kms_driver *driver;
    const char *key = "";
    if (!*kms->reference) {
        return MOS_OK;
    }
    mos_status status = find_ready(kms, kms->reference, &driver, &key, error);
    return status == MOS_OK ? driver->describe(&kms->options, key, error) : status;
}

mos_status mos_kms_rotate(mos_kms *kms, struct mos_error *error) {
    const struct mos_kms_driver *driver;
    const char *key = "";
    if (!*kms->reference) {
        return MOS_OK;
    }
    mos_status status = find_ready(kms, kms->reference, &driver, &key, error);
    return status == MOS_OK && driver->rotate ? driver->rotate(&kms->options, key, error) : status;
}
