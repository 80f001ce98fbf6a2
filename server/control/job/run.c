// One job, from its start to its settlement.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "control/job/parent.h"
#include "control/job/queue_internal.h"
#include "control/job/record.h"

typedef Mosaajii__Engine__V1__Event engine_event;
typedef Mosaajii__Engine__V1__Result engine_result;
typedef Mosaajii__Engine__V1__BackupRecord backup_record;

enum {
    // Between two writes of what an engine says.
    RECORD_INTERVAL_MS = 500,
    WARNINGS_AT_ONCE = 256,
    // Of one job; the rest is counted only.
    WARNINGS_RECORDED = 10000,
    STOP_GRACE_MS = 500,
};

// What the engine said and the catalog does not know yet.
struct pending {
    mos_arena *arena;
    struct mos_progress progress;
    bool has_progress;
    const char *warnings[WARNINGS_AT_ONCE];
    size_t warning_count;
    size_t warnings_recorded;
    int64_t last_written_ns;
    // For the rate: where the phase stood at the last write.
    char phase[64];
    int64_t rate_bytes;
    int64_t rate_ns;
    double bytes_per_second;
};

// More than any disk does; what is above is no rate.
static const double fastest_bytes_per_second = 1e15;

static bool ended_by_request(mos_queue *queue, struct mos_entry *entry, bool *out_stopped) {
    pthread_mutex_lock(&queue->mutex);
    bool cancelled = entry->cancelled;
    *out_stopped = entry->stopped;
    pthread_mutex_unlock(&queue->mutex);
    return cancelled;
}

static const char *doing(enum mos_job_kind kind) {
    switch (kind) {
    case MOS_JOB_BACKUP:
        return "the backup was being taken";
    case MOS_JOB_VERIFY:
        return "the backup was being verified";
    case MOS_JOB_RESTORE:
        return "the backup was being restored";
    case MOS_JOB_DELETE:
        return "the backup was being deleted";
    case MOS_JOB_PRUNE:
        return "the repository was being pruned";
    case MOS_JOB_CHECK:
        return "the repository was being checked";
    default:
        return "the job ran";
    }
}

// ---- What an engine says ----

static void measure_rate(struct pending *pending, int64_t now_ns) {
    struct mos_progress *progress = &pending->progress;
    if (strcmp(pending->phase, progress->phase) != 0) {
        snprintf(pending->phase, sizeof(pending->phase), "%s", progress->phase);
        pending->bytes_per_second = 0;
        pending->rate_ns = 0;
    }
    double seconds = pending->rate_ns ? (double)(now_ns - pending->rate_ns) / (double)MOS_NS_PER_SECOND : 0;
    if (seconds > 0) {
        double rate = (double)(progress->bytes_done - pending->rate_bytes) / seconds;
        rate = rate < fastest_bytes_per_second ? rate : fastest_bytes_per_second;
        // The newest interval counts for a third: steady, and yet soon right after a change.
        pending->bytes_per_second = pending->bytes_per_second > 0 ? (2 * pending->bytes_per_second + rate) / 3 : rate;
    }
    pending->rate_ns = now_ns;
    pending->rate_bytes = progress->bytes_done;
    progress->bytes_per_second = pending->bytes_per_second > 0 ? (int64_t)pending->bytes_per_second : 0;
    progress->seconds_left = -1;
    if (progress->bytes_per_second > 0 && progress->bytes_total >= progress->bytes_done && progress->bytes_total > 0) {
        progress->seconds_left = (progress->bytes_total - progress->bytes_done) / progress->bytes_per_second;
    }
}

static void write_pending(mos_queue *queue, struct mos_entry *entry, struct pending *pending) {
    if (!pending->has_progress && pending->warning_count == 0) {
        return;
    }
    int64_t now_ns = mos_now_monotonic_ns();
    if (pending->has_progress) {
        measure_rate(pending, now_ns);
    }
    struct mos_error error;
    mos_status status = mos_record_progress(queue->catalog, entry->job_id, pending->has_progress ? &pending->progress : NULL,
                                            pending->warnings, pending->warning_count, &error);
    if (status != MOS_OK) {
        mos_log_warning("progress could not be recorded", MOS_TEXT("job", entry->job_id), MOS_TEXT("reason", error.message));
    }
    pending->warnings_recorded += pending->warning_count;
    pending->warning_count = 0;
    pending->has_progress = false;
    pending->last_written_ns = now_ns;
    mos_arena_destroy(pending->arena);
    pending->arena = mos_arena_create(0);
}

static int64_t written_ms_ago(const struct pending *pending) {
    return (mos_now_monotonic_ns() - pending->last_written_ns) / MOS_NS_PER_MS;
}

// Counts are added to and subtracted from each other; an engine gone mad must not make that overflow.
static int64_t count_of(int64_t number) {
    return number > 0 ? number : 0;
}

static void take_progress(struct pending *pending, const Mosaajii__Engine__V1__Progress *progress) {
    // The texts of one that is replaced stay in the arena until the next write; half a second of them is little.
    pending->progress = (struct mos_progress){.phase = mos_arena_strdup(pending->arena, progress->phase),
                                              .files_done = count_of(progress->files_done),
                                              .files_total = count_of(progress->files_total),
                                              .bytes_done = count_of(progress->bytes_done),
                                              .bytes_total = count_of(progress->bytes_total),
                                              .current = mos_path_escape(pending->arena, progress->current.data, progress->current.len)};
    pending->has_progress = true;
}

static void take_warning(struct pending *pending, const Mosaajii__Engine__V1__Warning *warning) {
    if (pending->warnings_recorded + pending->warning_count >= WARNINGS_RECORDED) {
        return;
    }
    const char *path = mos_path_escape(pending->arena, warning->path.data, warning->path.len);
    pending->warnings[pending->warning_count++] =
        *path ? mos_arena_printf(pending->arena, "%s: %s", path, warning->message) : mos_arena_strdup(pending->arena, warning->message);
}

static void take_event(mos_queue *queue, struct mos_entry *entry, struct pending *pending, const engine_event *event) {
    bool at_once = false;
    if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_PROGRESS) {
        at_once = strcmp(pending->phase, event->progress->phase) != 0;
        take_progress(pending, event->progress);
    } else if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING) {
        take_warning(pending, event->warning);
    } else if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_REWRAPPED) {
        struct mos_error error;
        if (mos_record_rewrapped(queue->catalog, event->rewrapped, &error) != MOS_OK) {
            mos_log_warning("the new keys of backups could not be recorded", MOS_TEXT("job", entry->job_id),
                            MOS_TEXT("reason", error.message));
        }
    }
    if (at_once || pending->warning_count == WARNINGS_AT_ONCE || written_ms_ago(pending) >= RECORD_INTERVAL_MS) {
        write_pending(queue, entry, pending);
    }
}

// Reads until the result, which is made in `arena`, or the end of the stream.
static mos_status follow(mos_queue *queue, struct mos_entry *entry, mos_process *process, mos_arena *arena, const engine_result **out,
                         struct mos_error *error) {
    struct pending pending = {.arena = mos_arena_create(0)};
    mos_status status = MOS_OK;
    *out = NULL;
    while (!*out && status == MOS_OK) {
        bool unwritten = pending.has_progress || pending.warning_count > 0;
        int64_t left_ms = RECORD_INTERVAL_MS - written_ms_ago(&pending);
        MOS_CLEANUP_ARENA mos_arena *scratch = mos_arena_create(0);
        engine_event *event;
        status = mos_process_receive(process, !unwritten ? -1 : left_ms > 0 ? (int)left_ms : 0, -1, scratch, &event, error);
        if (status == MOS_OK && !event) {
            write_pending(queue, entry, &pending);
        } else if (status == MOS_OK && event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_RESULT) {
            // Taken over into the arena that stays.
            size_t size_bytes = protobuf_c_message_get_packed_size(&event->result->base);
            MOS_CLEANUP_FREE uint8_t *packed = mos_malloc(size_bytes);
            protobuf_c_message_pack(&event->result->base, packed);
            *out = mosaajii__engine__v1__result__unpack(mos_arena_allocator(arena), size_bytes, packed);
        } else if (status == MOS_OK) {
            take_event(queue, entry, &pending, event);
        }
    }
    write_pending(queue, entry, &pending);
    mos_arena_destroy(pending.arena);
    return status;
}

// ---- How it ended ----

// The catalog may be out of space for a while, and yet no job may stay unsettled: tried until it works or the server stops, whose
// successor will settle it.
static void settle(mos_queue *queue, struct mos_entry *entry, const struct mos_outcome *outcome) {
    for (;;) {
        struct mos_error error;
        mos_status status = mos_record_finished(queue->catalog, outcome, &error);
        if (status == MOS_OK) {
            break;
        }
        mos_log_error("a job could not be settled", MOS_TEXT("job", entry->job_id), MOS_TEXT("reason", error.message));
        if (status == MOS_NOT_FOUND) {
            break; // there is no such job, nor will there be
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        pthread_mutex_lock(&queue->mutex);
        bool stopping = queue->stopping;
        if (!stopping) {
            pthread_cond_timedwait(&queue->work, &queue->mutex, &until);
        }
        pthread_mutex_unlock(&queue->mutex);
        if (stopping) {
            break;
        }
    }
    mos_log_info("job finished", MOS_TEXT("job", entry->job_id), MOS_TEXT("kind", mos_job_kind_word(entry->kind)),
                 MOS_TEXT("backup", entry->backup_id), MOS_TEXT("status", mos_job_status_word(outcome->status)),
                 MOS_TEXT("message", outcome->message));
}

// What ended the job where it was not its own result.
static void judge_interrupted(mos_queue *queue, struct mos_entry *entry, const char *reason, struct mos_outcome *outcome,
                              mos_arena *arena) {
    bool stopped;
    bool cancelled = ended_by_request(queue, entry, &stopped);
    outcome->status = cancelled ? MOS_JOB_CANCELLED : MOS_JOB_FAILED;
    outcome->message = cancelled ? "Cancelled on request"
                       : stopped ? mos_arena_printf(arena, "The server was stopped while %s", doing(entry->kind))
                                 : mos_arena_printf(arena, "The engine process %s while %s", reason, doing(entry->kind));
}

static const char *sentence(mos_arena *arena, const char *message) {
    char *text = mos_arena_strdup(arena, message);
    if (text[0] >= 'a' && text[0] <= 'z') {
        text[0] = (char)(text[0] - 'a' + 'A');
    }
    return text;
}

static void judge_verification(const Mosaajii__Engine__V1__Verification *found, struct mos_outcome *outcome, mos_arena *arena) {
    if (found->checksum_valid && found->encryption_valid && found->size_valid) {
        return;
    }
    outcome->status = MOS_JOB_FAILED;
    outcome->message =
        mos_arena_printf(arena, "Verification found damage (%lld %s, %lld damaged %s): %s", (long long)found->error_count,
                         found->error_count == 1 ? "fault" : "faults", (long long)found->damaged_files,
                         found->damaged_files == 1 ? "file" : "files", found->n_errors > 0 ? found->errors[0] : "no details were given");
}

// The word OK alone is no answer: with it comes what was done, of the kind that was asked for and of the backup that was meant.
static bool fits(const struct mos_entry *entry, const engine_result *result) {
    switch (entry->kind) {
    case MOS_JOB_BACKUP:
        return result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_BACKUP && result->backup->info &&
               strcmp(result->backup->info->id, entry->backup_id) == 0 && result->backup->encrypted_checksum[0];
    case MOS_JOB_VERIFY:
        return result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION;
    case MOS_JOB_RESTORE:
        return result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION;
    case MOS_JOB_DELETE:
        return result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION;
    case MOS_JOB_PRUNE:
        return result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_PRUNE;
    case MOS_JOB_CHECK:
        return result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_CHECK;
    default:
        return true;
    }
}

static void judge(mos_queue *queue, struct mos_entry *entry, const engine_result *result, const char *reason, struct mos_outcome *outcome,
                  mos_arena *arena) {
    outcome->message = "";
    outcome->result = result;
    if (!result) {
        judge_interrupted(queue, entry, reason, outcome, arena);
        return;
    }
    mos_status status = mos_status_from_name(result->status);
    if (status == MOS_OK && !fits(entry, result)) {
        outcome->result = NULL;
        outcome->status = MOS_JOB_FAILED;
        outcome->message = mos_arena_printf(arena, "The engine process did not say what became of it while %s", doing(entry->kind));
        return;
    }
    if (entry->kind == MOS_JOB_DELETE && (status == MOS_OK || status == MOS_NOT_FOUND)) {
        outcome->deleted = true;
        outcome->status = MOS_JOB_SUCCEEDED;
        outcome->message = status == MOS_OK ? "" : "The repository held nothing of the backup";
        return;
    }
    if (status != MOS_OK) {
        bool stopped;
        bool cancelled = ended_by_request(queue, entry, &stopped);
        if (status == MOS_CANCELLED || ((cancelled || stopped) && status == MOS_UNAVAILABLE)) {
            judge_interrupted(queue, entry, "stopped", outcome, arena);
        } else {
            outcome->status = MOS_JOB_FAILED;
            outcome->message = sentence(arena, result->message[0] ? result->message : mos_status_phrase(status));
        }
        return;
    }
    outcome->status = result->warnings > 0 ? MOS_JOB_SUCCEEDED_WITH_WARNINGS : MOS_JOB_SUCCEEDED;
    if (entry->kind == MOS_JOB_BACKUP) {
        outcome->committed = result->backup;
    } else if (entry->kind == MOS_JOB_VERIFY) {
        judge_verification(result->verification, outcome, arena);
    } else if (entry->kind == MOS_JOB_CHECK && !result->check->valid) {
        outcome->status = MOS_JOB_FAILED;
        outcome->message = mos_arena_printf(arena, "The check found damage (%lld %s, %zu damaged %s): %s",
                                            (long long)result->check->error_count, result->check->error_count == 1 ? "fault" : "faults",
                                            result->check->n_damaged_backups, result->check->n_damaged_backups == 1 ? "backup" : "backups",
                                            result->check->n_errors > 0 ? result->check->errors[0] : "no details were given");
    } else if (entry->kind == MOS_JOB_RESTORE && result->restoration->files_failed > 0) {
        outcome->status = MOS_JOB_SUCCEEDED_WITH_WARNINGS;
        outcome->message = mos_arena_printf(arena, "%lld %s could not be restored", (long long)result->restoration->files_failed,
                                            result->restoration->files_failed == 1 ? "file" : "files");
    }
}

// An engine that ended without a result may have committed its backup, or destroyed it, in its last moment: the repository is asked.
static void ask_repository(mos_queue *queue, struct mos_entry *entry, struct mos_outcome *outcome, mos_arena *arena) {
    struct mos_error error;
    if (entry->kind != MOS_JOB_BACKUP && entry->kind != MOS_JOB_DELETE) {
        return;
    }
    const backup_record *record = NULL;
    if (mos_queue_find_committed(queue, entry->backup_id, arena, &record, &error) != MOS_OK) {
        mos_log_warning("the repository could not be asked what became of a job", MOS_TEXT("job", entry->job_id),
                        MOS_TEXT("reason", error.message));
        return;
    }
    if (entry->kind == MOS_JOB_BACKUP && record && !record->error[0]) {
        outcome->committed = record;
        outcome->status = record->info->warnings > 0 ? MOS_JOB_SUCCEEDED_WITH_WARNINGS : MOS_JOB_SUCCEEDED;
        outcome->message = "Committed just before its process ended";
    } else if (entry->kind == MOS_JOB_DELETE && !record) {
        outcome->deleted = true;
        outcome->status = MOS_JOB_SUCCEEDED;
        outcome->message = "Deleted just before its process ended";
    }
}

// ---- The whole ----

static mos_process *start_process(mos_queue *queue, struct mos_entry *entry, struct mos_error *error) {
    mos_process *process = NULL;
    if (mos_process_start(&process, &queue->engine, error) != MOS_OK) {
        return NULL;
    }
    pthread_mutex_lock(&entry->process_mutex);
    entry->process = process;
    pthread_mutex_unlock(&entry->process_mutex);
    // Whoever asked for the end before the process was there to be seen left only the flag.
    bool stopped;
    if (ended_by_request(queue, entry, &stopped) || stopped) {
        mos_process_stop(process);
        mos_process_kill(process, STOP_GRACE_MS);
    }
    return process;
}

// After the process is there to be seen: one that does not take its request can still be cancelled.
static mos_status tell(mos_queue *queue, struct mos_entry *entry, mos_process *process, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__Request *request =
        mosaajii__engine__v1__request__unpack(mos_arena_allocator(arena), entry->request_bytes, entry->request);
    struct mos_error cause;
    // Now, not when it was asked for: the backups that were waiting before this one are done.
    if (entry->kind == MOS_JOB_BACKUP && mos_parent_choose(queue->catalog, request->backup, arena, &cause) != MOS_OK) {
        mos_log_warning("a backup cannot be compared with an earlier one", MOS_TEXT("backup", entry->backup_id),
                        MOS_TEXT("reason", cause.message));
    }
    mos_status status = mos_process_tell(process, &queue->engine, request, error);
    explicit_bzero(entry->request, entry->request_bytes);
    return status;
}

static bool wants_verification(mos_queue *queue, struct mos_entry *entry) {
    bool stopped;
    bool cancelled = ended_by_request(queue, entry, &stopped);
    return entry->kind == MOS_JOB_BACKUP && !cancelled && !stopped;
}

// What a deletion had to leave beside a backup that ran is freed when none runs any more.
static void prune_after(mos_queue *queue, const struct mos_entry *entry, const engine_result *result) {
    bool due = entry->kind == MOS_JOB_DELETE && result && result->result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION &&
               result->deletion->bytes_pending > 0;
    pthread_mutex_lock(&queue->mutex);
    queue->prune_due = queue->prune_due || due;
    pthread_mutex_unlock(&queue->mutex);
    mos_job_prune_when_quiet(queue, entry);
}

void mos_job_prune_when_quiet(mos_queue *queue, const struct mos_entry *entry) {
    pthread_mutex_lock(&queue->mutex);
    bool quiet = !queue->stopping;
    for (const struct mos_entry *other = queue->entries; other; other = other->next) {
        quiet = quiet && (other == entry || (other->kind != MOS_JOB_BACKUP && other->kind != MOS_JOB_PRUNE));
    }
    bool now = queue->prune_due && quiet;
    queue->prune_due = queue->prune_due && !now;
    pthread_mutex_unlock(&queue->mutex);
    char id[MOS_ID_TEXT_BYTES];
    struct mos_error error;
    if (now && mos_queue_prune(queue, MOS_PRUNE_GRACE_DEFAULT_SECONDS, false, "", id, &error) != MOS_OK) {
        mos_log_warning("the repository is not pruned after a deletion", MOS_TEXT("reason", error.message));
    }
}

struct preparation {
    mos_queue *queue;
    struct mos_entry *entry;
};

static bool preparation_over(void *argument) {
    const struct preparation *preparation = argument;
    bool stopped;
    return ended_by_request(preparation->queue, preparation->entry, &stopped) || stopped;
}

// false: it cannot be read, and the outcome says why.
static bool prepare(mos_queue *queue, struct mos_entry *entry, struct mos_outcome *outcome, mos_arena *arena) {
    struct preparation preparation = {queue, entry};
    struct mos_error error = {0};
    if (!queue->prepare || (entry->kind != MOS_JOB_VERIFY && entry->kind != MOS_JOB_RESTORE)) {
        return true;
    }
    mos_status status = queue->prepare(queue->prepare_context, entry->backup_id, entry->job_id, preparation_over, &preparation, &error);
    if (status == MOS_CANCELLED) {
        judge_interrupted(queue, entry, "stopped", outcome, arena);
    } else if (status != MOS_OK) {
        outcome->status = MOS_JOB_FAILED;
        outcome->message = sentence(arena, error.message);
    }
    return status == MOS_OK;
}

void mos_job_run(mos_queue *queue, struct mos_entry *entry) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    bool followed = false;
    struct mos_outcome outcome = {.job_id = entry->job_id,
                                  .repository = queue->engine.repository,
                                  .verification_id = "",
                                  .out_followed = &followed,
                                  .status = MOS_JOB_FAILED};
    struct mos_error error;
    if (mos_record_started(queue->catalog, entry->job_id, &error) != MOS_OK) {
        outcome.message = sentence(arena, error.message);
        settle(queue, entry, &outcome);
        return;
    }
    mos_log_info("job started", MOS_TEXT("job", entry->job_id), MOS_TEXT("kind", mos_job_kind_word(entry->kind)),
                 MOS_TEXT("backup", entry->backup_id));
    if (!prepare(queue, entry, &outcome, arena)) {
        settle(queue, entry, &outcome);
        return;
    }
    mos_process *process = start_process(queue, entry, &error);
    if (!process) {
        outcome.message = sentence(arena, error.message);
        settle(queue, entry, &outcome);
        return;
    }
    const engine_result *result = NULL;
    mos_status status = tell(queue, entry, process, &error);
    if (status == MOS_OK || status == MOS_UNAVAILABLE) {
        // An engine that is gone may have said why before it went.
        status = follow(queue, entry, process, arena, &result, &error);
    }
    pthread_mutex_lock(&queue->mutex);
    entry->ended = result != NULL;
    pthread_mutex_unlock(&queue->mutex);
    pthread_mutex_lock(&entry->process_mutex);
    entry->process = NULL;
    pthread_mutex_unlock(&entry->process_mutex);
    if (status != MOS_OK && status != MOS_UNAVAILABLE) {
        mos_log_warning("an engine process cannot be talked to", MOS_TEXT("job", entry->job_id), MOS_TEXT("reason", error.message));
        mos_process_stop(process);
        mos_process_kill(process, STOP_GRACE_MS);
    }
    char reason[MOS_PROCESS_REASON_BYTES];
    mos_process_end(process, reason);
    judge(queue, entry, result, reason, &outcome, arena);
    if (!outcome.result) {
        ask_repository(queue, entry, &outcome, arena);
    }
    struct mos_entry *next = NULL;
    if (outcome.committed && wants_verification(queue, entry)) {
        char id[MOS_ID_TEXT_BYTES];
        mos_id_new(id);
        Mosaajii__Engine__V1__VerifyRequest verify = MOSAAJII__ENGINE__V1__VERIFY_REQUEST__INIT;
        verify.backup_id = entry->backup_id;
        Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_VERIFY;
        request.verify = &verify;
        const struct mos_job job = {.id = id, .kind = MOS_JOB_VERIFY, .backup_id = entry->backup_id};
        next = mos_entry_create(&job, &request);
        outcome.verification_id = next->job_id;
        if (mos_queue_announce(queue, next, NULL) != MOS_OK) {
            outcome.verification_id = "";
        }
    }
    settle(queue, entry, &outcome);
    if (next && outcome.verification_id[0] && !followed) {
        mos_queue_forget(queue, next);
    } else if (next) {
        if (followed) {
            mos_queue_release(queue, next, true);
        }
        mos_entry_release(queue, next);
    }
    prune_after(queue, entry, outcome.result);
}

void mos_job_drop(mos_queue *queue, struct mos_entry *entry) {
    bool stopped;
    bool cancelled = ended_by_request(queue, entry, &stopped);
    bool followed;
    const struct mos_outcome outcome = {.job_id = entry->job_id,
                                        .status = cancelled ? MOS_JOB_CANCELLED : MOS_JOB_FAILED,
                                        .message = cancelled ? "Cancelled on request" : "The server was stopped before the job began",
                                        .repository = queue->engine.repository,
                                        .verification_id = "",
                                        .out_followed = &followed};
    settle(queue, entry, &outcome);
}
