#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <grpc/support/log.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/rpc/client_address.h"
#include "control/rpc/rpc_internal.h"

enum { ACCEPTORS_A_QUEUE = 32, LARGEST_PEM_BYTES = 1 << 20 };

// ---- Making ----

static void log_for_grpc(gpr_log_func_args *args) {
    enum mos_log_level level = args->severity == GPR_LOG_SEVERITY_ERROR  ? MOS_LOG_ERROR
                               : args->severity == GPR_LOG_SEVERITY_INFO ? MOS_LOG_INFO
                                                                         : MOS_LOG_DEBUG;
    mos_log_write(level, "grpc", (struct mos_log_field[]){MOS_TEXT("message", args->message), {0}});
}

// Debian builds absl, of which gRPC has its locks, with a search for deadlocks: every lock that is taken enters a graph that the whole
// process shares under one spinning lock. It is for absl's developers, and a tenth of what a call costs. It can be switched off, but in C++
// alone, so by its name there; an absl of another name goes on searching.
static void stop_deadlock_search(void) {
    enum { IGNORE = 0 };
    void *symbol = dlsym(RTLD_DEFAULT, "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE");
    void (*set_mode)(int mode);
    memcpy(&set_mode, &symbol, sizeof(set_mode));
    if (set_mode) {
        set_mode(IGNORE);
    }
}

static void prepare_grpc(void) {
    gpr_set_log_function(log_for_grpc);
    stop_deadlock_search();
}

static void set_defaults(struct mos_rpc_options *options) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
#define DEFAULT(member, value) options->member = options->member ? options->member : (value)
    DEFAULT(receive_limit_bytes, 4u << 20);
    DEFAULT(arena_limit_bytes, 64u << 20);
    DEFAULT(max_concurrent_streams, 4096);
    DEFAULT(max_calls, 8192);
    DEFAULT(max_threads, 4096);
    DEFAULT(keepalive_ms, 60000);
    DEFAULT(keepalive_timeout_ms, 20000);
    DEFAULT(min_ping_interval_ms, 10000);
    DEFAULT(queues, processors > 2 ? (int)processors : 2);
#undef DEFAULT
}

static char *copy_text(const char *text) {
    return text && text[0] ? mos_strdup(text) : NULL;
}

mos_status mos_rpc_server_create(mos_rpc_server **out, const struct mos_rpc_options *options, struct mos_error *error) {
    if (!options->listen || !options->listen[0]) {
        return mos_fail_field(error, "listen", "listen must be an address as host:port");
    }
    bool cert = options->tls_cert_file && options->tls_cert_file[0];
    bool key = options->tls_key_file && options->tls_key_file[0];
    bool client_ca = options->tls_client_ca_file && options->tls_client_ca_file[0];
    if (cert != key) {
        return mos_fail_field(error, cert ? "tls_key_file" : "tls_cert_file", "TLS needs both a certificate and its key");
    }
    if (client_ca && !cert) {
        return mos_fail_field(error, "tls_cert_file", "client certificates need a certificate and key of the server's own");
    }
    mos_status proxies = mos_networks_check(options->trusted_proxies, error);
    if (proxies != MOS_OK) {
        return proxies;
    }
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_grpc);
    grpc_init();
    mos_rpc_server *server = mos_calloc(1, sizeof(*server));
    server->options = *options;
    server->options.listen = mos_strdup(options->listen);
    server->options.tls_cert_file = copy_text(options->tls_cert_file);
    server->options.tls_key_file = copy_text(options->tls_key_file);
    server->options.tls_client_ca_file = copy_text(options->tls_client_ca_file);
    server->options.trusted_proxies = copy_text(options->trusted_proxies);
    set_defaults(&server->options);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = server;
    return MOS_OK;
}

mos_status mos_rpc_server_add(mos_rpc_server *server, const struct mos_service_descriptor *service, const void *table, void *user,
                              struct mos_error *error) {
    for (size_t i = 0; i < server->service_count; i++) {
        if (strcmp(server->services[i]->name, service->name) == 0) {
            return mos_fail(error, MOS_ALREADY_EXISTS, "the service %s is there already", service->name);
        }
    }
    server->services = mos_realloc(server->services, (server->service_count + 1) * sizeof(const struct mos_service_descriptor *));
    server->services[server->service_count++] = service;
    server->routes = mos_realloc(server->routes, (server->route_count + service->method_count) * sizeof(*server->routes));
    bool builtin = strncmp(service->name, "grpc.health.", 12) == 0 || strncmp(service->name, "grpc.reflection.", 16) == 0;
    for (size_t i = 0; i < service->method_count; i++) {
        const struct mos_method_descriptor *method = &service->methods[i];
        void (*function)(void);
        memcpy(&function, (const char *)table + method->table_offset, sizeof(function));
        size_t path_bytes = strlen(service->name) + strlen(method->name) + 3;
        char *path = mos_malloc(path_bytes);
        snprintf(path, path_bytes, "/%s/%s", service->name, method->name);
        server->routes[server->route_count++] = (struct mos_route){
            .path = path, .method = method, .table = table, .user = user, .implemented = function != NULL, .builtin = builtin};
    }
    return MOS_OK;
}

void mos_rpc_server_intercept(mos_rpc_server *server, const struct mos_rpc_interceptor *interceptor, void *user) {
    server->interceptors = mos_realloc(server->interceptors, (server->interceptor_count + 1) * sizeof(*server->interceptors));
    server->interceptors[server->interceptor_count++] = (struct mos_interceptor_entry){.table = interceptor, .user = user};
}

// ---- Starting ----

static mos_status read_pem(const char *path, char **out, struct mos_error *error) {
    *out = NULL;
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        return mos_fail_errno(error, errno, "reading %s", path);
    }
    if (!S_ISREG(facts.st_mode) || facts.st_size > LARGEST_PEM_BYTES) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "%s is not a PEM file", path);
    }
    char *text = mos_calloc(1, (size_t)facts.st_size + 1);
    if (read(descriptor, text, (size_t)facts.st_size) != facts.st_size) {
        free(text);
        return mos_fail(error, MOS_IO, "reading %s: it cannot be read whole", path);
    }
    *out = text;
    return MOS_OK;
}

static mos_status make_credentials(const struct mos_rpc_options *options, grpc_server_credentials **out, struct mos_error *error) {
    if (!options->tls_cert_file) {
        *out = grpc_insecure_server_credentials_create();
        return MOS_OK;
    }
    MOS_CLEANUP_FREE char *cert = NULL;
    MOS_CLEANUP_FREE char *key = NULL;
    MOS_CLEANUP_FREE char *client_ca = NULL;
    mos_status status = read_pem(options->tls_cert_file, &cert, error);
    status = status == MOS_OK ? read_pem(options->tls_key_file, &key, error) : status;
    if (status == MOS_OK && options->tls_client_ca_file) {
        status = read_pem(options->tls_client_ca_file, &client_ca, error);
    }
    if (status == MOS_OK) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
        *out = grpc_ssl_server_credentials_create_ex(
            client_ca, &pair, 1,
            client_ca ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, NULL);
        if (!*out) {
            status = mos_fail(error, MOS_INVALID_ARGUMENT, "%s and %s are no certificate and key", options->tls_cert_file,
                              options->tls_key_file);
        }
    }
    if (key) {
        explicit_bzero(key, strlen(key));
    }
    return status;
}

static grpc_arg integer(const char *key, int value) {
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)key};
    arg.value.integer = value;
    return arg;
}

static grpc_server *make_grpc_server(const struct mos_rpc_options *options) {
    grpc_arg args[] = {
        // Otherwise a second server would silently share the port.
        integer(GRPC_ARG_ALLOW_REUSEPORT, 0),
        integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)options->receive_limit_bytes),
        integer(GRPC_ARG_MAX_CONCURRENT_STREAMS, options->max_concurrent_streams),
        integer(GRPC_ARG_KEEPALIVE_TIME_MS, options->keepalive_ms),
        integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options->keepalive_timeout_ms),
        integer(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        integer(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        integer(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, options->min_ping_interval_ms),
        integer(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20000),
    };
    return grpc_server_create(&(grpc_channel_args){.num_args = sizeof(args) / sizeof(args[0]), .args = args}, NULL);
}

static void ask_for_call(struct mos_acceptor *acceptor) {
    grpc_call_details_init(&acceptor->details);
    grpc_metadata_array_init(&acceptor->metadata);
    acceptor->call = NULL;
    mos_tag_post(&acceptor->tag);
    grpc_call_error problem = grpc_server_request_call(acceptor->queue->server->grpc, &acceptor->call, &acceptor->details,
                                                       &acceptor->metadata, acceptor->queue->cq, acceptor->queue->cq, &acceptor->tag);
    if (problem != GRPC_CALL_OK) {
        mos_log_error("grpc takes no more calls", MOS_TEXT("reason", grpc_call_error_to_string(problem)));
        acceptor->tag.done(&acceptor->tag, false);
    }
}

static void call_came(struct mos_tag *tag, bool success) {
    struct mos_acceptor *acceptor = tag->owner;
    mos_rpc_server *server = acceptor->queue->server;
    if (success) {
        // Takes the call and the metadata.
        mos_call_accept(acceptor->queue, acceptor);
        grpc_call_details_destroy(&acceptor->details);
        ask_for_call(acceptor);
        return;
    }
    grpc_metadata_array_destroy(&acceptor->metadata);
    grpc_call_details_destroy(&acceptor->details);
    pthread_mutex_lock(&server->lock);
    server->acceptor_count--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void server_shut_down(struct mos_tag *tag, bool success) {
    (void)success;
    mos_rpc_server *server = tag->owner;
    pthread_mutex_lock(&server->lock);
    server->shut_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void *run_queue(void *argument) {
    struct mos_queue *queue = argument;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            return NULL;
        }
        struct mos_tag *tag = event.tag;
        atomic_load_explicit(&tag->posted, memory_order_acquire);
        tag->done(tag, event.success != 0);
    }
}

static int compare_routes(const void *a, const void *b) {
    return strcmp(((const struct mos_route *)a)->path, ((const struct mos_route *)b)->path);
}

static void shut_queues(mos_rpc_server *server) {
    for (size_t i = 0; i < server->queue_count; i++) {
        grpc_completion_queue_shutdown(server->queues[i].cq);
    }
    for (size_t i = 0; i < server->queue_count; i++) {
        struct mos_queue *queue = &server->queues[i];
        if (queue->running) {
            pthread_join(queue->thread, NULL);
        } else {
            while (grpc_completion_queue_next(queue->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type != GRPC_QUEUE_SHUTDOWN) {
            }
        }
    }
    grpc_server_destroy(server->grpc);
    for (size_t i = 0; i < server->queue_count; i++) {
        grpc_completion_queue_destroy(server->queues[i].cq);
    }
    server->grpc = NULL;
    server->queue_count = 0;
}

mos_status mos_rpc_server_start(mos_rpc_server *server, struct mos_error *error) {
    grpc_server_credentials *credentials = NULL;
    mos_status status = make_credentials(&server->options, &credentials, error);
    if (status != MOS_OK) {
        return status;
    }
    if (server->routes) {
        qsort(server->routes, server->route_count, sizeof(*server->routes), compare_routes);
    }
    server->grpc = make_grpc_server(&server->options);
    server->queues = mos_calloc((size_t)server->options.queues, sizeof(*server->queues));
    server->queue_count = (size_t)server->options.queues;
    for (size_t i = 0; i < server->queue_count; i++) {
        server->queues[i] = (struct mos_queue){.server = server, .cq = grpc_completion_queue_create_for_next(NULL)};
        grpc_server_register_completion_queue(server->grpc, server->queues[i].cq, NULL);
    }
    server->shutdown_tag = (struct mos_tag){.done = server_shut_down, .owner = server};
    server->port = grpc_server_add_http2_port(server->grpc, server->options.listen, credentials);
    grpc_server_credentials_release(credentials);
    grpc_server_start(server->grpc);
    bool threads = true;
    for (size_t i = 0; i < server->queue_count && server->port > 0; i++) {
        struct mos_queue *queue = &server->queues[i];
        queue->running = pthread_create(&queue->thread, NULL, run_queue, queue) == 0;
        threads = threads && queue->running;
    }
    if (server->port == 0 || !threads) {
        mos_tag_post(&server->shutdown_tag);
        grpc_server_shutdown_and_notify(server->grpc, server->queues[0].cq, &server->shutdown_tag);
        shut_queues(server);
        if (!threads) {
            return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the server's threads cannot be started");
        }
        return mos_fail(error, MOS_UNAVAILABLE, "the address %s cannot be listened on%s", server->options.listen,
                        server->options.tls_cert_file ? ", or the TLS certificate and its key do not fit"
                                                      : ": it is in use or not this machine's");
    }
    if (strncmp(server->options.listen, "unix:", 5) == 0) {
        server->port = 0;
    }
    server->pool = mos_pool_create((size_t)server->options.max_threads, 0);
    server->stream_pool = mos_pool_create((size_t)server->options.max_threads, MOS_STREAM_NICE);
    server->acceptor_count = server->queue_count * ACCEPTORS_A_QUEUE;
    server->acceptors = mos_calloc(server->acceptor_count, sizeof(*server->acceptors));
    server->started = true;
    for (size_t i = 0; i < server->queue_count * ACCEPTORS_A_QUEUE; i++) {
        struct mos_acceptor *acceptor = &server->acceptors[i];
        acceptor->queue = &server->queues[i % server->queue_count];
        acceptor->tag = (struct mos_tag){.done = call_came, .owner = acceptor};
        ask_for_call(acceptor);
    }
    return MOS_OK;
}

int mos_rpc_server_port(const mos_rpc_server *server) {
    return server->port;
}

void mos_rpc_server_end_calls(mos_rpc_server *server, bool (*whose)(const void *caller, const void *argument), const void *argument) {
    pthread_mutex_lock(&server->lock);
    for (struct mos_call *call = server->live; call; call = call->next) {
        pthread_mutex_lock(&call->lock);
        bool ends = call->caller && whose(call->caller, argument);
        pthread_mutex_unlock(&call->lock);
        if (ends) {
            mos_call_tell(call, MOS_UNAUTHENTICATED);
        }
    }
    pthread_mutex_unlock(&server->lock);
}

size_t mos_rpc_server_live_calls(mos_rpc_server *server) {
    pthread_mutex_lock(&server->lock);
    size_t count = server->live_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

// ---- Stopping ----

// With the lock held.
static void tell_calls(mos_rpc_server *server, bool streams_only) {
    for (struct mos_call *call = server->live; call; call = call->next) {
        if (!streams_only || mos_call_is_stream(call)) {
            mos_call_tell(call, MOS_UNAVAILABLE);
        }
    }
}

// With the lock held; false when the time is over.
static bool wait_changed(mos_rpc_server *server, int64_t until_ns) {
    struct timespec until = {.tv_sec = until_ns / MOS_NS_PER_SECOND, .tv_nsec = until_ns % MOS_NS_PER_SECOND};
    return pthread_cond_timedwait(&server->changed, &server->lock, &until) != ETIMEDOUT;
}

static int64_t steady_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * MOS_NS_PER_SECOND + now.tv_nsec;
}

void mos_rpc_server_stop(mos_rpc_server *server, int grace_ms) {
    if (!server->started || server->stopped) {
        return;
    }
    server->stopped = true;
    if (server->health) {
        mos_health_stop(server->health);
    }
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    tell_calls(server, true);
    pthread_mutex_unlock(&server->lock);
    mos_tag_post(&server->shutdown_tag);
    grpc_server_shutdown_and_notify(server->grpc, server->queues[0].cq, &server->shutdown_tag);

    pthread_mutex_lock(&server->lock);
    int64_t until_ns = steady_ns() + (int64_t)grace_ms * MOS_NS_PER_MS;
    while (server->live_count > 0 && wait_changed(server, until_ns)) {
    }
    tell_calls(server, false);
    pthread_mutex_unlock(&server->lock);
    grpc_server_cancel_all_calls(server->grpc);

    // gRPC aborts the process when its parts go before the last call has: however long a handler takes, it is waited for.
    pthread_mutex_lock(&server->lock);
    while (!server->shut_down || server->live_count > 0 || server->acceptor_count > 0) {
        if (!wait_changed(server, steady_ns() + 10 * MOS_NS_PER_SECOND)) {
            mos_log_warning("calls do not end", MOS_NUMBER("calls", server->live_count),
                            MOS_TEXT("method", server->live ? server->live->path : ""));
        }
    }
    pthread_mutex_unlock(&server->lock);
    mos_pool_destroy(server->pool);
    mos_pool_destroy(server->stream_pool);
    server->pool = server->stream_pool = NULL;
    shut_queues(server);
}

void mos_rpc_server_destroy(mos_rpc_server *server) {
    if (!server) {
        return;
    }
    mos_rpc_server_stop(server, 0);
    for (size_t i = 0; i < server->route_count; i++) {
        free((char *)server->routes[i].path);
    }
    mos_health_free(server->health);
    mos_reflection_free(server->reflection);
    free(server->routes);
    free(server->services);
    free(server->interceptors);
    free(server->acceptors);
    free(server->queues);
    free((char *)server->options.listen);
    free((char *)server->options.tls_cert_file);
    free((char *)server->options.tls_key_file);
    free((char *)server->options.tls_client_ca_file);
    free((char *)server->options.trusted_proxies);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
    grpc_shutdown();
}
