// What happens to copies and to the jobs that move them, as changes of the catalog: each is one transaction.
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "control/alert/alert.h"
#include "control/catalog/audit.h"
#include "control/offsite/offsite_internal.h"

// ---- Jobs ----

static mos_status add_event(mos_catalog_session *session, enum mos_event_kind kind, const struct mos_job *job,
                            const struct mos_progress *progress, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup = {0};
    // A copy outlives its backup: then there is no status to tell.
    bool known = mos_catalog_get_backup(session, job->backup_id, arena, &backup, NULL) == MOS_OK;
    struct mos_event event = {.time_unix_ns = mos_now_unix_ns(),
                              .kind = kind,
                              .job_id = job->id,
                              .job_kind = job->kind,
                              .job_status = job->status,
                              .backup_id = job->backup_id,
                              .backup_status = known ? backup.status : 0,
                              .message = job->message};
    if (progress) {
        event.progress = *progress;
    }
    return mos_catalog_add_event(session, &event, error);
}

struct job_change {
    enum mos_job_kind kind;
    enum mos_job_status status;
    const char *job_id;
    const char *backup_id;
    const char *actor;
};

// Made where it is not there yet.
static mos_status change_job(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct job_change *change = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    if (mos_catalog_get_job(session, change->job_id, arena, &job, NULL) != MOS_OK) {
        job = (struct mos_job){.id = change->job_id,
                               .kind = change->kind,
                               .backup_id = change->backup_id,
                               .created_at_unix_ns = mos_now_unix_ns(),
                               .created_by = change->actor};
    }
    job.status = change->status;
    job.started_at_unix_ns = change->status == MOS_JOB_RUNNING ? mos_now_unix_ns() : 0;
    mos_status status = mos_catalog_put_job(session, &job, error);
    enum mos_event_kind kind = change->status == MOS_JOB_PENDING ? MOS_EVENT_QUEUED : MOS_EVENT_STARTED;
    return status == MOS_OK ? add_event(session, kind, &job, NULL, error) : status;
}

mos_status mos_offsite_record_job(mos_offsite *offsite, enum mos_job_kind kind, enum mos_job_status status, const char *job_id,
                                  const char *backup_id, const char *actor, struct mos_error *error) {
    struct job_change change = {kind, status, job_id, backup_id, actor};
    return mos_catalog_write(offsite->options.catalog, change_job, &change, error);
}

static mos_status end_job(mos_catalog_session *session, const struct mos_offsite_end *end, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    mos_status status = mos_catalog_get_job(session, end->job_id, arena, &job, error);
    if (status != MOS_OK) {
        return status;
    }
    job.status = end->job_status;
    job.message = end->message;
    job.completed_at_unix_ns = mos_now_unix_ns();
    status = mos_catalog_put_job(session, &job, error);
    if (status == MOS_OK) {
        status = mos_catalog_thin_events(session, job.id, error);
    }
    return status == MOS_OK ? add_event(session, MOS_EVENT_FINISHED, &job, NULL, error) : status;
}

// ---- Copies ----

// Who changes a copy has read it a while ago. What was ordered since then holds, and what is deleted stays deleted:
// MOS_FAILED_PRECONDITION, as where its status is not `was` (0: any) any more.
static mos_status change_copy(mos_catalog_session *session, const struct mos_copy *copy, int was, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_copy now, changed = *copy;
    mos_status status = mos_catalog_get_copy(session, copy->id, arena, &now, error);
    if (status != MOS_OK) {
        return status;
    }
    if (now.status == MOS_COPY_DELETED || (was && (int)now.status != was)) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the copy's status is %s meanwhile", mos_copy_status_word(now.status));
    }
    changed.retention_days = now.retention_days;
    changed.policy = now.policy;
    changed.replicate = now.replicate;
    return mos_catalog_put_copy(session, &changed, error);
}

struct copy_change {
    const struct mos_copy *copy;
    enum mos_copy_status was;
};

static mos_status change(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct copy_change *change = argument;
    return change_copy(session, change->copy, (int)change->was, error);
}

mos_status mos_offsite_record_change(mos_offsite *offsite, const struct mos_copy *copy, enum mos_copy_status was, struct mos_error *error) {
    struct copy_change changed = {copy, was};
    return mos_catalog_write(offsite->options.catalog, change, &changed, error);
}

struct begun {
    struct mos_copy *copy;
    const char *job_id;
};

static mos_status begun(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct begun *change = argument;
    struct job_change job = {MOS_JOB_OFFSITE_UPLOAD, MOS_JOB_RUNNING, change->job_id, change->copy->backup_id, change->copy->created_by};
    mos_status status = change_copy(session, change->copy, 0, error);
    return status == MOS_OK ? change_job(session, &job, error) : status;
}

mos_status mos_offsite_record_begun(mos_offsite *offsite, struct mos_copy *copy, const char *job_id, struct mos_error *error) {
    struct begun change = {copy, job_id};
    copy->status = MOS_COPY_UPLOADING;
    copy->attempts++;
    return mos_catalog_write(offsite->options.catalog, begun, &change, error);
}

static mos_status moved(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct mos_offsite_moved *change = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_job job;
    struct mos_copy copy;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < change->object_count && status == MOS_OK; i++) {
        status = mos_catalog_put_place_object(session, change->place, &change->objects[i], error);
    }
    if (status == MOS_OK && change->copy_id) {
        status = mos_catalog_get_copy(session, change->copy_id, arena, &copy, error);
        copy.objects_done = change->objects_done;
        copy.objects_total = change->objects_total;
        status = status == MOS_OK ? mos_catalog_put_copy(session, &copy, error) : status;
    }
    if (status == MOS_OK) {
        status = mos_catalog_get_job(session, change->job_id, arena, &job, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    int64_t left = change->bytes_total - change->bytes_done;
    job.progress = (struct mos_progress){.phase = change->phase,
                                         .files_done = change->objects_done,
                                         .files_total = change->objects_total,
                                         .bytes_done = change->bytes_done,
                                         .bytes_total = change->bytes_total,
                                         .bytes_per_second = change->bytes_per_second,
                                         .seconds_left = change->bytes_per_second > 0 && left >= 0 ? left / change->bytes_per_second : -1,
                                         .current = ""};
    status = mos_catalog_put_job(session, &job, error);
    return status == MOS_OK ? add_event(session, MOS_EVENT_PROGRESS, &job, &job.progress, error) : status;
}

mos_status mos_offsite_record_moved(mos_offsite *offsite, const struct mos_offsite_moved *change, struct mos_error *error) {
    return mos_catalog_write(offsite->options.catalog, moved, (void *)change, error);
}

// Who did what, on the copy's record and in the audit trail.
static mos_status note_access(mos_catalog_session *session, const struct mos_offsite_end *end, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES], action[64];
    mos_id_new(id);
    const struct mos_copy_access access = {.id = id,
                                           .copy_id = end->copy_id,
                                           .actor = end->caller->name,
                                           .action = end->action,
                                           .time_unix_ns = mos_now_unix_ns(),
                                           .ip_address = end->caller->address,
                                           .success = end->result == MOS_OK,
                                           .details = end->details};
    snprintf(action, sizeof(action), "Offsite.%s", mos_copy_action_word(end->action));
    const struct mos_audit_detail details[] = {{"copyId", end->copy_id}, {"message", end->details}};
    const struct mos_audit_entry entry = {.actor = *end->caller->name ? end->caller->name : "system",
                                          .ip_address = end->caller->address,
                                          .action = action,
                                          .resource = end->backup_id,
                                          .result = mos_status_name(end->result),
                                          .details = details,
                                          .detail_count = *end->details ? 2 : 1};
    mos_status status = mos_catalog_add_access(session, &access, error);
    return status == MOS_OK ? mos_catalog_add_audit(session, &entry, error) : status;
}

static mos_status ended(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct mos_offsite_end *end = argument;
    mos_status status = end->copy ? change_copy(session, end->copy, 0, error) : MOS_OK;
    // Deleted meanwhile: the row stays, and the job ends all the same.
    status = status == MOS_FAILED_PRECONDITION ? MOS_OK : status;
    if (status == MOS_OK && *end->job_id) {
        status = end_job(session, end, error);
    }
    return status == MOS_OK && end->action && *end->copy_id ? note_access(session, end, error) : status;
}

mos_status mos_offsite_record_end(mos_offsite *offsite, const struct mos_offsite_end *end, struct mos_error *error) {
    return mos_catalog_write(offsite->options.catalog, ended, (void *)end, error);
}

struct fresh {
    const struct mos_copy *copy;
    struct mos_blob objects;
};

static mos_status add_copy(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct fresh *change = argument;
    mos_status status = mos_catalog_put_copy(session, change->copy, error);
    return status == MOS_OK && change->objects.size_bytes ? mos_catalog_put_copy_objects(session, change->copy->id, change->objects, error)
                                                          : status;
}

mos_status mos_offsite_record_new(mos_offsite *offsite, const struct mos_copy *copy, struct mos_blob objects, struct mos_error *error) {
    struct fresh change = {copy, objects};
    return mos_catalog_write(offsite->options.catalog, add_copy, &change, error);
}

struct objects_change {
    const char *copy_id;
    struct mos_blob objects;
};

static mos_status put_objects(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct objects_change *change = argument;
    return mos_catalog_put_copy_objects(session, change->copy_id, change->objects, error);
}

mos_status mos_offsite_put_objects(mos_offsite *offsite, const char *copy_id, struct mos_blob objects, struct mos_error *error) {
    struct objects_change change = {copy_id, objects};
    return mos_catalog_write(offsite->options.catalog, put_objects, &change, error);
}

struct names_change {
    const char *place;
    char *const *names;
    size_t count;
};

static mos_status forget(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct names_change *change = argument;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < change->count && status == MOS_OK; i++) {
        status = mos_catalog_remove_place_object(session, change->place, change->names[i], error);
    }
    return status;
}

mos_status mos_offsite_forget_objects(mos_offsite *offsite, const char *place, char *const *names, size_t count, struct mos_error *error) {
    struct names_change change = {place, names, count};
    return mos_catalog_write(offsite->options.catalog, forget, &change, error);
}

struct object_change {
    const char *place;
    const struct mos_place_object *object;
};

static mos_status put_place_object(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct object_change *change = argument;
    return mos_catalog_put_place_object(session, change->place, change->object, error);
}

mos_status mos_offsite_put_place_object(struct mos_offsite_place *place, const struct mos_place_object *object, struct mos_error *error) {
    struct object_change change = {place->url, object};
    return mos_catalog_write(place->offsite->options.catalog, put_place_object, &change, error);
}

// ---- Facts and reading ----

struct fact {
    const char *name;
    const char *value;
};

static mos_status put_fact(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct fact *fact = argument;
    return mos_catalog_put_fact(session, fact->name, fact->value, error);
}

mos_status mos_offsite_put_fact(mos_offsite *offsite, const char *name, const char *value, struct mos_error *error) {
    struct fact fact = {name, value};
    return mos_catalog_write(offsite->options.catalog, put_fact, &fact, error);
}

mos_status mos_offsite_get_fact(mos_offsite *offsite, const char *name, mos_arena *arena, const char **out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_get_fact(session, name, arena, out, error) : status;
}

mos_status mos_offsite_read_copy(mos_offsite *offsite, const char *copy_id, mos_arena *arena, struct mos_copy *out,
                                 struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_get_copy(session, copy_id, arena, out, error) : status;
}

mos_status mos_offsite_read_objects(mos_offsite *offsite, const char *copy_id, mos_arena *arena, const mos_object_list **out,
                                    struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_blob blob = {0};
    *out = NULL;
    mos_status status = mos_catalog_read_begin(offsite->options.catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_copy_objects(session, copy_id, arena, &blob, error);
    }
    if (status != MOS_OK || blob.size_bytes == 0) {
        return status;
    }
    *out = mosaajii__engine__v1__backup_objects__unpack(mos_arena_allocator(arena), blob.size_bytes, blob.data);
    return *out ? MOS_OK : mos_fail(error, MOS_CORRUPT, "the catalog's list of objects of the copy %s is damaged", copy_id);
}

// ---- Alerts ----

void mos_offsite_raise(mos_offsite *offsite, enum mos_alert_type type, const char *subject, const char *backup_id, const char *message,
                       char *const *hurt, size_t hurt_count) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer list = MOS_BUFFER_INIT(65536);
    for (size_t i = 0; i < hurt_count; i++) {
        mos_buffer_printf(&list, "%s%s", i > 0 ? "," : "", hurt[i]);
    }
    const struct mos_alert_detail details[] = {
        {"place", subject},
        {"hurtBackups", mos_buffer_text(&list)},
        {"hurtBackupCount", mos_arena_printf(arena, "%zu", hurt_count)},
    };
    const struct mos_alert_cause cause = {.type = type,
                                          .severity = hurt_count > 0 ? MOS_SEVERITY_CRITICAL : MOS_SEVERITY_ERROR,
                                          .cause = mos_arena_printf(arena, "offsite:%d:%s", (int)type, subject),
                                          .backup_id = backup_id,
                                          .message = message,
                                          .details = details,
                                          .detail_count = hurt_count > 0 ? 3 : 1};
    mos_alert_raise(offsite->options.catalog, &cause);
}

void mos_offsite_resolve(mos_offsite *offsite, enum mos_alert_type type, const char *subject) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_alert_resolve(offsite->options.catalog, mos_arena_printf(arena, "offsite:%d:%s", (int)type, subject));
}
