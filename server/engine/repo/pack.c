#include "engine/repo/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/files.h"

#define FOOTER_NUMBER UINT64_MAX
// Least size of a frame's line in the footer.
#define FRAME_LINE_BYTES (MOS_CHUNK_ID_BYTES + 3)

struct mos_pack_writer {
    struct mos_new_file file;
    uint8_t id[MOS_PACK_ID_BYTES];
    struct mos_key *key;
    mos_aead *aead;
    mos_hasher *hasher;
    uint64_t size_bytes;
    struct mos_frame *frames;
    size_t frame_count;
    size_t frame_capacity;
    struct mos_buffer sealed;
};

void mos_pack_name(const uint8_t id[MOS_PACK_ID_BYTES], char out_name[MOS_OBJECT_NAME_BYTES]) {
    char hex[2 * MOS_PACK_ID_BYTES + 1];
    mos_hex_encode(id, MOS_PACK_ID_BYTES, hex);
    snprintf(out_name, MOS_OBJECT_NAME_BYTES, "packs/%.2s/%s", hex, hex);
}

void mos_pack_header(const uint8_t id[MOS_PACK_ID_BYTES], uint8_t out_header[MOS_PACK_HEADER_BYTES]) {
    memcpy(out_header, "MPAK", 4);
    mos_put_u16(out_header + 4, MOS_REPOSITORY_FORMAT);
    memcpy(out_header + 6, id, MOS_PACK_ID_BYTES);
}

struct binding {
    uint8_t bytes[MOS_PACK_ID_BYTES + 8];
};

static struct binding bind_frame(const uint8_t id[MOS_PACK_ID_BYTES], uint64_t number) {
    struct binding binding;
    memcpy(binding.bytes, id, MOS_PACK_ID_BYTES);
    mos_put_u64(binding.bytes + MOS_PACK_ID_BYTES, number);
    return binding;
}

// The one place through which a pack's bytes go to disk.
static mos_status write_out(mos_pack_writer *writer, const void *data, size_t size_bytes, struct mos_error *error) {
    mos_status status = mos_new_file_write(&writer->file, data, size_bytes, error);
    if (status == MOS_OK) {
        mos_hasher_update(writer->hasher, data, size_bytes);
        writer->size_bytes += size_bytes;
    }
    return status;
}

mos_status mos_pack_writer_begin(int root, mos_pack_writer **out, struct mos_error *error) {
    mos_pack_writer *writer = mos_calloc(1, sizeof(*writer));
    mos_status status = mos_new_file_begin_large(root, &writer->file, error);
    if (status != MOS_OK) {
        free(writer);
        return status;
    }
    mos_random(writer->id, sizeof(writer->id));
    writer->key = mos_secret_alloc(sizeof(*writer->key));
    mos_random(writer->key->bytes, sizeof(writer->key->bytes));
    writer->aead = mos_aead_create(writer->key);
    writer->hasher = mos_hasher_create();
    uint8_t header[MOS_PACK_HEADER_BYTES];
    mos_pack_header(writer->id, header);
    status = write_out(writer, header, sizeof(header), error);
    if (status != MOS_OK) {
        mos_pack_writer_destroy(writer);
        return status;
    }
    *out = writer;
    return MOS_OK;
}

static mos_status seal_out(mos_pack_writer *writer, uint64_t number, const void *data, size_t size_bytes, struct mos_error *error) {
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    mos_aead_counter_nonce(number, nonce);
    struct binding binding = bind_frame(writer->id, number);
    mos_buffer_clear(&writer->sealed);
    mos_buffer_reserve(&writer->sealed, size_bytes + MOS_AEAD_TAG_BYTES);
    mos_aead_seal(writer->aead, nonce, binding.bytes, sizeof(binding.bytes), data, size_bytes, writer->sealed.data);
    return write_out(writer, writer->sealed.data, size_bytes + MOS_AEAD_TAG_BYTES, error);
}

mos_status mos_pack_writer_append(mos_pack_writer *writer, const struct mos_chunk_id *id, uint8_t flags, const void *data,
                                  size_t size_bytes, size_t plain_bytes, struct mos_error *error) {
    if (writer->frame_count == writer->frame_capacity) {
        writer->frame_capacity = writer->frame_capacity ? 2 * writer->frame_capacity : 64;
        writer->frames = mos_realloc(writer->frames, writer->frame_capacity * sizeof(*writer->frames));
    }
    writer->frames[writer->frame_count] = (struct mos_frame){
        .id = *id,
        .offset_bytes = writer->size_bytes,
        .sealed_bytes = (uint32_t)(size_bytes + MOS_AEAD_TAG_BYTES),
        .plain_bytes = (uint32_t)plain_bytes,
        .flags = flags,
    };
    mos_status status = seal_out(writer, writer->frame_count, data, size_bytes, error);
    if (status == MOS_OK) {
        writer->frame_count++;
    }
    return status;
}

uint64_t mos_pack_writer_bytes(const mos_pack_writer *writer) {
    return writer->size_bytes;
}

const struct mos_frame *mos_pack_writer_frames(const mos_pack_writer *writer, size_t *out_count) {
    *out_count = writer->frame_count;
    return writer->frames;
}

mos_status mos_pack_writer_finish(mos_pack_writer *writer, struct mos_pack *out, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer footer = {0};
    mos_frames_encode(&footer, writer->frames, writer->frame_count);
    mos_status status = seal_out(writer, FOOTER_NUMBER, footer.data, footer.size_bytes, error);
    uint8_t trailer[MOS_PACK_TRAILER_BYTES];
    mos_put_u32(trailer, (uint32_t)(footer.size_bytes + MOS_AEAD_TAG_BYTES));
    if (status == MOS_OK) {
        status = write_out(writer, trailer, sizeof(trailer), error);
    }
    if (status == MOS_OK) {
        char name[MOS_OBJECT_NAME_BYTES];
        mos_pack_name(writer->id, name);
        status = mos_new_file_commit(&writer->file, name, error);
    }
    if (status == MOS_OK) {
        memcpy(out->id, writer->id, sizeof(out->id));
        out->size_bytes = writer->size_bytes;
        mos_hasher_finish(writer->hasher, out->sha256);
        out->key = *writer->key;
        out->footer_bytes = (uint32_t)(footer.size_bytes + MOS_AEAD_TAG_BYTES);
        out->frame_count = (uint32_t)writer->frame_count;
    }
    return status;
}

void mos_pack_writer_destroy(mos_pack_writer *writer) {
    if (writer) {
        mos_new_file_abandon(&writer->file);
        mos_aead_destroy(writer->aead);
        mos_secret_free(writer->key, sizeof(*writer->key));
        mos_hasher_destroy(writer->hasher);
        free(writer->frames);
        mos_buffer_free(&writer->sealed);
        free(writer);
    }
}

void mos_frames_encode(struct mos_buffer *out, const struct mos_frame *frames, size_t count) {
    mos_append_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        mos_buffer_append(out, frames[i].id.bytes, MOS_CHUNK_ID_BYTES);
        mos_append_varint(out, frames[i].sealed_bytes);
        mos_append_varint(out, frames[i].plain_bytes);
        mos_buffer_append_byte(out, frames[i].flags);
    }
}

static bool frame_valid(const struct mos_frame *frame) {
    bool compressed = frame->flags & MOS_FRAME_COMPRESSED;
    uint64_t content = (uint64_t)frame->sealed_bytes - MOS_AEAD_TAG_BYTES;
    return !(frame->flags & ~(MOS_FRAME_TREE | MOS_FRAME_COMPRESSED | MOS_FRAME_COPY)) && frame->plain_bytes > 0 &&
           frame->sealed_bytes > MOS_AEAD_TAG_BYTES && (compressed ? content < frame->plain_bytes : content == frame->plain_bytes);
}

bool mos_frames_decode(struct mos_cursor *cursor, struct mos_frame **out_frames, size_t *out_count) {
    size_t count = (size_t)mos_cursor_varint_max(cursor, MOS_PACK_MAX_FRAMES);
    if (cursor->failed || count > cursor->left_bytes / FRAME_LINE_BYTES) {
        return false;
    }
    struct mos_frame *frames = mos_calloc(count + 1, sizeof(*frames));
    uint64_t offset = MOS_PACK_HEADER_BYTES;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *id = mos_cursor_bytes(cursor, MOS_CHUNK_ID_BYTES);
        if (id) {
            memcpy(frames[i].id.bytes, id, MOS_CHUNK_ID_BYTES);
        }
        frames[i].sealed_bytes = (uint32_t)mos_cursor_varint_max(cursor, MOS_CHUNK_LIMIT_BYTES + MOS_AEAD_TAG_BYTES);
        frames[i].plain_bytes = (uint32_t)mos_cursor_varint_max(cursor, MOS_CHUNK_LIMIT_BYTES);
        frames[i].flags = mos_cursor_byte(cursor);
        frames[i].offset_bytes = offset;
        offset += frames[i].sealed_bytes;
        if (cursor->failed || !frame_valid(&frames[i]) || offset > MOS_PACK_LIMIT_BYTES) {
            free(frames);
            return false;
        }
    }
    *out_frames = frames;
    *out_count = count;
    return true;
}

mos_status mos_pack_footer_open(const struct mos_pack *pack, const mos_aead *aead, const void *sealed, struct mos_frame **out_frames,
                                struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(pack->id, name);
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    mos_aead_counter_nonce(FOOTER_NUMBER, nonce);
    struct binding binding = bind_frame(pack->id, FOOTER_NUMBER);
    MOS_CLEANUP_FREE uint8_t *plain = mos_malloc(pack->footer_bytes);
    if (!mos_aead_open(aead, nonce, binding.bytes, sizeof(binding.bytes), sealed, pack->footer_bytes, plain)) {
        return mos_fail(error, MOS_CORRUPT, "the footer of %s does not open", name);
    }
    struct mos_cursor cursor = {.next = plain, .left_bytes = pack->footer_bytes - MOS_AEAD_TAG_BYTES};
    struct mos_frame *frames = NULL;
    size_t count = 0;
    if (!mos_frames_decode(&cursor, &frames, &count)) {
        return mos_fail(error, MOS_CORRUPT, "the footer of %s does not have the form of a footer", name);
    }
    uint64_t end = count ? frames[count - 1].offset_bytes + frames[count - 1].sealed_bytes : MOS_PACK_HEADER_BYTES;
    if (cursor.left_bytes != 0 || count != pack->frame_count || end + pack->footer_bytes + MOS_PACK_TRAILER_BYTES != pack->size_bytes) {
        free(frames);
        return mos_fail(error, MOS_CORRUPT, "the footer of %s does not fit the pack", name);
    }
    *out_frames = frames;
    return MOS_OK;
}

mos_status mos_pack_footer_read(int root, const struct mos_pack *pack, const mos_aead *aead, struct mos_frame **out_frames,
                                struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    mos_pack_name(pack->id, name);
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size = 0;
    mos_status status = mos_file_open(root, name, &descriptor, &size, error);
    if (status != MOS_OK) {
        return status;
    }
    MOS_CLEANUP_FREE uint8_t *sealed = mos_malloc(pack->footer_bytes);
    status = mos_file_read_at(descriptor, name, sealed, pack->footer_bytes,
                              (int64_t)(pack->size_bytes - MOS_PACK_TRAILER_BYTES - pack->footer_bytes), error);
    return status == MOS_OK ? mos_pack_footer_open(pack, aead, sealed, out_frames, error) : status;
}

bool mos_frame_unseal(const struct mos_pack *pack, const mos_aead *aead, uint32_t number, const struct mos_frame *frame,
                      const uint8_t *sealed, uint8_t *out_content) {
    uint8_t nonce[MOS_AEAD_NONCE_BYTES];
    mos_aead_counter_nonce(number, nonce);
    struct binding binding = bind_frame(pack->id, number);
    return mos_aead_open(aead, nonce, binding.bytes, sizeof(binding.bytes), sealed, frame->sealed_bytes, out_content);
}

bool mos_frame_open(const struct mos_pack *pack, const mos_aead *aead, uint32_t number, const struct mos_frame *frame, uint8_t *sealed,
                    mos_decompressor *decompressor, uint8_t *out_plain) {
    bool compressed = frame->flags & MOS_FRAME_COMPRESSED;
    if (!mos_frame_unseal(pack, aead, number, frame, sealed, compressed ? sealed : out_plain)) {
        return false;
    }
    return !compressed || mos_decompress(decompressor, sealed, frame->sealed_bytes - MOS_AEAD_TAG_BYTES, out_plain, frame->plain_bytes);
}
