// Checks a backup: its packs in parallel, then which files any damage hurts.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "engine/pipeline/hurt.h"
#include "engine/pipeline/operation.h"
#include "engine/repo/verify.h"

enum { LISTED_MOST = 1000 };

struct verification {
    mos_job *job;
    mos_arena *arena;
    mos_verify *verify;
    Mosaajii__Engine__V1__Verification *out;
    atomic_size_t next_pack;
    // Of the workers.
    pthread_mutex_t mutex;
    struct mos_error error;
};

// One call at a time, says mos_verify_begin.
static void take_fault(void *context, const char *message) {
    struct verification *verification = context;
    if (verification->out->n_errors < LISTED_MOST) {
        char *text = mos_job_text(verification->arena, message);
        verification->out->errors[verification->out->n_errors++] = mos_arena_strdup(verification->arena, text);
    }
}

static void *check_packs(void *argument) {
    struct verification *verification = argument;
    size_t count = mos_verify_packs(verification->verify);
    for (;;) {
        size_t number = atomic_fetch_add(&verification->next_pack, 1);
        struct mos_error error = {0};
        if (number >= count) {
            return NULL;
        }
        mos_status status = mos_job_check(verification->job, &error);
        status = status ? status : mos_verify_pack(verification->verify, number, &error);
        if (status) {
            pthread_mutex_lock(&verification->mutex);
            if (!verification->error.status) {
                verification->error = error;
            }
            pthread_mutex_unlock(&verification->mutex);
            atomic_store(&verification->next_pack, count);
            return NULL;
        }
        mos_job_advance(verification->job, 0, mos_verify_pack_bytes(verification->verify, number), NULL, 0);
    }
}

static mos_status check_all_packs(struct verification *verification, struct mos_error *error) {
    int64_t bytes = 0;
    for (size_t i = 0; i < mos_verify_packs(verification->verify); i++) {
        bytes += mos_verify_pack_bytes(verification->verify, i);
    }
    mos_job_phase(verification->job, "verifying packs");
    mos_job_totals(verification->job, 0, bytes);
    unsigned started = 0, threads = mos_job_threads(verification->job);
    MOS_CLEANUP_FREE pthread_t *workers = mos_calloc(threads, sizeof(*workers));
    // This thread is one of them, so that it works where no other can be started.
    while (started + 1 < threads && pthread_create(&workers[started], NULL, check_packs, verification) == 0) {
        started++;
    }
    check_packs(verification);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i], NULL);
    }
    if (verification->error.status) {
        *error = verification->error;
    }
    return verification->error.status;
}

static bool extent_damaged(const void *verify, const struct mos_extent *extent) {
    return mos_verify_extent_damaged(verify, extent);
}

static mos_status find_hurt_files(struct verification *verification, mos_reader *reader, struct mos_error *error) {
    Mosaajii__Engine__V1__Verification *out = verification->out;
    mos_tree_reader *tree;
    mos_status status = mos_tree_open(reader, NULL, 0, &tree, error);
    if (status) {
        return status;
    }
    struct mos_verify_result so_far;
    mos_verify_result(verification->verify, &so_far);
    struct mos_hurt hurt = {.reader = reader, .lost = extent_damaged, .context = verification->verify, .any = so_far.error_count > 0};
    const Mosaajii__Engine__V1__Statistics *statistics = mos_reader_info(reader)->statistics;
    mos_job_phase(verification->job, "verifying files");
    mos_job_totals(verification->job, statistics ? statistics->files + statistics->directories + statistics->others : 0, 0);
    for (;;) {
        struct mos_error cause = {0};
        const struct mos_entry *entry = NULL;
        status = mos_job_check(verification->job, error);
        if (status) {
            break;
        }
        status = mos_tree_next(tree, &entry, &cause);
        if (status == MOS_CORRUPT) {
            mos_verify_fault(verification->verify, cause.message);
            hurt.any = true;
            continue;
        }
        if (status || !entry) {
            if (status) {
                *error = cause;
            }
            break;
        }
        bool damaged = mos_hurt_entry(&hurt, tree, entry);
        if (damaged && out->n_damaged_paths < LISTED_MOST) {
            out->damaged_paths[out->n_damaged_paths++] = (ProtobufCBinaryData){
                .data = mos_arena_memdup(verification->arena, entry->path, entry->path_bytes), .len = entry->path_bytes};
        }
        out->damaged_files += damaged;
        if (damaged) {
            mos_verify_result(verification->verify, &so_far);
        }
        if (damaged && so_far.error_count == 0) {
            mos_verify_fault(verification->verify, "the content of files is in no readable pack of the backup");
        }
        mos_job_advance(verification->job, 1, 0, entry->path, entry->path_bytes);
    }
    mos_tree_close(tree);
    return status;
}

mos_status mos_operation_verify(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__VerifyRequest *request,
                                mos_arena *arena, Mosaajii__Engine__V1__Result *out, struct mos_error *error) {
    struct verification verification = {.job = job, .arena = arena};
    verification.out = MOS_NEW(arena, Mosaajii__Engine__V1__Verification, mosaajii__engine__v1__verification__init);
    verification.out->errors = mos_arena_array(arena, char *, LISTED_MOST);
    verification.out->damaged_paths = mos_arena_array(arena, ProtobufCBinaryData, LISTED_MOST);
    mos_status status = mos_verify_begin(repository, request->backup_id, take_fault, &verification, &verification.verify, error);
    if (status) {
        return status;
    }
    pthread_mutex_init(&verification.mutex, NULL);
    status = check_all_packs(&verification, error);
    mos_reader *reader = mos_verify_reader(verification.verify);
    if (status == MOS_OK && reader) {
        mos_verify_tree(verification.verify);
        status = find_hurt_files(&verification, reader, error);
    }
    size_t damaged_count;
    const uint8_t *damaged = mos_verify_damaged_packs(verification.verify, &damaged_count);
    if (damaged_count) {
        // The next backup writes their chunks again. Where that cannot be noted, the result says all the same what is damaged.
        mos_repository_distrust_packs(repository, damaged, damaged_count, NULL);
    }
    if (status == MOS_OK) {
        struct mos_verify_result result;
        mos_verify_result(verification.verify, &result);
        verification.out->checksum_valid = result.checksum_valid;
        verification.out->encryption_valid = result.encryption_valid;
        verification.out->size_valid = result.size_valid;
        verification.out->error_count = result.error_count;
        verification.out->objects_checked = result.objects_checked;
        verification.out->bytes_checked = result.bytes_checked;
        out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION;
        out->verification = verification.out;
        mos_job_report(job);
    }
    pthread_mutex_destroy(&verification.mutex);
    mos_verify_free(verification.verify);
    return status;
}
