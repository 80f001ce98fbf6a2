// BackupService: schedules and retention. What schedules do to the rest of the server stands at the end.
#include <string.h>

#include "common/clock.h"
#include "control/schedule/change.h"
#include "control/schedule/preview.h"
#include "control/service/schedule_internal.h"

enum { RECENT_RUNS = 20, PREVIEW_MOST_DAYS = 3650 };

typedef Mosaajii__Backup__V1__Schedule schedule_message;

// ---- Answers ----

// The last run, and with `recent` what became of those before.
static mos_status add_runs(mos_catalog_session *session, struct mos_call *call, bool recent, schedule_message *out) {
    mos_arena *arena = mos_call_arena(call);
    struct mos_run *runs;
    size_t count = 0;
    mos_status status = mos_catalog_list_runs(session, out->id, MOS_RUN_STARTED, 1, arena, &runs, &count, mos_call_error(call));
    if (status == MOS_OK && count > 0) {
        out->last_backup_id = (char *)runs->backup_id;
        status = mos_make_time(arena, runs->recorded_at_unix_ns, &out->last_run_at) ? MOS_OK : mos_fail_memory(call);
    }
    if (status == MOS_OK && recent) {
        status = mos_catalog_list_runs(session, out->id, 0, RECENT_RUNS, arena, &runs, &count, mos_call_error(call));
        if (status == MOS_OK && !mos_make_runs(arena, runs, count, out)) {
            status = mos_fail_memory(call);
        }
    }
    return status;
}

static mos_status answer(struct mos_services *services, struct mos_call *call, const char *id, schedule_message *response) {
    struct mos_schedule schedule;
    mos_arena *arena = mos_call_arena(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_catalog_get_schedule(session, id, arena, &schedule, mos_call_error(call));
    }
    if (status == MOS_OK && !mos_make_schedule(arena, &schedule, mos_now_unix_ns(), response)) {
        status = mos_fail_memory(call);
    }
    return status == MOS_OK ? add_runs(session, call, true, response) : status;
}

// ---- Changes ----

struct change {
    struct mos_schedule schedule;
    // A new one gets its id before; of another, what is not asked for stays.
    bool is_new;
};

static mos_status put(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct change *change = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_schedule before;
    int64_t now = mos_now_unix_ns();
    change->schedule.updated_at_unix_ns = now;
    if (change->is_new) {
        change->schedule.created_at_unix_ns = change->schedule.accounted_until_unix_ns = now;
        return mos_catalog_put_schedule(session, &change->schedule, error);
    }
    mos_status status = mos_catalog_get_schedule(session, change->schedule.id, arena, &before, error);
    if (status != MOS_OK) {
        return status;
    }
    change->schedule.created_at_unix_ns = before.created_at_unix_ns;
    return mos_schedule_change_in(session, &before, &change->schedule, now, error);
}

static mos_status write(struct mos_services *services, struct mos_call *call, struct change *change, schedule_message *response) {
    // What was due under the old timing is accounted for under it.
    mos_scheduler_round(services->scheduler);
    mos_status status = mos_catalog_write(services->catalog, put, change, mos_call_error(call));
    mos_scheduler_wake(services->scheduler);
    return status == MOS_OK ? answer(services, call, change->schedule.id, response) : status;
}

BACKUP_HANDLER(create_schedule, CreateScheduleRequest, Schedule) {
    struct mos_services *services = mos_call_user(call);
    struct change change = {.is_new = true};
    char id[MOS_ID_TEXT_BYTES];
    mos_status status =
        mos_take_schedule(services->settings, request->schedule, mos_call_arena(call), &change.schedule, mos_call_error(call));
    mos_id_new(id);
    change.schedule.id = id;
    return status == MOS_OK ? write(services, call, &change, response) : status;
}

BACKUP_HANDLER(update_schedule, UpdateScheduleRequest, Schedule) {
    struct mos_services *services = mos_call_user(call);
    struct change change = {0};
    mos_status status = mos_check_id("scheduleId", request->schedule_id, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_take_schedule(services->settings, request->schedule, mos_call_arena(call), &change.schedule, mos_call_error(call));
    }
    change.schedule.id = request->schedule_id;
    return status == MOS_OK ? write(services, call, &change, response) : status;
}

static mos_status remove_schedule(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct mos_schedule *schedule = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_schedule known;
    mos_status status = mos_catalog_get_schedule(session, schedule->id, arena, &known, error);
    schedule->has_keep = status == MOS_OK && known.has_keep;
    return status == MOS_OK ? mos_schedule_remove_in(session, schedule->id, error) : status;
}

BACKUP_HANDLER(delete_schedule, DeleteScheduleRequest, DeleteScheduleResponse) {
    struct mos_services *services = mos_call_user(call);
    struct mos_schedule schedule = {.id = request->schedule_id};
    mos_status status = mos_check_id("scheduleId", request->schedule_id, mos_call_error(call));
    if (status == MOS_OK) {
        mos_scheduler_round(services->scheduler);
        status = mos_catalog_write(services->catalog, remove_schedule, &schedule, mos_call_error(call));
    }
    if (status != MOS_OK) {
        return status;
    }
    response->message = mos_arena_printf(mos_call_arena(call), "Schedule %s was deleted: its backups stay%s", request->schedule_id,
                                         schedule.has_keep ? ", from now on for their retention days alone" : "");
    return response->message ? MOS_OK : mos_fail_memory(call);
}

// ---- Reading ----

BACKUP_HANDLER(get_schedule, GetScheduleRequest, Schedule) {
    mos_status status = mos_check_id("scheduleId", request->schedule_id, mos_call_error(call));
    return status == MOS_OK ? answer(mos_call_user(call), call, request->schedule_id, response) : status;
}

BACKUP_HANDLER(list_schedules, ListSchedulesRequest, ListSchedulesResponse) {
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const struct mos_page page = {request->page_size, request->page_token};
    struct mos_schedule *schedules;
    size_t count = 0;
    const char *next = "";
    mos_status status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_catalog_list_schedules(session, &page, arena, &schedules, &count, &next, mos_call_error(call));
    }
    schedule_message *messages = mos_arena_array(arena, schedule_message, count);
    response->schedules = mos_arena_array(arena, schedule_message *, count);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (!messages || !response->schedules || !mos_make_schedule(arena, &schedules[i], mos_now_unix_ns(), &messages[i])) {
            return mos_fail_memory(call);
        }
        status = add_runs(session, call, false, &messages[i]);
        response->schedules[i] = &messages[i];
    }
    response->n_schedules = count;
    response->next_page_token = (char *)next;
    return status;
}

// ---- Suggestions ----

static mos_status add_suggestion(struct mos_call *call, const struct mos_suggestion *suggestion,
                                 Mosaajii__Backup__V1__SuggestSchedulesResponse *response) {
    mos_arena *arena = mos_call_arena(call);
    Mosaajii__Backup__V1__ScheduleSuggestion *message = mos_arena_alloc(arena, sizeof(*message));
    schedule_message *schedule = mos_arena_alloc(arena, sizeof(*schedule));
    if (!message || !schedule || !mos_make_schedule(arena, &suggestion->schedule, mos_now_unix_ns(), schedule)) {
        return mos_fail_memory(call);
    }
    mosaajii__backup__v1__schedule_suggestion__init(message);
    message->schedule = schedule;
    message->schedule_id = (char *)suggestion->schedule.id;
    message->reason = (char *)suggestion->reason;
    message->confidence = suggestion->confidence;
    response->suggestions[response->n_suggestions++] = message;
    return MOS_OK;
}

static mos_status suggest_timings(struct mos_call *call, struct mos_suggest_input *input, const struct mos_schedule *schedules,
                                  size_t count, Mosaajii__Backup__V1__SuggestSchedulesResponse *response) {
    mos_status status = MOS_OK;
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        MOS_CLEANUP_ZONE mos_zone *zone = NULL;
        MOS_CLEANUP_READ mos_catalog_session *session = NULL;
        struct mos_services *services = mos_call_user(call);
        struct mos_suggestion suggestion;
        int64_t last_ns = 0;
        bool apply;
        if (mos_zone_open(&zone, schedules[i].time_zone, NULL) != MOS_OK) {
            continue;
        }
        status = mos_catalog_read_begin(services->catalog, &session, mos_call_error(call));
        if (status == MOS_OK) {
            status = mos_catalog_last_backup_of(session, schedules[i].id, &last_ns, mos_call_error(call));
        }
        if (status != MOS_OK) {
            break;
        }
        input->last_backup = last_ns / MOS_NS_PER_SECOND;
        input->zone = zone;
        input->time_zone = schedules[i].time_zone;
        if (mos_suggest_timing(input, &schedules[i], mos_call_arena(call), &suggestion, &apply)) {
            status = add_suggestion(call, &suggestion, response);
        }
    }
    return status;
}

BACKUP_HANDLER(suggest_schedules, SuggestSchedulesRequest, SuggestSchedulesResponse) {
    (void)request;
    struct mos_services *services = mos_call_user(call);
    mos_arena *arena = mos_call_arena(call);
    struct mos_error *error = mos_call_error(call);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    MOS_CLEANUP_ZONE mos_zone *zone = NULL;
    struct mos_suggest_input input;
    struct mos_suggestion policy[MOS_SUGGESTIONS_MOST];
    struct mos_schedule *schedules;
    size_t count = 0, proposed = 0;
    mos_status status = mos_scheduler_learned(services->scheduler, &input, error);
    if (status == MOS_OK) {
        input.time_zone = mos_scheduler_local_zone(arena);
        status = mos_zone_open(&zone, input.time_zone, error);
    }
    if (status == MOS_OK) {
        input.zone = zone;
        status = mos_catalog_read_begin(services->catalog, &session, error);
    }
    if (status == MOS_OK) {
        status = mos_catalog_all_schedules(session, arena, &schedules, &count, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    mos_suggest_policy(&input, schedules, count, arena, policy, &proposed);
    response->suggestions = mos_arena_array(arena, Mosaajii__Backup__V1__ScheduleSuggestion *, proposed + count);
    if (!response->suggestions) {
        return mos_fail_memory(call);
    }
    for (size_t i = 0; i < proposed && status == MOS_OK; i++) {
        status = add_suggestion(call, &policy[i], response);
    }
    return status == MOS_OK ? suggest_timings(call, &input, schedules, count, response) : status;
}

// ---- Retention ----

static mos_status take_trial(const Mosaajii__Backup__V1__PreviewRetentionRequest *request, struct mos_trial *out, struct mos_error *error) {
    *out = (struct mos_trial){.schedule_id = request->schedule_id, .tag = request->tag};
    mos_status status = mos_check_number("days", request->days, 1, PREVIEW_MOST_DAYS, error);
    if (status == MOS_OK && *request->schedule_id && *request->tag) {
        status = mos_fail_field(error, "tag", "tag and scheduleId are both given; allowed is one of them");
    }
    if (status == MOS_OK && request->keep) {
        out->has_keep = true;
        out->keep = mos_take_keep(request->keep);
        status = mos_keep_check(&out->keep, "keep", error);
    }
    if (status == MOS_OK && request->_retention_days_case) {
        out->retention_days = request->retention_days;
        status = mos_check_number("retentionDays", request->retention_days, 1, MOS_RETENTION_MOST, error);
    }
    return status;
}

BACKUP_HANDLER(preview_retention, PreviewRetentionRequest, PreviewRetentionResponse) {
    struct mos_services *services = mos_call_user(call);
    const mos_settings *settings = services->settings;
    mos_arena *arena = mos_call_arena(call);
    struct mos_trial trial;
    struct mos_preview preview;
    const struct mos_preview_order order = {
        .trial = &trial,
        .days = request->days,
        .default_retention_days = (int32_t)mos_setting_number(settings, MOS_SETTING_BACKUP_RETENTION_DAYS),
        .objective_ns = mos_setting_number(settings, MOS_SETTING_DR_RPO_MINUTES) * 60 * MOS_NS_PER_SECOND,
        .tag_rules = mos_setting_text(settings, MOS_SETTING_BACKUP_KEEP_TAGS)};
    mos_status status = take_trial(request, &trial, mos_call_error(call));
    if (status == MOS_OK) {
        status = mos_preview_make(services->catalog, &order, mos_now_unix_ns(), arena, &preview, mos_call_error(call));
    }
    if (status != MOS_OK) {
        return status;
    }
    Mosaajii__Backup__V1__RetentionRemoval *removals =
        mos_arena_array(arena, Mosaajii__Backup__V1__RetentionRemoval, preview.removal_count);
    response->removals = mos_arena_array(arena, Mosaajii__Backup__V1__RetentionRemoval *, preview.removal_count);
    for (size_t i = 0; i < preview.removal_count; i++) {
        if (!removals || !response->removals) {
            return mos_fail_memory(call);
        }
        mosaajii__backup__v1__retention_removal__init(&removals[i]);
        removals[i].backup_id = (char *)preview.removals[i].backup_id;
        removals[i].bytes_freed = preview.removals[i].bytes;
        removals[i].reason = (char *)preview.removals[i].reason;
        if (!mos_make_time(arena, preview.removals[i].removed_at_unix_ns, &removals[i].removed_at)) {
            return mos_fail_memory(call);
        }
        response->removals[i] = &removals[i];
    }
    response->n_removals = preview.removal_count;
    response->bytes_freed = preview.bytes;
    response->gaps = (char **)preview.gaps;
    response->n_gaps = preview.gap_count;
    response->notes = (char **)preview.notes;
    response->n_notes = preview.note_count;
    return MOS_OK;
}

// ---- What schedules do ----

static mos_status start_backup(void *context, const struct mos_schedule *schedule, mos_catalog_change also, void *also_argument,
                               char out_backup_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    struct mos_services *services = context;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup_order order;
    const Mosaajii__Backup__V1__CreateBackupRequest *request = mos_make_scheduled_request(arena, schedule);
    mos_status status =
        mos_backup_order_of(services->settings, request, mos_arena_printf(arena, "schedule:%s", schedule->name), arena, &order, error);
    if (status != MOS_OK) {
        return status;
    }
    order.also = also;
    order.also_argument = also_argument;
    return mos_queue_backup(services->queue, &order, out_backup_id, error);
}

static mos_status remove_backup(void *context, const char *backup_id, struct mos_error *error) {
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_services *services = context;
    return mos_queue_delete(services->queue, backup_id, "retention", job_id, error);
}

static mos_status prune(void *context, struct mos_error *error) {
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_services *services = context;
    return mos_queue_prune(services->queue, MOS_PRUNE_GRACE_DEFAULT_SECONDS, false, "retention", job_id, error);
}

static mos_status all_judged(void *context, bool *out, struct mos_error *error) {
    struct mos_services *services = context;
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(services->catalog, &session, error);
    return status == MOS_OK ? mos_monitor_has_judged_all(session, out, error) : status;
}

mos_status mos_keep_tags_check(const mos_settings *settings, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_tag_rule *rules;
    size_t count;
    return mos_tag_rules_parse(arena, "BACKUP_KEEP_TAGS", mos_setting_text(settings, MOS_SETTING_BACKUP_KEEP_TAGS), &rules, &count, error);
}

struct mos_scheduler_options mos_scheduler_options_of(struct mos_services *services, mos_catalog *catalog, const mos_settings *settings) {
    return (struct mos_scheduler_options){
        .catalog = catalog,
        .acts = {.context = services, .start = start_backup, .remove = remove_backup, .prune = prune, .all_judged = all_judged},
        .tag_rules = mos_setting_text(settings, MOS_SETTING_BACKUP_KEEP_TAGS),
        .objective_minutes = mos_setting_number(settings, MOS_SETTING_DR_RPO_MINUTES),
        .monitor_minutes = mos_setting_number(settings, MOS_SETTING_MONITOR_RPO_MINUTES),
        .repository = mos_setting_text(settings, MOS_SETTING_MOSAAJII_REPOSITORY),
        .databases = mos_setting_is_set(settings, MOS_SETTING_DATABASE_URL),
        .files = mos_setting_is_set(settings, MOS_SETTING_BACKUP_FILES_PATHS),
        .configuration = mos_setting_is_set(settings, MOS_SETTING_BACKUP_CONFIG_PATHS)};
}
