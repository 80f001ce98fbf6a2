// AdminService: tokens and the server's state.
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "common/text.h"
#include "control/access/rights.h"
#include "control/catalog/alerts.h"
#include "control/service/internal.h"

// ---- Tokens ----

static bool make_token(mos_arena *arena, const struct mos_token *token, Mosaajii__Backup__V1__Token *out) {
    mosaajii__backup__v1__token__init(out);
    out->id = (char *)token->id;
    out->name = (char *)token->name;
    out->role = (Mosaajii__Backup__V1__Token__Role)token->role;
    out->rights = mos_split(arena, token->rights, ',', &out->n_rights);
    return out->rights && mos_make_time(arena, token->created_at_unix_ns, &out->created_at) &&
           mos_make_time(arena, token->expires_at_unix_ns, &out->expires_at) &&
           mos_make_time(arena, token->last_used_at_unix_ns, &out->last_used_at) &&
           mos_make_time(arena, token->revoked_at_unix_ns, &out->revoked_at);
}

static mos_status check_rights(struct mos_call *call, const Mosaajii__Backup__V1__CreateTokenRequest *request, const char **out) {
    const char *joined = "";
    for (size_t i = 0; i < request->n_rights; i++) {
        if (!mos_right_known(request->rights[i]) || i > 31) {
            return mos_fail_field(mos_call_error(call), "rights", "rights holds one that is not known; allowed are %s", mos_right_names);
        }
        joined = mos_arena_printf(mos_call_arena(call), "%s%s%s", joined, *joined ? "," : "", request->rights[i]);
        if (!joined) {
            return mos_fail_memory(call);
        }
    }
    *out = joined;
    return MOS_OK;
}

ADMIN_HANDLER(create_token, CreateTokenRequest, CreateTokenResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_token token = {.name = request->name, .role = (enum mos_role)request->role};
    mos_status status = *request->name ? mos_check_text("name", request->name, MOS_NAME_MOST, error)
                                       : mos_fail_field(error, "name", "name must not be empty");
    if (status == MOS_OK) {
        status = mos_check_enum("role", (int)request->role, MOS_ROLE_ADMIN, false, "VIEWER, OPERATOR or ADMIN", error);
    }
    if (status == MOS_OK) {
        status = check_rights(call, request, &token.rights);
    }
    if (status == MOS_OK) {
        status = mos_check_time("expiresAt", request->expires_at, &token.expires_at_unix_ns, error);
    }
    if (status == MOS_OK && token.expires_at_unix_ns && token.expires_at_unix_ns <= mos_now_unix_ns()) {
        status = mos_fail_field(error, "expiresAt", "expiresAt lies in the past");
    }
    const char *secret;
    if (status == MOS_OK) {
        status = mos_access_create_token(services->access, &token, arena, &secret, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    response->secret = (char *)secret;
    response->token = mos_arena_alloc(arena, sizeof(*response->token));
    return response->token && make_token(arena, &token, response->token) ? MOS_OK : mos_fail_memory(call);
}

ADMIN_HANDLER(list_tokens, ListTokensRequest, ListTokensResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    if (status != MOS_OK) {
        return status;
    }
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_token *tokens;
    size_t count = 0;
    const char *next;
    status = mos_catalog_list_tokens(session, &page, arena, &tokens, &count, &next, error);
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__Token *messages = mos_arena_array(arena, Mosaajii__Backup__V1__Token, count);
    response->tokens = mos_arena_array(arena, Mosaajii__Backup__V1__Token *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !response->tokens || !make_token(arena, &tokens[i], &messages[i])) {
            return mos_fail_memory(call);
        }
        response->tokens[i] = &messages[i];
    }
    response->n_tokens = count;
    response->next_page_token = (char *)next;
    return MOS_OK;
}

static bool is_of_token(const void *caller, const void *token_id) {
    return strcmp(((const struct mos_identity *)caller)->token_id, token_id) == 0;
}

ADMIN_HANDLER(revoke_token, RevokeTokenRequest, Token) {
    struct mos_services *services = mos_call_user(call);
    struct mos_error *error = mos_call_error(call);
    struct mos_token token;
    // The row outlives the writer's turn, so it is made in the call's arena; this thread waits meanwhile.
    mos_status status = mos_check_id("tokenId", request->token_id, error);
    if (status == MOS_OK) {
        status = mos_access_revoke_token(services->access, request->token_id, mos_call_arena(call), &token, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    // What it follows ends too.
    mos_rpc_server_end_calls(services->server, is_of_token, token.id);
    return make_token(mos_call_arena(call), &token, response) ? MOS_OK : mos_fail_memory(call);
}

// ---- The caller ----

ADMIN_HANDLER(get_caller, GetCallerRequest, Caller) {
    (void)request;
    mos_arena *arena = mos_call_arena(call);
    const struct mos_identity *identity = mos_call_caller(call);
    static const char package[] = "/mosaajii.backup.v1.";
    size_t most = 0;
    while (mos_right_at(most)) {
        most++;
    }
    response->name = (char *)mos_call_caller_name(call);
    response->role = (Mosaajii__Backup__V1__Token__Role)identity->role;
    response->rights = mos_split(arena, identity->rights, ',', &response->n_rights);
    response->calls = mos_arena_array(arena, char *, most);
    if (!response->rights || !response->calls) {
        return mos_fail_memory(call);
    }
    for (size_t i = 0; i < most; i++) {
        const struct mos_right *right = mos_right_at(i);
        if (!mos_right_allows(right, identity->kind, identity->role, identity->rights)) {
            continue;
        }
        char *name = mos_arena_printf(arena, "%s", right->path + sizeof(package) - 1);
        if (!name) {
            return mos_fail_memory(call);
        }
        *strchr(name, '/') = '.';
        response->calls[response->n_calls++] = name;
    }
    return MOS_OK;
}

// ---- Status ----

static mos_status make_source(struct mos_services *services, struct mos_call *call, mos_catalog_session *session,
                              const struct mos_monitor_source *source, Mosaajii__Backup__V1__SourceStatus *out) {
    mos_arena *arena = mos_call_arena(call);
    const mos_monitor *monitor = mos_watch_monitor(services->watch);
    int64_t newest = 0;
    const char *id = "";
    mosaajii__backup__v1__source_status__init(out);
    mos_status status = mos_monitor_newest_good(session, source->type, arena, &newest, &id, mos_call_error(call));
    if (status != MOS_OK) {
        return status;
    }
    int64_t objective = mos_monitor_objective(monitor, session, source->type);
    out->type = (Mosaajii__Backup__V1__Backup__Type)source->type;
    out->source = (char *)source->name;
    // Where neither a setting nor a schedule says how often, what plans begin with is the measure.
    out->recovery_point_objective = objective ? objective : mos_setting_number(services->settings, MOS_SETTING_DR_RPO_MINUTES);
    out->health = MOSAAJII__BACKUP__V1__SOURCE_STATUS__HEALTH__UNPROTECTED;
    if (newest) {
        out->newest_good_backup_id = (char *)id;
        out->recovery_point_age = (mos_now_unix_ns() - newest) / (60 * MOS_NS_PER_SECOND);
        out->health = out->recovery_point_age <= out->recovery_point_objective ? MOSAAJII__BACKUP__V1__SOURCE_STATUS__HEALTH__PROTECTED
                                                                               : MOSAAJII__BACKUP__V1__SOURCE_STATUS__HEALTH__AT_RISK;
    }
    return mos_make_time(arena, newest, &out->newest_good_backup_at) ? MOS_OK : mos_fail_memory(call);
}

// One for each kind of source that is configured.
static mos_status make_sources(struct mos_services *services, struct mos_call *call, mos_catalog_session *session,
                               Mosaajii__Backup__V1__ServerStatus *out) {
    mos_arena *arena = mos_call_arena(call);
    size_t count;
    const struct mos_monitor_source *configured = mos_watch_sources(services->watch, &count);
    Mosaajii__Backup__V1__SourceStatus *sources = mos_arena_array(arena, Mosaajii__Backup__V1__SourceStatus, count);
    out->sources = mos_arena_array(arena, Mosaajii__Backup__V1__SourceStatus *, count);
    for (size_t i = 0; i < count; i++) {
        if (!sources || !out->sources) {
            return mos_fail_memory(call);
        }
        mos_status status = make_source(services, call, session, &configured[i], &sources[i]);
        if (status != MOS_OK) {
            return status;
        }
        out->sources[out->n_sources++] = &sources[i];
    }
    return MOS_OK;
}

ADMIN_HANDLER(get_status, GetStatusRequest, ServerStatus) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    const char *repository = mos_setting_text(services->settings, MOS_SETTING_MOSAAJII_REPOSITORY);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_job *jobs;
    size_t job_count = 0;
    // Before the session is opened: it may take a while.
    response->repository_bytes = mos_monitor_repository_bytes(mos_watch_monitor(services->watch));
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_count_backups(session, &response->backups, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_active_jobs(session, NULL, arena, &jobs, &job_count, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_count_open_alerts(session, &response->open_alerts, error);
    }
    if (status == MOS_OK) {
        status = make_sources(services, call, session, response);
    }
    if (status != MOS_OK) {
        return status;
    }
    for (size_t i = 0; i < job_count; i++) {
        response->jobs_running += jobs[i].status == MOS_JOB_RUNNING;
        response->jobs_waiting += jobs[i].status == MOS_JOB_PENDING;
    }
    struct statvfs space;
    response->free_bytes = statvfs(repository, &space) == 0 ? (int64_t)(space.f_bavail * space.f_frsize) : 0;
    response->version = (char *)MOSAAJII_VERSION;
    response->repository = (char *)repository;
    return mos_make_time(arena, services->started_at_unix_ns, &response->started_at) &&
                   mos_make_time(arena, mos_monitor_full_at(mos_watch_monitor(services->watch)), &response->full_at)
               ? MOS_OK
               : mos_fail_memory(call);
}
