// Packs: the objects that hold chunks. A pack is written by one thread from begin to finish; the functions that read are thread safe.
#ifndef MOS_ENGINE_REPO_PACK_H
#define MOS_ENGINE_REPO_PACK_H

#include "engine/chunk/compress.h"
#include "engine/crypto/aead.h"
#include "engine/repo/bytes.h"
#include "engine/repo/repository.h"

#define MOS_PACK_TARGET_BYTES (32u << 20)
#define MOS_PACK_LIMIT_BYTES (UINT64_C(1) << 30)
#define MOS_PACK_MAX_FRAMES (1u << 20)
#define MOS_PACK_HEADER_BYTES 22u
#define MOS_PACK_TRAILER_BYTES 4u
#define MOS_PACK_FOOTER_LIMIT_BYTES (64u << 20)

enum {
    MOS_FRAME_TREE = 1,
    MOS_FRAME_COMPRESSED = 2,
    // A copy of what lies in another pack, and must not come into that one.
    MOS_FRAME_COPY = 4,
};

struct mos_frame {
    struct mos_chunk_id id;
    uint64_t offset_bytes;
    uint32_t sealed_bytes;
    uint32_t plain_bytes;
    uint8_t flags;
};

// What a manifest or the index knows of a finished pack.
struct mos_pack {
    uint8_t id[MOS_PACK_ID_BYTES];
    uint64_t size_bytes;
    uint8_t sha256[MOS_HASH_BYTES];
    struct mos_key key;
    uint32_t footer_bytes;
    uint32_t frame_count;
};

// packs/ab/ab01…
void mos_pack_name(const uint8_t id[MOS_PACK_ID_BYTES], char out_name[MOS_OBJECT_NAME_BYTES]);

typedef struct mos_pack_writer mos_pack_writer;
// `root`: descriptor of the repository's folder, kept open by the caller.
mos_status mos_pack_writer_begin(int root, mos_pack_writer **out, struct mos_error *error);
// One frame: `data` is the chunk, compressed where the flag says so. Blocks on disk.
mos_status mos_pack_writer_append(mos_pack_writer *writer, const struct mos_chunk_id *id, uint8_t flags, const void *data,
                                  size_t size_bytes, size_t plain_bytes, struct mos_error *error);
uint64_t mos_pack_writer_bytes(const mos_pack_writer *writer);
// Borrowed until the writer is destroyed.
const struct mos_frame *mos_pack_writer_frames(const mos_pack_writer *writer, size_t *out_count);
// Flushes, and gives the pack its name.
mos_status mos_pack_writer_finish(mos_pack_writer *writer, struct mos_pack *out, struct mos_error *error);
// Without a finish, nothing is left of the pack. NULL is allowed.
void mos_pack_writer_destroy(mos_pack_writer *writer);

// The list of frames, as it stands in the footer and in the index. Decoding checks all limits; *out_frames is the caller's (free).
void mos_frames_encode(struct mos_buffer *out, const struct mos_frame *frames, size_t count);
bool mos_frames_decode(struct mos_cursor *cursor, struct mos_frame **out_frames, size_t *out_count);
// The header of a pack, for comparing.
void mos_pack_header(const uint8_t id[MOS_PACK_ID_BYTES], uint8_t out_header[MOS_PACK_HEADER_BYTES]);
// Opens a sealed footer and checks it against the pack's size and number of frames. MOS_CORRUPT otherwise. *out_frames is the caller's.
mos_status mos_pack_footer_open(const struct mos_pack *pack, const mos_aead *aead, const void *sealed, struct mos_frame **out_frames,
                                struct mos_error *error);
// The same from disk.
mos_status mos_pack_footer_read(int root, const struct mos_pack *pack, const mos_aead *aead, struct mos_frame **out_frames,
                                struct mos_error *error);
// Opens a sealed frame into frame->sealed_bytes less the tag of `out_content` (which may be `sealed`): compressed where its flag says so.
bool mos_frame_unseal(const struct mos_pack *pack, const mos_aead *aead, uint32_t number, const struct mos_frame *frame,
                      const uint8_t *sealed, uint8_t *out_content);
// Opens a sealed frame (and overwrites it) into frame->plain_bytes of `out_plain`. false: damaged. The chunk id is not checked here.
bool mos_frame_open(const struct mos_pack *pack, const mos_aead *aead, uint32_t number, const struct mos_frame *frame, uint8_t *sealed,
                    mos_decompressor *decompressor, uint8_t *out_plain);

#endif
