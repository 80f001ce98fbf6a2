#include "common/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"

enum type {
    TEXT,
    PATH,
    PATHS,
    FLAG,
    DAYS,
    MINUTES,
    PORT,
    COUNT,
    NICE,
    ADDRESS,
    FORMAT,
    LEVEL,
    PROVIDER,
    KMS,
    URLS,
    SMTP_SECURITY,
    SEVERITY
};

static const struct definition {
    const char *name;
    enum type type;
    bool secret;
    const char *fallback;
} definitions[] = {
#define X(name, type, secret, fallback, text) {#name, type, secret, fallback},
#include "common/settings.def"
#undef X
};

struct mos_settings {
    char *text[MOS_SETTING_COUNT];
    bool from_environment[MOS_SETTING_COUNT];
};

// The words a value may be; NULL for types that are no list of words.
static const char *const *words_of(enum type type) {
    static const char *const flag[] = {"true", "false", NULL};
    static const char *const format[] = {"logfmt", "json", NULL};
    static const char *const level[] = {"debug", "info", "warning", "error", NULL};
    static const char *const provider[] = {"LOCAL_REMOTE", "S3", "AZURE_BLOB", "GOOGLE_CLOUD", "SFTP", NULL};
    static const char *const smtp_security[] = {"STARTTLS", "TLS", "NONE", NULL};
    static const char *const severity[] = {"INFO", "WARNING", "ERROR", "CRITICAL", NULL};
    static const char *const kms[] = {"LOCAL", "AWS_KMS", "VAULT", NULL};
    switch (type) {
    case FLAG:
        return flag;
    case FORMAT:
        return format;
    case LEVEL:
        return level;
    case PROVIDER:
        return provider;
    case KMS:
        return kms;
    case SMTP_SECURITY:
        return smtp_security;
    case SEVERITY:
        return severity;
    default:
        return NULL;
    }
}

static bool bounds_of(enum type type, long *out_least, long *out_most) {
    switch (type) {
    case DAYS:
        *out_least = 1;
        *out_most = 36500;
        return true;
    case MINUTES:
        *out_least = 1;
        *out_most = 525600;
        return true;
    case PORT:
        *out_least = 1;
        *out_most = 65535;
        return true;
    case COUNT:
        *out_least = 0;
        *out_most = 100000;
        return true;
    case NICE:
        *out_least = 0;
        *out_most = 19;
        return true;
    default:
        return false;
    }
}

static bool number_in(const char *text, long least, long most) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && errno == 0 && value >= least && value <= most;
}

// host:port or [v6]:port, port 0 allowed: the system chooses one.
static bool address_valid(const char *text) {
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !number_in(colon + 1, 0, 65535)) {
        return false;
    }
    size_t host = (size_t)(colon - text);
    return text[0] == '[' ? text[host - 1] == ']' && host > 2 : memchr(text, ':', host) == NULL;
}

static mos_status check(const struct definition *definition, const char *text, struct mos_error *error) {
    long least, most;
    const char *const *words = words_of(definition->type);
    if (words) {
        MOS_CLEANUP_BUFFER struct mos_buffer allowed = MOS_BUFFER_INIT(0);
        for (size_t i = 0; words[i]; i++) {
            if (strcmp(words[i], text) == 0) {
                return MOS_OK;
            }
            mos_buffer_printf(&allowed, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
        }
        return mos_fail_field(error, definition->name, "%s is \"%s\"; allowed is %s", definition->name, text, mos_buffer_text(&allowed));
    }
    if (bounds_of(definition->type, &least, &most) && !number_in(text, least, most)) {
        return mos_fail_field(error, definition->name, "%s is \"%s\"; allowed is a whole number from %ld to %ld", definition->name, text,
                              least, most);
    }
    if (definition->type == ADDRESS && !address_valid(text)) {
        return mos_fail_field(error, definition->name, "%s is \"%s\"; allowed is host:port", definition->name, text);
    }
    if (definition->type == PATHS) {
        const char *start = text;
        for (const char *c = text;; c++) {
            if (*c && *c != ':') {
                continue;
            }
            if (c > start && *start != '/') {
                return mos_fail_field(error, definition->name, "%s holds \"%.*s\"; allowed are absolute paths", definition->name,
                                      (int)(c - start), start);
            }
            if (!*c) {
                break;
            }
            start = c + 1;
        }
    }
    return MOS_OK;
}

// A relative path is taken from where the program was started; a program that changes its directory later still finds it.
static char *absolute(const char *path) {
    char here[PATH_MAX];
    if (path[0] == '/' || !path[0] || !getcwd(here, sizeof(here))) {
        return mos_strdup(path);
    }
    MOS_CLEANUP_BUFFER struct mos_buffer joined = MOS_BUFFER_INIT(0);
    while (strncmp(path, "./", 2) == 0) {
        path += 2;
    }
    mos_buffer_printf(&joined, "%s/%s", here, path);
    return mos_strdup(mos_buffer_text(&joined));
}

static char *expand(const mos_settings *settings, const char *fallback) {
    static const char variable[] = "$MOSAAJII_HOME";
    if (strncmp(fallback, variable, sizeof(variable) - 1) != 0) {
        return mos_strdup(fallback);
    }
    MOS_CLEANUP_BUFFER struct mos_buffer joined = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&joined, "%s%s", settings->text[MOS_SETTING_MOSAAJII_HOME], fallback + sizeof(variable) - 1);
    return mos_strdup(mos_buffer_text(&joined));
}

static const char *find(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            return *environment + length + 1;
        }
    }
    return NULL;
}

static mos_status refuse_unknown(char *const *environment, struct mos_error *error) {
    static const char prefix[] = "MOSAAJII_";
    for (; *environment; environment++) {
        if (strncmp(*environment, prefix, sizeof(prefix) - 1) != 0) {
            continue;
        }
        size_t length = strcspn(*environment, "=");
        bool known = false;
        for (size_t i = 0; i < MOS_SETTING_COUNT && !known; i++) {
            known = strlen(definitions[i].name) == length && strncmp(*environment, definitions[i].name, length) == 0;
        }
        if (!known) {
            char name[64];
            snprintf(name, sizeof(name), "%.*s", (int)length, *environment);
            return mos_fail_field(error, name, "%s is no setting of this program; --print-config lists them", name);
        }
    }
    return MOS_OK;
}

mos_status mos_settings_load(mos_settings **out, char *const *environment, struct mos_error *error) {
    mos_status status = refuse_unknown(environment, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_settings *settings = mos_calloc(1, sizeof(*settings));
    for (size_t i = 0; i < MOS_SETTING_COUNT; i++) {
        const struct definition *definition = &definitions[i];
        const char *given = find(environment, definition->name);
        // An empty variable is one that is not set: that is how .env files leave things out.
        if (!given || !*given) {
            settings->text[i] = expand(settings, definition->fallback);
            continue;
        }
        status = check(definition, given, error);
        if (status != MOS_OK) {
            mos_settings_free(settings);
            return status;
        }
        settings->from_environment[i] = true;
        settings->text[i] = definition->type == PATH ? absolute(given) : mos_strdup(given);
    }
    *out = settings;
    return MOS_OK;
}

void mos_settings_free(mos_settings *settings) {
    if (!settings) {
        return;
    }
    for (size_t i = 0; i < MOS_SETTING_COUNT; i++) {
        if (settings->text[i]) {
            explicit_bzero(settings->text[i], strlen(settings->text[i]));
            free(settings->text[i]);
        }
    }
    free(settings);
}

const char *mos_setting_text(const mos_settings *settings, enum mos_setting setting) {
    return settings->text[setting];
}

int64_t mos_setting_number(const mos_settings *settings, enum mos_setting setting) {
    return strtoll(settings->text[setting], NULL, 10);
}

bool mos_setting_flag(const mos_settings *settings, enum mos_setting setting) {
    return strcmp(settings->text[setting], "true") == 0;
}

bool mos_setting_is_set(const mos_settings *settings, enum mos_setting setting) {
    return settings->text[setting][0] != 0;
}

// Where a URL's password stands: behind the first colon of the user information, which ends at the last @ before the path.
static bool find_password(const char *url, const char **out_start, const char **out_end) {
    const char *scheme = strstr(url, "://");
    if (!scheme) {
        return false;
    }
    const char *authority = scheme + 3;
    const char *path = authority + strcspn(authority, "/?#,");
    const char *at = NULL;
    for (const char *c = authority; c < path; c++) {
        at = *c == '@' ? c : at;
    }
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (!colon) {
        return false;
    }
    *out_start = colon + 1;
    *out_end = at;
    return true;
}

void mos_url_mask(const char *url, char *text, size_t size_bytes) {
    const char *start, *end;
    if (find_password(url, &start, &end)) {
        snprintf(text, size_bytes, "%.*s***%s", (int)(start - url), url, end);
    } else {
        snprintf(text, size_bytes, "%s", url);
    }
}

// A value may be a list of URLs.
static void print_masked(const char *text, FILE *stream) {
    const char *start, *end;
    for (const char *scheme = strstr(text, "://"); scheme; scheme = strstr(scheme + 3, "://")) {
        if (find_password(scheme, &start, &end)) {
            fprintf(stream, "%.*s***", (int)(start - text), text);
            text = end;
        }
    }
    fputs(text, stream);
}

// Database URLs: their queries may hold a password too, and what is no URL may be the rest of one whose password has a comma in it.
static void print_urls(const char *text, FILE *stream) {
    while (*text) {
        size_t length = strcspn(text, ",");
        MOS_CLEANUP_FREE char *url = mos_malloc(length + 1);
        memcpy(url, text, length);
        url[length] = 0;
        url[strcspn(url, "?")] = 0;
        print_masked(strstr(url, "://") || strncmp(url, "file:", 5) == 0 ? url : "***", stream);
        text += length;
        if (*text) {
            fputc(*text++, stream);
        }
    }
}

void mos_settings_print(const mos_settings *settings, FILE *stream) {
    for (size_t i = 0; i < MOS_SETTING_COUNT; i++) {
        fprintf(stream, "%s=", definitions[i].name);
        if (definitions[i].type == URLS) {
            print_urls(settings->text[i], stream);
        } else {
            print_masked(definitions[i].secret && *settings->text[i] ? "***" : settings->text[i], stream);
        }
        fprintf(stream, "  (%s)\n", settings->from_environment[i] ? "environment" : *settings->text[i] ? "default" : "not set");
    }
}
