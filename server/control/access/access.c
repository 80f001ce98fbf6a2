#include "control/access/access.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/access/certificate.h"
#include "control/access/jwt.h"
#include "control/access/rights.h"
#include "control/access/second.h"
#include "control/access/slowdown.h"

enum {
    SECRET_BYTES = 32,
    // mos_ and 32 bytes in base64url.
    SECRET_TEXT = 4 + 43,
};
// The last use of a token is noted at most this often.
static const int64_t use_interval_ns = 60 * MOS_NS_PER_SECOND;

static const char prefix[] = "mos_";

_Static_assert(MOS_TOKEN_HASH_BYTES == crypto_hash_sha256_BYTES, "tokens are kept as their SHA-256");

struct mos_access {
    mos_catalog *catalog;
    mos_trail *trail;
    char *jwt_secret;
    mos_certificates *certificates;
    mos_slowdown *slowdown;
    int64_t second_person_ns;
};

mos_status mos_access_create(mos_access **out, mos_catalog *catalog, const struct mos_access_options *options, struct mos_error *error) {
    mos_certificates *certificates = NULL;
    mos_status status = mos_certificates_parse(options->client_roles, &certificates, error);
    if (status == MOS_OK && sodium_init() < 0) {
        mos_certificates_free(certificates);
        status = mos_fail(error, MOS_INTERNAL, "libsodium does not start");
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_access *access = mos_calloc(1, sizeof(*access));
    access->catalog = catalog;
    access->jwt_secret = mos_strdup(options->jwt_secret);
    access->certificates = certificates;
    access->slowdown = mos_slowdown_create();
    access->second_person_ns = options->second_person_ns;
    *out = access;
    return MOS_OK;
}

void mos_access_set_trail(mos_access *access, mos_trail *trail) {
    access->trail = trail;
}

mos_catalog *mos_access_catalog(mos_access *access) {
    return access->catalog;
}

const char *mos_caller_kind_word(enum mos_caller_kind kind) {
    return kind == MOS_BY_TOKEN ? "token" : kind == MOS_BY_JWT ? "jwt" : "certificate";
}

void mos_access_destroy(mos_access *access) {
    if (access) {
        sodium_memzero(access->jwt_secret, strlen(access->jwt_secret));
        free(access->jwt_secret);
        mos_certificates_free(access->certificates);
        mos_slowdown_destroy(access->slowdown);
        free(access);
    }
}

// ---- Our own tokens ----

static void hash_secret(const char *secret, size_t size_bytes, uint8_t hash[MOS_TOKEN_HASH_BYTES]) {
    crypto_hash_sha256(hash, (const unsigned char *)secret, size_bytes);
}

static mos_status put_token(mos_catalog_session *session, void *argument, struct mos_error *error) {
    mos_status status = mos_catalog_put_token(session, argument, error);
    return status == MOS_OK ? mos_catalog_note_change(session, error) : status;
}

static mos_status create_token(mos_access *access, struct mos_token *token, mos_catalog_change put, mos_arena *arena,
                               const char **out_secret, struct mos_error *error) {
    unsigned char random[SECRET_BYTES];
    char secret[SECRET_TEXT + 1];
    char id[MOS_ID_TEXT_BYTES];
    mos_random(random, sizeof(random));
    memcpy(secret, prefix, sizeof(prefix));
    sodium_bin2base64(secret + 4, sizeof(secret) - 4, random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    mos_id_new(id);
    token->id = mos_arena_strdup(arena, id);
    token->created_at_unix_ns = mos_now_unix_ns();
    hash_secret(secret, strlen(secret), token->hash);
    *out_secret = mos_arena_strdup(arena, secret);
    sodium_memzero(random, sizeof(random));
    sodium_memzero(secret, sizeof(secret));
    return mos_catalog_write(access->catalog, put, token, error);
}

static mos_status put_named_token(mos_catalog_session *session, void *argument, struct mos_error *error) {
    // As the trail calls who is nobody's token.
    static const char *const own[] = {"system", "retention", "unknown"};
    const struct mos_token *token = argument;
    bool taken = false;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcasecmp(token->name, own[i]) == 0) {
            return mos_fail_field(error, "name", "name must not be %s: the server calls itself so in the audit trail", own[i]);
        }
    }
    mos_status status = mos_catalog_has_token_named(session, token->name, token->created_at_unix_ns, &taken, error);
    if (status != MOS_OK || taken) {
        return taken ? mos_fail(error, MOS_ALREADY_EXISTS, "a token with the name \"%s\" is valid; names tell callers apart", token->name)
                     : status;
    }
    return put_token(session, argument, error);
}

mos_status mos_access_create_token(mos_access *access, struct mos_token *token, mos_arena *arena, const char **out_secret,
                                   struct mos_error *error) {
    return create_token(access, token, put_named_token, arena, out_secret, error);
}

struct revocation {
    const char *id;
    mos_arena *arena;
    struct mos_token *token;
};

static mos_status revoke_now(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct revocation *change = argument;
    mos_status status = mos_catalog_get_token(session, change->id, change->arena, change->token, error);
    if (status != MOS_OK || change->token->revoked_at_unix_ns) {
        return status;
    }
    change->token->revoked_at_unix_ns = mos_now_unix_ns();
    return put_token(session, change->token, error);
}

mos_status mos_access_revoke_token(mos_access *access, const char *id, mos_arena *arena, struct mos_token *out, struct mos_error *error) {
    struct revocation change = {id, arena, out};
    return mos_catalog_write(access->catalog, revoke_now, &change, error);
}

// ---- The first token ----

// Beside its place first, then renamed: a reader sees all of it or nothing, and never one with another mode.
static mos_status write_secret(const char *path, const char *secret, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer temporary = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&temporary, "%s.new", path);
    const char *name = mos_buffer_text(&temporary);
    unlink(name);
    int descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "writing the admin token to %s", path);
    }
    bool written = dprintf(descriptor, "%s\n", secret) == (int)strlen(secret) + 1 && fsync(descriptor) == 0;
    int reason = errno;
    close(descriptor);
    if (!written || rename(name, path) != 0) {
        reason = written ? errno : reason;
        unlink(name);
        return mos_fail_errno(error, reason, "writing the admin token to %s", path);
    }
    return MOS_OK;
}

static mos_status make_admin(mos_access *access, const char *name, const char *token_file, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_token token = {.name = name, .role = MOS_ROLE_ADMIN, .rights = ""};
    const char *secret;
    mos_status status = create_token(access, &token, put_token, arena, &secret, error);
    if (status != MOS_OK) {
        return status;
    }
    status = write_secret(token_file, secret, error);
    if (status != MOS_OK) {
        // A token that nobody knows must not keep the next start from making another.
        mos_access_revoke_token(access, token.id, arena, &token, NULL);
    } else if (access->trail) {
        const struct mos_audit_detail details[] = {{"name", name}, {"role", mos_role_word(MOS_ROLE_ADMIN)}, {"file", token_file}};
        mos_trail_note(access->trail, "Token.Make", token.id, MOS_OK, details, sizeof(details) / sizeof(details[0]));
    }
    return status;
}

mos_status mos_access_recover_admin(mos_access *access, const char *token_file, bool *out_made, struct mos_error *error) {
    *out_made = false;
    if (faccessat(AT_FDCWD, token_file, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return MOS_OK;
    }
    mos_status status = make_admin(access, "recovery", token_file, error);
    *out_made = status == MOS_OK;
    return status;
}

mos_status mos_access_ensure_admin(mos_access *access, const char *token_file, bool *out_made, struct mos_error *error) {
    mos_catalog_session *session;
    *out_made = false;
    int64_t admins = 0;
    mos_status status = mos_catalog_read_begin(access->catalog, &session, error);
    if (status != MOS_OK) {
        return status;
    }
    status = mos_catalog_count_admins(session, mos_now_unix_ns(), &admins, error);
    mos_catalog_read_end(session);
    if (status != MOS_OK || admins > 0) {
        return status;
    }
    status = make_admin(access, "admin", token_file, error);
    *out_made = status == MOS_OK;
    return status;
}

// ---- Who is calling ----

struct use {
    char id[MOS_ID_TEXT_BYTES];
    int64_t at_unix_ns;
};

static mos_status note_use(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct use *use = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_token token;
    mos_status status = mos_catalog_get_token(session, use->id, arena, &token, error);
    if (status != MOS_OK || token.last_used_at_unix_ns >= use->at_unix_ns) {
        return status;
    }
    token.last_used_at_unix_ns = use->at_unix_ns;
    return mos_catalog_put_token(session, &token, error);
}

// Found by its hash: what a guess differs in tells nothing through the time the search takes.
static mos_status identify_token(mos_access *access, const char *secret, size_t size_bytes, mos_arena *arena, struct mos_identity *out,
                                 struct mos_error *error) {
    uint8_t hash[MOS_TOKEN_HASH_BYTES];
    hash_secret(secret, size_bytes, hash);
    mos_catalog_session *session;
    struct mos_token token;
    bool found = false;
    mos_status status = mos_catalog_read_begin(access->catalog, &session, error);
    if (status != MOS_OK) {
        return status;
    }
    status = mos_catalog_find_token(session, hash, arena, &token, &found, error);
    mos_catalog_read_end(session);
    if (status != MOS_OK) {
        return status;
    }
    int64_t now_ns = mos_now_unix_ns();
    if (!found) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the token is not known");
    }
    if (token.revoked_at_unix_ns) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the token was revoked");
    }
    if (token.expires_at_unix_ns && token.expires_at_unix_ns <= now_ns) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the token has expired");
    }
    if (now_ns - token.last_used_at_unix_ns >= use_interval_ns) {
        struct use use = {.at_unix_ns = now_ns};
        snprintf(use.id, sizeof(use.id), "%s", token.id);
        mos_catalog_write_later(access->catalog, note_use, &use, sizeof(use));
    }
    *out = (struct mos_identity){.kind = MOS_BY_TOKEN,
                                 .name = token.name,
                                 .role = token.role,
                                 .rights = token.rights,
                                 .token_id = token.id,
                                 .made_at_unix_ns = token.created_at_unix_ns};
    return MOS_OK;
}

mos_status mos_access_identify(mos_access *access, const char *authorization, mos_arena *arena, struct mos_identity *out,
                               struct mos_error *error) {
    static const char scheme[] = "bearer ";
    if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the call needs the metadata authorization: Bearer <token>");
    }
    const char *token = authorization + sizeof(scheme) - 1;
    while (*token == ' ') {
        token++;
    }
    size_t size_bytes = strlen(token);
    if (strncmp(token, prefix, sizeof(prefix) - 1) == 0) {
        return size_bytes == SECRET_TEXT ? identify_token(access, token, size_bytes, arena, out, error)
                                         : mos_fail(error, MOS_UNAUTHENTICATED, "the token is not known");
    }
    if (!*access->jwt_secret || !memchr(token, '.', size_bytes)) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the token is not known");
    }
    struct mos_jwt jwt;
    mos_status status = mos_jwt_verify(token, size_bytes, access->jwt_secret, mos_now_unix_ns(), arena, &jwt, error);
    if (status == MOS_OK) {
        *out = (struct mos_identity){.kind = MOS_BY_JWT, .name = jwt.user_id, .role = jwt.role, .rights = "", .token_id = ""};
    }
    return status;
}

// A caller without a token who shows a certificate that has a role.
static bool identify_certificate(mos_access *access, struct mos_call *call, struct mos_identity *out) {
    const char *name = mos_call_peer_subject(call);
    out->kind = MOS_BY_CERTIFICATE;
    out->token_id = "";
    for (size_t i = 0; name; name = mos_call_peer_san(call, i++)) {
        if (mos_certificates_find(access->certificates, name, &out->role, &out->rights)) {
            out->name = name;
            return true;
        }
    }
    return false;
}

// Holds the refusal back where many came before it. What the refusal says stays the same, so that a guesser learns nothing but to wait.
static mos_status refuse_slowly(mos_access *access, struct mos_call *call, mos_status status) {
    const char *address = mos_call_client(call);
    bool first = false;
    int64_t delay_ms = mos_slowdown_failed(access->slowdown, address, mos_now_monotonic_ns(), &first);
    if (first && access->trail) {
        const struct mos_audit_detail detail = {"address", address};
        mos_trail_note(access->trail, "Access.SlowDown", address, MOS_UNAUTHENTICATED, &detail, 1);
    }
    if (delay_ms == 0) {
        return status;
    }
    if (!mos_slowdown_enter(access->slowdown)) {
        return mos_fail(mos_call_error(call), MOS_RESOURCE_EXHAUSTED, "too many attempts without a valid token; try again later");
    }
    mos_call_wait_cancelled(call, delay_ms);
    mos_slowdown_leave(access->slowdown);
    return status;
}

static mos_status begin(struct mos_call *call, void *user) {
    mos_access *access = user;
    struct mos_error *error = mos_call_error(call);
    if (mos_call_is_builtin(call)) {
        return MOS_OK;
    }
    struct mos_identity *identity = mos_arena_alloc(mos_call_arena(call), sizeof(*identity));
    if (!identity) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the call takes too much memory");
    }
    const char *authorization = mos_call_metadata(call, "authorization");
    if (authorization || !identify_certificate(access, call, identity)) {
        mos_status status = mos_access_identify(access, authorization, mos_call_arena(call), identity, error);
        if (status != MOS_OK) {
            return status == MOS_UNAUTHENTICATED ? refuse_slowly(access, call, status) : status;
        }
    }
    mos_call_set_caller(call, identity->name, identity);
    if (!mos_call_method(call)) {
        return MOS_OK; // the rpc layer says that there is no such method
    }
    const struct mos_right *right = mos_right_find(mos_call_path(call));
    if (right && !(right->kinds & identity->kind)) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "this method cannot be called by a %s", mos_caller_kind_word(identity->kind));
    }
    if (!right || !mos_right_allows(right, identity->kind, identity->role, identity->rights)) {
        return mos_fail(error, MOS_PERMISSION_DENIED, "%s may not call this method%s%s", identity->name,
                        right ? "; it needs the role " : "", right ? mos_role_word((int)right->least) : "");
    }
    return MOS_OK;
}

bool mos_access_may(struct mos_call *call, const char *path) {
    const struct mos_identity *identity = mos_call_caller(call);
    const struct mos_right *right = mos_right_find(path);
    return identity && right && mos_right_allows(right, identity->kind, identity->role, identity->rights);
}

mos_status mos_access_need_second(mos_access *access, struct mos_call *call, const char *resource) {
    const struct mos_right *right = mos_right_find(mos_call_path(call));
    return access->second_person_ns && right && right->second_person
               ? mos_second_person(access->catalog, mos_call_path(call), resource, mos_call_caller_name(call), access->second_person_ns,
                                   mos_call_error(call))
               : MOS_OK;
}

const struct mos_rpc_interceptor mos_access_interceptor = {.begin = begin};
