// grpc.health.v1: who serves, and watchers that are told of every change.
#include <stdlib.h>
#include <string.h>

#include <grpc/health/v1/health.grpc-server.h>

#include "common/buffer.h"
#include "control/rpc/rpc_internal.h"

typedef Grpc__Health__V1__HealthCheckRequest health_request;
typedef Grpc__Health__V1__HealthCheckResponse health_response;

struct state {
    const char *service; // "" for the server as a whole
    bool serving;
};

struct mos_health {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct state *states;
    size_t count;
    bool stopped;
};

// With the lock held.
static struct state *find(struct mos_health *health, const char *service) {
    for (size_t i = 0; i < health->count; i++) {
        if (strcmp(health->states[i].service, service) == 0) {
            return &health->states[i];
        }
    }
    return NULL;
}

static int answer(const struct state *state) {
    if (!state) {
        return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
    }
    return state->serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                          : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

static mos_status check(struct mos_call *call, const health_request *request, health_response *response) {
    struct mos_health *health = mos_call_user(call);
    pthread_mutex_lock(&health->lock);
    struct state *state = find(health, request->service);
    response->status = answer(state);
    pthread_mutex_unlock(&health->lock);
    return state ? MOS_OK : mos_fail(mos_call_error(call), MOS_NOT_FOUND, "no service has the name %s", request->service);
}

static void wake(void *argument) {
    struct mos_health *health = argument;
    pthread_mutex_lock(&health->lock);
    pthread_cond_broadcast(&health->changed);
    pthread_mutex_unlock(&health->lock);
}

static mos_status watch(struct mos_call *call, const health_request *request) {
    struct mos_health *health = mos_call_user(call);
    mos_call_on_cancel(call, wake, health);
    int told = -1;
    mos_status status = MOS_OK;
    while (status == MOS_OK) {
        pthread_mutex_lock(&health->lock);
        while (answer(find(health, request->service)) == told && !mos_call_cancelled(call)) {
            pthread_cond_wait(&health->changed, &health->lock);
        }
        int now = answer(find(health, request->service));
        pthread_mutex_unlock(&health->lock);
        if (now == told) {
            status = mos_call_fail_cancelled(call);
            break;
        }
        health_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        response.status = now;
        told = now;
        status = grpc_health_v1_health_watch_send(call, &response);
    }
    mos_call_on_cancel(call, NULL, NULL);
    return status;
}

static const struct grpc_health_v1_health table = {.check = check, .watch = watch};

mos_status mos_rpc_server_add_health(mos_rpc_server *server, struct mos_error *error) {
    struct mos_health *health = mos_calloc(1, sizeof(*health));
    mos_status status = grpc_health_v1_health_add(server, &table, health, error);
    if (status != MOS_OK) {
        free(health);
        return status;
    }
    pthread_mutex_init(&health->lock, NULL);
    pthread_cond_init(&health->changed, NULL);
    health->states = mos_calloc(server->service_count + 1, sizeof(*health->states));
    health->states[health->count++] = (struct state){.service = "", .serving = true};
    for (size_t i = 0; i < server->service_count; i++) {
        health->states[health->count++] = (struct state){.service = server->services[i]->name, .serving = true};
    }
    server->health = health;
    return MOS_OK;
}

void mos_rpc_server_set_serving(mos_rpc_server *server, const char *service, bool serving) {
    struct mos_health *health = server->health;
    pthread_mutex_lock(&health->lock);
    struct state *state = find(health, service ? service : "");
    if (state && !health->stopped) {
        state->serving = serving;
        pthread_cond_broadcast(&health->changed);
    }
    pthread_mutex_unlock(&health->lock);
}

void mos_health_stop(struct mos_health *health) {
    pthread_mutex_lock(&health->lock);
    health->stopped = true;
    for (size_t i = 0; i < health->count; i++) {
        health->states[i].serving = false;
    }
    pthread_cond_broadcast(&health->changed);
    pthread_mutex_unlock(&health->lock);
}

void mos_health_free(struct mos_health *health) {
    if (!health) {
        return;
    }
    pthread_mutex_destroy(&health->lock);
    pthread_cond_destroy(&health->changed);
    free(health->states);
    free(health);
}
