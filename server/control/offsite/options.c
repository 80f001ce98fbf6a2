// What a store is opened with, from the settings and from locations.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "control/offsite/object_store.h"

static void take_common(const mos_settings *settings, struct mos_store_options *out) {
#define TEXT(setting) mos_setting_text(settings, MOS_SETTING_##setting)
    out->ca_file = TEXT(OFFSITE_CA_FILE);
    out->virtual_host = mos_setting_flag(settings, MOS_SETTING_OFFSITE_VIRTUAL_HOST);
    out->storage_class = TEXT(OFFSITE_STORAGE_CLASS);
    out->archive_class = TEXT(OFFSITE_ARCHIVE_CLASS);
    out->soft_lock = mos_setting_flag(settings, MOS_SETTING_OFFSITE_SOFT_LOCK);
    out->timeout_ms = (int)mos_setting_number(settings, MOS_SETTING_OFFSITE_TIMEOUT_SECONDS) * 1000;
    out->part_bytes = mos_setting_number(settings, MOS_SETTING_OFFSITE_PART_MIB) << 20;
    out->access_key_id = TEXT(AWS_ACCESS_KEY_ID);
    out->secret_access_key = TEXT(AWS_SECRET_ACCESS_KEY);
    out->session_token = TEXT(AWS_SESSION_TOKEN);
    out->account = TEXT(AZURE_STORAGE_ACCOUNT);
    out->account_key = TEXT(AZURE_STORAGE_KEY);
    out->sas_token = TEXT(AZURE_STORAGE_SAS_TOKEN);
    out->credentials_file = TEXT(GOOGLE_APPLICATION_CREDENTIALS);
    out->user = TEXT(SFTP_USER);
    out->private_key_file = TEXT(SFTP_PRIVATE_KEY);
    out->password = TEXT(SFTP_PASSWORD);
    out->known_hosts_file = TEXT(SFTP_KNOWN_HOSTS);
#undef TEXT
}

mos_status mos_store_options_from_settings(const mos_settings *settings, bool replica, struct mos_store_options *out,
                                           struct mos_error *error) {
#define WHICH(name) mos_setting_text(settings, replica ? MOS_SETTING_OFFSITE_REPLICA_##name : MOS_SETTING_OFFSITE_##name)
    const char *provider = replica ? "OFFSITE_REPLICA_PROVIDER" : "OFFSITE_PROVIDER";
    *out = (struct mos_store_options){0};
    if (!*WHICH(PROVIDER)) {
        mos_status status = mos_fail(error, MOS_FAILED_PRECONDITION, "%s is not set", provider);
        if (error) {
            snprintf(error->field, sizeof(error->field), "%s", provider);
        }
        return status;
    }
    take_common(settings, out);
    mos_store_provider_from_name(WHICH(PROVIDER), &out->provider);
    out->bucket = WHICH(BUCKET);
    out->region = WHICH(REGION);
    out->endpoint = WHICH(ENDPOINT);
    out->prefix = WHICH(PREFIX);
#undef WHICH
    return MOS_OK;
}

// Undoes %XX; NULL where it is malformed or stands for a zero.
static char *decode(mos_arena *arena, const char *text, size_t length) {
    char *out = mos_arena_alloc(arena, length + 1);
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            out[size++] = text[i];
            continue;
        }
        char digits[3] = {0};
        char *end;
        if (length - i < 3) {
            return NULL;
        }
        memcpy(digits, text + i + 1, 2);
        long byte = strtol(digits, &end, 16);
        if (*end || digits[0] == '+' || digits[0] == '-' || digits[0] == ' ' || byte == 0) {
            return NULL;
        }
        out[size++] = (char)byte;
        i += 2;
    }
    return out;
}

static mos_status fail_location(struct mos_error *error, const char *why) {
    return mos_fail_field(error, "from",
                          "the location %s; allowed is file:///path, s3://bucket/prefix, azure://container/prefix, gs://bucket/prefix or "
                          "sftp://user@host:port/path",
                          why);
}

static mos_status take_query(const char *query, mos_arena *arena, struct mos_store_options *out, struct mos_error *error) {
    const struct {
        const char *name;
        const char **value;
    } known[] = {{"region", &out->region}, {"endpoint", &out->endpoint}, {"account", &out->account}};
    while (*query) {
        size_t length = strcspn(query, "&");
        const char *equals = memchr(query, '=', length);
        bool found = false;
        for (size_t i = 0; equals && i < sizeof(known) / sizeof(known[0]); i++) {
            if (strlen(known[i].name) == (size_t)(equals - query) && strncmp(known[i].name, query, (size_t)(equals - query)) == 0) {
                *known[i].value = decode(arena, equals + 1, length - (size_t)(equals + 1 - query));
                found = *known[i].value != NULL;
            }
        }
        if (!found) {
            return fail_location(error, "has something behind '?' that is neither region=, endpoint= nor account=");
        }
        query += length + (query[length] == '&' ? 1 : 0);
    }
    return MOS_OK;
}

static mos_status take_host(const char *host, size_t length, mos_arena *arena, struct mos_store_options *out, struct mos_error *error) {
    const char *at = memchr(host, '@', length);
    if (at) {
        if (memchr(host, ':', (size_t)(at - host))) {
            return fail_location(error, "holds a password");
        }
        out->user = decode(arena, host, (size_t)(at - host));
        length -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    out->endpoint = mos_arena_printf(arena, "%.*s", (int)length, host);
    return length > 0 && out->user ? MOS_OK : fail_location(error, "names no host");
}

mos_status mos_store_options_from_location(const mos_settings *settings, const char *location, mos_arena *arena,
                                           struct mos_store_options *out, struct mos_error *error) {
    static const struct {
        const char *scheme;
        enum mos_store_provider provider;
        // All behind the host is the path.
        bool path;
    } schemes[] = {{"file://", MOS_STORE_LOCAL_REMOTE, true},
                   {"sftp://", MOS_STORE_SFTP, true},
                   {"s3://", MOS_STORE_S3, false},
                   {"azure://", MOS_STORE_AZURE_BLOB, false},
                   {"gs://", MOS_STORE_GOOGLE_CLOUD, false}};
    *out = (struct mos_store_options){0};
    take_common(settings, out);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t scheme = strlen(schemes[i].scheme);
        if (strncmp(location, schemes[i].scheme, scheme) != 0) {
            continue;
        }
        const char *host = location + scheme;
        size_t host_bytes = strcspn(host, "/?");
        const char *path = host + host_bytes;
        size_t path_bytes = strcspn(path, "?");
        out->provider = schemes[i].provider;
        mos_status status = path[path_bytes] == '?' ? take_query(path + path_bytes + 1, arena, out, error) : MOS_OK;
        if (status == MOS_OK && schemes[i].provider == MOS_STORE_SFTP) {
            status = take_host(host, host_bytes, arena, out, error);
        }
        if (status != MOS_OK) {
            return status;
        }
        if (schemes[i].path) {
            out->bucket = decode(arena, path, path_bytes);
            return out->bucket && *out->bucket && (schemes[i].provider == MOS_STORE_SFTP || host_bytes == 0)
                       ? MOS_OK
                       : fail_location(error, "names no path");
        }
        out->bucket = mos_arena_printf(arena, "%.*s", (int)host_bytes, host);
        out->prefix = decode(arena, path + (path_bytes > 0 ? 1 : 0), path_bytes > 0 ? path_bytes - 1 : 0);
        return host_bytes > 0 && out->prefix ? MOS_OK : fail_location(error, "names no bucket");
    }
    return fail_location(error, "is of no kind that is known");
}
