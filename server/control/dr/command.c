#include "control/dr/command.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/id.h"

enum { LONGEST_TEXT = 2000, LONGEST_HOST = 253, LONGEST_HOOK = 100, LONGEST_NUMBER = 15 };
#define LONGEST_WAIT_NS (24 * 3600 * MOS_NS_PER_SECOND)
#define DURATION_WORDS "a number with s, m or h behind it, up to 24h"

#define COMMAND_WORDS                                                                                                                      \
    "restore_backup:TYPE, verify_backup:TYPE, verify_database, restart_services, hook:NAME, http_check:URL, tcp_check:HOST:PORT, "         \
    "sql_check:SELECT …, wait:DURATION"
#define TYPE_WORDS "FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION"

// ---- Parts ----

static bool is_plain(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

// Digits only, and few enough of them.
static bool take_number(const char **text, int64_t *out) {
    const char *c = *text;
    int64_t number = 0;
    while (isdigit((unsigned char)*c) && c - *text < LONGEST_NUMBER) {
        number = number * 10 + (*c++ - '0');
    }
    bool some = c > *text && !isdigit((unsigned char)*c);
    *text = c;
    *out = number;
    return some;
}

static bool parse_duration(const char *text, int64_t *out_ns) {
    int64_t number;
    if (!take_number(&text, &number) || !*text || text[1]) {
        return false;
    }
    int64_t unit = *text == 's' ? 1 : *text == 'm' ? 60 : *text == 'h' ? 3600 : 0;
    if (unit == 0 || number > LONGEST_WAIT_NS / MOS_NS_PER_SECOND / unit) {
        return false;
    }
    *out_ns = number * unit * MOS_NS_PER_SECOND;
    return true;
}

bool mos_hook_name_valid(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length > LONGEST_HOOK || *name == '.' || *name == '-') {
        return false;
    }
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && !strchr("._-", *name)) {
            return false;
        }
    }
    return true;
}

// ---- Addresses ----

bool mos_address_forbidden(const void *address) {
    const struct sockaddr *any = address;
    struct in_addr v4;
    if (any->sa_family == AF_INET) {
        v4 = ((const struct sockaddr_in *)address)->sin_addr;
    } else if (any->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(v6)) {
            return IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MULTICAST(v6);
        }
        memcpy(&v4, &v6->s6_addr[12], sizeof(v4));
    } else {
        return true;
    }
    uint32_t number = ntohl(v4.s_addr);
    return (number >> 16) == 0xa9fe || number >> 28 == 0xe || number == UINT32_MAX;
}

static bool host_forbidden(const char *host) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        return mos_address_forbidden(&v4);
    }
    return inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 && mos_address_forbidden(&v6);
}

// A name, an address, or, in brackets, one of version 6; copied without the brackets.
static bool take_host(const char *text, size_t length, char out[LONGEST_HOST + 1]) {
    bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (brackets) {
        text++;
        length -= 2;
    }
    if (length == 0 || length > LONGEST_HOST) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!(brackets ? isxdigit(c) || c == ':' || c == '.' : isalnum(c) || c == '-' || c == '.' || c == '_')) {
            return false;
        }
        out[i] = (char)c;
    }
    out[length] = 0;
    return !host_forbidden(out);
}

// HOST:PORT at the length; the port may be left out where `fallback` is not 0.
static bool take_authority(const char *text, size_t length, int fallback, char host[LONGEST_HOST + 1], int *out_port) {
    const char *end = text + length;
    const char *colon = memrchr(text, ':', length);
    const char *bracket = memrchr(text, ']', length);
    if (colon && bracket && bracket > colon) {
        colon = NULL;
    }
    *out_port = fallback;
    if (colon) {
        const char *digits = colon + 1;
        int64_t port;
        if (!take_number(&digits, &port) || digits != end || port < 1 || port > 65535) {
            return false;
        }
        *out_port = (int)port;
        length = (size_t)(colon - text);
    }
    return *out_port != 0 && take_host(text, length, host);
}

bool mos_check_url_valid(const char *url) {
    char host[LONGEST_HOST + 1];
    int port;
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    if (scheme == 0 || strlen(url) > LONGEST_TEXT || !is_plain(url) || strpbrk(url, " \"<>\\^`{|}")) {
        return false;
    }
    size_t length = strcspn(url + scheme, "/?#");
    return take_authority(url + scheme, length, 80, host, &port);
}

// ---- Commands ----

bool mos_command_changes(enum mos_command_kind kind) {
    return kind == MOS_COMMAND_RESTORE_BACKUP || kind == MOS_COMMAND_RESTART_SERVICES || kind == MOS_COMMAND_HOOK;
}

static mos_status parse_backup(const char *field, const char *text, mos_arena *arena, struct mos_command *out, struct mos_error *error) {
    const char *at = strchr(text, '@');
    size_t length = at ? (size_t)(at - text) : strlen(text);
    char *word = mos_arena_printf(arena, "%.*s", (int)length, text);
    out->type = word ? (enum mos_backup_type)mos_backup_type_from_word(word) : 0;
    if (!out->type) {
        return mos_fail_field(error, field, "%s names no type of backup: allowed is %s", field, TYPE_WORDS);
    }
    if (!at || strcmp(at, "@latest") == 0) {
        out->point = MOS_POINT_LATEST;
    } else if (strcmp(at, "@verified") == 0) {
        out->point = MOS_POINT_LATEST_VERIFIED;
    } else if (strncmp(at, "@before=", 8) == 0 && mos_time_parse(at + 8, &out->before_unix_ns)) {
        out->point = MOS_POINT_BEFORE;
    } else if (strncmp(at, "@id=", 4) == 0 && mos_id_valid(at + 4)) {
        out->point = MOS_POINT_ID;
        out->backup_id = mos_arena_strdup(arena, at + 4);
    } else {
        return mos_fail_field(error, field, "%s names no recovery point behind the @: allowed is latest, verified, before=TIME or id=ID",
                              field);
    }
    return MOS_OK;
}

// One SELECT, which a database's own program takes as such: nothing that it would read as a command to itself, and no second statement.
static bool is_select(const char *text) {
    static const char *const begins[] = {"SELECT ", "WITH ", "VALUES ", "VALUES("};
    bool known = false;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        known = known || strncasecmp(text, begins[i], strlen(begins[i])) == 0;
    }
    // INTO writes a table or a file.
    return known && is_plain(text) && !strpbrk(text, ";\\") && !strcasestr(text, " INTO ") && strlen(text) <= LONGEST_TEXT;
}

static mos_status parse_tcp(const char *field, const char *text, mos_arena *arena, struct mos_command *out, struct mos_error *error) {
    char host[LONGEST_HOST + 1];
    if (strlen(text) > LONGEST_TEXT || !take_authority(text, strlen(text), 0, host, &out->port)) {
        return mos_fail_field(error, field, "%s must be tcp_check:HOST:PORT with a port of 1 to 65535 and no link-local address", field);
    }
    out->text = mos_arena_strdup(arena, host);
    return MOS_OK;
}

mos_status mos_command_parse(const char *field, const char *text, mos_arena *arena, struct mos_command *out, struct mos_error *error) {
    static const struct {
        const char *word;
        enum mos_command_kind kind;
        bool argument;
    } known[] = {
        {"restore_backup", MOS_COMMAND_RESTORE_BACKUP, true},
        {"verify_backup", MOS_COMMAND_VERIFY_BACKUP, true},
        {"verify_database", MOS_COMMAND_VERIFY_DATABASE, false},
        {"restart_services", MOS_COMMAND_RESTART_SERVICES, false},
        {"hook", MOS_COMMAND_HOOK, true},
        {"http_check", MOS_COMMAND_HTTP_CHECK, true},
        {"tcp_check", MOS_COMMAND_TCP_CHECK, true},
        {"sql_check", MOS_COMMAND_SQL_CHECK, true},
        {"wait", MOS_COMMAND_WAIT, true},
    };
    size_t length = strcspn(text, ":");
    const char *argument = text[length] ? text + length + 1 : NULL;
    *out = (struct mos_command){.backup_id = "", .text = ""};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].word) != length || memcmp(known[i].word, text, length) != 0 || known[i].argument != (argument != NULL)) {
            continue;
        }
        out->kind = known[i].kind;
        switch (out->kind) {
        case MOS_COMMAND_RESTORE_BACKUP:
        case MOS_COMMAND_VERIFY_BACKUP:
            return parse_backup(field, argument, arena, out, error);
        case MOS_COMMAND_HOOK:
            out->text = mos_arena_strdup(arena, argument);
            return mos_hook_name_valid(argument)
                       ? MOS_OK
                       : mos_fail_field(
                             error, field,
                             "%s names no hook: a hook is a file in $MOSAAJII_HOME/hooks, named by letters, digits, '.', '_' and "
                             "'-' alone, that begins with neither '.' nor '-'",
                             field);
        case MOS_COMMAND_HTTP_CHECK:
            out->text = mos_arena_strdup(arena, argument);
            return mos_check_url_valid(argument)
                       ? MOS_OK
                       : mos_fail_field(error, field,
                                        "%s must name an http or https URL with a host, without credentials and not link-local", field);
        case MOS_COMMAND_TCP_CHECK:
            return parse_tcp(field, argument, arena, out, error);
        case MOS_COMMAND_SQL_CHECK:
            out->text = mos_arena_strdup(arena, argument);
            return is_select(argument)
                       ? MOS_OK
                       : mos_fail_field(error, field,
                                        "%s must be one statement that begins with SELECT, WITH or VALUES, on one line, without INTO, "
                                        "';' and backslashes",
                                        field);
        case MOS_COMMAND_WAIT:
            return parse_duration(argument, &out->wait_ns)
                       ? MOS_OK
                       : mos_fail_field(error, field, "%s must be wait: with %s", field, DURATION_WORDS);
        default:
            return MOS_OK;
        }
    }
    return mos_fail_field(error, field, "%s is no command: allowed is %s", field, COMMAND_WORDS);
}

// ---- Criteria ----

static const char *skip_spaces(const char *text) {
    while (*text == ' ') {
        text++;
    }
    return text;
}

static bool take_comparison(const char **text, enum mos_comparison *out) {
    static const struct {
        const char *sign;
        enum mos_comparison comparison;
    } signs[] = {{"<=", MOS_LESS_OR_EQUAL}, {">=", MOS_MORE_OR_EQUAL}, {"!=", MOS_NOT_EQUAL}, {"==", MOS_EQUAL},
                 {"=", MOS_EQUAL},          {"<", MOS_LESS},           {">", MOS_MORE}};
    *text = skip_spaces(*text);
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (strncmp(*text, signs[i].sign, strlen(signs[i].sign)) == 0) {
            *out = signs[i].comparison;
            *text = skip_spaces(*text + strlen(signs[i].sign));
            return true;
        }
    }
    return false;
}

bool mos_compare(int64_t number, enum mos_comparison comparison, int64_t with) {
    switch (comparison) {
    case MOS_LESS:
        return number < with;
    case MOS_LESS_OR_EQUAL:
        return number <= with;
    case MOS_EQUAL:
        return number == with;
    case MOS_NOT_EQUAL:
        return number != with;
    case MOS_MORE_OR_EQUAL:
        return number >= with;
    default:
        return number > with;
    }
}

// TABLE or SCHEMA.TABLE, of letters, digits and underscores: it goes into a statement.
static bool is_table(const char *name, size_t length) {
    size_t dots = 0;
    if (length == 0 || length > 200 || name[0] == '.' || name[length - 1] == '.') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        dots += name[i] == '.';
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '.') {
            return false;
        }
    }
    return dots <= 1;
}

static bool parse_rows(const char *text, mos_arena *arena, struct mos_criterion *out) {
    size_t length = strcspn(text, ")");
    const char *rest = text + length + (text[length] == ')');
    out->kind = MOS_CRITERION_ROWS;
    out->subject = mos_arena_printf(arena, "%.*s", (int)(length < 256 ? length : 256), text);
    return text[length] && is_table(text, length) && take_comparison(&rest, &out->comparison) && take_number(&rest, &out->number) && !*rest;
}

static bool is_path(const char *path) {
    return *path == '/' && is_plain(path) && strlen(path) <= LONGEST_TEXT && !strstr(path, "/../") &&
           (strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}

static bool parse_checksum(const char *text, mos_arena *arena, struct mos_criterion *out) {
    const char *space = strrchr(text, ' ');
    uint8_t bytes[32];
    out->kind = MOS_CRITERION_CHECKSUM;
    if (!space || !mos_hex_decode(space + 1, bytes, sizeof(bytes))) {
        return false;
    }
    out->checksum = mos_arena_strdup(arena, space + 1);
    out->subject = mos_arena_printf(arena, "%.*s", (int)(space - text), text);
    return out->subject && is_path(out->subject);
}

static bool parse_http(const char *text, mos_arena *arena, struct mos_criterion *out) {
    out->kind = MOS_CRITERION_HTTP;
    out->comparison = MOS_EQUAL;
    if (!take_number(&text, &out->number) || *text != ' ' || out->number < 100 || out->number > 599) {
        return false;
    }
    out->subject = mos_arena_strdup(arena, skip_spaces(text));
    return out->subject && mos_check_url_valid(out->subject);
}

static bool parse_lasting(const char *text, struct mos_criterion *out) {
    out->kind = MOS_CRITERION_DURATION;
    return take_comparison(&text, &out->comparison) && parse_duration(text, &out->number);
}

mos_status mos_criterion_parse(const char *field, const char *text, mos_arena *arena, struct mos_criterion *out, struct mos_error *error) {
    *out = (struct mos_criterion){.kind = MOS_CRITERION_SENTENCE, .subject = text, .checksum = ""};
    if (strlen(text) > LONGEST_TEXT || !is_plain(text) || !*skip_spaces(text)) {
        return mos_fail_field(error, field, "%s must be a text of 1 to %d bytes on one line", field, LONGEST_TEXT);
    }
    if (strncmp(text, "rows(", 5) == 0) {
        return parse_rows(text + 5, arena, out)
                   ? MOS_OK
                   : mos_fail_field(error, field, "%s must be rows(TABLE) or rows(SCHEMA.TABLE), a comparison and a number", field);
    }
    if (strncmp(text, "file exists /", 13) == 0) {
        out->kind = MOS_CRITERION_FILE_EXISTS;
        out->subject = mos_arena_strdup(arena, text + 12);
        return is_path(text + 12) ? MOS_OK : mos_fail_field(error, field, "%s must name an absolute path without \"..\"", field);
    }
    if (strncmp(text, "sentinel /", 10) == 0) {
        out->kind = MOS_CRITERION_SENTINEL;
        out->subject = mos_arena_strdup(arena, text + 9);
        return is_path(text + 9) ? MOS_OK : mos_fail_field(error, field, "%s must name an absolute path without \"..\"", field);
    }
    if (strncmp(text, "checksum /", 10) == 0) {
        return parse_checksum(text + 9, arena, out)
                   ? MOS_OK
                   : mos_fail_field(error, field, "%s must be checksum, an absolute path, and a SHA-256 in lower-case hexadecimal", field);
    }
    if (strncmp(text, "http ", 5) == 0 && isdigit((unsigned char)text[5])) {
        return parse_http(text + 5, arena, out)
                   ? MOS_OK
                   : mos_fail_field(error, field,
                                    "%s must be http, a status of 100 to 599, and an http or https URL without "
                                    "credentials that is not link-local",
                                    field);
    }
    if (strncmp(text, "duration ", 9) == 0 && strchr("<>=!", *skip_spaces(text + 9))) {
        return parse_lasting(text + 9, out)
                   ? MOS_OK
                   : mos_fail_field(error, field, "%s must be duration, a comparison, and %s", field, DURATION_WORDS);
    }
    return MOS_OK;
}
