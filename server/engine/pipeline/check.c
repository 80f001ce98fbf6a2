// Checks the whole repository: every object that a manifest leads to, each pack once, and which backups any damage hurts.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"
#include "engine/pipeline/hurt.h"
#include "engine/pipeline/operation.h"
#include "engine/pipeline/sample.h"
#include "engine/repo/chunk_map.h"
#include "engine/repo/moved.h"
#include "engine/repo/verify.h"

enum { LISTED_MOST = 1000 };

struct check {
    mos_job *job;
    mos_repository *repository;
    mos_arena *arena;
    Mosaajii__Engine__V1__CheckResult *out;
    size_t damaged_capacity;
    // Ids of all backups.
    char **backups;
    size_t backup_count;
    size_t backup_capacity;
    // Of those the ones whose data lies elsewhere, sorted.
    const char **absent;
    size_t absent_count;
    size_t absent_met;
    // All packs, each once, with whether it is to be read and whether it was checked with an earlier backup.
    struct mos_pack_list packs;
    bool *read;
    bool *done;
    // Chunks that are known to be damaged, as a set.
    struct mos_chunk_map damaged;
    struct mos_buffer damaged_packs;
    // The backup at hand.
    mos_verify *verify;
    atomic_size_t next_pack;
    // Of the workers.
    pthread_mutex_t mutex;
    struct mos_error error;
};

// One call at a time, as all of one verification are.
static void take_fault(void *context, const char *message) {
    struct check *check = context;
    check->out->error_count++;
    if (check->out->n_errors < LISTED_MOST) {
        check->out->errors[check->out->n_errors++] = mos_arena_strdup(check->arena, mos_job_text(check->arena, message));
    }
}

static void add_totals(struct check *check, const struct mos_verify_result *result) {
    check->out->objects_checked += result->objects_checked;
    check->out->bytes_checked += result->bytes_checked;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_absent(const struct check *check, const char *backup_id) {
    return check->absent_count > 0 && bsearch(&backup_id, check->absent, check->absent_count, sizeof(char *), compare_ids);
}

// ---- What there is ----

static mos_status list_backup(void *context, const char *backup_id, struct mos_error *error) {
    struct check *check = context;
    mos_reader *reader = NULL;
    if (check->backup_count == check->backup_capacity) {
        check->backup_capacity = check->backup_capacity ? 2 * check->backup_capacity : 64;
        check->backups = mos_realloc(check->backups, check->backup_capacity * sizeof(char *));
    }
    check->backups[check->backup_count++] = mos_arena_strdup(check->arena, backup_id);
    // One that cannot be read is told of when it is checked.
    if (!is_absent(check, backup_id) && mos_reader_open(check->repository, backup_id, &reader, NULL) == MOS_OK) {
        mos_reader_add_packs(reader, &check->packs);
        mos_reader_close(reader);
    }
    return mos_job_check(check->job, error);
}

static void choose_packs(struct check *check, const Mosaajii__Engine__V1__CheckRequest *request) {
    size_t count = check->packs.count;
    MOS_CLEANUP_FREE int64_t *sizes = mos_calloc(count + 1, sizeof(*sizes));
    int64_t total = 0, chosen_bytes = 0;
    check->read = mos_calloc(count + 1, sizeof(*check->read));
    check->done = mos_calloc(count + 1, sizeof(*check->done));
    for (size_t i = 0; i < count; i++) {
        sizes[i] = (int64_t)check->packs.packs[i].size_bytes;
        total += sizes[i];
    }
    int64_t wanted =
        request->sample_bytes ? request->sample_bytes : total / 100 * request->sample_percent + total % 100 * request->sample_percent / 100;
    wanted = request->sample_percent == 100 ? INT64_MAX : wanted;
    size_t chosen = mos_sample_choose(sizes, count, wanted, check->read);
    for (size_t i = 0; i < count; i++) {
        chosen_bytes += check->read[i] ? sizes[i] : 0;
    }
    mos_job_totals(check->job, 0, chosen_bytes);
    check->out->guarantee = mos_sample_guarantee(check->arena, count, chosen, total, chosen_bytes);
}

// ---- Packs ----

static void add_damaged_chunk(void *context, const struct mos_chunk_id *id) {
    struct check *check = context;
    if (!mos_chunk_map_find(&check->damaged, id)) {
        mos_chunk_map_insert(&check->damaged, id, 0, 0);
    }
}

// A pack that no backup before this one had. One that a prune moved meanwhile may not be among those chosen: it is read.
static bool claim_pack(struct check *check, size_t number, bool *out_read) {
    uint32_t position = mos_pack_list_find(&check->packs, mos_verify_pack_id(check->verify, number));
    pthread_mutex_lock(&check->mutex);
    bool fresh = position == MOS_NO_PACK || !check->done[position];
    *out_read = position == MOS_NO_PACK || check->read[position];
    if (position != MOS_NO_PACK) {
        check->done[position] = true;
    }
    pthread_mutex_unlock(&check->mutex);
    return fresh;
}

static mos_status check_pack(struct check *check, size_t number, struct mos_error *error) {
    bool read;
    mos_status status = mos_job_check(check->job, error);
    if (status != MOS_OK || !claim_pack(check, number, &read)) {
        return status;
    }
    if (!read) {
        return mos_verify_pack_presence(check->verify, number, error);
    }
    status = mos_verify_pack(check->verify, number, error);
    if (status == MOS_OK) {
        pthread_mutex_lock(&check->mutex);
        mos_verify_bad_chunks(check->verify, number, add_damaged_chunk, check);
        pthread_mutex_unlock(&check->mutex);
        mos_job_advance(check->job, 0, mos_verify_pack_bytes(check->verify, number), NULL, 0);
    }
    return status;
}

static void *check_packs(void *argument) {
    struct check *check = argument;
    size_t count = mos_verify_packs(check->verify);
    for (size_t number; (number = atomic_fetch_add(&check->next_pack, 1)) < count;) {
        struct mos_error error = {0};
        mos_status status = check_pack(check, number, &error);
        if (status) {
            pthread_mutex_lock(&check->mutex);
            if (!check->error.status) {
                check->error = error;
            }
            pthread_mutex_unlock(&check->mutex);
            atomic_store(&check->next_pack, count);
        }
    }
    return NULL;
}

static mos_status check_all_packs(struct check *check, struct mos_error *error) {
    unsigned started = 0, threads = mos_job_threads(check->job);
    MOS_CLEANUP_FREE pthread_t *workers = mos_calloc(threads, sizeof(*workers));
    atomic_store(&check->next_pack, 0);
    // This thread is one of them, so that it works where no other can be started.
    while (started + 1 < threads && pthread_create(&workers[started], NULL, check_packs, check) == 0) {
        started++;
    }
    check_packs(check);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i], NULL);
    }
    if (check->error.status) {
        *error = check->error;
    }
    return check->error.status;
}

// ---- What the damage hurts ----

static bool extent_lost(const void *context, const struct mos_extent *extent) {
    const struct check *check = context;
    return mos_chunk_map_find(&check->damaged, &extent->chunk) || !mos_verify_extent_found(check->verify, extent);
}

// *out_hurt: something of the backup is lost.
static mos_status walk(struct check *check, const char *backup_id, bool *out_hurt, struct mos_error *error) {
    mos_tree_reader *tree;
    int64_t lost = 0;
    const char *first = "";
    mos_reader *reader = mos_verify_reader(check->verify);
    // Damage that an earlier backup showed is not looked for again, so it counts here too.
    struct mos_hurt hurt = {.reader = reader, .lost = extent_lost, .context = check, .any = check->out->error_count > 0};
    mos_status status = mos_tree_open(reader, NULL, 0, &tree, error);
    while (status == MOS_OK) {
        struct mos_error cause = {0};
        const struct mos_entry *entry = NULL;
        status = mos_job_check(check->job, error);
        if (status != MOS_OK) {
            break;
        }
        status = mos_tree_next(tree, &entry, &cause);
        if (status == MOS_CORRUPT) {
            mos_verify_fault(check->verify, mos_arena_printf(check->arena, "backups/%s: %s", backup_id, cause.message));
            *out_hurt = hurt.any = true;
            status = MOS_OK;
        } else if (status != MOS_OK) {
            *error = cause;
        } else if (!entry) {
            break;
        } else if (mos_hurt_entry(&hurt, tree, entry) && lost++ == 0) {
            first = mos_path_escape(check->arena, entry->path, entry->path_bytes);
        }
    }
    if (status == MOS_OK && lost > 0) {
        mos_verify_fault(check->verify, mos_arena_printf(check->arena,
                                                         lost == 1 ? "backups/%s: %lld file is damaged: %.400s"
                                                                   : "backups/%s: %lld files are damaged, the first of them %.400s",
                                                         backup_id, (long long)lost, first));
        *out_hurt = true;
    }
    mos_tree_close(tree);
    return status;
}

static void note_damaged_backup(struct check *check, const char *backup_id) {
    Mosaajii__Engine__V1__CheckResult *out = check->out;
    if (out->n_damaged_backups == check->damaged_capacity) {
        check->damaged_capacity = check->damaged_capacity ? 2 * check->damaged_capacity : 64;
        char **ids = mos_arena_array(check->arena, char *, check->damaged_capacity);
        if (out->n_damaged_backups) {
            memcpy(ids, out->damaged_backups, out->n_damaged_backups * sizeof(char *));
        }
        out->damaged_backups = ids;
    }
    out->damaged_backups[out->n_damaged_backups++] = (char *)backup_id;
}

static mos_status check_backup(struct check *check, const char *backup_id, struct mos_error *error) {
    mos_status status = mos_verify_begin_backup(check->repository, backup_id, take_fault, check, &check->verify, error);
    if (status == MOS_NOT_FOUND) {
        // Deleted meanwhile.
        return MOS_OK;
    }
    if (status == MOS_FAILED_PRECONDITION) {
        // Its key is of another keyring: nothing can be said but that.
        take_fault(check, mos_arena_printf(check->arena, "backups/%s: %s", backup_id, error->message));
        note_damaged_backup(check, backup_id);
        return MOS_OK;
    }
    if (status != MOS_OK) {
        return status;
    }
    struct mos_verify_result result;
    bool hurt = !mos_verify_reader(check->verify), absent = is_absent(check, backup_id);
    check->absent_met += absent;
    if (!hurt && !absent) {
        status = check_all_packs(check, error);
        mos_verify_tree(check->verify);
        status = status == MOS_OK ? walk(check, backup_id, &hurt, error) : status;
    }
    size_t damaged_count;
    const uint8_t *damaged = mos_verify_damaged_packs(check->verify, &damaged_count);
    mos_buffer_append(&check->damaged_packs, damaged, damaged_count * MOS_PACK_ID_BYTES);
    mos_verify_result(check->verify, &result);
    add_totals(check, &result);
    mos_verify_free(check->verify);
    check->verify = NULL;
    if (hurt) {
        note_damaged_backup(check, backup_id);
    }
    check->out->backups_checked++;
    return status;
}

// ---- All of it ----

static mos_status run(struct check *check, const Mosaajii__Engine__V1__CheckRequest *request, struct mos_error *error) {
    struct mos_verify_result shared;
    mos_job_phase(check->job, "checking");
    mos_verify_shared(check->repository, take_fault, check, &shared);
    add_totals(check, &shared);
    mos_status status = mos_repository_each_backup(check->repository, list_backup, check, error);
    if (status != MOS_OK) {
        return status;
    }
    choose_packs(check, request);
    for (size_t i = 0; i < check->backup_count && status == MOS_OK; i++) {
        status = check_backup(check, check->backups[i], error);
    }
    if (check->absent_met > 0) {
        check->out->guarantee = mos_arena_printf(check->arena,
                                                 check->absent_met == 1 ? "%s; %zu backup lies offsite only, and is not judged"
                                                                        : "%s; %zu backups lie offsite only, and are not judged",
                                                 check->out->guarantee, check->absent_met);
    }
    if (status == MOS_OK && request->repair) {
        int64_t unreadable;
        mos_job_phase(check->job, "repairing the index");
        status = mos_repository_repair_index(check->repository, &unreadable, error);
    }
    if (check->damaged_packs.size_bytes) {
        // The next backup writes their chunks again. Where that cannot be noted, the result says all the same what is damaged.
        mos_repository_distrust_packs(check->repository, check->damaged_packs.data, check->damaged_packs.size_bytes / MOS_PACK_ID_BYTES,
                                      NULL);
    }
    mos_job_report(check->job);
    return status;
}

mos_status mos_operation_check(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__CheckRequest *request,
                               mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error) {
    if (request->sample_percent < 0 || request->sample_percent > 100) {
        return mos_fail_field(error, "sample_percent", "the share to read is %d %%; allowed is 0 to 100", request->sample_percent);
    }
    if (request->sample_bytes < 0) {
        return mos_fail_field(error, "sample_bytes", "the bytes to read are %lld; allowed is 0 or more", (long long)request->sample_bytes);
    }
    if (request->sample_bytes && request->sample_percent) {
        return mos_fail_field(error, "sample_bytes", "the part to read is given as a share and in bytes; allowed is one of both");
    }
    struct check check = {.job = job, .repository = repository, .arena = arena, .mutex = PTHREAD_MUTEX_INITIALIZER};
    check.out = MOS_NEW(arena, Mosaajii__Engine__V1__CheckResult, mosaajii__engine__v1__check_result__init);
    check.out->errors = mos_arena_array(arena, char *, LISTED_MOST);
    check.absent = mos_arena_array(arena, const char *, request->n_absent_backups + 1);
    check.absent_count = request->n_absent_backups;
    for (size_t i = 0; i < check.absent_count; i++) {
        check.absent[i] = request->absent_backups[i];
    }
    qsort(check.absent, check.absent_count, sizeof(char *), compare_ids);
    mos_status status = run(&check, request, error);
    if (status == MOS_OK) {
        check.out->valid = check.out->error_count == 0;
        out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_CHECK;
        out->check = check.out;
    }
    free(check.backups);
    free(check.read);
    free(check.done);
    mos_pack_list_free(&check.packs);
    mos_chunk_map_free(&check.damaged);
    mos_buffer_free(&check.damaged_packs);
    pthread_mutex_destroy(&check.mutex);
    return status;
}
