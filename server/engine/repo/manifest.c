#include "engine/repo/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "engine/repo/key_object.h"
#include "engine/repo/tree.h"

#define ID_AT 6
#define NONCE_AT 22
#define SIZE_AT 34

void mos_manifest_name(const char *backup_id, char out_name[MOS_OBJECT_NAME_BYTES]) {
    snprintf(out_name, MOS_OBJECT_NAME_BYTES, "backups/%s", backup_id);
}

void mos_backup_keys_name(const char *backup_id, char out_name[MOS_OBJECT_NAME_BYTES]) {
    snprintf(out_name, MOS_OBJECT_NAME_BYTES, "keys/%s", backup_id);
}

static mos_aead *manifest_aead(const char *backup_id, const struct mos_key *data_key) {
    uint8_t id[16] = {0};
    mos_id_parse(backup_id, id);
    MOS_CLEANUP_KEY struct mos_key key;
    mos_derive(data_key, id, sizeof(id), "mosaajii 1 manifest", key.bytes, sizeof(key.bytes));
    return mos_aead_create(&key);
}

mos_status mos_manifest_seal(const Mosaajii__Engine__V1__Manifest *manifest, const char *backup_id, const struct mos_key *data_key,
                             struct mos_buffer *out, struct mos_error *error) {
    size_t plain_bytes = mosaajii__engine__v1__manifest__get_packed_size(manifest);
    size_t sealed_bytes = plain_bytes + MOS_AEAD_TAG_BYTES;
    size_t total = MOS_MANIFEST_HEADER_BYTES + sealed_bytes + MOS_HASH_BYTES;
    if (total > MOS_MANIFEST_LIMIT_BYTES) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the backup is too large for one manifest");
    }
    mos_buffer_reserve(out, total);
    uint8_t *object = out->data + out->size_bytes;
    memcpy(object, "MMAN", 4);
    mos_put_u16(object + 4, MOS_REPOSITORY_FORMAT);
    mos_id_parse(backup_id, object + ID_AT);
    mos_random(object + NONCE_AT, MOS_AEAD_NONCE_BYTES);
    mos_put_u64(object + SIZE_AT, sealed_bytes);
    // Packed where it will be sealed in place, so that no copy of the pack keys stays behind.
    uint8_t *sealed = object + MOS_MANIFEST_HEADER_BYTES;
    mosaajii__engine__v1__manifest__pack(manifest, sealed);
    mos_aead *aead = manifest_aead(backup_id, data_key);
    mos_aead_seal(aead, object + NONCE_AT, object, MOS_MANIFEST_HEADER_BYTES, sealed, plain_bytes, sealed);
    mos_aead_destroy(aead);
    mos_sha256(object, total - MOS_HASH_BYTES, object + total - MOS_HASH_BYTES);
    out->size_bytes += total;
    return MOS_OK;
}

void mos_manifest_examine(const uint8_t *object, size_t size_bytes, bool *out_size_valid, bool *out_checksum_valid) {
    size_t overhead = MOS_MANIFEST_HEADER_BYTES + MOS_HASH_BYTES;
    *out_size_valid = false;
    *out_checksum_valid = false;
    if (size_bytes < overhead + MOS_AEAD_TAG_BYTES) {
        return;
    }
    *out_checksum_valid = mos_object_digest_fits(object, size_bytes);
    *out_size_valid = mos_get_u64(object + SIZE_AT) == size_bytes - overhead;
    if (!*out_size_valid) {
        // Cut short, or is only the field itself changed?
        mos_hasher *hasher = mos_hasher_create();
        uint8_t size[8];
        uint8_t digest[MOS_HASH_BYTES];
        mos_put_u64(size, size_bytes - overhead);
        mos_hasher_update(hasher, object, SIZE_AT);
        mos_hasher_update(hasher, size, sizeof(size));
        mos_hasher_update(hasher, object + MOS_MANIFEST_HEADER_BYTES, size_bytes - overhead);
        mos_hasher_finish(hasher, digest);
        mos_hasher_destroy(hasher);
        *out_size_valid = memcmp(digest, object + size_bytes - MOS_HASH_BYTES, MOS_HASH_BYTES) == 0;
    }
}

mos_status mos_manifest_open(const uint8_t *object, size_t size_bytes, const char *backup_id, const struct mos_key *data_key,
                             mos_arena *arena, Mosaajii__Engine__V1__Manifest **out, struct mos_error *error) {
    uint8_t id[16] = {0};
    mos_id_parse(backup_id, id);
    if (size_bytes < MOS_MANIFEST_HEADER_BYTES + MOS_AEAD_TAG_BYTES + MOS_HASH_BYTES || size_bytes > MOS_MANIFEST_LIMIT_BYTES ||
        memcmp(object, "MMAN", 4) != 0 || memcmp(object + ID_AT, id, sizeof(id)) != 0) {
        return mos_fail(error, MOS_CORRUPT, "backups/%s is not a whole manifest of this backup", backup_id);
    }
    if (mos_get_u16(object + 4) != MOS_REPOSITORY_FORMAT) {
        return mos_fail(error, MOS_CORRUPT, "backups/%s has format version %u, which this program does not know", backup_id,
                        mos_get_u16(object + 4));
    }
    size_t sealed_bytes = size_bytes - MOS_MANIFEST_HEADER_BYTES - MOS_HASH_BYTES;
    size_t plain_bytes = sealed_bytes - MOS_AEAD_TAG_BYTES;
    uint8_t *plain = mos_secret_alloc(plain_bytes);
    mos_aead *aead = manifest_aead(backup_id, data_key);
    bool opened =
        mos_aead_open(aead, object + NONCE_AT, object, MOS_MANIFEST_HEADER_BYTES, object + MOS_MANIFEST_HEADER_BYTES, sealed_bytes, plain);
    mos_aead_destroy(aead);
    mos_status status = opened ? mos_manifest_decode(plain, plain_bytes, arena, out, error)
                               : mos_fail(error, MOS_CORRUPT, "backups/%s does not open", backup_id);
    mos_secret_free(plain, plain_bytes);
    if (status == MOS_OK && strcmp((*out)->info->id, backup_id) != 0) {
        mos_manifest_wipe(*out);
        status = mos_fail(error, MOS_CORRUPT, "backups/%s holds the facts of another backup", backup_id);
    }
    return status;
}

static const char *check_packs(const Mosaajii__Engine__V1__Manifest *manifest) {
    for (size_t i = 0; i < manifest->n_packs; i++) {
        const Mosaajii__Engine__V1__Pack *pack = manifest->packs[i];
        if (pack->id.len != MOS_PACK_ID_BYTES || pack->sha256.len != MOS_HASH_BYTES || pack->key.len != MOS_KEY_BYTES) {
            return "a pack has an id, hash or key of a wrong length";
        }
        if (pack->frames > MOS_PACK_MAX_FRAMES || pack->footer_size <= MOS_AEAD_TAG_BYTES ||
            pack->footer_size > MOS_PACK_FOOTER_LIMIT_BYTES || pack->size > MOS_PACK_LIMIT_BYTES ||
            pack->size < MOS_PACK_HEADER_BYTES + (uint64_t)pack->footer_size + MOS_PACK_TRAILER_BYTES) {
            return "a pack has an impossible size";
        }
    }
    return NULL;
}

static const char *check_tree(const Mosaajii__Engine__V1__Manifest *manifest) {
    mos_hasher *hasher = mos_hasher_create();
    uint8_t digest[MOS_HASH_BYTES];
    const char *fault = NULL;
    for (size_t i = 0; i < manifest->n_tree && !fault; i++) {
        const Mosaajii__Engine__V1__TreeChunk *chunk = manifest->tree[i];
        const char *path = (const char *)chunk->first_path.data;
        if (chunk->chunk_id.len != MOS_CHUNK_ID_BYTES || chunk->pack >= manifest->n_packs) {
            fault = "a part of the tree has no place";
        } else if (chunk->copy_id.len != 0 && (chunk->copy_id.len != MOS_CHUNK_ID_BYTES || chunk->copy_pack >= manifest->n_packs)) {
            fault = "the copy of a part of the tree has no place";
        } else if (!mos_path_valid(path, chunk->first_path.len)) {
            fault = "a part of the tree begins with an impossible path";
        } else if (i > 0 && mos_path_compare((const char *)manifest->tree[i - 1]->first_path.data, manifest->tree[i - 1]->first_path.len,
                                             path, chunk->first_path.len) >= 0) {
            fault = "the parts of the tree are not in order";
        } else {
            mos_hasher_update(hasher, chunk->chunk_id.data, chunk->chunk_id.len);
        }
    }
    mos_hasher_finish(hasher, digest);
    mos_hasher_destroy(hasher);
    if (!fault &&
        (manifest->content_checksum.len != sizeof(digest) || memcmp(manifest->content_checksum.data, digest, sizeof(digest)) != 0)) {
        fault = "the checksum of the tree does not fit";
    }
    return fault;
}

mos_status mos_manifest_decode(const uint8_t *plain, size_t size_bytes, mos_arena *arena, Mosaajii__Engine__V1__Manifest **out,
                               struct mos_error *error) {
    if (size_bytes > MOS_MANIFEST_LIMIT_BYTES) {
        return mos_fail(error, MOS_CORRUPT, "the manifest is larger than the format allows");
    }
    Mosaajii__Engine__V1__Manifest *manifest = mosaajii__engine__v1__manifest__unpack(mos_arena_allocator(arena), size_bytes, plain);
    const char *fault = NULL;
    const char *field = NULL;
    if (!manifest || !manifest->info) {
        fault = "it is not a manifest";
    } else if (!mos_message_utf8_valid(&manifest->base, &field) || !mos_id_valid(manifest->info->id)) {
        fault = "its facts hold text that is none";
    } else if (manifest->repository_id.len != 16) {
        fault = "it names no repository";
    }
    fault = fault ? fault : check_packs(manifest);
    fault = fault ? fault : check_tree(manifest);
    if (fault) {
        if (manifest) {
            mos_manifest_wipe(manifest);
        }
        return mos_fail(error, MOS_CORRUPT, "the manifest breaks the format: %s", fault);
    }
    *out = manifest;
    return MOS_OK;
}

void mos_manifest_pack(const Mosaajii__Engine__V1__Pack *from, struct mos_pack *out) {
    memcpy(out->id, from->id.data, sizeof(out->id));
    memcpy(out->sha256, from->sha256.data, sizeof(out->sha256));
    memcpy(out->key.bytes, from->key.data, sizeof(out->key.bytes));
    out->size_bytes = from->size;
    out->footer_bytes = from->footer_size;
    out->frame_count = from->frames;
}

void mos_manifest_wipe(Mosaajii__Engine__V1__Manifest *manifest) {
    for (size_t i = 0; i < manifest->n_packs; i++) {
        mos_wipe(manifest->packs[i]->key.data, manifest->packs[i]->key.len);
    }
}
