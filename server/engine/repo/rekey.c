#include "engine/repo/rekey.h"

#include <stdio.h>
#include <string.h>

#include "engine/repo/files.h"
#include "engine/repo/key_object.h"
#include "engine/repo/manifest.h"
#include "engine/repo/repository_internal.h"

static void folder_of(const char *owner, char out_name[MOS_OBJECT_NAME_BYTES]) {
    snprintf(out_name, MOS_OBJECT_NAME_BYTES, "keys/%s", owner);
}

static bool is_secret(const char *owner) {
    return strcmp(owner, "repository") == 0;
}

static struct mos_key_binding binding_of(const mos_repository *repository, const char *owner) {
    return is_secret(owner) ? mos_secret_key_binding(repository) : mos_backup_key_binding(repository, owner);
}

mos_status mos_repository_lock_keys(const mos_repository *repository, int *out_descriptor, struct mos_error *error) {
    mos_status status = mos_lock_take(repository->root, MOS_LOCK_KEYS, true, false, out_descriptor, error);
    return status == MOS_UNAVAILABLE
               ? mos_fail(error, MOS_UNAVAILABLE, "the keys of %s are being changed by another process", repository->path)
               : status;
}

// The object of this version is there, and opens with this keyring. `out_foreign` (may be NULL): it is there and whole, and does not.
static mos_status has_version(mos_repository *repository, const mos_keyring *keyring, const char *owner, uint32_t version, bool *out,
                              bool *out_foreign, struct mos_error *error) {
    char folder[MOS_OBJECT_NAME_BYTES];
    char name[2 * MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    MOS_CLEANUP_KEY struct mos_key key;
    struct mos_key_binding binding = binding_of(repository, owner);
    folder_of(owner, folder);
    snprintf(name, sizeof(name), "%s/%u", folder, version);
    *out = false;
    mos_status status = mos_file_read(repository->root, name, MOS_KEY_OBJECT_LIMIT_BYTES, &object, error);
    if (status == MOS_OK) {
        status = mos_key_unwrap(keyring, version, &binding, object.data, object.size_bytes, &key, error);
        if (out_foreign) {
            *out_foreign = status == MOS_CORRUPT && mos_object_digest_fits(object.data, object.size_bytes);
        }
    }
    *out = status == MOS_OK;
    return status == MOS_NOT_FOUND || status == MOS_CORRUPT ? MOS_OK : status;
}

static mos_status remove_folder(mos_repository *repository, const char *folder, struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(repository->root, folder, &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        char name[MOS_OBJECT_NAME_BYTES + 256];
        snprintf(name, sizeof(name), "%s/%s", folder, names.names[i]);
        status = mos_file_remove(repository->root, name, error);
    }
    mos_names_free(&names);
    return status == MOS_OK ? mos_folder_remove(repository->root, folder, error) : status;
}

// A backup that was deleted while its key was wrapped must not get its key back. The deletion removes the manifest first, so either it is
// seen to be gone here, or the deletion sees the new object.
static mos_status take_back_if_deleted(mos_repository *repository, const char *owner, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    char folder[MOS_OBJECT_NAME_BYTES];
    int64_t size;
    if (is_secret(owner)) {
        return MOS_OK;
    }
    mos_manifest_name(owner, name);
    mos_status status = mos_file_size(repository->root, name, &size, error);
    if (status != MOS_NOT_FOUND) {
        return status;
    }
    folder_of(owner, folder);
    status = remove_folder(repository, folder, error);
    return status == MOS_OK ? mos_folder_sync(repository->root, "keys", error) : status;
}

static mos_status wrap_one(mos_repository *repository, const char *owner, uint32_t version, struct mos_error *error) {
    char folder[MOS_OBJECT_NAME_BYTES];
    char name[2 * MOS_OBJECT_NAME_BYTES];
    uint32_t old_version = 0;
    bool good = false;
    MOS_CLEANUP_KEY struct mos_key key;
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    struct mos_key_binding binding = binding_of(repository, owner);
    folder_of(owner, folder);
    snprintf(name, sizeof(name), "%s/%u", folder, version);
    mos_status status = mos_key_load(repository->root, folder, repository->keyring, &binding, &key, &old_version, error);
    if (status == MOS_OK) {
        status = mos_key_wrap(repository->keyring, version, &binding, &key, &object, error);
    }
    if (status == MOS_OK) {
        status = mos_file_write(repository->root, name, object.data, object.size_bytes, error);
    }
    if (status == MOS_OK) {
        status = has_version(repository, repository->keyring, owner, version, &good, NULL, error);
    }
    if (status == MOS_OK && !good) {
        status = mos_fail(error, MOS_CORRUPT, "%s does not open right after it was written", name);
    }
    return status == MOS_OK ? take_back_if_deleted(repository, owner, error) : status;
}

// Failures that concern one backup alone; the others stop the whole.
static bool concerns_one(mos_status status) {
    return status == MOS_CORRUPT || status == MOS_NOT_FOUND || status == MOS_FAILED_PRECONDITION;
}

static mos_status rewrap_owner(mos_repository *repository, const char *owner, uint32_t version, const struct mos_rewrap_progress *progress,
                               bool *out_failed, struct mos_error *error) {
    struct mos_error cause = {0};
    bool has = false;
    bool foreign = false;
    mos_status status = has_version(repository, repository->keyring, owner, version, &has, &foreign, &cause);
    if (status == MOS_OK && foreign) {
        status = mos_fail(&cause, MOS_CORRUPT, "keys/%s/%u was made with another key than version %u of this keyring, and stays as it is",
                          owner, version, version);
    } else if (status == MOS_OK && !has) {
        status = wrap_one(repository, owner, version, &cause);
    }
    if (status == MOS_OK) {
        progress->done(progress->context, owner, !has);
        return MOS_OK;
    }
    if (concerns_one(status)) {
        char folder[MOS_OBJECT_NAME_BYTES];
        struct mos_names names;
        folder_of(owner, folder);
        // Deleted meanwhile: there is nothing to wrap.
        bool gone = mos_folder_list(repository->root, folder, &names, NULL) == MOS_OK && names.count == 0;
        mos_names_free(&names);
        if (!gone) {
            *out_failed = true;
            progress->failed(progress->context, owner, cause.message);
        }
        return MOS_OK;
    }
    if (error) {
        *error = cause;
    }
    return status;
}

// Objects of other versions, where the one of the active version opens with the keyring as it stands on disk.
static mos_status remove_others(mos_repository *repository, const mos_keyring *on_disk, const char *owner, uint32_t version,
                                struct mos_error *error) {
    char folder[MOS_OBJECT_NAME_BYTES];
    struct mos_names names;
    bool has = false;
    bool removed = false;
    folder_of(owner, folder);
    mos_status status = mos_folder_list(repository->root, folder, &names, error);
    if (status == MOS_OK && names.count > 1) {
        status = has_version(repository, on_disk, owner, version, &has, NULL, error);
    }
    for (size_t i = 0; has && i < names.count && status == MOS_OK; i++) {
        char name[MOS_OBJECT_NAME_BYTES + 256];
        if (mos_key_version_parse(names.names[i]) != version) {
            snprintf(name, sizeof(name), "%s/%s", folder, names.names[i]);
            status = mos_file_remove(repository->root, name, error);
            removed = true;
        }
    }
    if (status == MOS_OK && removed) {
        status = mos_folder_sync(repository->root, folder, error);
        // The folder may be gone with its backup.
        status = status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    mos_names_free(&names);
    return status;
}

static mos_status list_owners(mos_repository *repository, struct mos_names *out, struct mos_error *error) {
    return mos_folder_list(repository->root, "keys", out, error);
}

static bool is_owner(const char *name) {
    return is_secret(name) || mos_id_valid(name);
}

mos_status mos_repository_rewrap(mos_repository *repository, const struct mos_rewrap_progress *progress, struct mos_error *error) {
    uint32_t version = mos_keyring_active_version(repository->keyring);
    struct mos_names owners = {0};
    mos_keyring *on_disk = NULL;
    bool failed = false;
    mos_status status = list_owners(repository, &owners, error);
    for (size_t i = 0; i < owners.count && status == MOS_OK; i++) {
        if (is_owner(owners.names[i])) {
            status = progress->check(progress->context, error);
            status = status == MOS_OK ? rewrap_owner(repository, owners.names[i], version, progress, &failed, error) : status;
        }
    }
    // The only copy of what opens the new objects is that file: what it holds is what the old ones are given up for.
    status = status == MOS_OK ? mos_keyring_reread(repository->keyring, version, &on_disk, error) : status;
    // Only now, so that whoever read the keyring before the rotation finds what it knows as long as the wrapping takes.
    for (size_t i = 0; i < owners.count && status == MOS_OK; i++) {
        if (is_owner(owners.names[i])) {
            status = progress->check(progress->context, error);
            status = status == MOS_OK ? remove_others(repository, on_disk, owners.names[i], version, error) : status;
        }
    }
    mos_keyring_free(on_disk);
    mos_names_free(&owners);
    return status == MOS_OK && failed ? mos_fail(error, MOS_DATA_LOSS, "some keys do not open and could not be rewrapped") : status;
}

// ---- Looking at them ----

static uint32_t newest_version(mos_repository *repository, const char *folder, uint32_t most) {
    struct mos_names names;
    uint32_t newest = 0;
    if (mos_folder_list(repository->root, folder, &names, NULL) == MOS_OK) {
        for (size_t i = 0; i < names.count; i++) {
            uint32_t version = mos_key_version_parse(names.names[i]);
            newest = version > newest && version <= most ? version : newest;
        }
    }
    mos_names_free(&names);
    return newest;
}

mos_status mos_repository_highest_key(mos_repository *repository, uint32_t most, uint32_t *out, struct mos_error *error) {
    struct mos_names owners = {0};
    mos_status status = list_owners(repository, &owners, error);
    *out = 0;
    for (size_t i = 0; i < owners.count && status == MOS_OK; i++) {
        if (is_owner(owners.names[i])) {
            char folder[MOS_OBJECT_NAME_BYTES];
            folder_of(owners.names[i], folder);
            uint32_t newest = newest_version(repository, folder, most);
            *out = newest > *out ? newest : *out;
        }
    }
    mos_names_free(&owners);
    return status;
}

mos_status mos_repository_each_key(mos_repository *repository, bool unwrap,
                                   mos_status (*visit)(void *context, const char *owner, uint32_t version, const char *failure,
                                                       struct mos_error *error),
                                   void *context, struct mos_error *error) {
    struct mos_names owners = {0};
    mos_status status = list_owners(repository, &owners, error);
    for (size_t i = 0; i < owners.count && status == MOS_OK; i++) {
        const char *owner = owners.names[i];
        char folder[MOS_OBJECT_NAME_BYTES];
        char manifest[MOS_OBJECT_NAME_BYTES];
        int64_t size;
        if (!is_owner(owner)) {
            continue;
        }
        folder_of(owner, folder);
        mos_manifest_name(owner, manifest);
        // What a deletion that was interrupted left, or a backup that is just being committed.
        if (!is_secret(owner) && mos_file_size(repository->root, manifest, &size, NULL) == MOS_NOT_FOUND) {
            continue;
        }
        MOS_CLEANUP_KEY struct mos_key key;
        struct mos_error cause = {0};
        struct mos_key_binding binding = binding_of(repository, owner);
        uint32_t version = newest_version(repository, folder, UINT32_MAX);
        mos_status opened = unwrap ? mos_key_load(repository->root, folder, repository->keyring, &binding, &key, &version, &cause) : MOS_OK;
        if (opened == MOS_UNAVAILABLE || opened == MOS_RESOURCE_EXHAUSTED) {
            // Says nothing of this key, and the next ones would have to wait for the same.
            status = mos_fail(error, opened, "%s", cause.message);
        } else {
            status = visit(context, owner, version, opened == MOS_OK ? NULL : cause.message, error);
        }
    }
    mos_names_free(&owners);
    return status;
}

struct need {
    mos_repository *repository;
    uint32_t version;
    int64_t count;
};

// Needed by an owner that has no object of another version that opens.
static mos_status count_need(void *context, const char *owner, uint32_t version, const char *failure, struct mos_error *error) {
    struct need *need = context;
    char folder[MOS_OBJECT_NAME_BYTES];
    struct mos_names names;
    bool has = false;
    bool other = false;
    (void)version;
    (void)failure;
    folder_of(owner, folder);
    mos_status status = mos_folder_list(need->repository->root, folder, &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        uint32_t found = mos_key_version_parse(names.names[i]);
        bool opens = false;
        has = has || found == need->version;
        if (found && found != need->version) {
            struct mos_error ignored;
            opens = has_version(need->repository, need->repository->keyring, owner, found, &opens, NULL, &ignored) == MOS_OK && opens;
        }
        other = other || opens;
    }
    mos_names_free(&names);
    need->count += has && !other;
    return status;
}

mos_status mos_repository_retire_key(mos_repository *repository, mos_keyring *keyring, const char *keyring_path, uint32_t version,
                                     struct mos_error *error) {
    MOS_CLEANUP_FD int running_lock = -1;
    struct need need = {.repository = repository, .version = version};
    // A backup that runs may be about to write a key under this version; one that read the keyring and does not run yet looks again.
    mos_status status = mos_lock_take(repository->root, MOS_LOCK_RUNNING, true, false, &running_lock, error);
    if (status == MOS_UNAVAILABLE) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "a backup is running; retire the version when it has ended");
    }
    if (status == MOS_OK) {
        status = mos_repository_each_key(repository, false, count_need, &need, error);
    }
    if (status == MOS_OK && need.count > 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "%lld %s version %u of the key", (long long)need.count,
                        need.count == 1 ? "backup still needs" : "backups still need", version);
    }
    return status == MOS_OK ? mos_keyring_retire(keyring, keyring_path, version, error) : status;
}

// ---- Escrow ----

bool mos_repository_escrow_origin(const mos_repository *repository, const mos_keyring *copy, uint8_t out_origin[MOS_HASH_BYTES]) {
    uint8_t digest[MOS_HASH_BYTES];
    if (!repository->keys) {
        return false;
    }
    mos_keyring_digest(copy, digest);
    mos_hmac(&repository->keys->escrow, digest, sizeof(digest), out_origin);
    return true;
}

// One of the wrapped keys opens with the keyring alone.
static bool opens_any(mos_repository *repository, const mos_keyring *keyring) {
    struct mos_names owners = {0};
    bool opens = false;
    if (list_owners(repository, &owners, NULL) == MOS_OK) {
        for (size_t i = 0; i < owners.count && !opens; i++) {
            MOS_CLEANUP_KEY struct mos_key key;
            uint32_t version;
            char folder[MOS_OBJECT_NAME_BYTES];
            struct mos_key_binding binding = binding_of(repository, owners.names[i]);
            folder_of(owners.names[i], folder);
            opens = is_owner(owners.names[i]) && mos_key_load(repository->root, folder, keyring, &binding, &key, &version, NULL) == MOS_OK;
        }
    }
    mos_names_free(&owners);
    return opens;
}

mos_status mos_repository_check_escrow(mos_repository *repository, mos_keyring *copy, struct mos_error *error) {
    uint8_t origin[MOS_HASH_BYTES];
    const uint8_t *said = mos_keyring_origin(copy);
    if (said && mos_repository_escrow_origin(repository, copy, origin)) {
        return mos_secret_equal(said, origin, sizeof(origin))
                   ? MOS_OK
                   : mos_fail(error, MOS_INVALID_ARGUMENT, "the copy holds the keys of another installation");
    }
    mos_keyring_set_service(copy, mos_keyring_service(repository->keyring));
    return mos_keyring_shares(repository->keyring, copy) || opens_any(repository, copy)
               ? MOS_OK
               : mos_fail(error, MOS_INVALID_ARGUMENT,
                          "the copy says nothing of where it comes from, shares no key with this keyring, and opens nothing here: it is "
                          "taken for the keys of another installation");
}
