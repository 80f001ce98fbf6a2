#include "control/access/trail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

enum { INTERVAL_SECONDS = 30, BATCH = 500, FILE_NAME_DIGITS = 20 };

struct mos_trail {
    mos_catalog *catalog;
    char *folder;
    // In a page of its own, kept out of swap and core dumps.
    uint8_t *secret;
    uint8_t public_key[MOS_AUDIT_PUBLIC_KEY_BYTES];

    // Signing, one at a time.
    pthread_mutex_t mutex;
    // The repository is there, so that something may be written into its folder.
    bool ready;
    struct mos_audit_checkpoint last;
    bool complained;

    pthread_t thread;
    bool runs;
    pthread_mutex_t stop_mutex;
    pthread_cond_t stop;
    bool stopping;
};

// ---- The key ----

static mos_status write_new(const char *path, const char *text, mode_t mode, struct mos_error *error) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "writing %s", path);
    }
    bool written = dprintf(descriptor, "%s\n", text) == (int)strlen(text) + 1 && fsync(descriptor) == 0;
    int reason = errno;
    close(descriptor);
    if (!written) {
        unlink(path);
        return mos_fail_errno(error, reason, "writing %s", path);
    }
    return MOS_OK;
}

static mos_status make_key(mos_trail *trail, const char *path, struct mos_error *error) {
    char text[2 * MOS_AUDIT_SECRET_KEY_BYTES + 1];
    if (!mos_audit_new_key(trail->secret)) {
        return mos_fail(error, MOS_INTERNAL, "libsodium does not start");
    }
    mos_hex_encode(trail->secret, MOS_AUDIT_SECRET_KEY_BYTES, text);
    mos_status status = write_new(path, text, 0600, error);
    mos_audit_wipe(text, sizeof(text));
    return status;
}

static mos_status read_key(mos_trail *trail, int descriptor, const char *path, struct mos_error *error) {
    char text[2 * MOS_AUDIT_SECRET_KEY_BYTES + 1];
    struct stat status;
    ssize_t got = read(descriptor, text, sizeof(text));
    bool whole = got == (ssize_t)sizeof(text) && text[sizeof(text) - 1] == '\n';
    text[sizeof(text) - 1] = 0;
    bool valid = whole && mos_hex_decode(text, trail->secret, MOS_AUDIT_SECRET_KEY_BYTES);
    mos_audit_wipe(text, sizeof(text));
    if (!valid) {
        return mos_fail(error, MOS_CORRUPT, "%s is no key of an audit trail", path);
    }
    if (fstat(descriptor, &status) != 0 || status.st_mode & 077) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the key %s must be accessible to its owner only: chmod 600 it", path);
    }
    return MOS_OK;
}

static mos_status load_key(mos_trail *trail, const char *path, struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    mos_status status = descriptor >= 0   ? read_key(trail, descriptor, path, error)
                        : errno == ENOENT ? make_key(trail, path, error)
                                          : mos_fail_errno(error, errno, "reading %s", path);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_audit_checkpoint empty = {0};
    char text[2 * MOS_AUDIT_PUBLIC_KEY_BYTES + 1];
    char public_path[4096];
    mos_audit_sign(&empty, trail->secret);
    memcpy(trail->public_key, empty.public_key, sizeof(trail->public_key));
    mos_hex_encode(trail->public_key, sizeof(trail->public_key), text);
    snprintf(public_path, sizeof(public_path), "%s.pub", path);
    return access(public_path, F_OK) == 0 ? MOS_OK : write_new(public_path, text, 0600, error);
}

// ---- Checkpoints beside the backups ----

static mos_status write_checkpoint_file(mos_trail *trail, const struct mos_audit_checkpoint *checkpoint, struct mos_error *error) {
    uint8_t object[MOS_AUDIT_OBJECT_BYTES];
    char path[4200], temporary[4200];
    mos_audit_encode_checkpoint(checkpoint, object);
    snprintf(path, sizeof(path), "%s/%0*lld", trail->folder, FILE_NAME_DIGITS, (long long)checkpoint->sequence);
    snprintf(temporary, sizeof(temporary), "%s/.new", trail->folder);
    if (mkdir(trail->folder, 0700) != 0 && errno != EEXIST) {
        return mos_fail_errno(error, errno, "making %s", trail->folder);
    }
    unlink(temporary);
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "writing %s", path);
    }
    bool written = write(descriptor, object, sizeof(object)) == (ssize_t)sizeof(object) && fsync(descriptor) == 0;
    int reason = errno;
    close(descriptor);
    if (!written || rename(temporary, path) != 0) {
        reason = written ? errno : reason;
        unlink(temporary);
        return mos_fail_errno(error, reason, "writing %s", path);
    }
    MOS_CLEANUP_FD int folder = open(trail->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0 && fsync(folder) == 0 ? MOS_OK : mos_fail_errno(error, errno, "flushing %s", trail->folder);
}

// The newest of each day stays.
static void thin_files(mos_trail *trail, const struct mos_audit_checkpoint *before, const struct mos_audit_checkpoint *newest) {
    const int64_t day_ns = 86400 * MOS_NS_PER_SECOND;
    if (before->sequence > 0 && before->sequence < newest->sequence && before->unix_ns / day_ns == newest->unix_ns / day_ns) {
        char path[4200];
        snprintf(path, sizeof(path), "%s/%0*lld", trail->folder, FILE_NAME_DIGITS, (long long)before->sequence);
        unlink(path);
    }
}

static bool read_checkpoint_file(mos_trail *trail, const char *name, struct mos_audit_checkpoint *out) {
    char path[4500];
    uint8_t object[MOS_AUDIT_OBJECT_BYTES + 1];
    snprintf(path, sizeof(path), "%s/%s", trail->folder, name);
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t got = descriptor >= 0 ? read(descriptor, object, sizeof(object)) : -1;
    return got >= 0 && mos_audit_decode_checkpoint(object, (size_t)got, out);
}

static int by_sequence(const void *a, const void *b) {
    int64_t left = ((const struct mos_audit_checkpoint *)a)->sequence, right = ((const struct mos_audit_checkpoint *)b)->sequence;
    return left < right ? -1 : left > right;
}

// Those of this server's key, in order; the caller's.
static struct mos_audit_checkpoint *read_checkpoint_files(mos_trail *trail, size_t *out_count) {
    struct mos_audit_checkpoint *found = NULL;
    size_t count = 0, capacity = 0;
    DIR *folder = opendir(trail->folder);
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        struct mos_audit_checkpoint checkpoint;
        if (entry->d_name[0] == '.' || !read_checkpoint_file(trail, entry->d_name, &checkpoint) ||
            memcmp(checkpoint.public_key, trail->public_key, sizeof(trail->public_key)) != 0 || !mos_audit_signed(&checkpoint)) {
            continue;
        }
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            found = mos_realloc(found, capacity * sizeof(*found));
        }
        found[count++] = checkpoint;
    }
    if (folder) {
        closedir(folder);
    }
    if (count > 0) {
        qsort(found, count, sizeof(*found), by_sequence);
    }
    *out_count = count;
    return found;
}

// ---- Signing ----

static mos_status head_of(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct mos_audit_checkpoint *head = argument;
    return mos_catalog_audit_head(session, &head->sequence, head->hash, error);
}

// Entries up to `until` go to the verifier.
static mos_status follow_chain(mos_trail *trail, int64_t after, int64_t until, struct mos_audit_verifier *verifier,
                               struct mos_error *error) {
    mos_status status = MOS_OK;
    size_t count = 1;
    while (status == MOS_OK && count > 0 && after < until) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        MOS_CLEANUP_READ mos_catalog_session *session = NULL;
        struct mos_audit_entry *entries;
        status = mos_catalog_read_begin(trail->catalog, &session, error);
        if (status == MOS_OK) {
            status = mos_catalog_next_audit(session, after, BATCH, arena, &entries, &count, error);
        }
        for (size_t i = 0; status == MOS_OK && i < count && entries[i].sequence <= until; i++) {
            mos_audit_verify_entry(verifier, &entries[i]);
            after = entries[i].sequence;
        }
        if (status == MOS_OK && count > 0 && entries[count - 1].sequence > until) {
            break;
        }
    }
    return status;
}

static mos_status store_checkpoint(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_add_checkpoint(session, argument, error);
}

static mos_status sign_head(mos_trail *trail, struct mos_error *error) {
    struct mos_audit_checkpoint head = {0};
    mos_status status = mos_catalog_write(trail->catalog, head_of, &head, error);
    if (status != MOS_OK || head.sequence <= trail->last.sequence) {
        return status;
    }
    struct mos_audit_verifier verifier;
    mos_audit_verify_begin(&verifier, trail->last.sequence, trail->last.hash, trail->public_key);
    status = follow_chain(trail, trail->last.sequence, head.sequence, &verifier, error);
    if (status == MOS_OK && (verifier.first_bad || verifier.sequence != head.sequence)) {
        return mos_fail(error, MOS_DATA_LOSS, "the audit trail was changed behind the server's back: %s",
                        verifier.first_bad ? verifier.message : "its last entries are missing");
    }
    if (status != MOS_OK) {
        return status;
    }
    head.unix_ns = mos_now_unix_ns();
    mos_audit_sign(&head, trail->secret);
    status = write_checkpoint_file(trail, &head, error);
    if (status == MOS_OK) {
        status = mos_catalog_write(trail->catalog, store_checkpoint, &head, error);
    }
    if (status == MOS_OK) {
        thin_files(trail, &trail->last, &head);
        trail->last = head;
    }
    return status;
}

mos_status mos_trail_checkpoint(mos_trail *trail, struct mos_error *error) {
    struct mos_error local = {0};
    pthread_mutex_lock(&trail->mutex);
    mos_status status = trail->ready ? sign_head(trail, &local) : MOS_OK;
    if (status != MOS_OK && !trail->complained) {
        mos_log_error("the audit trail could not be signed for", MOS_TEXT("reason", local.message));
    }
    trail->complained = status != MOS_OK;
    pthread_mutex_unlock(&trail->mutex);
    if (status != MOS_OK && error) {
        *error = local;
    }
    return status;
}

static void *thread_main(void *argument) {
    mos_trail *trail = argument;
    pthread_mutex_lock(&trail->stop_mutex);
    while (!trail->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += INTERVAL_SECONDS;
        while (!trail->stopping && pthread_cond_timedwait(&trail->stop, &trail->stop_mutex, &until) != ETIMEDOUT) {
        }
        pthread_mutex_unlock(&trail->stop_mutex);
        mos_trail_checkpoint(trail, NULL);
        pthread_mutex_lock(&trail->stop_mutex);
    }
    pthread_mutex_unlock(&trail->stop_mutex);
    return NULL;
}

// ---- Making and taking apart ----

struct resumption {
    struct mos_audit_checkpoint last;
    bool lost;
};

static mos_status resume(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct resumption *resumption = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_audit_entry *entries;
    size_t count = 0;
    int64_t sequence = 0;
    uint8_t hash[MOS_AUDIT_HASH_BYTES];
    mos_status status = mos_catalog_next_audit(session, resumption->last.sequence - 1, 1, arena, &entries, &count, error);
    if (status == MOS_OK) {
        status = mos_catalog_audit_head(session, &sequence, hash, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    resumption->lost =
        count == 0 || entries[0].sequence != resumption->last.sequence || memcmp(entries[0].hash, resumption->last.hash, sizeof(hash)) != 0;
    return sequence < resumption->last.sequence
               ? mos_catalog_set_audit_head(session, resumption->last.sequence, resumption->last.hash, error)
               : MOS_OK;
}

// Where the trail stood when it was last signed for.
static mos_status find_last(mos_trail *trail, struct mos_error *error) {
    size_t count = 0;
    bool found = false;
    MOS_CLEANUP_FREE struct mos_audit_checkpoint *files = read_checkpoint_files(trail, &count);
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_audit_checkpoint stored = {0};
    mos_status status = mos_catalog_read_begin(trail->catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_last_checkpoint(session, &stored, &found, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (found && memcmp(stored.public_key, trail->public_key, sizeof(stored.public_key)) == 0 && mos_audit_signed(&stored)) {
        trail->last = stored;
    }
    if (count > 0 && files[count - 1].sequence > trail->last.sequence) {
        trail->last = files[count - 1];
    }
    return MOS_OK;
}

static mos_status take_up(mos_trail *trail, struct mos_error *error) {
    mos_status status = find_last(trail, error);
    struct resumption resumption = {.last = trail->last};
    if (status == MOS_OK && trail->last.sequence > 0) {
        status = mos_catalog_write(trail->catalog, resume, &resumption, error);
    }
    if (status == MOS_OK && resumption.lost) {
        char sequence[32];
        snprintf(sequence, sizeof(sequence), "%lld", (long long)resumption.last.sequence);
        const struct mos_audit_detail detail = {"signedEntry", sequence};
        mos_log_error("the audit trail lacks what was signed for", MOS_TEXT("entry", sequence));
        mos_trail_note(trail, "Audit.Broken", "", MOS_DATA_LOSS, &detail, 1);
    }
    return status;
}

mos_status mos_trail_create(mos_trail **out, mos_catalog *catalog, const char *key_path, const char *folder, struct mos_error *error) {
    mos_trail *trail = mos_calloc(1, sizeof(*trail));
    trail->catalog = catalog;
    trail->folder = mos_strdup(folder);
    trail->secret = mos_audit_secret_alloc();
    pthread_mutex_init(&trail->mutex, NULL);
    pthread_mutex_init(&trail->stop_mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&trail->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mos_status status = trail->secret ? load_key(trail, key_path, error) : mos_fail(error, MOS_INTERNAL, "libsodium does not start");
    if (status == MOS_OK) {
        status = take_up(trail, error);
    }
    if (status != MOS_OK) {
        trail->catalog = NULL;
        mos_trail_destroy(trail);
        return status;
    }
    *out = trail;
    return MOS_OK;
}

mos_status mos_trail_start(mos_trail *trail, struct mos_error *error) {
    pthread_mutex_lock(&trail->mutex);
    trail->ready = true;
    pthread_mutex_unlock(&trail->mutex);
    int code = pthread_create(&trail->thread, NULL, thread_main, trail);
    trail->runs = code == 0;
    return code == 0 ? MOS_OK : mos_fail_errno(error, code, "starting a thread for the audit trail");
}

void mos_trail_destroy(mos_trail *trail) {
    if (!trail) {
        return;
    }
    pthread_mutex_lock(&trail->stop_mutex);
    trail->stopping = true;
    pthread_cond_signal(&trail->stop);
    pthread_mutex_unlock(&trail->stop_mutex);
    if (trail->runs) {
        pthread_join(trail->thread, NULL);
    }
    if (trail->catalog) {
        mos_trail_checkpoint(trail, NULL);
    }
    mos_audit_secret_free(trail->secret);
    pthread_mutex_destroy(&trail->mutex);
    pthread_mutex_destroy(&trail->stop_mutex);
    pthread_cond_destroy(&trail->stop);
    free(trail->folder);
    free(trail);
}

// ---- Adding ----

bool mos_trail_sign(void *trail, const uint8_t *data, size_t size_bytes, uint8_t out_signature[MOS_AUDIT_SIGNATURE_BYTES],
                    uint8_t out_public_key[MOS_AUDIT_PUBLIC_KEY_BYTES]) {
    // Read only since it was made.
    mos_audit_sign_bytes(data, size_bytes, ((const mos_trail *)trail)->secret, out_signature, out_public_key);
    return true;
}

mos_catalog *mos_trail_catalog(mos_trail *trail) {
    return trail->catalog;
}

static mos_status add(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_add_audit(session, argument, error);
}

void mos_trail_note(mos_trail *trail, const char *action, const char *resource, mos_status result, const struct mos_audit_detail *details,
                    size_t detail_count) {
    struct mos_audit_entry entry = {.actor = "system",
                                    .action = action,
                                    .resource = resource,
                                    .result = mos_status_name(result),
                                    .details = details,
                                    .detail_count = detail_count};
    struct mos_error error;
    if (mos_catalog_write(trail->catalog, add, &entry, &error) != MOS_OK) {
        mos_log_error("an audit entry was lost", MOS_TEXT("action", action), MOS_TEXT("reason", error.message));
    }
}

// ---- Verifying ----

static mos_status verify_checkpoints(mos_trail *trail, struct mos_audit_verifier *verifier, const struct mos_audit_checkpoint *files,
                                     size_t file_count, int64_t until, struct mos_error *error) {
    int64_t after = 0;
    size_t file = 0;
    size_t count = 1;
    mos_status status = MOS_OK;
    while (status == MOS_OK && count > 0) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        MOS_CLEANUP_READ mos_catalog_session *session = NULL;
        struct mos_audit_checkpoint *stored;
        status = mos_catalog_read_begin(trail->catalog, &session, error);
        if (status == MOS_OK) {
            status = mos_catalog_next_checkpoints(session, after, BATCH, arena, &stored, &count, error);
        }
        mos_catalog_read_end(session);
        session = NULL;
        for (size_t i = 0; status == MOS_OK && i < count; i++) {
            // Those beside the backups that come before it, or are of the same entry, count as well.
            for (; status == MOS_OK && file < file_count && files[file].sequence <= stored[i].sequence; file++) {
                status = follow_chain(trail, verifier->sequence, files[file].sequence, verifier, error);
                mos_audit_verify_checkpoint(verifier, &files[file]);
            }
            if (status == MOS_OK) {
                status = follow_chain(trail, verifier->sequence, stored[i].sequence, verifier, error);
                mos_audit_verify_checkpoint(verifier, &stored[i]);
            }
            after = stored[i].sequence;
        }
    }
    for (; status == MOS_OK && file < file_count; file++) {
        status = follow_chain(trail, verifier->sequence, files[file].sequence, verifier, error);
        mos_audit_verify_checkpoint(verifier, &files[file]);
    }
    return status == MOS_OK ? follow_chain(trail, verifier->sequence, until, verifier, error) : status;
}

mos_status mos_trail_verify(mos_trail *trail, struct mos_audit_verifier *out, struct mos_error *error) {
    struct mos_audit_checkpoint head = {0};
    size_t file_count = 0;
    // What cannot be signed for shows below, with its place.
    mos_trail_checkpoint(trail, NULL);
    mos_status status = mos_catalog_write(trail->catalog, head_of, &head, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_FREE struct mos_audit_checkpoint *files = read_checkpoint_files(trail, &file_count);
    mos_audit_verify_begin(out, 0, NULL, trail->public_key);
    status = verify_checkpoints(trail, out, files, file_count, INT64_MAX, error);
    if (status == MOS_OK && !out->first_bad && out->sequence < head.sequence) {
        out->first_bad = out->sequence + 1;
        snprintf(out->message, sizeof(out->message), "entry %lld is missing: the server wrote it, and it is not there",
                 (long long)out->first_bad);
    }
    return status;
}
