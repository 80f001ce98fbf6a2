#include "engine/repo/moved.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/files.h"
#include "engine/repo/key_object.h"

#define HEADER_BYTES 34u
#define NONCE_AT 22
// Least size of a pack's line.
#define LINE_BYTES (MOS_PACK_ID_BYTES + 1 + MOS_HASH_BYTES + MOS_KEY_BYTES + 2)
#define OBJECT_LIMIT_BYTES (MOS_MOVED_MAX_PACKS * (LINE_BYTES + 32u) + 4096u)
// Of one backup, however its packs were moved about.
#define MOST_PACKS (1u << 20)

static const uint8_t magic[4] = {'M', 'M', 'O', 'V'};

void mos_moved_name(const uint8_t id[MOS_PACK_ID_BYTES], char out_name[MOS_OBJECT_NAME_BYTES]) {
    char hex[2 * MOS_PACK_ID_BYTES + 1];
    mos_hex_encode(id, MOS_PACK_ID_BYTES, hex);
    snprintf(out_name, MOS_OBJECT_NAME_BYTES, "moved/%s", hex);
}

static mos_aead *moved_aead(const struct mos_pack *pack) {
    MOS_CLEANUP_KEY struct mos_key key;
    mos_derive(&pack->key, pack->id, sizeof(pack->id), "mosaajii 1 moved", key.bytes, sizeof(key.bytes));
    return mos_aead_create(&key);
}

mos_status mos_moved_write(int root, const struct mos_pack *pack, const struct mos_pack *targets, size_t count, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    uint8_t header[HEADER_BYTES];
    // Room for all of it, so that no copy of the keys is left behind by growing.
    mos_buffer_reserve(&object, HEADER_BYTES + 16 + count * (LINE_BYTES + 32) + MOS_AEAD_TAG_BYTES + MOS_HASH_BYTES);
    memcpy(header, magic, sizeof(magic));
    mos_put_u16(header + 4, MOS_REPOSITORY_FORMAT);
    memcpy(header + 6, pack->id, MOS_PACK_ID_BYTES);
    mos_random(header + NONCE_AT, MOS_AEAD_NONCE_BYTES);
    mos_buffer_append(&object, header, sizeof(header));
    mos_append_varint(&object, count);
    for (size_t i = 0; i < count; i++) {
        mos_buffer_append(&object, targets[i].id, MOS_PACK_ID_BYTES);
        mos_append_varint(&object, targets[i].size_bytes);
        mos_buffer_append(&object, targets[i].sha256, MOS_HASH_BYTES);
        mos_buffer_append(&object, targets[i].key.bytes, MOS_KEY_BYTES);
        mos_append_varint(&object, targets[i].footer_bytes);
        mos_append_varint(&object, targets[i].frame_count);
    }
    uint8_t *plain = object.data + HEADER_BYTES;
    size_t plain_bytes = object.size_bytes - HEADER_BYTES;
    mos_aead *aead = moved_aead(pack);
    mos_aead_seal(aead, header + NONCE_AT, header, HEADER_BYTES, plain, plain_bytes, plain);
    mos_aead_destroy(aead);
    object.size_bytes += MOS_AEAD_TAG_BYTES;
    uint8_t digest[MOS_HASH_BYTES];
    mos_sha256(object.data, object.size_bytes, digest);
    mos_buffer_append(&object, digest, sizeof(digest));
    char name[MOS_OBJECT_NAME_BYTES];
    mos_moved_name(pack->id, name);
    return mos_file_write(root, name, object.data, object.size_bytes, error);
}

void mos_packs_free(struct mos_pack *packs, size_t count) {
    mos_secret_free(packs, (count + 1) * sizeof(*packs));
}

bool mos_moved_decode(const uint8_t *plain, size_t size_bytes, struct mos_pack **out, size_t *out_count) {
    struct mos_cursor cursor = {.next = plain, .left_bytes = size_bytes};
    size_t count = (size_t)mos_cursor_varint_max(&cursor, MOS_MOVED_MAX_PACKS);
    if (cursor.failed || count > cursor.left_bytes / LINE_BYTES) {
        return false;
    }
    struct mos_pack *packs = mos_secret_alloc((count + 1) * sizeof(*packs));
    bool valid = true;
    for (size_t i = 0; i < count && valid; i++) {
        const uint8_t *id = mos_cursor_bytes(&cursor, MOS_PACK_ID_BYTES);
        packs[i].size_bytes = mos_cursor_varint_max(&cursor, MOS_PACK_LIMIT_BYTES);
        const uint8_t *hash = mos_cursor_bytes(&cursor, MOS_HASH_BYTES);
        const uint8_t *key = mos_cursor_bytes(&cursor, MOS_KEY_BYTES);
        packs[i].footer_bytes = (uint32_t)mos_cursor_varint_max(&cursor, MOS_PACK_FOOTER_LIMIT_BYTES);
        packs[i].frame_count = (uint32_t)mos_cursor_varint_max(&cursor, MOS_PACK_MAX_FRAMES);
        valid = !cursor.failed && id && hash && key && packs[i].footer_bytes > MOS_AEAD_TAG_BYTES &&
                packs[i].size_bytes >= MOS_PACK_HEADER_BYTES + (uint64_t)packs[i].footer_bytes + MOS_PACK_TRAILER_BYTES;
        if (valid) {
            memcpy(packs[i].id, id, MOS_PACK_ID_BYTES);
            memcpy(packs[i].sha256, hash, MOS_HASH_BYTES);
            memcpy(packs[i].key.bytes, key, MOS_KEY_BYTES);
        }
    }
    if (!valid || cursor.left_bytes != 0) {
        mos_packs_free(packs, count);
        return false;
    }
    *out = packs;
    *out_count = count;
    return true;
}

mos_status mos_moved_read(int root, const struct mos_pack *pack, struct mos_pack **out, size_t *out_count, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    mos_moved_name(pack->id, name);
    mos_status status = mos_file_read(root, name, OBJECT_LIMIT_BYTES, &object, error);
    if (status != MOS_OK) {
        return status;
    }
    if (object.size_bytes < HEADER_BYTES + MOS_AEAD_TAG_BYTES + MOS_HASH_BYTES || memcmp(object.data, magic, sizeof(magic)) != 0 ||
        mos_get_u16(object.data + 4) != MOS_REPOSITORY_FORMAT || memcmp(object.data + 6, pack->id, MOS_PACK_ID_BYTES) != 0 ||
        !mos_object_digest_fits(object.data, object.size_bytes)) {
        return mos_fail(error, MOS_CORRUPT, "the object %s is damaged", name);
    }
    uint8_t *sealed = object.data + HEADER_BYTES;
    size_t sealed_bytes = object.size_bytes - HEADER_BYTES - MOS_HASH_BYTES;
    mos_aead *aead = moved_aead(pack);
    bool valid = mos_aead_open(aead, object.data + NONCE_AT, object.data, HEADER_BYTES, sealed, sealed_bytes, sealed) &&
                 mos_moved_decode(sealed, sealed_bytes - MOS_AEAD_TAG_BYTES, out, out_count);
    mos_aead_destroy(aead);
    mos_wipe(sealed, sealed_bytes);
    return valid ? MOS_OK : mos_fail(error, MOS_CORRUPT, "the object %s does not open", name);
}

// ---- Lists ----

// Pack ids are random, so the first bytes are as good a hash as those of a chunk id.
static struct mos_chunk_id padded(const uint8_t id[MOS_PACK_ID_BYTES]) {
    struct mos_chunk_id key = {0};
    memcpy(key.bytes, id, MOS_PACK_ID_BYTES);
    return key;
}

uint32_t mos_pack_list_find(const struct mos_pack_list *list, const uint8_t id[MOS_PACK_ID_BYTES]) {
    struct mos_chunk_id key = padded(id);
    const struct mos_chunk_place *place = list->positions ? mos_chunk_map_find(list->positions, &key) : NULL;
    return place ? place->pack : MOS_NO_PACK;
}

size_t mos_pack_list_add(struct mos_pack_list *list, const struct mos_pack *pack, bool *out_added) {
    uint32_t found = mos_pack_list_find(list, pack->id);
    *out_added = found == MOS_NO_PACK;
    if (found != MOS_NO_PACK) {
        return found;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 32;
        struct mos_pack *packs = mos_secret_alloc(capacity * sizeof(*packs));
        if (list->count) {
            memcpy(packs, list->packs, list->count * sizeof(*packs));
        }
        mos_secret_free(list->packs, list->capacity * sizeof(*packs));
        list->packs = packs;
        list->capacity = capacity;
    }
    if (!list->positions) {
        list->positions = mos_calloc(1, sizeof(*list->positions));
    }
    struct mos_chunk_id key = padded(pack->id);
    mos_chunk_map_insert(list->positions, &key, (uint32_t)list->count, 0);
    list->packs[list->count] = *pack;
    return list->count++;
}

void mos_pack_list_free(struct mos_pack_list *list) {
    mos_secret_free(list->packs, list->capacity * sizeof(*list->packs));
    if (list->positions) {
        mos_chunk_map_free(list->positions);
        free(list->positions);
    }
    *list = (struct mos_pack_list){0};
}

// One pack on the way: added to the list where it counts itself, and the packs behind it to `met`.
static void step(struct mos_pack_list *list, struct mos_pack_list *met, int root, const struct mos_pack *pack, bool all, uint32_t *first) {
    struct mos_pack *targets = NULL;
    size_t count = 0;
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size;
    bool added;
    mos_pack_name(pack->id, name);
    bool there = mos_file_size(root, name, &size, NULL) != MOS_NOT_FOUND;
    bool moved = (all || !there) && mos_moved_read(root, pack, &targets, &count, NULL) == MOS_OK;
    if (all || there || !moved) {
        size_t position = mos_pack_list_add(list, pack, &added);
        *first = *first == MOS_NO_PACK ? (uint32_t)position : *first;
    }
    for (size_t i = 0; i < count; i++) {
        mos_pack_list_add(met, &targets[i], &added);
    }
    if (moved) {
        mos_packs_free(targets, count);
    }
}

mos_status mos_pack_list_follow(struct mos_pack_list *list, int root, const struct mos_pack *pack, bool all, uint32_t *out_first,
                                struct mos_error *error) {
    // What is met on the way, so that a circle ends. Most packs were never moved and meet nothing.
    struct mos_pack_list met = {0};
    mos_status status = MOS_OK;
    uint32_t first = MOS_NO_PACK;
    step(list, &met, root, pack, all, &first);
    for (size_t next = 0; next < met.count && status == MOS_OK; next++) {
        struct mos_pack at = met.packs[next];
        if (memcmp(at.id, pack->id, sizeof(at.id)) != 0) {
            step(list, &met, root, &at, all, &first);
        }
        mos_key_wipe(&at.key);
        if (met.count > MOST_PACKS || list->count > MOST_PACKS) {
            status = mos_fail(error, MOS_CORRUPT, "a backup's packs were moved to more packs than the format allows");
        }
    }
    mos_pack_list_free(&met);
    if (out_first) {
        *out_first = first;
    }
    return status;
}
