#include "engine/repo/reader.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/files.h"
#include "engine/repo/pack.h"
#include "engine/repo/reader_internal.h"

#define CACHE_BYTES (32u << 20)
// For the unpacked manifest: what a hostile one may take.
#define ARENA_BYTES(object) ((size_t)(object)*24 + (1u << 20))

// A plaintext, in the cache or on its way out of it.
struct mos_cached_chunk {
    struct mos_chunk chunk;
    struct mos_chunk_id id;
    atomic_uint references;
    struct mos_cached_chunk *newer;
    struct mos_cached_chunk *older;
    uint8_t data[];
};

// What reading one frame takes, kept for the next one: there are as many as threads have read at once.
struct mos_frame_room {
    struct mos_frame_room *next;
    mos_decompressor *decompressor;
    uint8_t *sealed;
    size_t capacity_bytes;
};

void mos_chunk_release(const struct mos_chunk *chunk) {
    if (chunk) {
        struct mos_cached_chunk *cached = (struct mos_cached_chunk *)((char *)chunk - offsetof(struct mos_cached_chunk, chunk));
        if (atomic_fetch_sub(&cached->references, 1) == 1) {
            free(cached);
        }
    }
}

static mos_status find_packs(mos_reader *reader, struct mos_error *error) {
    const Mosaajii__Engine__V1__Manifest *manifest = reader->manifest;
    int root = reader->repository->root;
    reader->lock = -1;
    mos_lock_take(root, MOS_LOCK_READING, false, true, &reader->lock, NULL);
    reader->named = mos_secret_alloc((manifest->n_packs + 1) * sizeof(*reader->named));
    reader->first = mos_calloc(manifest->n_packs + 1, sizeof(*reader->first));
    reader->named_count = manifest->n_packs;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < manifest->n_packs && status == MOS_OK; i++) {
        mos_manifest_pack(manifest->packs[i], &reader->named[i]);
        status = mos_pack_list_follow(&reader->list, root, &reader->named[i], false, &reader->first[i], error);
    }
    reader->packs = reader->list.packs;
    reader->pack_count = reader->list.count;
    reader->aeads = mos_calloc(reader->pack_count + 1, sizeof(*reader->aeads));
    reader->frames = mos_calloc(reader->pack_count + 1, sizeof(*reader->frames));
    reader->tried = mos_calloc(reader->pack_count + 1, sizeof(*reader->tried));
    for (size_t i = 0; i < reader->pack_count; i++) {
        reader->aeads[i] = mos_aead_create(&reader->packs[i].key);
    }
    return status;
}

static mos_status open_with(mos_repository *repository, const char *backup_id, const struct mos_key *data_key, const char *key_id,
                            mos_reader **out, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    mos_manifest_name(backup_id, name);
    mos_status status = mos_file_read(repository->root, name, MOS_MANIFEST_LIMIT_BYTES, &object, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_arena *arena = mos_arena_create(ARENA_BYTES(object.size_bytes));
    Mosaajii__Engine__V1__Manifest *manifest = NULL;
    status = mos_manifest_open(object.data, object.size_bytes, backup_id, data_key, arena, &manifest, error);
    if (status == MOS_OK && memcmp(manifest->repository_id.data, repository->id, 16) != 0) {
        mos_manifest_wipe(manifest);
        status = mos_fail(error, MOS_CORRUPT, "%s belongs to another repository", name);
    }
    if (status != MOS_OK) {
        mos_arena_destroy(arena);
        return status;
    }
    mos_reader *reader = mos_calloc(1, sizeof(*reader));
    uint8_t digest[MOS_HASH_BYTES];
    reader->repository = repository;
    reader->arena = arena;
    reader->manifest = manifest;
    snprintf(reader->backup_id, sizeof(reader->backup_id), "%s", backup_id);
    mos_sha256(object.data, object.size_bytes, digest);
    mos_hex_encode(digest, sizeof(digest), reader->record.encrypted_checksum);
    mos_hex_encode(manifest->content_checksum.data, MOS_HASH_BYTES, reader->record.checksum);
    snprintf(reader->record.manifest, sizeof(reader->record.manifest), "%s", name);
    snprintf(reader->record.key_id, sizeof(reader->record.key_id), "%s", key_id);
    pthread_mutex_init(&reader->mutex, NULL);
    status = find_packs(reader, error);
    mos_manifest_wipe(manifest);
    if (status != MOS_OK) {
        mos_reader_close(reader);
        return status;
    }
    *out = reader;
    return MOS_OK;
}

static mos_status check_exists(mos_repository *repository, const char *backup_id, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size;
    mos_status status = mos_backup_id_check(backup_id, error);
    if (status == MOS_OK) {
        mos_manifest_name(backup_id, name);
        status = mos_file_size(repository->root, name, &size, error);
    }
    return status == MOS_NOT_FOUND ? mos_fail(error, MOS_NOT_FOUND, "the repository has no backup %.64s", backup_id) : status;
}

mos_status mos_reader_open(mos_repository *repository, const char *backup_id, mos_reader **out, struct mos_error *error) {
    mos_status status = check_exists(repository, backup_id, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_KEY struct mos_key key;
    uint32_t version = 0;
    status = mos_backup_key_load(repository, backup_id, &key, &version, error);
    if (status != MOS_OK) {
        return status;
    }
    char key_id[32];
    mos_keyring_key_id(repository->keyring, version, key_id);
    return open_with(repository, backup_id, &key, key_id, out, error);
}

mos_status mos_reader_open_with_key(mos_repository *repository, const char *backup_id, const struct mos_key *data_key, mos_reader **out,
                                    struct mos_error *error) {
    mos_status status = check_exists(repository, backup_id, error);
    return status == MOS_OK ? open_with(repository, backup_id, data_key, "", out, error) : status;
}

void mos_reader_close(mos_reader *reader) {
    if (!reader) {
        return;
    }
    for (struct mos_cached_chunk *cached = reader->newest; cached;) {
        struct mos_cached_chunk *older = cached->older;
        mos_chunk_release(&cached->chunk);
        cached = older;
    }
    while (reader->rooms) {
        struct mos_frame_room *room = reader->rooms;
        reader->rooms = room->next;
        mos_decompressor_destroy(room->decompressor);
        free(room->sealed);
        free(room);
    }
    for (size_t i = 0; i < reader->pack_count; i++) {
        mos_aead_destroy(reader->aeads[i]);
        free(reader->frames[i]);
    }
    mos_pack_list_free(&reader->list);
    mos_secret_free(reader->named, (reader->named_count + 1) * sizeof(*reader->named));
    free(reader->first);
    mos_close_cleanup(&reader->lock);
    free(reader->aeads);
    free(reader->frames);
    free(reader->tried);
    mos_chunk_map_free(&reader->chunks);
    pthread_mutex_destroy(&reader->mutex);
    mos_arena_destroy(reader->arena);
    free(reader);
}

const Mosaajii__Engine__V1__BackupInfo *mos_reader_info(const mos_reader *reader) {
    return reader->manifest->info;
}

const struct mos_record *mos_reader_record(const mos_reader *reader) {
    return &reader->record;
}

void mos_reader_add_packs(const mos_reader *reader, struct mos_pack_list *list) {
    for (size_t i = 0; i < reader->pack_count; i++) {
        bool added;
        mos_pack_list_add(list, &reader->packs[i], &added);
    }
}

// With the mutex.
static mos_status load_pack(mos_reader *reader, size_t number, struct mos_error *error) {
    if (reader->tried[number]) {
        return MOS_OK;
    }
    reader->tried[number] = true;
    struct mos_frame *frames = NULL;
    mos_status status = mos_pack_footer_read(reader->repository->root, &reader->packs[number], reader->aeads[number], &frames, error);
    if (status != MOS_OK) {
        return status;
    }
    reader->frames[number] = frames;
    for (uint32_t i = 0; i < reader->packs[number].frame_count; i++) {
        if (!mos_chunk_map_find(&reader->chunks, &frames[i].id)) {
            mos_chunk_map_insert(&reader->chunks, &frames[i].id, (uint32_t)number, i);
        }
    }
    return MOS_OK;
}

mos_status mos_reader_load_pack(mos_reader *reader, size_t number, struct mos_error *error) {
    pthread_mutex_lock(&reader->mutex);
    mos_status status = load_pack(reader, number, error);
    pthread_mutex_unlock(&reader->mutex);
    return status;
}

bool mos_reader_locate(mos_reader *reader, const struct mos_chunk_id *id, uint32_t hint, struct mos_chunk_place *out) {
    pthread_mutex_lock(&reader->mutex);
    const struct mos_chunk_place *place = mos_chunk_map_find(&reader->chunks, id);
    if (!place && hint < reader->named_count && reader->first[hint] != MOS_NO_PACK) {
        load_pack(reader, reader->first[hint], NULL);
        place = mos_chunk_map_find(&reader->chunks, id);
    }
    if (!place && !reader->all_tried) {
        for (size_t i = 0; i < reader->pack_count; i++) {
            load_pack(reader, i, NULL);
        }
        reader->all_tried = true;
        place = mos_chunk_map_find(&reader->chunks, id);
    }
    if (place) {
        *out = *place;
    }
    pthread_mutex_unlock(&reader->mutex);
    return place != NULL;
}

static void unlink_cached(mos_reader *reader, struct mos_cached_chunk *cached) {
    *(cached->newer ? &cached->newer->older : &reader->newest) = cached->older;
    *(cached->older ? &cached->older->newer : &reader->oldest) = cached->newer;
    cached->newer = NULL;
    cached->older = NULL;
}

static void push_cached(mos_reader *reader, struct mos_cached_chunk *cached) {
    cached->older = reader->newest;
    *(reader->newest ? &reader->newest->newer : &reader->oldest) = cached;
    reader->newest = cached;
}

static const struct mos_chunk *find_cached(mos_reader *reader, const struct mos_chunk_id *id) {
    pthread_mutex_lock(&reader->mutex);
    struct mos_cached_chunk *cached = reader->newest;
    while (cached && memcmp(cached->id.bytes, id->bytes, MOS_CHUNK_ID_BYTES) != 0) {
        cached = cached->older;
    }
    if (cached) {
        unlink_cached(reader, cached);
        push_cached(reader, cached);
        atomic_fetch_add(&cached->references, 1);
    }
    pthread_mutex_unlock(&reader->mutex);
    return cached ? &cached->chunk : NULL;
}

// The cache holds a reference of its own.
static void keep_cached(mos_reader *reader, struct mos_cached_chunk *cached) {
    pthread_mutex_lock(&reader->mutex);
    atomic_fetch_add(&cached->references, 1);
    push_cached(reader, cached);
    // A small chunk costs as much list as a large one.
    reader->cached_bytes += cached->chunk.size_bytes + CACHE_BYTES / 1024;
    while (reader->cached_bytes > CACHE_BYTES && reader->oldest != cached) {
        struct mos_cached_chunk *old = reader->oldest;
        unlink_cached(reader, old);
        reader->cached_bytes -= old->chunk.size_bytes + CACHE_BYTES / 1024;
        mos_chunk_release(&old->chunk);
    }
    pthread_mutex_unlock(&reader->mutex);
}

static struct mos_frame_room *take_room(mos_reader *reader, size_t size_bytes) {
    pthread_mutex_lock(&reader->mutex);
    struct mos_frame_room *room = reader->rooms;
    if (room) {
        reader->rooms = room->next;
    }
    pthread_mutex_unlock(&reader->mutex);
    if (!room) {
        room = mos_calloc(1, sizeof(*room));
        room->decompressor = mos_decompressor_create();
    }
    if (room->capacity_bytes < size_bytes) {
        free(room->sealed);
        room->sealed = mos_malloc(size_bytes);
        room->capacity_bytes = size_bytes;
    }
    return room;
}

static void give_room_back(mos_reader *reader, struct mos_frame_room *room) {
    pthread_mutex_lock(&reader->mutex);
    room->next = reader->rooms;
    reader->rooms = room;
    pthread_mutex_unlock(&reader->mutex);
}

static mos_status read_frame(mos_reader *reader, const struct mos_chunk_place *place, const struct mos_frame *frame, uint8_t *out_plain,
                             struct mos_error *error) {
    const struct mos_pack *pack = &reader->packs[place->pack];
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(pack->id, name);
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size;
    mos_status status = mos_file_open(reader->repository->root, name, &descriptor, &size, error);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_frame_room *room = take_room(reader, frame->sealed_bytes);
    status = mos_file_read_at(descriptor, name, room->sealed, frame->sealed_bytes, (int64_t)frame->offset_bytes, error);
    bool opened = status == MOS_OK &&
                  mos_frame_open(pack, reader->aeads[place->pack], place->value, frame, room->sealed, room->decompressor, out_plain);
    give_room_back(reader, room);
    if (status != MOS_OK) {
        return status;
    }
    if (opened && reader->repository->keys) {
        struct mos_chunk_id id;
        mos_chunk_id_of(reader->repository->keys, out_plain, frame->plain_bytes, &id);
        opened = memcmp(id.bytes, place->id.bytes, MOS_CHUNK_ID_BYTES) == 0;
    }
    return opened ? MOS_OK : mos_fail(error, MOS_CORRUPT, "frame %u of %s is damaged", place->value, name);
}

mos_status mos_reader_chunk_in(mos_reader *reader, const struct mos_chunk_id *id, uint32_t hint, const struct mos_chunk **out,
                               struct mos_error *error) {
    *out = find_cached(reader, id);
    if (*out) {
        return MOS_OK;
    }
    struct mos_chunk_place place;
    if (!mos_reader_locate(reader, id, hint, &place)) {
        char hex[17];
        mos_hex_encode(id->bytes, 8, hex);
        return mos_fail(error, MOS_CORRUPT, "chunk %s… is in no readable pack of backups/%s", hex, reader->backup_id);
    }
    const struct mos_frame *frame = &reader->frames[place.pack][place.value];
    struct mos_cached_chunk *cached = mos_malloc(sizeof(*cached) + frame->plain_bytes);
    *cached = (struct mos_cached_chunk){.chunk = {.data = cached->data, .size_bytes = frame->plain_bytes}, .id = *id};
    atomic_store(&cached->references, 1);
    mos_status status = read_frame(reader, &place, frame, cached->data, error);
    if (status != MOS_OK) {
        free(cached);
        return status;
    }
    keep_cached(reader, cached);
    *out = &cached->chunk;
    return MOS_OK;
}

mos_status mos_reader_chunk(mos_reader *reader, const struct mos_chunk_id *id, const struct mos_chunk **out, struct mos_error *error) {
    return mos_reader_chunk_in(reader, id, MOS_NO_PACK, out, error);
}

static struct mos_chunk_id id_of(const ProtobufCBinaryData *bytes) {
    struct mos_chunk_id id;
    memcpy(id.bytes, bytes->data, sizeof(id.bytes));
    return id;
}

mos_status mos_reader_part(mos_reader *reader, const Mosaajii__Engine__V1__TreeChunk *part, const struct mos_chunk **out,
                           struct mos_error *error) {
    struct mos_chunk_id id = id_of(&part->chunk_id);
    mos_status status = mos_reader_chunk_in(reader, &id, part->pack, out, error);
    if (status == MOS_OK || part->copy_id.len == 0) {
        return status;
    }
    // What is told is why the part itself cannot be read.
    struct mos_chunk_id copy = id_of(&part->copy_id);
    return mos_reader_chunk_in(reader, &copy, part->copy_pack, out, NULL) == MOS_OK ? MOS_OK : status;
}
