#include "common/database_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *start;
    // What of it belongs to the path.
    size_t kept;
    enum mos_database_kind kind;
} schemes[] = {
    {"sqlite:///", 1, MOS_DATABASE_SQLITE},        {"file:///", 1, MOS_DATABASE_SQLITE},        {"file:/", 1, MOS_DATABASE_SQLITE},
    {"postgresql://", 0, MOS_DATABASE_POSTGRESQL}, {"postgres://", 0, MOS_DATABASE_POSTGRESQL}, {"mysql://", 0, MOS_DATABASE_MYSQL},
    {"mariadb://", 0, MOS_DATABASE_MYSQL},
};
enum { SCHEMES = sizeof(schemes) / sizeof(schemes[0]), LONGEST_PART = 4096 };

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// NULL where an escape is malformed or stands for a zero, and for what is far too long.
static char *unescape(const char *text, size_t length, mos_arena *arena) {
    char *out = length <= 3 * LONGEST_PART ? mos_arena_alloc(arena, length + 1) : NULL;
    char *at = out;
    for (size_t i = 0; out && i < length; i++) {
        if (text[i] != '%') {
            *at++ = text[i];
            continue;
        }
        int high = i + 2 < length ? hex_value(text[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_value(text[i + 2]);
        if (low < 0 || (high == 0 && low == 0)) {
            return NULL;
        }
        *at++ = (char)(high << 4 | low);
        i += 2;
    }
    return at - out <= LONGEST_PART ? out : NULL;
}

static mos_status take_sqlite(const char *field, const char *path, mos_arena *arena, struct mos_database_url *out,
                              struct mos_error *error) {
    out->path = unescape(path, strcspn(path, "?#"), arena);
    if (!out->path || !out->path[1] || (out->path[0] == '/' && out->path[1] == '/')) {
        return mos_fail_field(error, field, "the URL of a SQLite database must be file:/path or sqlite:///path");
    }
    return MOS_OK;
}

// host, host:port, [address]:port. false: no such thing.
static bool take_place(const char *text, size_t length, mos_arena *arena, struct mos_database_url *out) {
    const char *end = text + length;
    const char *host_end;
    const char *port;
    if (length && *text == '[') {
        text++;
        host_end = memchr(text, ']', (size_t)(end - text));
        port = host_end ? host_end + 1 : NULL;
    } else {
        const char *colon = length ? memchr(text, ':', length) : NULL;
        host_end = port = colon ? colon : end;
    }
    if (!port || (port < end && *port != ':')) {
        return false;
    }
    out->host = unescape(text, (size_t)(host_end - text), arena);
    if (port == end) {
        return out->host != NULL;
    }
    for (const char *digit = ++port; digit < end; digit++) {
        if (*digit < '0' || *digit > '9' || digit - port >= 5) {
            return false;
        }
        out->port = out->port * 10 + (*digit - '0');
    }
    return out->host && out->port > 0 && out->port <= 65535;
}

static bool take_account(const char *text, size_t length, mos_arena *arena, struct mos_database_url *out) {
    const char *colon = length ? memchr(text, ':', length) : NULL;
    size_t user_length = colon ? (size_t)(colon - text) : length;
    out->user = unescape(text, user_length, arena);
    if (colon) {
        out->password = unescape(colon + 1, length - user_length - 1, arena);
    }
    return out->user && (!colon || out->password);
}

// What is wrong with it, or NULL.
static const char *take_parameter(const char *text, size_t length, mos_arena *arena, struct mos_database_url *out) {
    static const char *const modes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    const char *equals = length ? memchr(text, '=', length) : NULL;
    size_t name_length = equals ? (size_t)(equals - text) : length;
    const char *name = unescape(text, name_length, arena);
    const char *value = equals ? unescape(equals + 1, length - name_length - 1, arena) : "";
    if (!name || !value) {
        return "it holds a malformed percent escape";
    }
    if (strcmp(name, "password") == 0) {
        return "the password belongs before the @, not into a parameter";
    }
    if (strcmp(name, "host") == 0 || strcmp(name, "socket") == 0) {
        out->host = value;
    } else if (strcmp(name, "sslrootcert") == 0) {
        out->tls_authority = value;
    } else if (strcmp(name, "sslmode") == 0) {
        out->tls_mode = value;
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
            if (strcmp(modes[i], value) == 0) {
                return NULL;
            }
        }
        return "its sslmode must be disable, allow, prefer, require, verify-ca or verify-full";
    }
    return NULL;
}

static bool one_line(const char *text) {
    return !text || !strpbrk(text, "\n\r");
}

static const char *take_server(const char *text, mos_arena *arena, struct mos_database_url *out) {
    const char *place = text;
    const char *slash = text + strcspn(text, "/?#");
    // An @ that is not escaped belongs to the password, like any but the last.
    for (const char *c = text; c < slash; c++) {
        place = *c == '@' ? c + 1 : place;
    }
    if (place > text && !take_account(text, (size_t)(place - 1 - text), arena, out)) {
        return "it holds a malformed percent escape";
    }
    if (!take_place(place, (size_t)(slash - place), arena, out)) {
        return "host and port are malformed (what has a meaning in a URL must be percent-encoded in a password)";
    }
    const char *name = *slash == '/' ? slash + 1 : slash;
    size_t name_length = strcspn(name, "?#");
    if (memchr(name, '@', name_length) && place == text) {
        return "host and port are malformed (what has a meaning in a URL must be percent-encoded in a password)";
    }
    out->name = unescape(name, name_length, arena);
    if (!out->name || !*out->name) {
        return "it must end with /name, the name of the database";
    }
    for (const char *parameter = name + name_length; *parameter == '?' || *parameter == '&';) {
        size_t length = strcspn(++parameter, "&#");
        const char *wrong = take_parameter(parameter, length, arena, out);
        if (wrong) {
            return wrong;
        }
        parameter += length;
    }
    // The files in which the servers' own programs take them hold one line for each.
    return one_line(out->password) && one_line(out->user) && one_line(out->host) && one_line(out->name) && one_line(out->tls_authority)
               ? NULL
               : "it must not hold a line break";
}

mos_status mos_database_url_parse(const char *field, const char *url, mos_arena *arena, struct mos_database_url *out,
                                  struct mos_error *error) {
    for (size_t i = 0; i < SCHEMES; i++) {
        size_t length = strlen(schemes[i].start);
        if (strncmp(url, schemes[i].start, length) != 0) {
            continue;
        }
        *out = (struct mos_database_url){
            .kind = schemes[i].kind, .path = "", .host = "", .user = "", .name = "", .tls_mode = "", .tls_authority = ""};
        if (schemes[i].kind == MOS_DATABASE_SQLITE) {
            return take_sqlite(field, url + length - schemes[i].kept, arena, out, error);
        }
        const char *wrong = take_server(url + length, arena, out);
        return wrong ? mos_fail_field(error, field, "the URL of the database (%s…/name) is wrong: %s", schemes[i].start, wrong) : MOS_OK;
    }
    return mos_fail_field(error, field,
                          "a database URL must be sqlite:///path, file:/path, postgresql://user@host/name or mysql://user@host/name");
}

bool mos_database_url_is_server(const char *text) {
    for (size_t i = 0; i < SCHEMES; i++) {
        if (schemes[i].kind != MOS_DATABASE_SQLITE && strncmp(text, schemes[i].start, strlen(schemes[i].start)) == 0) {
            return true;
        }
    }
    return false;
}

static char *escape(const char *text, const char *more, mos_arena *arena) {
    char *out = mos_arena_alloc(arena, 3 * strlen(text) + 1);
    char *at = out;
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
                     strchr("-._~", *text) || strchr(more, *text);
        at += sprintf(at, plain ? "%c" : "%%%02x", (unsigned char)*text);
    }
    return out;
}

char *mos_database_url_format(const struct mos_database_url *url, bool with_password, mos_arena *arena) {
    if (url->kind == MOS_DATABASE_SQLITE) {
        return mos_arena_printf(arena, "sqlite://%s", escape(url->path, "/+,=@:", arena));
    }
    bool address = strchr(url->host, ':') && *url->host != '/';
    bool named = *url->user || (with_password && url->password);
    char port[16] = "";
    if (url->port) {
        snprintf(port, sizeof(port), ":%d", url->port);
    }
    char *text = mos_arena_printf(
        arena, "%s%s%s%s%s%s%s%s%s/%s", url->kind == MOS_DATABASE_MYSQL ? "mysql://" : "postgresql://", escape(url->user, "", arena),
        with_password && url->password ? ":" : "", with_password && url->password ? escape(url->password, "", arena) : "", named ? "@" : "",
        address ? "[" : "", escape(url->host, address ? ":" : "", arena), address ? "]" : "", port, escape(url->name, "", arena));
    if (*url->tls_mode) {
        text = mos_arena_printf(arena, "%s?sslmode=%s", text, url->tls_mode);
    }
    if (*url->tls_authority) {
        text = mos_arena_printf(arena, "%s%csslrootcert=%s", text, *url->tls_mode ? '&' : '?', escape(url->tls_authority, "/", arena));
    }
    return text;
}

bool mos_database_url_same_account(const struct mos_database_url *a, const struct mos_database_url *b) {
    int usual = a->kind == MOS_DATABASE_MYSQL ? 3306 : 5432;
    return a->kind == b->kind && strcmp(a->host, b->host) == 0 && (a->port ? a->port : usual) == (b->port ? b->port : usual) &&
           strcmp(a->user, b->user) == 0;
}
