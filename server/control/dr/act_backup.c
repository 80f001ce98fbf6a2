// Steps that restore or verify backups: through the queue, as everybody else.
#include <string.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/text.h"
#include "control/catalog/backups.h"
#include "control/catalog/jobs.h"
#include "control/dr/internal.h"
#include "control/job/facts.h"

enum { PROGRESS_EVERY_MS = 1000 };

// ---- Waiting for a job ----

struct waiter {
    const struct attempt *attempt;
    int64_t look_at_ns;
};

static bool look_now(const void *argument) {
    const struct waiter *waiter = argument;
    return attempt_is_over(waiter->attempt) || mos_now_monotonic_ns() >= waiter->look_at_ns;
}

static int percent_of(const struct mos_job *job) {
    const struct mos_progress *progress = &job->progress;
    return progress->bytes_total > 0   ? (int)(progress->bytes_done * 99 / progress->bytes_total)
           : progress->files_total > 0 ? (int)(progress->files_done * 99 / progress->files_total)
                                       : 0;
}

static mos_status read_job(mos_recovery *recovery, const char *job_id, mos_arena *arena, struct mos_job *out, struct mos_error *error) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(recovery->options.catalog, &session, error);
    return status == MOS_OK ? mos_catalog_get_job(session, job_id, arena, out, error) : status;
}

mos_status wait_for_job(struct attempt *attempt, const char *job_id, int from, int to, struct mos_job *out, struct mos_error *error) {
    mos_queue *queue = attempt->recovery->options.queue;
    for (;;) {
        struct waiter waiter = {attempt, mos_now_monotonic_ns() + PROGRESS_EVERY_MS * MOS_NS_PER_MS};
        mos_status status = mos_queue_wait(queue, job_id, look_now, &waiter, attempt->arena, out, error);
        if (status != MOS_CANCELLED) {
            return status;
        }
        struct mos_error over;
        status = attempt_check(attempt, &over);
        if (status != MOS_OK) {
            // Whatever it says, the job is gone soon.
            mos_queue_cancel(queue, job_id, NULL);
            *error = over;
            return status;
        }
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_job job;
        if (read_job(attempt->recovery, job_id, arena, &job, NULL) == MOS_OK) {
            attempt_note_percent(attempt, from + percent_of(&job) * (to - from) / 100);
        }
    }
}

static const Mosaajii__Engine__V1__Result *result_of(const struct mos_job *job, mos_arena *arena) {
    return job->result.size_bytes > 0
               ? mosaajii__engine__v1__result__unpack(mos_arena_allocator(arena), job->result.size_bytes, job->result.data)
               : NULL;
}

// What the engine could not read of the backup, rather than write.
static bool came_upon_damage(const Mosaajii__Engine__V1__Result *result) {
    static const char *const words[] = {"CORRUPT", "DATA_LOSS", "NOT_FOUND"};
    for (size_t i = 0; result && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(result->status, words[i]) == 0) {
            return true;
        }
    }
    return result && result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION && result->restoration->files_failed > 0;
}

static mos_status judge_restore(struct attempt *attempt, const struct mos_job *job, struct mos_error *error) {
    const Mosaajii__Engine__V1__Result *result = result_of(job, attempt->arena);
    attempt->unreadable = came_upon_damage(result);
    if (job->status != MOS_JOB_SUCCEEDED && job->status != MOS_JOB_SUCCEEDED_WITH_WARNINGS) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the restore job %s ended as %s: %s", job->id,
                        mos_job_status_word((int)job->status), *job->message ? job->message : "no reason was given");
    }
    if (!result || result->result_case != MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION) {
        return mos_fail(error, MOS_INTERNAL, "the restore job %s did not say what it did", job->id);
    }
    const Mosaajii__Engine__V1__Restoration *restoration = result->restoration;
    attempt_print(attempt, "%.*s: %lld restored, %lld left alone, %lld failed, %lld bytes\n", (int)restoration->target.len,
                  (const char *)restoration->target.data, (long long)restoration->files_restored, (long long)restoration->files_skipped,
                  (long long)restoration->files_failed, (long long)restoration->bytes_written);
    for (size_t i = 0; i < restoration->n_checks; i++) {
        const Mosaajii__Engine__V1__Check *check = restoration->checks[i];
        attempt_print(attempt, "%s: %s%s%s\n", check->name, check->passed ? "ok" : "BAD", *check->message ? ", " : "", check->message);
        if (!check->passed) {
            return mos_fail(error, MOS_FAILED_PRECONDITION, "what was restored is not what was backed up: %s: %s", check->name,
                            check->message);
        }
    }
    return restoration->files_failed > 0 ? mos_fail(error, MOS_FAILED_PRECONDITION, "%lld could not be restored; the job %s says which",
                                                    (long long)restoration->files_failed, job->id)
                                         : MOS_OK;
}

// ---- Restoring ----

static void select_part(struct mos_restore_order *order, const struct backup_part *part) {
    order->include = part->include;
    order->include_bytes = part->include_bytes;
    order->include_count = part->include_count;
    order->skip_missing = true;
}

static mos_status run_restore(struct attempt *attempt, const struct mos_backup *backup, struct mos_restore_order *order, int from, int to,
                              struct mos_error *error) {
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_job job;
    order->backup_id = backup->id;
    order->created_by = attempt->run->state->execution->triggered_by;
    mos_status status = mos_queue_restore(attempt->recovery->options.queue, order, job_id, error);
    status = status ? status : attempt_note_job(attempt, job_id, backup, error);
    status = status ? status : wait_for_job(attempt, job_id, from, to, &job, error);
    return status ? status : judge_restore(attempt, &job, error);
}

static mos_status restore_in_place(struct attempt *attempt, const struct mos_backup *backup, const struct backup_part *part,
                                   struct mos_error *error) {
    struct mos_restore_order order = {.target = "/",
                                      .in_place = true,
                                      .existing = MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REPLACE,
                                      .preview = attempt->place.rehearsal};
    order.databases = mos_split(attempt->arena, mos_setting_text(attempt->recovery->options.settings, MOS_SETTING_DATABASE_URL), ',',
                                &order.database_count);
    select_part(&order, part);
    return run_restore(attempt, backup, &order, 0, 100, error);
}

// A database on a server goes into one that is made for this test alone, beside the real one.
static mos_status restore_database(struct attempt *attempt, const struct mos_backup *backup, const Mosaajii__Engine__V1__Database *database,
                                   int from, int to, struct mos_error *error) {
    struct mos_database_url url;
    mos_status status = sandbox_database_make(attempt, database, &url, error);
    if (status != MOS_OK) {
        return status;
    }
    char *include[] = {database->name};
    const size_t include_bytes[] = {strlen(database->name)};
    struct mos_restore_order order = {.target = mos_database_url_format(&url, true, attempt->arena),
                                      .existing = MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REFUSE,
                                      .include = include,
                                      .include_bytes = include_bytes,
                                      .include_count = 1};
    return run_restore(attempt, backup, &order, from, to, error);
}

static bool on_server(const Mosaajii__Engine__V1__Database *database) {
    return strcmp(database->engine, "sqlite") != 0;
}

static mos_status damage_databases(struct attempt *attempt, struct mos_error *error) {
    mos_status status = MOS_OK;
    pthread_mutex_lock(&attempt->recovery->mutex);
    size_t count = attempt->run->state->n_databases;
    Mosaajii__Recovery__V1__SandboxDatabase **databases = attempt->run->state->databases;
    pthread_mutex_unlock(&attempt->recovery->mutex);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        struct mos_database_url url;
        char *answer;
        status = database_open_url(attempt->recovery, databases[i]->url, attempt->arena, &url, error);
        if (status == MOS_OK && !sandbox_database_name(url.name)) {
            status = mos_fail(error, MOS_PERMISSION_DENIED, "%s is no name of a database for tests", url.name);
        }
        const char *statement = url.kind == MOS_DATABASE_POSTGRESQL
                                    ? "DROP SCHEMA public CASCADE"
                                    : mos_arena_printf(attempt->arena, "DROP DATABASE `%s`; CREATE DATABASE `%s`", url.name, url.name);
        status = status ? status : database_ask(attempt, &url, statement, false, &answer, error);
    }
    return status;
}

static mos_status restore_into_sandbox(struct attempt *attempt, const struct mos_backup *backup, const struct backup_part *part,
                                       struct mos_error *error) {
    const char *folder = attempt->place.folder;
    mos_status status = sandbox_make(attempt->recovery, folder, error);
    status = status ? status : sandbox_guard(attempt->recovery, folder, error);
    if (status == MOS_PERMISSION_DENIED) {
        attempt->strayed = true;
    }
    if (status != MOS_OK) {
        return status;
    }
    size_t servers = 0;
    for (size_t i = 0; i < part->database_count; i++) {
        servers += on_server(part->databases[i]);
    }
    int share = 100 / (int)(servers + 1);
    struct mos_restore_order order = {
        .target = folder, .root = folder, .existing = MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REPLACE};
    select_part(&order, part);
    status = run_restore(attempt, backup, &order, 0, share, error);
    int way = share;
    for (size_t i = 0; status == MOS_OK && i < part->database_count; i++) {
        if (on_server(part->databases[i])) {
            status = restore_database(attempt, backup, part->databases[i], way, way + share, error);
            way += share;
        }
    }
    int64_t damaged = 0;
    if (status == MOS_OK && attempt->place.damage) {
        status = sandbox_damage(attempt->recovery, folder, &damaged, error);
        status = status ? status : damage_databases(attempt, error);
        attempt_print(attempt, "Damaged on purpose: %lld files and %zu databases\n", (long long)damaged, servers);
    }
    return status;
}

// What is known to have been written at the source after the backup: by later backups of its type.
struct later {
    const struct mos_backup *backup;
    int64_t bytes;
};

static bool add_later(const struct mos_backup *backup, void *argument) {
    struct later *later = argument;
    struct mos_backup_facts facts;
    if (backup->created_at_unix_ns <= later->backup->created_at_unix_ns || strcmp(backup->id, later->backup->id) == 0) {
        return false;
    }
    bool alike =
        backup->type == later->backup->type || (mos_backup_type_of_all(backup->type) && mos_backup_type_of_all(later->backup->type));
    if (alike && mos_backup_facts_of(backup->type, &backup->facts, &facts)) {
        later->bytes += facts.bytes_new;
    }
    return true;
}

static int64_t bytes_lost(mos_recovery *recovery, const struct mos_backup *backup) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct later later = {backup, 0};
    if (mos_catalog_read_begin(recovery->options.catalog, &session, NULL) == MOS_OK) {
        mos_catalog_good_backups(session, 0, add_later, &later, NULL);
    }
    return later.bytes;
}

static mos_status restore(struct attempt *attempt, const struct mos_backup *backup, const struct backup_part *part,
                          struct mos_error *error) {
    return attempt->place.sandbox ? restore_into_sandbox(attempt, backup, part, error) : restore_in_place(attempt, backup, part, error);
}

mos_status act_restore(struct attempt *attempt, struct mos_error *error) {
    struct mos_backup backup;
    struct backup_part part;
    mos_status status = choose_backup(attempt->recovery, attempt->run->state, &attempt->command, attempt->arena, &backup, error);
    if (status != MOS_OK) {
        return status;
    }
    backup_part_of(attempt->recovery, &backup, attempt->command.type, attempt->arena, &part);
    attempt_print(attempt, "From %s%s%s\n", backup_text(&backup, attempt->arena), part.include_count ? ", only its part of the type " : "",
                  part.include_count ? mos_backup_type_word((int)attempt->command.type) : "");
    attempt->backup_id = backup.id;
    attempt->data_loss = bytes_lost(attempt->recovery, &backup);
    status = bring_first(attempt, &backup, error);
    status = status ? status : restore(attempt, &backup, &part, error);
    if (status == MOS_FAILED_PRECONDITION && attempt->unreadable && bring_again(attempt, &backup)) {
        attempt->unreadable = false;
        status = restore(attempt, &backup, &part, error);
    }
    return status;
}

// ---- Verifying ----

mos_status act_verify_backup(struct attempt *attempt, struct mos_error *error) {
    struct mos_backup backup;
    struct mos_job job;
    char job_id[MOS_ID_TEXT_BYTES];
    mos_status status = choose_backup(attempt->recovery, attempt->run->state, &attempt->command, attempt->arena, &backup, error);
    status =
        status ? status
               : mos_queue_verify(attempt->recovery->options.queue, backup.id, attempt->run->state->execution->triggered_by, job_id, error);
    status = status ? status : wait_for_job(attempt, job_id, 0, 100, &job, error);
    if (status != MOS_OK) {
        return status;
    }
    attempt_print(attempt, "Verified %s\n", backup_text(&backup, attempt->arena));
    return job.status == MOS_JOB_SUCCEEDED || job.status == MOS_JOB_SUCCEEDED_WITH_WARNINGS
               ? MOS_OK
               : mos_fail(error, MOS_FAILED_PRECONDITION, "the backup %s is not good: %s", backup.id, job.message);
}
