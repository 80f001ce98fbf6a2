// What changes a repository other than a backup: deleting one, and mending the index.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "engine/repo/aside.h"
#include "engine/repo/files.h"
#include "engine/repo/index.h"
#include "engine/repo/manifest.h"
#include "engine/repo/reader_internal.h"
#include "engine/repo/repository_internal.h"

void mos_deletion_free(struct mos_deletion *deletion) {
    struct mos_names removed = {deletion->packs_removed, deletion->packs_removed_count};
    struct mos_names kept = {deletion->packs_kept, deletion->packs_kept_count};
    mos_names_free(&removed);
    mos_names_free(&kept);
    *deletion = (struct mos_deletion){0};
}

// The packs of the backup that goes, those too that they were moved to.
struct candidates {
    mos_repository *repository;
    const char *backup_id;
    struct mos_pack_list list;
    // The list's.
    const struct mos_pack *packs;
    bool *needed;
    size_t count;
    int64_t unreadable;
    struct mos_error error;
};

static mos_status follow_all(mos_repository *repository, const mos_reader *reader, struct mos_pack_list *out, struct mos_error *error) {
    mos_status status = MOS_OK;
    for (size_t i = 0; i < reader->named_count && status == MOS_OK; i++) {
        status = mos_pack_list_follow(out, repository->root, &reader->named[i], true, NULL, error);
    }
    return status;
}

static void load_candidates(struct candidates *candidates, struct mos_deletion *out) {
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    if (mos_reader_open(candidates->repository, candidates->backup_id, &reader, &error) != MOS_OK) {
        snprintf(out->notice, sizeof(out->notice), "its packs stay, because they are not known: %.400s", error.message);
        return;
    }
    mos_status status = follow_all(candidates->repository, reader, &candidates->list, &error);
    mos_reader_close(reader);
    if (status != MOS_OK) {
        snprintf(out->notice, sizeof(out->notice), "its packs stay, because they are not known: %.400s", error.message);
        return;
    }
    candidates->packs = candidates->list.packs;
    candidates->count = candidates->list.count;
    candidates->needed = mos_calloc(candidates->count + 1, sizeof(*candidates->needed));
}

static mos_status mark_needed(void *context, const char *backup_id, struct mos_error *error) {
    (void)error;
    struct candidates *candidates = context;
    mos_reader *reader = NULL;
    if (strcmp(backup_id, candidates->backup_id) == 0) {
        return MOS_OK;
    }
    struct mos_pack_list list = {0};
    mos_status status = mos_reader_open(candidates->repository, backup_id, &reader, &candidates->error);
    status = status == MOS_OK ? follow_all(candidates->repository, reader, &list, &candidates->error) : status;
    if (status != MOS_OK) {
        candidates->unreadable++;
    }
    for (size_t i = 0; i < list.count; i++) {
        uint32_t found = mos_pack_list_find(&candidates->list, list.packs[i].id);
        if (found != MOS_NO_PACK) {
            candidates->needed[found] = true;
        }
    }
    mos_pack_list_free(&list);
    mos_reader_close(reader);
    return MOS_OK;
}

mos_status mos_repository_remove_keys(mos_repository *repository, const char *backup_id, int64_t *inout_bytes, struct mos_error *error) {
    char folder[MOS_OBJECT_NAME_BYTES];
    struct mos_names names;
    mos_backup_keys_name(backup_id, folder);
    mos_status status = mos_folder_list(repository->root, folder, &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        char name[MOS_OBJECT_NAME_BYTES + 256];
        int64_t size = 0;
        snprintf(name, sizeof(name), "%s/%s", folder, names.names[i]);
        mos_file_size(repository->root, name, &size, NULL);
        status = mos_file_remove(repository->root, name, error);
        *inout_bytes += status == MOS_OK ? size : 0;
    }
    if (status == MOS_OK) {
        status = mos_folder_remove(repository->root, folder, error);
    }
    status = status == MOS_OK ? mos_folder_sync(repository->root, "keys", error) : status;
    mos_names_free(&names);
    return status;
}

static char *pack_name_copy(const struct mos_pack *pack) {
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(pack->id, name);
    return mos_strdup(name);
}

static void list_kept(const struct candidates *candidates, bool all, struct mos_deletion *out) {
    out->packs_kept = mos_calloc(candidates->count + 1, sizeof(*out->packs_kept));
    for (size_t i = 0; i < candidates->count; i++) {
        if (all || candidates->needed[i]) {
            out->packs_kept[out->packs_kept_count++] = pack_name_copy(&candidates->packs[i]);
        }
    }
}

static void leave_pending(const struct candidates *candidates, struct mos_deletion *out, const char *reason) {
    for (size_t i = 0; i < candidates->count; i++) {
        out->bytes_pending += candidates->needed[i] ? 0 : (int64_t)candidates->packs[i].size_bytes;
    }
    if (out->bytes_pending > 0) {
        snprintf(out->notice, sizeof(out->notice), "packs that no backup needs stay for now: %.400s", reason);
    }
}

// For the next prune: a backup that starts later does not come to rely on them.
static mos_status set_aside(const struct candidates *candidates, struct mos_error *error) {
    mos_status status = MOS_OK;
    for (size_t i = 0; i < candidates->count && status == MOS_OK; i++) {
        if (!candidates->needed[i]) {
            status = mos_aside_add(candidates->repository->root, candidates->packs[i].id, error);
        }
    }
    return status;
}

static mos_status remove_traces(mos_repository *repository, const uint8_t id[MOS_PACK_ID_BYTES], struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    mos_moved_name(id, name);
    mos_status status = mos_file_remove(repository->root, name, error);
    return status == MOS_OK ? mos_aside_remove(repository->root, id, error) : status;
}

// The index goes first: a later backup must never rely on a pack that is about to vanish.
static mos_status remove_packs(mos_repository *repository, const struct candidates *candidates, struct mos_deletion *out,
                               struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *ids = mos_calloc(candidates->count + 1, MOS_PACK_ID_BYTES);
    size_t count = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        if (!candidates->needed[i]) {
            memcpy(ids + count++ * MOS_PACK_ID_BYTES, candidates->packs[i].id, MOS_PACK_ID_BYTES);
        }
    }
    mos_status status = count && repository->keys ? mos_index_remove(repository, ids, count, error) : MOS_OK;
    out->packs_removed = mos_calloc(count + 1, sizeof(*out->packs_removed));
    for (size_t i = 0; i < candidates->count && status == MOS_OK; i++) {
        if (!candidates->needed[i]) {
            char *name = pack_name_copy(&candidates->packs[i]);
            int64_t size = 0;
            // One that was rewritten may be gone already.
            bool there = mos_file_size(repository->root, name, &size, NULL) != MOS_NOT_FOUND;
            status = mos_file_remove(repository->root, name, error);
            status = status == MOS_OK ? remove_traces(repository, candidates->packs[i].id, error) : status;
            if (status == MOS_OK && there) {
                out->packs_removed[out->packs_removed_count++] = name;
                out->bytes_freed += size;
            } else {
                free(name);
            }
        }
    }
    return status;
}

static mos_status free_packs(mos_repository *repository, struct candidates *candidates, struct mos_deletion *out, struct mos_error *error) {
    // Under the lock no backup can begin to refer to a pack that is found to be free.
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_lock_take(repository->root, MOS_LOCK_RUNNING, true, false, &lock, error);
    bool busy = status == MOS_UNAVAILABLE;
    if (status != MOS_OK && !busy) {
        return status;
    }
    status = mos_repository_each_backup(repository, mark_needed, candidates, error);
    if (status != MOS_OK) {
        return status;
    }
    if (candidates->unreadable > 0) {
        char reason[512];
        snprintf(reason, sizeof(reason), "another backup cannot be read: %.400s", candidates->error.message);
        list_kept(candidates, true, out);
        leave_pending(candidates, out, reason);
        return MOS_OK;
    }
    list_kept(candidates, false, out);
    if (busy) {
        leave_pending(candidates, out, "a backup is running");
        return set_aside(candidates, error);
    }
    return remove_packs(repository, candidates, out, error);
}

mos_status mos_repository_delete(mos_repository *repository, const char *backup_id, struct mos_deletion *out, struct mos_error *error) {
    *out = (struct mos_deletion){0};
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t manifest_bytes = 0;
    struct mos_names keys = {0};
    mos_status status = mos_backup_id_check(backup_id, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_manifest_name(backup_id, name);
    status = mos_file_size(repository->root, name, &manifest_bytes, error);
    bool committed = status == MOS_OK;
    if (status == MOS_NOT_FOUND) {
        char folder[MOS_OBJECT_NAME_BYTES];
        mos_backup_keys_name(backup_id, folder);
        status = mos_folder_list(repository->root, folder, &keys, error);
        if (status == MOS_OK && keys.count == 0) {
            status = mos_fail(error, MOS_NOT_FOUND, "the repository has no backup %s", backup_id);
        }
        mos_names_free(&keys);
    }
    if (status != MOS_OK) {
        return status;
    }
    struct candidates candidates = {.repository = repository, .backup_id = backup_id};
    if (committed) {
        load_candidates(&candidates, out);
        status = mos_file_remove(repository->root, name, error);
        status = status == MOS_OK ? mos_folder_sync(repository->root, "backups", error) : status;
        out->bytes_freed += status == MOS_OK ? manifest_bytes : 0;
    }
    if (status == MOS_OK) {
        status = mos_repository_remove_keys(repository, backup_id, &out->bytes_freed, error);
    }
    if (status == MOS_OK && candidates.count > 0) {
        status = free_packs(repository, &candidates, out, error);
    }
    mos_pack_list_free(&candidates.list);
    free(candidates.needed);
    return status;
}

struct rebuild {
    mos_repository *repository;
    mos_index *index;
    int64_t unreadable;
};

static mos_status index_backup(void *context, const char *backup_id, struct mos_error *error) {
    struct rebuild *rebuild = context;
    mos_reader *reader = NULL;
    struct mos_error cause = {0};
    if (mos_reader_open(rebuild->repository, backup_id, &reader, &cause) != MOS_OK) {
        mos_log_warning("backup left out of the index", MOS_TEXT("backup", backup_id), MOS_TEXT("error", cause.message));
        rebuild->unreadable++;
        return MOS_OK;
    }
    mos_status status = MOS_OK;
    for (size_t i = 0; i < reader->pack_count && status == MOS_OK; i++) {
        const struct mos_pack *pack = &reader->packs[i];
        // A pack whose footer is lost holds nothing that a later backup could rely on.
        if (!mos_index_has_pack(rebuild->index, pack->id) && mos_reader_load_pack(reader, i, NULL) == MOS_OK) {
            status = mos_index_add(rebuild->repository, pack, reader->frames[i], error);
        }
    }
    mos_reader_close(reader);
    return status;
}

mos_status mos_repository_rebuild_index(mos_repository *repository, int64_t *out_unreadable, struct mos_error *error) {
    struct rebuild rebuild = {.repository = repository};
    bool missing;
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_repository_writable(repository, error);
    // So that nobody tidies tmp/ under us.
    status = status == MOS_OK ? mos_lock_take(repository->root, MOS_LOCK_RUNNING, false, true, &lock, error) : status;
    status = status == MOS_OK ? mos_index_open(repository, &rebuild.index, &missing, error) : status;
    if (status == MOS_OK) {
        status = mos_repository_each_backup(repository, index_backup, &rebuild, error);
        mos_index_close(rebuild.index);
    }
    if (status == MOS_OK) {
        // Merges the new entries.
        status = mos_index_open(repository, &rebuild.index, &missing, error);
    }
    if (status == MOS_OK) {
        mos_index_close(rebuild.index);
        *out_unreadable = rebuild.unreadable;
    }
    return status;
}

mos_status mos_repository_repair_index(mos_repository *repository, int64_t *out_unreadable, struct mos_error *error) {
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_repository_writable(repository, error);
    status = status == MOS_OK ? mos_lock_take(repository->root, MOS_LOCK_INDEX, true, true, &lock, error) : status;
    // Entries of single packs stay: a backup that runs wrote them, and each is sealed.
    status = status == MOS_OK ? mos_file_remove(repository->root, "index/main", error) : status;
    mos_close_cleanup(&lock);
    lock = -1;
    return status == MOS_OK ? mos_repository_rebuild_index(repository, out_unreadable, error) : status;
}

mos_status mos_repository_distrust_packs(mos_repository *repository, const uint8_t *pack_ids, size_t count, struct mos_error *error) {
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_repository_writable(repository, error);
    status = status == MOS_OK ? mos_lock_take(repository->root, MOS_LOCK_RUNNING, false, true, &lock, error) : status;
    return status == MOS_OK ? mos_index_remove(repository, pack_ids, count, error) : status;
}
