#include "control/offsite/ssh.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/offsite/hash.h"

enum { CONNECTIONS = 8, STEP_MS = 100, HOST_BYTES = 256 };

struct mos_ssh_pool {
    char host[HOST_BYTES];
    int port;
    char *user;
    char *key_file;
    char *password;
    char *known_hosts_file;
    int timeout_ms;
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    struct mos_ssh *idle[CONNECTIONS];
    int idle_count;
    int used_count;
};

static void start_library(void) {
    libssh2_init(0);
}

static mos_status read_endpoint(mos_ssh_pool *pool, const char *endpoint, struct mos_error *error) {
    const char *host = endpoint, *port = NULL;
    size_t length = strlen(endpoint);
    if (*endpoint == '[') {
        const char *end = strchr(endpoint, ']');
        host = endpoint + 1;
        length = end ? (size_t)(end - host) : 0;
        port = end && end[1] == ':' ? end + 2 : NULL;
        length = end && end[1] && end[1] != ':' ? 0 : length;
    } else if (strchr(endpoint, ':')) {
        length = strcspn(endpoint, ":");
        port = endpoint + length + 1;
    }
    char *rest = NULL;
    long number = port ? strtol(port, &rest, 10) : 22;
    if (length == 0 || length >= HOST_BYTES || number < 1 || number > 65535 || (rest && *rest) || memchr(host, '/', length) ||
        memchr(host, '@', length)) {
        return mos_fail_field(error, "OFFSITE_ENDPOINT", "OFFSITE_ENDPOINT is \"%.100s\"; SFTP needs host or host:port", endpoint);
    }
    snprintf(pool->host, sizeof(pool->host), "%.*s", (int)length, host);
    pool->port = (int)number;
    return MOS_OK;
}

mos_status mos_ssh_pool_create(mos_ssh_pool **out, const struct mos_store_options *options, struct mos_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct {
        const char *name;
        bool set;
    } needed[] = {{"SFTP_USER", *options->user},
                  {"SFTP_KNOWN_HOSTS", *options->known_hosts_file},
                  {"SFTP_PRIVATE_KEY", *options->private_key_file || *options->password}};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (!needed[i].set) {
            return mos_fail_field(error, needed[i].name, "%s is not set, and SFTP needs it%s", needed[i].name,
                                  i == 2 ? " or SFTP_PASSWORD" : "");
        }
    }
    mos_ssh_pool *pool = mos_calloc(1, sizeof(*pool));
    mos_status status = read_endpoint(pool, options->endpoint, error);
    if (status != MOS_OK) {
        free(pool);
        return status;
    }
    pthread_once(&once, start_library);
    pool->user = mos_strdup(options->user);
    pool->key_file = mos_strdup(options->private_key_file);
    pool->password = mos_strdup(options->password);
    pool->known_hosts_file = mos_strdup(options->known_hosts_file);
    pool->timeout_ms = options->timeout_ms;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->freed, NULL);
    *out = pool;
    return MOS_OK;
}

static void close_connection(struct mos_ssh *ssh) {
    // Nobody is waited for: the other side sees the end of the stream.
    if (ssh->session) {
        libssh2_session_set_blocking(ssh->session, 0);
        if (ssh->sftp) {
            libssh2_sftp_shutdown(ssh->sftp);
        }
        libssh2_session_free(ssh->session);
    }
    if (ssh->socket >= 0) {
        close(ssh->socket);
    }
    free(ssh);
}

void mos_ssh_pool_destroy(mos_ssh_pool *pool) {
    for (int i = 0; i < pool->idle_count; i++) {
        close_connection(pool->idle[i]);
    }
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->freed);
    mos_store_wipe(pool->password);
    free(pool->user);
    free(pool->key_file);
    free(pool->known_hosts_file);
    free(pool);
}

static mos_status wait_for(struct mos_ssh *ssh, short events, const struct mos_store_call *call, struct mos_error *error) {
    int64_t end = mos_now_monotonic_ns() + ssh->pool->timeout_ms * MOS_NS_PER_MS;
    struct pollfd socket = {.fd = ssh->socket, .events = events};
    for (;;) {
        if (mos_store_over(call)) {
            ssh->broken = true;
            return mos_store_fail_cancelled(error);
        }
        int ready = poll(&socket, 1, STEP_MS);
        if (ready > 0) {
            return MOS_OK;
        }
        if (mos_now_monotonic_ns() > end) {
            ssh->broken = true;
            return mos_fail(error, MOS_DEADLINE_EXCEEDED, "the SFTP server %s does not answer", ssh->pool->host);
        }
    }
}

mos_status mos_ssh_wait(struct mos_ssh *ssh, const struct mos_store_call *call, struct mos_error *error) {
    int directions = libssh2_session_block_directions(ssh->session);
    short events =
        (short)((directions & LIBSSH2_SESSION_BLOCK_INBOUND ? POLLIN : 0) | (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0));
    return wait_for(ssh, events ? events : POLLIN, call, error);
}

mos_status mos_ssh_fail(struct mos_ssh *ssh, int code, const char *what, struct mos_error *error) {
    static const struct {
        unsigned long code;
        mos_status status;
        const char *words;
    } answers[] = {
        {LIBSSH2_FX_NO_SUCH_FILE, MOS_NOT_FOUND, "no such file"},
        {LIBSSH2_FX_NO_SUCH_PATH, MOS_NOT_FOUND, "no such path"},
        {LIBSSH2_FX_PERMISSION_DENIED, MOS_PERMISSION_DENIED, "permission denied"},
        {LIBSSH2_FX_WRITE_PROTECT, MOS_PERMISSION_DENIED, "write protected"},
        {LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM, MOS_NO_SPACE, "no space left"},
        {LIBSSH2_FX_QUOTA_EXCEEDED, MOS_NO_SPACE, "quota exceeded"},
        {LIBSSH2_FX_OP_UNSUPPORTED, MOS_UNIMPLEMENTED, "not supported"},
        {LIBSSH2_FX_FILE_ALREADY_EXISTS, MOS_ALREADY_EXISTS, "already exists"},
    };
    if (code == LIBSSH2_ERROR_SFTP_PROTOCOL) {
        unsigned long answer = libssh2_sftp_last_error(ssh->sftp);
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
            if (answers[i].code == answer) {
                return mos_fail(error, answers[i].status, "%s: the SFTP server says: %s", what, answers[i].words);
            }
        }
        return mos_fail(error, MOS_UNAVAILABLE, "%s: the SFTP server says failure %lu", what, answer);
    }
    char *message = NULL;
    ssh->broken = true;
    libssh2_session_last_error(ssh->session, &message, NULL, 0);
    return mos_fail(error, code == LIBSSH2_ERROR_TIMEOUT ? MOS_DEADLINE_EXCEEDED : MOS_UNAVAILABLE,
                    "%s: the connection to %s failed: %.200s", what, ssh->pool->host, message ? message : "");
}

static mos_status dial(struct mos_ssh *ssh, const struct mos_store_call *call, struct mos_error *error) {
    const mos_ssh_pool *pool = ssh->pool;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[16];
    int reason = 0;
    snprintf(port, sizeof(port), "%d", pool->port);
    int unknown = getaddrinfo(pool->host, port, &hints, &found);
    if (unknown != 0) {
        return mos_fail(error, MOS_UNAVAILABLE, "the SFTP server %s is not found: %s", pool->host, gai_strerror(unknown));
    }
    mos_status status = MOS_OK;
    for (const struct addrinfo *address = found; address && status == MOS_OK; address = address->ai_next) {
        int yes = 1;
        socklen_t size = sizeof(reason);
        ssh->socket = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        reason = ssh->socket < 0 ? errno : 0;
        if (ssh->socket < 0) {
            continue;
        }
        setsockopt(ssh->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        if (connect(ssh->socket, address->ai_addr, address->ai_addrlen) != 0) {
            reason = errno;
            if (reason == EINPROGRESS) {
                status = wait_for(ssh, POLLOUT, call, error);
                getsockopt(ssh->socket, SOL_SOCKET, SO_ERROR, &reason, &size);
            }
        }
        if (status == MOS_OK && reason == 0) {
            break;
        }
        close(ssh->socket);
        ssh->socket = -1;
    }
    freeaddrinfo(found);
    return status != MOS_OK || reason == 0 ? status
                                           : mos_fail(error, MOS_UNAVAILABLE, "the SFTP server %s:%d gives no connection: %s", pool->host,
                                                      pool->port, strerror(reason));
}

// The kinds of keys that are known of the host, so that the server shows one of them.
static mos_status choose_kinds(const struct mos_ssh *ssh, LIBSSH2_KNOWNHOSTS *hosts, struct mos_error *error) {
    static const struct {
        int kind;
        const char *method;
    } kinds[] = {
        {LIBSSH2_KNOWNHOST_KEY_ED25519, "ssh-ed25519"},
        {LIBSSH2_KNOWNHOST_KEY_ECDSA_256, "ecdsa-sha2-nistp256"},
        {LIBSSH2_KNOWNHOST_KEY_ECDSA_384, "ecdsa-sha2-nistp384"},
        {LIBSSH2_KNOWNHOST_KEY_ECDSA_521, "ecdsa-sha2-nistp521"},
        {LIBSSH2_KNOWNHOST_KEY_SSHRSA, "ssh-rsa"},
    };
    char methods[256] = "";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        // A key that nobody has does not fit, but only where one of its kind is known.
        int answer = libssh2_knownhost_checkp(hosts, ssh->pool->host, ssh->pool->port, "none", 4,
                                              LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | kinds[i].kind, NULL);
        if (answer == LIBSSH2_KNOWNHOST_CHECK_MISMATCH) {
            size_t used = strlen(methods);
            snprintf(methods + used, sizeof(methods) - used, "%s%s", used > 0 ? "," : "", kinds[i].method);
        }
    }
    if (!*methods) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the host %s is not in SFTP_KNOWN_HOSTS", ssh->pool->host);
    }
    libssh2_session_method_pref(ssh->session, LIBSSH2_METHOD_HOSTKEY, methods);
    return MOS_OK;
}

static mos_status check_host(const struct mos_ssh *ssh, LIBSSH2_KNOWNHOSTS *hosts, struct mos_error *error) {
    size_t length = 0;
    int kind = 0;
    const char *key = libssh2_session_hostkey(ssh->session, &length, &kind);
    static const int kinds[] = {[LIBSSH2_HOSTKEY_TYPE_RSA] = LIBSSH2_KNOWNHOST_KEY_SSHRSA,
                                [LIBSSH2_HOSTKEY_TYPE_ECDSA_256] = LIBSSH2_KNOWNHOST_KEY_ECDSA_256,
                                [LIBSSH2_HOSTKEY_TYPE_ECDSA_384] = LIBSSH2_KNOWNHOST_KEY_ECDSA_384,
                                [LIBSSH2_HOSTKEY_TYPE_ECDSA_521] = LIBSSH2_KNOWNHOST_KEY_ECDSA_521,
                                [LIBSSH2_HOSTKEY_TYPE_ED25519] = LIBSSH2_KNOWNHOST_KEY_ED25519};
    bool usable = key && kind > 0 && (size_t)kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind] != 0;
    int answer = usable ? libssh2_knownhost_checkp(hosts, ssh->pool->host, ssh->pool->port, key, length,
                                                   LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | kinds[kind], NULL)
                        : LIBSSH2_KNOWNHOST_CHECK_FAILURE;
    if (answer == LIBSSH2_KNOWNHOST_CHECK_MATCH) {
        return MOS_OK;
    }
    uint8_t sha256[MOS_STORE_HASH_BYTES] = {0};
    char base64[MOS_STORE_BASE64_BYTES];
    if (key) {
        mos_store_sha256(key, length, sha256);
    }
    mos_store_base64(sha256, sizeof(sha256), base64);
    base64[43] = 0;
    return mos_fail(error, MOS_UNAUTHENTICATED,
                    "the host %s shows another key (SHA256:%s) than the one in SFTP_KNOWN_HOSTS, and is refused", ssh->pool->host, base64);
}

static mos_status log_in(struct mos_ssh *ssh, const struct mos_store_call *call, struct mos_error *error) {
    const mos_ssh_pool *pool = ssh->pool;
    mos_status status;
    int code = LIBSSH2_ERROR_AUTHENTICATION_FAILED;
    if (*pool->key_file) {
        MOS_SSH_AWAIT(ssh, call, error, status, code,
                      libssh2_userauth_publickey_fromfile_ex(ssh->session, pool->user, (unsigned)strlen(pool->user), NULL, pool->key_file,
                                                             *pool->password ? pool->password : NULL));
        if (status != MOS_OK || code == 0) {
            return status;
        }
        if (code == LIBSSH2_ERROR_FILE) {
            return mos_fail_field(error, "SFTP_PRIVATE_KEY", "SFTP_PRIVATE_KEY cannot be read, or its passphrase is not SFTP_PASSWORD");
        }
    }
    if (*pool->password) {
        MOS_SSH_AWAIT(ssh, call, error, status, code,
                      libssh2_userauth_password_ex(ssh->session, pool->user, (unsigned)strlen(pool->user), pool->password,
                                                   (unsigned)strlen(pool->password), NULL));
        if (status != MOS_OK || code == 0) {
            return status;
        }
    }
    if (code == LIBSSH2_ERROR_SOCKET_DISCONNECT || code == LIBSSH2_ERROR_SOCKET_RECV || code == LIBSSH2_ERROR_SOCKET_SEND) {
        return mos_ssh_fail(ssh, code, "nobody could log in", error);
    }
    return mos_fail(error, MOS_UNAUTHENTICATED, "the SFTP server %s does not let %s in with %s", pool->host, pool->user,
                    !*pool->key_file   ? "this password"
                    : !*pool->password ? "this key (of the kinds ed25519 and ecdsa; newer servers take no RSA key from here)"
                                       : "this key or password");
}

static mos_status establish(struct mos_ssh *ssh, LIBSSH2_KNOWNHOSTS *hosts, const struct mos_store_call *call, struct mos_error *error) {
    int code;
    mos_status status = choose_kinds(ssh, hosts, error);
    if (status == MOS_OK) {
        status = dial(ssh, call, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    MOS_SSH_AWAIT(ssh, call, error, status, code, libssh2_session_handshake(ssh->session, ssh->socket));
    if (status != MOS_OK) {
        return status;
    }
    if (code == LIBSSH2_ERROR_KEX_FAILURE || code == LIBSSH2_ERROR_HOSTKEY_INIT) {
        return mos_fail(error, MOS_UNAUTHENTICATED, "the host %s shows no key of a kind that is in SFTP_KNOWN_HOSTS, and is refused",
                        ssh->pool->host);
    }
    status = code == 0 ? check_host(ssh, hosts, error) : mos_ssh_fail(ssh, code, "no session", error);
    status = status == MOS_OK ? log_in(ssh, call, error) : status;
    if (status != MOS_OK) {
        return status;
    }
    MOS_SSH_AWAIT_POINTER(ssh, call, error, status, ssh->sftp, libssh2_sftp_init(ssh->session));
    return status != MOS_OK || ssh->sftp ? status : mos_ssh_fail(ssh, LIBSSH2_ERROR_SOCKET_DISCONNECT, "no SFTP", error);
}

static mos_status connect_to(mos_ssh_pool *pool, struct mos_ssh **out, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_ssh *ssh = mos_calloc(1, sizeof(*ssh));
    *ssh = (struct mos_ssh){.pool = pool, .socket = -1, .session = libssh2_session_init()};
    LIBSSH2_KNOWNHOSTS *hosts = ssh->session ? libssh2_knownhost_init(ssh->session) : NULL;
    mos_status status;
    if (!hosts) {
        status = mos_fail(error, MOS_INTERNAL, "libssh2 does not start");
    } else if (libssh2_knownhost_readfile(hosts, pool->known_hosts_file, LIBSSH2_KNOWNHOST_FILE_OPENSSH) < 0) {
        status = mos_fail_field(error, "SFTP_KNOWN_HOSTS", "SFTP_KNOWN_HOSTS, the file %s, cannot be read", pool->known_hosts_file);
        status = status == MOS_INVALID_ARGUMENT ? MOS_FAILED_PRECONDITION : status;
        if (error) {
            error->status = status;
        }
    } else {
        libssh2_session_set_blocking(ssh->session, 0);
        status = establish(ssh, hosts, call, error);
    }
    if (hosts) {
        libssh2_knownhost_free(hosts);
    }
    if (status != MOS_OK) {
        close_connection(ssh);
        return status;
    }
    *out = ssh;
    return MOS_OK;
}

// Whether the other side has not closed it meanwhile.
static bool alive(const struct mos_ssh *ssh) {
    char byte;
    ssize_t count = recv(ssh->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

mos_status mos_ssh_take(mos_ssh_pool *pool, struct mos_ssh **out, const struct mos_store_call *call, struct mos_error *error) {
    struct mos_ssh *ssh = NULL;
    pthread_mutex_lock(&pool->mutex);
    while (pool->used_count == CONNECTIONS) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += STEP_MS * MOS_NS_PER_MS;
        until.tv_sec += until.tv_nsec / MOS_NS_PER_SECOND;
        until.tv_nsec %= MOS_NS_PER_SECOND;
        pthread_cond_timedwait(&pool->freed, &pool->mutex, &until);
        if (mos_store_over(call)) {
            pthread_mutex_unlock(&pool->mutex);
            return mos_store_fail_cancelled(error);
        }
    }
    pool->used_count++;
    while (pool->idle_count > 0 && !ssh) {
        ssh = pool->idle[--pool->idle_count];
        if (!alive(ssh)) {
            close_connection(ssh);
            ssh = NULL;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    mos_status status = ssh ? MOS_OK : connect_to(pool, &ssh, call, error);
    if (status != MOS_OK) {
        pthread_mutex_lock(&pool->mutex);
        pool->used_count--;
        pthread_cond_signal(&pool->freed);
        pthread_mutex_unlock(&pool->mutex);
        return status;
    }
    *out = ssh;
    return MOS_OK;
}

void mos_ssh_give(struct mos_ssh *ssh) {
    mos_ssh_pool *pool = ssh->pool;
    bool broken = ssh->broken;
    pthread_mutex_lock(&pool->mutex);
    pool->used_count--;
    if (!broken) {
        pool->idle[pool->idle_count++] = ssh;
    }
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->mutex);
    if (broken) {
        close_connection(ssh);
    }
}
