// URLs of databases: what kind, where, as whom. The password stands in the parsed form and nowhere else.
//
//     sqlite:///path  file:/path  file:///path
//     postgresql://[user[:password]@][host][:port]/name[?parameters]   (postgres:// is the same)
//     mysql://[user[:password]@][host][:port]/name[?parameters]        (mariadb:// is the same)
//
// Everything may be percent-encoded; what has a meaning in a URL (: / ? # @ % ,) must be, in a password above all. A host that begins with
// a slash is a Unix socket: its folder for PostgreSQL, itself for MySQL; it may be given as the parameter `host` or `socket` too. `sslmode`
// (disable, allow, prefer, require, verify-ca, verify-full) and `sslrootcert` (a file with the authority's certificate) mean what they
// mean to PostgreSQL, for MySQL too. Other parameters are for other programs that read the same URL, and are ignored.
#ifndef MOS_COMMON_DATABASE_URL_H
#define MOS_COMMON_DATABASE_URL_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/status.h"

enum mos_database_kind { MOS_DATABASE_SQLITE, MOS_DATABASE_POSTGRESQL, MOS_DATABASE_MYSQL };

// Texts are never NULL but the password's, and live in the arena.
struct mos_database_url {
    enum mos_database_kind kind;
    // SQLite only.
    const char *path;
    // Empty: what the server's own programs take.
    const char *host;
    // 0: the usual one.
    int port;
    const char *user;
    // NULL: none is given.
    const char *password;
    // The database's name; not empty.
    const char *name;
    const char *tls_mode;
    const char *tls_authority;
};

// MOS_INVALID_ARGUMENT, naming `field`, for anything else. The message says nothing of the URL, in which a password may stand.
mos_status mos_database_url_parse(const char *field, const char *url, mos_arena *arena, struct mos_database_url *out,
                                  struct mos_error *error);
// Whether the text is meant as the URL of a database on a server.
bool mos_database_url_is_server(const char *text);
// In canonical form. Without the password it may be shown and stored. In the arena.
char *mos_database_url_format(const struct mos_database_url *url, bool with_password, mos_arena *arena);
// Both mean the same user's access to the same server.
bool mos_database_url_same_account(const struct mos_database_url *a, const struct mos_database_url *b);

#endif
