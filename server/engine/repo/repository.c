#include "engine/repo/repository.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "engine/repo/bytes.h"
#include "engine/repo/files.h"
#include "engine/repo/manifest.h"
#include "engine/repo/repository_internal.h"

#define OBJECT_BYTES 66
#define OBJECT "repository"
#define OBJECT_COPY "repository.copy"
#define SECRET_FOLDER "keys/repository"

static const char *const folders[] = {"aside", "backups", "index", "keys", "lock", "moved", "packs", "tmp"};
#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))

void mos_chunk_id_of(const struct mos_repository_keys *keys, const void *data, size_t size_bytes, struct mos_chunk_id *out) {
    mos_hmac(&keys->chunk_id, data, size_bytes, out->bytes);
}

mos_status mos_backup_id_check(const char *backup_id, struct mos_error *error) {
    return mos_id_valid(backup_id) ? MOS_OK
                                   : mos_fail(error, MOS_NOT_FOUND, "no backup can have the id %.64s: it is not a UUID", backup_id);
}

static struct mos_key_binding secret_binding(const mos_repository *repository) {
    struct mos_key_binding binding = {.repository_hash = repository->object_hash};
    memcpy(binding.repository_id, repository->id, sizeof(binding.repository_id));
    return binding;
}

struct mos_key_binding mos_secret_key_binding(const mos_repository *repository) {
    return secret_binding(repository);
}

struct mos_key_binding mos_backup_key_binding(const mos_repository *repository, const char *backup_id) {
    struct mos_key_binding binding = {0};
    memcpy(binding.repository_id, repository->id, sizeof(binding.repository_id));
    mos_id_parse(backup_id, binding.backup_id);
    return binding;
}

mos_status mos_backup_key_load(const mos_repository *repository, const char *backup_id, struct mos_key *out_key, uint32_t *out_version,
                               struct mos_error *error) {
    if (!repository->keyring) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "a keyring is needed to open backup %s", backup_id);
    }
    char folder[MOS_OBJECT_NAME_BYTES];
    snprintf(folder, sizeof(folder), "keys/%s", backup_id);
    struct mos_key_binding binding = mos_backup_key_binding(repository, backup_id);
    mos_status status = mos_key_load(repository->root, folder, repository->keyring, &binding, out_key, out_version, error);
    // The backup is there, its key is not: that is damage.
    return status == MOS_NOT_FOUND ? mos_fail(error, MOS_CORRUPT, "%s holds no key", folder) : status;
}

static void derive_keys(mos_repository *repository, const struct mos_key *secret) {
    struct mos_repository_keys *keys = mos_secret_alloc(sizeof(*keys));
    uint8_t gear[8 * MOS_GEAR_ENTRIES];
    uint8_t tree_cut[8];
    mos_derive(secret, repository->id, 16, "mosaajii 1 chunk id", keys->chunk_id.bytes, MOS_KEY_BYTES);
    mos_derive(secret, repository->id, 16, "mosaajii 1 index", keys->index.bytes, MOS_KEY_BYTES);
    mos_derive(secret, repository->id, 16, "mosaajii 1 index mac", keys->index_mac.bytes, MOS_KEY_BYTES);
    mos_derive(secret, repository->id, 16, "mosaajii 1 catalog", keys->catalog.bytes, MOS_KEY_BYTES);
    mos_derive(secret, repository->id, 16, "mosaajii 1 escrow", keys->escrow.bytes, MOS_KEY_BYTES);
    mos_derive(secret, repository->id, 16, "mosaajii 1 gear", gear, sizeof(gear));
    mos_derive(secret, repository->id, 16, "mosaajii 1 tree cut", tree_cut, sizeof(tree_cut));
    for (size_t i = 0; i < MOS_GEAR_ENTRIES; i++) {
        keys->gear[i] = mos_get_u64(gear + 8 * i);
    }
    keys->tree_cut = mos_get_u64(tree_cut);
    mos_wipe(gear, sizeof(gear));
    mos_wipe(tree_cut, sizeof(tree_cut));
    repository->keys = keys;
}

static void encode_object(const mos_repository *repository, uint8_t out[OBJECT_BYTES]) {
    memcpy(out, "MREP", 4);
    mos_put_u16(out + 4, MOS_REPOSITORY_FORMAT);
    memcpy(out + 6, repository->id, 16);
    mos_put_u32(out + 22, repository->limits.min_bytes);
    mos_put_u32(out + 26, repository->limits.average_bytes);
    mos_put_u32(out + 30, repository->limits.max_bytes);
    mos_sha256(out, OBJECT_BYTES - MOS_HASH_BYTES, out + OBJECT_BYTES - MOS_HASH_BYTES);
}

static mos_status decode_object(mos_repository *repository, const char *name, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    mos_status status = mos_file_read(repository->root, name, OBJECT_BYTES, &object, error);
    if (status != MOS_OK) {
        return status;
    }
    if (object.size_bytes != OBJECT_BYTES || memcmp(object.data, "MREP", 4) != 0 ||
        !mos_object_digest_fits(object.data, object.size_bytes)) {
        return mos_fail(error, MOS_CORRUPT, "the object %s is damaged", name);
    }
    if (mos_get_u16(object.data + 4) != MOS_REPOSITORY_FORMAT) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the repository has format version %u, which this program does not know",
                        mos_get_u16(object.data + 4));
    }
    memcpy(repository->id, object.data + 6, 16);
    repository->limits = (struct mos_chunk_limits){
        .min_bytes = mos_get_u32(object.data + 22),
        .average_bytes = mos_get_u32(object.data + 26),
        .max_bytes = mos_get_u32(object.data + 30),
    };
    mos_sha256(object.data, object.size_bytes, repository->object_hash);
    return mos_chunk_limits_valid(&repository->limits) ? MOS_OK
                                                       : mos_fail(error, MOS_CORRUPT, "the object %s holds impossible chunk sizes", name);
}

static mos_status open_folder(const char *path, const mos_keyring *keyring, mos_repository **out, struct mos_error *error) {
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return mos_fail_errno(error, errno, "the repository %s cannot be opened", path);
    }
    mos_repository *repository = mos_calloc(1, sizeof(*repository));
    repository->root = root;
    repository->path = mos_strdup(path);
    repository->keyring = keyring;
    *out = repository;
    return MOS_OK;
}

void mos_repository_close(mos_repository *repository) {
    if (repository) {
        mos_secret_free(repository->keys, sizeof(*repository->keys));
        close(repository->root);
        free(repository->path);
        free(repository);
    }
}

// Only what an interrupted creation may have left is allowed in the folder.
static mos_status check_empty(const mos_repository *repository, struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(repository->root, ".", &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        const char *name = names.names[i];
        bool known = false;
        for (size_t f = 0; f < FOLDER_COUNT; f++) {
            known = known || strcmp(name, folders[f]) == 0;
        }
        if (strcmp(name, OBJECT) == 0 || strcmp(name, OBJECT_COPY) == 0) {
            status = mos_fail(error, MOS_ALREADY_EXISTS, "there is a repository in %s already", repository->path);
        } else if (!known) {
            status = mos_fail(error, MOS_FAILED_PRECONDITION, "the folder %s is not empty", repository->path);
        }
    }
    mos_names_free(&names);
    const char *const data[] = {"backups", "packs"};
    for (size_t i = 0; i < 2 && status == MOS_OK; i++) {
        status = mos_folder_list(repository->root, data[i], &names, error);
        if (status == MOS_OK && names.count > 0) {
            status = mos_fail(error, MOS_FAILED_PRECONDITION, "the folder %s holds a repository whose object '%s' is missing",
                              repository->path, OBJECT);
        }
        mos_names_free(&names);
    }
    return status;
}

static mos_status write_objects(mos_repository *repository, struct mos_error *error) {
    uint8_t object[OBJECT_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer wrapped = {0};
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_KEY struct mos_key secret;
    mos_random(repository->id, sizeof(repository->id));
    mos_random(secret.bytes, sizeof(secret.bytes));
    encode_object(repository, object);
    mos_sha256(object, sizeof(object), repository->object_hash);
    uint32_t version = mos_keyring_active_version(repository->keyring);
    struct mos_key_binding binding = secret_binding(repository);
    mos_status status = mos_key_wrap(repository->keyring, version, &binding, &secret, &wrapped, error);
    if (status != MOS_OK) {
        return status;
    }
    derive_keys(repository, &secret);
    snprintf(name, sizeof(name), SECRET_FOLDER "/%u", version);
    status = mos_file_write(repository->root, name, wrapped.data, wrapped.size_bytes, error);
    if (status == MOS_OK) {
        status = mos_file_write(repository->root, OBJECT, object, sizeof(object), error);
    }
    return status == MOS_OK ? mos_file_write(repository->root, OBJECT_COPY, object, sizeof(object), error) : status;
}

mos_status mos_repository_create(const char *path, const mos_keyring *keyring, mos_repository **out, struct mos_error *error) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return mos_fail_errno(error, errno, "the repository %s cannot be made", path);
    }
    mos_repository *repository = NULL;
    mos_status status = open_folder(path, keyring, &repository, error);
    if (status != MOS_OK) {
        return status;
    }
    repository->limits = (struct mos_chunk_limits){MOS_CHUNK_MIN_BYTES, MOS_CHUNK_AVERAGE_BYTES, MOS_CHUNK_MAX_BYTES};
    status = check_empty(repository, error);
    for (size_t i = 0; i < FOLDER_COUNT && status == MOS_OK; i++) {
        status = mos_folder_make(repository->root, folders[i], error);
    }
    int lock = -1;
    if (status == MOS_OK) {
        status = mos_lock_take(repository->root, MOS_LOCK_RUNNING, true, true, &lock, error);
    }
    if (status == MOS_OK) {
        // Again, now that nobody else can be making one here.
        status = check_empty(repository, error);
    }
    status = status == MOS_OK ? write_objects(repository, error) : status;
    mos_close_cleanup(&lock);
    if (status != MOS_OK) {
        mos_repository_close(repository);
        return status;
    }
    *out = repository;
    return MOS_OK;
}

// Old backups stay readable when the secret is lost; the wrong keyring is refused at once.
static mos_status load_secret(mos_repository *repository, struct mos_error *error) {
    MOS_CLEANUP_KEY struct mos_key secret;
    uint32_t version;
    struct mos_key_binding binding = secret_binding(repository);
    mos_status status =
        mos_key_load(repository->root, SECRET_FOLDER, repository->keyring, &binding, &secret, &version, &repository->keys_error);
    if (status == MOS_OK) {
        derive_keys(repository, &secret);
    } else if (status != MOS_CORRUPT && status != MOS_NOT_FOUND) {
        // The wrong keyring, or a KMS that does not answer: nothing is lost, and nothing can be done now.
        if (error) {
            *error = repository->keys_error;
        }
        return status;
    } else {
        mos_log_warning("repository secret cannot be opened", MOS_TEXT("repository", repository->path),
                        MOS_TEXT("error", repository->keys_error.message));
    }
    return MOS_OK;
}

mos_status mos_repository_open(const char *path, const mos_keyring *keyring, mos_repository **out, struct mos_error *error) {
    mos_repository *repository = NULL;
    mos_status status = open_folder(path, keyring, &repository, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_error damage = {0};
    status = decode_object(repository, OBJECT, &damage);
    if ((status == MOS_NOT_FOUND || status == MOS_CORRUPT) && decode_object(repository, OBJECT_COPY, NULL) == MOS_OK) {
        mos_log_warning("repository object is damaged, its copy is used", MOS_TEXT("repository", path), MOS_TEXT("error", damage.message));
        status = MOS_OK;
    }
    if (status == MOS_NOT_FOUND) {
        mos_fail(&damage, MOS_NOT_FOUND, "there is no repository in %s", path);
    }
    if (status != MOS_OK && error) {
        *error = damage;
    }
    if (status == MOS_OK && keyring) {
        status = load_secret(repository, error);
    } else if (status == MOS_OK) {
        mos_fail(&repository->keys_error, MOS_FAILED_PRECONDITION, "the repository %s was opened without a keyring", path);
    }
    if (status != MOS_OK) {
        mos_repository_close(repository);
        return status;
    }
    *out = repository;
    return MOS_OK;
}

static void complete(const mos_repository *repository) {
    const char *const names[] = {OBJECT, OBJECT_COPY};
    uint8_t object[OBJECT_BYTES];
    int64_t size;
    encode_object(repository, object);
    for (size_t i = 0; i < 2; i++) {
        struct mos_error error = {0};
        if (mos_file_size(repository->root, names[i], &size, NULL) == MOS_NOT_FOUND &&
            mos_file_write(repository->root, names[i], object, sizeof(object), &error) != MOS_OK) {
            mos_log_warning("repository object could not be completed", MOS_TEXT("error", error.message));
        }
    }
}

void mos_repository_tidy(const mos_repository *repository, int64_t *inout_bytes) {
    struct mos_names names;
    if (mos_folder_list(repository->root, "tmp", &names, NULL) == MOS_OK) {
        for (size_t i = 0; i < names.count; i++) {
            char name[300];
            int64_t size = 0;
            snprintf(name, sizeof(name), "tmp/%s", names.names[i]);
            mos_file_size(repository->root, name, &size, NULL);
            *inout_bytes += mos_file_remove(repository->root, name, NULL) == MOS_OK ? size : 0;
        }
        mos_names_free(&names);
    }
    complete(repository);
}

const char *mos_repository_path(const mos_repository *repository) {
    return repository->path;
}

const uint8_t *mos_repository_id(const mos_repository *repository) {
    return repository->id;
}

const struct mos_chunk_limits *mos_repository_chunk_limits(const mos_repository *repository) {
    return &repository->limits;
}

const uint64_t *mos_repository_gear(const mos_repository *repository) {
    return repository->keys ? repository->keys->gear : NULL;
}

const mos_keyring *mos_repository_keyring(const mos_repository *repository) {
    return repository->keyring;
}

mos_status mos_repository_writable(const mos_repository *repository, struct mos_error *error) {
    if (!repository->keys && error) {
        *error = repository->keys_error;
    }
    return repository->keys ? MOS_OK : repository->keys_error.status;
}

mos_status mos_repository_each_backup(const mos_repository *repository,
                                      mos_status (*visit)(void *context, const char *backup_id, struct mos_error *error), void *context,
                                      struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(repository->root, "backups", &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        if (mos_id_valid(names.names[i])) {
            status = visit(context, names.names[i], error);
        }
    }
    mos_names_free(&names);
    return status;
}

mos_status mos_repository_has_backup(const mos_repository *repository, const char *backup_id, bool *out, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size;
    mos_status status = mos_backup_id_check(backup_id, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_manifest_name(backup_id, name);
    status = mos_file_size(repository->root, name, &size, error);
    *out = status != MOS_NOT_FOUND;
    return status == MOS_NOT_FOUND || status == MOS_CORRUPT ? MOS_OK : status;
}
