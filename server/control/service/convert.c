// From the catalog's rows, and the engine's answers that they keep, to the messages of the API.
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "control/job/facts.h"
#include "control/service/internal.h"

typedef Mosaajii__Backup__V1__Backup backup_message;
typedef Mosaajii__Engine__V1__BackupInfo backup_info;

// The catalog's numbers are those of the API.
#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), "the catalog and the API number " #ours " differently")
SAME(MOS_BACKUP_FULL, MOSAAJII__BACKUP__V1__BACKUP__TYPE__FULL);
SAME(MOS_BACKUP_CONFIGURATION, MOSAAJII__BACKUP__V1__BACKUP__TYPE__CONFIGURATION);
SAME(MOS_BACKUP_PENDING, MOSAAJII__BACKUP__V1__BACKUP__STATUS__PENDING);
SAME(MOS_BACKUP_VERIFIED, MOSAAJII__BACKUP__V1__BACKUP__STATUS__VERIFIED);
SAME(MOS_BACKUP_CANCELLED, MOSAAJII__BACKUP__V1__BACKUP__STATUS__CANCELLED);
SAME(MOS_JOB_BACKUP, MOSAAJII__BACKUP__V1__JOB__KIND__BACKUP);
SAME(MOS_JOB_KEY_REWRAP, MOSAAJII__BACKUP__V1__JOB__KIND__KEY_REWRAP);
SAME(MOS_JOB_PENDING, MOSAAJII__BACKUP__V1__JOB__STATUS__PENDING);
SAME(MOS_JOB_CANCELLED, MOSAAJII__BACKUP__V1__JOB__STATUS__CANCELLED);
SAME(MOS_EVENT_QUEUED, MOSAAJII__BACKUP__V1__JOB_EVENT__KIND__QUEUED);
SAME(MOS_EVENT_FINISHED, MOSAAJII__BACKUP__V1__JOB_EVENT__KIND__FINISHED);
SAME(MOS_ROLE_VIEWER, MOSAAJII__BACKUP__V1__TOKEN__ROLE__VIEWER);
SAME(MOS_ROLE_ADMIN, MOSAAJII__BACKUP__V1__TOKEN__ROLE__ADMIN);

bool mos_make_time(mos_arena *arena, int64_t unix_ns, Google__Protobuf__Timestamp **out) {
    *out = NULL;
    if (unix_ns <= 0) {
        return true;
    }
    *out = mos_arena_alloc(arena, sizeof(**out));
    if (!*out) {
        return false;
    }
    google__protobuf__timestamp__init(*out);
    (*out)->seconds = unix_ns / MOS_NS_PER_SECOND;
    (*out)->nanos = (int32_t)(unix_ns % MOS_NS_PER_SECOND);
    return true;
}

// ---- Backups ----

static bool add_metadata(mos_arena *arena, backup_message *out, const char *key, const char *value) {
    Mosaajii__Backup__V1__Backup__MetadataEntry *entry = mos_arena_alloc(arena, sizeof(*entry));
    if (!entry || !value) {
        return false;
    }
    mosaajii__backup__v1__backup__metadata_entry__init(entry);
    entry->key = (char *)key;
    entry->value = (char *)value;
    out->metadata[out->n_metadata++] = entry;
    return true;
}

static const char *source_list(mos_arena *arena, const backup_info *info) {
    const char *list = "";
    for (size_t i = 0; i < info->n_source_paths && list; i++) {
        const char *path = mos_path_escape(arena, info->source_paths[i].data, info->source_paths[i].len);
        list = path ? mos_arena_printf(arena, "%s%s%s", list, *list ? ":" : "", path) : NULL;
    }
    for (size_t i = 0; i < info->n_databases && list; i++) {
        list = mos_arena_printf(arena, "%s%s%s", list, *list ? ":" : "", info->databases[i]->origin);
    }
    return list;
}

static bool make_statistics(mos_arena *arena, const Mosaajii__Engine__V1__Statistics *from, backup_message *out) {
    Mosaajii__Backup__V1__BackupStatistics *statistics = mos_arena_alloc(arena, sizeof(*statistics));
    if (!statistics) {
        return false;
    }
    mosaajii__backup__v1__backup_statistics__init(statistics);
    statistics->files = from->files;
    statistics->directories = from->directories;
    statistics->others = from->others;
    statistics->files_added = from->files_added;
    statistics->files_changed = from->files_changed;
    statistics->files_removed = from->files_removed;
    statistics->bytes_read = from->bytes_read;
    statistics->bytes_new = from->bytes_new;
    statistics->bytes_written = from->bytes_written;
    statistics->duration_ms = from->duration_ms;
    out->statistics = statistics;
    return true;
}

static Mosaajii__Backup__V1__DatabaseSource__Engine engine_of(const char *word) {
    return strcmp(word, "sqlite") == 0       ? MOSAAJII__BACKUP__V1__DATABASE_SOURCE__ENGINE__SQLITE
           : strcmp(word, "postgresql") == 0 ? MOSAAJII__BACKUP__V1__DATABASE_SOURCE__ENGINE__POSTGRESQL
           : strcmp(word, "mysql") == 0      ? MOSAAJII__BACKUP__V1__DATABASE_SOURCE__ENGINE__MYSQL
                                             : MOSAAJII__BACKUP__V1__DATABASE_SOURCE__ENGINE__ENGINE_UNSPECIFIED;
}

static Mosaajii__Backup__V1__DatabaseSource *make_database(mos_arena *arena, const Mosaajii__Engine__V1__Database *from) {
    Mosaajii__Backup__V1__DatabaseSource *database = mos_arena_alloc(arena, sizeof(*database));
    Mosaajii__Backup__V1__TableCount **tables = mos_arena_array(arena, Mosaajii__Backup__V1__TableCount *, from->n_tables);
    Mosaajii__Backup__V1__TableCount *counts = mos_arena_array(arena, Mosaajii__Backup__V1__TableCount, from->n_tables);
    if (!database || !tables || !counts) {
        return NULL;
    }
    mosaajii__backup__v1__database_source__init(database);
    database->name = from->name;
    database->engine = engine_of(from->engine);
    database->origin = from->origin;
    for (size_t i = 0; i < from->n_tables; i++) {
        mosaajii__backup__v1__table_count__init(&counts[i]);
        counts[i].table = from->tables[i]->name;
        counts[i].rows = from->tables[i]->rows;
        tables[i] = &counts[i];
    }
    database->tables = tables;
    database->n_tables = from->n_tables;
    return database;
}

// What the engine said when the backup was committed.
static bool make_facts(mos_arena *arena, const struct mos_backup *backup, backup_message *out) {
    enum { METADATA_MOST = 8 };
    out->metadata = mos_arena_array(arena, Mosaajii__Backup__V1__Backup__MetadataEntry *, METADATA_MOST);
    if (!out->metadata) {
        return false;
    }
    if (backup->facts.size_bytes == 0) {
        return true;
    }
    const backup_info *info = mos_backup_info(&backup->facts, arena);
    if (!info) {
        return false;
    }
    if (!add_metadata(arena, out, "host", info->host) || !add_metadata(arena, out, "sources", source_list(arena, info)) ||
        !add_metadata(arena, out, "engineVersion", info->engine_version) ||
        (*info->base_id && !add_metadata(arena, out, "comparedWith", info->base_id)) ||
        (info->statistics && !make_statistics(arena, info->statistics, out))) {
        return false;
    }
    out->databases = mos_arena_array(arena, Mosaajii__Backup__V1__DatabaseSource *, info->n_databases);
    for (size_t i = 0; i < info->n_databases; i++) {
        if (!out->databases || !(out->databases[i] = make_database(arena, info->databases[i]))) {
            return false;
        }
    }
    out->n_databases = info->n_databases;
    return true;
}

// 0: never. A repository that the catalog was rebuilt from may say anything of its times.
static int64_t expiry_of(const struct mos_backup *backup) {
    int64_t kept_ns, expires_ns;
    if (backup->created_at_unix_ns <= 0 || backup->retention_days <= 0 ||
        __builtin_mul_overflow(backup->retention_days, INT64_C(86400) * MOS_NS_PER_SECOND, &kept_ns) ||
        __builtin_add_overflow(backup->created_at_unix_ns, kept_ns, &expires_ns)) {
        return 0;
    }
    return expires_ns;
}

bool mos_make_backup(mos_arena *arena, const struct mos_backup *backup, backup_message *out) {
    mosaajii__backup__v1__backup__init(out);
    out->id = (char *)backup->id;
    out->name = (char *)backup->name;
    out->type = (Mosaajii__Backup__V1__Backup__Type)backup->type;
    out->status = (Mosaajii__Backup__V1__Backup__Status)backup->status;
    out->size = backup->size_bytes;
    out->encrypted_size = backup->encrypted_size_bytes;
    out->key_id = (char *)backup->key_id;
    out->checksum = (char *)backup->checksum;
    out->encrypted_checksum = (char *)backup->encrypted_checksum;
    out->location = (char *)backup->location;
    out->encrypted_location = (char *)backup->encrypted_location;
    out->retention_days = backup->retention_days;
    out->tags = (char **)backup->tags;
    out->n_tags = backup->tag_count;
    out->warnings = backup->warnings;
    out->message = (char *)backup->message;
    out->encryption_enabled = backup->encryption_asked;
    out->compression_enabled = backup->compressed;
    out->integrity_check_enabled = backup->integrity_check;
    out->parent_id = (char *)backup->parent_id;
    out->created_by = (char *)backup->created_by;
    out->legal_hold = backup->legal_hold;
    out->quarantined = backup->quarantined;
    out->quarantine_reason = (char *)backup->quarantine_reason;
    out->offsite_enabled = !backup->local_only;
    return mos_make_time(arena, backup->created_at_unix_ns, &out->created_at) &&
           mos_make_time(arena, backup->completed_at_unix_ns, &out->completed_at) &&
           mos_make_time(arena, expiry_of(backup), &out->expires_at) &&
           mos_make_time(arena, backup->verified_at_unix_ns, &out->verified_at) &&
           mos_make_time(arena, backup->locked_until_unix_ns, &out->locked_until) && make_facts(arena, backup, out);
}

// ---- Jobs ----

const Mosaajii__Engine__V1__Result *mos_job_result(mos_arena *arena, const struct mos_job *job) {
    return job->result.size_bytes
               ? mosaajii__engine__v1__result__unpack(mos_arena_allocator(arena), job->result.size_bytes, job->result.data)
               : NULL;
}

static bool make_progress(mos_arena *arena, const struct mos_progress *from, Mosaajii__Backup__V1__Progress **out) {
    if (!from->phase[0]) {
        return true;
    }
    Mosaajii__Backup__V1__Progress *progress = mos_arena_alloc(arena, sizeof(*progress));
    if (!progress) {
        return false;
    }
    mosaajii__backup__v1__progress__init(progress);
    progress->phase = (char *)from->phase;
    progress->files_done = from->files_done;
    progress->files_total = from->files_total;
    progress->bytes_done = from->bytes_done;
    progress->bytes_total = from->bytes_total;
    progress->bytes_per_second = from->bytes_per_second;
    progress->seconds_left = from->seconds_left;
    progress->current = (char *)from->current;
    *out = progress;
    return true;
}

static bool make_restoration(mos_arena *arena, const Mosaajii__Engine__V1__Restoration *from, Mosaajii__Backup__V1__Job *out) {
    Mosaajii__Backup__V1__RestoreResult *restore = mos_arena_alloc(arena, sizeof(*restore));
    Mosaajii__Backup__V1__RestoreCheck **checks = mos_arena_array(arena, Mosaajii__Backup__V1__RestoreCheck *, from->n_checks);
    Mosaajii__Backup__V1__RestoreCheck *check = mos_arena_array(arena, Mosaajii__Backup__V1__RestoreCheck, from->n_checks);
    char **preview = mos_arena_array(arena, char *, from->n_preview);
    if (!restore || !checks || !check || !preview) {
        return false;
    }
    mosaajii__backup__v1__restore_result__init(restore);
    restore->target = mos_path_escape(arena, from->target.data, from->target.len);
    restore->files_restored = from->files_restored;
    restore->files_skipped = from->files_skipped;
    restore->files_failed = from->files_failed;
    restore->bytes_written = from->bytes_written;
    for (size_t i = 0; i < from->n_checks; i++) {
        mosaajii__backup__v1__restore_check__init(&check[i]);
        check[i].name = from->checks[i]->name;
        check[i].passed = from->checks[i]->passed;
        check[i].message = from->checks[i]->message;
        checks[i] = &check[i];
    }
    restore->checks = checks;
    restore->n_checks = from->n_checks;
    for (size_t i = 0; i < from->n_preview; i++) {
        preview[i] = mos_path_escape(arena, from->preview[i].data, from->preview[i].len);
        if (!preview[i]) {
            return false;
        }
    }
    restore->preview = preview;
    restore->n_preview = from->n_preview;
    out->restore = restore;
    return restore->target != NULL;
}

static bool make_pruning(mos_arena *arena, const Mosaajii__Engine__V1__PruneResult *from, Mosaajii__Backup__V1__Job *out) {
    Mosaajii__Backup__V1__PruneResult *prune = mos_arena_alloc(arena, sizeof(*prune));
    if (!prune) {
        return false;
    }
    mosaajii__backup__v1__prune_result__init(prune);
    prune->packs_removed = from->packs_removed;
    prune->packs_rewritten = from->packs_rewritten;
    prune->bytes_freed = from->bytes_freed;
    prune->bytes_pending = from->bytes_pending;
    prune->dry_run = from->dry_run;
    out->prune = prune;
    return true;
}

static bool make_check(mos_arena *arena, const Mosaajii__Engine__V1__CheckResult *from, Mosaajii__Backup__V1__Job *out) {
    Mosaajii__Backup__V1__CheckResult *check = mos_arena_alloc(arena, sizeof(*check));
    if (!check) {
        return false;
    }
    mosaajii__backup__v1__check_result__init(check);
    check->valid = from->valid;
    check->errors = from->errors;
    check->n_errors = from->n_errors;
    check->damaged_backups = from->damaged_backups;
    check->n_damaged_backups = from->n_damaged_backups;
    check->objects_checked = from->objects_checked;
    check->bytes_checked = from->bytes_checked;
    check->guarantee = from->guarantee;
    check->backups_checked = from->backups_checked;
    check->error_count = from->error_count;
    out->check = check;
    return true;
}

static bool make_result(mos_arena *arena, const Mosaajii__Engine__V1__Result *result, Mosaajii__Backup__V1__Job *out) {
    switch (result->result_case) {
    case MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION:
        return make_restoration(arena, result->restoration, out);
    case MOSAAJII__ENGINE__V1__RESULT__RESULT_PRUNE:
        return make_pruning(arena, result->prune, out);
    case MOSAAJII__ENGINE__V1__RESULT__RESULT_CHECK:
        return make_check(arena, result->check, out);
    default:
        return true;
    }
}

bool mos_make_job(mos_arena *arena, const struct mos_job *job, Mosaajii__Backup__V1__Job *out) {
    mosaajii__backup__v1__job__init(out);
    out->id = (char *)job->id;
    out->kind = (Mosaajii__Backup__V1__Job__Kind)job->kind;
    out->status = (Mosaajii__Backup__V1__Job__Status)job->status;
    out->backup_id = (char *)job->backup_id;
    out->created_by = (char *)job->created_by;
    out->warnings = job->warnings;
    out->message = (char *)job->message;
    if (!mos_make_time(arena, job->created_at_unix_ns, &out->created_at) ||
        !mos_make_time(arena, job->started_at_unix_ns, &out->started_at) ||
        !mos_make_time(arena, job->completed_at_unix_ns, &out->completed_at) || !make_progress(arena, &job->progress, &out->progress)) {
        return false;
    }
    bool tells = job->kind == MOS_JOB_RESTORE || job->kind == MOS_JOB_PRUNE || job->kind == MOS_JOB_CHECK;
    const Mosaajii__Engine__V1__Result *result = tells ? mos_job_result(arena, job) : NULL;
    return !result || make_result(arena, result, out);
}

bool mos_make_event(mos_arena *arena, const struct mos_event *event, Mosaajii__Backup__V1__JobEvent *out) {
    mosaajii__backup__v1__job_event__init(out);
    out->sequence = event->sequence;
    out->kind = (Mosaajii__Backup__V1__JobEvent__Kind)event->kind;
    out->job_id = (char *)event->job_id;
    out->job_kind = (Mosaajii__Backup__V1__Job__Kind)event->job_kind;
    out->job_status = (Mosaajii__Backup__V1__Job__Status)event->job_status;
    out->backup_id = (char *)event->backup_id;
    out->backup_status = (Mosaajii__Backup__V1__Backup__Status)event->backup_status;
    out->message = (char *)event->message;
    return mos_make_time(arena, event->time_unix_ns, &out->time) && make_progress(arena, &event->progress, &out->progress);
}
