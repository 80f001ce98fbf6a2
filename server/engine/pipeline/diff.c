// What differs between two backups.
#include <string.h>

#include "engine/pipeline/content.h"
#include "engine/pipeline/operation.h"
#include "engine/repo/reader.h"

typedef Mosaajii__Engine__V1__Change change;
typedef Mosaajii__Engine__V1__Change__Kind change_kind;
#define KIND(name) MOSAAJII__ENGINE__V1__CHANGE__KIND__##name

// Changes in one event: far below the limit of a message even where all paths are long.
enum { EVENT_CHANGES = 500, EVENT_BYTES = 1 << 20 };

struct side {
    const char *backup_id;
    mos_reader *reader;
    mos_tree_reader *tree;
    // The first entry that was not compared; NULL at the end.
    const struct mos_entry *at;
};

struct diff {
    mos_job *job;
    const Mosaajii__Engine__V1__DiffRequest *request;
    // Content below this shares chunks with its neighbours.
    uint64_t small_bytes;
    struct side before;
    struct side after;
    int64_t count;
    bool more;
    mos_arena *arena;
    change *changes[EVENT_CHANGES];
    size_t change_count;
};

static void send_changes(struct diff *diff, bool more) {
    Mosaajii__Engine__V1__Changes changes = MOSAAJII__ENGINE__V1__CHANGES__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    changes.changes = diff->changes;
    changes.n_changes = diff->change_count;
    changes.more = more;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_CHANGES;
    event.changes = &changes;
    mos_job_send(diff->job, &event);
    mos_arena_destroy(diff->arena);
    diff->arena = mos_arena_create(0);
    diff->change_count = 0;
}

static void add_change(struct diff *diff, change_kind kind, const struct mos_entry *before, const struct mos_entry *after) {
    if (diff->count == diff->request->limit) {
        diff->more = true;
        return;
    }
    const struct mos_entry *entry = after ? after : before;
    change *out = MOS_NEW(diff->arena, change, mosaajii__engine__v1__change__init);
    out->path = (ProtobufCBinaryData){.data = mos_arena_memdup(diff->arena, entry->path, entry->path_bytes), .len = entry->path_bytes};
    out->kind = kind;
    out->size_before = before ? (int64_t)before->size_bytes : 0;
    out->size_after = after ? (int64_t)after->size_bytes : 0;
    diff->changes[diff->change_count++] = out;
    diff->count++;
    if (diff->change_count == EVENT_CHANGES || mos_arena_used_bytes(diff->arena) > EVENT_BYTES) {
        send_changes(diff, true);
    }
}

// ---- Comparing ----

static bool same_bytes(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

static bool same_metadata(const struct mos_entry *before, const struct mos_entry *after) {
    if (before->mode != after->mode || before->uid != after->uid || before->gid != after->gid ||
        before->modified_unix_ns != after->modified_unix_ns || strcmp(before->user, after->user) != 0 ||
        strcmp(before->group, after->group) != 0 || before->xattr_count != after->xattr_count) {
        return false;
    }
    for (size_t i = 0; i < before->xattr_count; i++) {
        const struct mos_xattr *a = &before->xattrs[i], *b = &after->xattrs[i];
        if (strcmp(a->name, b->name) != 0 || !same_bytes(a->value, a->value_bytes, b->value, b->value_bytes)) {
            return false;
        }
    }
    return true;
}

static mos_status hash_bytes(void *hasher, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    (void)offset_bytes;
    (void)error;
    mos_hasher_update(hasher, data, size_bytes);
    return MOS_OK;
}

static mos_status hash_content(const struct side *side, uint8_t out[MOS_HASH_BYTES], struct mos_error *error) {
    mos_hasher *hasher = mos_hasher_create();
    mos_status status = mos_content_all(side->reader, side->tree, side->at, hash_bytes, hasher, error);
    mos_hasher_finish(hasher, out);
    mos_hasher_destroy(hasher);
    return status;
}

static mos_status same_extents(struct diff *diff, bool *out_same, struct mos_error *error) {
    const struct mos_entry *before = diff->before.at, *after = diff->after.at;
    size_t parts = mos_entry_parts(before);
    *out_same = parts == mos_entry_parts(after);
    for (size_t part = 0; part < parts && *out_same; part++) {
        if (before->list_count && after->list_count &&
            memcmp(&before->lists[part], &after->lists[part], sizeof(before->lists[part])) == 0) {
            continue;
        }
        const struct mos_extent *a, *b;
        size_t a_count, b_count;
        mos_status status = mos_tree_extents(diff->before.tree, before, part, &a, &a_count, error);
        status = status ? status : mos_tree_extents(diff->after.tree, after, part, &b, &b_count, error);
        if (status) {
            return status;
        }
        *out_same = same_bytes(a, a_count * sizeof(*a), b, b_count * sizeof(*b));
    }
    return MOS_OK;
}

// Equal content of some length has equal chunks. Small files lie in chunks with neighbours that differ from backup to backup: they are
// read.
static mos_status same_content(struct diff *diff, bool *out_same, struct mos_error *error) {
    const struct mos_entry *before = diff->before.at, *after = diff->after.at;
    *out_same = before->size_bytes == after->size_bytes && before->sparse == after->sparse &&
                same_bytes(before->ranges, before->range_count * sizeof(*before->ranges), after->ranges,
                           after->range_count * sizeof(*after->ranges));
    if (!*out_same) {
        return MOS_OK;
    }
    mos_status status = same_extents(diff, out_same, error);
    if (status || *out_same || mos_content_bytes(before) >= diff->small_bytes) {
        return status;
    }
    uint8_t a[MOS_HASH_BYTES], b[MOS_HASH_BYTES];
    status = hash_content(&diff->before, a, error);
    status = status ? status : hash_content(&diff->after, b, error);
    *out_same = status == MOS_OK && memcmp(a, b, sizeof(a)) == 0;
    return status;
}

static mos_status compare(struct diff *diff, struct mos_error *error) {
    const struct mos_entry *before = diff->before.at, *after = diff->after.at;
    bool same = before->type == after->type && before->device_major == after->device_major && before->device_minor == after->device_minor &&
                same_bytes(before->link_target, before->link_target_bytes, after->link_target, after->link_target_bytes);
    mos_status status = same ? same_content(diff, &same, error) : MOS_OK;
    if (status == MOS_OK && (!same || !same_metadata(before, after))) {
        add_change(diff, same ? KIND(METADATA) : KIND(CHANGED), before, after);
    }
    return status;
}

// ---- Walking ----

// A lost part would make all that it held look added or removed: there is no answer then.
static mos_status step(struct side *side, struct mos_error *error) {
    struct mos_error cause = {0};
    mos_status status = mos_tree_next(side->tree, &side->at, &cause);
    return status ? mos_fail(error, status, "the backup %s is damaged: %.400s", side->backup_id, cause.message) : MOS_OK;
}

static mos_status walk(struct diff *diff, struct mos_error *error) {
    struct side *before = &diff->before, *after = &diff->after;
    mos_status status = step(before, error);
    status = status ? status : step(after, error);
    while (status == MOS_OK && (before->at || after->at) && !diff->more) {
        int order = !before->at  ? 1
                    : !after->at ? -1
                                 : mos_path_compare(before->at->path, before->at->path_bytes, after->at->path, after->at->path_bytes);
        const struct mos_entry *first = order <= 0 ? before->at : after->at;
        status = mos_job_check(diff->job, error);
        // Whoever waits sees that it goes on, also where nothing differs for long.
        mos_job_advance(diff->job, 1, 0, NULL, 0);
        if (status == MOS_OK &&
            mos_path_compare(first->path, first->path_bytes, (const char *)diff->request->after.data, diff->request->after.len) > 0) {
            if (order == 0) {
                status = compare(diff, error);
            } else {
                add_change(diff, order < 0 ? KIND(REMOVED) : KIND(ADDED), order < 0 ? before->at : NULL, order < 0 ? NULL : after->at);
            }
        }
        status = status == MOS_OK && order <= 0 ? step(before, error) : status;
        status = status == MOS_OK && order >= 0 ? step(after, error) : status;
    }
    return status;
}

static mos_status open_side(struct diff *diff, struct side *side, mos_repository *repository, const char *backup_id,
                            struct mos_error *error) {
    side->backup_id = backup_id;
    mos_status status = mos_reader_open(repository, backup_id, &side->reader, error);
    return status ? status : mos_tree_open(side->reader, diff->request->after.data, diff->request->after.len, &side->tree, error);
}

mos_status mos_operation_diff(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__DiffRequest *request,
                              struct mos_error *error) {
    struct diff diff = {
        .job = job,
        .request = request,
        .small_bytes = mos_repository_chunk_limits(repository)->min_bytes,
        .arena = mos_arena_create(0),
    };
    mos_status status = open_side(&diff, &diff.before, repository, request->base_id, error);
    status = status ? status : open_side(&diff, &diff.after, repository, request->backup_id, error);
    status = status ? status : walk(&diff, error);
    if (status == MOS_OK) {
        send_changes(&diff, diff.more);
    }
    mos_arena_destroy(diff.arena);
    mos_tree_close(diff.before.tree);
    mos_tree_close(diff.after.tree);
    mos_reader_close(diff.before.reader);
    mos_reader_close(diff.after.reader);
    return status;
}
