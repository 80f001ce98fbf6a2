#include "engine/repo/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "engine/repo/aside.h"
#include "engine/repo/index.h"
#include "engine/repo/repository_internal.h"

// A new pack and its frames, for the index.
struct target {
    struct mos_pack pack;
    struct mos_frame *frames;
};

struct rewrite {
    mos_repository *repository;
    const struct mos_live *live;
    // The packs being written, one of them for copies alone, with their numbers among the targets.
    mos_pack_writer *writers[2];
    size_t numbers[2];
    struct mos_buffer sealed;
    // In memory for keys. One that is being written has its number already.
    struct target *targets;
    size_t target_count;
    size_t target_capacity;
    // Chunks that are in one of the targets, with the target's number.
    struct mos_chunk_map copied;
    // Of the pack that is copied: what it leads to.
    struct mos_pack_list leads;
};

static size_t add_target(struct rewrite *rewrite) {
    if (rewrite->target_count == rewrite->target_capacity) {
        size_t capacity = rewrite->target_capacity ? 2 * rewrite->target_capacity : 16;
        struct target *targets = mos_secret_alloc(capacity * sizeof(*targets));
        if (rewrite->target_count) {
            memcpy(targets, rewrite->targets, rewrite->target_count * sizeof(*targets));
        }
        mos_secret_free(rewrite->targets, rewrite->target_capacity * sizeof(*targets));
        rewrite->targets = targets;
        rewrite->target_capacity = capacity;
    }
    rewrite->targets[rewrite->target_count] = (struct target){0};
    return rewrite->target_count++;
}

static mos_status finish_target(struct rewrite *rewrite, size_t kind, struct mos_error *error) {
    mos_pack_writer *writer = rewrite->writers[kind];
    struct target *target = &rewrite->targets[rewrite->numbers[kind]];
    mos_status status = mos_pack_writer_finish(writer, &target->pack, error);
    if (status == MOS_OK) {
        size_t count;
        const struct mos_frame *frames = mos_pack_writer_frames(writer, &count);
        target->frames = mos_malloc((count + 1) * sizeof(*frames));
        memcpy(target->frames, frames, count * sizeof(*frames));
    }
    mos_pack_writer_destroy(writer);
    rewrite->writers[kind] = NULL;
    return status;
}

// Opens a frame in place. The content stays compressed: what was sealed is what is sealed again.
static mos_status take_frame(struct rewrite *rewrite, const struct mos_pack *pack, const struct mos_frame *frame, uint32_t number,
                             int descriptor, const char *name, const mos_aead *aead, struct mos_error *error) {
    mos_buffer_clear(&rewrite->sealed);
    mos_buffer_reserve(&rewrite->sealed, frame->sealed_bytes);
    mos_status status = mos_file_read_at(descriptor, name, rewrite->sealed.data, frame->sealed_bytes, (int64_t)frame->offset_bytes, error);
    if (status == MOS_OK && !mos_frame_unseal(pack, aead, number, frame, rewrite->sealed.data, rewrite->sealed.data)) {
        status = mos_fail(error, MOS_CORRUPT, "frame %u of %s does not open", number, name);
    }
    return status;
}

static mos_status copy_frame(struct rewrite *rewrite, const struct mos_frame *frame, struct mos_error *error) {
    size_t kind = frame->flags & MOS_FRAME_COPY ? 1 : 0;
    mos_status status = MOS_OK;
    if (!rewrite->writers[kind]) {
        status = mos_pack_writer_begin(rewrite->repository->root, &rewrite->writers[kind], error);
        rewrite->numbers[kind] = status == MOS_OK ? add_target(rewrite) : 0;
    }
    if (status == MOS_OK) {
        status = mos_pack_writer_append(rewrite->writers[kind], &frame->id, frame->flags, rewrite->sealed.data,
                                        frame->sealed_bytes - MOS_AEAD_TAG_BYTES, frame->plain_bytes, error);
    }
    if (status == MOS_OK) {
        mos_chunk_map_insert(&rewrite->copied, &frame->id, (uint32_t)rewrite->numbers[kind], 0);
        if (mos_pack_writer_bytes(rewrite->writers[kind]) >= MOS_PACK_TARGET_BYTES) {
            status = finish_target(rewrite, kind, error);
        }
    }
    return status;
}

// Whether the chunk can be read where it has its home. Doubles are few, so that it costs little to look.
static bool home_is_good(struct rewrite *rewrite, const struct mos_pack *home, uint32_t number, const struct mos_chunk_id *id) {
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size;
    struct mos_frame *frames = NULL;
    mos_pack_name(home->id, name);
    mos_aead *aead = mos_aead_create(&home->key);
    bool good = mos_file_open(rewrite->repository->root, name, &descriptor, &size, NULL) == MOS_OK &&
                mos_pack_footer_read(rewrite->repository->root, home, aead, &frames, NULL) == MOS_OK && number < home->frame_count &&
                memcmp(frames[number].id.bytes, id->bytes, sizeof(id->bytes)) == 0 &&
                take_frame(rewrite, home, &frames[number], number, descriptor, name, aead, NULL) == MOS_OK;
    free(frames);
    mos_aead_destroy(aead);
    return good;
}

static bool lies_elsewhere(struct rewrite *rewrite, const struct mos_rewrite_source *source, const struct mos_chunk_id *id) {
    uint32_t number;
    uint32_t home = mos_live_home(rewrite->live, id, &number);
    bool added;
    if (home == MOS_NO_PACK || home == source->position || !home_is_good(rewrite, &rewrite->live->packs.packs[home], number, id)) {
        return false;
    }
    mos_pack_list_add(&rewrite->leads, &rewrite->live->packs.packs[home], &added);
    return true;
}

// MOS_CORRUPT: the pack is damaged.
static mos_status copy_pack(struct rewrite *rewrite, struct mos_rewrite_source *source, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    MOS_CLEANUP_FD int descriptor = -1;
    int64_t size;
    mos_pack_name(source->pack->id, name);
    mos_status status = mos_file_open(rewrite->repository->root, name, &descriptor, &size, error);
    mos_aead *aead = mos_aead_create(&source->pack->key);
    for (uint32_t i = 0; i < source->pack->frame_count && status == MOS_OK; i++) {
        const struct mos_frame *frame = &source->frames[i];
        if (rewrite->live->cancelled && rewrite->live->cancelled(rewrite->live->context)) {
            status = mos_fail(error, MOS_CANCELLED, "cancelled");
        } else if (mos_live_has(rewrite->live, &frame->id) && !mos_chunk_map_find(&rewrite->copied, &frame->id) &&
                   !lies_elsewhere(rewrite, source, &frame->id)) {
            status = take_frame(rewrite, source->pack, frame, i, descriptor, name, aead, error);
            if (status == MOS_OK) {
                // A failure from here on is one of the new pack.
                status = copy_frame(rewrite, frame, error);
                status = status == MOS_CORRUPT ? MOS_IO : status;
            }
        }
    }
    mos_aead_destroy(aead);
    source->leads = rewrite->leads;
    rewrite->leads = (struct mos_pack_list){0};
    return status;
}

static mos_status copy_all(struct rewrite *rewrite, struct mos_rewrite_source *sources, size_t count, struct mos_error *error) {
    mos_status status = MOS_OK;
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        struct mos_error cause = {0};
        status = copy_pack(rewrite, &sources[i], &cause);
        sources[i].moved = status == MOS_OK;
        if (status == MOS_CORRUPT || status == MOS_NOT_FOUND) {
            mos_log_warning("a damaged pack is not rewritten", MOS_TEXT("error", cause.message));
            status = MOS_OK;
        } else if (status != MOS_OK && error) {
            *error = cause;
        }
    }
    for (size_t kind = 0; kind < 2 && status == MOS_OK; kind++) {
        status = rewrite->writers[kind] ? finish_target(rewrite, kind, error) : MOS_OK;
    }
    return status;
}

// Where to look for what is needed of the pack: the new packs that hold some of it, and the homes of what was not copied.
static mos_status write_moved(struct rewrite *rewrite, struct mos_rewrite_source *source, struct mos_error *error) {
    bool added;
    for (uint32_t i = 0; i < source->pack->frame_count; i++) {
        const struct mos_chunk_place *place = mos_chunk_map_find(&rewrite->copied, &source->frames[i].id);
        if (place) {
            mos_pack_list_add(&source->leads, &rewrite->targets[place->pack].pack, &added);
        }
    }
    return mos_moved_write(rewrite->repository->root, source->pack, source->leads.packs, source->leads.count, error);
}

mos_status mos_rewrite(mos_repository *repository, const struct mos_live *live, struct mos_rewrite_source *sources, size_t count,
                       struct mos_error *error) {
    struct rewrite rewrite = {.repository = repository, .live = live};
    mos_status status = copy_all(&rewrite, sources, count, error);
    for (size_t i = 0; i < rewrite.target_count && status != MOS_OK; i++) {
        // Nobody knows of them, and a full disk may be why it failed.
        char name[MOS_OBJECT_NAME_BYTES];
        mos_pack_name(rewrite.targets[i].pack.id, name);
        if (rewrite.targets[i].frames) {
            mos_file_remove(repository->root, name, NULL);
        }
    }
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = sources[i].moved ? write_moved(&rewrite, &sources[i], error) : MOS_OK;
    }
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        status = sources[i].moved ? mos_aside_add(repository->root, sources[i].pack->id, error) : MOS_OK;
    }
    // Not before: while the index holds an old pack, the new one's chunks would count as doubles and be dropped.
    for (size_t i = 0; i < rewrite.target_count && status == MOS_OK; i++) {
        status = mos_index_add(repository, &rewrite.targets[i].pack, rewrite.targets[i].frames, error);
    }
    for (size_t i = 0; i < rewrite.target_count; i++) {
        free(rewrite.targets[i].frames);
    }
    for (size_t i = 0; i < count; i++) {
        mos_pack_list_free(&sources[i].leads);
    }
    mos_pack_writer_destroy(rewrite.writers[0]);
    mos_pack_writer_destroy(rewrite.writers[1]);
    mos_secret_free(rewrite.targets, rewrite.target_capacity * sizeof(*rewrite.targets));
    mos_chunk_map_free(&rewrite.copied);
    mos_buffer_free(&rewrite.sealed);
    return status;
}
