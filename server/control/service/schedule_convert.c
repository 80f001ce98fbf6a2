// Schedules from messages to rows and back.
#include <string.h>

#include "common/clock.h"
#include "control/schedule/keep.h"
#include "control/schedule/timing.h"
#include "control/service/schedule_internal.h"

typedef Mosaajii__Backup__V1__Schedule schedule_message;
typedef Mosaajii__Backup__V1__CreateBackupRequest backup_request;

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), "the catalog and the API number " #ours " differently")
SAME(MOS_OVERLAP_SKIP, MOSAAJII__BACKUP__V1__SCHEDULE__OVERLAP__SKIP);
SAME(MOS_OVERLAP_QUEUE, MOSAAJII__BACKUP__V1__SCHEDULE__OVERLAP__QUEUE);
SAME(MOS_RUN_STARTED, MOSAAJII__BACKUP__V1__SCHEDULE_RUN__STATE__STARTED);
SAME(MOS_RUN_FAILED, MOSAAJII__BACKUP__V1__SCHEDULE_RUN__STATE__FAILED);

enum { SCHEDULE_NAME_MOST = 100, BLACKOUTS_MOST = 20, NEXT_RUNS = 5 };

// ---- To rows ----

struct mos_keep mos_take_keep(const Mosaajii__Backup__V1__KeepRules *message) {
    return (struct mos_keep){message->last, message->hourly, message->daily, message->weekly, message->monthly, message->yearly};
}

static mos_status check_name(const char *name, struct mos_error *error) {
    if (!*name) {
        return mos_fail_field(error, "name", "name must not be empty");
    }
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return mos_fail_field(error, "name", "name holds a control character; allowed is plain text");
        }
    }
    return mos_check_text("name", name, SCHEDULE_NAME_MOST, error);
}

static mos_status take_blackouts(const schedule_message *message, mos_arena *arena, struct mos_schedule *out, struct mos_error *error) {
    if (message->n_blackouts > BLACKOUTS_MOST) {
        return mos_fail_field(error, "blackouts", "blackouts holds %zu windows; allowed are %d", message->n_blackouts, BLACKOUTS_MOST);
    }
    struct mos_blackout *blackouts = mos_arena_array(arena, struct mos_blackout, message->n_blackouts);
    for (size_t i = 0; i < message->n_blackouts; i++) {
        // The catalog keeps one a line.
        if (strpbrk(message->blackouts[i]->cron, "\r\n")) {
            return mos_fail_field(error, "blackouts", "blackouts holds a cron expression of several lines; allowed is one");
        }
        blackouts[i] = (struct mos_blackout){message->blackouts[i]->cron, message->blackouts[i]->duration_minutes};
    }
    out->blackouts = blackouts;
    out->blackout_count = message->n_blackouts;
    return MOS_OK;
}

static enum mos_choice choice(bool given, bool value) {
    return !given ? MOS_CHOICE_OPEN : value ? MOS_CHOICE_YES : MOS_CHOICE_NO;
}

static mos_status take_backup(const mos_settings *settings, const backup_request *request, mos_arena *arena, struct mos_schedule *out,
                              struct mos_error *error) {
    struct mos_backup_order ignored;
    if (!request) {
        return mos_fail_field(error, "backup", "backup is missing; it says what a run takes, at least its type");
    }
    for (size_t i = 0; i < request->n_tags; i++) {
        if (strpbrk(request->tags[i], "\r\n")) {
            return mos_fail_field(error, "tags", "tags holds a tag of several lines; allowed is one");
        }
    }
    mos_status status = mos_backup_order_of(settings, request, "", arena, &ignored, error);
    out->backup_type = (enum mos_backup_type)request->type;
    out->backup_name = request->name;
    out->retention_days = request->_retention_days_case ? request->retention_days : 0;
    out->encryption = choice(request->_encryption_enabled_case, request->encryption_enabled);
    out->compression = choice(request->_compression_enabled_case, request->compression_enabled);
    out->integrity_check = choice(request->_integrity_check_enabled_case, request->integrity_check_enabled);
    out->offsite = choice(request->_offsite_enabled_case, request->offsite_enabled);
    out->read_all = request->read_all;
    out->tags = (const char *const *)request->tags;
    out->tag_count = request->n_tags;
    return status;
}

mos_status mos_take_schedule(const mos_settings *settings, const schedule_message *message, mos_arena *arena, struct mos_schedule *out,
                             struct mos_error *error) {
    MOS_CLEANUP_TIMING mos_timing *timing = NULL;
    *out = (struct mos_schedule){
        .id = "", .name = message ? message->name : "", .jitter_seconds = message ? message->jitter_seconds : 0, .timing_note = ""};
    if (!message) {
        return mos_fail_field(error, "schedule", "schedule is missing");
    }
    out->cron = message->cron;
    out->time_zone = message->time_zone;
    out->overlap = message->overlap ? (enum mos_overlap)message->overlap : MOS_OVERLAP_SKIP;
    out->catch_up = message->catch_up;
    out->paused = message->paused;
    out->learn_timing = message->learn_timing;
    mos_status status = check_name(message->name, error);
    if (status == MOS_OK) {
        status = mos_check_enum("overlap", (int)message->overlap, MOS_OVERLAP_QUEUE, true, "SKIP or QUEUE", error);
    }
    if (status == MOS_OK) {
        status = take_blackouts(message, arena, out, error);
    }
    if (status == MOS_OK) {
        status = mos_timing_open(&timing, out, error);
    }
    if (status == MOS_OK) {
        status = mos_timing_check(timing, error);
    }
    if (status == MOS_OK) {
        status = take_backup(settings, message->backup, arena, out, error);
    }
    if (status == MOS_OK && message->keep) {
        out->has_keep = true;
        out->keep = mos_take_keep(message->keep);
        status = mos_keep_check(&out->keep, "keep", error);
    }
    return status;
}

// ---- To messages ----

backup_request *mos_make_scheduled_request(mos_arena *arena, const struct mos_schedule *schedule) {
    backup_request *request = mos_arena_alloc(arena, sizeof(*request));
    if (!request) {
        return NULL;
    }
    mosaajii__backup__v1__create_backup_request__init(request);
    request->type = (Mosaajii__Backup__V1__Backup__Type)schedule->backup_type;
    request->name = (char *)schedule->backup_name;
    request->tags = (char **)schedule->tags;
    request->n_tags = schedule->tag_count;
    request->read_all = schedule->read_all;
    if (schedule->retention_days) {
        request->_retention_days_case = MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___RETENTION_DAYS_RETENTION_DAYS;
        request->retention_days = schedule->retention_days;
    }
    if (schedule->encryption != MOS_CHOICE_OPEN) {
        request->_encryption_enabled_case = MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___ENCRYPTION_ENABLED_ENCRYPTION_ENABLED;
        request->encryption_enabled = schedule->encryption == MOS_CHOICE_YES;
    }
    if (schedule->compression != MOS_CHOICE_OPEN) {
        request->_compression_enabled_case = MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___COMPRESSION_ENABLED_COMPRESSION_ENABLED;
        request->compression_enabled = schedule->compression == MOS_CHOICE_YES;
    }
    if (schedule->integrity_check != MOS_CHOICE_OPEN) {
        request->_integrity_check_enabled_case =
            MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___INTEGRITY_CHECK_ENABLED_INTEGRITY_CHECK_ENABLED;
        request->integrity_check_enabled = schedule->integrity_check == MOS_CHOICE_YES;
    }
    if (schedule->offsite != MOS_CHOICE_OPEN) {
        request->_offsite_enabled_case = MOSAAJII__BACKUP__V1__CREATE_BACKUP_REQUEST___OFFSITE_ENABLED_OFFSITE_ENABLED;
        request->offsite_enabled = schedule->offsite == MOS_CHOICE_YES;
    }
    return request;
}

static bool make_blackouts(mos_arena *arena, const struct mos_schedule *schedule, schedule_message *out) {
    Mosaajii__Backup__V1__BlackoutWindow *windows = mos_arena_array(arena, Mosaajii__Backup__V1__BlackoutWindow, schedule->blackout_count);
    out->blackouts = mos_arena_array(arena, Mosaajii__Backup__V1__BlackoutWindow *, schedule->blackout_count);
    for (size_t i = 0; i < schedule->blackout_count; i++) {
        if (!windows || !out->blackouts) {
            return false;
        }
        mosaajii__backup__v1__blackout_window__init(&windows[i]);
        windows[i].cron = (char *)schedule->blackouts[i].cron;
        windows[i].duration_minutes = schedule->blackouts[i].minutes;
        out->blackouts[i] = &windows[i];
    }
    out->n_blackouts = schedule->blackout_count;
    return true;
}

static bool make_keep(mos_arena *arena, const struct mos_keep *keep, Mosaajii__Backup__V1__KeepRules **out) {
    *out = mos_arena_alloc(arena, sizeof(**out));
    if (!*out) {
        return false;
    }
    mosaajii__backup__v1__keep_rules__init(*out);
    (*out)->last = keep->last;
    (*out)->hourly = keep->hourly;
    (*out)->daily = keep->daily;
    (*out)->weekly = keep->weekly;
    (*out)->monthly = keep->monthly;
    (*out)->yearly = keep->yearly;
    return true;
}

// Those that are still to start: what is due but not accounted for yet is among them.
static bool make_next_runs(mos_arena *arena, const struct mos_schedule *schedule, int64_t now_unix_ns, schedule_message *out) {
    MOS_CLEANUP_TIMING mos_timing *timing = NULL;
    out->next_runs = mos_arena_array(arena, Google__Protobuf__Timestamp *, NEXT_RUNS);
    if (!out->next_runs) {
        return false;
    }
    if (schedule->paused || mos_timing_open(&timing, schedule, NULL) != MOS_OK) {
        return true;
    }
    int64_t now = now_unix_ns / MOS_NS_PER_SECOND, moment = now, start, last = 0;
    while (out->n_next_runs < NEXT_RUNS && mos_timing_next(timing, moment, &moment, &start)) {
        // Several that a blackout puts off together are one.
        if (start > last && !mos_make_time(arena, start * MOS_NS_PER_SECOND, &out->next_runs[out->n_next_runs++])) {
            return false;
        }
        last = start > last ? start : last;
    }
    return true;
}

bool mos_make_schedule(mos_arena *arena, const struct mos_schedule *schedule, int64_t now_unix_ns, schedule_message *out) {
    mosaajii__backup__v1__schedule__init(out);
    out->id = (char *)schedule->id;
    out->name = (char *)schedule->name;
    out->cron = (char *)schedule->cron;
    out->time_zone = (char *)schedule->time_zone;
    out->backup = mos_make_scheduled_request(arena, schedule);
    out->jitter_seconds = schedule->jitter_seconds;
    out->overlap = (Mosaajii__Backup__V1__Schedule__Overlap)schedule->overlap;
    out->catch_up = schedule->catch_up;
    out->paused = schedule->paused;
    out->learn_timing = schedule->learn_timing;
    out->timing_note = (char *)schedule->timing_note;
    return out->backup && make_blackouts(arena, schedule, out) && (!schedule->has_keep || make_keep(arena, &schedule->keep, &out->keep)) &&
           mos_make_time(arena, schedule->created_at_unix_ns, &out->created_at) &&
           mos_make_time(arena, schedule->updated_at_unix_ns, &out->updated_at) && make_next_runs(arena, schedule, now_unix_ns, out);
}

bool mos_make_runs(mos_arena *arena, const struct mos_run *runs, size_t count, schedule_message *out) {
    Mosaajii__Backup__V1__ScheduleRun *messages = mos_arena_array(arena, Mosaajii__Backup__V1__ScheduleRun, count);
    out->recent_runs = mos_arena_array(arena, Mosaajii__Backup__V1__ScheduleRun *, count);
    for (size_t i = 0; i < count; i++) {
        if (!messages || !out->recent_runs) {
            return false;
        }
        mosaajii__backup__v1__schedule_run__init(&messages[i]);
        messages[i].count = runs[i].count;
        messages[i].state = (Mosaajii__Backup__V1__ScheduleRun__State)runs[i].state;
        messages[i].backup_id = (char *)runs[i].backup_id;
        messages[i].reason = (char *)runs[i].reason;
        if (!mos_make_time(arena, runs[i].due_at_unix_ns, &messages[i].due_at) ||
            !mos_make_time(arena, runs[i].through_unix_ns, &messages[i].through)) {
            return false;
        }
        out->recent_runs[i] = &messages[i];
    }
    out->n_recent_runs = count;
    return true;
}
