// What lies in a directory of a backup.
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"
#include "engine/pipeline/operation.h"
#include "engine/repo/reader.h"

// Entries in one event: far below the limit of a message even where all paths are long.
enum { EVENT_ENTRIES = 500, EVENT_BYTES = 1 << 20 };
// Behind a directory's path this byte, the lowest that a name can hold, stands above everything that lies below the directory.
enum { BEHIND_ALL_BELOW = 1 };

struct listing {
    mos_job *job;
    const Mosaajii__Engine__V1__ListRequest *request;
    // The directory without a slash at its end, so "" both for "/" and for the top, which has the databases too.
    const char *path;
    size_t path_bytes;
    bool top;
    bool found;
    bool more;
    int64_t count;
    mos_arena *arena;
    Mosaajii__Engine__V1__Entry *entries[EVENT_ENTRIES];
    size_t entry_count;
};

static void send_entries(struct listing *listing, bool more) {
    Mosaajii__Engine__V1__Entries entries = MOSAAJII__ENGINE__V1__ENTRIES__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    entries.entries = listing->entries;
    entries.n_entries = listing->entry_count;
    entries.more = more;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_ENTRIES;
    event.entries = &entries;
    mos_job_send(listing->job, &event);
    mos_arena_destroy(listing->arena);
    listing->arena = mos_arena_create(0);
    listing->entry_count = 0;
}

static void add_entry(struct listing *listing, const struct mos_entry *entry) {
    mos_arena *arena = listing->arena;
    Mosaajii__Engine__V1__Entry *out = MOS_NEW(arena, Mosaajii__Engine__V1__Entry, mosaajii__engine__v1__entry__init);
    out->path = (ProtobufCBinaryData){.data = mos_arena_memdup(arena, entry->path, entry->path_bytes), .len = entry->path_bytes};
    out->type = (Mosaajii__Engine__V1__Entry__Type)entry->type;
    out->size = (int64_t)entry->size_bytes;
    out->mode = entry->mode;
    out->uid = entry->uid;
    out->gid = entry->gid;
    out->user = mos_job_text(arena, mos_arena_strdup(arena, entry->user));
    out->group = mos_job_text(arena, mos_arena_strdup(arena, entry->group));
    out->modified_at_unix_ns = entry->modified_unix_ns;
    if (entry->link_target_bytes) {
        out->link_target = (ProtobufCBinaryData){.data = mos_arena_memdup(arena, entry->link_target, entry->link_target_bytes),
                                                 .len = entry->link_target_bytes};
    }
    listing->entries[listing->entry_count++] = out;
    listing->count++;
    if (listing->entry_count == EVENT_ENTRIES || mos_arena_used_bytes(arena) > EVENT_BYTES) {
        send_entries(listing, true);
    }
}

enum place { BEFORE, ITSELF, CHILD, DEEPER, BEHIND };

static enum place place_of(const struct listing *listing, const struct mos_entry *entry) {
    const char *rest = entry->path + listing->path_bytes;
    if (entry->path[0] != '/') {
        // A database stands beside the top directory.
        return listing->top                                                                               ? CHILD
               : strcmp(entry->path, listing->path) == 0                                                  ? ITSELF
               : mos_path_compare(entry->path, entry->path_bytes, listing->path, listing->path_bytes) < 0 ? BEFORE
                                                                                                          : BEHIND;
    }
    if (entry->path_bytes == 1) {
        return listing->path_bytes == 0 ? ITSELF : BEFORE;
    }
    if (entry->path_bytes < listing->path_bytes || memcmp(entry->path, listing->path, listing->path_bytes) != 0 ||
        (*rest && *rest != '/')) {
        return mos_path_compare(entry->path, entry->path_bytes, listing->path, listing->path_bytes) < 0 ? BEFORE : BEHIND;
    }
    return !*rest ? ITSELF : strchr(rest + 1, '/') ? DEEPER : CHILD;
}

static mos_status pass_over(mos_tree_reader *tree, const struct mos_entry *entry, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer behind = {0};
    mos_buffer_append(&behind, entry->path, entry->path_bytes);
    mos_buffer_append_byte(&behind, BEHIND_ALL_BELOW);
    return mos_tree_seek(tree, behind.data, behind.size_bytes, error);
}

static mos_status walk(struct listing *listing, mos_tree_reader *tree, struct mos_error *error) {
    const Mosaajii__Engine__V1__ListRequest *request = listing->request;
    const struct mos_entry *entry;
    for (;;) {
        mos_status status = mos_job_check(listing->job, error);
        status = status ? status : mos_tree_next(tree, &entry, error);
        if (status == MOS_CORRUPT) {
            // The rest of the tree is there all the same.
            mos_job_warn(listing->job, "", 0, error->message);
            listing->found = true;
            continue;
        }
        if (status || !entry) {
            return status;
        }
        enum place place = place_of(listing, entry);
        if (place == BEHIND) {
            return MOS_OK;
        }
        listing->found = listing->found || place != BEFORE;
        bool wanted = place == CHILD || (place == DEEPER && request->recursive) || (place == ITSELF && entry->type != MOS_ENTRY_DIRECTORY);
        bool passed = request->after.len &&
                      mos_path_compare(entry->path, entry->path_bytes, (const char *)request->after.data, request->after.len) <= 0;
        if (wanted && !passed) {
            if (listing->count == request->limit) {
                listing->more = true;
                return MOS_OK;
            }
            add_entry(listing, entry);
        }
        if (place == CHILD && entry->type == MOS_ENTRY_DIRECTORY && !request->recursive) {
            status = pass_over(tree, entry, error);
            if (status) {
                return status;
            }
        }
    }
}

mos_status mos_operation_list(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__ListRequest *request,
                              struct mos_error *error) {
    mos_reader *reader;
    mos_tree_reader *tree = NULL;
    mos_status status = mos_reader_open(repository, request->backup_id, &reader, error);
    if (status) {
        return status;
    }
    // With a zero behind it, and without slashes at its end.
    MOS_CLEANUP_BUFFER struct mos_buffer path = {0};
    mos_buffer_append(&path, request->path.data, request->path.len);
    while (path.size_bytes && path.data[path.size_bytes - 1] == '/') {
        path.size_bytes--;
    }
    struct listing listing = {
        .job = job,
        .request = request,
        .path = mos_buffer_text(&path),
        .path_bytes = path.size_bytes,
        .top = request->path.len == 0,
        .arena = mos_arena_create(0),
    };
    MOS_CLEANUP_BUFFER struct mos_buffer from = {0};
    mos_buffer_append(&from, request->after.len ? request->after.data : path.data,
                      request->after.len ? request->after.len : path.size_bytes);
    if (request->after.len && !request->recursive) {
        mos_buffer_append_byte(&from, BEHIND_ALL_BELOW);
    }
    status = mos_tree_open(reader, from.data, from.size_bytes, &tree, error);
    status = status ? status : walk(&listing, tree, error);
    if (status == MOS_OK && !listing.found && !listing.top && request->after.len == 0) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        status = mos_fail(error, MOS_NOT_FOUND, "the backup holds nothing at %.400s",
                          mos_path_escape(arena, request->path.data, request->path.len));
    }
    if (status == MOS_OK) {
        send_entries(&listing, listing.more);
    }
    mos_arena_destroy(listing.arena);
    mos_tree_close(tree);
    mos_reader_close(reader);
    return status;
}
