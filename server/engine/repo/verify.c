#include "engine/repo/verify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/files.h"
#include "engine/repo/pack.h"
#include "engine/repo/reader_internal.h"

#define READ_BYTES (1u << 20)

enum fault { FAULT_SIZE = 1, FAULT_CHECKSUM = 2, FAULT_ENCRYPTION = 4 };

struct mos_verify {
    mos_repository *repository;
    mos_reader *reader;
    char backup_id[MOS_ID_TEXT_BYTES];
    void (*report)(void *context, const char *message);
    void *context;
    // For each pack, for each frame: 1 when it opened and has its id. NULL until the pack was checked, and where its footer is lost.
    _Atomic(uint8_t *) *good;
    // Guards what follows, and the order of reports.
    pthread_mutex_t mutex;
    unsigned faults;
    int64_t error_count;
    int64_t objects;
    int64_t bytes;
    uint8_t *damaged_packs;
    size_t damaged_count;
};

static void fault(mos_verify *verify, unsigned kinds, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(mos_verify *verify, unsigned kinds, const char *format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&verify->mutex);
    verify->faults |= kinds;
    verify->error_count++;
    if (verify->report) {
        verify->report(verify->context, message);
    }
    pthread_mutex_unlock(&verify->mutex);
}

void mos_verify_fault(mos_verify *verify, const char *message) {
    fault(verify, FAULT_ENCRYPTION, "%s", message);
}

static void count_object(mos_verify *verify, size_t size_bytes) {
    pthread_mutex_lock(&verify->mutex);
    verify->objects++;
    verify->bytes += (int64_t)size_bytes;
    pthread_mutex_unlock(&verify->mutex);
}

static void check_key_object(mos_verify *verify, const char *name, uint32_t version, const struct mos_key_binding *binding) {
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    MOS_CLEANUP_KEY struct mos_key key;
    struct mos_error error = {0};
    // More than it may have, so that a longer object is seen and not refused.
    mos_status status = mos_file_read(verify->repository->root, name, MOS_KEY_OBJECT_LIMIT_BYTES, &object, &error);
    if (status != MOS_OK) {
        fault(verify, FAULT_SIZE, "%s", error.message);
        return;
    }
    count_object(verify, object.size_bytes);
    const mos_keyring *keyring = verify->repository->keyring;
    bool remote = keyring && mos_keyring_reference(keyring, version);
    if (keyring && !remote && object.size_bytes != MOS_KEY_OBJECT_BYTES) {
        fault(verify, FAULT_SIZE, "%s has %zu bytes instead of %d", name, object.size_bytes, MOS_KEY_OBJECT_BYTES);
    }
    if (!mos_object_digest_fits(object.data, object.size_bytes)) {
        fault(verify, FAULT_CHECKSUM, "%s does not have its checksum", name);
    }
    if (keyring && mos_keyring_has(keyring, version) &&
        mos_key_unwrap(keyring, version, binding, object.data, object.size_bytes, &key, &error) != MOS_OK) {
        fault(verify, FAULT_ENCRYPTION, "%s does not open", name);
    }
}

static void check_keys(mos_verify *verify, const char *folder, const struct mos_key_binding *binding) {
    struct mos_names names;
    struct mos_error error = {0};
    if (mos_folder_list(verify->repository->root, folder, &names, &error) != MOS_OK) {
        fault(verify, FAULT_SIZE, "%s", error.message);
        return;
    }
    size_t found = 0;
    for (size_t i = 0; i < names.count; i++) {
        uint32_t version = mos_key_version_parse(names.names[i]);
        if (version) {
            char name[2 * MOS_OBJECT_NAME_BYTES];
            snprintf(name, sizeof(name), "%s/%u", folder, version);
            check_key_object(verify, name, version, binding);
            found++;
        }
    }
    if (found == 0) {
        fault(verify, FAULT_SIZE, "%s holds no key", folder);
    }
    mos_names_free(&names);
}

static void check_repository_object(mos_verify *verify, const char *name) {
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    struct mos_error error = {0};
    if (mos_file_read(verify->repository->root, name, READ_BYTES, &object, &error) != MOS_OK) {
        fault(verify, FAULT_SIZE, "%s", error.message);
        return;
    }
    count_object(verify, object.size_bytes);
    uint8_t digest[MOS_HASH_BYTES];
    mos_sha256(object.data, object.size_bytes, digest);
    // The repository was opened from one of the two, so its hash is known.
    if (memcmp(digest, verify->repository->object_hash, sizeof(digest)) != 0) {
        fault(verify, FAULT_CHECKSUM, "%s does not have its checksum", name);
    }
}

static void check_manifest(mos_verify *verify) {
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    struct mos_error error = {0};
    mos_manifest_name(verify->backup_id, name);
    if (mos_file_read(verify->repository->root, name, MOS_MANIFEST_LIMIT_BYTES, &object, &error) != MOS_OK) {
        fault(verify, FAULT_SIZE, "%s", error.message);
        return;
    }
    count_object(verify, object.size_bytes);
    bool size_valid;
    bool checksum_valid;
    mos_manifest_examine(object.data, object.size_bytes, &size_valid, &checksum_valid);
    if (!size_valid) {
        fault(verify, FAULT_SIZE, "%s does not have its size", name);
    }
    if (!checksum_valid) {
        fault(verify, FAULT_CHECKSUM, "%s does not have its checksum", name);
    }
}

static bool has_keys(mos_repository *repository, const char *backup_id) {
    char folder[MOS_OBJECT_NAME_BYTES];
    struct mos_names names = {0};
    mos_backup_keys_name(backup_id, folder);
    bool found = mos_folder_list(repository->root, folder, &names, NULL) == MOS_OK && names.count > 0;
    mos_names_free(&names);
    return found;
}

static void check_shared(mos_verify *verify) {
    const mos_repository *repository = verify->repository;
    struct mos_key_binding secret = {.repository_hash = repository->object_hash};
    memcpy(secret.repository_id, repository->id, sizeof(secret.repository_id));
    check_repository_object(verify, "repository");
    check_repository_object(verify, "repository.copy");
    check_keys(verify, "keys/repository", &secret);
}

void mos_verify_shared(mos_repository *repository, void (*report)(void *context, const char *message), void *context,
                       struct mos_verify_result *out) {
    mos_verify verify = {.repository = repository, .report = report, .context = context, .mutex = PTHREAD_MUTEX_INITIALIZER};
    check_shared(&verify);
    mos_verify_result(&verify, out);
    pthread_mutex_destroy(&verify.mutex);
}

mos_status mos_verify_begin(mos_repository *repository, const char *backup_id, void (*report)(void *context, const char *message),
                            void *context, mos_verify **out, struct mos_error *error) {
    mos_status status = mos_verify_begin_backup(repository, backup_id, report, context, out, error);
    if (status == MOS_OK) {
        check_shared(*out);
    }
    return status;
}

mos_status mos_verify_begin_backup(mos_repository *repository, const char *backup_id, void (*report)(void *context, const char *message),
                                   void *context, mos_verify **out, struct mos_error *error) {
    mos_status status = mos_backup_id_check(backup_id, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_error cause = {0};
    mos_reader *reader = NULL;
    status = mos_reader_open(repository, backup_id, &reader, &cause);
    if (status == MOS_NOT_FOUND && has_keys(repository, backup_id)) {
        // Its keys are there, so it was committed and not deleted.
        status = MOS_CORRUPT;
    }
    // What is missing or damaged is for the result to say; the rest means that there is nothing to check, or no way to.
    if (status != MOS_OK && status != MOS_CORRUPT) {
        if (error) {
            *error = cause;
        }
        return status;
    }
    mos_verify *verify = mos_calloc(1, sizeof(*verify));
    verify->repository = repository;
    verify->reader = reader;
    verify->report = report;
    verify->context = context;
    snprintf(verify->backup_id, sizeof(verify->backup_id), "%s", backup_id);
    pthread_mutex_init(&verify->mutex, NULL);
    verify->good = mos_calloc(mos_verify_packs(verify) + 1, sizeof(*verify->good));
    verify->damaged_packs = mos_calloc(mos_verify_packs(verify) + 1, MOS_PACK_ID_BYTES);
    struct mos_key_binding backup = mos_backup_key_binding(repository, backup_id);
    char folder[MOS_OBJECT_NAME_BYTES];
    mos_backup_keys_name(backup_id, folder);
    check_keys(verify, folder, &backup);
    check_manifest(verify);
    if (!reader) {
        fault(verify, FAULT_ENCRYPTION, "%s", cause.message);
    }
    *out = verify;
    return MOS_OK;
}

void mos_verify_free(mos_verify *verify) {
    if (verify) {
        for (size_t i = 0; i < mos_verify_packs(verify); i++) {
            free(atomic_load(&verify->good[i]));
        }
        free(verify->good);
        free(verify->damaged_packs);
        mos_reader_close(verify->reader);
        pthread_mutex_destroy(&verify->mutex);
        free(verify);
    }
}

mos_reader *mos_verify_reader(mos_verify *verify) {
    return verify->reader;
}

size_t mos_verify_packs(const mos_verify *verify) {
    return verify->reader ? verify->reader->pack_count : 0;
}

int64_t mos_verify_pack_bytes(const mos_verify *verify, size_t index) {
    return (int64_t)verify->reader->packs[index].size_bytes;
}

// One pack as it is read from the beginning to the end.
struct pass {
    mos_verify *verify;
    const struct mos_pack *pack;
    const char *name;
    int descriptor;
    uint64_t offset;
    uint64_t size;
    mos_hasher *hasher;
    bool damaged;
};

static mos_status take(struct pass *pass, void *out, size_t size_bytes, struct mos_error *error) {
    mos_status status = mos_file_read_at(pass->descriptor, pass->name, out, size_bytes, (int64_t)pass->offset, error);
    if (status == MOS_OK) {
        mos_hasher_update(pass->hasher, out, size_bytes);
        pass->offset += size_bytes;
    }
    return status;
}

static bool frame_good(struct pass *pass, uint32_t number, const struct mos_frame *frame, uint8_t *sealed, mos_decompressor *decompressor,
                       uint8_t *plain, size_t pack_number) {
    mos_verify *verify = pass->verify;
    if (!mos_frame_open(pass->pack, verify->reader->aeads[pack_number], number, frame, sealed, decompressor, plain)) {
        fault(verify, FAULT_ENCRYPTION, "frame %u of %s does not open", number, pass->name);
        return false;
    }
    struct mos_chunk_id id;
    if (verify->repository->keys) {
        mos_chunk_id_of(verify->repository->keys, plain, frame->plain_bytes, &id);
        if (memcmp(id.bytes, frame->id.bytes, sizeof(id.bytes)) != 0) {
            fault(verify, FAULT_ENCRYPTION, "frame %u of %s holds another chunk than it should", number, pass->name);
            return false;
        }
    }
    return true;
}

// The frames, as far as the file goes.
static mos_status pass_frames(struct pass *pass, size_t pack_number, const struct mos_frame *frames, struct mos_error *error) {
    size_t largest_sealed = 1;
    size_t largest_plain = 1;
    for (uint32_t i = 0; i < pass->pack->frame_count; i++) {
        largest_sealed = frames[i].sealed_bytes > largest_sealed ? frames[i].sealed_bytes : largest_sealed;
        largest_plain = frames[i].plain_bytes > largest_plain ? frames[i].plain_bytes : largest_plain;
    }
    MOS_CLEANUP_FREE uint8_t *sealed = mos_malloc(largest_sealed);
    MOS_CLEANUP_FREE uint8_t *plain = mos_malloc(largest_plain);
    mos_decompressor *decompressor = mos_decompressor_create();
    uint8_t *good = mos_calloc(pass->pack->frame_count + 1, 1);
    mos_status status = MOS_OK;
    for (uint32_t i = 0; i < pass->pack->frame_count && status == MOS_OK; i++) {
        status = take(pass, sealed, frames[i].sealed_bytes, error);
        if (status == MOS_OK) {
            good[i] = frame_good(pass, i, &frames[i], sealed, decompressor, plain, pack_number);
            pass->damaged = pass->damaged || !good[i];
        }
    }
    mos_decompressor_destroy(decompressor);
    free(atomic_exchange(&pass->verify->good[pack_number], good));
    return status;
}

// Not behind the pack's own size: what somebody put there may have no end, and is damage whatever it holds.
static mos_status pass_rest(struct pass *pass, struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *block = mos_malloc(READ_BYTES);
    mos_status status = MOS_OK;
    uint64_t end = pass->size < pass->pack->size_bytes ? pass->size : pass->pack->size_bytes;
    while (pass->offset < end && status == MOS_OK) {
        uint64_t left = end - pass->offset;
        status = take(pass, block, left < READ_BYTES ? left : READ_BYTES, error);
    }
    return status;
}

static mos_status pass_over(struct pass *pass, size_t pack_number, struct mos_error *error) {
    mos_reader *reader = pass->verify->reader;
    mos_status status;
    mos_reader_load_pack(reader, pack_number, NULL);
    pthread_mutex_lock(&reader->mutex);
    const struct mos_frame *frames = reader->frames[pack_number];
    pthread_mutex_unlock(&reader->mutex);
    if (!frames) {
        fault(pass->verify, FAULT_ENCRYPTION, "the footer of %s does not open, so that none of its chunks can be found", pass->name);
        pass->damaged = true;
    }
    uint8_t header[MOS_PACK_HEADER_BYTES];
    uint8_t digest[MOS_HASH_BYTES];
    status = pass->size >= sizeof(header) ? take(pass, header, sizeof(header), error) : MOS_OK;
    if (status == MOS_OK && frames) {
        status = pass_frames(pass, pack_number, frames, error);
    }
    if (status == MOS_OK) {
        status = pass_rest(pass, error);
    }
    mos_hasher_finish(pass->hasher, digest);
    bool longer = pass->size > pass->pack->size_bytes;
    if (status == MOS_OK && (longer || memcmp(digest, pass->pack->sha256, sizeof(digest)) != 0)) {
        fault(pass->verify, FAULT_CHECKSUM, "%s does not have its checksum", pass->name);
        pass->damaged = true;
    }
    return status;
}

static void note_damaged(mos_verify *verify, const struct mos_pack *pack) {
    pthread_mutex_lock(&verify->mutex);
    memcpy(verify->damaged_packs + verify->damaged_count++ * MOS_PACK_ID_BYTES, pack->id, MOS_PACK_ID_BYTES);
    pthread_mutex_unlock(&verify->mutex);
}

mos_status mos_verify_pack(mos_verify *verify, size_t index, struct mos_error *error) {
    const struct mos_pack *pack = &verify->reader->packs[index];
    char name[MOS_OBJECT_NAME_BYTES];
    struct mos_error cause = {0};
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size = 0;
    mos_pack_name(pack->id, name);
    mos_status status = mos_file_open(verify->repository->root, name, &descriptor, &size, &cause);
    if (status == MOS_NOT_FOUND || status == MOS_CORRUPT) {
        fault(verify, FAULT_SIZE, "%s", cause.message);
        note_damaged(verify, pack);
        return MOS_OK;
    }
    if (status != MOS_OK) {
        if (error) {
            *error = cause;
        }
        return status;
    }
    struct pass pass = {.verify = verify, .pack = pack, .name = name, .descriptor = descriptor, .size = (uint64_t)size};
    if (pass.size != pack->size_bytes) {
        fault(verify, FAULT_SIZE, "%s has %lld bytes instead of %llu", name, (long long)size, (unsigned long long)pack->size_bytes);
        pass.damaged = true;
    }
    pass.hasher = mos_hasher_create();
    status = pass_over(&pass, index, &cause);
    mos_hasher_destroy(pass.hasher);
    if (status == MOS_CORRUPT || status == MOS_IO) {
        // Cut while it was read, or a medium that does not give its bytes back: damage of this pack, and no reason to stop.
        fault(verify, FAULT_SIZE, "%s", cause.message);
        pass.damaged = true;
        status = MOS_OK;
    }
    count_object(verify, (size_t)pass.offset);
    if (pass.damaged) {
        note_damaged(verify, pack);
    }
    if (status != MOS_OK && error) {
        *error = cause;
    }
    return status;
}

const uint8_t *mos_verify_pack_id(const mos_verify *verify, size_t index) {
    return verify->reader->packs[index].id;
}

mos_status mos_verify_pack_presence(mos_verify *verify, size_t index, struct mos_error *error) {
    const struct mos_pack *pack = &verify->reader->packs[index];
    char name[MOS_OBJECT_NAME_BYTES];
    struct mos_error cause = {0};
    int64_t size = 0;
    mos_pack_name(pack->id, name);
    mos_status status = mos_file_size(verify->repository->root, name, &size, &cause);
    if (status != MOS_OK && status != MOS_NOT_FOUND && status != MOS_CORRUPT) {
        if (error) {
            *error = cause;
        }
        return status;
    }
    count_object(verify, 0);
    if (status != MOS_OK) {
        fault(verify, FAULT_SIZE, "%s", cause.message);
    } else if ((uint64_t)size != pack->size_bytes) {
        fault(verify, FAULT_SIZE, "%s has %lld bytes instead of %llu", name, (long long)size, (unsigned long long)pack->size_bytes);
        status = MOS_CORRUPT;
    } else {
        status = mos_reader_load_pack(verify->reader, index, &cause);
        if (status != MOS_OK) {
            fault(verify, FAULT_ENCRYPTION, "%s", cause.message);
        }
    }
    if (status != MOS_OK) {
        note_damaged(verify, pack);
    }
    return MOS_OK;
}

void mos_verify_bad_chunks(const mos_verify *verify, size_t index, void (*visit)(void *context, const struct mos_chunk_id *id),
                           void *context) {
    const uint8_t *good = atomic_load(&verify->good[index]);
    pthread_mutex_lock(&verify->reader->mutex);
    const struct mos_frame *frames = verify->reader->frames[index];
    pthread_mutex_unlock(&verify->reader->mutex);
    for (uint32_t i = 0; frames && good && i < verify->reader->packs[index].frame_count; i++) {
        if (!good[i]) {
            visit(context, &frames[i].id);
        }
    }
}

static bool locate(const mos_verify *verify, const struct mos_extent *extent, struct mos_chunk_place *out) {
    return verify->reader && mos_reader_locate(verify->reader, &extent->chunk, MOS_NO_PACK, out) &&
           (uint64_t)extent->offset_bytes + extent->length_bytes <= verify->reader->frames[out->pack][out->value].plain_bytes;
}

bool mos_verify_extent_found(const mos_verify *verify, const struct mos_extent *extent) {
    struct mos_chunk_place place;
    return locate(verify, extent, &place);
}

bool mos_verify_extent_damaged(const mos_verify *verify, const struct mos_extent *extent) {
    struct mos_chunk_place place;
    if (!locate(verify, extent, &place)) {
        return true;
    }
    const uint8_t *good = atomic_load(&verify->good[place.pack]);
    return !good || !good[place.value];
}

void mos_verify_tree(mos_verify *verify) {
    const Mosaajii__Engine__V1__Manifest *manifest = verify->reader ? verify->reader->manifest : NULL;
    size_t missing = 0;
    for (size_t i = 0; manifest && i < manifest->n_tree; i++) {
        const ProtobufCBinaryData *ids[] = {&manifest->tree[i]->chunk_id, &manifest->tree[i]->copy_id};
        const uint32_t packs[] = {manifest->tree[i]->pack, manifest->tree[i]->copy_pack};
        for (size_t j = 0; j < 2; j++) {
            struct mos_chunk_id id;
            struct mos_chunk_place place;
            if (ids[j]->len) {
                memcpy(id.bytes, ids[j]->data, sizeof(id.bytes));
                missing += !mos_reader_locate(verify->reader, &id, packs[j], &place);
            }
        }
    }
    if (missing > 0) {
        fault(verify, FAULT_ENCRYPTION, "%zu parts of the tree of backups/%s, or copies of them, are in no readable pack", missing,
              verify->backup_id);
    }
}

void mos_verify_result(const mos_verify *verify, struct mos_verify_result *out) {
    pthread_mutex_t *mutex = (pthread_mutex_t *)&verify->mutex;
    pthread_mutex_lock(mutex);
    *out = (struct mos_verify_result){
        .size_valid = !(verify->faults & FAULT_SIZE),
        .checksum_valid = !(verify->faults & FAULT_CHECKSUM),
        .encryption_valid = !(verify->faults & FAULT_ENCRYPTION),
        .error_count = verify->error_count,
        .objects_checked = verify->objects,
        .bytes_checked = verify->bytes,
    };
    pthread_mutex_unlock(mutex);
}

const uint8_t *mos_verify_damaged_packs(const mos_verify *verify, size_t *out_count) {
    *out_count = verify->damaged_count;
    return verify->damaged_packs;
}
