// The content of one file of a backup, in order.
#include <string.h>

#include "common/arena.h"
#include "common/text.h"
#include "engine/pipeline/content.h"
#include "engine/pipeline/operation.h"

enum { PIECE_BYTES = 256 << 10 };

struct reading {
    mos_job *job;
    // What was sent so far.
    uint64_t end;
};

static void send_piece(struct reading *reading, const void *data, size_t size_bytes) {
    Mosaajii__Engine__V1__Content content = MOSAAJII__ENGINE__V1__CONTENT__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    content.offset = (int64_t)reading->end;
    content.data = (ProtobufCBinaryData){.data = (uint8_t *)data, .len = size_bytes};
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_CONTENT;
    event.content = &content;
    mos_job_send(reading->job, &event);
    reading->end += size_bytes;
}

// Holes are zeros to whoever reads from the beginning to the end.
static mos_status send_hole(struct reading *reading, uint64_t offset, struct mos_error *error) {
    static const uint8_t zeros[PIECE_BYTES];
    mos_status status = MOS_OK;
    while (reading->end < offset && status == MOS_OK) {
        uint64_t left = offset - reading->end;
        send_piece(reading, zeros, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES);
        status = mos_job_check(reading->job, error);
    }
    return status;
}

static mos_status take(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    struct reading *reading = context;
    mos_status status = send_hole(reading, offset_bytes, error);
    for (size_t done = 0; done < size_bytes && status == MOS_OK;) {
        size_t piece = size_bytes - done < PIECE_BYTES ? size_bytes - done : PIECE_BYTES;
        send_piece(reading, (const uint8_t *)data + done, piece);
        done += piece;
        status = mos_job_check(reading->job, error);
    }
    return status;
}

static mos_status fail_path(mos_status status, const char *path, size_t path_bytes, const char *what, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_fail_field(error, "path", "%.400s %s", mos_path_escape(arena, path, path_bytes), what);
    if (error) {
        error->status = status;
    }
    return status;
}

// Stands at the entry of the path, or of the first name of its file.
static mos_status find(mos_reader *reader, const char *path, size_t path_bytes, bool follow, mos_tree_reader **out,
                       const struct mos_entry **out_entry, struct mos_error *error) {
    *out = NULL;
    mos_status status = mos_tree_open(reader, path, path_bytes, out, error);
    status = status ? status : mos_tree_next(*out, out_entry, error);
    const struct mos_entry *entry = *out_entry;
    if (status) {
        return status;
    }
    if (!entry || entry->path_bytes != path_bytes || memcmp(entry->path, path, path_bytes) != 0) {
        return fail_path(MOS_NOT_FOUND, path, path_bytes, "is not in the backup", error);
    }
    if (entry->type == MOS_ENTRY_HARDLINK && follow) {
        mos_tree_reader *at = *out;
        status = find(reader, entry->link_target, entry->link_target_bytes, false, out, out_entry, error);
        mos_tree_close(at);
        return status;
    }
    return entry->type == MOS_ENTRY_FILE || entry->type == MOS_ENTRY_DATABASE
               ? MOS_OK
               : fail_path(MOS_INVALID_ARGUMENT, path, path_bytes, "is no regular file and no database, so it has no content", error);
}

mos_status mos_operation_read(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__ReadRequest *request,
                              struct mos_error *error) {
    mos_reader *reader;
    mos_status status = mos_reader_open(repository, request->backup_id, &reader, error);
    if (status) {
        return status;
    }
    struct reading reading = {.job = job};
    mos_tree_reader *tree = NULL;
    const struct mos_entry *entry = NULL;
    status = find(reader, (const char *)request->path.data, request->path.len, true, &tree, &entry, error);
    // The walk may read on in the tree, where its size would be gone.
    uint64_t size_bytes = entry ? entry->size_bytes : 0;
    status = status ? status : mos_content_all(reader, tree, entry, take, &reading, error);
    status = status ? status : send_hole(&reading, size_bytes, error);
    mos_tree_close(tree);
    mos_reader_close(reader);
    return status;
}
