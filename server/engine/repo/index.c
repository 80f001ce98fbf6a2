#include "engine/repo/index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"
#include "engine/repo/aside.h"
#include "engine/repo/files.h"
#include "engine/repo/repository_internal.h"

#define MAIN "index/main"
#define MAIN_HEADER_BYTES 34
#define PACK_LINE_BYTES 124
#define CHUNK_LINE_BYTES 40
#define SEALED_KEY_BYTES (MOS_KEY_BYTES + MOS_AEAD_TAG_BYTES)
#define ENTRY_HEADER_BYTES 34
#define ENTRY_SEALED_FROM 22
#define ENTRY_LIMIT_BYTES (MOS_PACK_FOOTER_LIMIT_BYTES + 4096)
#define BUCKETS 65536

// Offsets in a pack's line.
enum { LINE_SIZE = 16, LINE_FOOTER = 24, LINE_FRAMES = 28, LINE_HASH = 32, LINE_NONCE = 64, LINE_KEY = 76 };

struct mos_index {
    void *map;
    size_t map_bytes;
    const uint8_t *packs;
    size_t pack_count;
    const uint8_t *chunks;
    size_t chunk_count;
    // First chunk whose id begins with a number at or above; one more at the end.
    uint32_t *buckets;
    mos_aead *aead;
};

static size_t bucket_of(const uint8_t *id) {
    return (size_t)id[0] << 8 | id[1];
}

void mos_index_close(mos_index *index) {
    if (index) {
        if (index->map) {
            munmap(index->map, index->map_bytes);
        }
        free(index->buckets);
        mos_aead_destroy(index->aead);
        free(index);
    }
}

bool mos_index_find(const mos_index *index, const struct mos_chunk_id *id, struct mos_index_hit *out) {
    size_t low = index->buckets[bucket_of(id->bytes)];
    size_t high = index->buckets[bucket_of(id->bytes) + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint8_t *line = index->chunks + middle * CHUNK_LINE_BYTES;
        int order = memcmp(line, id->bytes, MOS_CHUNK_ID_BYTES);
        if (order == 0) {
            *out = (struct mos_index_hit){.pack = mos_get_u32(line + 32), .sealed_bytes = mos_get_u32(line + 36)};
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

size_t mos_index_pack_count(const mos_index *index) {
    return index->pack_count;
}

size_t mos_index_chunk_count(const mos_index *index) {
    return index->chunk_count;
}

bool mos_index_has_pack(const mos_index *index, const uint8_t id[MOS_PACK_ID_BYTES]) {
    for (size_t i = 0; i < index->pack_count; i++) {
        if (memcmp(index->packs + i * PACK_LINE_BYTES, id, MOS_PACK_ID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

mos_status mos_index_pack(const mos_index *index, uint32_t number, struct mos_pack *out, struct mos_error *error) {
    const uint8_t *line = index->packs + (size_t)number * PACK_LINE_BYTES;
    memcpy(out->id, line, MOS_PACK_ID_BYTES);
    out->size_bytes = mos_get_u64(line + LINE_SIZE);
    out->footer_bytes = mos_get_u32(line + LINE_FOOTER);
    out->frame_count = mos_get_u32(line + LINE_FRAMES);
    memcpy(out->sha256, line + LINE_HASH, MOS_HASH_BYTES);
    if (!mos_aead_open(index->aead, line + LINE_NONCE, line, MOS_PACK_ID_BYTES, line + LINE_KEY, SEALED_KEY_BYTES, out->key.bytes)) {
        return mos_fail(error, MOS_CORRUPT, "the index holds a pack key that does not open");
    }
    return MOS_OK;
}

// Checks a mapped main index and finds its tables. The MAC stands for the content; the sizes are checked all the same.
static bool examine(const mos_repository *repository, mos_index *index) {
    const uint8_t *map = index->map;
    if (index->map_bytes < MAIN_HEADER_BYTES + MOS_HASH_BYTES || memcmp(map, "MIXM", 4) != 0 ||
        mos_get_u16(map + 4) != MOS_REPOSITORY_FORMAT || memcmp(map + 6, repository->id, 16) != 0) {
        return false;
    }
    uint64_t packs = mos_get_u32(map + 22);
    uint64_t chunks = mos_get_u64(map + 26);
    uint64_t space = index->map_bytes - MAIN_HEADER_BYTES - MOS_HASH_BYTES;
    if (packs > space / PACK_LINE_BYTES || chunks > UINT32_MAX || chunks > space / CHUNK_LINE_BYTES ||
        packs * PACK_LINE_BYTES + chunks * CHUNK_LINE_BYTES != space) {
        return false;
    }
    uint8_t mac[MOS_HASH_BYTES];
    mos_hmac(&repository->keys->index_mac, map, index->map_bytes - MOS_HASH_BYTES, mac);
    if (!mos_secret_equal(mac, map + index->map_bytes - MOS_HASH_BYTES, MOS_HASH_BYTES)) {
        return false;
    }
    index->packs = map + MAIN_HEADER_BYTES;
    index->pack_count = packs;
    index->chunks = index->packs + packs * PACK_LINE_BYTES;
    index->chunk_count = chunks;
    return true;
}

static void fill_buckets(mos_index *index) {
    index->buckets = mos_calloc(BUCKETS + 1, sizeof(*index->buckets));
    size_t bucket = 0;
    for (size_t i = 0; i < index->chunk_count; i++) {
        for (size_t next = bucket_of(index->chunks + i * CHUNK_LINE_BYTES); bucket < next;) {
            index->buckets[++bucket] = (uint32_t)i;
        }
    }
    while (bucket < BUCKETS) {
        index->buckets[++bucket] = (uint32_t)index->chunk_count;
    }
}

// *out_valid false: there is none, or it is not ours; *out is then empty but usable.
static mos_status map_main(const mos_repository *repository, mos_index **out, bool *out_valid, struct mos_error *error) {
    mos_index *index = mos_calloc(1, sizeof(*index));
    index->aead = mos_aead_create(&repository->keys->index);
    *out_valid = false;
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size = 0;
    mos_status status = mos_file_open(repository->root, MAIN, &descriptor, &size, error);
    if (status == MOS_OK && size > 0) {
        index->map_bytes = (size_t)size;
        index->map = mmap(NULL, index->map_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (index->map == MAP_FAILED) {
            index->map = NULL;
            status = mos_fail_errno(error, errno, "the index cannot be mapped");
        } else {
            *out_valid = examine(repository, index);
        }
    }
    if (status == MOS_OK && !*out_valid) {
        mos_log_warning("index is damaged, it is made anew", MOS_TEXT("repository", repository->path));
    }
    if (status != MOS_OK && status != MOS_NOT_FOUND && status != MOS_CORRUPT) {
        mos_index_close(index);
        return status;
    }
    fill_buckets(index);
    *out = index;
    return MOS_OK;
}

// What the next main index is made of.
struct builder {
    const mos_repository *repository;
    mos_aead *aead;
    struct mos_buffer packs;
    struct mos_buffer chunks;
    const uint8_t *unwanted;
    size_t unwanted_count;
    struct mos_aside aside;
    // Whether it differs from the present one.
    bool changed;
};

// The pack is wanted, not set aside, there, and has its size.
static bool keep_pack(struct builder *builder, const uint8_t *id, uint64_t size_bytes) {
    if (mos_aside_has(&builder->aside, id)) {
        return false;
    }
    for (size_t i = 0; i < builder->unwanted_count; i++) {
        if (memcmp(builder->unwanted + i * MOS_PACK_ID_BYTES, id, MOS_PACK_ID_BYTES) == 0) {
            return false;
        }
    }
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size = 0;
    mos_pack_name(id, name);
    return mos_file_size(builder->repository->root, name, &size, NULL) == MOS_OK && (uint64_t)size == size_bytes;
}

static void add_chunk(struct builder *builder, const uint8_t *id, uint32_t pack, uint32_t sealed_bytes) {
    uint8_t line[CHUNK_LINE_BYTES];
    memcpy(line, id, MOS_CHUNK_ID_BYTES);
    mos_put_u32(line + 32, pack);
    mos_put_u32(line + 36, sealed_bytes);
    mos_buffer_append(&builder->chunks, line, sizeof(line));
}

static void take_main(struct builder *builder, const mos_index *index) {
    MOS_CLEANUP_FREE uint32_t *numbers = mos_calloc(index->pack_count + 1, sizeof(*numbers));
    uint32_t kept = 0;
    for (size_t i = 0; i < index->pack_count; i++) {
        const uint8_t *line = index->packs + i * PACK_LINE_BYTES;
        bool keep = keep_pack(builder, line, mos_get_u64(line + LINE_SIZE));
        numbers[i] = keep ? kept++ : UINT32_MAX;
        if (keep) {
            mos_buffer_append(&builder->packs, line, PACK_LINE_BYTES);
        }
    }
    builder->changed = builder->changed || kept != index->pack_count;
    for (size_t i = 0; i < index->chunk_count; i++) {
        const uint8_t *line = index->chunks + i * CHUNK_LINE_BYTES;
        uint32_t pack = mos_get_u32(line + 32);
        if (pack < index->pack_count && numbers[pack] != UINT32_MAX) {
            add_chunk(builder, line, numbers[pack], mos_get_u32(line + 36));
        } else {
            builder->changed = true;
        }
    }
}

static void take_pack(struct builder *builder, const struct mos_pack *pack, const struct mos_frame *frames) {
    uint8_t line[PACK_LINE_BYTES];
    uint32_t number = (uint32_t)(builder->packs.size_bytes / PACK_LINE_BYTES);
    memcpy(line, pack->id, MOS_PACK_ID_BYTES);
    mos_put_u64(line + LINE_SIZE, pack->size_bytes);
    mos_put_u32(line + LINE_FOOTER, pack->footer_bytes);
    mos_put_u32(line + LINE_FRAMES, pack->frame_count);
    memcpy(line + LINE_HASH, pack->sha256, MOS_HASH_BYTES);
    mos_random(line + LINE_NONCE, MOS_AEAD_NONCE_BYTES);
    mos_aead_seal(builder->aead, line + LINE_NONCE, line, MOS_PACK_ID_BYTES, pack->key.bytes, MOS_KEY_BYTES, line + LINE_KEY);
    mos_buffer_append(&builder->packs, line, sizeof(line));
    for (uint32_t i = 0; i < pack->frame_count; i++) {
        add_chunk(builder, frames[i].id.bytes, number, frames[i].sealed_bytes);
    }
    builder->changed = true;
}

static int compare_chunks(const void *a, const void *b) {
    int order = memcmp(a, b, MOS_CHUNK_ID_BYTES);
    uint32_t pack_a = mos_get_u32((const uint8_t *)a + 32);
    uint32_t pack_b = mos_get_u32((const uint8_t *)b + 32);
    return order ? order : pack_a < pack_b ? -1 : pack_a > pack_b;
}

static mos_status write_main(struct builder *builder, struct mos_error *error) {
    size_t count = builder->chunks.size_bytes / CHUNK_LINE_BYTES;
    if (count > 0) {
        qsort(builder->chunks.data, count, CHUNK_LINE_BYTES, compare_chunks);
    }
    // Two backups at once may have stored the same chunk: one place is enough.
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t *line = builder->chunks.data + i * CHUNK_LINE_BYTES;
        if (distinct == 0 || memcmp(line, builder->chunks.data + (distinct - 1) * CHUNK_LINE_BYTES, MOS_CHUNK_ID_BYTES) != 0) {
            memmove(builder->chunks.data + distinct++ * CHUNK_LINE_BYTES, line, CHUNK_LINE_BYTES);
        }
    }
    MOS_CLEANUP_BUFFER struct mos_buffer main = {0};
    mos_buffer_reserve(&main, MAIN_HEADER_BYTES + builder->packs.size_bytes + distinct * CHUNK_LINE_BYTES + MOS_HASH_BYTES);
    uint8_t header[MAIN_HEADER_BYTES];
    memcpy(header, "MIXM", 4);
    mos_put_u16(header + 4, MOS_REPOSITORY_FORMAT);
    memcpy(header + 6, builder->repository->id, 16);
    mos_put_u32(header + 22, (uint32_t)(builder->packs.size_bytes / PACK_LINE_BYTES));
    mos_put_u64(header + 26, distinct);
    mos_buffer_append(&main, header, sizeof(header));
    mos_buffer_append(&main, builder->packs.data, builder->packs.size_bytes);
    mos_buffer_append(&main, builder->chunks.data, distinct * CHUNK_LINE_BYTES);
    uint8_t mac[MOS_HASH_BYTES];
    mos_hmac(&builder->repository->keys->index_mac, main.data, main.size_bytes, mac);
    mos_buffer_append(&main, mac, sizeof(mac));
    return mos_file_write(builder->repository->root, MAIN, main.data, main.size_bytes, error);
}

bool mos_index_entry_decode(const uint8_t *plain, size_t size_bytes, struct mos_pack *out_pack, struct mos_frame **out_frames) {
    struct mos_cursor cursor = {.next = plain, .left_bytes = size_bytes};
    struct mos_pack pack = {0};
    pack.size_bytes = mos_cursor_varint_max(&cursor, MOS_PACK_LIMIT_BYTES);
    const uint8_t *hash = mos_cursor_bytes(&cursor, MOS_HASH_BYTES);
    const uint8_t *key = mos_cursor_bytes(&cursor, MOS_KEY_BYTES);
    pack.footer_bytes = (uint32_t)mos_cursor_varint_max(&cursor, MOS_PACK_FOOTER_LIMIT_BYTES);
    struct mos_frame *frames = NULL;
    size_t count = 0;
    if (!hash || !key || !mos_frames_decode(&cursor, &frames, &count)) {
        return false;
    }
    uint64_t end = count ? frames[count - 1].offset_bytes + frames[count - 1].sealed_bytes : MOS_PACK_HEADER_BYTES;
    if (cursor.left_bytes != 0 || pack.footer_bytes <= MOS_AEAD_TAG_BYTES ||
        end + pack.footer_bytes + MOS_PACK_TRAILER_BYTES != pack.size_bytes) {
        free(frames);
        return false;
    }
    memcpy(pack.sha256, hash, MOS_HASH_BYTES);
    memcpy(pack.key.bytes, key, MOS_KEY_BYTES);
    memcpy(pack.id, out_pack->id, MOS_PACK_ID_BYTES);
    pack.frame_count = (uint32_t)count;
    *out_pack = pack;
    *out_frames = frames;
    return true;
}

static bool read_entry(const struct builder *builder, const char *name, struct mos_pack *pack, struct mos_frame **out_frames) {
    MOS_CLEANUP_BUFFER struct mos_buffer entry = {0};
    if (mos_file_read(builder->repository->root, name, ENTRY_LIMIT_BYTES, &entry, NULL) != MOS_OK ||
        entry.size_bytes < ENTRY_HEADER_BYTES + MOS_AEAD_TAG_BYTES || memcmp(entry.data, "MIDX", 4) != 0 ||
        memcmp(entry.data + 6, pack->id, MOS_PACK_ID_BYTES) != 0) {
        return false;
    }
    uint8_t *sealed = entry.data + ENTRY_HEADER_BYTES;
    size_t sealed_bytes = entry.size_bytes - ENTRY_HEADER_BYTES;
    bool valid =
        mos_aead_open(builder->aead, entry.data + ENTRY_SEALED_FROM, entry.data, ENTRY_SEALED_FROM, sealed, sealed_bytes, sealed) &&
        mos_index_entry_decode(sealed, sealed_bytes - MOS_AEAD_TAG_BYTES, pack, out_frames);
    mos_wipe(sealed, sealed_bytes);
    return valid;
}

static void take_entries(struct builder *builder, const struct mos_names *names, const mos_index *present) {
    for (size_t i = 0; i < names->count; i++) {
        struct mos_pack pack;
        struct mos_frame *frames = NULL;
        char name[MOS_OBJECT_NAME_BYTES + 256];
        snprintf(name, sizeof(name), "index/%s", names->names[i]);
        if (mos_hex_decode(names->names[i], pack.id, sizeof(pack.id)) && read_entry(builder, name, &pack, &frames) &&
            keep_pack(builder, pack.id, pack.size_bytes) && !mos_index_has_pack(present, pack.id)) {
            take_pack(builder, &pack, frames);
        }
        free(frames);
        mos_key_wipe(&pack.key);
    }
}

// Only after the main index that has their content is on disk.
static void remove_entries(const mos_repository *repository, const struct mos_names *names) {
    for (size_t i = 0; i < names->count; i++) {
        uint8_t id[MOS_PACK_ID_BYTES];
        if (mos_hex_decode(names->names[i], id, sizeof(id))) {
            char name[MOS_OBJECT_NAME_BYTES];
            snprintf(name, sizeof(name), "index/%s", names->names[i]);
            mos_file_remove(repository->root, name, NULL);
        }
    }
}

static mos_status update(const mos_repository *repository, const uint8_t *unwanted, size_t unwanted_count, mos_index **index,
                         bool *out_missing, struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(repository->root, "index", &names, error);
    if (status != MOS_OK) {
        return status;
    }
    bool valid = false;
    struct builder builder = {.repository = repository, .unwanted = unwanted, .unwanted_count = unwanted_count};
    builder.aead = mos_aead_create(&repository->keys->index);
    status = mos_aside_list(repository->root, &builder.aside, error);
    status = status == MOS_OK ? map_main(repository, index, &valid, error) : status;
    if (status == MOS_OK) {
        builder.changed = !valid;
        take_main(&builder, *index);
        take_entries(&builder, &names, *index);
        if (builder.changed) {
            mos_index_close(*index);
            *index = NULL;
            status = write_main(&builder, error);
            if (status == MOS_OK) {
                bool written = false;
                status = map_main(repository, index, &written, error);
            }
        }
        if (status == MOS_OK) {
            remove_entries(repository, &names);
        }
        *out_missing = !valid;
    }
    mos_aead_destroy(builder.aead);
    mos_aside_free(&builder.aside);
    mos_buffer_free(&builder.packs);
    mos_buffer_free(&builder.chunks);
    mos_names_free(&names);
    return status;
}

mos_status mos_index_open(const mos_repository *repository, mos_index **out, bool *out_missing, struct mos_error *error) {
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_lock_take(repository->root, MOS_LOCK_INDEX, true, true, &lock, error);
    return status == MOS_OK ? update(repository, NULL, 0, out, out_missing, error) : status;
}

mos_status mos_index_remove(const mos_repository *repository, const uint8_t *pack_ids, size_t count, struct mos_error *error) {
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = mos_lock_take(repository->root, MOS_LOCK_INDEX, true, true, &lock, error);
    mos_index *index = NULL;
    bool missing;
    if (status == MOS_OK) {
        status = update(repository, pack_ids, count, &index, &missing, error);
    }
    mos_index_close(index);
    return status;
}

mos_status mos_index_add(const mos_repository *repository, const struct mos_pack *pack, const struct mos_frame *frames,
                         struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer entry = {0};
    mos_buffer_reserve(&entry, ENTRY_HEADER_BYTES + 256 + (size_t)pack->frame_count * (MOS_CHUNK_ID_BYTES + 16));
    uint8_t header[ENTRY_HEADER_BYTES];
    memcpy(header, "MIDX", 4);
    mos_put_u16(header + 4, MOS_REPOSITORY_FORMAT);
    memcpy(header + 6, pack->id, MOS_PACK_ID_BYTES);
    mos_random(header + ENTRY_SEALED_FROM, MOS_AEAD_NONCE_BYTES);
    mos_buffer_append(&entry, header, sizeof(header));
    mos_append_varint(&entry, pack->size_bytes);
    mos_buffer_append(&entry, pack->sha256, MOS_HASH_BYTES);
    mos_buffer_append(&entry, pack->key.bytes, MOS_KEY_BYTES);
    mos_append_varint(&entry, pack->footer_bytes);
    mos_frames_encode(&entry, frames, pack->frame_count);
    size_t plain_bytes = entry.size_bytes - ENTRY_HEADER_BYTES;
    uint8_t *plain = entry.data + ENTRY_HEADER_BYTES;
    mos_aead *aead = mos_aead_create(&repository->keys->index);
    mos_aead_seal(aead, header + ENTRY_SEALED_FROM, header, ENTRY_SEALED_FROM, plain, plain_bytes, plain);
    mos_aead_destroy(aead);
    char hex[2 * MOS_PACK_ID_BYTES + 1];
    char name[MOS_OBJECT_NAME_BYTES];
    mos_hex_encode(pack->id, MOS_PACK_ID_BYTES, hex);
    snprintf(name, sizeof(name), "index/%s", hex);
    return mos_file_write(repository->root, name, entry.data, entry.size_bytes + MOS_AEAD_TAG_BYTES, error);
}
