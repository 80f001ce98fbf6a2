#include "engine/repo/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/chunk_map.h"
#include "engine/repo/files.h"
#include "engine/repo/index.h"
#include "engine/repo/manifest.h"
#include "engine/repo/repository_internal.h"
#include "engine/repo/tree_codec.h"

#define SHARDS 64
// Besides those of the caller: one for the tree, one for its copies.
#define TREE_WORKERS 2
// Claimed by a worker that has not stored it yet.
#define PACK_PENDING (UINT32_MAX - 1)

// The chunks that this backup refers to so far. Packs of the index have their number there, own ones come behind.
struct shard {
    pthread_mutex_t mutex;
    struct mos_chunk_map chunks;
};

struct worker {
    mos_pack_writer *pack;
    uint32_t pack_number;
    mos_compressor *compressor;
};

struct tree_part {
    struct mos_chunk_id id;
    struct mos_chunk_id copy;
    uint8_t *first_path;
    size_t first_path_bytes;
};

struct mos_writer {
    mos_repository *repository;
    char backup_id[MOS_ID_TEXT_BYTES];
    int lock;
    struct mos_key *data_key;
    // The data key's object, made at the beginning: a KMS that is away stops a backup before it has written anything.
    struct mos_buffer key_object;
    uint32_t key_version;
    mos_index *index;
    struct shard shards[SHARDS];
    // Of the index's packs: whether this backup refers to them.
    atomic_uchar *used;
    // The last two are the tree's, and that of its copies.
    struct worker *workers;
    unsigned worker_count;
    atomic_llong encrypted_bytes;
    atomic_llong new_bytes;
    atomic_llong written_bytes;
    atomic_bool failed;
    // Guards what follows.
    pthread_mutex_t mutex;
    struct mos_error error;
    struct mos_pack *packs;
    size_t pack_count;
    size_t pack_capacity;
    // Only the tree's thread.
    mos_tree_encoder *tree;
    struct tree_part *parts;
    size_t part_count;
    size_t part_capacity;
};

// The first failure stands for all later ones.
static mos_status give_up(mos_writer *writer, const struct mos_error *failure, struct mos_error *error) {
    pthread_mutex_lock(&writer->mutex);
    if (!atomic_load(&writer->failed)) {
        writer->error = *failure;
        atomic_store(&writer->failed, true);
    }
    mos_status status = writer->error.status;
    if (error) {
        *error = writer->error;
    }
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

static mos_status check_not_failed(mos_writer *writer, struct mos_error *error) {
    static const struct mos_error already = {0};
    return atomic_load(&writer->failed) ? give_up(writer, &already, error) : MOS_OK;
}

static mos_status begin_pack(mos_writer *writer, struct worker *worker, struct mos_error *error) {
    mos_status status = mos_pack_writer_begin(writer->repository->root, &worker->pack, error);
    if (status == MOS_OK) {
        pthread_mutex_lock(&writer->mutex);
        if (writer->pack_count == writer->pack_capacity) {
            size_t capacity = writer->pack_capacity ? 2 * writer->pack_capacity : 64;
            struct mos_pack *packs = mos_secret_alloc(capacity * sizeof(*packs));
            if (writer->pack_count) {
                memcpy(packs, writer->packs, writer->pack_count * sizeof(*packs));
            }
            mos_secret_free(writer->packs, writer->pack_capacity * sizeof(*packs));
            writer->packs = packs;
            writer->pack_capacity = capacity;
        }
        worker->pack_number = (uint32_t)writer->pack_count++;
        pthread_mutex_unlock(&writer->mutex);
    }
    return status;
}

static mos_status finish_pack(mos_writer *writer, struct worker *worker, struct mos_error *error) {
    struct mos_pack pack = {0};
    mos_status status = mos_pack_writer_finish(worker->pack, &pack, error);
    if (status == MOS_OK) {
        size_t count;
        const struct mos_frame *frames = mos_pack_writer_frames(worker->pack, &count);
        status = mos_index_add(writer->repository, &pack, frames, error);
    }
    if (status == MOS_OK) {
        pthread_mutex_lock(&writer->mutex);
        writer->packs[worker->pack_number] = pack;
        pthread_mutex_unlock(&writer->mutex);
    }
    mos_pack_writer_destroy(worker->pack);
    worker->pack = NULL;
    mos_wipe(&pack, sizeof(pack));
    return status;
}

static struct shard *shard_of(mos_writer *writer, const struct mos_chunk_id *id) {
    return &writer->shards[id->bytes[0] % SHARDS];
}

// Whether this backup or the index has the chunk; from then on the backup refers to it. With the shard's mutex.
static bool refer(mos_writer *writer, struct shard *shard, const struct mos_chunk_id *id) {
    if (mos_chunk_map_find(&shard->chunks, id)) {
        return true;
    }
    struct mos_index_hit hit;
    if (!mos_index_find(writer->index, id, &hit)) {
        return false;
    }
    mos_chunk_map_insert(&shard->chunks, id, hit.pack, hit.sealed_bytes);
    atomic_store(&writer->used[hit.pack], 1);
    atomic_fetch_add(&writer->encrypted_bytes, hit.sealed_bytes);
    return true;
}

static mos_status store(mos_writer *writer, struct worker *worker, uint8_t kind, const struct mos_chunk_id *id, const void *data,
                        size_t size_bytes, struct mos_error *error) {
    const uint8_t *content = data;
    size_t content_bytes = size_bytes;
    uint8_t flags = kind;
    if (mos_compress(worker->compressor, data, size_bytes, &content, &content_bytes)) {
        flags |= MOS_FRAME_COMPRESSED;
    } else {
        content = data;
        content_bytes = size_bytes;
    }
    mos_status status = worker->pack ? MOS_OK : begin_pack(writer, worker, error);
    if (status == MOS_OK) {
        status = mos_pack_writer_append(worker->pack, id, flags, content, content_bytes, size_bytes, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    uint32_t sealed = (uint32_t)(content_bytes + MOS_AEAD_TAG_BYTES);
    struct shard *shard = shard_of(writer, id);
    pthread_mutex_lock(&shard->mutex);
    struct mos_chunk_place *place = mos_chunk_map_find(&shard->chunks, id);
    place->pack = (uint32_t)mos_index_pack_count(writer->index) + worker->pack_number;
    place->value = sealed;
    pthread_mutex_unlock(&shard->mutex);
    atomic_fetch_add(&writer->encrypted_bytes, sealed);
    atomic_fetch_add(&writer->written_bytes, sealed);
    atomic_fetch_add(&writer->new_bytes, (long long)size_bytes);
    return mos_pack_writer_bytes(worker->pack) >= MOS_PACK_TARGET_BYTES ? finish_pack(writer, worker, error) : MOS_OK;
}

static mos_status put(mos_writer *writer, struct worker *worker, uint8_t kind, const void *data, size_t size_bytes,
                      struct mos_chunk_id *out_id, bool *out_was_new, struct mos_error *error) {
    mos_status status = check_not_failed(writer, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_chunk_id_of(writer->repository->keys, data, size_bytes, out_id);
    struct shard *shard = shard_of(writer, out_id);
    pthread_mutex_lock(&shard->mutex);
    bool known = refer(writer, shard, out_id);
    if (!known) {
        // The claim: whoever puts the same chunk meanwhile need not write it.
        mos_chunk_map_insert(&shard->chunks, out_id, PACK_PENDING, 0);
    }
    pthread_mutex_unlock(&shard->mutex);
    *out_was_new = !known;
    if (known) {
        return MOS_OK;
    }
    struct mos_error failure;
    status = store(writer, worker, kind, out_id, data, size_bytes, &failure);
    return status == MOS_OK ? MOS_OK : give_up(writer, &failure, error);
}

mos_status mos_writer_put(mos_writer *writer, unsigned worker, const void *data, size_t size_bytes, struct mos_chunk_id *out_id,
                          bool *out_was_new, struct mos_error *error) {
    if (worker >= writer->worker_count || size_bytes == 0 || size_bytes > writer->repository->limits.max_bytes) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "a chunk has 1 to %u bytes and comes from a known worker",
                        writer->repository->limits.max_bytes);
    }
    return put(writer, &writer->workers[worker], 0, data, size_bytes, out_id, out_was_new, error);
}

mos_status mos_writer_reuse(mos_writer *writer, const struct mos_chunk_id *id, bool *out_found, struct mos_error *error) {
    mos_status status = check_not_failed(writer, error);
    if (status == MOS_OK) {
        struct shard *shard = shard_of(writer, id);
        pthread_mutex_lock(&shard->mutex);
        *out_found = refer(writer, shard, id);
        pthread_mutex_unlock(&shard->mutex);
    }
    return status;
}

// Without its part of the tree a file is lost, so each part lies in two packs.
static mos_status put_copy(mos_writer *writer, const void *data, size_t size_bytes, struct mos_chunk_id *out_id, struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *copy = mos_malloc(size_bytes);
    bool was_new;
    memcpy(copy, data, size_bytes);
    mos_tree_make_copy(copy);
    return put(writer, &writer->workers[writer->worker_count + 1], MOS_FRAME_TREE | MOS_FRAME_COPY, copy, size_bytes, out_id, &was_new,
               error);
}

static mos_status put_tree(void *context, const void *data, size_t size_bytes, const char *first_path, size_t first_path_bytes,
                           struct mos_chunk_id *out_id, struct mos_error *error) {
    mos_writer *writer = context;
    bool was_new;
    struct mos_chunk_id copy = {0};
    mos_status status = put(writer, &writer->workers[writer->worker_count], MOS_FRAME_TREE, data, size_bytes, out_id, &was_new, error);
    status = status == MOS_OK && first_path ? put_copy(writer, data, size_bytes, &copy, error) : status;
    if (status == MOS_OK && first_path) {
        if (writer->part_count == writer->part_capacity) {
            writer->part_capacity = writer->part_capacity ? 2 * writer->part_capacity : 64;
            writer->parts = mos_realloc(writer->parts, writer->part_capacity * sizeof(*writer->parts));
        }
        struct tree_part *part = &writer->parts[writer->part_count++];
        *part = (struct tree_part){
            .id = *out_id, .copy = copy, .first_path = mos_malloc(first_path_bytes), .first_path_bytes = first_path_bytes};
        memcpy(part->first_path, first_path, first_path_bytes);
    }
    return status;
}

mos_status mos_writer_add(mos_writer *writer, const struct mos_entry *entry, struct mos_error *error) {
    mos_status status = check_not_failed(writer, error);
    return status == MOS_OK ? mos_tree_encoder_add(writer->tree, entry, error) : status;
}

void mos_writer_totals(const mos_writer *writer, struct mos_writer_totals *out) {
    out->encrypted_bytes = atomic_load(&writer->encrypted_bytes);
    out->new_bytes = atomic_load(&writer->new_bytes);
    out->written_bytes = atomic_load(&writer->written_bytes);
}

// When nobody else runs: leftovers of killed backups can go.
static void tidy(mos_repository *repository) {
    int lock = -1;
    if (mos_lock_take(repository->root, MOS_LOCK_RUNNING, true, false, &lock, NULL) != MOS_OK) {
        return;
    }
    int64_t freed_bytes = 0;
    mos_repository_tidy(repository, &freed_bytes);
    mos_close_cleanup(&lock);
}

static mos_status open_index(mos_writer *writer, struct mos_error *error) {
    bool missing = false;
    mos_status status = mos_index_open(writer->repository, &writer->index, &missing, error);
    if (status == MOS_OK && missing) {
        int64_t unreadable;
        mos_index_close(writer->index);
        writer->index = NULL;
        status = mos_repository_rebuild_index(writer->repository, &unreadable, error);
        if (status == MOS_OK) {
            status = mos_index_open(writer->repository, &writer->index, &missing, error);
        }
    }
    return status;
}

static mos_status check_absent(const mos_writer *writer, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size;
    mos_manifest_name(writer->backup_id, name);
    mos_status status = mos_file_size(writer->repository->root, name, &size, NULL);
    return status == MOS_NOT_FOUND ? MOS_OK
                                   : mos_fail(error, MOS_ALREADY_EXISTS, "the repository has a backup %s already", writer->backup_id);
}

static mos_status wrap_key(mos_writer *writer, struct mos_error *error) {
    const mos_keyring *keyring = writer->repository->keyring;
    struct mos_key_binding binding = mos_backup_key_binding(writer->repository, writer->backup_id);
    writer->key_version = mos_keyring_active_version(keyring);
    // With the lock held, without which no version is retired: one that was, since the keyring was read, must wrap nothing any more.
    mos_status status = mos_keyring_still_holds(keyring, writer->key_version, error);
    status = status != MOS_OK ? status : mos_key_wrap(keyring, writer->key_version, &binding, writer->data_key, &writer->key_object, error);
    return status == MOS_OK ? MOS_OK : mos_fail_context(error, "the backup's key cannot be wrapped");
}

mos_status mos_writer_begin(mos_repository *repository, const struct mos_writer_options *options, mos_writer **out,
                            struct mos_error *error) {
    if (!mos_id_valid(options->backup_id) || options->workers < 1 || options->workers > MOS_WRITER_MOST_WORKERS ||
        options->compression_level < 0 || options->compression_level > 19) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "a backup needs a UUID, 1 to 64 workers and a compression level of 0 to 19");
    }
    mos_status status = mos_repository_writable(repository, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_writer *writer = mos_calloc(1, sizeof(*writer));
    writer->repository = repository;
    writer->lock = -1;
    writer->worker_count = options->workers;
    strcpy(writer->backup_id, options->backup_id);
    pthread_mutex_init(&writer->mutex, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&writer->shards[i].mutex, NULL);
    }
    writer->data_key = mos_secret_alloc(sizeof(*writer->data_key));
    mos_random(writer->data_key->bytes, sizeof(writer->data_key->bytes));
    writer->workers = mos_calloc(options->workers + TREE_WORKERS, sizeof(*writer->workers));
    for (unsigned i = 0; i < options->workers + TREE_WORKERS; i++) {
        writer->workers[i].compressor = mos_compressor_create(options->compression_level);
    }
    writer->tree = mos_tree_encoder_create(repository->keys->tree_cut, put_tree, writer);
    tidy(repository);
    status = mos_lock_take(repository->root, MOS_LOCK_RUNNING, false, true, &writer->lock, error);
    status = status == MOS_OK ? check_absent(writer, error) : status;
    status = status == MOS_OK ? wrap_key(writer, error) : status;
    status = status == MOS_OK ? open_index(writer, error) : status;
    if (status != MOS_OK) {
        mos_writer_free(writer);
        return status;
    }
    writer->used = mos_calloc(mos_index_pack_count(writer->index) + 1, sizeof(*writer->used));
    *out = writer;
    return MOS_OK;
}

void mos_writer_free(mos_writer *writer) {
    if (!writer) {
        return;
    }
    for (unsigned i = 0; i < writer->worker_count + TREE_WORKERS; i++) {
        mos_pack_writer_destroy(writer->workers[i].pack);
        mos_compressor_destroy(writer->workers[i].compressor);
    }
    free(writer->workers);
    mos_tree_encoder_destroy(writer->tree);
    for (size_t i = 0; i < writer->part_count; i++) {
        free(writer->parts[i].first_path);
    }
    free(writer->parts);
    mos_secret_free(writer->packs, writer->pack_capacity * sizeof(*writer->packs));
    free(writer->used);
    mos_index_close(writer->index);
    for (size_t i = 0; i < SHARDS; i++) {
        mos_chunk_map_free(&writer->shards[i].chunks);
        pthread_mutex_destroy(&writer->shards[i].mutex);
    }
    pthread_mutex_destroy(&writer->mutex);
    mos_secret_free(writer->data_key, sizeof(*writer->data_key));
    mos_buffer_free(&writer->key_object);
    mos_close_cleanup(&writer->lock);
    free(writer);
}

// The packs that the manifest names: first those of the index that are used, then the own ones.
struct pack_list {
    struct mos_pack *packs;
    size_t count;
    size_t capacity;
    // Position of each pack of the index.
    uint32_t *position;
    size_t own_from;
};

static mos_status collect_packs(mos_writer *writer, struct pack_list *list, struct mos_error *error) {
    size_t old = mos_index_pack_count(writer->index);
    list->capacity = old + writer->pack_count + 1;
    list->packs = mos_secret_alloc(list->capacity * sizeof(*list->packs));
    list->position = mos_calloc(old + 1, sizeof(*list->position));
    for (size_t i = 0; i < old; i++) {
        if (atomic_load(&writer->used[i])) {
            list->position[i] = (uint32_t)list->count;
            mos_status status = mos_index_pack(writer->index, (uint32_t)i, &list->packs[list->count++], error);
            if (status != MOS_OK) {
                return status;
            }
        }
    }
    list->own_from = list->count;
    for (size_t i = 0; i < writer->pack_count; i++) {
        list->packs[list->count++] = writer->packs[i];
    }
    return MOS_OK;
}

static uint32_t position_of(mos_writer *writer, const struct pack_list *list, const struct mos_chunk_id *id) {
    const struct mos_chunk_place *place = mos_chunk_map_find(&shard_of(writer, id)->chunks, id);
    size_t old = mos_index_pack_count(writer->index);
    return place->pack < old ? list->position[place->pack] : (uint32_t)(list->own_from + (place->pack - old));
}

static mos_status commit_manifest(mos_writer *writer, Mosaajii__Engine__V1__BackupInfo *info, struct pack_list *list,
                                  struct mos_record *out, struct mos_error *error) {
    mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Manifest manifest = MOSAAJII__ENGINE__V1__MANIFEST__INIT;
    uint8_t checksum[MOS_HASH_BYTES];
    mos_hasher *hasher = mos_hasher_create();
    manifest.info = info;
    manifest.repository_id = (ProtobufCBinaryData){.len = 16, .data = writer->repository->id};
    manifest.n_tree = writer->part_count;
    manifest.tree = mos_arena_array(arena, Mosaajii__Engine__V1__TreeChunk *, writer->part_count + 1);
    for (size_t i = 0; i < writer->part_count; i++) {
        struct tree_part *part = &writer->parts[i];
        Mosaajii__Engine__V1__TreeChunk *chunk = mos_arena_alloc(arena, sizeof(*chunk));
        mosaajii__engine__v1__tree_chunk__init(chunk);
        chunk->chunk_id = (ProtobufCBinaryData){.len = MOS_CHUNK_ID_BYTES, .data = part->id.bytes};
        chunk->first_path = (ProtobufCBinaryData){.len = part->first_path_bytes, .data = part->first_path};
        chunk->pack = position_of(writer, list, &part->id);
        chunk->copy_id = (ProtobufCBinaryData){.len = MOS_CHUNK_ID_BYTES, .data = part->copy.bytes};
        chunk->copy_pack = position_of(writer, list, &part->copy);
        manifest.tree[i] = chunk;
        mos_hasher_update(hasher, part->id.bytes, MOS_CHUNK_ID_BYTES);
    }
    mos_hasher_finish(hasher, checksum);
    mos_hasher_destroy(hasher);
    manifest.content_checksum = (ProtobufCBinaryData){.len = sizeof(checksum), .data = checksum};
    manifest.n_packs = list->count;
    manifest.packs = mos_arena_array(arena, Mosaajii__Engine__V1__Pack *, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        struct mos_pack *pack = &list->packs[i];
        Mosaajii__Engine__V1__Pack *message = mos_arena_alloc(arena, sizeof(*message));
        mosaajii__engine__v1__pack__init(message);
        message->id = (ProtobufCBinaryData){.len = MOS_PACK_ID_BYTES, .data = pack->id};
        message->size = pack->size_bytes;
        message->sha256 = (ProtobufCBinaryData){.len = MOS_HASH_BYTES, .data = pack->sha256};
        message->key = (ProtobufCBinaryData){.len = MOS_KEY_BYTES, .data = pack->key.bytes};
        message->frames = pack->frame_count;
        message->footer_size = pack->footer_bytes;
        manifest.packs[i] = message;
    }
    struct mos_buffer object = {0};
    mos_status status = mos_manifest_seal(&manifest, writer->backup_id, writer->data_key, &object, error);
    mos_manifest_name(writer->backup_id, out->manifest);
    if (status == MOS_OK) {
        status = mos_file_write(writer->repository->root, out->manifest, object.data, object.size_bytes, error);
    }
    if (status == MOS_OK) {
        uint8_t digest[MOS_HASH_BYTES];
        mos_sha256(object.data, object.size_bytes, digest);
        mos_hex_encode(digest, sizeof(digest), out->encrypted_checksum);
        mos_hex_encode(checksum, sizeof(checksum), out->checksum);
    }
    mos_buffer_free(&object);
    mos_arena_destroy(arena);
    return status;
}

static mos_status write_key(mos_writer *writer, struct mos_record *out, struct mos_error *error) {
    char name[2 * MOS_OBJECT_NAME_BYTES];
    char folder[MOS_OBJECT_NAME_BYTES];
    mos_backup_keys_name(writer->backup_id, folder);
    snprintf(name, sizeof(name), "%s/%u", folder, writer->key_version);
    mos_keyring_key_id(writer->repository->keyring, writer->key_version, out->key_id);
    return mos_file_write(writer->repository->root, name, writer->key_object.data, writer->key_object.size_bytes, error);
}

static mos_status finish(mos_writer *writer, Mosaajii__Engine__V1__BackupInfo *info, struct mos_record *out, struct mos_error *error) {
    mos_status status = check_not_failed(writer, error);
    status = status == MOS_OK ? mos_tree_encoder_finish(writer->tree, error) : status;
    for (unsigned i = 0; i < writer->worker_count + TREE_WORKERS && status == MOS_OK; i++) {
        if (writer->workers[i].pack) {
            status = finish_pack(writer, &writer->workers[i], error);
        }
    }
    status = status == MOS_OK ? check_absent(writer, error) : status;
    if (status != MOS_OK) {
        return status;
    }
    struct mos_writer_totals totals;
    mos_writer_totals(writer, &totals);
    if (info->statistics) {
        info->statistics->encrypted_size = totals.encrypted_bytes;
        info->statistics->bytes_new = totals.new_bytes;
        info->statistics->bytes_written = totals.written_bytes;
    }
    struct pack_list list = {0};
    status = collect_packs(writer, &list, error);
    status = status == MOS_OK ? write_key(writer, out, error) : status;
    status = status == MOS_OK ? commit_manifest(writer, info, &list, out, error) : status;
    mos_secret_free(list.packs, list.capacity * sizeof(*list.packs));
    free(list.position);
    return status;
}

mos_status mos_writer_finish(mos_writer *writer, Mosaajii__Engine__V1__BackupInfo *info, struct mos_record *out, struct mos_error *error) {
    // The manifest names the backup it is of, whatever the caller put there.
    char *given = info->id;
    info->id = writer->backup_id;
    struct mos_error failure = {0};
    mos_status status = finish(writer, info, out, &failure);
    info->id = given;
    return status == MOS_OK ? MOS_OK : give_up(writer, &failure, error);
}
