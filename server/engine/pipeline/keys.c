#include "engine/pipeline/keys.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "engine/pipeline/operation.h"
#include "engine/repo/key_object.h"
#include "engine/repo/rekey.h"

enum { BATCH = 64, MOST_FAILURES = 1000, PATIENCE_MS = 10000, LOOK_EVERY_MS = 20 };

typedef Mosaajii__Engine__V1__KeyReport key_report;

// ---- Rewrapping ----

struct rewrapping {
    mos_job *job;
    char key_id[32];
    char ids[BATCH][MOS_ID_TEXT_BYTES];
    size_t waiting;
    int64_t done;
};

static void send_waiting(struct rewrapping *rewrapping) {
    char *ids[BATCH];
    Mosaajii__Engine__V1__Rewrapped rewrapped = MOSAAJII__ENGINE__V1__REWRAPPED__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    for (size_t i = 0; i < rewrapping->waiting; i++) {
        ids[i] = rewrapping->ids[i];
    }
    rewrapped.key_id = rewrapping->key_id;
    rewrapped.backup_ids = ids;
    rewrapped.n_backup_ids = rewrapping->waiting;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_REWRAPPED;
    event.rewrapped = &rewrapped;
    if (rewrapping->waiting > 0) {
        mos_job_send(rewrapping->job, &event);
    }
    rewrapping->waiting = 0;
}

static void one_done(void *context, const char *owner, bool now) {
    struct rewrapping *rewrapping = context;
    rewrapping->done += now;
    mos_job_advance(rewrapping->job, 1, 0, owner, strlen(owner));
    // Also those that were done before: a server that was killed may not know of them.
    if (mos_id_valid(owner)) {
        snprintf(rewrapping->ids[rewrapping->waiting++], MOS_ID_TEXT_BYTES, "%s", owner);
    }
    if (rewrapping->waiting == BATCH) {
        send_waiting(rewrapping);
    }
}

static void one_failed(void *context, const char *owner, const char *reason) {
    struct rewrapping *rewrapping = context;
    mos_job_warn(rewrapping->job, owner, strlen(owner), reason);
}

static mos_status go_on(void *context, struct mos_error *error) {
    return mos_job_check(((struct rewrapping *)context)->job, error);
}

static mos_status rewrap(mos_job *job, mos_repository *repository, key_report *report, struct mos_error *error) {
    struct rewrapping rewrapping = {.job = job};
    const struct mos_rewrap_progress progress = {one_done, one_failed, go_on, &rewrapping};
    const mos_keyring *keyring = mos_repository_keyring(repository);
    mos_keyring_key_id(keyring, mos_keyring_active_version(keyring), rewrapping.key_id);
    mos_job_phase(job, "rewrapping");
    mos_status status = mos_repository_rewrap(repository, &progress, error);
    send_waiting(&rewrapping);
    report->rewrapped = rewrapping.done;
    return status;
}

// ---- Looking ----

struct inspection {
    mos_job *job;
    mos_arena *arena;
    const mos_keyring *keyring;
    key_report *report;
    int64_t *needed;
};

static mos_status inspect(void *context, const char *owner, uint32_t version, const char *failure, struct mos_error *error) {
    struct inspection *inspection = context;
    for (size_t i = 0; i < mos_keyring_count(inspection->keyring); i++) {
        inspection->needed[i] += mos_keyring_at(inspection->keyring, i).number == version;
    }
    inspection->report->checked++;
    if (failure && inspection->report->n_failures < MOST_FAILURES) {
        inspection->report->failures[inspection->report->n_failures++] =
            mos_arena_printf(inspection->arena, "%s: %s", owner, mos_job_text(inspection->arena, failure));
    }
    return mos_job_check(inspection->job, error);
}

static mos_status look(mos_job *job, mos_repository *repository, bool check, mos_arena *arena, key_report *report,
                       struct mos_error *error) {
    const mos_keyring *keyring = mos_repository_keyring(repository);
    size_t count = mos_keyring_count(keyring);
    struct inspection inspection = {
        .job = job, .arena = arena, .keyring = keyring, .report = report, .needed = mos_arena_array(arena, int64_t, count)};
    report->failures = mos_arena_array(arena, char *, MOST_FAILURES);
    mos_status status = mos_repository_each_key(repository, check, inspect, &inspection, error);
    report->keys = mos_arena_array(arena, Mosaajii__Engine__V1__KeyInfo *, count);
    for (size_t i = 0; i < count; i++) {
        struct mos_keyring_version version = mos_keyring_at(keyring, i);
        Mosaajii__Engine__V1__KeyInfo *info = MOS_NEW(arena, Mosaajii__Engine__V1__KeyInfo, mosaajii__engine__v1__key_info__init);
        char id[32];
        mos_keyring_key_id(keyring, version.number, id);
        info->id = mos_arena_strdup(arena, id);
        info->version = version.number;
        info->active = version.active;
        info->created_at_unix_ns = version.created_unix_ns;
        info->needed_by = inspection.needed[i];
        report->keys[report->n_keys++] = info;
    }
    return status;
}

// ---- Escrow ----

static mos_status give_escrow(const mos_repository *repository, const char *passphrase, mos_arena *arena, key_report *report,
                              struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer sealed = {0};
    const mos_keyring *keyring = mos_repository_keyring(repository);
    uint8_t origin[MOS_HASH_BYTES];
    bool known = mos_repository_escrow_origin(repository, keyring, origin);
    mos_status status = mos_keyring_seal(keyring, passphrase, known ? origin : NULL, &sealed, error);
    if (status == MOS_OK) {
        report->escrow.data = mos_arena_memdup(arena, sealed.data, sealed.size_bytes);
        report->escrow.len = sealed.size_bytes;
    }
    return status;
}

// The ids of what `keyring` does not have.
static void name_new(const mos_keyring *keyring, const mos_keyring *copy, mos_arena *arena, key_report *report) {
    report->added = mos_arena_array(arena, char *, mos_keyring_count(copy));
    for (size_t i = 0; i < mos_keyring_count(copy); i++) {
        uint32_t number = mos_keyring_at(copy, i).number;
        if (!mos_keyring_has(keyring, number)) {
            char id[32];
            mos_keyring_key_id(copy, number, id);
            report->added[report->n_added++] = mos_arena_strdup(arena, id);
        }
    }
}

static mos_status take_escrow(mos_repository *repository, mos_keyring *keyring, const char *path,
                              const Mosaajii__Engine__V1__EscrowRequest *request, mos_arena *arena, key_report *report,
                              struct mos_error *error) {
    mos_keyring *copy = NULL;
    size_t added = 0;
    mos_status status = mos_keyring_unseal(request->content.data, request->content.len, request->passphrase, &copy, error);
    if (status != MOS_OK) {
        return status;
    }
    status = mos_repository_check_escrow(repository, copy, error);
    if (status == MOS_OK) {
        name_new(keyring, copy, arena, report);
        status = mos_keyring_merge(keyring, copy, path, &added, error);
    }
    mos_keyring_free(copy);
    if (status == MOS_OK) {
        mos_log_info("key versions taken over from an escrow copy", MOS_NUMBER("versions", added));
    }
    return status;
}

// ---- All of them ----

bool mos_operation_is_keys(const Mosaajii__Engine__V1__Request *request) {
    switch (request->operation_case) {
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ROTATE_KEY:
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_REWRAP:
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST_KEYS:
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ESCROW:
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RETIRE_KEY:
        return true;
    default:
        return false;
    }
}

// ---- One after another ----

// What a lock is waited for with.
struct turn {
    mos_job *job;
    int64_t end_ns;
};

static struct turn take_number(mos_job *job, bool patient) {
    return (struct turn){job, patient ? INT64_MAX : mos_now_monotonic_ns() + PATIENCE_MS * MOS_NS_PER_MS};
}

// After an attempt that found the lock taken: MOS_OK to try again.
static mos_status wait_turn(const struct turn *turn, struct mos_error *error) {
    if (mos_now_monotonic_ns() >= turn->end_ns) {
        return mos_fail(error, MOS_FAILED_PRECONDITION,
                        "keys are being changed or rewrapped by another process: try again when it has ended");
    }
    nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * MOS_NS_PER_MS}, NULL);
    return mos_job_check(turn->job, error);
}

static mos_status lock_keyring(const struct turn *turn, const char *path, int *out_descriptor, struct mos_error *error) {
    mos_status status;
    do {
        status = mos_keyring_lock(path, out_descriptor, error);
    } while (status == MOS_UNAVAILABLE && (status = wait_turn(turn, error)) == MOS_OK);
    return status;
}

static mos_status lock_keys(const struct turn *turn, const mos_repository *repository, int *out_descriptor, struct mos_error *error) {
    mos_status status;
    do {
        status = mos_repository_lock_keys(repository, out_descriptor, error);
    } while (status == MOS_UNAVAILABLE && (status = wait_turn(turn, error)) == MOS_OK);
    return status;
}

mos_status mos_operation_lock_keyring(mos_job *job, const char *path, int *out_descriptor, struct mos_error *error) {
    const struct turn turn = take_number(job, false);
    return lock_keyring(&turn, path, out_descriptor, error);
}

static bool changes(const Mosaajii__Engine__V1__Request *request) {
    return request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ESCROW
               ? request->escrow->content.len > 0
               : request->operation_case != MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST_KEYS;
}

static mos_status rotate(mos_repository *repository, mos_keyring *keyring, const Mosaajii__Engine__V1__Request *request,
                         struct mos_error *error) {
    // A number that another keyring gave its key in this repository is taken, too.
    uint32_t above = 0;
    mos_status status = *request->key_reference ? mos_key_service_try(mos_keyring_service(keyring), request->key_reference, error) : MOS_OK;
    status = status != MOS_OK ? status : mos_repository_highest_key(repository, MOS_KEYRING_LARGEST_VERSION, &above, error);
    return status == MOS_OK ? mos_keyring_add(keyring, request->keyring, request->key_reference, above, error) : status;
}

static mos_status operate(mos_job *job, mos_repository *repository, mos_keyring *keyring, const Mosaajii__Engine__V1__Request *request,
                          mos_arena *arena, key_report *report, struct mos_error *error) {
    mos_status status = MOS_OK;
    bool check = false;
    switch (request->operation_case) {
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ROTATE_KEY:
        status = rotate(repository, keyring, request, error);
        break;
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_REWRAP:
        return rewrap(job, repository, report, error);
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ESCROW:
        status = request->escrow->content.len == 0
                     ? give_escrow(repository, request->escrow->passphrase, arena, report, error)
                     : take_escrow(repository, keyring, request->keyring, request->escrow, arena, report, error);
        break;
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RETIRE_KEY:
        status = mos_repository_retire_key(repository, keyring, request->keyring, request->retire_key->version, error);
        break;
    default:
        check = request->list_keys->check;
    }
    return status == MOS_OK ? look(job, repository, check, arena, report, error) : status;
}

mos_status mos_operation_keys(mos_job *job, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                              Mosaajii__Engine__V1__Result *out, struct mos_error *error) {
    key_report *report = MOS_NEW(arena, key_report, mosaajii__engine__v1__key_report__init);
    MOS_CLEANUP_FD int keyring_lock = -1;
    MOS_CLEANUP_FD int keys_lock = -1;
    mos_keyring *keyring = NULL;
    mos_repository *repository = NULL;
    mos_status status = MOS_OK;
    const struct turn turn = take_number(job, request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_REWRAP);
    out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_KEYS;
    out->keys = report;
    if (changes(request)) {
        status = lock_keyring(&turn, request->keyring, &keyring_lock, error);
    }
    status = status == MOS_OK ? mos_keyring_load_sealed(request->keyring, request->keyring_passphrase, &keyring, error) : status;
    if (status == MOS_OK) {
        mos_keyring_set_service(keyring, mos_job_key_service(job));
        status = mos_repository_open(request->repository, keyring, &repository, error);
    }
    if (status == MOS_OK && changes(request)) {
        status = lock_keys(&turn, repository, &keys_lock, error);
    }
    status = status == MOS_OK ? operate(job, repository, keyring, request, arena, report, error) : status;
    mos_repository_close(repository);
    mos_keyring_free(keyring);
    return status;
}
