#include "engine/repo/catalog_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/chunk/compress.h"
#include "engine/crypto/aead.h"
#include "engine/repo/bytes.h"
#include "engine/repo/files.h"
#include "engine/repo/repository_internal.h"

// Magic, version, nonce; behind it the sealed key of this copy.
enum { HEAD_BYTES = 4 + 2 + 12, SEALED_KEY_BYTES = 32 + MOS_AEAD_TAG_BYTES, START_BYTES = HEAD_BYTES + SEALED_KEY_BYTES };
// Before each frame: u32 sealed size, u32 plain size, u8 flags.
enum { FRAME_HEAD_BYTES = 9, FRAME_PLAIN_BYTES = 1 << 20 };
enum { FLAG_COMPRESSED = 1, FLAG_LAST = 2 };

static const uint8_t magic[4] = {'M', 'C', 'A', 'T'};

static mos_status check_name(const char *name, struct mos_error *error) {
    static const char folder[] = "catalog/";
    const char *digits = name + sizeof(folder) - 1;
    if (strncmp(name, folder, sizeof(folder) - 1) != 0 || strlen(digits) != 20 || strspn(digits, "0123456789") != 20) {
        return mos_fail_field(error, "name", "the name of a catalog's copy is \"%.64s\"; allowed is catalog/ and 20 digits", name);
    }
    return MOS_OK;
}

// What a frame is bound to: its place, and all that stands before it.
static void frame_binding(const uint8_t head[FRAME_HEAD_BYTES], uint64_t number, uint8_t out[FRAME_HEAD_BYTES + 8]) {
    memcpy(out, head, FRAME_HEAD_BYTES);
    mos_put_u64(out + FRAME_HEAD_BYTES, number);
}

// ---- Sealing ----

struct sealing {
    struct mos_new_file file;
    mos_hasher *hasher;
    mos_aead *aead;
    mos_compressor *compressor;
};

static mos_status put(struct sealing *sealing, const void *data, size_t size_bytes, struct mos_error *error) {
    mos_hasher_update(sealing->hasher, data, size_bytes);
    return mos_new_file_write(&sealing->file, data, size_bytes, error);
}

static mos_status put_start(struct sealing *sealing, const mos_repository *repository, struct mos_error *error) {
    uint8_t start[START_BYTES];
    MOS_CLEANUP_KEY struct mos_key key;
    mos_random(key.bytes, sizeof(key.bytes));
    memcpy(start, magic, sizeof(magic));
    mos_put_u16(start + 4, MOS_REPOSITORY_FORMAT);
    mos_random(start + 6, MOS_AEAD_NONCE_BYTES);
    mos_aead *aead = mos_aead_create(&repository->keys->catalog);
    mos_aead_seal(aead, start + 6, start, HEAD_BYTES, key.bytes, sizeof(key.bytes), start + HEAD_BYTES);
    mos_aead_destroy(aead);
    sealing->aead = mos_aead_create(&key);
    return put(sealing, start, sizeof(start), error);
}

static mos_status put_frame(struct sealing *sealing, uint64_t number, const uint8_t *plain, size_t plain_bytes, bool last, uint8_t *work,
                            struct mos_error *error) {
    uint8_t head[FRAME_HEAD_BYTES], binding[FRAME_HEAD_BYTES + 8], nonce[MOS_AEAD_NONCE_BYTES];
    const uint8_t *data = plain;
    size_t size_bytes = plain_bytes;
    bool compressed = mos_compress(sealing->compressor, plain, plain_bytes, &data, &size_bytes);
    data = compressed ? data : plain;
    size_bytes = compressed ? size_bytes : plain_bytes;
    mos_put_u32(head, (uint32_t)(size_bytes + MOS_AEAD_TAG_BYTES));
    mos_put_u32(head + 4, (uint32_t)plain_bytes);
    head[8] = (uint8_t)((compressed ? FLAG_COMPRESSED : 0) | (last ? FLAG_LAST : 0));
    frame_binding(head, number, binding);
    mos_aead_counter_nonce(number, nonce);
    mos_aead_seal(sealing->aead, nonce, binding, sizeof(binding), data, size_bytes, work);
    mos_status status = put(sealing, head, sizeof(head), error);
    return status == MOS_OK ? put(sealing, work, size_bytes + MOS_AEAD_TAG_BYTES, error) : status;
}

static mos_status fill(int source, const char *path, uint8_t *out, size_t *out_bytes, struct mos_error *error) {
    *out_bytes = 0;
    while (*out_bytes < FRAME_PLAIN_BYTES) {
        ssize_t got = read(source, out + *out_bytes, FRAME_PLAIN_BYTES - *out_bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return mos_fail_errno(error, errno, "reading %s", path);
        }
        if (got == 0) {
            break;
        }
        *out_bytes += (size_t)got;
    }
    return MOS_OK;
}

static mos_status put_all(struct sealing *sealing, int source, const char *path, struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *plain = mos_malloc(FRAME_PLAIN_BYTES);
    MOS_CLEANUP_FREE uint8_t *work = mos_malloc(FRAME_PLAIN_BYTES + MOS_AEAD_TAG_BYTES);
    size_t size_bytes = FRAME_PLAIN_BYTES;
    mos_status status = MOS_OK;
    for (uint64_t number = 0; status == MOS_OK && size_bytes == FRAME_PLAIN_BYTES; number++) {
        status = fill(source, path, plain, &size_bytes, error);
        if (status == MOS_OK) {
            status = put_frame(sealing, number, plain, size_bytes, size_bytes < FRAME_PLAIN_BYTES, work, error);
        }
    }
    return status;
}

mos_status mos_catalog_seal(const mos_repository *repository, const char *path, const char *name, struct mos_error *error) {
    mos_status status = check_name(name, error);
    if (status == MOS_OK) {
        status = mos_repository_writable(repository, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    int source = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (source < 0) {
        return mos_fail_errno(error, errno, "opening %s", path);
    }
    struct sealing sealing = {.hasher = mos_hasher_create(), .compressor = mos_compressor_create(3)};
    status = mos_new_file_begin(repository->root, &sealing.file, error);
    if (status == MOS_OK) {
        status = put_start(&sealing, repository, error);
        if (status == MOS_OK) {
            status = put_all(&sealing, source, path, error);
        }
        uint8_t digest[MOS_HASH_BYTES];
        mos_hasher_finish(sealing.hasher, digest);
        if (status == MOS_OK) {
            status = mos_new_file_write(&sealing.file, digest, sizeof(digest), error);
        }
        if (status == MOS_OK) {
            status = mos_new_file_commit(&sealing.file, name, error);
        } else {
            mos_new_file_abandon(&sealing.file);
        }
    }
    mos_aead_destroy(sealing.aead);
    mos_compressor_destroy(sealing.compressor);
    mos_hasher_destroy(sealing.hasher);
    close(source);
    return status;
}

// ---- Opening ----

struct opening {
    int source;
    int64_t at;
    // Behind the last frame.
    int64_t end;
    int target;
    const char *name;
    mos_aead *aead;
    mos_decompressor *decompressor;
};

static mos_status fail_damaged(const char *name, struct mos_error *error) {
    return mos_fail(error, MOS_CORRUPT, "the object %s is damaged or was sealed by another repository", name);
}

static mos_status take(struct opening *opening, void *out, size_t size_bytes, struct mos_error *error) {
    if (opening->end - opening->at < (int64_t)size_bytes) {
        return fail_damaged(opening->name, error);
    }
    mos_status status = mos_file_read_at(opening->source, opening->name, out, size_bytes, opening->at, error);
    opening->at += (int64_t)size_bytes;
    return status;
}

static mos_status take_start(struct opening *opening, const mos_repository *repository, struct mos_error *error) {
    uint8_t start[START_BYTES];
    MOS_CLEANUP_KEY struct mos_key key;
    mos_status status = take(opening, start, sizeof(start), error);
    if (status != MOS_OK) {
        return status;
    }
    mos_aead *aead = mos_aead_create(&repository->keys->catalog);
    bool opens = memcmp(start, magic, sizeof(magic)) == 0 && mos_get_u16(start + 4) == MOS_REPOSITORY_FORMAT &&
                 mos_aead_open(aead, start + 6, start, HEAD_BYTES, start + HEAD_BYTES, SEALED_KEY_BYTES, key.bytes);
    mos_aead_destroy(aead);
    if (!opens) {
        return fail_damaged(opening->name, error);
    }
    opening->aead = mos_aead_create(&key);
    return MOS_OK;
}

static mos_status write_out(struct opening *opening, const uint8_t *data, size_t size_bytes, struct mos_error *error) {
    while (size_bytes > 0) {
        ssize_t written = write(opening->target, data, size_bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return mos_fail_errno(error, errno, "writing the catalog");
        }
        data += written;
        size_bytes -= (size_t)written;
    }
    return MOS_OK;
}

static mos_status take_frame(struct opening *opening, uint64_t number, uint8_t *sealed, uint8_t *plain, bool *out_last,
                             struct mos_error *error) {
    uint8_t head[FRAME_HEAD_BYTES], binding[FRAME_HEAD_BYTES + 8], nonce[MOS_AEAD_NONCE_BYTES];
    mos_status status = take(opening, head, sizeof(head), error);
    if (status != MOS_OK) {
        return status;
    }
    uint32_t sealed_bytes = mos_get_u32(head), plain_bytes = mos_get_u32(head + 4);
    if (sealed_bytes < MOS_AEAD_TAG_BYTES || sealed_bytes > FRAME_PLAIN_BYTES + MOS_AEAD_TAG_BYTES || plain_bytes > FRAME_PLAIN_BYTES) {
        return fail_damaged(opening->name, error);
    }
    status = take(opening, sealed, sealed_bytes, error);
    if (status != MOS_OK) {
        return status;
    }
    frame_binding(head, number, binding);
    mos_aead_counter_nonce(number, nonce);
    bool compressed = head[8] & FLAG_COMPRESSED;
    bool opens = mos_aead_open(opening->aead, nonce, binding, sizeof(binding), sealed, sealed_bytes, sealed) &&
                 (compressed ? mos_decompress(opening->decompressor, sealed, sealed_bytes - MOS_AEAD_TAG_BYTES, plain, plain_bytes)
                             : sealed_bytes - MOS_AEAD_TAG_BYTES == plain_bytes);
    *out_last = head[8] & FLAG_LAST;
    return opens ? write_out(opening, compressed ? plain : sealed, plain_bytes, error) : fail_damaged(opening->name, error);
}

static mos_status take_all(struct opening *opening, const mos_repository *repository, struct mos_error *error) {
    MOS_CLEANUP_FREE uint8_t *sealed = mos_malloc(FRAME_PLAIN_BYTES + MOS_AEAD_TAG_BYTES);
    MOS_CLEANUP_FREE uint8_t *plain = mos_malloc(FRAME_PLAIN_BYTES);
    bool last = false;
    mos_status status = take_start(opening, repository, error);
    for (uint64_t number = 0; status == MOS_OK && !last; number++) {
        status = take_frame(opening, number, sealed, plain, &last, error);
    }
    if (status == MOS_OK && opening->at != opening->end) {
        status = fail_damaged(opening->name, error);
    }
    return status == MOS_OK && fsync(opening->target) != 0 ? mos_fail_errno(error, errno, "writing the catalog") : status;
}

mos_status mos_catalog_unseal(const mos_repository *repository, const char *name, const char *path, struct mos_error *error) {
    struct opening opening = {.source = -1, .target = -1, .name = name};
    int64_t size_bytes = 0;
    mos_status status = check_name(name, error);
    if (status == MOS_OK) {
        status = mos_repository_writable(repository, error);
    }
    if (status == MOS_OK) {
        status = mos_file_open(repository->root, name, &opening.source, &size_bytes, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    opening.end = size_bytes - MOS_HASH_BYTES;
    opening.target = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (opening.target < 0) {
        status = errno == EEXIST ? mos_fail(error, MOS_ALREADY_EXISTS, "%s is there already", path)
                                 : mos_fail_errno(error, errno, "making %s", path);
        close(opening.source);
        return status;
    }
    opening.decompressor = mos_decompressor_create();
    status = take_all(&opening, repository, error);
    if (status != MOS_OK) {
        unlink(path);
    }
    mos_aead_destroy(opening.aead);
    mos_decompressor_destroy(opening.decompressor);
    close(opening.target);
    close(opening.source);
    return status;
}
