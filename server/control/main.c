// mosaajii-server: wiring only.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/settings.h"
#include "control/access/access.h"
#include "control/alert/watch.h"
#include "control/catalog/catalog.h"
#include "control/dr/recovery.h"
#include "control/job/queue.h"
#include "control/job/readiness.h"
#include "control/key/kms.h"
#include "control/metrics/metrics.h"
#include "control/offsite/offsite.h"
#include "control/rpc/rpc.h"
#include "control/schedule/scheduler.h"
#include "control/schedule/sweep.h"
#include "control/service/service.h"

enum { EXIT_WRONG = 2, MOST_JOBS = 64, DRAIN_GRACE_MS = 5000, HOME_GRACE_MS = 1000, ENGINES_GRACE_MS = 15000 };

static const char help[] =
    "Usage: mosaajii-server [--print-config | --rebuild-catalog [--from LOCATION] | --release-retention | --version | --help]\n"
    "\n"
    "Serves Mosaajii Backup over gRPC until SIGTERM or SIGINT.\n"
    "\n"
    "  --print-config     show every setting, its value and where it came from\n"
    "  --rebuild-catalog  bring back a catalog that is lost from its sealed copy beside the data, add the backups of the repository that "
    "it\n"
    "                     does not know, and end\n"
    "  --from LOCATION    bring them back from there first, for a machine whose home is lost: s3://BUCKET/PREFIX, "
    "azure://CONTAINER/PREFIX,\n"
    "                     gs://BUCKET/PREFIX, sftp://USER@HOST/PATH or file:///PATH, with the credentials of the settings; the keyring, "
    "or\n"
    "                     an escrow copy of it with MOSAAJII_KEYRING_PASSPHRASE, must lie at MOSAAJII_HOME/keys/keyring\n"
    "  --release-retention  let retention go on that was held back after a rebuild, and end\n"
    "  --version          show the version\n"
    "  --help             show this\n"
    "\n"
    "Settings are environment variables; MOSAAJII_HOME is where the state lies, MOSAAJII_LISTEN where the server listens.\n";

struct options {
    bool print_config;
    bool rebuild_catalog;
    bool release_retention;
    const char *from;
};

// Everything the server is made of, in the order in which it is made; taken apart backwards.
struct program {
    mos_settings *settings;
    char *home;
    char *engine_path;
    char *keyring;
    char *scratch;
    int lock;
    int engines_lock;
    mos_catalog *catalog;
    mos_trail *trail;
    mos_kms *kms;
    struct mos_key_keeper keeper;
    mos_readiness *readiness;
    mos_watch *watch;
    mos_metrics *metrics;
    mos_scheduler *scheduler;
    mos_access *access;
    mos_queue *queue;
    struct mos_engine engine;
    mos_offsite *offsite;
    mos_recovery *recovery;
    mos_broadcast *broadcast;
    mos_rpc_server *server;
    struct mos_services services;
};

// ---- Settings that only the server can judge ----

// By its number, or by the one name that always means it: any other that begins like a number is looked up, and may be anywhere.
static bool is_loopback(const char *address) {
    char host[INET_ADDRSTRLEN];
    struct in_addr number;
    size_t length = (size_t)(strrchr(address, ':') - address);
    snprintf(host, sizeof(host), "%.*s", (int)length, address);
    return strncmp(address, "localhost:", 10) == 0 || strncmp(address, "[::1]:", 6) == 0 ||
           (length < sizeof(host) && inet_pton(AF_INET, host, &number) == 1 && strncmp(host, "127.", 4) == 0);
}

static mos_status check_readable(const mos_settings *settings, enum mos_setting setting, const char *name, struct mos_error *error) {
    const char *path = mos_setting_text(settings, setting);
    return !*path || access(path, R_OK) == 0
               ? MOS_OK
               : mos_fail_field(error, name, "%s is %s, which cannot be read: %s", name, path, strerror(errno));
}

static struct mos_kms_options kms_options_of(const mos_settings *settings) {
    return (struct mos_kms_options){
        .provider = mos_setting_text(settings, MOS_SETTING_KMS_PROVIDER),
        .aws_key_id = mos_setting_text(settings, MOS_SETTING_AWS_KMS_KEY_ID),
        .aws_region = mos_setting_text(settings, MOS_SETTING_AWS_KMS_REGION),
        .aws_endpoint = mos_setting_text(settings, MOS_SETTING_AWS_KMS_ENDPOINT),
        .aws_access_key_id = mos_setting_text(settings, MOS_SETTING_AWS_ACCESS_KEY_ID),
        .aws_secret_access_key = mos_setting_text(settings, MOS_SETTING_AWS_SECRET_ACCESS_KEY),
        .aws_session_token = mos_setting_text(settings, MOS_SETTING_AWS_SESSION_TOKEN),
        .vault_address = mos_setting_text(settings, MOS_SETTING_VAULT_ADDR),
        .vault_token = mos_setting_text(settings, MOS_SETTING_VAULT_TOKEN),
        .vault_mount = mos_setting_text(settings, MOS_SETTING_VAULT_TRANSIT_MOUNT),
        .vault_key = mos_setting_text(settings, MOS_SETTING_VAULT_TRANSIT_KEY),
        .ca_file = mos_setting_text(settings, MOS_SETTING_KMS_CA_FILE),
        .timeout_ms = (int)mos_setting_number(settings, MOS_SETTING_KMS_TIMEOUT_SECONDS) * 1000,
    };
}

static mos_status check_settings(const mos_settings *settings, struct mos_error *error) {
    const char *listen = mos_setting_text(settings, MOS_SETTING_MOSAAJII_LISTEN);
    bool has_cert = mos_setting_is_set(settings, MOS_SETTING_MOSAAJII_TLS_CERT);
    bool has_key = mos_setting_is_set(settings, MOS_SETTING_MOSAAJII_TLS_KEY);
    int64_t jobs = mos_setting_number(settings, MOS_SETTING_MOSAAJII_MAX_JOBS);
    mos_status status = check_readable(settings, MOS_SETTING_MOSAAJII_TLS_CERT, "MOSAAJII_TLS_CERT", error);
    if (status == MOS_OK) {
        status = check_readable(settings, MOS_SETTING_MOSAAJII_TLS_KEY, "MOSAAJII_TLS_KEY", error);
    }
    if (status == MOS_OK) {
        status = check_readable(settings, MOS_SETTING_MOSAAJII_TLS_CLIENT_CA, "MOSAAJII_TLS_CLIENT_CA", error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (has_cert != has_key) {
        return mos_fail_field(error, has_cert ? "MOSAAJII_TLS_KEY" : "MOSAAJII_TLS_CERT", "%s is not set, but %s is: TLS needs both",
                              has_cert ? "MOSAAJII_TLS_KEY" : "MOSAAJII_TLS_CERT", has_cert ? "MOSAAJII_TLS_CERT" : "MOSAAJII_TLS_KEY");
    }
    if (!has_cert && !is_loopback(listen)) {
        return mos_fail_field(error, "MOSAAJII_LISTEN",
                              "MOSAAJII_LISTEN is %s: without TLS (MOSAAJII_TLS_CERT, MOSAAJII_TLS_KEY) only a "
                              "loopback address is allowed",
                              listen);
    }
    const char *metrics = mos_setting_text(settings, MOS_SETTING_MOSAAJII_METRICS_LISTEN);
    if (*metrics && !is_loopback(metrics)) {
        return mos_fail_field(error, "MOSAAJII_METRICS_LISTEN",
                              "MOSAAJII_METRICS_LISTEN is %s: metrics are served without a token, so only a loopback address is allowed",
                              metrics);
    }
    if (jobs < 1 || jobs > MOST_JOBS) {
        return mos_fail_field(error, "MOSAAJII_MAX_JOBS", "MOSAAJII_MAX_JOBS is %lld; allowed is 1 to %d", (long long)jobs, MOST_JOBS);
    }
    mos_kms *kms = NULL;
    const struct mos_kms_options kms_options = kms_options_of(settings);
    status = mos_kms_create(&kms, &kms_options, error);
    mos_kms_destroy(status == MOS_OK ? kms : NULL);
    if (status != MOS_OK) {
        return status;
    }
    status = mos_watch_check(settings, error);
    if (status == MOS_OK) {
        status = mos_keep_tags_check(settings, error);
    }
    if (status == MOS_OK) {
        status = mos_sources_check(settings, error);
    }
    return status == MOS_OK ? mos_offsite_check(settings, error) : status;
}

static void set_up_log(const mos_settings *settings) {
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    int level = MOS_LOG_INFO;
    for (int i = 0; i < 4; i++) {
        level = strcmp(levels[i], mos_setting_text(settings, MOS_SETTING_MOSAAJII_LOG_LEVEL)) == 0 ? i : level;
    }
    mos_log_setup("mosaajii-server", strcmp(mos_setting_text(settings, MOS_SETTING_MOSAAJII_LOG_FORMAT), "json") == 0,
                  (enum mos_log_level)level);
}

// ---- The home ----

static char *join(const char *folder, const char *name) {
    MOS_CLEANUP_BUFFER struct mos_buffer path = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&path, "%s/%s", folder, name);
    return mos_strdup(mos_buffer_text(&path));
}

// With all that leads there; what is made has mode 0700.
static mos_status make_directory(const char *path, struct mos_error *error) {
    MOS_CLEANUP_FREE char *part = mos_strdup(path);
    for (char *slash = part + 1;; slash++) {
        slash += strcspn(slash, "/");
        char kept = *slash;
        *slash = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return mos_fail_errno(error, errno, "making the directory %s", part);
        }
        *slash = kept;
        if (!kept) {
            break;
        }
    }
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? MOS_OK
                                                               : mos_fail(error, MOS_FAILED_PRECONDITION, "%s is no directory", path);
}

static mos_status take_lock(const char *path, int *out, struct mos_error *error) {
    *out = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *out >= 0 ? MOS_OK : mos_fail_errno(error, errno, "opening %s", path);
}

static bool lock_within(int lock, int grace_ms) {
    for (int waited_ms = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; waited_ms += 20) {
        if (waited_ms >= grace_ms) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20 * MOS_NS_PER_MS}, NULL);
    }
    return true;
}

// The first lock may outlive a server that is killed by a moment: a process that it was just starting holds it until it is another program.
// The second is also held by every engine process, so that a server that follows one that was killed begins when the last of its engines
// is gone: only then does what the repository says stay so.
static mos_status lock_home(struct program *program, struct mos_error *error) {
    MOS_CLEANUP_FREE char *lock = join(program->home, "lock");
    MOS_CLEANUP_FREE char *engines = join(program->home, "engines.lock");
    mos_status status = take_lock(lock, &program->lock, error);
    if (status == MOS_OK && !lock_within(program->lock, HOME_GRACE_MS)) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "another mosaajii-server uses %s", program->home);
    }
    if (status == MOS_OK) {
        status = take_lock(engines, &program->engines_lock, error);
    }
    if (status == MOS_OK && !lock_within(program->engines_lock, ENGINES_GRACE_MS)) {
        status = mos_fail(error, MOS_FAILED_PRECONDITION, "an engine process of the server before still works on %s", program->home);
    }
    return status;
}

static mos_status prepare_home(struct program *program, struct mos_error *error) {
    static const char *const folders[] = {"keys", "scratch", "restore"};
    mos_status status = make_directory(program->home, error);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && status == MOS_OK; i++) {
        MOS_CLEANUP_FREE char *path = join(program->home, folders[i]);
        status = make_directory(path, error);
    }
    program->keyring = join(program->home, "keys/keyring");
    program->scratch = join(program->home, "scratch");
    return status == MOS_OK ? lock_home(program, error) : status;
}

static mos_status find_engine(struct program *program, struct mos_error *error) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length < 0) {
        return mos_fail_errno(error, errno, "finding the engine");
    }
    path[length] = 0;
    program->engine_path = join(dirname(path), "mosaajii-engine");
    return access(program->engine_path, X_OK) == 0 ? MOS_OK : mos_fail_errno(error, errno, "finding the engine %s", program->engine_path);
}

// ---- Making and taking apart ----

static mos_status open_trail(struct program *program, struct mos_error *error) {
    MOS_CLEANUP_FREE char *key = join(program->home, "keys/audit.key");
    MOS_CLEANUP_FREE char *folder = join(mos_setting_text(program->settings, MOS_SETTING_MOSAAJII_REPOSITORY), "audit");
    mos_status status = mos_trail_create(&program->trail, program->catalog, key, folder, error);
    if (status == MOS_OK) {
        const struct mos_audit_detail detail = {"version", MOSAAJII_VERSION};
        mos_trail_note(program->trail, "Server.Start", "", MOS_OK, &detail, 1);
    }
    return status;
}

// What an engine asks for; what fails is a fault that somebody must hear of, for nothing is backed up without it.
static mos_status transform_key(void *context, const char *reference, bool unwrap, const uint8_t *data, size_t size_bytes,
                                struct mos_buffer *out, struct mos_error *error) {
    struct program *program = context;
    mos_status status = (unwrap ? mos_kms_unwrap : mos_kms_wrap)(program->kms, reference, data, size_bytes, out, error);
    if (status != MOS_OK) {
        const struct mos_audit_detail detail = {"message", error->message};
        mos_log_error("ENCRYPTION_FAILED", MOS_TEXT("key", reference), MOS_TEXT("reason", error->message));
        if (program->trail) {
            mos_trail_note(program->trail, "Alert.ENCRYPTION_FAILED", reference, status, &detail, 1);
        }
    }
    mos_watch_encryption(program->watch, reference, status == MOS_OK ? NULL : error);
    return status;
}

// Home, engine and keys: what is there before the catalog is.
static mos_status prepare(struct program *program, struct mos_error *error) {
    const mos_settings *settings = program->settings;
    mos_status status = find_engine(program, error);
    if (status == MOS_OK) {
        status = prepare_home(program, error);
    }
    if (status == MOS_OK) {
        const struct mos_kms_options kms_options = kms_options_of(settings);
        status = mos_kms_create(&program->kms, &kms_options, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    program->keeper = (struct mos_key_keeper){transform_key, program};
    program->engine = (struct mos_engine){.path = program->engine_path,
                                          .repository = mos_setting_text(settings, MOS_SETTING_MOSAAJII_REPOSITORY),
                                          .keyring = program->keyring,
                                          .scratch = program->scratch,
                                          .lifeline = program->engines_lock,
                                          .passphrase = mos_setting_text(settings, MOS_SETTING_MOSAAJII_KEYRING_PASSPHRASE),
                                          .key_reference = mos_kms_reference(program->kms),
                                          .keeper = &program->keeper};
    return MOS_OK;
}

static mos_status make_offsite(struct program *program, const char *from, struct mos_error *error) {
    const struct mos_offsite_options options = {.settings = program->settings,
                                                .catalog = program->catalog,
                                                .queue = program->queue,
                                                .repository = program->engine.repository,
                                                .scratch = program->scratch,
                                                .from = from};
    mos_status status = mos_offsite_create(&program->offsite, &options, error);
    if (status == MOS_OK) {
        mos_queue_set_prepare(program->queue, mos_offsite_prepare, program->offsite);
    }
    return status;
}

static mos_status open_state(struct program *program, struct mos_error *error) {
    MOS_CLEANUP_FREE char *path = join(program->home, "catalog.db");
    mos_status status = mos_catalog_open(&program->catalog, path, error);
    if (status == MOS_OK) {
        status = open_trail(program, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    status = mos_watch_create(&program->watch, program->catalog, program->settings, error);
    if (status != MOS_OK) {
        return status;
    }
    program->queue =
        mos_queue_create(program->catalog, &program->engine, (int)mos_setting_number(program->settings, MOS_SETTING_MOSAAJII_MAX_JOBS));
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Repository *repository;
    status = mos_queue_init(program->queue, arena, &repository, error);
    if (status != MOS_OK) {
        return mos_fail_context(error, "opening the repository %s", program->engine.repository);
    }
    if (*repository->away) {
        // The catalog, the trail and the alerts need no key: better a server that says what it lacks than none.
        mos_log_error("the keys of the repository cannot be used for now", MOS_TEXT("reason", repository->away));
        return mos_queue_settle_later(program->queue, error);
    }
    mos_log_info(repository->created ? "repository created" : "repository opened", MOS_TEXT("repository", program->engine.repository),
                 MOS_TEXT("id", repository->id));
    return mos_queue_settle(program->queue, error);
}

static mos_status make_server(struct program *program, struct mos_error *error) {
    const mos_settings *settings = program->settings;
    const char *token_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TOKEN_FILE);
    bool made = false;
    const struct mos_access_options access_options = {
        .jwt_secret = mos_setting_text(settings, MOS_SETTING_JWT_SECRET),
        .client_roles = mos_setting_text(settings, MOS_SETTING_MOSAAJII_CLIENT_ROLES),
        .second_person_ns = mos_setting_flag(settings, MOS_SETTING_MOSAAJII_SECOND_PERSON)
                                ? mos_setting_number(settings, MOS_SETTING_MOSAAJII_SECOND_PERSON_MINUTES) * 60 * MOS_NS_PER_SECOND
                                : 0};
    mos_status status = mos_trail_start(program->trail, error);
    if (status == MOS_OK) {
        status = make_offsite(program, NULL, error);
    }
    if (status == MOS_OK) {
        status = mos_access_create(&program->access, program->catalog, &access_options, error);
    }
    if (status == MOS_OK) {
        mos_access_set_trail(program->access, program->trail);
    }
    if (status == MOS_OK) {
        status = mos_access_ensure_admin(program->access, token_file, &made, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (made) {
        mos_log_info("admin token written", MOS_TEXT("file", token_file));
    }
    const struct mos_rpc_options options = {.listen = mos_setting_text(settings, MOS_SETTING_MOSAAJII_LISTEN),
                                            .tls_cert_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TLS_CERT),
                                            .tls_key_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TLS_KEY),
                                            .tls_client_ca_file = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TLS_CLIENT_CA),
                                            .trusted_proxies = mos_setting_text(settings, MOS_SETTING_MOSAAJII_TRUSTED_PROXIES)};
    status = mos_rpc_server_create(&program->server, &options, error);
    if (status != MOS_OK) {
        return status;
    }
    program->metrics = mos_metrics_create(program->catalog, program->watch, mos_setting_text(settings, MOS_SETTING_MOSAAJII_REPOSITORY));
    mos_rpc_server_intercept(program->server, &mos_metrics_interceptor, program->metrics);
    mos_rpc_server_intercept(program->server, &mos_rpc_log_calls, NULL);
    mos_rpc_server_intercept(program->server, &mos_trail_interceptor, program->trail);
    mos_rpc_server_intercept(program->server, &mos_access_interceptor, program->access);
    const struct mos_scheduler_options scheduler_options = mos_scheduler_options_of(&program->services, program->catalog, settings);
    program->scheduler = mos_scheduler_create(&scheduler_options);
    program->recovery = mos_recovery_create(
        &(struct mos_recovery_options){settings, program->catalog, program->queue, mos_trail_sign, program->trail, program->offsite});
    status = mos_broadcast_start(&program->broadcast, program->catalog, error);
    if (status != MOS_OK) {
        return status;
    }
    program->services = (struct mos_services){.settings = settings,
                                              .catalog = program->catalog,
                                              .queue = program->queue,
                                              .offsite = program->offsite,
                                              .access = program->access,
                                              .trail = program->trail,
                                              .kms = program->kms,
                                              .watch = program->watch,
                                              .scheduler = program->scheduler,
                                              .recovery = program->recovery,
                                              .broadcast = program->broadcast,
                                              .started_at_unix_ns = mos_now_unix_ns()};
    status = mos_services_add(program->server, &program->services, error);
    if (status == MOS_OK) {
        status = mos_rpc_server_add_health(program->server, error);
    }
    if (status == MOS_OK) {
        status = mos_rpc_server_add_reflection(program->server, mos_descriptor_set, mos_descriptor_set_bytes, error);
    }
    if (status == MOS_OK) {
        status = mos_queue_start(program->queue, error);
    }
    if (status == MOS_OK) {
        status = mos_watch_start(program->watch, program->queue, error);
    }
    if (status == MOS_OK && mos_setting_is_set(settings, MOS_SETTING_MOSAAJII_METRICS_LISTEN)) {
        status = mos_metrics_start(program->metrics, mos_setting_text(settings, MOS_SETTING_MOSAAJII_METRICS_LISTEN), error);
    }
    if (status == MOS_OK) {
        status = mos_recovery_start(program->recovery, error);
    }
    if (status == MOS_OK) {
        status =
            mos_readiness_start(&program->readiness, program->queue, program->catalog,
                                mos_setting_number(settings, MOS_SETTING_KEY_ROTATION_DAYS), mos_watch_readiness(program->watch), error);
    }
    if (status == MOS_OK) {
        status = mos_scheduler_start(program->scheduler, error);
    }
    if (status == MOS_OK) {
        status = mos_offsite_start(program->offsite, error);
    }
    return status == MOS_OK ? mos_rpc_server_start(program->server, error) : status;
}

static void tear_down(struct program *program) {
    mos_readiness_stop(program->readiness);
    if (program->recovery) {
        mos_recovery_stop(program->recovery);
    }
    mos_scheduler_stop(program->scheduler);
    mos_metrics_stop(program->metrics);
    mos_watch_stop(program->watch);
    mos_offsite_stop(program->offsite);
    if (program->queue) {
        mos_queue_stop(program->queue);
    }
    if (program->server) {
        mos_rpc_server_stop(program->server, DRAIN_GRACE_MS);
        mos_rpc_server_destroy(program->server);
    }
    mos_broadcast_stop(program->broadcast);
    mos_scheduler_destroy(program->scheduler);
    mos_offsite_destroy(program->offsite);
    mos_recovery_destroy(program->recovery);
    mos_queue_destroy(program->queue);
    mos_metrics_destroy(program->metrics);
    mos_watch_destroy(program->watch);
    mos_access_destroy(program->access);
    if (program->trail) {
        mos_trail_note(program->trail, "Server.Stop", "", MOS_OK, NULL, 0);
        mos_trail_destroy(program->trail);
    }
    mos_kms_destroy(program->kms);
    mos_catalog_close(program->catalog);
    mos_settings_free(program->settings);
    free(program->home);
    free(program->engine_path);
    free(program->keyring);
    free(program->scratch);
    // Closed last: they are what tells another server that this one is gone.
    if (program->engines_lock >= 0) {
        close(program->engines_lock);
    }
    if (program->lock >= 0) {
        close(program->lock);
    }
}

static int fail(const struct mos_error *error, int code) {
    fprintf(stderr, "mosaajii-server: %s\n", error->message);
    return code;
}

static void log_ready(struct program *program) {
    const char *listen = mos_setting_text(program->settings, MOS_SETTING_MOSAAJII_LISTEN);
    char address[512];
    snprintf(address, sizeof(address), "%.*s:%d", (int)(strrchr(listen, ':') - listen), listen, mos_rpc_server_port(program->server));
    mos_log_info("ready", MOS_TEXT("address", address), MOS_TEXT("version", MOSAAJII_VERSION));
}

// ---- The program ----

static int serve(struct program *program, const sigset_t *ends) {
    struct mos_error error;
    if (prepare(program, &error) != MOS_OK || open_state(program, &error) != MOS_OK || make_server(program, &error) != MOS_OK) {
        return fail(&error, EXIT_FAILURE);
    }
    log_ready(program);
    int received;
    sigwait(ends, &received);
    mos_log_info("stopping", MOS_TEXT("signal", received == SIGINT ? "SIGINT" : "SIGTERM"));
    mos_rpc_server_set_serving(program->server, NULL, false);
    return EXIT_SUCCESS;
}

static double seconds_since(int64_t began_ns) {
    return (double)(mos_now_monotonic_ns() - began_ns) / (double)MOS_NS_PER_SECOND;
}

static bool newest(const struct mos_backup *backup, void *id) {
    snprintf(id, MOS_ID_TEXT_BYTES, "%s", backup->id);
    return false;
}

static bool not_over(const void *program) {
    (void)program;
    return false;
}

// The newest good backup is brought back and read whole: from then on it can be restored.
static mos_status prove_first(struct program *program, int64_t began_ns, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_catalog_session *session = NULL;
    char backup_id[MOS_ID_TEXT_BYTES] = "", job_id[MOS_ID_TEXT_BYTES];
    struct mos_job job;
    mos_status status = mos_catalog_read_begin(program->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_good_backups(session, 0, newest, backup_id, error);
    }
    mos_catalog_read_end(session);
    if (status != MOS_OK || !*backup_id) {
        return status;
    }
    status = mos_queue_start(program->queue, error);
    if (status == MOS_OK) {
        status = mos_queue_verify(program->queue, backup_id, "system", job_id, error);
    }
    if (status == MOS_OK) {
        status = mos_queue_wait(program->queue, job_id, not_over, NULL, arena, &job, error);
    }
    if (status == MOS_OK && job.status != MOS_JOB_SUCCEEDED && job.status != MOS_JOB_SUCCEEDED_WITH_WARNINGS) {
        status = mos_fail(error, MOS_DATA_LOSS, "the newest backup %s does not verify: %s", backup_id, job.message);
    }
    if (status == MOS_OK) {
        printf("The newest backup, %s, is here and verified: it can be restored, %.1f seconds after the start.\n", backup_id,
               seconds_since(began_ns));
    }
    return status;
}

// Whoever brings a lost server back holds its keys, and must get in.
static mos_status give_token(struct program *program, struct mos_error *error) {
    const char *token_file = mos_setting_text(program->settings, MOS_SETTING_MOSAAJII_TOKEN_FILE);
    const struct mos_access_options options = {.jwt_secret = "", .client_roles = ""};
    bool made = false;
    mos_status status = mos_access_create(&program->access, program->catalog, &options, error);
    if (status == MOS_OK) {
        status = mos_access_recover_admin(program->access, token_file, &made, error);
    }
    if (made) {
        mos_trail_note(program->trail, "Server.RecoveryToken", "", MOS_OK, NULL, 0);
        printf("An administrator's token was written to %s.\n", token_file);
    }
    return status;
}

// *out_copy: the catalog is another machine's, from its sealed copy.
static mos_status bring_back(struct program *program, const char *from, bool *out_copy, struct mos_error *error) {
    MOS_CLEANUP_FREE char *catalog = join(program->home, "catalog.db");
    const struct mos_offsite_lost lost = {.settings = program->settings, .from = from, .engine = &program->engine, .catalog = catalog};
    struct mos_offsite_found found;
    if (access(program->keyring, R_OK) != 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION,
                        "there is no keyring at %s: put it there, or an escrow copy of it with MOSAAJII_KEYRING_PASSPHRASE",
                        program->keyring);
    }
    mos_status status = mos_offsite_find(&lost, &found, error);
    if (status == MOS_OK) {
        printf("%lld %s found at %s; %s%s.\n", (long long)found.backups, found.backups == 1 ? "backup was" : "backups were", from,
               found.catalog ? "the catalog was opened from its sealed copy" : "the catalog is made anew: ",
               found.catalog ? "" : found.reason);
        *out_copy = found.catalog;
    }
    return status;
}

// *out_copy: the catalog is one from before, from its sealed copy beside the data.
static mos_status open_kept(struct program *program, bool *out_copy, struct mos_error *error) {
    MOS_CLEANUP_FREE char *catalog = join(program->home, "catalog.db");
    int64_t kept_at_unix_ns = 0;
    char reason[1024], kept_at[MOS_TIME_TEXT_BYTES];
    if (access(catalog, F_OK) == 0) {
        return MOS_OK;
    }
    mos_status status = mos_offsite_open_kept(&program->engine, catalog, &kept_at_unix_ns, reason, sizeof(reason), error);
    if (status == MOS_OK && kept_at_unix_ns) {
        mos_time_format(kept_at_unix_ns, kept_at);
        printf("The catalog was opened from its sealed copy of %s; what was changed after that is not in it.\n", kept_at);
        *out_copy = true;
    } else if (status == MOS_OK) {
        printf("The catalog is made anew, without holds, locks, schedules, tokens and history: %s.\n", reason);
    }
    return status;
}

// Backups that the catalog did not know come without what people had said of them, and a copy of it does not know what they said last. That
// is written down before the first of them is.
static mos_status learn_backups(struct program *program, bool copy, int64_t *out_added, struct mos_error *error) {
    char now[MOS_TIME_TEXT_BYTES], why[256];
    bool was = false, ignored;
    mos_time_format(mos_now_unix_ns(), now);
    snprintf(why, sizeof(why), "the catalog was rebuilt at %s, and holds, locks, schedules or keep rules may be missing in it", now);
    mos_status status = mos_retention_hold_back(program->catalog, why, &was, error);
    if (status == MOS_OK) {
        status = mos_queue_rebuild(program->queue, out_added, error);
    }
    if (status == MOS_OK) {
        printf("%lld %s added to the catalog.\n", (long long)*out_added, *out_added == 1 ? "backup was" : "backups were");
    }
    if (status == MOS_OK && *out_added == 0 && !copy && !was) {
        return mos_retention_release(program->catalog, &ignored, error);
    }
    if (status == MOS_OK) {
        puts("Retention removes nothing until an administrator has looked at holds, locks, schedules and keep rules, and has run "
             "mosaajii-server --release-retention.");
    }
    return status;
}

static mos_status rebuild_catalog(struct program *program, const char *from, struct mos_error *error) {
    int64_t began_ns = mos_now_monotonic_ns(), added = 0, count = 0;
    bool copy = false;
    mos_status status = prepare(program, error);
    if (status == MOS_OK && from) {
        status = bring_back(program, from, &copy, error);
    }
    if (status == MOS_OK) {
        status = open_kept(program, &copy, error);
    }
    if (status == MOS_OK) {
        status = open_state(program, error);
    }
    if (status == MOS_OK && copy) {
        status = mos_recovery_give_up(program->catalog, error);
    }
    if (status == MOS_OK) {
        status = learn_backups(program, copy, &added, error);
    }
    if (status != MOS_OK || !from) {
        return status;
    }
    status = make_offsite(program, from, error);
    if (status == MOS_OK) {
        status = mos_offsite_adopt(program->offsite, from, program->settings, error);
    }
    mos_catalog_session *session = NULL;
    if (status == MOS_OK && mos_catalog_read_begin(program->catalog, &session, error) == MOS_OK) {
        status = mos_catalog_count_backups(session, &count, error);
        mos_catalog_read_end(session);
    }
    if (status == MOS_OK) {
        printf("The catalog is back, with %lld %s, %.1f seconds after the start.\n", (long long)count, count == 1 ? "backup" : "backups",
               seconds_since(began_ns));
        fflush(stdout);
        status = give_token(program, error);
    }
    if (status == MOS_OK) {
        status = prove_first(program, began_ns, error);
    }
    return status;
}

static int rebuild(struct program *program, const char *from) {
    struct mos_error error;
    return rebuild_catalog(program, from, &error) == MOS_OK ? EXIT_SUCCESS : fail(&error, EXIT_FAILURE);
}

static int release_retention(struct program *program) {
    struct mos_error error;
    bool was = false;
    if (prepare(program, &error) != MOS_OK || open_state(program, &error) != MOS_OK ||
        mos_retention_release(program->catalog, &was, &error) != MOS_OK) {
        return fail(&error, EXIT_FAILURE);
    }
    puts(was ? "Retention goes on when the server is started." : "Retention was not held back.");
    return EXIT_SUCCESS;
}

static int parse_options(int argc, char **argv, struct options *out) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("mosaajii-server " MOSAAJII_VERSION);
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--print-config") == 0) {
            out->print_config = true;
        } else if (strcmp(argv[i], "--rebuild-catalog") == 0) {
            out->rebuild_catalog = true;
        } else if (strcmp(argv[i], "--release-retention") == 0) {
            out->release_retention = true;
        } else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) {
            out->from = argv[++i];
        } else {
            fprintf(stderr, "mosaajii-server: unknown argument \"%s\"; --help shows what there is\n", argv[i]);
            return EXIT_WRONG;
        }
    }
    if (out->from && !out->rebuild_catalog) {
        fputs("mosaajii-server: --from goes with --rebuild-catalog\n", stderr);
        return EXIT_WRONG;
    }
    return -1;
}

// As many descriptors as the system lets us have: each connection and each engine takes some.
static void raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct options options = {0};
    int code = parse_options(argc, argv, &options);
    if (code >= 0) {
        return code;
    }
    struct program program = {.lock = -1, .engines_lock = -1};
    struct mos_error error;
    if (mos_settings_load(&program.settings, environ, &error) != MOS_OK) {
        return fail(&error, EXIT_WRONG);
    }
    if (options.print_config) {
        mos_settings_print(program.settings, stdout);
        mos_settings_free(program.settings);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (check_settings(program.settings, &error) != MOS_OK) {
        mos_settings_free(program.settings);
        return fail(&error, EXIT_WRONG);
    }
    set_up_log(program.settings);
    program.home = mos_strdup(mos_setting_text(program.settings, MOS_SETTING_MOSAAJII_HOME));
    umask(077);
    raise_limits();
    if (mos_engine_reserve_privileges(&error) != MOS_OK) {
        return fail(&error, EXIT_FAILURE);
    }
    // Tokens, passwords and, with a KMS, keys pass through this process.
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifndef __SANITIZE_ADDRESS__ // its leak check looks in from outside
    prctl(PR_SET_DUMPABLE, 0);
#endif
    // Before any thread is there: all inherit it, and only sigwait gets these.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    code = options.release_retention ? release_retention(&program)
           : options.rebuild_catalog ? rebuild(&program, options.from)
                                     : serve(&program, &ends);
    tear_down(&program);
    if (code == EXIT_SUCCESS) {
        mos_log_info("stopped");
    }
    return code;
}
