#include "engine/repo/live.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "engine/repo/reader_internal.h"
#include "engine/repo/tree_codec.h"

// What the map of chunks says of one in the last bits of its value; the others are the number of the frame.
enum { NEEDED = 1, WALKED = 2, STATE_BITS = 2, STATE_MASK = 3 };
#define NO_HOME (MOS_NO_PACK - 1)

void mos_live_begin(struct mos_live *live, mos_repository *repository, bool (*cancelled)(void *context), void *context) {
    *live = (struct mos_live){.repository = repository, .cancelled = cancelled, .context = context};
}

void mos_live_free(struct mos_live *live) {
    mos_pack_list_free(&live->packs);
    free(live->whole);
    mos_chunk_map_free(&live->chunks);
    mos_names_free(&live->seen);
}

bool mos_live_has(const struct mos_live *live, const struct mos_chunk_id *id) {
    return mos_chunk_map_find(&live->chunks, id) != NULL;
}

bool mos_live_claim(struct mos_live *live, const struct mos_chunk_id *id, uint32_t pack, uint32_t frame) {
    struct mos_chunk_place *place = mos_chunk_map_find(&live->chunks, id);
    if (place && place->pack == NO_HOME) {
        place->pack = pack;
        place->value = frame << STATE_BITS | (place->value & STATE_MASK);
    }
    return place && place->pack == pack && place->value >> STATE_BITS == frame;
}

uint32_t mos_live_home(const struct mos_live *live, const struct mos_chunk_id *id, uint32_t *out_frame) {
    const struct mos_chunk_place *place = mos_chunk_map_find(&live->chunks, id);
    if (!place || place->pack == NO_HOME) {
        return MOS_NO_PACK;
    }
    *out_frame = place->value >> STATE_BITS;
    return place->pack;
}

static void need(struct mos_live *live, const struct mos_chunk_id *id, uint32_t value) {
    struct mos_chunk_place *place = mos_chunk_map_find(&live->chunks, id);
    if (!place) {
        mos_chunk_map_insert(&live->chunks, id, NO_HOME, value);
    } else if (value > (place->value & STATE_MASK)) {
        place->value = (place->value & ~(uint32_t)STATE_MASK) | value;
    }
}

static bool walked(const struct mos_live *live, const struct mos_chunk_id *id) {
    const struct mos_chunk_place *place = mos_chunk_map_find(&live->chunks, id);
    return place && (place->value & STATE_MASK) == WALKED;
}

static void need_extents(struct mos_live *live, const struct mos_extent *extents, size_t count) {
    for (size_t i = 0; i < count; i++) {
        // A file's next extent is often of the same chunk.
        if (i == 0 || memcmp(&extents[i].chunk, &extents[i - 1].chunk, sizeof(extents[i].chunk)) != 0) {
            need(live, &extents[i].chunk, NEEDED);
        }
    }
}

static mos_status walk_list(struct mos_live *live, mos_reader *reader, const struct mos_chunk_id *id, struct mos_error *error) {
    if (walked(live, id)) {
        return MOS_OK;
    }
    const struct mos_chunk *chunk = NULL;
    struct mos_extent *extents = NULL;
    size_t count = 0;
    mos_status status = mos_reader_chunk(reader, id, &chunk, error);
    if (status == MOS_OK) {
        status = mos_extent_list_decode(chunk->data, chunk->size_bytes, &extents, &count, error);
        mos_chunk_release(chunk);
    }
    if (status == MOS_OK) {
        need_extents(live, extents, count);
        free(extents);
        need(live, id, WALKED);
    }
    return status;
}

static mos_status walk_entries(struct mos_live *live, mos_reader *reader, mos_tree_decoder *decoder, struct mos_error *error) {
    for (;;) {
        const struct mos_entry *entry = NULL;
        mos_status status = mos_tree_decoder_next(decoder, &entry, error);
        if (status != MOS_OK || !entry) {
            return status;
        }
        need_extents(live, entry->extents, entry->extent_count);
        for (size_t i = 0; i < entry->list_count && status == MOS_OK; i++) {
            status = walk_list(live, reader, &entry->lists[i], error);
        }
        if (status != MOS_OK) {
            return status;
        }
    }
}

static mos_status walk_part(struct mos_live *live, mos_reader *reader, const Mosaajii__Engine__V1__TreeChunk *part,
                            struct mos_error *error) {
    struct mos_chunk_id id, copy;
    memcpy(id.bytes, part->chunk_id.data, sizeof(id.bytes));
    if (part->copy_id.len) {
        memcpy(copy.bytes, part->copy_id.data, sizeof(copy.bytes));
        need(live, &copy, NEEDED);
    }
    if (walked(live, &id)) {
        return MOS_OK;
    }
    const struct mos_chunk *chunk = NULL;
    mos_tree_decoder *decoder = NULL;
    mos_status status = mos_reader_part(reader, part, &chunk, error);
    if (status != MOS_OK) {
        return status;
    }
    status = mos_tree_decoder_create(chunk->data, chunk->size_bytes, &decoder, error);
    if (status == MOS_OK) {
        status = walk_entries(live, reader, decoder, error);
        mos_tree_decoder_destroy(decoder);
    }
    mos_chunk_release(chunk);
    // Only now: a part that could not be walked is not known by the next backup that has it either.
    need(live, &id, status == MOS_OK ? WALKED : NEEDED);
    return status;
}

// The backup's packs join those of the others. `whole`: all that is in them is needed.
static mos_status add_packs(struct mos_live *live, const mos_reader *reader, bool whole, struct mos_error *error) {
    struct mos_pack_list list = {0};
    mos_status status = MOS_OK;
    for (size_t i = 0; i < reader->named_count && status == MOS_OK; i++) {
        status = mos_pack_list_follow(&list, live->repository->root, &reader->named[i], true, NULL, error);
    }
    for (size_t i = 0; i < list.count && status == MOS_OK; i++) {
        bool added;
        size_t position = mos_pack_list_add(&live->packs, &list.packs[i], &added);
        if (position >= live->whole_capacity) {
            live->whole_capacity = live->whole_capacity ? 2 * live->whole_capacity : 64;
            live->whole = mos_realloc(live->whole, live->whole_capacity * sizeof(*live->whole));
        }
        live->whole[position] = whole || (!added && live->whole[position]);
    }
    mos_pack_list_free(&list);
    return status;
}

static mos_status add_backup(struct mos_live *live, const char *backup_id, struct mos_error *error) {
    mos_reader *reader = NULL;
    struct mos_error cause = {0};
    mos_status status = mos_reader_open(live->repository, backup_id, &reader, &cause);
    if (status == MOS_NOT_FOUND) {
        return MOS_OK;
    }
    bool whole = false;
    for (size_t i = 0; status == MOS_OK && i < reader->manifest->n_tree; i++) {
        if (live->cancelled && live->cancelled(live->context)) {
            mos_reader_close(reader);
            return mos_fail(error, MOS_CANCELLED, "cancelled");
        }
        if (walk_part(live, reader, reader->manifest->tree[i], &cause) != MOS_OK) {
            whole = true;
            mos_log_warning("a backup is damaged, its packs are left as they are", MOS_TEXT("backup", backup_id),
                            MOS_TEXT("error", cause.message));
            break;
        }
    }
    status = status == MOS_OK ? add_packs(live, reader, whole, &cause) : status;
    if (status != MOS_OK && live->unreadable++ == 0) {
        live->unreadable_error = cause;
    }
    mos_reader_close(reader);
    return MOS_OK;
}

static bool seen(const struct mos_names *names, const char *name) {
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->names[middle], name);
        if (order == 0) {
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

mos_status mos_live_update(struct mos_live *live, struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(live->repository->root, "backups", &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        if (mos_id_valid(names.names[i]) && !seen(&live->seen, names.names[i])) {
            status = add_backup(live, names.names[i], error);
        }
    }
    // Those that were seen before and are gone stay needed: that only keeps more than it must.
    mos_names_free(&live->seen);
    live->seen = names;
    return status;
}
